/*
 * demo_user.c - which folder, and as whom (demo.h).
 *
 * PostgreSQL refuses to run as root, so root hands over to the user postgres: a child process gives up root's rights
 * before it touches anything in the folder, and everything it starts inherits that. The programs are opened before,
 * since that user may not be able to reach them (a build under /root).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/demo.h"

#define DEFAULT_FOLDER  ".assent-demo"
#define FALLBACK_FOLDER "/var/tmp/assent-demo"
#define DEMO_USER       "postgres"

struct demo_programs demo_programs = {.assentd_fd = -1, .agent_fd = -1};

/* Beside this program, where the build and packages put them. */
static void open_programs(void)
{
    char self[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0) {
        return;
    }
    self[size] = 0;
    char *slash = strrchr(self, '/');
    *slash = 0;
    snprintf(demo_programs.folder, sizeof demo_programs.folder, "%s", self);
    const int folder_fd = open(self, O_PATH | O_DIRECTORY | O_CLOEXEC);
    demo_programs.assentd_fd = openat(folder_fd, "assentd", O_PATH | O_CLOEXEC);
    if (demo_programs.assentd_fd < 0) {
        demo_programs.assentd_fd = openat(folder_fd, "../sbin/assentd", O_PATH | O_CLOEXEC);
    }
    demo_programs.agent_fd = openat(folder_fd, "assent-agent", O_PATH | O_CLOEXEC);
    if (demo_programs.agent_fd < 0) {
        demo_programs.agent_fd = openat(folder_fd, "../sbin/assent-agent", O_PATH | O_CLOEXEC);
    }
    close(folder_fd);
}

/* Configuration files and connection strings carry the path: what they cannot quote is refused here. */
static bool folder_is_speakable(const char *folder)
{
    for (const char *c = folder; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || strchr("'\"\\;#=%", *c) != NULL) {
            return false;
        }
    }
    return true;
}

static bool folder_absolute(const char *given, char ret_folder[DEMO_FOLDER_MAX + 1],
                            struct error *ret_error)
{
    char cwd[PATH_MAX] = "";
    char folder[2 * PATH_MAX];
    if (given[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "the current folder");
    }
    snprintf(folder, sizeof folder, "%s%s%s", cwd, given[0] == '/' ? "" : "/", given);
    for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/'; length--) {
        folder[length - 1] = 0;
    }
    if (strlen(folder) > DEMO_FOLDER_MAX) {
        error_set(ret_error, ERROR_INVALID, "%.200s: the path is longer than %d bytes", folder,
                  DEMO_FOLDER_MAX);
        return error_hint(ret_error, "name a shorter one with --dir");
    }
    if (!folder_is_speakable(folder)) {
        error_set(ret_error, ERROR_INVALID,
                  "%s: quotes, backslashes and ; # = %% are not possible in the path", folder);
        return error_hint(ret_error, "name another one with --dir");
    }
    memcpy(ret_folder, folder, strlen(folder) + 1);
    return true;
}

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
           setuid(user->pw_uid) == 0;
}

/* Could this user pass through the folder's parent? Asked in a child with that user's rights. */
static bool user_reaches(const struct passwd *user, const char *folder)
{
    char parent[DEMO_FOLDER_MAX + 1];
    snprintf(parent, sizeof parent, "%s", folder);
    char *slash = strrchr(parent, '/');
    slash[slash == parent ? 1 : 0] = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        const bool ok = become(user) && access(parent, X_OK) == 0;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool folder_is_empty(const char *folder)
{
    DIR *directory = opendir(folder);
    bool is_empty = directory != NULL;
    struct dirent *entry = NULL;
    while (is_empty && (entry = readdir(directory)) != NULL) {
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return is_empty;
}

/* A new folder, an empty one, or one that a demo of this user's made; nothing else is touched. */
static bool folder_prepare(const char *folder, uid_t uid, gid_t gid, bool may_make, bool *ret_found,
                           struct error *ret_error)
{
    struct stat status;
    *ret_found = true;
    if (lstat(folder, &status) != 0) {
        if (errno == ENOENT && !may_make) {
            *ret_found = false;
            return true;
        }
        if (errno != ENOENT || mkdir(folder, 0700) != 0 || lstat(folder, &status) != 0) {
            return error_set_errno(ret_error, errno == EACCES ? ERROR_DENIED : ERROR_IO, errno,
                                   "%s", folder);
        }
    }
    if (!S_ISDIR(status.st_mode)) {
        return error_set(ret_error, ERROR_INVALID, "%s is not a folder", folder);
    }
    if (status.st_uid != uid) {
        if (status.st_uid != geteuid() || !folder_is_empty(folder)) {
            error_set(ret_error, ERROR_DENIED, "%s belongs to another user", folder);
            return error_hint(ret_error, "name another one with --dir");
        }
        if (chown(folder, uid, gid) != 0) {
            return error_set_errno(ret_error, ERROR_IO, errno, "%s", folder);
        }
    }
    return true;
}

static int no_demo(const char *folder)
{
    struct error error;
    error_set(&error, ERROR_UNAVAILABLE, "there is no demo at %s", folder);
    error_hint(&error, "`assent demo up` makes one; --dir names another folder");
    return fail_with(&error);
}

/* The folder for root: the default moves where the demo's user cannot go. */
static bool folder_for_root(const struct demo_command *command, const struct passwd *user,
                            char folder[DEMO_FOLDER_MAX + 1], struct error *ret_error)
{
    if (user_reaches(user, folder)) {
        return true;
    }
    if (command->given_folder != NULL) {
        error_set(ret_error, ERROR_DENIED, "the user %s cannot reach %s", user->pw_name, folder);
        return error_hint(ret_error,
                          "run by root, the demo runs as %s: name a folder that this "
                          "user can reach, " FALLBACK_FOLDER " for example",
                          user->pw_name);
    }
    fprintf(stderr, "assent: the user %s cannot reach %s: using " FALLBACK_FOLDER "\n",
            user->pw_name, folder);
    memcpy(folder, FALLBACK_FOLDER, sizeof FALLBACK_FOLDER);
    return true;
}

/* In a child with the user's rights; the parent only removes what that user cannot. */
static int run_as(const struct demo_command *command, const struct passwd *user, const char *folder,
                  int (*run)(const struct demo_command *command, const char *folder))
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid < 0) {
        struct error error;
        error_set_errno(&error, ERROR_SYSTEM, errno, "fork");
        return fail_with(&error);
    }
    if (pid == 0) {
        if (!become(user) || chdir("/") != 0) {
            perror("assent: giving up root's rights");
            _exit(EX_OSERR);
        }
        setenv("HOME", folder, 1);
        setenv("USER", user->pw_name, 1);
        setenv("LOGNAME", user->pw_name, 1);
        const int code = run(command, folder);
        fflush(stdout);
        _exit(code);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        fprintf(stderr, "assent: the demo's process was killed\n");
        return CLI_EXIT_FAILED;
    }
    if (command->action == DEMO_DOWN && command->purge && WEXITSTATUS(status) == CLI_EXIT_DONE) {
        rmdir(folder); /* empty by now; its parent may be ours alone */
    }
    return WEXITSTATUS(status);
}

int demo_as_user(const struct demo_command *command,
                 int (*run)(const struct demo_command *command, const char *folder))
{
    const bool is_root = geteuid() == 0;
    char folder[DEMO_FOLDER_MAX + 1];
    struct error error = {0};
    bool is_found = false;
    const struct passwd *user = is_root ? getpwnam(DEMO_USER) : NULL;
    open_programs();
    if (is_root && user == NULL) {
        error_set(&error, ERROR_UNAVAILABLE, "there is no user " DEMO_USER);
        error_hint(&error, "apt-get install postgresql-15, or run this as an ordinary user");
        return fail_with(&error);
    }
    const char *given = command->given_folder != NULL ? command->given_folder : DEFAULT_FOLDER;
    if (!folder_absolute(given, folder, &error) ||
        (is_root && !folder_for_root(command, user, folder, &error)) ||
        !folder_prepare(folder, is_root ? user->pw_uid : geteuid(),
                        is_root ? user->pw_gid : getegid(), command->action == DEMO_UP, &is_found,
                        &error)) {
        return fail_with(&error);
    }
    if (!is_found) {
        /* Nothing to stop is what down wants. */
        if (command->action != DEMO_DOWN) {
            return no_demo(folder);
        }
        demo_print_down(command, "there was nothing to stop");
        return CLI_EXIT_DONE;
    }
    umask(077);
    return is_root ? run_as(command, user, folder, run) : run(command, folder);
}

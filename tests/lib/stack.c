/*
 * stack.c - makes and removes a stack: folder, clusters, secrets, configuration files, setup. See
 * stack.h.
 */
#include "tests/lib/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/stack_internal.h"

#define CONFIG_LIMIT_BYTES ((size_t)64 * 1024)

static const char *const programs[] = {"assentd", "assent-agent"};

/* --- files ------------------------------------------------------------------------------------ */

static bool give(const struct stack *stack, const char *path, struct error *ret_error)
{
    if (stack->os_user == NULL) {
        return true;
    }
    const struct passwd *user = getpwnam(stack->os_user);
    if (user == NULL) {
        return error_set(ret_error, ERROR_NOT_FOUND, "there is no user %s", stack->os_user);
    }
    return chown(path, user->pw_uid, user->pw_gid) == 0 ||
           error_set_errno(ret_error, ERROR_IO, errno, "cannot give %s to %s", path,
                           stack->os_user);
}

static bool write_file(const struct stack *stack, const char *path, mode_t mode, const char *bytes,
                       size_t size_bytes, struct error *ret_error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t written = write(fd, bytes + done, size_bytes - done);
        if (written <= 0) {
            break;
        }
        done += (size_t)written;
    }
    /* fchmod: open's mode is cut by the umask. */
    bool succeeded = done == size_bytes && fchmod(fd, mode) == 0;
    succeeded = close(fd) == 0 && succeeded;
    if (!succeeded) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    return give(stack, path, ret_error);
}

static bool make_folder(struct stack *stack, struct error *ret_error)
{
    (void)snprintf(stack->folder, sizeof stack->folder, "/tmp/assent-st-XXXXXX");
    if (mkdtemp(stack->folder) == NULL) {
        stack->folder[0] = '\0';
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot make a folder under /tmp");
    }
    return give(stack, stack->folder, ret_error);
}

static bool write_secret(struct stack *stack, struct stack_member *member, struct error *ret_error)
{
    unsigned char bytes[24];
    char text[sizeof bytes * 2 + 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "no random bytes");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    text[sizeof bytes * 2] = '\n';
    (void)snprintf(member->secret_path, sizeof member->secret_path, "%s/%s.secret", stack->folder,
                   member->name);
    return write_file(stack, member->secret_path, 0600, text, sizeof bytes * 2 + 1, ret_error);
}

/* ctest says where the programs are; otherwise they lie beside this program, or this is a test
 * in <build>/tests/bin. */
static bool find_program(const char *name, char *ret_path, size_t size_bytes,
                         struct error *ret_error)
{
    const char *folder = getenv("ASSENT_BIN_DIR");
    if (folder != NULL) {
        (void)snprintf(ret_path, size_bytes, "%s/%s", folder, name);
        return true;
    }
    char self[400];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (length > 0) {
        self[length] = '\0';
        slash = strrchr(self, '/');
    }
    if (slash == NULL) {
        return error_set(ret_error, ERROR_INVALID, "ASSENT_BIN_DIR is not set");
    }
    *slash = '\0';
    (void)snprintf(ret_path, size_bytes, "%s/%s", self, name);
    if (access(ret_path, X_OK) != 0) {
        (void)snprintf(ret_path, size_bytes, "%s/../../bin/%s", self, name);
    }
    return true;
}

/* The user of the daemons may not be able to look into the build folder. */
static bool copy_program(struct stack *stack, const char *name, struct error *ret_error)
{
    char from[512];
    char to[STACK_PATH_SIZE];
    if (!find_program(name, from, sizeof from, ret_error)) {
        return false;
    }
    (void)snprintf(to, sizeof to, "%s/%s", stack->folder, name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot read %s", from);
    }
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t copied = 1;
    while (out >= 0 && copied > 0) {
        copied = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
    }
    bool succeeded = out >= 0 && copied == 0 && fchmod(out, 0755) == 0;
    if (!succeeded) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot copy %s to %s", from, to);
    }
    (void)close(in);
    if (out >= 0) {
        (void)close(out);
    }
    return succeeded;
}

/* --- ports ------------------------------------------------------------------------------------ */

static bool find_ports(struct stack *stack, struct error *ret_error)
{
    if (!process_free_port(&stack->http_port, ret_error) ||
        !process_free_port(&stack->client_port, ret_error) ||
        !process_free_port(&stack->listen_port, ret_error)) {
        return false;
    }
    for (size_t i = 0; i < stack->member_count; i++) {
        if (!process_free_port(&stack->members[i].port, ret_error)) {
            return false;
        }
    }
    (void)snprintf(stack->api, sizeof stack->api, "http://127.0.0.1:%u", stack->http_port);
    (void)snprintf(stack->client_address, sizeof stack->client_address, "127.0.0.1:%u",
                   stack->client_port);
    return true;
}

/* --- configuration ---------------------------------------------------------------------------- */

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

struct text_buffer {
    char *text;
    size_t length;
};

static void add_text(struct text_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_text(struct text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *piece = NULL;
    int length = vasprintf(&piece, format, arguments);
    va_end(arguments);
    if (length < 0) {
        abort();
    }
    buffer->text = alloc_resize(buffer->text, buffer->length + (size_t)length + 1, 1);
    memcpy(buffer->text + buffer->length, piece, (size_t)length + 1);
    buffer->length += (size_t)length;
    free(piece);
}

static const char *log_level_of(const struct stack_options *options)
{
    return options->log_level != NULL ? options->log_level : "debug";
}

static bool write_assentd_config(struct stack *stack, const struct stack_options *options,
                                 struct error *ret_error)
{
    struct text_buffer buffer = {0};
    add_text(&buffer,
             "[assentd]\nhttp = 127.0.0.1:%u\nclient = 127.0.0.1:%u\nlisten = 127.0.0.1:%u\n"
             "journal = %s\nlog_level = %s\n%s\n",
             stack->http_port, stack->client_port, stack->listen_port, stack->journal_path,
             log_level_of(options), or_empty(options->assentd_lines));
    for (size_t i = 0; i < stack->member_count; i++) {
        const struct stack_member *member = &stack->members[i];
        add_text(&buffer, "\n[participant %s]\naddress = 127.0.0.1:%u\nsecret_file = %s\n",
                 member->name, member->port, member->secret_path);
    }
    bool succeeded = write_file(stack, stack->coordinator.config_path, 0644, buffer.text,
                                buffer.length, ret_error);
    free(buffer.text);
    return succeeded;
}

static bool write_agent_config(struct stack *stack, const struct stack_member *member,
                               const struct stack_options *options, struct error *ret_error)
{
    struct text_buffer buffer = {0};
    add_text(&buffer,
             "[agent]\nparticipant = %s\nlisten = 127.0.0.1:%u\nsecret_file = %s\n"
             "log_level = %s\n%s\n\n",
             member->name, member->port, member->secret_path, log_level_of(options),
             or_empty(options->agent_lines));
    add_text(&buffer,
             "[database]\nconninfo = host=%s port=%u dbname=%s user=%s\n"
             "token_file = %s/%s.token\n%s\n\n[protocol]\n%s\n",
             pgcluster_folder(member->cluster), pgcluster_port(member->cluster), stack->database,
             member->role, stack->folder, member->name, or_empty(options->database_lines),
             or_empty(options->protocol_lines));
    bool succeeded =
        write_file(stack, member->agent.config_path, 0644, buffer.text, buffer.length, ret_error);
    free(buffer.text);
    return succeeded;
}

bool stack_config_write(struct stack_daemon *daemon, const char *text, struct error *ret_error)
{
    return write_file(daemon->stack, daemon->config_path, 0644, text, strlen(text), ret_error);
}

char *stack_config_text(const struct stack_daemon *daemon)
{
    char *text = NULL;
    return process_read_file(daemon->config_path, CONFIG_LIMIT_BYTES, &text, NULL)
               ? text
               : alloc_string("");
}

/* --- databases -------------------------------------------------------------------------------- */

static bool make_database(struct stack *stack, struct stack_member *member, struct error *ret_error)
{
    char sql[STACK_NAME_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s", stack->database);
    if (!pgcluster_sql(member->cluster, "postgres", sql, NULL, ret_error)) {
        return error_wrap(ret_error, "%s", member->name);
    }
    char *admin = pgcluster_conninfo_for(member->cluster, stack->database, "postgres");
    const char *const argv[] = {member->agent.program,
                                "setup",
                                "--config",
                                member->agent.config_path,
                                "--apply",
                                "--admin",
                                admin,
                                NULL};
    const struct process_options options = {.argv = argv,
                                            .user = stack->os_user,
                                            .folder = stack->folder,
                                            .stdout_path = member->agent.log_path,
                                            .stderr_path = member->agent.log_path};
    int exit_code = 0;
    bool succeeded =
        process_run(&options, clock_monotonic_ms() + STACK_PATIENCE_MS, &exit_code, ret_error);
    free(admin);
    if (succeeded && exit_code != 0) {
        char *log = NULL;
        if (process_read_file(member->agent.log_path, CONFIG_LIMIT_BYTES, &log, NULL)) {
            (void)fprintf(stderr, "%s", log);
            free(log);
        }
        return error_set(ret_error, ERROR_SYSTEM, "setup of %s ended with %d", member->name,
                         exit_code);
    }
    return succeeded;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void name_daemon(struct stack *stack, struct stack_daemon *daemon, const char *name,
                        const char *program, const char *file)
{
    daemon->stack = stack;
    (void)snprintf(daemon->name, sizeof daemon->name, "%s", name);
    (void)snprintf(daemon->program, sizeof daemon->program, "%s/%s", stack->folder, program);
    (void)snprintf(daemon->config_path, sizeof daemon->config_path, "%s/%s.conf", stack->folder,
                   file);
    (void)snprintf(daemon->log_path, sizeof daemon->log_path, "%s/%s.log", stack->folder, file);
    (void)snprintf(daemon->trace_path, sizeof daemon->trace_path, "%s/%s.trace", stack->folder,
                   file);
}

static bool make_member(struct stack *stack, size_t index, const struct stack_options *options,
                        struct error *ret_error)
{
    static const char *const usual[STACK_PARTICIPANTS_MAX] = {"order", "payment", "p2", "p3",
                                                              "p4",    "p5",      "p6", "p7"};
    struct stack_member *member = &stack->members[index];
    const char *name = options->participants == NULL ? usual[index] : options->participants[index];
    char daemon_name[STACK_NAME_SIZE];
    char file[STACK_NAME_SIZE];
    (void)snprintf(member->name, sizeof member->name, "%.40s", name);
    (void)snprintf(member->role, sizeof member->role, "assent_%.40s", name);
    (void)snprintf(daemon_name, sizeof daemon_name, "agent %.40s", name);
    (void)snprintf(file, sizeof file, "%.40s", name);
    name_daemon(stack, &member->agent, daemon_name, "assent-agent", file);
    if (options->clusters != NULL) {
        member->cluster = options->clusters[index];
        return true;
    }
    member->owns_cluster = true;
    return pgcluster_new(NULL, &member->cluster, ret_error);
}

static bool make_files(struct stack *stack, const struct stack_options *options,
                       struct error *ret_error)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (!copy_program(stack, programs[i], ret_error)) {
            return false;
        }
    }
    for (size_t i = 0; i < stack->member_count; i++) {
        if (!write_secret(stack, &stack->members[i], ret_error) ||
            !write_agent_config(stack, &stack->members[i], options, ret_error) ||
            !make_database(stack, &stack->members[i], ret_error)) {
            return false;
        }
    }
    return write_assentd_config(stack, options, ret_error);
}

static bool build(struct stack *stack, const struct stack_options *options, struct error *ret_error)
{
    static unsigned databases; /* several stacks may share clusters */
    if (stack->member_count > STACK_PARTICIPANTS_MAX) {
        return error_set(ret_error, ERROR_LIMIT, "at most %d participants", STACK_PARTICIPANTS_MAX);
    }
    (void)snprintf(stack->database, sizeof stack->database, "shop%u", ++databases);
    if (!make_folder(stack, ret_error)) {
        return false;
    }
    (void)snprintf(stack->journal_path, sizeof stack->journal_path, "%s/journal.db",
                   options->journal_folder == NULL ? stack->folder : options->journal_folder);
    name_daemon(stack, &stack->coordinator, "assentd", "assentd", "assentd");
    for (size_t i = 0; i < stack->member_count; i++) {
        if (!make_member(stack, i, options, ret_error)) {
            return false;
        }
    }
    return find_ports(stack, ret_error) && make_files(stack, options, ret_error);
}

bool stack_new(const struct stack_options *options, struct stack **ret_stack,
               struct error *ret_error)
{
    static const struct stack_options defaults;
    const struct stack_options *chosen = options == NULL ? &defaults : options;
    struct stack *stack = alloc_zeroed(sizeof *stack);
    stack->os_user = geteuid() == 0 ? "postgres" : NULL;
    stack->member_count = chosen->participant_count == 0 ? 2 : chosen->participant_count;
    if (!build(stack, chosen, ret_error)) {
        stack_free(stack);
        return false;
    }
    *ret_stack = stack;
    return true;
}

void stack_free(struct stack *stack)
{
    if (stack == NULL) {
        return;
    }
    stack_daemon_kill(&stack->coordinator);
    for (size_t i = 0; i < stack->member_count && i < STACK_PARTICIPANTS_MAX; i++) {
        struct stack_member *member = &stack->members[i];
        stack_daemon_kill(&member->agent);
        PQfinish(member->connection);
        if (member->owns_cluster) {
            pgcluster_free(member->cluster);
        }
    }
    struct error error;
    const char *keep = getenv("ASSENT_KEEP");
    if (keep != NULL && keep[0] != '\0') {
        (void)fprintf(stderr, "kept: %s\n", stack->folder);
    } else if (stack->folder[0] != '\0' && !process_remove_folder(stack->folder, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    free(stack);
}

size_t stack_participant_count(const struct stack *stack)
{
    return stack->member_count;
}

const char *stack_participant(const struct stack *stack, size_t index)
{
    return stack->members[index].name;
}

struct pgcluster *stack_cluster(const struct stack *stack, size_t index)
{
    return stack->members[index].cluster;
}

const char *stack_secret_path(const struct stack *stack, size_t index)
{
    return stack->members[index].secret_path;
}

const char *stack_database(const struct stack *stack)
{
    return stack->database;
}

const char *stack_folder(const struct stack *stack)
{
    return stack->folder;
}

const char *stack_journal_path(const struct stack *stack)
{
    return stack->journal_path;
}

const char *stack_api(const struct stack *stack)
{
    return stack->api;
}

const char *stack_client_address(const struct stack *stack)
{
    return stack->client_address;
}

const char *stack_os_user(const struct stack *stack)
{
    return stack->os_user;
}

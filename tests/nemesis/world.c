/*
 * world.c - clusters, daemons, and the proxy between every two of them. See run.h.
 *
 * A stack (tests/lib/stack.h) is made as always; then its configuration files are rewritten so that
 * everybody dials the proxy: the agents their databases (over TCP, without encryption, which could
 * not be read), assentd its agents, the agents assentd (which advertises the proxy's port), clients assentd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clock_shift.h"
#include "common/clock.h"
#include "run.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define DISK_BYTES      ((size_t)512 << 20)
#define COPY_BYTES      ((size_t)64 << 20)
#define PREPARED_MAX    256
#define START_MS        60000
#define DRAIN           "3s"
#define JOURNAL_RESERVE "4MiB" /* small, so that a full disk is reached while there is work */

/* --- configuration ---------------------------------------------------------------------------- */

/* The text with the first `from` replaced. Takes text, returns owned; NULL if it is not there. */
static char *replace(char *text, const char *from, const char *to)
{
    char *place = text == NULL ? NULL : strstr(text, from);
    char *result = NULL;
    if (place != NULL &&
        asprintf(&result, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from)) < 0) {
        result = NULL;
    }
    free(text);
    return result;
}

static bool rewrite(struct stack_daemon *daemon, const char *from, const char *to,
                    struct error *ret_error)
{
    char *text = replace(stack_config_text(daemon), from, to);
    if (text == NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s has no \"%s\"",
                         stack_daemon_config_path(daemon), from);
    }
    bool succeeded = stack_config_write(daemon, text, ret_error);
    free(text);
    return succeeded;
}

/* The port behind the first `key` of a configuration. */
static bool find_port(const struct stack_daemon *daemon, const char *key, uint16_t *ret_port,
                      struct error *ret_error)
{
    char *text = stack_config_text(daemon);
    const char *place = strstr(text, key);
    long port = place == NULL ? 0 : strtol(place + strlen(key), NULL, 10);
    free(text);
    if (port <= 0 || port > UINT16_MAX) {
        return error_set(ret_error, ERROR_INVALID, "no port behind \"%s\"", key);
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool add_route(struct world *world, const char *name, enum stream_kind kind, uint16_t target,
                      size_t *ret_route, struct error *ret_error)
{
    const struct proxy_route route = {.name = name, .kind = kind, .target_port = target};
    return proxy_add_route(world->proxy, &route, ret_route, ret_error);
}

/* The agent dials its database through the proxy, and assentd the agent. */
static bool divert_member(struct world *world, size_t index, struct error *ret_error)
{
    struct stack_daemon *agent = stack_agent(world->stack, index);
    struct stack_daemon *coordinator = stack_coordinator(world->stack);
    uint16_t database_port = pgcluster_port(world->clusters[index]);
    uint16_t agent_port = 0;
    char from[256], to[256];
    if (!find_port(agent, "\nlisten = 127.0.0.1:", &agent_port, ret_error) ||
        !add_route(world, world->names[index], STREAM_POSTGRES, database_port,
                   &world->database_route[index], ret_error) ||
        !add_route(world, world->names[index], STREAM_LINK, agent_port, &world->agent_route[index],
                   ret_error)) {
        return false;
    }
    (void)snprintf(from, sizeof from, "host=%s port=%u", pgcluster_folder(world->clusters[index]),
                   database_port);
    (void)snprintf(to, sizeof to, "host=127.0.0.1 port=%u sslmode=disable gssencmode=disable",
                   proxy_port(world->proxy, world->database_route[index]));
    if (!rewrite(agent, from, to, ret_error)) {
        return false;
    }
    (void)snprintf(from, sizeof from, "\naddress = 127.0.0.1:%u\n", agent_port);
    (void)snprintf(to, sizeof to, "\naddress = 127.0.0.1:%u\n",
                   proxy_port(world->proxy, world->agent_route[index]));
    return rewrite(coordinator, from, to, ret_error);
}

static bool divert_coordinator(struct world *world, struct error *ret_error)
{
    struct stack_daemon *coordinator = stack_coordinator(world->stack);
    uint16_t listen_port = 0, client_port = 0, http_port = 0;
    char from[96], to[160];
    if (!find_port(coordinator, "\nlisten = 127.0.0.1:", &listen_port, ret_error) ||
        !find_port(coordinator, "\nclient = 127.0.0.1:", &client_port, ret_error) ||
        !find_port(coordinator, "\nhttp = 127.0.0.1:", &http_port, ret_error) ||
        !add_route(world, "http", STREAM_RAW, http_port, &world->http_route, ret_error) ||
        !add_route(world, "coordinator", STREAM_LINK, listen_port, &world->coordinator_route,
                   ret_error) ||
        !add_route(world, "clients", STREAM_FRAMES, client_port, &world->client_route, ret_error)) {
        return false;
    }
    (void)snprintf(world->client_address, sizeof world->client_address, "127.0.0.1:%u",
                   proxy_port(world->proxy, world->client_route));
    (void)snprintf(world->http_address, sizeof world->http_address, "127.0.0.1:%u",
                   proxy_port(world->proxy, world->http_route));
    (void)snprintf(from, sizeof from, "\nlisten = 127.0.0.1:%u\n", listen_port);
    (void)snprintf(to, sizeof to, "\nlisten = 127.0.0.1:%u\nadvertise = 127.0.0.1:%u\n",
                   listen_port, proxy_port(world->proxy, world->coordinator_route));
    return rewrite(coordinator, from, to, ret_error);
}

/* --- disk ------------------------------------------------------------------------------------- */

static bool give_to_daemons(const char *path)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    return geteuid() != 0 || (user != NULL && chown(path, user->pw_uid, user->pw_gid) == 0);
}

/* A file system of our own for the journal, where that is allowed. */
static void make_disk(struct world *world)
{
    char folder[sizeof world->disk_folder] = "/tmp/assent-disk-XXXXXX";
    char options[64];
    if (mkdtemp(folder) == NULL) {
        (void)snprintf(world->no_disk, sizeof world->no_disk, "no folder: %s", strerror(errno));
        return;
    }
    (void)snprintf(options, sizeof options, "size=%zu,mode=0755", DISK_BYTES);
    if (mount("assent-fault", folder, "tmpfs", 0, options) != 0) {
        (void)snprintf(world->no_disk, sizeof world->no_disk, "a tmpfs cannot be mounted: %s",
                       strerror(errno));
        (void)rmdir(folder);
        return;
    }
    memcpy(world->disk_folder, folder, sizeof world->disk_folder);
    if (!give_to_daemons(folder)) {
        (void)snprintf(world->no_disk, sizeof world->no_disk, "it cannot be given to postgres");
    }
}

bool world_limit_disk(struct world *world, size_t free_bytes, struct error *ret_error)
{
    char options[64];
    struct statvfs status;
    if (statvfs(world->disk_folder, &status) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", world->disk_folder);
    }
    size_t used_bytes = (size_t)(status.f_blocks - status.f_bfree) * status.f_frsize;
    size_t size_bytes = free_bytes == SIZE_MAX ? DISK_BYTES : used_bytes + free_bytes;
    (void)snprintf(options, sizeof options, "size=%zu", size_bytes);
    return mount("assent-fault", world->disk_folder, "tmpfs", MS_REMOUNT, options) == 0 ||
           error_set_errno(ret_error, ERROR_IO, errno, "cannot resize %s", world->disk_folder);
}

/* --- clock ------------------------------------------------------------------------------------ */

bool world_copy_file(const char *from, const char *to, struct error *ret_error)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ssize_t copied = 1;
    while (out >= 0 && copied > 0) {
        copied = copy_file_range(in, NULL, out, NULL, COPY_BYTES, 0);
    }
    bool succeeded = out >= 0 && copied == 0 && fchmod(out, 0755) == 0;
    if (!succeeded) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot copy %s to %s", from, to);
    }
    if (in >= 0) {
        (void)close(in);
    }
    if (out >= 0) {
        (void)close(out);
    }
    return succeeded;
}

static bool map_clock(struct world *world, struct error *ret_error)
{
    int fd = open(world->clock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    void *place = MAP_FAILED;
    if (fd >= 0 && fchmod(fd, 0644) == 0 && ftruncate(fd, sizeof *world->clock) == 0) {
        place = mmap(NULL, sizeof *world->clock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (place == MAP_FAILED) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot map %s", world->clock_path);
    } else {
        world->clock = place;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return place != MAP_FAILED;
}

/* The daemons may not be able to look into the build folder, and look into the stack's. */
static bool make_clock(struct world *world, struct error *ret_error)
{
    if (IS_SANITIZED) {
        (void)snprintf(world->no_clock, sizeof world->no_clock,
                       "the sanitizer wants to be the first library");
        return true;
    }
    char from[512], to[RUN_PATH_SIZE];
    (void)snprintf(from, sizeof from, "%s/" CLOCK_SHIFT_LIBRARY, getenv("ASSENT_BIN_DIR"));
    (void)snprintf(to, sizeof to, "%s/" CLOCK_SHIFT_LIBRARY, stack_folder(world->stack));
    (void)snprintf(world->clock_path, sizeof world->clock_path, "%s/clock",
                   stack_folder(world->stack));
    if (access(from, R_OK) != 0) { /* installed, not in the build folder */
        (void)snprintf(from, sizeof from, "%s/../" ASSENT_LIBRARY_FOLDER "/" CLOCK_SHIFT_LIBRARY,
                       getenv("ASSENT_BIN_DIR"));
    }
    if (access(from, R_OK) != 0) {
        (void)snprintf(world->no_clock, sizeof world->no_clock, "there is no %.100s", from);
        return true;
    }
    if (!world_copy_file(from, to, ret_error) || !map_clock(world, ret_error)) {
        return false;
    }
    (void)snprintf(world->preload_variable, sizeof world->preload_variable, "LD_PRELOAD=%.200s",
                   to);
    (void)snprintf(world->clock_variable, sizeof world->clock_variable,
                   CLOCK_SHIFT_VARIABLE "=%.200s", world->clock_path);
    world->env[0] = world->preload_variable;
    world->env[1] = world->clock_variable;
    stack_set_env(world->stack, world->env);
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool make_stack(struct world *world, const struct run_options *options,
                       struct error *ret_error)
{
    static const char *const names[RUN_DATABASES_MAX] = {"order", "payment", "stock", "ledger",
                                                         "menu"};
    const struct pgcluster_options cluster = {.max_prepared_transactions = PREPARED_MAX,
                                              .listens_on_tcp = true,
                                              .extra_conf = "max_connections = 120"};
    world->database_count = options->participant_count;
    for (size_t i = 0; i < world->database_count; i++) {
        world->names[i] = names[i];
        if (!pgcluster_new(&cluster, &world->clusters[i], ret_error)) {
            return error_wrap(ret_error, "%s", names[i]);
        }
    }
    const struct stack_options stack = {
        .participant_count = world->database_count,
        .participants = names,
        .clusters = world->clusters,
        /* What is kept for later is kept short, so that memory and journal are level within the run. */
        .assentd_lines =
            "journal_reserve = " JOURNAL_RESERVE "\ndrain_timeout = " DRAIN
            "\nrecent_max = 500\nretention_hours = " RUN_TEXT(RUN_RETENTION_HOURS) "\n",
        .agent_lines = "drain_timeout = " DRAIN "\n",
        .journal_folder = world->disk_folder[0] == '\0' ? NULL : world->disk_folder,
        .log_level = "info"};
    return stack_new(&stack, &world->stack, ret_error);
}

bool world_make(struct world *world, const struct run_options *options, struct error *ret_error)
{
    make_disk(world);
    if (!make_stack(world, options, ret_error) || !make_clock(world, ret_error) ||
        !proxy_new(&world->proxy, ret_error) || !divert_coordinator(world, ret_error)) {
        return false;
    }
    for (size_t i = 0; i < world->database_count; i++) {
        if (!divert_member(world, i, ret_error)) {
            return false;
        }
    }
    for (size_t i = world_process_count(world); i-- > 0;) { /* agents first */
        if (!world_start(world, i, ret_error)) {
            return false;
        }
    }
    return stack_wait_ready(world->stack, clock_monotonic_ms() + START_MS, ret_error);
}

void world_free(struct world *world)
{
    stack_free(world->stack);
    proxy_free(world->proxy);
    for (size_t i = 0; i < world->database_count; i++) {
        pgcluster_free(world->clusters[i]);
    }
    if (world->clock != NULL) {
        (void)munmap(world->clock, sizeof *world->clock);
    }
    if (world->disk_folder[0] != '\0') {
        (void)umount2(world->disk_folder, MNT_DETACH);
        (void)rmdir(world->disk_folder);
    }
    memset(world, 0, sizeof *world);
}

size_t world_process_count(const struct world *world)
{
    return WORLD_AGENT + world->database_count;
}

struct stack_daemon *world_daemon(const struct world *world, size_t process)
{
    return process == WORLD_COORDINATOR ? stack_coordinator(world->stack)
                                        : stack_agent(world->stack, process - WORLD_AGENT);
}

const char *world_process_name(const struct world *world, size_t process,
                               char ret_name[STREAM_PEER_SIZE])
{
    if (process == WORLD_COORDINATOR) {
        return "assentd";
    }
    (void)snprintf(ret_name, STREAM_PEER_SIZE, "agent:%s", world->names[process - WORLD_AGENT]);
    return ret_name;
}

bool world_start(struct world *world, size_t process, struct error *ret_error)
{
    struct stack_daemon *daemon = world_daemon(world, process);
    if (!stack_daemon_runs(daemon) && !stack_daemon_start(daemon, NULL, ret_error)) {
        return false;
    }
    atomic_store(&world->pids[process], stack_daemon_pid(daemon));
    return true;
}

void world_kill(struct world *world, size_t process)
{
    atomic_store(&world->pids[process], 0);
    stack_daemon_kill(world_daemon(world, process));
}

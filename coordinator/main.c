/* main.c - assentd: command line, signals, edges; everything else is behind coordinator.h. */
#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/cli.h"
#include "coordinator/client_edge.h"
#include "coordinator/coordinator.h"
#include "coordinator/http.h"

#define CLIENT_EDGE_STOP_MS 500

struct daemon {
    struct cli_daemon cli;
    struct config config;
    struct coordinator *coordinator;
    struct http *http;
    struct client_edge *client_edge;
    sigset_t signals;
    atomic_bool is_leaving;
};

static const struct argp_child children[] = {{&cli_daemon_argp, 0, NULL, 0}, {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = state->input;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse_option,
    .doc = "The coordinator of Assent: commits one transaction across several PostgreSQL "
           "databases, or none of it.\v"
           "SIGTERM drains (a second one leaves at once; both are safe), SIGHUP reads the "
           "participants again.\nSee assentd(8) and assentd.conf(5).",
    .children = children,
};

static void apply_log(const struct daemon *daemon, const struct config *config)
{
    log_configure("assentd", daemon->cli.has_log_level ? daemon->cli.log_level : config->log_level,
                  daemon->cli.has_log_format ? daemon->cli.log_format : config->log_format);
}

static void reload(struct daemon *daemon)
{
    struct config *config = alloc_zeroed(sizeof(*config));
    struct error error;
    if (!config_load(daemon->cli.config_path, config, &error)) {
        log_event(LOG_ERROR, "configuration not read again", LOG_S("error", error.text),
                  LOG_S("hint", error.hint[0] == '\0' ? NULL : error.hint));
        free(config);
        return;
    }
    apply_log(daemon, config);
    const char *key = config_restart_key(&daemon->config, config);
    if (key != NULL) {
        log_event(LOG_WARN, "a changed setting needs a restart", LOG_S("key", key));
    }
    coordinator_reconfigure(daemon->coordinator, config);
}

static void *signal_thread(void *argument)
{
    struct daemon *daemon = argument;
    for (;;) {
        int signal_number = 0;
        CHECK(sigwait(&daemon->signals, &signal_number) == 0);
        if (atomic_load(&daemon->is_leaving)) {
            return NULL;
        }
        if (signal_number == SIGHUP) {
            reload(daemon);
        } else if (signal_number != SIGUSR1) {
            log_event(LOG_INFO, "signal", LOG_S("name", sigabbrev_np(signal_number)));
            coordinator_terminate(daemon->coordinator);
        }
    }
}

/* A late signal must not meet what is being freed. The thread is asked, not cancelled: it might hold
 * the log's lock. */
static void signal_thread_end(struct daemon *daemon, pthread_t thread)
{
    atomic_store(&daemon->is_leaving, true);
    CHECK(pthread_kill(thread, SIGUSR1) == 0); /* whichever it takes first wakes it */
    CHECK(pthread_join(thread, NULL) == 0);
}

static void on_running(void *user)
{
    (void)user;
    sd_notify(0, "READY=1");
}

static void on_draining(void *user)
{
    struct daemon *daemon = user;
    sd_notify(0, "STOPPING=1");
    http_drain(daemon->http);
    client_edge_drain(daemon->client_edge);
}

static bool wants_changes(void *user)
{
    const struct daemon *daemon = user;
    return http_wants_changes(daemon->http) || client_edge_wants_changes(daemon->client_edge);
}

static void on_change(void *user, struct txn_view *view)
{
    struct daemon *daemon = user;
    client_edge_publish(daemon->client_edge, view);
    http_publish(daemon->http, view); /* takes it */
}

static bool start_edges(struct daemon *daemon, struct error *ret_error)
{
    const struct config *config = &daemon->config;
    struct api_sink sink = coordinator_sink(daemon->coordinator);
    struct http_options http = {
        .listen = config->http,
        .limits = {.body_bytes = config->body_bytes,
                   .branches = config->branches,
                   .statements = config->statements,
                   .timeout_default_ms = config->timeout_default_ms,
                   .timeout_max_ms = config->timeout_max_ms,
                   .connections = config->connections,
                   .waits = config->waits,
                   .streams = config->streams,
                   .stream_events = config->stream_events,
                   .stream_bytes = config->stream_bytes,
                   .stream_keepalive_ms = config->stream_keepalive_ms},
        .version = ASSENT_VERSION,
        .sink = sink,
    };
    struct client_edge_options client = {
        .listen = config->client,
        .sink = sink,
        .body_bytes = config->body_bytes,
        .branches = config->branches,
        .statements = config->statements,
        .timeout_default_ms = config->timeout_default_ms,
        .timeout_max_ms = config->timeout_max_ms,
    };
    if (!http_start(&http, &daemon->http, ret_error)) {
        return error_wrap(ret_error, "http");
    }
    if (!client_edge_start(&client, &daemon->client_edge, ret_error)) {
        return error_wrap(ret_error, "client");
    }
    return true;
}

static bool start(struct daemon *daemon, struct error *ret_error)
{
    if (!cli_arm_faults(&daemon->cli, ret_error) ||
        !config_load(daemon->cli.config_path, &daemon->config, ret_error)) {
        return false;
    }
    apply_log(daemon, &daemon->config);
    log_event(LOG_INFO, "assentd", LOG_S("version", ASSENT_VERSION), LOG_I("pid", getpid()));
    config_log(&daemon->config);
    if (daemon->cli.check_config) {
        return true;
    }
    /* Before any thread exists, so that all of them inherit it. */
    sigemptyset(&daemon->signals);
    sigaddset(&daemon->signals, SIGTERM);
    sigaddset(&daemon->signals, SIGINT);
    sigaddset(&daemon->signals, SIGHUP);
    sigaddset(&daemon->signals, SIGUSR1); /* ends the signal thread */
    pthread_sigmask(SIG_BLOCK, &daemon->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return coordinator_new(&daemon->config, &daemon->coordinator, ret_error) &&
           start_edges(daemon, ret_error);
}

int main(int argument_count, char **arguments)
{
    static struct daemon daemon = {
        .cli = {.config_path = "/etc/assent/assentd.conf", .log_level = LOG_INFO}};
    cli_init("assentd");
    argp_parse(&argp, argument_count, arguments, 0, NULL, &daemon.cli);
    struct error error = {0};
    if (!start(&daemon, &error)) {
        cli_print_error("assentd", &error);
        _exit(cli_exit_code(error.kind)); /* threads of the link may run: no destructors */
    }
    if (daemon.cli.check_config) {
        config_done(&daemon.config);
        return CLI_EXIT_DONE;
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, signal_thread, &daemon) == 0);
    struct coordinator_hooks hooks = {.user = &daemon,
                                      .on_running = on_running,
                                      .on_draining = on_draining,
                                      .wants_changes = wants_changes,
                                      .on_change = on_change};
    int code = coordinator_run(daemon.coordinator, &hooks);
    if (code == 0) {
        client_edge_stop(daemon.client_edge, CLIENT_EDGE_STOP_MS);
        http_stop(daemon.http);
        signal_thread_end(&daemon, thread);
        coordinator_free(daemon.coordinator); /* writes the last END records */
    }
    _exit(code); /* nng's sockets stay open until here: closing busy ones can hang */
}

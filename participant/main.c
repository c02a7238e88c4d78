/*
 * main.c - assent-agent: command line, signals, start and end of the process.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/cli.h"
#include "participant/agent.h"
#include "participant/setup.h"

#define PROGRAM "assent-agent"

static const char doc[] =
    "The participant agent of Assent: executes, prepares and finishes the branches of global "
    "transactions in the PostgreSQL database beside it.\v"
    "`assent-agent setup --help` tells how to make a database ready. "
    "SIGTERM finishes what is there and leaves, a second one leaves at once; SIGHUP reads "
    "log_level and the policy again; "
    "SIGUSR1 logs counters. See assent-agent(8).";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    if (key == ARGP_KEY_END && ((struct cli_daemon *)state->input)->config_path == NULL) {
        argp_error(state, "--config FILE is needed");
    }
    return key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

struct program {
    struct cli_daemon cli;
    struct agent_settings settings;
    struct policy *policy; /* held until the server has it */
    struct agent_server *server;
    sigset_t signals;
};

static void program_configure_log(const struct program *program)
{
    const struct cli_daemon *cli = &program->cli;
    log_configure(PROGRAM, cli->has_log_level ? cli->log_level : program->settings.log_level,
                  cli->has_log_format ? cli->log_format : program->settings.log_format);
}

static void log_error(const char *event, const struct error *error)
{
    log_event(LOG_ERROR, event, LOG_S("error", error->text),
              LOG_S("hint", error->hint[0] != '\0' ? error->hint : NULL));
}

/* Settings, and the policy that they and the file of operations make. */
static bool program_read(const char *path, struct agent_settings *ret_settings,
                         struct policy **ret_policy, struct error *ret_error)
{
    return agent_settings_load(path, ret_settings, ret_error) &&
           agent_settings_policy(ret_settings, ret_policy, ret_error);
}

static void log_policy(const char *event, const struct policy *policy)
{
    log_event(LOG_INFO, event, LOG_U("operations", policy->operation_count),
              LOG_S("operations_only", policy->operations_only ? "yes" : "no"),
              LOG_S("role", policy->role), LOG_S("refuse_ddl", policy->refuse_ddl ? "yes" : "no"),
              LOG_I("max_rows", policy->max_rows), LOG_U("max_time_ms", policy->max_time_ms));
}

/* SIGHUP, in the owner thread: a file with a mistake changes nothing. */
static void program_reload(void *user)
{
    struct program *program = user;
    struct agent_settings settings;
    struct policy *policy = NULL;
    struct error error = {0};
    if (!program_read(program->cli.config_path, &settings, &policy, &error)) {
        log_error("configuration not read again", &error);
        return;
    }
    const char *key = agent_settings_restart_key(&program->settings, &settings);
    program->settings.log_level = settings.log_level;
    program_configure_log(program);
    agent_server_set_policy(program->server, policy);
    log_policy("policy read again", policy);
    policy_release(policy);
    if (key != NULL) {
        log_event(LOG_WARN, "a changed setting needs a restart", LOG_S("key", key));
    } else {
        log_event(LOG_INFO, "configuration read again", LOG_S("config", program->cli.config_path));
    }
}

static void *program_wait_signals(void *user)
{
    struct program *program = user;
    bool is_draining = false;
    for (;;) {
        int number = 0;
        if (sigwait(&program->signals, &number) != 0) {
            continue;
        }
        if (number == SIGHUP) {
            agent_server_reload(program->server);
        } else if (number == SIGUSR1) {
            agent_server_report(program->server);
        } else if (is_draining) {
            /* Leaving at once is as safe as a crash, which is what recovery is for. */
            log_event(LOG_WARN, "leaving at once", LOG_I("signal", number));
            _exit(EX_OK);
        } else {
            is_draining = true;
            sd_notify(0, "STOPPING=1");
            agent_server_drain(program->server);
        }
    }
    return NULL;
}

static bool program_start(struct program *program, const struct link_secret *secret,
                          struct error *ret_error)
{
    if (!cli_arm_faults(&program->cli, ret_error) ||
        !agent_server_start(&program->settings, program->policy, secret, &program->server,
                            ret_error)) {
        return false;
    }
    policy_release(program->policy);
    program->policy = NULL;
    pthread_t thread;
    int errnum = pthread_create(&thread, NULL, program_wait_signals, program);
    if (errnum != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errnum, "cannot start a thread");
    }
    pthread_detach(thread);
    char address[ADDRESS_SIZE];
    agent_server_address(program->server, address);
    log_event(LOG_INFO, "ready", LOG_S("participant", program->settings.core.participant),
              LOG_S("address", address), LOG_S("version", ASSENT_VERSION));
    sd_notifyf(0, "READY=1\nSTATUS=Participant %s at %s", program->settings.core.participant,
               address);
    return true;
}

int main(int argc, char **argv)
{
    static struct program program;
    const struct argp_child children[] = {{&cli_daemon_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse_option, "", doc, children, NULL, NULL};
    struct error error = {0};
    cli_init(PROGRAM);
    if (argc > 1 && strcmp(argv[1], "setup") == 0) {
        return agent_setup_main(argc - 1, argv + 1);
    }
    argp_parse(&argp, argc, argv, 0, NULL, &program.cli);

    /* Before any thread: all of them inherit the mask, and one waits for these. */
    sigemptyset(&program.signals);
    sigaddset(&program.signals, SIGTERM);
    sigaddset(&program.signals, SIGINT);
    sigaddset(&program.signals, SIGHUP);
    sigaddset(&program.signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &program.signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (!program_read(program.cli.config_path, &program.settings, &program.policy, &error)) {
        cli_print_error(PROGRAM, &error);
        return cli_exit_code(error.kind);
    }
    program_configure_log(&program);
    agent_settings_log(&program.settings);
    log_policy("policy read", program.policy);
    struct link_secret secret;
    if (!link_secret_read(program.settings.secret_file, &secret, &error)) {
        error_wrap(&error, "%s: [agent] secret_file", program.cli.config_path);
        cli_print_error(PROGRAM, &error);
        return cli_exit_code(error.kind);
    }
    if (program.cli.check_config) {
        return EX_OK;
    }
    if (!program_start(&program, &secret, &error)) {
        log_error("cannot start", &error);
        return cli_exit_code(error.kind);
    }
    explicit_bzero(&secret, sizeof(secret));
    bool is_finished = agent_server_run(program.server, program_reload, &program);
    log_event(is_finished ? LOG_INFO : LOG_WARN, is_finished ? "drained" : "drain timed out",
              LOG_S("participant", program.settings.core.participant));
    agent_server_stop(program.server);
    _exit(EX_OK); /* not exit: nng's threads may still be about (link.h) */
}

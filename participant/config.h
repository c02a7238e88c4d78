/*
 * config.h - the agent's configuration file: keys, defaults, ranges. docs/man/assent-agent.8
 * documents every key.
 *
 *     [agent]                                  [database]
 *     participant = order                      conninfo = host=/run/postgresql dbname=orders
 *     listen = 127.0.0.1:7411                      user=assent_order
 *     secret_file = /etc/assent/secrets/order  token_file = /etc/assent/secrets/order.token
 *
 *     [policy]                                 and the file that operations_file names (operations.h)
 *     operations_file = /etc/assent/agents/order.operations
 *
 * Called by main.c at start and on SIGHUP. Knows nothing of the driver.
 */
#ifndef ASSENT_PARTICIPANT_CONFIG_H
#define ASSENT_PARTICIPANT_CONFIG_H

#include "common/error.h"
#include "common/log.h"
#include "participant/branch.h"
#include "participant/policy.h"

#define AGENT_CONNINFO_SIZE 2048
#define AGENT_PATH_SIZE     1024

struct agent_settings {
    /* [agent] */
    struct agent_config core; /* participant, and the paces of [protocol] */
    char listen[ADDRESS_SIZE];
    char secret_file[AGENT_PATH_SIZE];
    enum log_level log_level;
    enum log_format log_format;
    uint32_t drain_timeout_ms;
    uint32_t silence_ms;
    /* [database] */
    char conninfo[AGENT_CONNINFO_SIZE];
    char token_file[AGENT_PATH_SIZE];
    uint32_t worker_count;
    uint32_t finisher_count; /* and core.interactive_max: connections for interactive branches */
    uint32_t external_count; /* for branches that applications prepare */
    uint32_t queue_limit;
    uint32_t max_result_bytes;
    enum proof_kind proof;
    /* [policy] */
    char operations_file[AGENT_PATH_SIZE]; /* "": none */
    char role[POLICY_NAME_SIZE];           /* "": the login role */
    bool operations_only;
    bool refuse_ddl;
    uint32_t max_rows;    /* 0: no cap */
    uint32_t max_time_ms; /* 0: no cap */
};

bool agent_settings_load(const char *path, struct agent_settings *ret_settings,
                         struct error *ret_error);

/* The policy of these settings, with its operations read from their file. Held by the caller. */
bool agent_settings_policy(const struct agent_settings *settings, struct policy **ret_policy,
                           struct error *ret_error);

/* One log line per section with every setting. No secrets: conninfo has none, files are named only.
 */
void agent_settings_log(const struct agent_settings *settings);

/* The key that differs and that only a restart can change; NULL: none. log_level and [policy] can change.
 */
const char *agent_settings_restart_key(const struct agent_settings *old,
                                       const struct agent_settings *new);

#endif

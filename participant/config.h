/*
 * config.h - the agent's configuration file: keys, defaults, ranges. docs/man/assent-agent.8
 * documents every key.
 *
 *     [agent]                                  [database]
 *     participant = order                      conninfo = host=/run/postgresql dbname=orders
 *     listen = 127.0.0.1:7411                      user=assent_order
 *     secret_file = /etc/assent/secrets/order  token_file = /etc/assent/secrets/order.token
 *
 * Called by main.c at start and on SIGHUP. Knows nothing of the driver.
 */
#ifndef ASSENT_PARTICIPANT_CONFIG_H
#define ASSENT_PARTICIPANT_CONFIG_H

#include "common/error.h"
#include "common/log.h"
#include "participant/branch.h"

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
    uint32_t queue_limit;
    uint32_t max_result_bytes;
    enum proof_kind proof;
};

bool agent_settings_load(const char *path, struct agent_settings *ret_settings,
                         struct error *ret_error);

/* One log line per section with every setting. No secrets: conninfo has none, files are named only.
 */
void agent_settings_log(const struct agent_settings *settings);

/* The key that differs and that only a restart can change; NULL: none. log_level alone can change.
 */
const char *agent_settings_restart_key(const struct agent_settings *old,
                                       const struct agent_settings *new);

#endif

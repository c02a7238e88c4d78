/* config.c - see config.h. */
#include "participant/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/config_file.h"
#include "participant/operations.h"
#include "participant/pg.h"
#include "participant/pg_conninfo.h"

#define SECTION_AGENT    "agent"
#define SECTION_DATABASE "database"
#define SECTION_PROTOCOL "protocol"
#define SECTION_POLICY   "policy"

static bool copy_text(const struct config_file *file, const char *section, const char *key,
                      const char *text, char *to, size_t size_bytes, struct error *ret_error)
{
    size_t length = strlen(text);
    if (length >= size_bytes) {
        return config_file_fail(file, section, key, ret_error,
                                "the value is too long (%zu bytes is the limit)", size_bytes - 1);
    }
    memcpy(to, text, length + 1);
    return true;
}

static bool read_text(struct config_file *file, const char *section, const char *key, char *to,
                      size_t size_bytes, struct error *ret_error)
{
    const char *text = NULL;
    return config_file_get_text(file, section, key, NULL, &text, ret_error) &&
           copy_text(file, section, key, text, to, size_bytes, ret_error);
}

static bool read_duration(struct config_file *file, const char *section, const char *key,
                          int64_t fallback_ms, int64_t min_ms, int64_t max_ms, uint32_t *ret_ms,
                          struct error *ret_error)
{
    int64_t value = 0;
    if (!config_file_get_duration_ms(file, section, key, fallback_ms, min_ms, max_ms, &value,
                                     ret_error)) {
        return false;
    }
    *ret_ms = (uint32_t)value;
    return true;
}

static bool read_count(struct config_file *file, const char *section, const char *key,
                       int64_t fallback, int64_t min, int64_t max, uint32_t *ret_count,
                       struct error *ret_error)
{
    int64_t value = 0;
    if (!config_file_get_int(file, section, key, fallback, min, max, &value, ret_error)) {
        return false;
    }
    *ret_count = (uint32_t)value;
    return true;
}

static bool read_agent(struct config_file *file, struct agent_settings *settings,
                       struct error *ret_error)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const formats[] = {"text", "json", NULL};
    const char *section = SECTION_AGENT;
    int level = 0, format = 0;
    if (!read_text(file, section, "participant", settings->core.participant,
                   sizeof(settings->core.participant), ret_error) ||
        !read_text(file, section, "listen", settings->listen, sizeof(settings->listen),
                   ret_error) ||
        !read_text(file, section, "secret_file", settings->secret_file,
                   sizeof(settings->secret_file), ret_error) ||
        !config_file_get_choice(file, section, "log_level", levels, LOG_INFO, &level, ret_error) ||
        !config_file_get_choice(file, section, "log_format", formats, LOG_FORMAT_TEXT, &format,
                                ret_error) ||
        !read_duration(file, section, "drain_timeout", 30000, 0, 3600000,
                       &settings->drain_timeout_ms, ret_error) ||
        !read_duration(file, section, "silence", 10000, 1000, 600000, &settings->silence_ms,
                       ret_error)) {
        return false;
    }
    settings->log_level = (enum log_level)level;
    settings->log_format = (enum log_format)format;
    if (!participant_name_valid(settings->core.participant)) {
        config_file_fail(file, section, "participant", ret_error, "\"%s\" is not a name",
                         settings->core.participant);
        return error_hint(ret_error, "1 to 63 of a-z 0-9 _ -, beginning with a letter");
    }
    /* The link proves who speaks, but does not hide what is said. */
    uint16_t port = 0;
    if (address_judge(settings->listen, &port) != ADDRESS_LOOPBACK) {
        config_file_fail(file, section, "listen", ret_error,
                         "\"%s\" is not a loopback address with a port", settings->listen);
        return error_hint(ret_error,
                          "write 127.0.0.1:PORT; between hosts use a tunnel that encrypts");
    }
    return true;
}

static bool check_connections(const struct config_file *file, const struct agent_settings *settings,
                              struct error *ret_error)
{
    const uint32_t count = settings->worker_count + settings->finisher_count +
                           settings->core.interactive_max + settings->external_count;
    if (count <= PG_CONNECTIONS_MAX) {
        return true;
    }
    config_file_fail(file, SECTION_DATABASE, "workers", ret_error,
                     "workers, finishers, interactive and external are %u connections together",
                     count);
    return error_hint(ret_error, "%d is the limit; defaults: 16, 4, 16, 2", PG_CONNECTIONS_MAX);
}

static bool read_database(struct config_file *file, struct agent_settings *settings,
                          struct error *ret_error)
{
    static const char *const proofs[] = {"row", "xid", NULL};
    const char *section = SECTION_DATABASE;
    int64_t max_result_bytes = 0;
    int proof = 0;
    const char *token_file = NULL;
    if (!read_text(file, section, "conninfo", settings->conninfo, sizeof(settings->conninfo),
                   ret_error) ||
        !config_file_get_optional(file, section, "token_file", &token_file, ret_error) ||
        !read_count(file, section, "workers", 16, 1, 1024, &settings->worker_count, ret_error) ||
        !read_count(file, section, "finishers", 4, 1, 64, &settings->finisher_count, ret_error) ||
        !read_count(file, section, "interactive", 16, 0, 256, &settings->core.interactive_max,
                    ret_error) ||
        !read_count(file, section, "external", 2, 1, 64, &settings->external_count, ret_error) ||
        !check_connections(file, settings, ret_error) ||
        !read_count(file, section, "queue", 256, 1, 100000, &settings->queue_limit, ret_error) ||
        !config_file_get_size_bytes(file, section, "max_result_bytes", 256 * 1024, 1024,
                                    8 * 1024 * 1024, &max_result_bytes, ret_error) ||
        !config_file_get_choice(file, section, "proof", proofs, 0, &proof, ret_error)) {
        return false;
    }
    settings->max_result_bytes = (uint32_t)max_result_bytes;
    settings->proof = proof == 0 ? PROOF_ROW : PROOF_XID;
    if (token_file != NULL &&
        !copy_text(file, section, "token_file", token_file, settings->token_file,
                   sizeof(settings->token_file), ret_error)) {
        return false;
    }
    /* A password here would stand in the log, in backups and in every copy of this file. */
    return pg_conninfo_check(settings->conninfo, ret_error) ||
           config_file_wrap(file, section, "conninfo", ret_error);
}

static bool read_protocol(struct config_file *file, struct agent_config *core,
                          struct error *ret_error)
{
    const char *section = SECTION_PROTOCOL;
    if (!read_duration(file, section, "sweep_interval", 2000, 100, 60000, &core->sweep_interval_ms,
                       ret_error) ||
        !read_duration(file, section, "inquiry_grace", 1000, 10, 60000, &core->inquiry_grace_ms,
                       ret_error) ||
        !read_duration(file, section, "retry_min", 50, 1, 10000, &core->retry_min_ms, ret_error) ||
        !read_duration(file, section, "retry_max", 2000, 10, 60000, &core->retry_max_ms,
                       ret_error) ||
        !read_duration(file, section, "heartbeat", 1000, 100, 60000, &core->heartbeat_ms,
                       ret_error) ||
        !read_count(file, section, "tombstones", 100000, 0, 10000000, &core->tombstone_max,
                    ret_error)) {
        return false;
    }
    core->outcomes_page = 200; /* nobody needs to configure it */
    if (core->retry_max_ms < core->retry_min_ms) {
        config_file_fail(file, section, "retry_max", ret_error, "it is below retry_min");
        return error_hint(ret_error, "retry_min doubles until retry_max; defaults: 50ms, 2s");
    }
    return true;
}

static bool read_policy(struct config_file *file, struct agent_settings *settings,
                        struct error *ret_error)
{
    const char *section = SECTION_POLICY;
    const char *operations_file = NULL;
    const char *role = NULL;
    if (!config_file_get_optional(file, section, "operations_file", &operations_file, ret_error) ||
        (operations_file != NULL &&
         !copy_text(file, section, "operations_file", operations_file, settings->operations_file,
                    sizeof(settings->operations_file), ret_error)) ||
        !config_file_get_bool(file, section, "operations_only", false, &settings->operations_only,
                              ret_error) ||
        !config_file_get_bool(file, section, "refuse_ddl", false, &settings->refuse_ddl,
                              ret_error) ||
        !config_file_get_optional(file, section, "role", &role, ret_error) ||
        (role != NULL && !copy_text(file, section, "role", role, settings->role,
                                    sizeof(settings->role), ret_error)) ||
        !read_count(file, section, "max_rows", 0, 1, INT32_MAX, &settings->max_rows, ret_error) ||
        !read_duration(file, section, "max_time", 0, 1, 86400000, &settings->max_time_ms,
                       ret_error)) {
        return false;
    }
    if (settings->operations_only && settings->operations_file[0] == '\0') {
        config_file_fail(file, section, "operations_only", ret_error,
                         "without operations_file nothing could be run");
        return error_hint(ret_error, "name the file of operations, or remove operations_only");
    }
    if (role != NULL && strcmp(role, "none") == 0) { /* as PostgreSQL reads it: no role at all */
        config_file_fail(file, section, "role", ret_error, "\"none\" is not a role's name");
        return error_hint(ret_error, "remove the line: statements then run in the login role");
    }
    return true;
}

bool agent_settings_policy(const struct agent_settings *settings, struct policy **ret_policy,
                           struct error *ret_error)
{
    struct policy *policy = policy_new();
    policy->operations_only = settings->operations_only;
    policy->refuse_ddl = settings->refuse_ddl;
    policy->max_rows = settings->max_rows;
    policy->max_time_ms = settings->max_time_ms;
    memcpy(policy->role, settings->role, sizeof(policy->role));
    if (settings->operations_file[0] != '\0' &&
        !operations_load(settings->operations_file, policy, ret_error)) {
        policy_release(policy);
        return false;
    }
    *ret_policy = policy;
    return true;
}

bool agent_settings_load(const char *path, struct agent_settings *ret_settings,
                         struct error *ret_error)
{
    struct config_file *file = NULL;
    if (!config_file_load(path, &file, ret_error)) {
        return false;
    }
    struct agent_settings settings = {0};
    bool ok = read_agent(file, &settings, ret_error) && read_database(file, &settings, ret_error) &&
              read_protocol(file, &settings.core, ret_error) &&
              read_policy(file, &settings, ret_error) && config_file_finish(file, ret_error);
    config_file_free(file);
    if (ok) {
        *ret_settings = settings;
    }
    return ok;
}

void agent_settings_log(const struct agent_settings *settings)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    log_event(LOG_INFO, "settings of [agent]", LOG_S("participant", settings->core.participant),
              LOG_S("listen", settings->listen), LOG_S("secret_file", settings->secret_file),
              LOG_S("log_level", levels[settings->log_level]),
              LOG_S("log_format", settings->log_format == LOG_FORMAT_JSON ? "json" : "text"),
              LOG_U("drain_timeout_ms", settings->drain_timeout_ms),
              LOG_U("silence_ms", settings->silence_ms));
    log_event(LOG_INFO, "settings of [database]", LOG_S("conninfo", settings->conninfo),
              LOG_S("token_file", settings->token_file), LOG_U("workers", settings->worker_count),
              LOG_U("finishers", settings->finisher_count),
              LOG_U("interactive", settings->core.interactive_max),
              LOG_U("external", settings->external_count), LOG_U("queue", settings->queue_limit),
              LOG_U("max_result_bytes", settings->max_result_bytes),
              LOG_S("proof", settings->proof == PROOF_ROW ? "row" : "xid"));
    log_event(LOG_INFO, "settings of [protocol]",
              LOG_U("sweep_interval_ms", settings->core.sweep_interval_ms),
              LOG_U("inquiry_grace_ms", settings->core.inquiry_grace_ms),
              LOG_U("retry_min_ms", settings->core.retry_min_ms),
              LOG_U("retry_max_ms", settings->core.retry_max_ms),
              LOG_U("heartbeat_ms", settings->core.heartbeat_ms),
              LOG_U("tombstones", settings->core.tombstone_max));
    log_event(LOG_INFO, "settings of [policy]", LOG_S("operations_file", settings->operations_file),
              LOG_S("operations_only", settings->operations_only ? "yes" : "no"),
              LOG_S("role", settings->role),
              LOG_S("refuse_ddl", settings->refuse_ddl ? "yes" : "no"),
              LOG_U("max_rows", settings->max_rows), LOG_U("max_time_ms", settings->max_time_ms));
}

const char *agent_settings_restart_key(const struct agent_settings *old,
                                       const struct agent_settings *new)
{
    const struct {
        const char *key;
        bool differs;
    } keys[] = {
        {"participant", strcmp(old->core.participant, new->core.participant) != 0},
        {"listen", strcmp(old->listen, new->listen) != 0},
        {"secret_file", strcmp(old->secret_file, new->secret_file) != 0},
        {"log_format", old->log_format != new->log_format},
        {"drain_timeout", old->drain_timeout_ms != new->drain_timeout_ms},
        {"silence", old->silence_ms != new->silence_ms},
        {"conninfo", strcmp(old->conninfo, new->conninfo) != 0},
        {"token_file", strcmp(old->token_file, new->token_file) != 0},
        {"workers", old->worker_count != new->worker_count},
        {"finishers", old->finisher_count != new->finisher_count},
        {"interactive", old->core.interactive_max != new->core.interactive_max},
        {"external", old->external_count != new->external_count},
        {"queue", old->queue_limit != new->queue_limit},
        {"max_result_bytes", old->max_result_bytes != new->max_result_bytes},
        {"proof", old->proof != new->proof},
        {"sweep_interval", old->core.sweep_interval_ms != new->core.sweep_interval_ms},
        {"inquiry_grace", old->core.inquiry_grace_ms != new->core.inquiry_grace_ms},
        {"retry_min", old->core.retry_min_ms != new->core.retry_min_ms},
        {"retry_max", old->core.retry_max_ms != new->core.retry_max_ms},
        {"heartbeat", old->core.heartbeat_ms != new->core.heartbeat_ms},
        {"tombstones", old->core.tombstone_max != new->core.tombstone_max},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].differs) {
            return keys[i].key;
        }
    }
    return NULL;
}

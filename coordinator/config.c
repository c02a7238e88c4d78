/* config.c - see config.h. */
#include "coordinator/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/alloc.h"
#include "common/config_file.h"

#define SECTION            "assentd"
#define PARTICIPANT_PREFIX "participant "

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

/* Loopback only for now: there is no TLS yet, so nothing may be offered to a network. */
static bool address_check(struct config_file *file, const char *section, const char *key,
                          const char *address, struct error *ret_error)
{
    uint16_t port = 0;
    switch (address_judge(address, &port)) {
    case ADDRESS_LOOPBACK:
        return true;
    case ADDRESS_FOREIGN:
        config_file_fail(file, section, key, ret_error, "%s is not a loopback address", address);
        return error_hint(ret_error, "there is no TLS yet: use 127.0.0.1:%u", (unsigned)port);
    case ADDRESS_MALFORMED:
        break;
    }
    config_file_fail(file, section, key, ret_error, "%s is not HOST:PORT", address);
    return error_hint(ret_error, "write for example 127.0.0.1:7400");
}

static bool read_address(struct config_file *file, const char *key, const char *fallback,
                         char **ret_text, struct error *ret_error)
{
    const char *text = NULL;
    if (!config_file_get_text(file, SECTION, key, fallback, &text, ret_error) ||
        !address_check(file, SECTION, key, text, ret_error)) {
        return false;
    }
    *ret_text = alloc_string(text);
    return true;
}

/* Where agents dial when something lies between that forwards their connections. */
static bool read_advertise(struct config_file *file, char **ret_text, struct error *ret_error)
{
    return !config_file_has(file, SECTION, "advertise") ||
           read_address(file, "advertise", NULL, ret_text, ret_error);
}

struct number_key {
    const char *key;
    int64_t fallback, min, max;
    uint32_t *value;
};

static bool read_numbers(struct config_file *file, struct config *config, struct error *ret_error)
{
    uint32_t retention_hours = 0;
    const struct number_key keys[] = {
        {"max_active", 64, 1, 100000, &config->core.max_active},
        {"max_queued", 10000, 1, 1000000, &config->core.max_queued},
        {"recent_max", 10000, 1, 10000000, &config->core.recent_max},
        {"max_branches", 64, 1, 10000, &config->branches},
        {"max_statements", 1000, 1, 1000000, &config->statements},
        {"max_connections", 10000, 1, 1000000, &config->connections},
        {"max_waits", 4096, 1, 1000000, &config->waits},
        {"max_streams", 256, 1, 100000, &config->streams},
        {"stream_events", 10000, 1, 10000000, &config->stream_events},
        {"interactive_max", 256, 1, 100000, &config->core.interactive_max},
        {"queue_active", 16, 1, 100000, &config->core.queue_active},
        /* Two live records each at most: trimming gets past 100,000 in a row (TRIM_LOOK_AHEAD_ROWS). */
        {"queue_max", 10000, 1, 40000, &config->core.queue_max},
        {"queue_max_each", 1000, 1, 1000000, &config->core.queue_max_each},
        {"queue_attempts", 0, 0, 1000000, &config->core.queue_attempts},
        {"retention_hours", 168, 1, 876000, &retention_hours},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        int64_t value = 0;
        if (!config_file_get_int(file, SECTION, keys[i].key, keys[i].fallback, keys[i].min,
                                 keys[i].max, &value, ret_error)) {
            return false;
        }
        *keys[i].value = (uint32_t)value;
    }
    config->core.retention_ms = (uint64_t)retention_hours * 3600 * 1000;
    const struct number_key durations[] = {
        {"timeout_default", 5000, 1, 1800000, &config->timeout_default_ms},
        {"timeout_max", 60000, 1, 1800000, &config->timeout_max_ms},
        {"interactive_idle", 60000, 10, 1800000, &config->core.interactive_idle_ms},
        {"stream_keepalive", 15000, 10, 3600000, &config->stream_keepalive_ms},
        {"queue_retry_min", 500, 1, 3600000, &config->core.queue_retry_min_ms},
        {"queue_retry_max", 60000, 1, 86400000, &config->core.queue_retry_max_ms},
        {"heartbeat", 1000, 10, 60000, &config->core.heartbeat_ms},
        {"retry_min", 100, 1, 60000, &config->core.retry_min_ms},
        {"retry_max", 2000, 1, 60000, &config->core.retry_max_ms},
        {"drain_timeout", 10000, 1, 3600000, &config->core.drain_ms},
        {"trim_interval", 10000, 10, 86400000, &config->core.trim_interval_ms},
    };
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int64_t value = 0;
        if (!config_file_get_duration_ms(file, SECTION, durations[i].key, durations[i].fallback,
                                         durations[i].min, durations[i].max, &value, ret_error)) {
            return false;
        }
        *durations[i].value = (uint32_t)value;
    }
    int64_t body_bytes = 0;
    int64_t reserve_bytes = 0;
    int64_t result_bytes = 0;
    int64_t stream_bytes = 0;
    int64_t queue_bytes = 0;
    if (!config_file_get_size_bytes(file, SECTION, "max_body", 1 << 20, 1024, 1 << 30, &body_bytes,
                                    ret_error) ||
        !config_file_get_size_bytes(file, SECTION, "journal_reserve", 16 << 20, 1 << 20,
                                    INT64_C(1) << 40, &reserve_bytes, ret_error) ||
        !config_file_get_size_bytes(file, SECTION, "interactive_result_bytes", 1 << 20, 1024,
                                    1 << 30, &result_bytes, ret_error) ||
        !config_file_get_size_bytes(file, SECTION, "stream_bytes", 64 << 20, 1 << 20,
                                    INT64_C(1) << 40, &stream_bytes, ret_error) ||
        !config_file_get_size_bytes(file, SECTION, "queue_max_bytes", INT64_C(256) << 20, 1 << 20,
                                    INT64_C(1) << 40, &queue_bytes, ret_error)) {
        return false;
    }
    config->body_bytes = (uint32_t)body_bytes;
    config->core.queue_max_bytes = (uint64_t)queue_bytes;
    config->core.interactive_result_bytes = (uint32_t)result_bytes;
    config->core.max_statements = config->statements;
    config->core.max_branches = config->branches;
    config->stream_bytes = (uint64_t)stream_bytes;
    config->journal_reserve_bytes = (uint64_t)reserve_bytes;
    return true;
}

/* What each setting allows by itself and both together do not. */
static bool check_pairs(const struct config_file *file, const struct config *config,
                        struct error *ret_error)
{
    if (config->timeout_default_ms > config->timeout_max_ms) {
        config_file_fail(file, SECTION, "timeout_default", ret_error, "it is above timeout_max");
        return error_hint(ret_error, "defaults: timeout_default 5s, timeout_max 60s");
    }
    if (config->core.retry_max_ms < config->core.retry_min_ms) {
        config_file_fail(file, SECTION, "retry_max", ret_error, "it is below retry_min");
        return error_hint(ret_error, "retry_min doubles until retry_max; defaults: 100ms, 2s");
    }
    if (config->core.queue_retry_max_ms < config->core.queue_retry_min_ms) {
        config_file_fail(file, SECTION, "queue_retry_max", ret_error,
                         "it is below queue_retry_min");
        return error_hint(ret_error,
                          "queue_retry_min doubles until queue_retry_max; defaults: 500ms, 60s");
    }
    return true;
}

/* Two names for one agent: it would refuse the one that is not its own, for ever. */
static bool check_addresses(const struct config_file *file, const struct config *config,
                            struct error *ret_error)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        const struct config_participant *one = &config->participants[i];
        for (size_t k = 0; k < i; k++) {
            if (strcmp(config->participants[k].address, one->address) == 0) {
                char section[sizeof(PARTICIPANT_PREFIX) + PARTICIPANT_NAME_SIZE];
                snprintf(section, sizeof(section), PARTICIPANT_PREFIX "%s", one->name);
                config_file_fail(file, section, "address", ret_error,
                                 "%s is also the address of participant %s", one->address,
                                 config->participants[k].name);
                return error_hint(ret_error, "each participant has an agent, and each agent a port "
                                             "of its own");
            }
        }
    }
    return true;
}

static bool read_participant(struct config_file *file, const char *section,
                             struct config_participant *participant, struct error *ret_error)
{
    const char *name = section + strlen(PARTICIPANT_PREFIX);
    const char *text = NULL;
    if (!participant_name_valid(name)) {
        config_file_fail(file, section, "address", ret_error, "[%s] is not a participant's name",
                         section);
        return error_hint(ret_error, "1 to 63 of a-z, 0-9, _ and -, beginning with a letter");
    }
    snprintf(participant->name, sizeof(participant->name), "%s", name);
    if (!config_file_get_text(file, section, "address", NULL, &text, ret_error) ||
        !address_check(file, section, "address", text, ret_error)) {
        return false;
    }
    snprintf(participant->address, sizeof(participant->address), "%s", text);
    if (!config_file_get_text(file, section, "secret_file", NULL, &text, ret_error)) {
        return false;
    }
    participant->secret_file = alloc_string(text);
    return link_secret_read(text, &participant->secret, ret_error) ||
           config_file_wrap(file, section, "secret_file", ret_error);
}

static bool read_participants(struct config_file *file, struct config *config,
                              struct error *ret_error)
{
    size_t sections = config_file_section_count(file);
    config->participants = alloc_array(sections, sizeof(config->participants[0]));
    for (size_t i = 0; i < sections; i++) {
        const char *section = config_file_section(file, i);
        if (strncmp(section, PARTICIPANT_PREFIX, strlen(PARTICIPANT_PREFIX)) == 0 &&
            !read_participant(file, section, &config->participants[config->participant_count++],
                              ret_error)) {
            return false;
        }
    }
    if (config->participant_count == 0) {
        error_set(ret_error, ERROR_INVALID, "%s: no [participant NAME] section",
                  config_file_path(file));
        return error_hint(ret_error, "add one per database, with address and secret_file");
    }
    return true;
}

static bool read_all(struct config_file *file, struct config *config, struct error *ret_error)
{
    const char *journal = NULL;
    int level = LOG_INFO;
    int format = LOG_FORMAT_TEXT;
    if (!read_address(file, "http", "127.0.0.1:7400", &config->http, ret_error) ||
        !read_address(file, "client", "127.0.0.1:7401", &config->client, ret_error) ||
        !read_address(file, "listen", "127.0.0.1:7402", &config->listen, ret_error) ||
        !read_advertise(file, &config->advertise, ret_error) ||
        !config_file_get_text(file, SECTION, "journal", "/var/lib/assent/journal.db", &journal,
                              ret_error) ||
        !config_file_get_choice(file, SECTION, "log_level", log_levels, LOG_INFO, &level,
                                ret_error) ||
        !config_file_get_choice(file, SECTION, "log_format", log_formats, LOG_FORMAT_TEXT, &format,
                                ret_error)) {
        return false;
    }
    config->journal = alloc_string(journal);
    config->log_level = (enum log_level)level;
    config->log_format = (enum log_format)format;
    return read_numbers(file, config, ret_error) && check_pairs(file, config, ret_error) &&
           read_participants(file, config, ret_error) && check_addresses(file, config, ret_error) &&
           config_file_finish(file, ret_error);
}

bool config_load(const char *path, struct config *ret_config, struct error *ret_error)
{
    struct config_file *file = NULL;
    if (!config_file_load(path, &file, ret_error)) {
        return false;
    }
    struct config config = {0};
    bool ok = read_all(file, &config, ret_error);
    config_file_free(file);
    if (!ok) {
        config_done(&config);
        return false;
    }
    *ret_config = config;
    return true;
}

void config_done(struct config *config)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        free(config->participants[i].secret_file);
        explicit_bzero(&config->participants[i].secret, sizeof(config->participants[i].secret));
    }
    free(config->participants);
    free(config->http);
    free(config->client);
    free(config->listen);
    free(config->advertise);
    free(config->journal);
    memset(config, 0, sizeof(*config));
}

void config_log(const struct config *config)
{
    log_event(LOG_INFO, "configuration", LOG_S("http", config->http),
              LOG_S("client", config->client), LOG_S("listen", config->listen),
              LOG_S("advertise", config->advertise == NULL ? config->listen : config->advertise),
              LOG_S("journal", config->journal),
              LOG_U("journal_reserve_bytes", config->journal_reserve_bytes),
              LOG_U("retention_hours", config->core.retention_ms / 3600000),
              LOG_U("recent_max", config->core.recent_max),
              LOG_S("log_level", log_levels[config->log_level]),
              LOG_S("log_format", log_formats[config->log_format]));
    log_event(LOG_INFO, "configured limits", LOG_U("max_active", config->core.max_active),
              LOG_U("max_queued", config->core.max_queued), LOG_U("max_branches", config->branches),
              LOG_U("max_statements", config->statements),
              LOG_U("max_body_bytes", config->body_bytes),
              LOG_U("max_connections", config->connections), LOG_U("max_waits", config->waits),
              LOG_U("max_streams", config->streams), LOG_U("stream_events", config->stream_events),
              LOG_U("stream_bytes", config->stream_bytes),
              LOG_U("interactive_max", config->core.interactive_max),
              LOG_U("interactive_result_bytes", config->core.interactive_result_bytes));
    log_event(LOG_INFO, "configured queues", LOG_U("queue_active", config->core.queue_active),
              LOG_U("queue_max", config->core.queue_max),
              LOG_U("queue_max_each", config->core.queue_max_each),
              LOG_U("queue_max_bytes", config->core.queue_max_bytes),
              LOG_U("queue_retry_min_ms", config->core.queue_retry_min_ms),
              LOG_U("queue_retry_max_ms", config->core.queue_retry_max_ms),
              LOG_U("queue_attempts", config->core.queue_attempts));
    log_event(LOG_INFO, "configured times", LOG_U("timeout_default_ms", config->timeout_default_ms),
              LOG_U("timeout_max_ms", config->timeout_max_ms),
              LOG_U("interactive_idle_ms", config->core.interactive_idle_ms),
              LOG_U("stream_keepalive_ms", config->stream_keepalive_ms),
              LOG_U("heartbeat_ms", config->core.heartbeat_ms),
              LOG_U("retry_min_ms", config->core.retry_min_ms),
              LOG_U("retry_max_ms", config->core.retry_max_ms),
              LOG_U("drain_timeout_ms", config->core.drain_ms),
              LOG_U("trim_interval_ms", config->core.trim_interval_ms));
    for (size_t i = 0; i < config->participant_count; i++) {
        log_event(LOG_INFO, "configured participant",
                  LOG_S("participant", config->participants[i].name),
                  LOG_S("address", config->participants[i].address),
                  LOG_S("secret_file", config->participants[i].secret_file));
    }
}

const char *config_restart_key(const struct config *old, const struct config *new)
{
    const struct {
        const char *key;
        bool differs;
    } keys[] = {
        {"http", strcmp(old->http, new->http) != 0},
        {"client", strcmp(old->client, new->client) != 0},
        {"listen", strcmp(old->listen, new->listen) != 0},
        {"advertise", strcmp(old->advertise == NULL ? "" : old->advertise,
                             new->advertise == NULL ? "" : new->advertise) != 0},
        {"journal", strcmp(old->journal, new->journal) != 0},
        {"journal_reserve", old->journal_reserve_bytes != new->journal_reserve_bytes},
        {"retention_hours", old->core.retention_ms != new->core.retention_ms},
        {"recent_max", old->core.recent_max != new->core.recent_max},
        {"max_active", old->core.max_active != new->core.max_active},
        {"max_queued", old->core.max_queued != new->core.max_queued},
        {"max_branches", old->branches != new->branches},
        {"max_statements", old->statements != new->statements},
        {"max_body", old->body_bytes != new->body_bytes},
        {"max_connections", old->connections != new->connections},
        {"max_waits", old->waits != new->waits},
        {"max_streams", old->streams != new->streams},
        {"stream_events", old->stream_events != new->stream_events},
        {"stream_bytes", old->stream_bytes != new->stream_bytes},
        {"stream_keepalive", old->stream_keepalive_ms != new->stream_keepalive_ms},
        {"timeout_default", old->timeout_default_ms != new->timeout_default_ms},
        {"timeout_max", old->timeout_max_ms != new->timeout_max_ms},
        {"interactive_max", old->core.interactive_max != new->core.interactive_max},
        {"interactive_idle", old->core.interactive_idle_ms != new->core.interactive_idle_ms},
        {"interactive_result_bytes",
         old->core.interactive_result_bytes != new->core.interactive_result_bytes},
        {"queue_active", old->core.queue_active != new->core.queue_active},
        {"queue_max", old->core.queue_max != new->core.queue_max},
        {"queue_max_each", old->core.queue_max_each != new->core.queue_max_each},
        {"queue_max_bytes", old->core.queue_max_bytes != new->core.queue_max_bytes},
        {"queue_retry_min", old->core.queue_retry_min_ms != new->core.queue_retry_min_ms},
        {"queue_retry_max", old->core.queue_retry_max_ms != new->core.queue_retry_max_ms},
        {"queue_attempts", old->core.queue_attempts != new->core.queue_attempts},
        {"heartbeat", old->core.heartbeat_ms != new->core.heartbeat_ms},
        {"retry_min", old->core.retry_min_ms != new->core.retry_min_ms},
        {"retry_max", old->core.retry_max_ms != new->core.retry_max_ms},
        {"drain_timeout", old->core.drain_ms != new->core.drain_ms},
        {"trim_interval", old->core.trim_interval_ms != new->core.trim_interval_ms},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].differs) {
            return keys[i].key;
        }
    }
    return NULL;
}

const struct config_participant *config_find_participant(const struct config *config,
                                                         const char *name)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        if (strcmp(config->participants[i].name, name) == 0) {
            return &config->participants[i];
        }
    }
    return NULL;
}

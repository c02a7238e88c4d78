/*
 * config.h - /etc/assent/assentd.conf: keys, defaults, limits. Every key is documented in docs/man/assentd.conf.5.
 *
 *     [assentd]                                   [participant NAME]
 *     http = 127.0.0.1:7400                       address = 127.0.0.1:7410
 *     client = 127.0.0.1:7401                     secret_file = /etc/assent/secrets/NAME
 *     listen = 127.0.0.1:7402                     (advertise: where agents dial, if not there)
 *     journal = /var/lib/assent/journal.db
 */
#ifndef ASSENT_COORDINATOR_CONFIG_H
#define ASSENT_COORDINATOR_CONFIG_H

#include "common/link.h"
#include "common/log.h"
#include "coordinator/core.h"

struct config_participant {
    char name[PARTICIPANT_NAME_SIZE];
    char address[ADDRESS_SIZE];
    char *secret_file; /* owned */
    struct link_secret secret;
};

struct config {
    char *http, *client, *listen, *journal; /* owned */
    char *advertise;                        /* owned; NULL: agents dial `listen` */
    enum log_level log_level;
    enum log_format log_format;
    uint64_t journal_reserve_bytes;
    uint32_t body_bytes, branches, statements, timeout_default_ms, timeout_max_ms, connections;
    uint32_t waits, streams, stream_events, stream_keepalive_ms;
    uint64_t stream_bytes;
    struct coord_config core; /* journal and address are set by the driver */
    size_t participant_count;
    struct config_participant *participants; /* owned */
};

/* Reads and checks the file and the secret files that it names. */
bool config_load(const char *path, struct config *ret_config, struct error *ret_error);
void config_done(struct config *config);

/* NULL: the configuration names no such participant. */
const struct config_participant *config_find_participant(const struct config *config,
                                                         const char *name);

/* Logs every setting, without secrets. */
void config_log(const struct config *config);

/* The first setting of [assentd] that differs and that SIGHUP cannot change; NULL if there is none. */
const char *config_restart_key(const struct config *old, const struct config *new);

#endif

/*
 * pg_setup.h - what a database needs before it can take part: the SQL for it, and applying it.
 *
 * Called by `assent-agent setup`. The SQL is idempotent and may be run by hand with psql as well;
 * it contains only the hash of the agent's token, never the token.
 *
 * It makes: role assent_owner (NOLOGIN, owns everything), the login role (never a superuser),
 * schema assent with
 *
 *     identity  who this participant is (one row); a restored copy elsewhere is told by it
 *     witness   per journal: highest epoch and head seen, floor, address (P-10), and how far its
 *               outcomes were compared (P-12)
 *     ring      which partition of outcome is written now
 *     outcome   one row per prepared branch, the proof of its commit (P-12)
 *
 * and functions that check the token and then write as the owner: client SQL runs in the same login
 * role on the same connections, and must not be able to write any of these.
 */
#ifndef ASSENT_PARTICIPANT_PG_SETUP_H
#define ASSENT_PARTICIPANT_PG_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "participant/pg_connect.h"

#define PG_TOKEN_HASH_BYTES 32
#define PG_RING_SIZE        8

struct pg_setup_options {
    const char *participant;
    const char *database; /* must be the one connected to */
    const char *login_role;
    uint8_t token_hash[PG_TOKEN_HASH_BYTES];
    /* Roles of applications that prepare branches themselves: the login role becomes a member, and can then finish what they
     * prepared (docs/adr/0016). They exist. */
    size_t external_role_count;
    const char *const *external_roles;
    /* Takes a copy of the database as the participant from now on (after pg_upgrade, or a planned
     * move). */
    bool adopt;
};

/* Returns owned SQL text; ERROR_INVALID for names that cannot be. */
bool pg_setup_sql(const struct pg_setup_options *options, char **ret_sql, struct error *ret_error);

/* Runs the SQL over an administrator's connection string, in one transaction, within timeout_ms. */
bool pg_setup_apply(const char *admin_conninfo, const struct pg_setup_options *options,
                    uint32_t timeout_ms, struct error *ret_error);

/* What a person still has to do: one line each, returns owned. */
char *pg_setup_notes(const struct pg_setup_options *options);

/* The token file: 32 hex digits, mode 0600. load refuses a file that others can read; make keeps an
 * existing file. Both give the token. */
bool pg_token_load(const char *path, uint8_t ret_token[PG_TOKEN_BYTES], struct error *ret_error);
bool pg_token_make(const char *path, uint8_t ret_token[PG_TOKEN_BYTES], struct error *ret_error);
void pg_token_hash(const uint8_t token[PG_TOKEN_BYTES], uint8_t ret_hash[PG_TOKEN_HASH_BYTES]);

#endif

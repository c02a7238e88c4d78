/*
 * backend_internal.h - what backend.c (EXECUTE and FINISH) and backend_interactive.c (statement by statement) share of a connection's
 * work in the server; nobody else includes it.
 */
#ifndef ASSENT_SIM_BACKEND_INTERNAL_H
#define ASSENT_SIM_BACKEND_INTERNAL_H

#include "tests/sim/world.h"

/* A free one for this agent process; NULL: there is none. */
struct sim_backend *backend_take(struct sim_database *database, uint32_t agent,
                                 uint64_t incarnation);
void backend_release(struct sim_world *world, struct sim_database *database,
                     struct sim_backend *backend);
void backend_later(struct sim_world *world, struct sim_database *database,
                   const struct sim_backend *backend, enum sim_event_kind kind, uint64_t due_ms);
/* Takes the result's contents; nobody may wait for it any more. */
void backend_answer(struct sim_world *world, struct sim_backend *backend,
                    struct command_result *result);
/* A sure no, and the connection's work is over. */
void backend_answer_no(struct sim_world *world, struct sim_database *database,
                       struct sim_backend *backend, enum reason reason, const char *sqlstate);
bool backend_has_sent_prepare(const struct sim_backend *backend);
/* One strike of each of these kinds at most. */
void backend_doom(struct sim_world *world, struct sim_backend *backend, const enum sim_fault *dooms,
                  size_t count);
/* Read-only: ends by ROLLBACK. */
void backend_read_only_done(struct sim_world *world, struct sim_database *database,
                            struct sim_backend *backend);
/* PREPARE TRANSACTION in the server; and how much later than usual. */
void backend_prepare(struct sim_world *world, struct sim_database *database,
                     struct sim_backend *backend);
uint64_t backend_late_ms(struct sim_world *world);

/* backend_external.c */
void backend_verifies(struct sim_world *world, struct sim_database *database,
                      struct sim_backend *backend);
/* FINISH of a row that is not this role's to finish; true: it is settled, with *ret_class. */
bool backend_owner_denies(const struct sim_attempt *attempt, const struct command_finish *finish,
                          enum pg_class *ret_class);
/* FINISH of a row that stands where the voted one stood; true: it was. */
bool backend_owner_swaps(struct sim_world *world, struct sim_database *database,
                         struct sim_attempt *attempt, const struct command_finish *finish);

/* backend_interactive.c: the statement has its rows, and the transaction stays open; PREPARE has come to the server. */
void backend_statement_done(struct sim_world *world, struct sim_database *database,
                            struct sim_backend *backend);
void backend_prepare_arrives(struct sim_world *world, struct sim_database *database,
                             struct sim_backend *backend);

#endif

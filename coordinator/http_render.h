/*
 * http_render.h - views as JSON and metrics as Prometheus text: every successful body of the HTTP
 * edge.
 *
 * Called by http_reply.c on the HTTP threads. The same view gives the same bytes: a replayed commit
 * must be word for word what the first answer was (only `completed` and `pending` tell the present
 * state).
 */
#ifndef ASSENT_COORDINATOR_HTTP_RENDER_H
#define ASSENT_COORDINATOR_HTTP_RENDER_H

#include "coordinator/api.h"
#include "coordinator/http_json.h"

/* Of a submission that was decided commit (state committing, committed or heuristic). False:
 * results that cannot be decoded, which must not be passed off as an empty answer. */
bool render_committed(const struct txn_view *view, struct text *ret_text, struct error *ret_error);

/* Of an interactive transaction: opened, a statement answered (false as above), rolled back. */
void render_opened(const struct txn_view *view, struct text *ret_text);
/* The gid that a branch is to be prepared under. */
void render_external(const struct api_answer *answer, struct text *ret_text);
bool render_statement(const struct api_answer *answer, struct text *ret_text,
                      struct error *ret_error);
/* view NULL: it is forgotten already. */
void render_rolled_back(const struct gtrid *gtrid, const struct txn_view *view,
                        struct text *ret_text);

bool render_transaction(const struct txn_view *view, struct text *ret_text,
                        struct error *ret_error);
/* The same as an event of the stream: it must go out, so results that cannot be decoded are left out. */
void render_change(const struct txn_view *view, struct text *ret_text);
void render_events(const struct txn_view *view, struct text *ret_text);
void render_list(const struct api_answer *answer, struct text *ret_text); /* without results */
void render_participants(const struct api_answer *answer, struct text *ret_text);
void render_metrics(const struct api_answer *answer, struct text *ret_text);

/* "2026-11-21T05:53:00.123Z" */
#define TIME_TEXT_SIZE 32
void time_format(uint64_t wall_ms, char ret_text[TIME_TEXT_SIZE]);

#endif

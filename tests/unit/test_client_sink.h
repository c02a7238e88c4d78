/*
 * test_client_sink.h - a stand-in for the owner thread: takes calls from the client edge and
 * answers as a test says.
 */
#ifndef ASSENT_TESTS_UNIT_TEST_CLIENT_SINK_H
#define ASSENT_TESTS_UNIT_TEST_CLIENT_SINK_H

#include "coordinator/api.h"
#include "coordinator/client_edge.h"

struct sink;

/* Fills call->answer; on the sink's thread. Returns false to keep the call unanswered for now. */
typedef bool (*sink_answer)(void *user, struct api_call *call);

/* Starts the thread and an edge on a free port of 127.0.0.1 (or the port given). options may be
 * NULL. */
struct sink *sink_new(sink_answer answer, void *user, const struct client_edge_options *options,
                      uint16_t port);
const char *sink_address(const struct sink *sink);
struct client_edge *sink_edge(struct sink *sink);
size_t sink_call_count(struct sink *sink);             /* calls that ever came */
void sink_wait_calls(struct sink *sink, size_t count); /* until so many came */
/* Tells the edge of a change, on the sink's thread, behind the calls that have come. Of the view: gtrid, state, request. */
void sink_publish(struct sink *sink, const struct txn_view *view);
size_t sink_release(struct sink *sink); /* answers kept calls, newest first; how many */
void sink_free(struct sink *sink);      /* releases what is kept, stops the edge */

/* Answers. */
void sink_answer_commit(struct api_call *call); /* committed, one row per statement */

#endif

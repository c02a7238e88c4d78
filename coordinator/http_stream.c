/*
 * http_stream.c - see http_stream.h.
 *
 *   SENDING --nothing more to tell--> IDLE (suspended) --news, keep-alive, hang-up, stop--> SENDING
 *
 * A stream is a position in the gate's ring. What its socket does not take stays in the ring, and nobody waits for it: a client that
 * is overtaken is told so ("reset"), one that takes nothing for idle_s is cut off by libmicrohttpd. The owner thread only appends to
 * the ring; JSON is written by the workers, once for all clients. Nothing is kept before the first client has come.
 */
#include "coordinator/http_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "coordinator/http_internal.h"
#include "coordinator/http_render.h"

#define BLOCK_BYTES 16384
#define RETRY_MS    1000 /* how long a client should wait before it comes again */
#define NOTE_SIZE   192
#define SKIPPED_MAX                                                                                \
    1000 /* events that a filter leaves out before the client is told how far we are */

enum stream_phase { STREAM_SENDING = 1, STREAM_IDLE };

struct stream {
    struct exchange *exchange;
    enum stream_phase phase; /* guarded by the gate, as the list and beat are */
    struct stream *previous, *next;
    bool has_place;           /* counted in gate->stream_count */
    bool beat;                /* a keep-alive is due */
    uint64_t position;        /* number of the event to be told next */
    struct api_list filter;   /* state and participant */
    unsigned skipped_count;   /* since the last word to the client */
    struct ring_event *event; /* being sent; held */
    const struct text *frame; /* its */
    size_t sent_bytes;        /* of it */
    char note[NOTE_SIZE];     /* goes out first */
    size_t note_bytes, noted_bytes;
};

/* Of an event: what every client gets of it, byte for byte. */
static struct text *frame_make(const struct gate *gate, const struct ring_event *event)
{
    struct text json = {0};
    struct text *frame = alloc_zeroed(sizeof *frame);
    render_change(&event->view, &json);
    text_printf(frame, "id: %s-%" PRIu64 "\nevent: %s\ndata: ", gate->feed, event->number,
                txn_state_text(event->view.state));
    text_append(frame, json.bytes, json.size_bytes); /* one line, with its end */
    text_append(frame, "\n", 1);
    text_done(&json);
    return frame;
}

static const struct text *event_frame(struct gate *gate, struct ring_event *event)
{
    struct text *frame = atomic_load(&event->frame);
    if (frame != NULL) {
        return frame;
    }
    struct text *made = frame_make(gate, event);
    if (!atomic_compare_exchange_strong(&event->frame, &frame, made)) {
        text_done(made); /* another worker was quicker */
        free(made);
        return frame;
    }
    gate_lock(gate);
    ring_count_frame(&gate->ring, event, made->capacity_bytes);
    gate_unlock(gate);
    return made;
}

static void note_add(struct stream *stream, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note_add(struct stream *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(stream->note + stream->note_bytes,
                                 sizeof stream->note - stream->note_bytes, format, arguments);
    va_end(arguments);
    CHECK(length > 0 && (size_t)length < sizeof stream->note - stream->note_bytes);
    stream->note_bytes += (size_t)length;
}

/* Without data no event is dispatched, but the client knows where to go on. */
static void note_position(struct stream *stream, const char *comment)
{
    note_add(stream, "%sid: %s-%" PRIu64 "\n\n", comment, stream->exchange->gate->feed,
             stream->position - 1);
    stream->skipped_count = 0;
}

/* What happened in between is lost to this client. */
static void note_reset(struct stream *stream, const char *reason)
{
    const struct gate *gate = stream->exchange->gate;
    stream->position = gate->ring.next;
    note_add(stream, "id: %s-%" PRIu64 "\nevent: reset\ndata: {\"reason\":\"%s\"}\n\n", gate->feed,
             stream->position - 1, reason);
}

static bool id_parse(const char *text, const char *feed, uint64_t *ret_number)
{
    const size_t feed_bytes = strlen(feed);
    if (strncmp(text, feed, feed_bytes) != 0 || text[feed_bytes] != '-') {
        return false;
    }
    const char *digits = text + feed_bytes + 1;
    const size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 18 || digits[count] != '\0') {
        return false;
    }
    *ret_number = strtoull(digits, NULL, 10);
    return true;
}

/* The lock is held. */
static void stream_place(struct stream *stream, const char *last_event_id)
{
    const struct gate *gate = stream->exchange->gate;
    uint64_t last = 0;
    stream->position = gate->ring.next;
    note_add(stream, "retry: %d\n", RETRY_MS);
    if (last_event_id == NULL || last_event_id[0] == '\0') {
        note_position(stream, "");
    } else if (!id_parse(last_event_id, gate->feed, &last) || last >= gate->ring.next) {
        note_reset(stream, "unknown_id");
    } else if (last + 1 < gate->ring.first) {
        note_reset(stream, "overwritten");
    } else {
        stream->position = last + 1;
        note_position(stream, "");
    }
}

static bool stream_refuse(struct exchange *exchange)
{
    const uint32_t most = exchange->http->limits.streams;
    problem_set_reason(&exchange->problem, REASON_OVERLOAD);
    exchange->problem.limit_name = "max_streams";
    exchange->problem.limit = most;
    (void)snprintf(exchange->problem.detail, sizeof exchange->problem.detail,
                   "as many streams as the configured limit \"max_streams\" of %u are open", most);
    return false;
}

bool stream_open(struct exchange *exchange, const char *last_event_id)
{
    struct gate *gate = exchange->gate;
    const struct http_limits *limits = &exchange->http->limits;
    struct stream *stream = alloc_zeroed(sizeof *stream);
    stream->exchange = exchange;
    stream->phase = STREAM_SENDING;
    stream->filter = exchange->query.list;
    gate_lock(gate);
    const bool stopping = gate->stopping;
    const bool fits = gate->stream_count < limits->streams;
    if (!stopping && fits) {
        if (!atomic_load(&gate->ring_is_used)) {
            ring_init(&gate->ring, limits->stream_events, limits->stream_bytes);
            atomic_store(&gate->ring_is_used, true);
        }
        gate->stream_count++;
        stream->has_place = true;
        exchange->stream = stream;
        stream_place(stream, last_event_id);
        pump_watch(gate->pump, &exchange->watch);
    }
    gate_unlock(gate);
    if (exchange->stream != NULL) {
        return true;
    }
    free(stream);
    if (stopping) {
        problem_set_reason(&exchange->problem, REASON_SHUTDOWN);
        return false;
    }
    return stream_refuse(exchange);
}

static void stream_release(struct stream *stream)
{
    stream->exchange->gate->stream_count -= stream->has_place ? 1 : 0;
    stream->has_place = false;
}

void stream_close(struct stream *stream)
{
    if (stream != NULL) {
        CHECK(stream->phase ==
              STREAM_SENDING); /* libmicrohttpd never ends a suspended connection */
        stream_release(stream);
        ring_event_release(stream->event);
        free(stream);
    }
}

/* The lock is held, and this is the worker that owns the connection. */
static void stream_suspend(struct stream *stream)
{
    struct gate *gate = stream->exchange->gate;
    stream->phase = STREAM_IDLE;
    stream->previous = NULL;
    stream->next = gate->idle_streams;
    if (stream->next != NULL) {
        stream->next->previous = stream;
    }
    gate->idle_streams = stream;
    pump_set_timer(gate->pump, &stream->exchange->watch,
                   clock_monotonic_ms() + gate->stream_keepalive_ms);
    MHD_suspend_connection(stream->exchange->connection);
}

static void stream_wake(struct stream *stream)
{
    struct gate *gate = stream->exchange->gate;
    if (stream->phase != STREAM_IDLE) {
        return;
    }
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        gate->idle_streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    stream->phase = STREAM_SENDING;
    pump_set_timer(gate->pump, &stream->exchange->watch, UINT64_MAX);
    MHD_resume_connection(stream->exchange->connection);
}

void stream_hung_up(struct stream *stream)
{
    stream_release(stream); /* libmicrohttpd may take its time to end it */
    stream_wake(stream);
}

void stream_beat(struct stream *stream)
{
    stream->beat = true;
    stream_wake(stream);
}

void streams_wake(struct gate *gate)
{
    while (gate->idle_streams != NULL) {
        stream_wake(gate->idle_streams);
    }
}

static bool filter_matches(const struct api_list *filter, const struct txn_view *view)
{
    if (!filter->any_state && txn_state_shown(view->state) != filter->state) {
        return false;
    }
    bool at_participant = filter->participant[0] == '\0';
    for (size_t i = 0; i < view->branch_count && !at_participant; i++) {
        at_participant = strcmp(view->branches[i].participant, filter->participant) == 0;
    }
    return at_participant;
}

enum next {
    NEXT_READY = 1, /* there is something to copy, or to look at again */
    NEXT_LATER,     /* nothing now; the client has got something in this call */
    NEXT_SUSPENDED,
    NEXT_END,
    NEXT_GONE,
};

/* The lock is held. An event that was found is held in stream->event. */
static enum next stream_look(struct stream *stream, bool has_sent)
{
    const struct exchange *exchange = stream->exchange;
    const struct gate *gate = exchange->gate;
    if (exchange->watch.is_gone) {
        return NEXT_GONE;
    }
    if (stream->position < gate->ring.first) {
        note_reset(stream, "overwritten");
        return NEXT_READY;
    }
    if (stream->position < gate->ring.next) {
        stream->event = ring_share(&gate->ring, stream->position++);
        return NEXT_READY;
    }
    if (gate->stopping) {
        return NEXT_END;
    }
    if (has_sent) {
        return NEXT_LATER;
    }
    if (stream->beat) {
        stream->beat = false;
        note_position(stream, ": still here\n");
        return NEXT_READY;
    }
    stream_suspend(stream);
    return NEXT_SUSPENDED;
}

static enum next stream_next(struct stream *stream, bool has_sent)
{
    struct gate *gate = stream->exchange->gate;
    gate_lock(gate);
    const enum next next = stream_look(stream, has_sent);
    gate_unlock(gate);
    if (next != NEXT_READY || stream->event == NULL) {
        return next;
    }
    if (filter_matches(&stream->filter, &stream->event->view)) {
        stream->frame = event_frame(gate, stream->event);
        stream->sent_bytes = 0;
        stream->skipped_count = 0;
        return NEXT_READY;
    }
    ring_event_release(stream->event);
    stream->event = NULL;
    if (++stream->skipped_count >= SKIPPED_MAX) {
        note_position(stream, "");
    }
    return NEXT_READY;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What is there to be sent, as much as fits. */
static size_t stream_copy(struct stream *stream, char *bytes, size_t room_bytes)
{
    size_t size_bytes = least(stream->note_bytes - stream->noted_bytes, room_bytes);
    memcpy(bytes, stream->note + stream->noted_bytes, size_bytes);
    stream->noted_bytes += size_bytes;
    if (stream->noted_bytes == stream->note_bytes) {
        stream->note_bytes = 0;
        stream->noted_bytes = 0;
    }
    if (stream->frame != NULL && stream->note_bytes == 0) {
        const size_t more =
            least(stream->frame->size_bytes - stream->sent_bytes, room_bytes - size_bytes);
        memcpy(bytes + size_bytes, stream->frame->bytes + stream->sent_bytes, more);
        size_bytes += more;
        stream->sent_bytes += more;
        if (stream->sent_bytes == stream->frame->size_bytes) {
            ring_event_release(stream->event);
            stream->event = NULL;
            stream->frame = NULL;
        }
    }
    return size_bytes;
}

/* For libmicrohttpd: fills the buffer, or suspends the connection and returns 0. Comes to an end because each round copies
 * something, or passes an event, of which SKIPPED_MAX bring something to copy. */
static ssize_t stream_read(void *user, uint64_t offset, char *bytes, size_t room_bytes)
{
    struct stream *stream = user;
    size_t used_bytes = 0;
    (void)offset;
    while (used_bytes < room_bytes) {
        const size_t copied_bytes =
            stream_copy(stream, bytes + used_bytes, room_bytes - used_bytes);
        used_bytes += copied_bytes;
        if (copied_bytes > 0) {
            continue;
        }
        switch (stream_next(stream, used_bytes > 0)) {
        case NEXT_READY:
            break;
        case NEXT_LATER:
            return (ssize_t)used_bytes;
        case NEXT_SUSPENDED:
            return 0;
        case NEXT_END:
            return used_bytes > 0 ? (ssize_t)used_bytes : MHD_CONTENT_READER_END_OF_STREAM;
        case NEXT_GONE:
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    return (ssize_t)used_bytes;
}

struct MHD_Response *stream_response(struct exchange *exchange)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read,
                                             exchange->stream, NULL);
}

/* --- what the owner tells ------------------------------------------------------------------------ */

bool http_wants_changes(const struct http *http)
{
    return atomic_load(&http->gate->ring_is_used) || atomic_load(&http->gate->held_count) > 0;
}

void http_publish(struct http *http, struct txn_view *view)
{
    struct gate *gate = http->gate;
    const struct gtrid gtrid = view->gtrid;
    const struct gtrid run = view->request.run;
    const bool has_run = view->request.is_request && view->request.has_run;
    const enum txn_state state = view->state;
    struct ring_event *event = atomic_load(&gate->ring_is_used) ? ring_event_new(view) : NULL;
    struct ring_event *evicted = NULL;
    struct api_call *calls = NULL;
    gate_lock(gate);
    waits_take(gate, &gtrid, state, &calls);
    if (has_run) {
        /* Who waits is answered with what the owner then says, so a run that is not meant waits on. */
        waits_take(gate, &run, api_run_state(state), &calls);
    }
    if (event != NULL) {
        ring_append(&gate->ring, event, &evicted);
        if (gate->idle_streams != NULL) {
            pump_tell_news(gate->pump);
        }
    }
    gate_unlock(gate);
    ring_release_evicted(evicted);
    waits_ask(gate, calls);
    txn_view_done(view); /* empty if the ring has it */
}

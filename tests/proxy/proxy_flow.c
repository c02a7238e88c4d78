/*
 * proxy_flow.c - one direction of a connection: bytes come in, are cut into units, judged by rules
 * and weather, and go out. See proxy.h.
 *
 * What happens if the connection dies between a unit's judgement and its sending? It is lost, as in
 * a network; rules have struck all the same, and say so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/proxy/proxy_internal.h"

#define OUT_LIMIT_BYTES ((size_t)256 * 1024) /* beyond it the sender waits */
#define READ_BYTES      ((size_t)64 * 1024)
#define ROUND_MAX       1024 /* units of one flow in one round: the others want their turn */

/* --- bytes ------------------------------------------------------------------------------------ */

void bytes_done(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static uint8_t *bytes_reserve(struct bytes *bytes, size_t more_bytes)
{
    if (bytes->begin > 0 && bytes->begin + bytes->size_bytes + more_bytes > bytes->capacity_bytes) {
        memmove(bytes->data, bytes->data + bytes->begin, bytes->size_bytes);
        bytes->begin = 0;
    }
    if (bytes->size_bytes + more_bytes > bytes->capacity_bytes) {
        bytes->capacity_bytes = 2 * (bytes->size_bytes + more_bytes);
        bytes->data = alloc_resize(bytes->data, bytes->capacity_bytes, 1);
    }
    return bytes->data + bytes->begin + bytes->size_bytes;
}

static void bytes_drop(struct bytes *bytes, size_t size_bytes)
{
    bytes->begin += size_bytes;
    bytes->size_bytes -= size_bytes;
    if (bytes->size_bytes == 0) {
        bytes->begin = 0;
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

static void close_end(struct connection *connection, enum link_end end, bool reset)
{
    int fd = connection->fd[end];
    if (fd < 0) {
        return;
    }
    if (reset) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    /* Closing alone would not do: while a child that was just forked still holds the connection, epoll
     * would go on to tell of it, with a pointer to what is freed by then. */
    (void)epoll_ctl(connection->proxy->epoll, EPOLL_CTL_DEL, fd, NULL);
    (void)close(fd);
    connection->fd[end] = -1;
}

static void end_both(struct connection *connection, bool reset)
{
    close_end(connection, END_DIALER, reset);
    close_end(connection, END_TARGET, reset);
    connection->doomed = true;
}

void connection_reset(struct connection *connection)
{
    end_both(connection, true);
}

/* --- judging ---------------------------------------------------------------------------------- */

static void pass_unit(struct connection *connection, struct flow *flow, size_t size_bytes)
{
    struct route *route = &connection->proxy->routes[connection->route];
    memcpy(bytes_reserve(&flow->out, size_bytes), flow->in.data + flow->in.begin, size_bytes);
    flow->out.size_bytes += size_bytes;
    route->counts.units++;
    route->counts.bytes += size_bytes;
    bytes_drop(&flow->in, size_bytes);
    flow->judged_bytes = 0;
}

static void strike(struct connection *connection, struct flow *flow, const struct rule *rule,
                   const struct stream_unit *unit, uint64_t now_ms)
{
    switch (rule->of.action) {
    case PROXY_DROP:
        bytes_drop(&flow->in, unit->size_bytes);
        return;
    case PROXY_HOLD:
        flow->held_until_ms = now_ms + rule->of.hold_ms;
        flow->judged_bytes = unit->size_bytes; /* it passes when the time has come */
        return;
    case PROXY_CUT:
        end_both(connection, true);
        return;
    case PROXY_CUT_BEHIND:
        pass_unit(connection, flow, unit->size_bytes);
        flow->cut_behind = true;
        return;
    case PROXY_CLOSE:
        end_both(connection, false);
        return;
    case PROXY_MUTE:
        flow->mute = true;
        bytes_drop(&flow->in, flow->in.size_bytes);
        return;
    }
}

/* The participant of a connection is said by one direction and true for both. */
static const char *peer_of(const struct connection *connection)
{
    const char *peer = connection->flow[END_DIALER].stream.peer;
    return peer[0] != '\0' ? peer : connection->flow[END_TARGET].stream.peer;
}

/* Takes one unit from `in`; false if there is none that may move now. */
static bool judge_unit(struct connection *connection, enum link_end from, uint64_t now_ms)
{
    struct flow *flow = &connection->flow[from];
    if (flow->in.size_bytes == 0 || flow->out.size_bytes >= OUT_LIMIT_BYTES ||
        flow->held_until_ms > now_ms || flow->cut_behind || connection->doomed) {
        return false;
    }
    if (flow->judged_bytes > 0) {
        pass_unit(connection, flow, flow->judged_bytes);
        return true;
    }
    struct stream_unit unit = {.size_bytes = flow->in.size_bytes, .label = "bytes"};
    enum stream_result result = flow->raw
                                    ? STREAM_UNIT
                                    : stream_next(&flow->stream, flow->in.data + flow->in.begin,
                                                  flow->in.size_bytes, &unit);
    switch (result) {
    case STREAM_MORE:
        return false;
    case STREAM_BROKEN:
        flow->raw = true;
        connection->proxy->routes[connection->route].counts.broken++;
        return true;
    case STREAM_UNIT:
        break;
    }
    if (!flow->raw && flow->stream.kind == STREAM_POSTGRES && from == END_DIALER &&
        stream_is_question(&unit)) {
        stream_expect_answer(&connection->flow[END_TARGET].stream);
    }
    const struct rule *rule =
        rules_judge(connection->proxy, connection->route, from, peer_of(connection), &unit);
    if (rule != NULL) {
        strike(connection, flow, rule, &unit, now_ms);
    } else {
        pass_unit(connection, flow, unit.size_bytes);
    }
    return true;
}

/* --- moving ----------------------------------------------------------------------------------- */

static const struct proxy_weather *weather_of(const struct connection *connection,
                                              enum link_end from)
{
    return &connection->proxy->routes[connection->route].weather[from];
}

static bool is_blocked(const struct proxy_weather *weather)
{
    return weather->sky == PROXY_HELD || weather->sky == PROXY_LOST;
}

static void swallow(struct flow *flow)
{
    flow->lossy = flow->lossy || flow->ended || flow->in.size_bytes + flow->out.size_bytes > 0;
    flow->judged_bytes = 0;
    bytes_drop(&flow->in, flow->in.size_bytes);
    bytes_drop(&flow->out, flow->out.size_bytes);
}

/* What the receiver takes now. False: it takes no more for the moment, or the connection is gone. */
static bool send_piece(struct connection *connection, enum link_end from, size_t limit_bytes)
{
    struct flow *flow = &connection->flow[from];
    int fd = connection->fd[from == END_DIALER ? END_TARGET : END_DIALER];
    if (fd < 0) {
        end_both(connection, true);
        return false;
    }
    size_t size_bytes = flow->out.size_bytes < limit_bytes ? flow->out.size_bytes : limit_bytes;
    ssize_t sent = send(fd, flow->out.data + flow->out.begin, size_bytes, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            end_both(connection, true);
        }
        return false;
    }
    bytes_drop(&flow->out, (size_t)sent);
    return (size_t)sent == size_bytes;
}

static void send_out(struct connection *connection, enum link_end from, uint64_t now_ms)
{
    struct flow *flow = &connection->flow[from];
    const struct proxy_weather *weather = weather_of(connection, from);
    bool slow = weather->sky == PROXY_SLOW;
    size_t limit_bytes = slow ? weather->piece_bytes : OUT_LIMIT_BYTES;
    for (size_t i = 0; i < ROUND_MAX && flow->out.size_bytes > 0 && !connection->doomed; i++) {
        if (slow && flow->next_piece_ms > now_ms) {
            return;
        }
        if (!send_piece(connection, from, limit_bytes)) {
            return;
        }
        flow->next_piece_ms = slow && weather->pause_ms > 0 ? now_ms + weather->pause_ms : 0;
    }
}

static void finish_flow(struct connection *connection, enum link_end from)
{
    struct flow *flow = &connection->flow[from];
    bool empty = flow->out.size_bytes == 0;
    if (empty && flow->cut_behind) {
        end_both(connection, true);
        return;
    }
    if (flow->ended && !flow->shut && empty && flow->in.size_bytes == 0) {
        int fd = connection->fd[from == END_DIALER ? END_TARGET : END_DIALER];
        if (fd >= 0) {
            (void)shutdown(fd, SHUT_WR);
        }
        flow->shut = true;
    }
}

static void note_time(uint64_t when_ms, uint64_t now_ms, uint64_t *ret_next_ms)
{
    if (when_ms > now_ms && when_ms < *ret_next_ms) {
        *ret_next_ms = when_ms;
    }
}

static void pump_flow(struct connection *connection, enum link_end from, uint64_t now_ms,
                      uint64_t *ret_next_ms)
{
    struct flow *flow = &connection->flow[from];
    const struct proxy_weather *weather = weather_of(connection, from);
    if (flow->mute) {
        bytes_drop(&flow->in, flow->in.size_bytes);
    }
    if (weather->sky == PROXY_LOST) {
        swallow(flow);
    }
    if (is_blocked(weather)) {
        return;
    }
    if (flow->lossy) { /* the weather has cleared, and what was lost does not come again */
        end_both(connection, true);
        return;
    }
    bool more = true;
    for (size_t i = 0; i < ROUND_MAX && more; i++) {
        more = judge_unit(connection, from, now_ms);
        if (!more || flow->out.size_bytes >= OUT_LIMIT_BYTES) {
            send_out(connection, from, now_ms); /* may make room for the next unit */
            more = more && flow->out.size_bytes < OUT_LIMIT_BYTES;
        }
        if (connection->doomed) {
            return;
        }
    }
    if (more) {
        *ret_next_ms = now_ms; /* no event will tell of what is left */
    }
    finish_flow(connection, from);
    if (flow->in.size_bytes > 0) {
        note_time(flow->held_until_ms, now_ms, ret_next_ms);
    }
    if (flow->out.size_bytes > 0) {
        note_time(flow->next_piece_ms, now_ms, ret_next_ms);
    }
}

/* Reads what is there; the end of what the sender has to say is remembered. */
static void receive(struct connection *connection, enum link_end from)
{
    struct flow *flow = &connection->flow[from];
    size_t limit_bytes = flow->out.size_bytes >= OUT_LIMIT_BYTES ? 0 : STREAM_UNIT_MAX_BYTES;
    if (connection->fd[from] < 0 || flow->ended || flow->in.size_bytes >= limit_bytes ||
        weather_of(connection, from)->sky == PROXY_HELD) {
        return;
    }
    uint8_t *place = bytes_reserve(&flow->in, READ_BYTES);
    ssize_t got = recv(connection->fd[from], place, READ_BYTES, 0);
    if (got > 0) {
        flow->in.size_bytes += (size_t)got;
    } else if (got == 0) {
        flow->ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        end_both(connection, true);
    }
}

static void watch(struct connection *connection, enum link_end end, bool wants_read,
                  bool wants_write)
{
    uint32_t events = (wants_read ? EPOLLIN : 0U) | (wants_write ? EPOLLOUT : 0U);
    struct epoll_event event = {.events = events, .data.ptr = &connection->ends[end]};
    if (connection->fd[end] < 0 || connection->events[end] == events) {
        return;
    }
    if (epoll_ctl(connection->proxy->epoll, EPOLL_CTL_MOD, connection->fd[end], &event) == 0) {
        connection->events[end] = events;
    } else {
        end_both(connection, true);
    }
}

static void watch_flow(struct connection *connection, enum link_end from, uint64_t now_ms,
                       bool *ret_reads, bool *ret_writes)
{
    const struct flow *flow = &connection->flow[from];
    const struct proxy_weather *weather = weather_of(connection, from);
    bool full =
        flow->out.size_bytes >= OUT_LIMIT_BYTES || flow->in.size_bytes >= STREAM_UNIT_MAX_BYTES;
    *ret_reads = !flow->ended && !full && weather->sky != PROXY_HELD && connection->connected;
    *ret_writes = flow->out.size_bytes > 0 && !is_blocked(weather) &&
                  (weather->sky != PROXY_SLOW || flow->next_piece_ms <= now_ms);
}

void connection_hang_up(struct connection *connection, enum link_end end)
{
    enum link_end other = end == END_DIALER ? END_TARGET : END_DIALER;
    if (connection->flow[end].ended && connection->flow[other].shut) {
        close_end(connection, end, false); /* all is said both ways; the rest is on its way */
        return;
    }
    close_end(connection, end, true);
    connection->dead = true;
}

/* One end was reset or has vanished. In bad weather the other one does not learn of it yet. */
static void pump_dead(struct connection *connection)
{
    if (!connection->connected || (!is_blocked(weather_of(connection, END_DIALER)) &&
                                   !is_blocked(weather_of(connection, END_TARGET)))) {
        end_both(connection, true);
        return;
    }
    for (int from = END_DIALER; from <= END_TARGET; from++) {
        watch(connection, (enum link_end)from, false, false);
    }
}

void connection_pump(struct connection *connection, uint64_t now_ms, uint64_t *ret_next_ms)
{
    if (connection->dead) {
        pump_dead(connection);
    }
    if (connection->doomed || connection->dead || !connection->connected) {
        return;
    }
    for (int from = END_DIALER; from <= END_TARGET && !connection->doomed; from++) {
        receive(connection, (enum link_end)from);
    }
    for (int from = END_DIALER; from <= END_TARGET && !connection->doomed; from++) {
        pump_flow(connection, (enum link_end)from, now_ms, ret_next_ms);
    }
    if (connection->doomed) {
        return;
    }
    if (connection->flow[END_DIALER].shut && connection->flow[END_TARGET].shut) {
        end_both(connection, false);
        return;
    }
    bool reads[2], writes[2];
    watch_flow(connection, END_DIALER, now_ms, &reads[END_DIALER], &writes[END_DIALER]);
    watch_flow(connection, END_TARGET, now_ms, &reads[END_TARGET], &writes[END_TARGET]);
    watch(connection, END_DIALER, reads[END_DIALER], writes[END_TARGET]);
    watch(connection, END_TARGET, reads[END_TARGET], writes[END_DIALER]);
}

/*
 * link_internal.h - what the files of the link share; nobody else includes it.
 *
 *   link.c         the interface of link.h: start, stop, participants; the two threads of a link
 *   link_peer.c    the other side: states, session, sending
 *   link_receive.c what arrives: handshake and data frames
 *   link_tick.c    what happens by itself: silence, heartbeats, redialling, the listener's health
 *   link_socket.c  nng and nothing else
 *   link_frame.c   bytes
 *
 * One mutex guards a link with all its peers. Callbacks to the owner run under it, which gives each
 * session its order (up, messages, down) and lets link_stop promise that none runs afterwards; they
 * may therefore only post to an inbox and never call back into the link. nng calls our callbacks
 * without locks of its own, with one exception that link_socket.c avoids.
 *
 * Peers live in a list until link_stop: nng's callbacks hold plain pointers to them. An agent's
 * peer that is done becomes PEER_FREE and serves the next coordinator.
 */
#ifndef ASSENT_COMMON_LINK_INTERNAL_H
#define ASSENT_COMMON_LINK_INTERNAL_H

#include <nng/nng.h>
#include <pthread.h>

#include "common/codec.h"
#include "common/link.h"
#include "common/link_frame.h"

#define LINK_SILENCE_DEFAULT_MS  10000
#define LINK_FRAME_LIMIT_DEFAULT (16u << 20)
#define LINK_FRAME_LIMIT_MIN     4096
#define LINK_REDIAL_MIN_MS       50
#define LINK_REDIAL_MAX_MS       1000
#define LINK_PAUSE_MAX_MS        5000
#define LINK_UNREACHABLE_MS      1000 /* dialling for so long is worth telling */
/* A dial or a handshake that has led nowhere for so long is begun anew, and a listener that nobody
 * connected to for so long is asked. Far below the silence of a session: what was lost with a death
 * of either side must be found well within the ten seconds in which everything heals. */
#define LINK_ATTEMPT_MS      2000
#define LINK_AGENT_PEERS_MAX 64
#define LINK_INLETS_MAX      512
#define LINK_STRANGERS_MAX   64 /* connections that have not proved anything yet */
#define LINK_DECODE_BATCH    64 /* messages per call of on_messages */

/*
 *            add/HELLO            pipe up                   proof of the other side
 *   FREE ------------> DIALING ------------> GREETING ---------------------> UP
 *    ^                  |   ^  \                ^  |                          |
 *    |                  |   |   `---> PAUSED ---'  |                          |
 *    |                  |   |  failed before  |    |                          |
 *    |                  |   `-----------------'----'--------------------------'
 *    `------------------'     pipe gone, silence, refusal (agent: then on to FREE)
 *
 * DIALING   no connection out; nng dials and, until it has one, redials by itself (the tick renews a
 *           stuck dialler)
 * PAUSED    coordinator: connected, but the last handshake failed; the hello waits out the backoff
 * GREETING  coordinator: hello sent, waiting for ACCEPT; agent: ACCEPT sent, waiting for CONFIRM
 * UP        a session: keys, a number, both pipes bound
 */
enum peer_state { PEER_FREE = 0, PEER_DIALING, PEER_PAUSED, PEER_GREETING, PEER_UP };

/* Messages that wait to go, already encoded; becomes one frame. */
struct body {
    struct body *next;
    struct codec_buffer buffer;
};

struct peer {
    struct link *link;
    struct peer *next;
    enum peer_state state;
    uint64_t since_ms; /* when the state was entered */

    /* who it is */
    char participant[PARTICIPANT_NAME_SIZE];
    char address[ADDRESS_SIZE]; /* where we dial, as a URL */
    struct link_secret secret;
    struct journal_id journal;

    /* the way out and the way in (pipe ids; 0 is none) */
    nng_socket push;
    bool push_used; /* it has had its connection, and gets no other (link_socket.c) */
    nng_dialer dialer;
    nng_aio *send_aio;
    bool has_dialer;
    bool sending;
    bool out_ready; /* the pipe may be sent to */
    uint32_t out_pipe;
    uint32_t in_pipe;
    uint64_t dialled_ms;
    uint64_t redial_ms; /* dials then, if it is still DIALING without a dialler; 0: not */

    /* handshake */
    struct codec_buffer hello;
    struct codec_buffer accept;
    struct codec_buffer greeting; /* a handshake frame that waits to go */
    struct frame_greeting other;  /* what the other side said of itself */
    unsigned failures;            /* handshakes in a row that led nowhere */
    unsigned hangups;             /* of these, the other side hung up on our hello */
    uint64_t hello_after_ms;
    enum link_trouble told; /* trouble already told, 0 none */

    /* session */
    uint64_t session;
    struct frame_keys keys;
    uint64_t sent_number;
    uint64_t received_number;
    uint64_t sent_ms;
    uint64_t received_ms;
    struct body *first_body;
    struct body *last_body;
    size_t queued_bytes;
    bool told_too_large;
};

/* What only waits to be closed. */
enum retired_kind { RETIRED_DIALER = 1, RETIRED_LISTENER, RETIRED_SOCKET };
struct retired {
    enum retired_kind kind;
    nng_dialer dialer;
    nng_listener listener;
    nng_socket socket;
};

/* A connection to our listener. */
struct inlet {
    uint32_t pipe;
    uint64_t since_ms;
};

struct link {
    struct link_options options; /* texts below */
    char participant[PARTICIPANT_NAME_SIZE];
    char address[ADDRESS_SIZE];    /* what we listen on, with the real port */
    char advertised[ADDRESS_SIZE]; /* as peers dial it; usually the same */
    char probe_url[ADDRESS_SIZE];  /* the same for ourselves */
    uint32_t tick_ms;

    pthread_mutex_t lock;
    pthread_cond_t drained;
    bool stopping; /* nothing new; callbacks are over */
    /* The ticker: everything that is done by time. nng 1.5.2 keeps time by the wall clock, so none of its timers is
     * used: a clock that is set back would stop them for as long (P-15). */
    pthread_t ticker;
    bool has_ticker;
    pthread_cond_t alarm; /* something falls due earlier, or the link is over */
    uint64_t next_tick_ms;
    /* the janitor: closes what may not be closed elsewhere, and in the end everything */
    pthread_t janitor;
    pthread_cond_t work;
    bool closing;
    struct retired *retired;
    size_t retired_count;
    bool is_burying; /* the janitor is in nng now; it may stay there for ever */
    size_t burials;  /* sockets that are being closed, each by a thread of its own */
    struct peer *peers;
    uint64_t last_session;
    struct inlet inlets[LINK_INLETS_MAX];
    size_t inlet_count;
    uint32_t told_strangers; /* bit per link_trouble, until the next session */

    nng_socket pull;
    nng_listener listener;
    bool has_listener;
    nng_aio *receive_aio;
    /* the listener's health */
    nng_socket probe;
    nng_dialer probe_dialer;
    bool has_probe;
    bool probe_unanswered;
    uint64_t inlets_added;
    uint64_t checked_ms;
};

/* ---- link_socket.c: all need the lock, but for open and close ---- */

bool socket_open(struct link *link, struct error *ret_error);
/* Waits for nng's callbacks and closes everything; without the lock. */
void socket_close(struct link *link);
/* Closes what was retired; gives the lock back while it does. Only on a thread of our own. */
void socket_close_retired(struct link *link);
void socket_quiesce(struct link *link); /* begins no new work; never blocks */
bool socket_listen(struct link *link, const char *url, struct error *ret_error);
void socket_unlisten(struct link *link);
bool socket_probe_start(struct link *link); /* false: not now */
void socket_probe_stop(struct link *link);

bool socket_peer_open(struct peer *peer, struct error *ret_error);
bool socket_dial(struct peer *peer, struct error *ret_error); /* drops an earlier dialler */
void socket_hang_up(struct peer *peer);                       /* no dialler, no pipe out */
void socket_cancel_send(struct peer *peer);
void socket_kick(struct peer *peer); /* sends the next frame if none is on its way */
/* Closes a connection; false if it is gone already, so that no event will come. */
bool socket_close_pipe(uint32_t pipe);
bool socket_pipe_lives(uint32_t pipe); /* asks the connection itself, not what events told of it */

/* ---- link_peer.c: all need the lock ---- */

struct peer *peer_new(struct link *link);
void peer_move(struct peer *peer, enum peer_state state);
void peer_pipe_added(struct peer *peer, uint32_t pipe);
void peer_pipe_ready(struct peer *peer, uint32_t pipe);
void peer_pipe_gone(struct peer *peer, uint32_t pipe);
void peer_replaced(struct peer *peer); /* nng has connected anew: what there was has ended */
void peer_inlet_gone(struct link *link, uint32_t pipe);
void peer_greet(struct peer *peer); /* coordinator: sends HELLO */

/* Ends what there is, session or handshake, and goes back to the start. trouble 0: nothing to tell.
 */
void peer_end(struct peer *peer, enum link_trouble trouble, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void peer_trouble(struct peer *peer, enum link_trouble trouble, const char *text);
void link_stranger_trouble(struct link *link, enum link_trouble trouble, const char *text);

/* Queues messages for the session; takes their contents. */
void peer_queue(struct peer *peer, struct message *messages, size_t count);
void peer_queue_heartbeat(struct peer *peer); /* an empty frame */
void peer_drop_queue(struct peer *peer);
bool peer_has_frame(const struct peer *peer);
/* The next frame to go as an owned nng message, NULL if there is none or memory is short. */
nng_msg *peer_next_frame(struct peer *peer);

/* ---- link_receive.c ---- */

/* Handles one frame. Takes the lock itself; called by one thread at a time. */
void link_receive(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes);

/* ---- link_tick.c ---- */

/* Both need the lock. */
void link_tick(struct link *link);
/* Dials when the state is still DIALING after the shortest pause, so that who hangs up on us at once is
 * not dialled in a loop. */
void peer_redial_soon(struct peer *peer);
/* Does what is due; returns when to come again. */
uint64_t link_pass_time(struct link *link);

#endif

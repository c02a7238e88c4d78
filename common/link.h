/*
 * link.h - authenticated message links between assentd and its agents, over nng (the only user of
 * nng besides the client edge is link.c).
 *
 * A link carries batches of messages both ways. Before the first message both sides have proved
 * that they know the participant's shared secret, and every later frame carries a MAC and a growing
 * number, so a stranger can neither speak nor replay. A frame may be lost: the cores repeat what
 * matters. A session is one successful handshake; when either process or the connection dies the
 * session ends (on_down) and a new one gets a new number, so a vote can never be taken for one of
 * another session (P-7).
 *
 * The coordinator dials (one link per participant, redialling for ever with backoff); the agent
 * listens and serves any number of coordinators, told apart by their journal identity. Half-open
 * peers are found by silence: either side ends a session on which nothing arrived for `silence_ms`;
 * idle sides send empty frames every silence_ms / 3.
 *
 * Callbacks run on nng's threads: they may only post to an inbox. After link_stop returns none
 * runs.
 */
#ifndef ASSENT_COMMON_LINK_H
#define ASSENT_COMMON_LINK_H

#include "common/error.h"
#include "common/messages.h"

#define LINK_SECRET_MIN_BYTES 16
#define LINK_SECRET_MAX_BYTES 128

struct link_secret {
    size_t size_bytes;
    uint8_t bytes[LINK_SECRET_MAX_BYTES];
};

/* Reads a secret file: its first line without white space around it; refuses a file that others can
 * read (mode & 077) and one that is too short, naming the remedy. */
bool link_secret_read(const char *path, struct link_secret *ret_secret, struct error *ret_error);

struct link_peer {
    uint64_t session;                        /* never reused within this process; never 0 */
    char participant[PARTICIPANT_NAME_SIZE]; /* the participant this link belongs to */
    struct journal_id journal;               /* the coordinator's journal */
    char address[ADDRESS_SIZE];              /* the other side's, for display */
    char version[32];                        /* the other side's release, for display */
};

enum link_trouble {
    LINK_UNREACHABLE = 1, /* cannot connect, or the connection was lost */
    LINK_DENIED,          /* the other side does not know the secret, or says that we do not */
    LINK_INCOMPATIBLE,    /* no common protocol version, another participant's name */
    LINK_BAD_FRAME,       /* malformed or too large; the session was ended */
};

struct link_callbacks {
    void *user;
    void (*on_up)(void *user, const struct link_peer *peer);
    /* takes the messages' contents (the array itself is borrowed) */
    void (*on_messages)(void *user, uint64_t session, struct message *messages, size_t count);
    void (*on_down)(void *user, uint64_t session);
    /* Told once per change of state, not per attempt. participant may be "" if not known. */
    void (*on_trouble)(void *user, const char *participant, enum link_trouble trouble,
                       const char *text);
};

struct link_options {
    bool is_coordinator;
    const char *listen;    /* "127.0.0.1:7401" or "127.0.0.1:0" for a free port */
    const char *advertise; /* coordinator only: where agents dial it; NULL: what it listens on */
    struct journal_id journal;  /* coordinator only */
    const char *participant;    /* agent only: its own name */
    struct link_secret secret;  /* agent only: its own secret */
    uint32_t silence_ms;        /* 0: default 10000 */
    uint32_t frame_limit_bytes; /* 0: default 16 MiB; never allocates beyond it */
    struct link_callbacks callbacks;
};

struct link;

bool link_start(const struct link_options *options, struct link **ret_link,
                struct error *ret_error);

/* The address peers can dial, with the real port. */
void link_address(const struct link *link, char ret_address[ADDRESS_SIZE]);

/* Coordinator: adds a participant and starts dialling it; never blocks. Adding a known name updates
 * it. */
bool link_add_participant(struct link *link, const char *participant, const char *address,
                          const struct link_secret *secret, struct error *ret_error);
void link_remove_participant(struct link *link, const char *participant);

/* Sends a batch in as few frames as the limit allows. Takes the messages' contents. Never blocks;
 * what cannot go (session gone, too much queued) is dropped, as a network would. Any thread. */
void link_send(struct link *link, uint64_t session, struct message *messages, size_t count);

/* Ends a session (protocol violation seen above this layer). */
void link_end_session(struct link *link, uint64_t session);

/* Stops callbacks, waits at most timeout_ms for what is queued, frees. The caller exits the process
 * soon after: nng_close on a busy socket can hang (nng 1543), so sockets may stay open until then.
 */
void link_stop(struct link *link, uint32_t timeout_ms);

#endif

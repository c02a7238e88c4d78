/*
 * link_frame.h - the bytes of a link: handshake frames and data frames (docs/PROTOCOL.md, "The
 * wire").
 *
 * Pure functions over bytes and keys (HMAC-SHA-256 and BLAKE2b from libsodium); used by link_peer.c and the
 * fuzzer. Must not know about nng, sessions or time. Nothing here trusts its input.
 *
 *   coordinator                               agent
 *   HELLO    versions, names, nonce     -->   knows the secret? same participant? common version?
 *            proves: the other side     <--   ACCEPT  version, nonce      (or REFUSE, or a close)
 *   CONFIRM                             -->   proves: the hello was not a replay
 *   DATA     1, 2, 3 ...                <->   DATA    1, 2, 3 ...
 *
 * Every MAC and both keys cover a label that names the frame and its sender, and all earlier frames
 * whole: nothing can be reflected, replayed into another session or combined anew.
 */
#ifndef ASSENT_COMMON_LINK_FRAME_H
#define ASSENT_COMMON_LINK_FRAME_H

#include "common/codec.h"
#include "common/link.h"

#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1
#define PROTOCOL_FEATURES    0u /* no optional feature exists yet */

#define FRAME_NONCE_BYTES    32
#define FRAME_KEY_BYTES      32
#define FRAME_SESSION_BYTES  8
#define FRAME_HEADER_BYTES   24 /* of a data frame */
#define FRAME_MAC_BYTES      16 /* of a data frame; handshake frames carry all 32 */
#define FRAME_OVERHEAD_BYTES (FRAME_HEADER_BYTES + FRAME_MAC_BYTES)
#define FRAME_HANDSHAKE_MAX  2048 /* no handshake frame is longer */

enum frame_type {
    FRAME_NONE = 0, /* not one of ours */
    FRAME_HELLO = 1,
    FRAME_ACCEPT = 2,
    FRAME_CONFIRM = 3,
    FRAME_REFUSE = 4,
    FRAME_DATA = 16,
};

enum frame_refusal {
    REFUSAL_VERSION = 1,     /* no common protocol version */
    REFUSAL_PARTICIPANT = 2, /* I am another participant */
    REFUSAL_BUSY = 3,        /* I serve as many coordinators as I can */
};

/* What each side says of itself; HELLO and ACCEPT have the same fields but for the versions. */
struct frame_greeting {
    uint32_t version_min; /* in ACCEPT both are the chosen version */
    uint32_t version_max;
    uint64_t features;
    char release[32];
    char participant[PARTICIPANT_NAME_SIZE];
    struct journal_id journal;
    char address[ADDRESS_SIZE]; /* HELLO only: where the agent shall dial */
    uint8_t nonce[FRAME_NONCE_BYTES];
    uint32_t receive_limit_bytes; /* the longest frame I take */
    uint32_t silence_ms;          /* I end a session on which nothing arrived for so long */
};

struct frame_denial {
    enum frame_refusal refusal;
    char text[256];
};

struct frame_keys {
    uint8_t version; /* the protocol version that ACCEPT chose */
    uint8_t session[FRAME_SESSION_BYTES];
    uint8_t to_agent[FRAME_KEY_BYTES];
    uint8_t to_coordinator[FRAME_KEY_BYTES];
};

/* A data frame's opened contents: lends bytes inside the frame. */
struct frame_data {
    uint64_t number;
    const uint8_t *body;
    size_t size_bytes;
};

enum frame_type frame_type_of(const uint8_t *bytes, size_t size_bytes);

/* Writing appends a whole frame to an empty buffer. `earlier` are the handshake's frames so far, in
 * order. */
void frame_write_greeting(struct codec_buffer *buffer, enum frame_type type,
                          const struct frame_greeting *greeting, const struct link_secret *secret,
                          const struct codec_buffer *hello);
void frame_write_confirm(struct codec_buffer *buffer, const struct link_secret *secret,
                         const struct codec_buffer *hello, const struct codec_buffer *accept);
void frame_write_refuse(struct codec_buffer *buffer, const struct frame_denial *denial,
                        const struct link_secret *secret, const struct codec_buffer *hello);

/* Reading does not check the MAC: a frame's contents say whose secret to check it with. */
bool frame_read_greeting(const uint8_t *bytes, size_t size_bytes, enum frame_type type,
                         struct frame_greeting *ret_greeting, struct error *ret_error);
bool frame_read_refuse(const uint8_t *bytes, size_t size_bytes, struct frame_denial *ret_denial,
                       struct error *ret_error);

/* True if the handshake frame's MAC is right. hello and accept are the frames before it, NULL where
 * the type has none. */
bool frame_proves(const uint8_t *bytes, size_t size_bytes, const struct link_secret *secret,
                  const struct codec_buffer *hello, const struct codec_buffer *accept);

void frame_derive_keys(const struct link_secret *secret, const struct codec_buffer *hello,
                       const struct codec_buffer *accept, uint32_t version,
                       struct frame_keys *ret_keys);

/* Writes FRAME_OVERHEAD_BYTES + size_bytes at `frame`. */
void frame_seal(uint8_t *frame, const struct frame_keys *keys, bool to_agent, uint64_t number,
                const uint8_t *body, size_t size_bytes);

/* False if it is not a frame of this session and direction with a right MAC. The number is the
 * caller's to judge. */
bool frame_open(const uint8_t *bytes, size_t size_bytes, const struct frame_keys *keys,
                bool to_agent, struct frame_data *ret_data);

#endif

/*
 * stream_link.c - what lies in a frame of Assent's links (docs/PROTOCOL.md, "Frames"). See stream.h.
 *
 * Frames are authenticated, not encrypted: they can be read. Only as much of msgpack is known here as
 * it takes to find the end of a message and its kind. What cannot be read is labelled "frame data";
 * it is passed on like everything else, and its receiver judges it.
 */
#include "tests/proxy/stream.h"

#include <stdio.h>
#include <string.h>

#define HEADER_BYTES      8
#define DATA_HEADER_BYTES 24
#define DATA_MAC_BYTES    16
#define NESTING_MAX       16
#define MESSAGES_MAX      64 /* more in one frame are not labelled; the label is full long before */
#define KEY_PARTICIPANT   5

struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take(struct cursor *cursor, size_t bytes, const uint8_t **ret_bytes)
{
    if (cursor->left < bytes) {
        return false;
    }
    *ret_bytes = cursor->at;
    cursor->at += bytes;
    cursor->left -= bytes;
    return true;
}

static bool take_uint(struct cursor *cursor, size_t bytes, uint64_t *ret_value)
{
    const uint8_t *from;
    if (!take(cursor, bytes, &from)) {
        return false;
    }
    *ret_value = 0;
    for (size_t i = 0; i < bytes; i++) {
        *ret_value = *ret_value << 8 | from[i];
    }
    return true;
}

enum item_shape { ITEM_PLAIN = 1, ITEM_UINT, ITEM_BYTES, ITEM_ARRAY, ITEM_MAP };

/* One msgpack item: a number has its value, bytes (texts, binaries) their place, an array or map the
 * count of what follows. */
struct item {
    enum item_shape shape;
    uint64_t value;
    const uint8_t *bytes;
};

/* A length in `width` bytes, then so many bytes. */
static bool take_sized(struct cursor *cursor, size_t width, struct item *item)
{
    item->shape = ITEM_BYTES;
    return take_uint(cursor, width, &item->value) && item->value <= cursor->left &&
           take(cursor, (size_t)item->value, &item->bytes);
}

static bool take_short(struct cursor *cursor, uint8_t first, struct item *item)
{
    if (first < 0x80) {
        *item = (struct item){.shape = ITEM_UINT, .value = first};
    } else if (first < 0x90) {
        *item = (struct item){.shape = ITEM_MAP, .value = first & 0x0f};
    } else if (first < 0xa0) {
        *item = (struct item){.shape = ITEM_ARRAY, .value = first & 0x0f};
    } else if (first < 0xc0) {
        *item = (struct item){.shape = ITEM_BYTES, .value = first & 0x1f};
        return take(cursor, (size_t)item->value, &item->bytes);
    } else {
        *item = (struct item){.shape = ITEM_PLAIN}; /* negative fixint */
    }
    return true;
}

static bool take_item(struct cursor *cursor, struct item *item)
{
    const uint8_t *first;
    *item = (struct item){.shape = ITEM_PLAIN};
    if (!take(cursor, 1, &first)) {
        return false;
    }
    switch (*first) {
    case 0xc0: /* nil, false, true */
    case 0xc2:
    case 0xc3:
        return true;
    case 0xc4: /* binary */
    case 0xd9: /* text */
        return take_sized(cursor, 1, item);
    case 0xc5:
    case 0xda:
        return take_sized(cursor, 2, item);
    case 0xc6:
    case 0xdb:
        return take_sized(cursor, 4, item);
    case 0xcc: /* unsigned */
    case 0xcd:
    case 0xce:
    case 0xcf:
        item->shape = ITEM_UINT;
        return take_uint(cursor, (size_t)1 << (*first - 0xcc), &item->value);
    case 0xd0: /* signed */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_uint(cursor, (size_t)1 << (*first - 0xd0), &item->value);
    case 0xdc:
    case 0xdd:
        item->shape = ITEM_ARRAY;
        return take_uint(cursor, *first == 0xdc ? 2 : 4, &item->value);
    case 0xde:
    case 0xdf:
        item->shape = ITEM_MAP;
        return take_uint(cursor, *first == 0xde ? 2 : 4, &item->value);
    default:
        return (*first < 0xc0 || *first >= 0xe0) && take_short(cursor, *first, item);
    }
}

/* The same with everything below it. Items that a count promises must lie in the bytes that are
 * left, one byte each at least. */
static bool skip_item(struct cursor *cursor)
{
    uint64_t pending[NESTING_MAX] = {1};
    size_t depth = 0;
    while (true) {
        while (pending[depth] == 0) {
            if (depth == 0) {
                return true;
            }
            depth--;
        }
        pending[depth]--;
        struct item item;
        if (!take_item(cursor, &item)) {
            return false;
        }
        if (item.shape == ITEM_ARRAY || item.shape == ITEM_MAP) {
            uint64_t below = item.shape == ITEM_MAP ? 2 * item.value : item.value;
            if (below > cursor->left || ++depth == NESTING_MAX) {
                return false;
            }
            pending[depth] = below;
        }
    }
}

static const char *kind_name(uint64_t kind)
{
    static const char *const to_agent[] = {"CLAIM",    "WORK",    "COMMIT",
                                           "ROLLBACK", "VERDICT", "HEAD"};
    static const char *const to_coordinator[] = {"WITNESS", "WELCOME", "FENCED", "VOTE",
                                                 "ACK",     "INQUIRY", "HEALTH"};
    if (kind >= 1 && kind <= sizeof to_agent / sizeof to_agent[0]) {
        return to_agent[kind - 1];
    }
    if (kind >= 16 && kind - 16 < sizeof to_coordinator / sizeof to_coordinator[0]) {
        return to_coordinator[kind - 16];
    }
    return "other";
}

/* A message is a map whose first key is 0 and has the kind. */
static bool take_message(struct cursor *cursor, uint64_t *ret_kind)
{
    struct cursor inside = *cursor;
    struct item map, key, kind;
    if (!take_item(&inside, &map) || map.shape != ITEM_MAP || map.value == 0 ||
        !take_item(&inside, &key) || key.shape != ITEM_UINT || key.value != 0 ||
        !take_item(&inside, &kind) || kind.shape != ITEM_UINT) {
        return false;
    }
    *ret_kind = kind.value;
    return skip_item(cursor);
}

static void label_data(const uint8_t *frame, size_t size_bytes, char *label)
{
    struct cursor cursor = {.at = frame + DATA_HEADER_BYTES,
                            .left = size_bytes - DATA_HEADER_BYTES - DATA_MAC_BYTES};
    size_t length = 0;
    if (cursor.left == 0) {
        (void)snprintf(label, STREAM_LABEL_SIZE, "frame heartbeat");
        return;
    }
    for (size_t i = 0; i < MESSAGES_MAX && cursor.left > 0; i++) {
        uint64_t kind;
        if (!take_message(&cursor, &kind)) {
            (void)snprintf(label, STREAM_LABEL_SIZE, "frame data");
            return;
        }
        int written = snprintf(label + length, STREAM_LABEL_SIZE - length, "%smsg %s;",
                               length == 0 ? "" : " ", kind_name(kind));
        if (written < 0 || (size_t)written >= STREAM_LABEL_SIZE - length) {
            label[length] = '\0'; /* whole words only */
            return;
        }
        length += (size_t)written;
    }
}

/* The participant's name out of ACCEPT's map. */
static void learn_peer(struct stream *stream, const uint8_t *frame, size_t size_bytes)
{
    struct cursor cursor = {.at = frame + HEADER_BYTES, .left = size_bytes - HEADER_BYTES};
    struct item map, key, value;
    if (!take_item(&cursor, &map) || map.shape != ITEM_MAP) {
        return;
    }
    for (uint64_t i = 0; i < map.value && take_item(&cursor, &key) && key.shape == ITEM_UINT; i++) {
        struct cursor inside = cursor;
        if (key.value == KEY_PARTICIPANT && take_item(&inside, &value) &&
            value.shape == ITEM_BYTES && value.value < STREAM_PEER_SIZE) {
            memcpy(stream->peer, value.bytes, (size_t)value.value);
            stream->peer[value.value] = '\0';
            return;
        }
        if (!skip_item(&cursor)) {
            return;
        }
    }
}

void stream_label_link(struct stream *stream, const uint8_t *frame, size_t size_bytes,
                       char ret_label[STREAM_LABEL_SIZE])
{
    static const char *const handshake[] = {"HELLO", "ACCEPT", "CONFIRM", "REFUSE"};
    if (size_bytes < HEADER_BYTES || memcmp(frame, "Asnt", 4) != 0) {
        return; /* keeps "frame data" */
    }
    uint8_t type = frame[4];
    if (type == 16 && size_bytes >= DATA_HEADER_BYTES + DATA_MAC_BYTES) {
        label_data(frame, size_bytes, ret_label);
    } else if (type >= 1 && type <= sizeof handshake / sizeof handshake[0]) {
        if (type == 2) {
            learn_peer(stream, frame, size_bytes);
        }
        (void)snprintf(ret_label, STREAM_LABEL_SIZE, "frame %s%s%s", handshake[type - 1],
                       type == 2 ? " " : "", type == 2 ? stream->peer : "");
    }
}

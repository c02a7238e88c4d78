/*
 * test_codec_random.h - random but repeatable messages for the tests of the wire.
 */
#ifndef ASSENT_TESTS_UNIT_TEST_CODEC_RANDOM_H
#define ASSENT_TESTS_UNIT_TEST_CODEC_RANDOM_H

#include "common/messages.h"

#define RANDOM_KIND_COUNT 19

/* splitmix64: any seed is fine. */
uint64_t random_next(uint64_t *seed);

enum message_kind random_kind(size_t index); /* index below RANDOM_KIND_COUNT */

/* A message of that kind with every field at random, optional ones sometimes empty; owned. */
struct message random_message(uint64_t *seed, enum message_kind kind);

/* True if both have the same contents, blobs included. */
bool messages_equal(const struct message *a, const struct message *b);

#endif

/*
 * fuzz_message.c - a message from any bytes: refused, or understood so that writing and reading it
 * again gives the same bytes.
 */
#include <string.h>

#include "common/check.h"
#include "common/codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct message message, again;
    struct error error;
    size_t used, used_again;
    if (!codec_decode_message(bytes, size_bytes, &message, &used, &error)) {
        CHECK(error.kind == ERROR_INVALID || error.kind == ERROR_VERSION);
        return 0;
    }
    CHECK(used > 0 && used <= size_bytes);
    struct codec_buffer first = {0}, second = {0};
    codec_encode_message(&first, &message);
    CHECK(codec_decode_message(first.bytes, first.size_bytes, &again, &used_again, &error));
    CHECK(used_again == first.size_bytes);
    codec_encode_message(&second, &again);
    CHECK(first.size_bytes == second.size_bytes &&
          memcmp(first.bytes, second.bytes, first.size_bytes) == 0);
    codec_buffer_done(&first);
    codec_buffer_done(&second);
    message_done(&message);
    message_done(&again);
    return 0;
}

/*
 * fuzz_record.c - the body of a journal record from any bytes: refused, or understood so that writing and reading it again
 * gives the same bytes. The first byte is the record's kind.
 */
#include <string.h>

#include "common/check.h"
#include "recovery/record_codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct record record, again;
    struct error error;
    if (size_bytes == 0) {
        return 0;
    }
    enum record_kind kind = (enum record_kind)bytes[0];
    if (!record_decode(kind, bytes + 1, size_bytes - 1, &record, &error)) {
        CHECK(error.kind == ERROR_INVALID || error.kind == ERROR_VERSION);
        CHECK(error.text[0] != '\0');
        return 0;
    }
    struct record_buffer first = {0}, second = {0};
    record_encode(&record, &first);
    CHECK(record_decode(kind, first.bytes, first.size_bytes, &again, &error));
    record_encode(&again, &second);
    CHECK(first.size_bytes == second.size_bytes &&
          memcmp(first.bytes, second.bytes, first.size_bytes) == 0);
    record_buffer_done(&first);
    record_buffer_done(&second);
    record_done(&record);
    record_done(&again);
    return 0;
}

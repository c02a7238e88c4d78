/*
 * fuzz_frame.c - what arrives on a link before anything is proved: never a proof, never a fault.
 */
#include <string.h>

#include "common/check.h"
#include "common/link_frame.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static const struct link_secret secret = {.size_bytes = 20, .bytes = "not the real secret!"};
    struct frame_keys keys = {.version = 1};
    struct frame_greeting greeting;
    struct frame_denial denial;
    struct frame_data data;
    switch (frame_type_of(bytes, size_bytes)) {
    case FRAME_HELLO:
        if (frame_read_greeting(bytes, size_bytes, FRAME_HELLO, &greeting, NULL)) {
            CHECK(participant_name_valid(greeting.participant));
            CHECK(strnlen(greeting.address, ADDRESS_SIZE) < ADDRESS_SIZE);
        }
        break;
    case FRAME_ACCEPT:
        (void)frame_read_greeting(bytes, size_bytes, FRAME_ACCEPT, &greeting, NULL);
        break;
    case FRAME_REFUSE:
        (void)frame_read_refuse(bytes, size_bytes, &denial, NULL);
        break;
    case FRAME_DATA:
        CHECK(!frame_open(bytes, size_bytes, &keys, true, &data));
        CHECK(!frame_open(bytes, size_bytes, &keys, false, &data));
        break;
    case FRAME_CONFIRM:
    case FRAME_NONE:
        break;
    }
    CHECK(!frame_proves(bytes, size_bytes, &secret, NULL, NULL));
    return 0;
}

/* fuzz_answer.c - any bytes as what a coordinator answers to libassent: refused, or values that can be read and freed. */
#include <string.h>

#include "client/internal.h"
#include "common/check.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct wire_answer wire;
    if (!wire_decode(bytes, size_bytes, &wire)) {
        return 0;
    }
    struct assent_answer *answer = wire_to_answer(&wire, size_bytes % 2 == 0);
    CHECK(answer != NULL && assent_answer_id(answer) != NULL && assent_answer_text(answer) != NULL);
    /* What is not committed is never said to be completed. */
    CHECK(!assent_answer_completed(answer) || assent_answer_outcome(answer) == ASSENT_COMMITTED);
    /* What the coordinator has in hand is never said to be worth sending again, and what is dead is no verdict. */
    const enum assent_outcome outcome = assent_answer_outcome(answer);
    CHECK(!assent_answer_retryable(answer) ||
          (outcome != ASSENT_ACCEPTED && outcome != ASSENT_DEAD));
    CHECK(outcome != ASSENT_ABORTED || strcmp(assent_answer_state(answer), "dead") != 0);
    CHECK(assent_answer_queue(answer) != NULL && assent_answer_waiting_for(answer) != NULL);
    assent_answer_free(answer);
    wire_answer_done(&wire);
    return 0;
}

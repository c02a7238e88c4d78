/* submit.c - libassent as a service would use it: the same request with the same key until its fate is known (kit.h). */
#include "examples/scenarios/kit/kit.h"

#define ADVICE_MAX_MS 2000u

/* Is this all that will be known? Else: once more, with the same key. */
static bool is_final(const struct assent_answer *answer)
{
    switch (assent_answer_outcome(answer)) {
    case ASSENT_COMMITTED:
    case ASSENT_HEURISTIC:
    case ASSENT_DEAD: /* of requests that are to run later: a person's turn */
        return true;
    case ASSENT_ABORTED:
    case ASSENT_REFUSED:
        return !assent_answer_retryable(answer);
    case ASSENT_UNKNOWN:
    case ASSENT_UNAVAILABLE:
    case ASSENT_NOT_FOUND:
    case ASSENT_ACTIVE: /* of interactive transactions only */
    case ASSENT_ACCEPTED:
        break;
    }
    return false;
}

struct assent_answer *submit_until_final(struct kit *kit, const struct assent_request *request)
{
    for (unsigned int attempt = 0;; attempt++) {
        struct assent_answer *answer = assent_submit(kit->assent, request);
        if (is_final(answer)) {
            return answer;
        }
        const uint32_t advised_ms = assent_answer_retry_after_ms(answer);
        kit_pause(kit, attempt, advised_ms < ADVICE_MAX_MS ? advised_ms : ADVICE_MAX_MS,
                  assent_answer_text(answer));
        assent_answer_free(answer);
    }
}

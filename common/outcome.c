/*
 * outcome.c - the names of reasons as clients see them, and ownership of failures.
 */
#include "common/outcome.h"

#include <stddef.h>
#include <string.h>

#include "common/check.h"

static const struct {
    const char *text;
    bool retryable;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"", false},
    [REASON_STATEMENT_FAILED] = {"statement_failed", false},
    [REASON_CONSTRAINT] = {"constraint", false},
    [REASON_ROW_COUNT] = {"row_count", false},
    [REASON_NOT_PREPARABLE] = {"not_preparable", false},
    [REASON_RESULT_TOO_LARGE] = {"result_too_large", false},
    [REASON_ROLLED_BACK_BY_CLIENT] = {"rolled_back_by_client", false},
    [REASON_SERIALIZATION] = {"serialization", true},
    [REASON_DEADLOCK] = {"deadlock", true},
    [REASON_LOCK_TIMEOUT] = {"lock_timeout", true},
    [REASON_REJECTED_BY_POLICY] = {"rejected_by_policy", false},
    [REASON_TIMEOUT] = {"timeout", true},
    [REASON_PARTICIPANT_UNAVAILABLE] = {"participant_unavailable", true},
    [REASON_SHUTDOWN] = {"shutdown", true},
    [REASON_CAPACITY] = {"capacity", true},
    [REASON_OVERLOAD] = {"overload", true},
};

const char *reason_text(enum reason reason)
{
    CHECK((unsigned)reason < REASON_COUNT);
    return reasons[reason].text;
}

bool reason_retryable(enum reason reason)
{
    CHECK((unsigned)reason < REASON_COUNT);
    return reasons[reason].retryable;
}

bool reason_parse(const char *text, enum reason *ret_reason)
{
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (strcmp(text, reasons[reason].text) == 0) {
            *ret_reason = (enum reason)reason;
            return true;
        }
    }
    return false;
}

void failure_copy(const struct failure *from, struct failure *ret_failure)
{
    *ret_failure = *from;
    (void)blob_share(ret_failure->report);
}

void failure_done(struct failure *failure)
{
    blob_free(failure->report);
    *failure = (struct failure){0};
}

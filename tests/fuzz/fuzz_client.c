/*
 * fuzz_client.c - any bytes as a request on the client protocol: refused with a status and a text, or a call within the
 * limits whose statements an agent can read.
 */
#include <string.h>

#include "common/check.h"
#include "common/work.h"
#include "coordinator/client_codec.h"
#include "tests/fuzz/fuzz.h"

static const struct client_limits limits = {.body_bytes = 1 << 20,
                                            .branches = 4,
                                            .statements = 8,
                                            .timeout_default_ms = 5000,
                                            .timeout_max_ms = 60000};

static void check_submission(const struct submission *submission)
{
    size_t statements = 0;
    CHECK(submission->branch_count > 0 && submission->branch_count <= limits.branches);
    CHECK(submission->timeout_ms > 0 && submission->timeout_ms <= limits.timeout_max_ms);
    CHECK(submission->key_bytes <= KEY_MAX_BYTES);
    /* A queue orders what runs later, and nothing else. */
    CHECK(submission->queue[0] == '\0' ||
          (submission->is_async && queue_name_valid(submission->queue)));
    for (size_t i = 0; i < submission->branch_count; i++) {
        struct work work;
        struct error error;
        CHECK(participant_name_valid(submission->branches[i].participant));
        CHECK(work_decode(submission->branches[i].work, &work, &error));
        statements += work.statement_count;
        work_done(&work);
    }
    CHECK(statements <= limits.statements);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct api_call *call = NULL;
    struct client_refusal refusal = {0};
    struct pack pack = {0};
    if (!client_decode_request(bytes, size_bytes, &limits, &call, &refusal)) {
        CHECK(refusal.text[0] != '\0');
        client_encode_refusal(&pack, &refusal);
        pack_done(&pack);
        return 0;
    }
    if (call->operation == API_SUBMIT) {
        check_submission(&call->submission);
    }
    CHECK(!call->wait.is_wait ||
          (call->operation == API_GET && call->wait.wait_ms <= CLIENT_WAIT_MAX_MS));
    api_call_free(call);
    return 0;
}

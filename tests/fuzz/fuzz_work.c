/*
 * fuzz_work.c - payloads from any bytes; the first byte says which of the three. What is understood
 * must read the same once it was written again.
 */
#include "common/check.h"
#include "common/work.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_statements(const struct blob *blob)
{
    struct work work;
    if (work_decode(blob, &work, NULL)) {
        struct blob *first = work_encode(&work), *second;
        work_done(&work);
        CHECK(work_decode(first, &work, NULL));
        second = work_encode(&work);
        CHECK(blob_equal(first, second));
        work_done(&work);
        blob_free(first);
        blob_free(second);
    }
}

static void fuzz_results(const struct blob *blob)
{
    struct results results;
    if (results_decode(blob, &results, NULL)) {
        struct blob *first = results_encode(&results), *second;
        results_done(&results);
        CHECK(results_decode(first, &results, NULL));
        second = results_encode(&results);
        CHECK(blob_equal(first, second));
        results_done(&results);
        blob_free(first);
        blob_free(second);
    }
}

static void fuzz_report(const struct blob *blob)
{
    struct pg_report report;
    if (pg_report_decode(blob, &report, NULL)) {
        struct blob *first = pg_report_encode(&report), *second;
        pg_report_done(&report);
        CHECK(pg_report_decode(first, &report, NULL));
        second = pg_report_encode(&report);
        CHECK(blob_equal(first, second));
        pg_report_done(&report);
        blob_free(first);
        blob_free(second);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes == 0) {
        return 0;
    }
    struct blob *blob = blob_new(bytes + 1, size_bytes - 1);
    switch (bytes[0] % 3) {
    case 0:
        fuzz_statements(blob);
        break;
    case 1:
        fuzz_results(blob);
        break;
    default:
        fuzz_report(blob);
        break;
    }
    blob_free(blob);
    return 0;
}

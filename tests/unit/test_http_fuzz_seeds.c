/*
 * test_http_fuzz_seeds.c - the fuzzer's seeds and every prefix of them, without a fuzzer.
 *
 * Keeps tests/fuzz/fuzz_http_json.c building with any compiler and its promises checked in every run.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static size_t seed_run(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *bytes = alloc_zeroed(65536);
    const size_t size_bytes = fread(bytes, 1, 65536, file);
    assert_int_equal(fclose(file), 0);
    for (size_t length = 0; length <= size_bytes; length++) {
        uint8_t *copy = (uint8_t *)alloc_bytes(bytes, length); /* so that ASan sees an overrun */
        (void)LLVMFuzzerTestOneInput(copy, length);
        free(copy);
    }
    free(bytes);
    return size_bytes;
}

/* No seed and no cut-off seed breaks what the fuzz target promises. */
static void test_fuzz_seeds_and_their_prefixes_hold_the_promises(void **state)
{
    (void)state;
    const char *source = getenv("ASSENT_SOURCE_DIR");
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus_http_json",
                   source == NULL ? "." : source);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t seeds = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            char path[1024];
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            assert_true(seed_run(path) > 0);
            seeds++;
        }
    }
    assert_int_equal(closedir(directory), 0);
    assert_true(seeds >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuzz_seeds_and_their_prefixes_hold_the_promises),
    };
    return cmocka_run_group_tests_name("http_fuzz_seeds", tests, NULL, NULL);
}

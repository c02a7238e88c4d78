/*
 * test_blob.c - blobs: content, equality, and references counted across threads.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <string.h>

#include "common/blob.h"

/* A blob holds its own copy of the bytes, NULs included. */
static void test_blob_new_copies_bytes(void **state)
{
    (void)state;
    char source[] = {'a', '\0', 'b'};
    struct blob *blob = blob_new(source, sizeof source);
    source[0] = 'x';
    assert_int_equal(blob->size_bytes, 3);
    assert_memory_equal(blob->bytes, "a\0b", 3);
    blob_free(blob);
}

/* No bytes are fine, with a NULL source as well. */
static void test_blob_empty_is_valid(void **state)
{
    (void)state;
    struct blob *blob = blob_new(NULL, 0);
    assert_non_null(blob);
    assert_int_equal(blob->size_bytes, 0);
    blob_free(blob);
}

/* NULL equals only NULL; otherwise size and bytes decide. */
static void test_blob_equal_compares_content(void **state)
{
    (void)state;
    struct blob *a = blob_new("ab", 2);
    struct blob *same = blob_new("ab", 2);
    struct blob *other = blob_new("ac", 2);
    struct blob *longer = blob_new("abc", 3);
    struct blob *empty = blob_new("", 0);
    assert_true(blob_equal(a, same));
    assert_false(blob_equal(a, other));
    assert_false(blob_equal(a, longer));
    assert_false(blob_equal(a, NULL));
    assert_false(blob_equal(NULL, empty));
    assert_true(blob_equal(NULL, NULL));
    blob_free(a);
    blob_free(same);
    blob_free(other);
    blob_free(longer);
    blob_free(empty);
}

/* Sharing NULL gives NULL, and freeing it does nothing. */
static void test_blob_null_is_harmless(void **state)
{
    (void)state;
    assert_null(blob_share(NULL));
    blob_free(NULL);
}

/* A shared blob lives until its last reference is gone. */
static void test_blob_shared_survives_first_free(void **state)
{
    (void)state;
    struct blob *first = blob_new("ab", 2);
    struct blob *second = blob_share(first);
    assert_ptr_equal(first, second);
    blob_free(first);
    assert_memory_equal(second->bytes, "ab", 2);
    blob_free(second);
}

static void *share_and_free(void *argument)
{
    struct blob *mine = argument;
    for (int i = 0; i < 10000; i++) {
        blob_free(blob_share(mine));
    }
    blob_free(mine);
    return NULL;
}

/* References from several threads are counted exactly: neither leaked nor freed early (sanitizers
 * look). */
static void test_blob_threads_count_exactly(void **state)
{
    (void)state;
    pthread_t threads[3];
    struct blob *blob = blob_new("ab", 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share_and_free, blob_share(blob)), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(blob->references, 1);
    blob_free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blob_new_copies_bytes),
        cmocka_unit_test(test_blob_empty_is_valid),
        cmocka_unit_test(test_blob_equal_compares_content),
        cmocka_unit_test(test_blob_null_is_harmless),
        cmocka_unit_test(test_blob_shared_survives_first_free),
        cmocka_unit_test(test_blob_threads_count_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test_messages.c - every message kind has a name, and done releases exactly what the message owns.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "common/messages.h"

/* All kinds have different names; a number that is none is still printable. */
static void test_message_kind_names_are_distinct(void **state)
{
    (void)state;
    static const enum message_kind kinds[] = {
        MESSAGE_CLAIM,     MESSAGE_WORK,    MESSAGE_COMMIT,  MESSAGE_ROLLBACK, MESSAGE_VERDICT,
        MESSAGE_HEAD,      MESSAGE_WITNESS, MESSAGE_WELCOME, MESSAGE_FENCED,   MESSAGE_VOTE,
        MESSAGE_ACK,       MESSAGE_INQUIRY, MESSAGE_HEALTH,  MESSAGE_AUDIT,    MESSAGE_AUDITED,
        MESSAGE_STATEMENT, MESSAGE_PREPARE, MESSAGE_ANSWER,  MESSAGE_VERIFY,
    };
    const size_t count = sizeof kinds / sizeof kinds[0];
    for (size_t i = 0; i < count; i++) {
        assert_string_not_equal(message_kind_text(kinds[i]), "unknown");
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(message_kind_text(kinds[i]), message_kind_text(kinds[k]));
        }
    }
    assert_string_equal(message_kind_text((enum message_kind)99), "unknown");
}

/* Done drops one reference of each blob and leaves an empty message, so a second done is harmless.
 */
static void test_message_done_releases_blobs_once(void **state)
{
    (void)state;
    struct blob *blob = blob_new("x", 1);
    struct message work = {.kind = MESSAGE_WORK, .as.work.work = blob_share(blob)};
    struct message vote = {
        .kind = MESSAGE_VOTE,
        .as.vote = {.results = blob_share(blob), .failure.report = blob_share(blob)},
    };
    struct message statement = {.kind = MESSAGE_STATEMENT, .as.statement.work = blob_share(blob)};
    struct message answer = {.kind = MESSAGE_ANSWER, .as.answer.results = blob_share(blob)};
    assert_int_equal(blob->references, 6);
    message_done(&statement);
    message_done(&answer);
    assert_int_equal(blob->references, 4);
    message_done(&work);
    assert_int_equal(blob->references, 3);
    message_done(&vote);
    assert_int_equal(blob->references, 1);
    message_done(&work);
    message_done(&vote);
    assert_int_equal(blob->references, 1);
    assert_int_equal(work.kind, 0);
    blob_free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_kind_names_are_distinct),
        cmocka_unit_test(test_message_done_releases_blobs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

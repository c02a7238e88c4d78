/* test_client_json.c - the command line's JSON: texts as they are written, places of errors, members set. */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/json.h"

static struct json parse(const char *text)
{
    struct error error;
    assert_success(json_check(text, strlen(text), &error), &error);
    return json_root(text, strlen(text));
}

static void assert_member(struct json object, const char *name, const char *expected)
{
    char *text = json_get_text(object, name);
    assert_string_equal(text, expected);
    free(text);
}

/* Numbers, texts, booleans and null come out as they stand; escapes are resolved. */
static void test_json_get_gives_texts_as_written(void **state)
{
    (void)state;
    const struct json object =
        parse(" { \"n\" : 12.50 , \"big\":123456789012345678901234567890, \"t\":\"a\\\"b\\u00e9\\n"
              "\\ud83d\\ude00\", \"b\":true, \"z\":null, \"deep\":{\"n\":[1,{\"x\":\"]}\"}]},"
              "\"last\": -1e5 }\n");
    assert_member(object, "n", "12.50");
    assert_member(object, "big", "123456789012345678901234567890");
    assert_member(object, "t", "a\"b\xc3\xa9\n\xf0\x9f\x98\x80");
    assert_member(object, "b", "true");
    assert_member(object, "z", "");
    assert_member(object, "nothing", "");
    assert_member(object, "last", "-1e5");
    assert_member(json_get(object, "deep"), "n", "[1,{\"x\":\"]}\"}]");
    assert_true(json_is_true(json_get(object, "b")));
    assert_true(json_is_null(json_get(object, "z")));
    assert_true(json_is_null(json_get(object, "nothing")));
}

/* Arrays and objects are walked item by item, nested ones as a whole. */
static void test_json_next_walks_every_item(void **state)
{
    (void)state;
    const struct json array = parse("[1, [2, 3], {\"a\": [4]}, \"5\", []]");
    static const char *const expected[] = {"1", "[2, 3]", "{\"a\": [4]}", "5", "[]"};
    struct json item = {0};
    size_t count = 0;
    while (json_next(array, &item)) {
        char *text = json_text(item);
        assert_string_equal(text, expected[count++]);
        free(text);
    }
    assert_int_equal(count, 5);
    assert_int_equal(json_count(array), 5);
    assert_int_equal(json_count(parse("[]")), 0);
    assert_int_equal(json_count(parse("7")), 0);
}

/* A mistake is told with its line and column. */
static void test_json_check_names_the_place(void **state)
{
    (void)state;
    static const char *const broken[] = {"",      "{",       "[1,]",    "{\"a\":01}",
                                         "[1] 2", "{'a':1}", "\"\xff\""};
    struct error error = {0};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_false(json_check(broken[i], strlen(broken[i]), &error));
        assert_non_null(strstr(error.text, "line 1"));
    }
    static const char text[] = "{\n  \"a\": 1,\n  oops\n}";
    assert_false(json_check(text, sizeof text - 1, &error));
    assert_non_null(strstr(error.text, "line 3"));
}

static void assert_set(const char *before, const char *after)
{
    char *changed = json_set(parse(before), "key", "\"k\"");
    assert_string_equal(changed, after);
    struct error error;
    assert_success(json_check(changed, strlen(changed), &error), &error);
    free(changed);
}

/* A member is replaced where it stands at the top, else put in front; the rest stays as it is written. */
static void test_json_set_changes_one_member(void **state)
{
    (void)state;
    assert_set("{}", "{\"key\":\"k\"}");
    assert_set("{ \"a\": 1.50 }", "{\"key\":\"k\", \"a\": 1.50 }");
    assert_set("{\"key\":{\"x\":1},\"a\":2}", "{\"key\":\"k\",\"a\":2}");
    assert_set("{\"a\":{\"key\":1}}", "{\"key\":\"k\",\"a\":{\"key\":1}}");
}

/* Quoting gives JSON that reads back the same. */
static void test_json_quote_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "plain", "a\"b\\c", "line\nfeed\t\x01", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *quoted = json_quote(texts[i]);
        char *text = json_text(parse(quoted));
        assert_string_equal(text, texts[i]);
        free(text);
        free(quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_get_gives_texts_as_written),
        cmocka_unit_test(test_json_next_walks_every_item),
        cmocka_unit_test(test_json_check_names_the_place),
        cmocka_unit_test(test_json_set_changes_one_member),
        cmocka_unit_test(test_json_quote_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

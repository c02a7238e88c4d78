/*
 * test_pg_judge.c - which database an agent works with: what a new connection says about its server, and the verdict.
 *
 * The facts themselves are read from real servers by tests/spec/test_p14_identity.c; here are also those that no test has a
 * server for.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "participant/pg_connect.h"

static struct pg_facts good_facts(void)
{
    struct pg_facts facts = {.version = 150020,
                             .max_prepared = 100,
                             .setup_found = true,
                             .setup_version = SETUP_VERSION};
    facts.identity.system_id = facts.setup_system_id = 7;
    (void)strcpy(facts.identity.database, "shop");
    (void)strcpy(facts.setup_database, "shop");
    (void)strcpy(facts.setup_participant, "order");
    facts.setup_token_matches = true;
    return facts;
}

static void expect(const struct pg_facts *facts, enum health health, const char *words)
{
    char text[HEALTH_TEXT_SIZE];
    assert_int_equal(pg_facts_judge(facts, "order", text), health);
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    }
}

/* P-11: behind a pooler nobody knows whose backend is whose, so the fence could end others'. */
static void test_p11_pooler_is_refused(void **state)
{
    (void)state;
    struct pg_facts facts = good_facts();
    expect(&facts, HEALTH_UP, "");
    facts.pooled = true;
    expect(&facts, HEALTH_REFUSED, "a connection pooler stands in between");
    facts.in_recovery =
        true; /* whatever else is wrong: what it says about the rest may be another server's */
    facts.setup_found = false;
    expect(&facts, HEALTH_REFUSED, "a connection pooler stands in between");
}

/* A server that will never do is told from one that is a standby just now. */
static void test_p14_server_that_is_too_old_is_refused(void **state)
{
    (void)state;
    struct pg_facts facts = good_facts();
    facts.version = 130011;
    expect(&facts, HEALTH_REFUSED, "PostgreSQL 13 is too old");
    facts = good_facts();
    facts.in_recovery = true;
    expect(&facts, HEALTH_READ_ONLY, "standby");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p11_pooler_is_refused),
        cmocka_unit_test(test_p14_server_that_is_too_old_is_refused),
    };
    return cmocka_run_group_tests_name("pg_judge", tests, NULL, NULL);
}

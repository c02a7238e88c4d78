/* test_client_transaction.c - libassent's interactive transactions and the client edge together, against a stand-in for the owner
 * thread; and what the edge makes of such requests from others. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/work.h"
#include "coordinator/client_codec.h"
#include "coordinator/submission_hash.h"
#include "tests/unit/test_client_sink.h"

#define ID "00000000000000000000000000000000-1-0000000000000000-7"

/* What the stand-in answers next, and what it was asked last. One thread writes at a time: the test between requests, the sink
 * during one. */
struct world {
    struct sink *sink;
    struct assent_client *client;
    enum api_status status;
    enum reason reason;
    enum txn_state state;
    enum api_operation operation;
    uint32_t timeout_ms;
    uint64_t seq;
    uint64_t attempt; /* given out last */
    char participant[PARTICIPANT_NAME_SIZE];
    bool has_mode, read_only, commit;
    enum isolation isolation;
    enum ack_mode ack;
    uint8_t hash[BODY_HASH_BYTES];
    char sql[64]; /* or the operation, its first argument's name and value: "debit account=c-7" */
};

static void remember(struct world *world, const struct api_call *call)
{
    world->operation = call->operation;
    world->timeout_ms = call->timeout_ms;
    world->commit = call->end.commit;
    world->ack = call->end.ack;
    if (call->operation == API_EXTERNAL) {
        memcpy(world->participant, call->external.participant, sizeof world->participant);
    }
    if (call->operation == API_STATEMENT) {
        const struct interactive_statement *statement = &call->statement;
        struct work work;
        struct error error;
        world->seq = statement->seq;
        world->has_mode = statement->has_mode;
        world->read_only = statement->read_only;
        world->isolation = statement->isolation;
        memcpy(world->participant, statement->participant, sizeof world->participant);
        memcpy(world->hash, statement->hash, sizeof world->hash);
        assert_success(work_decode(statement->work, &work, &error), &error);
        const struct statement *first = &work.statements[0];
        if (first->sql != NULL) {
            (void)snprintf(world->sql, sizeof world->sql, "%s", first->sql);
        } else {
            (void)snprintf(world->sql, sizeof world->sql, "%s %s=%s", first->operation,
                           first->arg_names[0], first->params[0]);
        }
        work_done(&work);
    }
}

static struct blob *results_make(const char *value)
{
    char *values[] = {(char *)(uintptr_t)value};
    struct result_column column = {.name = (char[]){"n"}, .type = (char[]){"text"}, .oid = 25};
    struct result result = {.command = (char[]){"SELECT 1"},
                            .rows_affected = 1,
                            .column_count = 1,
                            .columns = &column,
                            .row_count = 1,
                            .values = values};
    const struct results results = {.result_count = 1, .results = &result};
    return results_encode(&results);
}

static bool on_call(void *user, struct api_call *call)
{
    struct world *world = user;
    remember(world, call);
    struct api_answer *answer = &call->answer;
    answer->status = world->status;
    answer->reason = world->reason;
    if (world->status == API_CONFLICT) {
        (void)snprintf(answer->text, sizeof answer->text, "not now");
    }
    if (world->status == API_OK || world->status == API_ABORTED) {
        answer->views = alloc_zeroed(sizeof *answer->views);
        answer->view_count = 1;
        answer->views[0].gtrid = (struct gtrid){.epoch = 1, .sequence = 7};
        answer->views[0].state = world->state;
        answer->views[0].completed = world->state == TXN_COMMITTED;
        answer->views[0].failure.reason = world->reason;
        if (call->operation == API_STATEMENT) {
            answer->views[0].branches = alloc_array(1, sizeof *answer->views[0].branches);
            answer->views[0].branch_count = 1;
            answer->views[0].branches[0].state = BRANCH_WORKING;
            memcpy(answer->views[0].branches[0].participant, world->participant,
                   sizeof world->participant);
        }
    }
    if (call->operation == API_EXTERNAL && world->status == API_OK) {
        answer->gid.gtrid = answer->views[0].gtrid;
        answer->gid.attempt = ++world->attempt;
        memcpy(answer->gid.participant, world->participant, sizeof world->participant);
    }
    if (call->operation == API_STATEMENT && world->status == API_OK) {
        answer->seq = world->seq;
        answer->results = results_make(world->sql);
    }
    return true;
}

static int setup(void **state)
{
    struct world *world = alloc_zeroed(sizeof *world);
    world->status = API_OK;
    world->state = TXN_OPEN;
    world->sink = sink_new(on_call, world, NULL, 0);
    assert_int_equal(assent_client_open(sink_address(world->sink), &world->client), ASSENT_OK);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    assent_client_close(world->client);
    sink_free(world->sink);
    free(world);
    return 0;
}

static void expect(struct assent_answer *answer, enum assent_outcome outcome, const char *reason)
{
    if (assent_answer_outcome(answer) != outcome) {
        fail_msg("%s: %s", assent_outcome_text(assent_answer_outcome(answer)),
                 assent_answer_text(answer));
    }
    assert_string_equal(assent_answer_reason(answer), reason);
    assent_answer_free(answer);
}

static struct assent_transaction *opened(const struct world *world)
{
    struct assent_transaction *transaction = NULL;
    expect(assent_open(world->client, 30000, &transaction), ASSENT_ACTIVE, "");
    assert_non_null(transaction);
    return transaction;
}

static struct assent_answer *execute(struct assent_transaction *transaction,
                                     const char *participant, const char *sql)
{
    return assent_execute(transaction, participant, sql, ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);
}

/* Open, two statements with their results, commit: everything arrives, numbered from 1 over all participants. */
static void test_transaction_walk_arrives_and_answers(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    assert_int_equal(world->operation, API_OPEN);
    assert_int_equal(world->timeout_ms, 30000);
    assert_string_equal(assent_transaction_id(transaction), ID);
    struct assent_answer *answer = execute(transaction, "order", "SELECT 1");
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACTIVE);
    assert_string_equal(assent_answer_id(answer), ID);
    const struct assent_result *result = assent_answer_result(answer, "order", 0);
    assert_string_equal(assent_result_value(result, 0, 0), "SELECT 1");
    assert_null(assent_answer_result(answer, "payment", 0));
    assert_null(assent_answer_result(answer, "order", 1));
    assent_answer_free(answer);
    assert_int_equal(world->seq, 1);
    assert_string_equal(world->participant, "order");
    expect(execute(transaction, "payment", "SELECT 2"), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 2);
    assert_string_equal(world->participant, "payment");
    world->state = TXN_COMMITTED;
    answer = assent_commit(transaction, ASSENT_ACK_DECIDED);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    assert_true(assent_answer_completed(answer));
    assent_answer_free(answer);
    assert_int_equal(world->operation, API_CLOSE);
    assert_true(world->commit);
    assert_int_equal(world->ack, ACK_MODE_DECIDED);
    assent_transaction_free(transaction);
}

/* A rollback is an abort, now or before; of what has committed it is refused. */
static void test_transaction_rollback_answers(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    world->state = TXN_ABORTING;
    world->reason = REASON_ROLLED_BACK_BY_CLIENT;
    expect(assent_rollback(transaction), ASSENT_ABORTED, "rolled_back_by_client");
    assert_int_equal(world->operation, API_CLOSE);
    assert_false(world->commit);
    world->reason = REASON_NONE;
    world->status = API_CONFLICT;
    expect(assent_rollback(transaction), ASSENT_REFUSED, "conflict");
    assent_transaction_free(transaction);
}

/* What was refused was not counted, and its number is free; what has failed is over. */
static void test_transaction_refused_statement_keeps_its_number(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
    world->status = API_UNKNOWN_PARTICIPANT;
    expect(execute(transaction, "stock", "SELECT 1"), ASSENT_REFUSED, "unknown_participant");
    assert_int_equal(world->seq, 2);
    world->status = API_OK;
    expect(execute(transaction, "order", "SELECT 2"), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 2);
    world->status = API_ABORTED;
    world->state = TXN_ABORTED;
    world->reason = REASON_CONSTRAINT;
    expect(execute(transaction, "order", "SELECT 3"), ASSENT_ABORTED, "constraint");
    expect(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_ABORTED, "constraint");
    assent_transaction_free(transaction);
}

/* An operation is a statement like another, numbered and repeated with them. */
/* Each time another name, and the statements' numbers do not notice. */
static void test_transaction_external_branch_has_a_name(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    for (int i = 1; i <= 2; i++) {
        char gid[256];
        (void)snprintf(gid, sizeof gid, "assent:" ID ":order:%016x", (unsigned int)i);
        struct assent_answer *answer = assent_external_branch(transaction, "order");
        assert_int_equal(assent_answer_outcome(answer), ASSENT_ACTIVE);
        assert_string_equal(assent_answer_gid(answer), gid);
        assert_int_equal(world->operation, API_EXTERNAL);
        assert_string_equal(world->participant, "order");
        assent_answer_free(answer);
    }
    struct assent_answer *answer = execute(transaction, "payment", "SELECT 1");
    assert_string_equal(assent_answer_gid(answer), "");
    expect(answer, ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 1);
    world->operation = API_STATEMENT;
    expect(assent_external_branch(transaction, NULL), ASSENT_REFUSED, "malformed");
    expect(assent_external_branch(transaction, "Order!"), ASSENT_REFUSED, "malformed");
    assert_int_equal(world->operation, API_STATEMENT); /* nobody was asked */
    world->status = API_CONFLICT;
    answer = assent_external_branch(transaction, "payment");
    assert_string_equal(assent_answer_gid(answer), "");
    expect(answer, ASSENT_REFUSED, "conflict");
    assent_transaction_free(transaction);
}

static void test_transaction_runs_operations(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
    struct assent_answer *answer = assent_execute_operation(
        transaction, "payment", "debit", ASSENT_PARAMS("amount", "1", "account", "c-7"), 1);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACTIVE);
    assert_string_equal(assent_result_value(assent_answer_result(answer, "payment", 0), 0, 0),
                        "debit account=c-7");
    assert_int_equal(world->seq, 2);
    assent_answer_free(answer);
    expect(assent_execute_again(transaction), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 2);
    assert_string_equal(world->sql, "debit account=c-7");
    const size_t calls = sink_call_count(world->sink);
    expect(assent_execute_operation(transaction, "payment", "debit", ASSENT_PARAMS("account"), 1),
           ASSENT_REFUSED, "malformed");
    expect(assent_execute_operation(transaction, "payment", "debit",
                                    ASSENT_PARAMS("a", "1", "a", "2"), 1),
           ASSENT_REFUSED, "malformed");
    expect(assent_execute_operation(transaction, "payment", "", ASSENT_NO_PARAMS, 1),
           ASSENT_REFUSED, "malformed");
    assert_int_equal(sink_call_count(world->sink), calls);
    expect(execute(transaction, "payment", "SELECT 2"), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 3);
    assent_transaction_free(transaction);
}

/* Mistakes are told before anything is sent, each call for itself. */
static void test_transaction_mistakes_are_told_here(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = NULL;
    expect(assent_open(world->client, 0, &transaction), ASSENT_REFUSED, "malformed");
    assert_null(transaction);
    transaction = opened(world);
    const size_t calls = sink_call_count(world->sink);
    expect(assent_execute_again(transaction), ASSENT_REFUSED, "malformed");
    expect(execute(transaction, "Order", "SELECT 1"), ASSENT_REFUSED, "malformed");
    expect(execute(transaction, NULL, "SELECT 1"), ASSENT_REFUSED, "malformed");
    expect(execute(transaction, "order", ""), ASSENT_REFUSED, "malformed");
    expect(execute(transaction, "order", "\xff"), ASSENT_REFUSED, "malformed");
    expect(assent_execute(transaction, "order", "SELECT $1", ASSENT_PARAMS("\xc3\x28"),
                          ASSENT_ANY_ROWS),
           ASSENT_REFUSED, "malformed");
    char *large = alloc_array(5 << 20, 1);
    memset(large, 'x', (5 << 20) - 1);
    expect(assent_execute(transaction, "order", "SELECT $1", ASSENT_PARAMS(large), ASSENT_ANY_ROWS),
           ASSENT_REFUSED, "limit");
    free(large);
    assert_int_equal(assent_transaction_set_isolation(transaction, "order", 7), ASSENT_E_ARGUMENT);
    assert_int_equal(assent_transaction_set_read_only(transaction, NULL, true), ASSENT_E_ARGUMENT);
    assert_int_equal(sink_call_count(world->sink), calls);
    expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 1);
    assent_transaction_free(transaction);
    assent_transaction_free(NULL);
}

/* Isolation and read_only go with every statement of the branch, and cannot change once it has begun. */
static void test_transaction_modes_belong_to_the_branch(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    assert_int_equal(assent_transaction_set_isolation(transaction, "order", ASSENT_SERIALIZABLE),
                     ASSENT_OK);
    assert_int_equal(assent_transaction_set_read_only(transaction, "order", true), ASSENT_OK);
    expect(execute(transaction, "payment", "SELECT 1"), ASSENT_ACTIVE, "");
    assert_int_equal(world->isolation, ISOLATION_READ_COMMITTED);
    assert_false(world->read_only);
    for (size_t i = 0; i < 2; i++) {
        expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
        assert_true(world->has_mode);
        assert_int_equal(world->isolation, ISOLATION_SERIALIZABLE);
        assert_true(world->read_only);
    }
    assert_int_equal(assent_transaction_set_isolation(transaction, "order", ASSENT_READ_COMMITTED),
                     ASSENT_E_ARGUMENT);
    assert_int_equal(assent_transaction_set_read_only(transaction, "order", false),
                     ASSENT_E_ARGUMENT);
    assent_transaction_free(transaction);
}

/* A statement whose answer is not known must be repeated, under its number and with its words, before anything else. */
static void test_transaction_unknown_answer_is_asked_for_again(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
    world->status = API_OUTCOME_UNKNOWN;
    expect(execute(transaction, "order", "SELECT 2"), ASSENT_UNKNOWN, "");
    uint8_t hash[BODY_HASH_BYTES];
    memcpy(hash, world->hash, sizeof hash);
    const size_t calls = sink_call_count(world->sink);
    expect(execute(transaction, "order", "SELECT 3"), ASSENT_REFUSED, "conflict");
    /* It may never have arrived: a commit now would be one without it. */
    expect(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_REFUSED, "conflict");
    assert_int_equal(sink_call_count(world->sink), calls);
    world->status = API_OK;
    struct assent_answer *answer = assent_execute_again(transaction);
    assert_string_equal(assent_result_value(assent_answer_result(answer, "order", 0), 0, 0),
                        "SELECT 2");
    expect(answer, ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 2);
    assert_memory_equal(world->hash, hash, sizeof hash);
    expect(assent_execute_again(transaction), ASSENT_ACTIVE, ""); /* as often as one likes */
    assert_int_equal(world->seq, 2);
    expect(execute(transaction, "order", "SELECT 3"), ASSENT_ACTIVE, "");
    assert_int_equal(world->seq, 3);
    assent_transaction_free(transaction);
}

/* One that was beyond a limit is known not to be done, whichever copy of it arrives: the transaction can be committed without it. */
static void test_transaction_beyond_a_limit_is_not_unsure(void **state)
{
    struct world *world = *state;
    struct assent_transaction *transaction = opened(world);
    expect(execute(transaction, "order", "SELECT 1"), ASSENT_ACTIVE, "");
    world->status = API_OUTCOME_UNKNOWN;
    expect(execute(transaction, "order", "SELECT 2"), ASSENT_UNKNOWN, "");
    world->status = API_LIMIT;
    expect(assent_execute_again(transaction), ASSENT_REFUSED, "limit");
    world->status = API_OK;
    world->state = TXN_COMMITTED;
    expect(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_COMMITTED, "");
    assent_transaction_free(transaction);
}

/* Without a coordinator nothing is done, and it is said so. */
static void test_transaction_without_coordinator_is_unavailable(void **state)
{
    (void)state;
    struct assent_client *client = NULL;
    struct assent_transaction *transaction = NULL;
    assert_int_equal(assent_client_open("127.0.0.1:1", &client), ASSENT_OK);
    assert_int_equal(assent_client_set_connect_timeout_ms(client, 50), ASSENT_OK);
    expect(assent_open(client, 1000, &transaction), ASSENT_UNAVAILABLE, "coordinator_unavailable");
    assert_null(transaction);
    assent_client_close(client);
}

/* ---- the edge, with requests of its own making ---- */

static const struct client_limits limits = {.body_bytes = 1 << 20,
                                            .branches = 64,
                                            .statements = 3,
                                            .timeout_default_ms = 5000,
                                            .timeout_max_ms = 60000};

static void pack_head(struct pack *pack, size_t members, const char *operation)
{
    pack_map(pack, 2 + members);
    pack_text(pack, "v");
    pack_int(pack, 1);
    pack_text(pack, "op");
    pack_text(pack, operation);
}

static void pack_branch_sql(struct pack *pack, size_t statements, const char *sql)
{
    struct work work = {.statement_count = statements,
                        .statements = alloc_array(statements, sizeof *work.statements)};
    for (size_t i = 0; i < statements; i++) {
        work.statements[i] =
            (struct statement){.sql = alloc_string(sql), .expect_rows = EXPECT_ROWS_ANY};
    }
    struct blob *blob = work_encode(&work);
    work_done(&work);
    pack_text(pack, "branch");
    pack_map(pack, 2);
    pack_text(pack, "participant");
    pack_text(pack, "order");
    pack_text(pack, "work");
    pack_bytes(pack, blob->bytes, blob->size_bytes);
    blob_free(blob);
}

static void pack_branch(struct pack *pack, size_t statements)
{
    pack_branch_sql(pack, statements, "SELECT 1");
}

static void pack_id(struct pack *pack)
{
    pack_text(pack, "id");
    pack_text(pack, ID);
}

/* Takes the pack's contents. */
static void expect_refusal(struct pack *pack, enum client_status status)
{
    struct api_call *call = NULL;
    struct client_refusal refusal = {0};
    assert_false(client_decode_request(pack->bytes, pack->size_bytes, &limits, &call, &refusal));
    assert_string_equal(client_status_text(refusal.status), client_status_text(status));
    pack_done(pack);
    *pack = (struct pack){0};
}

/* A statement has a transaction, a branch and in it one statement; modes that are not given are not taken for given; the hash is that of
 * the HTTP edge. */
static void test_edge_statement_is_checked(void **state)
{
    (void)state;
    struct pack pack = {0};
    struct api_call *call = NULL;
    struct client_refusal refusal;
    pack_head(&pack, 2, "statement");
    pack_id(&pack);
    pack_branch(&pack, 1);
    assert_true(client_decode_request(pack.bytes, pack.size_bytes, &limits, &call, &refusal));
    assert_false(call->statement.has_mode);
    assert_int_equal(call->statement.seq, 0);
    uint8_t hash[BODY_HASH_BYTES];
    memcpy(hash, call->statement.hash, sizeof hash);
    submission_hash_statement(&call->statement);
    assert_memory_equal(hash, call->statement.hash, sizeof hash);
    api_call_free(call);
    pack_done(&pack);
    pack = (struct pack){0};

    pack_head(&pack, 1, "statement");
    pack_id(&pack);
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 1, "statement");
    pack_branch(&pack, 1);
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 2, "statement");
    pack_id(&pack);
    pack_branch(&pack, 2);
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 2, "statement");
    pack_id(&pack);
    pack_branch_sql(&pack, 1, "; -- nothing to do");
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 2, "statement");
    pack_id(&pack);
    pack_branch(&pack, 4);
    expect_refusal(&pack, CLIENT_LIMIT);
    pack_head(&pack, 3, "statement");
    pack_id(&pack);
    pack_branch(&pack, 1);
    pack_branch(&pack, 1);
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 3, "statement");
    pack_id(&pack);
    pack_branch(&pack, 1);
    pack_text(&pack, "seq");
    pack_int(&pack, 0);
    expect_refusal(&pack, CLIENT_MALFORMED);
}

/* The other operations need an id and take no members of each other; a deadline has its limit. */
static void test_edge_open_and_close_are_checked(void **state)
{
    (void)state;
    struct pack pack = {0};
    struct api_call *call = NULL;
    struct client_refusal refusal;
    pack_head(&pack, 0, "open");
    assert_true(client_decode_request(pack.bytes, pack.size_bytes, &limits, &call, &refusal));
    assert_int_equal(call->timeout_ms, 5000);
    api_call_free(call);
    pack_done(&pack);
    pack = (struct pack){0};
    pack_head(&pack, 1, "open");
    pack_text(&pack, "timeout_ms");
    pack_int(&pack, 60001);
    expect_refusal(&pack, CLIENT_LIMIT);
    pack_head(&pack, 1, "open");
    pack_id(&pack);
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 0, "commit");
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 0, "rollback");
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 2, "rollback");
    pack_id(&pack);
    pack_text(&pack, "ack");
    pack_text(&pack, "decided");
    expect_refusal(&pack, CLIENT_MALFORMED);
    pack_head(&pack, 1, "commit");
    pack_text(&pack, "id");
    pack_text(&pack, "nobody");
    expect_refusal(&pack, CLIENT_NOT_FOUND);
}

#define world_test(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(test_transaction_walk_arrives_and_answers),
        world_test(test_transaction_rollback_answers),
        world_test(test_transaction_refused_statement_keeps_its_number),
        world_test(test_transaction_external_branch_has_a_name),
        world_test(test_transaction_runs_operations),
        world_test(test_transaction_mistakes_are_told_here),
        world_test(test_transaction_modes_belong_to_the_branch),
        world_test(test_transaction_unknown_answer_is_asked_for_again),
        world_test(test_transaction_beyond_a_limit_is_not_unsure),
        cmocka_unit_test(test_transaction_without_coordinator_is_unavailable),
        cmocka_unit_test(test_edge_statement_is_checked),
        cmocka_unit_test(test_edge_open_and_close_are_checked),
    };
    return cmocka_run_group_tests_name("client_transaction", tests, NULL, NULL);
}

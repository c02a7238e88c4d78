/*
 * test_http_answers.c - the core's answers as clients see them: status, headers and bodies word for word.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/http_render.h"
#include "tests/unit/http_stand_in.h"

#define GOOD "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}"
#define ID   "abababababababababababababababab-3-0123456789abcdef-7"

/* What the stand-in's thread does for the current test; set before the request is sent. */
struct script {
    void (*answer)(struct api_call *call, int variant);
    int variant;
};

static struct script script;

static void on_answer(struct api_call *call, void *user)
{
    (void)user;
    script.answer(call, script.variant);
}

static int group_setup(void **state)
{
    static struct stand_in stand_in;
    stand_in_start(&stand_in, NULL, on_answer, NULL);
    *state = &stand_in;
    return 0;
}

static int group_teardown(void **state)
{
    stand_in_stop(*state);
    return 0;
}

static void submit(struct stand_in *stand_in, const char *headers,
                   void (*answer)(struct api_call *call, int variant), int variant,
                   struct wire_reply *ret_reply)
{
    script = (struct script){.answer = answer, .variant = variant};
    wire_post(stand_in->port, "/v1/transactions", headers, GOOD, ret_reply);
}

static void get(struct stand_in *stand_in, const char *path,
                void (*answer)(struct api_call *call, int variant), int variant,
                struct wire_reply *ret_reply)
{
    script = (struct script){.answer = answer, .variant = variant};
    wire_get(stand_in->port, path, ret_reply);
}

static struct txn_view *view_add(struct api_call *call, enum txn_state state)
{
    struct api_answer *answer = &call->answer;
    answer->views = alloc_resize(answer->views, answer->view_count + 1, sizeof *answer->views);
    struct txn_view *view = &answer->views[answer->view_count];
    *view = (struct txn_view){.gtrid = stand_in_gtrid(7 - answer->view_count), .state = state};
    answer->view_count++;
    return view;
}

static struct branch_view *branch_add(struct txn_view *view, const char *participant,
                                      enum branch_state state)
{
    view->branches = alloc_resize(view->branches, view->branch_count + 1, sizeof *view->branches);
    struct branch_view *branch = &view->branches[view->branch_count++];
    *branch = (struct branch_view){.state = state};
    (void)snprintf(branch->participant, sizeof branch->participant, "%s", participant);
    return branch;
}

static struct blob *results_make(void)
{
    char *values[] = {(char[]){"12.50"}, NULL, (char[]){"q\"\n\xc3\xa9"},
                      (char[]){"123456789012345678901234567890"}};
    struct result_column columns[] = {
        {.name = (char[]){"amount"}, .type = (char[]){"numeric"}, .oid = 1700},
        {.name = (char[]){"note"}, .type = (char[]){"text"}, .oid = 25}};
    struct result list[] = {{.command = (char[]){"INSERT 0 1"}, .rows_affected = 1},
                            {.command = (char[]){"SELECT 2"},
                             .rows_affected = 2,
                             .column_count = 2,
                             .columns = columns,
                             .row_count = 2,
                             .values = values}};
    const struct results results = {.result_count = 2, .results = list};
    return results_encode(&results);
}

static void answer_committed(struct api_call *call, int variant)
{
    call->answer.status = API_OK;
    call->answer.replayed = variant == 2;
    struct txn_view *view = view_add(call, variant == 1 ? TXN_COMMITTING : TXN_COMMITTED);
    view->completed = variant != 1;
    branch_add(view, "order", BRANCH_COMMITTED)->results = results_make();
    (void)branch_add(view, "payment", variant == 1 ? BRANCH_COMMITTING : BRANCH_COMMITTED);
}

#define BRANCHES                                                                                   \
    "\"branches\":[{\"participant\":\"order\",\"results\":[{\"command\":\"INSERT 0 1\","           \
    "\"rows_affected\":1,\"columns\":[],\"rows\":[]},{\"command\":\"SELECT "                       \
    "2\",\"rows_affected\":2,"                                                                     \
    "\"columns\":[{\"name\":\"amount\",\"type\":\"numeric\",\"oid\":1700},{\"name\":\"note\","     \
    "\"type\":\"text\",\"oid\":25}],\"rows\":[[\"12.50\",null],[\"q\\\"\\n\xc3\xa9\","             \
    "\"123456789012345678901234567890\"]]}]},{\"participant\":\"payment\",\"results\":[]}]}\n"

/* A completed commit is answered word for word as documented, with its id in body and header. */
static void test_submit_committed_answers_golden_body(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_committed, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body,
                        "{\"id\":\"" ID "\",\"state\":\"committed\",\"completed\":true," BRANCHES);
    assert_string_equal(wire_header(&reply, "Content-Type"), "application/json");
    assert_string_equal(wire_header(&reply, "Assent-Transaction"), ID);
    assert_null(wire_header(&reply, "Idempotent-Replayed"));
    wire_reply_done(&reply);
}

/* A replay is the same bytes as the first answer; only a header tells. */
static void test_submit_replayed_commit_is_word_for_word_the_first(void **state)
{
    struct wire_reply first;
    struct wire_reply second;
    submit(*state, "", answer_committed, 0, &first);
    submit(*state, "", answer_committed, 2, &second);
    assert_int_equal(second.status, 200);
    assert_string_equal(first.body, second.body);
    assert_string_equal(wire_header(&second, "Idempotent-Replayed"), "true");
    wire_reply_done(&first);
    wire_reply_done(&second);
}

/* A commit that is decided and not finished everywhere says so and names who is missing. */
static void test_submit_unfinished_commit_names_pending(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_committed, 1, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body,
                        "{\"id\":\"" ID "\",\"state\":\"committed\",\"completed\":false,"
                        "\"pending\":[\"payment\"]," BRANCHES);
    wire_reply_done(&reply);
}

static void answer_heuristic(struct api_call *call, int variant)
{
    (void)variant;
    call->answer.status = API_OK;
    struct txn_view *view = view_add(call, TXN_HEURISTIC);
    view->completed = true; /* must not be believed */
    (void)branch_add(view, "order", BRANCH_COMMITTED);
    struct branch_view *branch = branch_add(view, "payment", BRANCH_HEURISTIC_ROLLBACK);
    (void)snprintf(branch->detail, sizeof branch->detail, "rolled back by hand");
}

/* A heuristic outcome can not be mistaken for a commit: state, completed and every branch say it. */
static void test_submit_heuristic_is_not_dressed_as_commit(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_heuristic, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(
        reply.body,
        "{\"id\":\"" ID "\",\"state\":\"heuristic\",\"completed\":false,\"pending\":[],"
        "\"branches\":[{\"participant\":\"order\",\"state\":\"committed\",\"results\":[]},"
        "{\"participant\":\"payment\",\"state\":\"heuristic-rollback\",\"detail\":"
        "\"rolled back by hand\",\"results\":[]}]}\n");
    wire_reply_done(&reply);
}

static void answer_aborted(struct api_call *call, int variant)
{
    call->answer.status = API_ABORTED;
    struct txn_view *view = view_add(call, TXN_ABORTED);
    view->failure.reason = (enum reason)variant;
    (void)snprintf(view->failed_participant, sizeof view->failed_participant, "payment");
    (void)snprintf(view->failure_text, sizeof view->failure_text, "what the agent said");
}

/* Every reason has the status, the retry advice and the Retry-After of docs/ERRORS.md. */
static void test_submit_abort_status_follows_the_reason_table(void **state)
{
    static const struct {
        enum reason reason;
        int status;
        bool retryable;
    } rows[] = {
        {REASON_STATEMENT_FAILED, 409, false}, {REASON_CONSTRAINT, 409, false},
        {REASON_ROW_COUNT, 409, false},        {REASON_NOT_PREPARABLE, 409, false},
        {REASON_RESULT_TOO_LARGE, 409, false}, {REASON_ROLLED_BACK_BY_CLIENT, 409, false},
        {REASON_SERIALIZATION, 409, true},     {REASON_DEADLOCK, 409, true},
        {REASON_LOCK_TIMEOUT, 409, true},      {REASON_REJECTED_BY_POLICY, 403, false},
        {REASON_TIMEOUT, 504, true},           {REASON_PARTICIPANT_UNAVAILABLE, 503, true},
        {REASON_SHUTDOWN, 503, true},          {REASON_CAPACITY, 503, true},
        {REASON_OVERLOAD, 429, true},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], REASON_COUNT - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_reply reply;
        submit(*state, "", answer_aborted, (int)rows[i].reason, &reply);
        assert_problem(&reply, rows[i].status, reason_text(rows[i].reason));
        char members[512];
        (void)snprintf(members, sizeof members,
                       "\"status\":%d,\"detail\":\"what the agent said\",\"id\":\"" ID
                       "\",\"state\":\"aborted\",\"reason\":\"%s\",\"participant\":\"payment\","
                       "\"retryable\":%s}\n",
                       rows[i].status, reason_text(rows[i].reason),
                       rows[i].retryable ? "true" : "false");
        assert_non_null(strstr(reply.body, members));
        const bool asks_to_wait = rows[i].status == 429 || rows[i].status == 503;
        assert_int_equal(wire_header(&reply, "Retry-After") != NULL, asks_to_wait);
        wire_reply_done(&reply);
    }
}

static void answer_constraint(struct api_call *call, int variant)
{
    answer_aborted(call, REASON_CONSTRAINT);
    struct txn_view *view = &call->answer.views[0];
    memcpy(view->failure.sqlstate, "23505", SQLSTATE_SIZE);
    const struct pg_report report = {.message = variant == 1 ? (char[]){"bad \xff byte"}
                                                             : (char[]){"duplicate key value"},
                                     .detail = (char[]){"Key (id)=(o-1) already exists."},
                                     .constraint = (char[]){"orders_pkey"},
                                     .table = (char[]){"orders"},
                                     .statement_index = 0};
    view->failure.report = pg_report_encode(&report);
}

/* What PostgreSQL said is under "postgresql", its SQLSTATE also at the top. */
static void test_submit_abort_carries_what_postgresql_said(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_constraint, 0, &reply);
    assert_string_equal(
        reply.body,
        "{\"type\":\"urn:assent:problem:constraint\",\"title\":\"A constraint was "
        "violated\",\"status\":"
        "409,\"detail\":\"duplicate key value\",\"id\":\"" ID
        "\",\"state\":\"aborted\",\"reason\":\"constraint\",\"participant\":\"payment\","
        "\"retryable\":"
        "false,\"sqlstate\":\"23505\",\"postgresql\":{\"sqlstate\":\"23505\",\"message\":"
        "\"duplicate "
        "key value\",\"detail\":\"Key (id)=(o-1) already exists.\",\"constraint\":\"orders_pkey\","
        "\"table\":\"orders\",\"statement\":0}}\n");
    wire_reply_done(&reply);
}

static void answer_row_count(struct api_call *call, int variant)
{
    (void)variant;
    answer_aborted(call, REASON_ROW_COUNT);
    const struct pg_report report = {.message = (char[]){"statement 1 touched 0 rows"},
                                     .statement_index = 1};
    call->answer.views[0].failure.report = pg_report_encode(&report);
}

/* The agent's own words are not put into PostgreSQL's mouth; the statement is still named. */
static void test_submit_abort_by_the_agent_claims_nothing_of_postgresql(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_row_count, 0, &reply);
    assert_problem(&reply, 409, "row_count");
    assert_non_null(strstr(reply.body, "\"detail\":\"statement 1 touched 0 rows\","));
    assert_non_null(strstr(reply.body, "\"postgresql\":{\"statement\":1}}\n"));
    wire_reply_done(&reply);
}

static void answer_seen_aborted(struct api_call *call, int variant)
{
    answer_constraint(call, variant);
    call->answer.status = API_OK;
}

/* Whoever asks later reads the same reason in the same words as the client that got the abort. */
static void test_get_aborted_transaction_tells_what_was_said(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/transactions/" ID, answer_seen_aborted, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"reason\":\"constraint\",\"retryable\":false,"
                                       "\"participant\":\"payment\",\"sqlstate\":\"23505\","
                                       "\"detail\":\"duplicate key value\""));
    wire_reply_done(&reply);
}

/* A report that breaks the codec's rules is left out, and the reason is still told. */
static void test_submit_abort_with_unreadable_report_keeps_the_reason(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_constraint, 1, &reply);
    assert_problem(&reply, 409, "constraint");
    assert_null(strstr(reply.body, "\xff"));
    wire_reply_done(&reply);
}

static void answer_status(struct api_call *call, int variant)
{
    call->answer.status = (enum api_status)variant;
    (void)snprintf(call->answer.text, sizeof call->answer.text, "because");
    if (variant == API_REFUSED) {
        call->answer.reason = REASON_PARTICIPANT_UNAVAILABLE;
        call->answer.retry_after_s = 7;
    }
    (void)snprintf(call->answer.participant, sizeof call->answer.participant, "payment");
}

/* Answers that are no outcome have their documented status, and never the words committed or aborted. */
static void test_submit_other_answers_are_mapped(void **state)
{
    static const struct {
        enum api_status answer;
        int status;
        const char *slug;
        const char *said;
    } rows[] = {
        {API_REFUSED, 503, "participant_unavailable",
         "\"participant\":\"payment\",\"retryable\":true"},
        {API_OUTCOME_UNKNOWN, 504, "outcome_unknown", "\"state\":\"unknown\",\"retryable\":false"},
        {API_KEY_CONFLICT, 422, "key_conflict", "\"detail\":\"because\""},
        {API_UNKNOWN_PARTICIPANT, 422, "unknown_participant", "\"participant\":\"payment\""},
        {API_NOT_FOUND, 404, "unknown_transaction", "because"},
        {API_EXPIRED, 404, "expired", "because"},
        {API_CONFLICT, 409, "conflict", "because"},
        {API_LIMIT, 422, "limit", "because"},
        {API_FAILED, 500, "internal", "\"state\":\"unknown\""},
        {API_OK, 500, "internal", "\"state\":\"unknown\""}, /* OK without an outcome is none */
        {API_ABORTED, 500, "internal", "\"state\":\"unknown\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_reply reply;
        submit(*state, "", answer_status, (int)rows[i].answer, &reply);
        assert_problem(&reply, rows[i].status, rows[i].slug);
        assert_non_null(strstr(reply.body, rows[i].said));
        assert_null(strstr(reply.body, "\"committed\""));
        assert_null(strstr(reply.body, "\"aborted\""));
        if (rows[i].answer == API_REFUSED) {
            assert_string_equal(wire_header(&reply, "Retry-After"), "7");
        }
        wire_reply_done(&reply);
    }
}

/* With a key an unknown outcome may be asked for again with the same request. */
static void test_submit_unknown_outcome_with_a_key_is_retryable(void **state)
{
    struct wire_reply reply;
    submit(*state, "Idempotency-Key: k1\r\n", answer_status, API_OUTCOME_UNKNOWN, &reply);
    assert_problem(&reply, 504, "outcome_unknown");
    assert_non_null(strstr(reply.body, "\"state\":\"unknown\",\"retryable\":true"));
    wire_reply_done(&reply);
}

static void answer_undecided(struct api_call *call, int variant)
{
    call->answer.status = API_OK;
    (void)view_add(call, (enum txn_state)variant);
}

/* An OK for a transaction that is not decided commit is an internal error, never "committed". */
static void test_submit_ok_without_decision_is_not_committed(void **state)
{
    static const enum txn_state states[] = {TXN_ACTIVE, TXN_PREPARING, TXN_DECIDING, TXN_ABORTING,
                                            TXN_ABORTED};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct wire_reply reply;
        submit(*state, "", answer_undecided, (int)states[i], &reply);
        assert_problem(&reply, 500, "internal");
        assert_non_null(strstr(reply.body, "\"state\":\"unknown\""));
        wire_reply_done(&reply);
    }
}

static void answer_unreadable_results(struct api_call *call, int variant)
{
    (void)variant;
    call->answer.status = API_OK;
    struct txn_view *view = view_add(call, TXN_COMMITTED);
    branch_add(view, "order", BRANCH_COMMITTED)->results = blob_new("\xc1garbage", 8);
}

/* Results that cannot be decoded are an error, not an empty answer. */
static void test_submit_unreadable_results_are_not_passed_off_as_none(void **state)
{
    struct wire_reply reply;
    submit(*state, "", answer_unreadable_results, 0, &reply);
    assert_problem(&reply, 500, "internal");
    wire_reply_done(&reply);
}

static void answer_transaction(struct api_call *call, int variant)
{
    call->answer.status = API_OK;
    struct txn_view *view = view_add(call, TXN_DECIDING);
    view->key_bytes = 3;
    memcpy(view->key, "k-1", 4);
    view->in_doubt = true;
    view->created_wall_ms = 1795240380123;
    struct branch_view *branch = branch_add(view, "order", BRANCH_PREPARED);
    branch->has_gid = true;
    branch->gid = (struct gid){.gtrid = view->gtrid, .attempt = 0x1f, .participant = "order"};
    if (variant == 1) {
        view->event_count = 1;
        view->events = alloc_array(1, sizeof *view->events);
        view->events[0] = (struct txn_event_view){.wall_ms = 1795240380123,
                                                  .since_start_us = 42,
                                                  .kind = "voted-commit",
                                                  .participant = "order",
                                                  .detail = "fast"};
    }
}

/* One transaction as operators see it; a decision in the journal's hands is still "preparing". */
static void test_get_transaction_answers_golden_body(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/transactions/" ID, answer_transaction, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body,
                        "{\"id\":\"" ID
                        "\",\"state\":\"preparing\",\"key\":\"k-1\",\"completed\":false,"
                        "\"in_doubt\":true,\"created\":\"2026-11-21T05:53:00.123Z\",\"branches\":[{"
                        "\"participant\":\"order\",\"state\":\"prepared\",\"gid\":\"assent:" ID
                        ":order:000000000000001f\"}]}\n");
    struct stand_in *stand_in = *state;
    assert_false(stand_in->want_events);
    wire_reply_done(&reply);
}

/* The history of one transaction. */
static void test_get_events_answers_golden_body(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/transactions/" ID "/events", answer_transaction, 1, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(
        reply.body, "{\"id\":\"" ID "\",\"state\":\"preparing\",\"events\":[{\"time\":"
                    "\"2026-11-21T05:53:00.123Z\",\"since_start_us\":42,\"kind\":\"voted-commit\","
                    "\"participant\":\"order\",\"detail\":\"fast\"}]}\n");
    struct stand_in *stand_in = *state;
    assert_true(stand_in->want_events);
    wire_reply_done(&reply);
}

/* Unknown and expired transactions are told apart. */
static void test_get_transaction_unknown_or_expired_is_404(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/transactions/" ID, answer_status, API_NOT_FOUND, &reply);
    assert_problem(&reply, 404, "unknown_transaction");
    wire_reply_done(&reply);
    get(*state, "/v1/transactions/" ID, answer_status, API_EXPIRED, &reply);
    assert_problem(&reply, 404, "expired");
    assert_null(strstr(reply.body, "aborted"));
    wire_reply_done(&reply);
}

static void answer_list(struct api_call *call, int variant)
{
    call->answer.status = API_OK;
    if (variant == 0) {
        return;
    }
    struct txn_view *aborted = view_add(call, TXN_ABORTED);
    aborted->failure.reason = REASON_ROW_COUNT;
    (void)snprintf(aborted->failed_participant, sizeof aborted->failed_participant, "payment");
    struct txn_view *committed = view_add(call, TXN_COMMITTED);
    committed->completed = true;
    branch_add(committed, "order", BRANCH_COMMITTED)->results = results_make();
    call->answer.has_next = true;
}

/* A page of transactions carries no results, and "next" is the last one's id. */
static void test_list_answers_golden_body(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/transactions", answer_list, 0, &reply);
    assert_string_equal(reply.body, "{\"transactions\":[],\"next\":null}\n");
    wire_reply_done(&reply);
    get(*state, "/v1/transactions", answer_list, 1, &reply);
    assert_string_equal(
        reply.body,
        "{\"transactions\":[{\"id\":\"" ID
        "\",\"state\":\"aborted\",\"completed\":false,\"in_doubt\":false,\"reason\":\"row_count\","
        "\"retryable\":false,\"participant\":\"payment\",\"branches\":[]},{\"id\":"
        "\"abababababababababababababababab-3-0123456789abcdef-6\",\"state\":\"committed\","
        "\"completed\":true,\"in_doubt\":false,\"branches\":[{\"participant\":\"order\",\"state\":"
        "\"committed\"}]}],\"next\":\"abababababababababababababababab-3-0123456789abcdef-6\"}\n");
    wire_reply_done(&reply);
}

/* Every filter of the query reaches the owner thread. */
static void test_list_query_reaches_the_call(void **state)
{
    struct stand_in *stand_in = *state;
    struct wire_reply reply;
    get(stand_in, "/v1/transactions", answer_list, 0, &reply);
    wire_reply_done(&reply);
    assert_true(stand_in->list.any_state);
    assert_int_equal(stand_in->list.limit, 100);
    assert_false(stand_in->list.has_after);
    get(stand_in,
        "/v1/transactions?state=in-doubt&participant=payment&key=a%20b%26c&limit=1000&after=" ID,
        answer_list, 0, &reply);
    assert_int_equal(reply.status, 200);
    wire_reply_done(&reply);
    assert_false(stand_in->list.any_state);
    assert_true(stand_in->list.in_doubt);
    assert_string_equal(stand_in->list.participant, "payment");
    assert_string_equal(stand_in->list.key, "a b&c");
    assert_int_equal(stand_in->list.key_bytes, 5);
    assert_int_equal(stand_in->list.limit, 1000);
    const struct gtrid after = stand_in_gtrid(7);
    assert_true(stand_in->list.has_after && gtrid_equal(&stand_in->list.after, &after));
    get(stand_in, "/v1/transactions?state=aborting", answer_list, 0, &reply);
    wire_reply_done(&reply);
    assert_false(stand_in->list.any_state || stand_in->list.in_doubt);
    assert_int_equal(stand_in->list.state, TXN_ABORTING);
}

/* A resolution reaches the owner thread whole, and a refused one says why. */
static void test_resolve_reaches_the_call_and_conflict_is_409(void **state)
{
    struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script = (struct script){.answer = answer_transaction};
    wire_post(stand_in->port, "/v1/transactions/" ID "/resolve", "",
              "{\"action\":\"forget\",\"participant\":\"payment\",\"comment\":\"seen, refunded by "
              "hand\"}",
              &reply);
    assert_int_equal(reply.status, 200);
    wire_reply_done(&reply);
    const struct gtrid gtrid = stand_in_gtrid(7);
    assert_true(gtrid_equal(&stand_in->resolve.gtrid, &gtrid));
    assert_int_equal(stand_in->resolve.action, RESOLVE_FORGET);
    assert_string_equal(stand_in->resolve.participant, "payment");
    assert_string_equal(stand_in->resolve.comment, "seen, refunded by hand");
    script = (struct script){.answer = answer_status, .variant = API_CONFLICT};
    wire_post(stand_in->port, "/v1/transactions/" ID "/resolve", "",
              "{\"action\":\"commit\",\"participant\":\"payment\",\"comment\":\"c\"}", &reply);
    assert_problem(&reply, 409, "conflict");
    assert_non_null(strstr(reply.body, "\"detail\":\"because\""));
    wire_reply_done(&reply);
}

static void answer_participants(struct api_call *call, int variant)
{
    (void)variant;
    call->answer.status = API_OK;
    call->answer.participant_count = 2;
    call->answer.participants = alloc_array(2, sizeof *call->answer.participants);
    call->answer.participants[0] =
        (struct participant_view){.name = "order",
                                  .address = "tcp://127.0.0.1:7401",
                                  .version = "0.1.0",
                                  .link_up = true,
                                  .ready = true,
                                  .health = HEALTH_UP,
                                  .identity = {.system_id = 7300000000000000001u,
                                               .timeline = 1,
                                               .database_oid = 16384,
                                               .database = "shop"},
                                  .prepared_count = 2,
                                  .misplaced_count = 3,
                                  .in_doubt = 1,
                                  .votes_yes = 10};
    call->answer.participants[1] = (struct participant_view){
        .name = "payment", .address = "tcp://127.0.0.1:7402", .text = "cannot connect"};
}

/* Participants, one of which was never heard of. */
static void test_participants_answer_golden_body(void **state)
{
    struct wire_reply reply;
    get(*state, "/v1/participants", answer_participants, 0, &reply);
    assert_string_equal(
        reply.body,
        "{\"participants\":[{\"name\":\"order\",\"address\":\"tcp://127.0.0.1:7401\",\"version\":"
        "\"0.1.0\",\"link_up\":true,\"ready\":true,\"health\":\"up\",\"text\":\"\",\"database\":{"
        "\"name\":"
        "\"shop\",\"system_id\":\"7300000000000000001\",\"timeline\":1,\"oid\":16384},\"prepared\":"
        "2,"
        "\"foreign\":0,\"misplaced\":3,\"oldest_prepared_ms\":0,\"swept_number\":0,\"in_doubt\":1,"
        "\"votes_yes\":10,"
        "\"votes_no\":0,\"heuristics\":0},{\"name\":\"payment\",\"address\":\"tcp://"
        "127.0.0.1:7402\","
        "\"version\":null,\"link_up\":false,\"ready\":false,\"health\":\"unknown\",\"text\":"
        "\"cannot "
        "connect\",\"database\":null,\"prepared\":0,\"foreign\":0,\"misplaced\":0,\"oldest_"
        "prepared_ms\":0,"
        "\"swept_number\":0,\"in_doubt\":0,\"votes_yes\":0,\"votes_no\":0,\"heuristics\":0}]}\n");
    wire_reply_done(&reply);
}

static void answer_metrics(struct api_call *call, int variant)
{
    (void)variant;
    static const struct metric metrics[] = {
        {"assent_transactions_total", "Transactions by outcome.", "counter", "state=\"committed\"",
         3},
        {"assent_transactions_total", NULL, "counter", "state=\"aborted\"", 18446744073709551616.0},
        {"assent_in_doubt", "Branches in doubt.", "gauge", "", 0.5},
    };
    call->answer.status = API_OK;
    call->answer.metric_count = 3;
    call->answer.metrics = alloc_array(3, sizeof metrics[0]);
    memcpy(call->answer.metrics, metrics, sizeof metrics);
}

/* Prometheus text: HELP and TYPE once per name, labels as given. */
static void test_metrics_are_prometheus_text(void **state)
{
    struct wire_reply reply;
    get(*state, "/metrics", answer_metrics, 0, &reply);
    assert_string_equal(wire_header(&reply, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(reply.body,
                        "# HELP assent_transactions_total Transactions by outcome.\n"
                        "# TYPE assent_transactions_total counter\n"
                        "assent_transactions_total{state=\"committed\"} 3\n"
                        "assent_transactions_total{state=\"aborted\"} 1.8446744073709552e+19\n"
                        "# HELP assent_in_doubt Branches in doubt.\n"
                        "# TYPE assent_in_doubt gauge\n"
                        "assent_in_doubt 0.5\n"
                        "# HELP assent_streams Clients of the stream of changes.\n"
                        "# TYPE assent_streams gauge\n"
                        "assent_streams 0\n"
                        "# HELP assent_waits Requests that wait for an outcome.\n"
                        "# TYPE assent_waits gauge\n"
                        "assent_waits 0\n");
    wire_reply_done(&reply);
}

static void answer_ready(struct api_call *call, int variant)
{
    call->answer.status = (enum api_status)variant;
    (void)snprintf(call->answer.text, sizeof call->answer.text, "waiting for payment");
}

/* Live is the process; ready is what the owner thread says. */
static void test_livez_and_readyz_tell_different_things(void **state)
{
    struct wire_reply reply;
    get(*state, "/readyz", answer_ready, API_REFUSED, &reply);
    assert_problem(&reply, 503, "not_ready");
    assert_non_null(strstr(reply.body, "waiting for payment"));
    assert_non_null(wire_header(&reply, "Retry-After"));
    wire_reply_done(&reply);
    get(*state, "/livez", answer_ready, API_REFUSED, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"live\":true,\"version\":\"test\"}\n");
    wire_reply_done(&reply);
    get(*state, "/readyz", answer_ready, API_OK, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"ready\":true}\n");
    wire_reply_done(&reply);
}

/* Bytes that are not UTF-8 never reach a client as such. */
static void test_json_writer_repairs_invalid_utf8(void **state)
{
    (void)state;
    struct json_writer *writer = json_writer_new();
    json_writer_string(writer, "a\xff\xc3\xa9\xed\xa0\x80z\xe2\x82");
    struct text text = {0};
    json_writer_finish(writer, &text);
    static const char wanted[] = "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"
                                 "\xef\xbf\xbd\xef\xbf\xbd\"\n";
    assert_int_equal(text.size_bytes, sizeof wanted - 1);
    assert_memory_equal(text.bytes, wanted, sizeof wanted - 1);
    text_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_committed_answers_golden_body),
        cmocka_unit_test(test_submit_replayed_commit_is_word_for_word_the_first),
        cmocka_unit_test(test_submit_unfinished_commit_names_pending),
        cmocka_unit_test(test_submit_heuristic_is_not_dressed_as_commit),
        cmocka_unit_test(test_submit_abort_status_follows_the_reason_table),
        cmocka_unit_test(test_submit_abort_carries_what_postgresql_said),
        cmocka_unit_test(test_submit_abort_by_the_agent_claims_nothing_of_postgresql),
        cmocka_unit_test(test_get_aborted_transaction_tells_what_was_said),
        cmocka_unit_test(test_submit_abort_with_unreadable_report_keeps_the_reason),
        cmocka_unit_test(test_submit_other_answers_are_mapped),
        cmocka_unit_test(test_submit_unknown_outcome_with_a_key_is_retryable),
        cmocka_unit_test(test_submit_ok_without_decision_is_not_committed),
        cmocka_unit_test(test_submit_unreadable_results_are_not_passed_off_as_none),
        cmocka_unit_test(test_get_transaction_answers_golden_body),
        cmocka_unit_test(test_get_events_answers_golden_body),
        cmocka_unit_test(test_get_transaction_unknown_or_expired_is_404),
        cmocka_unit_test(test_list_answers_golden_body),
        cmocka_unit_test(test_list_query_reaches_the_call),
        cmocka_unit_test(test_resolve_reaches_the_call_and_conflict_is_409),
        cmocka_unit_test(test_participants_answer_golden_body),
        cmocka_unit_test(test_metrics_are_prometheus_text),
        cmocka_unit_test(test_livez_and_readyz_tell_different_things),
        cmocka_unit_test(test_json_writer_repairs_invalid_utf8),
    };
    return cmocka_run_group_tests_name("http_answers", tests, group_setup, group_teardown);
}

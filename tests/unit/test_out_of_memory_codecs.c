/*
 * test_out_of_memory_codecs.c - memory runs out in whatever reads and writes bytes: JSON, both daemons' configuration, the
 * client protocol from libassent to the coordinator and back, the messages of the link, the journal's records (R1).
 *
 * failing_loop.h says what may come of it.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/internal.h"
#include "common/alloc.h"
#include "common/codec.h"
#include "coordinator/client_codec.h"
#include "coordinator/config.h"
#include "coordinator/http_render.h"
#include "coordinator/http_submit.h"
#include "participant/config.h"
#include "recovery/record_codec.h"
#include "tests/lib/failing_loop.h"
#include "tests/lib/journal_kit.h"
#include "tests/unit/test_codec_random.h"

/* ---- JSON ---- */

#define JSON_TEXT_BYTES 40000 /* more than a chunk of the parser's memory */

static char json_body[JSON_TEXT_BYTES + 1000];

static void make_json_body(void)
{
    char sql[JSON_TEXT_BYTES + 1];
    memset(sql, 'x', JSON_TEXT_BYTES);
    sql[JSON_TEXT_BYTES] = '\0';
    (void)snprintf(json_body, sizeof json_body,
                   "{\"key\":\"k\\u00e9y\",\"timeout_ms\":700,\"branches\":["
                   "{\"participant\":\"order\",\"statements\":["
                   "{\"sql\":\"INSERT INTO t VALUES ($1, $2, $3)\",\"params\":[12.50,null,\"a\"],"
                   "\"expect_rows\":1}]},"
                   "{\"participant\":\"payment\",\"statements\":[{\"sql\":\"%s\"}]}]}",
                   sql);
}

static bool run_json_parse(void *user, struct error *ret_error)
{
    struct json_document *document = NULL;
    (void)user;
    if (!json_document_parse((const uint8_t *)json_body, strlen(json_body), &document, ret_error)) {
        return false;
    }
    const struct json_value *root = json_document_root(document);
    loop_check(root->child_count == 3 && strcmp(root->first->text, "k\xc3\xa9y") == 0);
    const struct json_value *branches = root->last;
    const struct json_value *long_sql = branches->last->last->first->first;
    loop_check(branches->child_count == 2 && long_sql->text_bytes == JSON_TEXT_BYTES);
    const struct json_value *params = branches->first->last->first->first->next;
    loop_check(strcmp(params->first->text, "12.50") == 0 && params->child_count == 3);
    json_document_free(document);
    return true;
}

static bool run_json_submission(void *user, struct error *ret_error)
{
    static const struct http_limits limits = {.body_bytes = 1 << 20,
                                              .branches = 4,
                                              .statements = 8,
                                              .timeout_default_ms = 5000,
                                              .timeout_max_ms = 60000};
    struct submission submission;
    struct problem problem = {0};
    (void)user;
    if (!submit_parse(&limits, NULL, (const uint8_t *)json_body, strlen(json_body), &submission,
                      &problem)) {
        return error_set(ret_error, ERROR_INVALID, "%s", problem.detail);
    }
    struct work work;
    loop_check(submission.branch_count == 2 && submission.timeout_ms == 700);
    loop_check(work_decode(submission.branches[0].work, &work, ret_error));
    loop_check(work.statement_count == 1 && work.statements[0].param_count == 3 &&
               strcmp(work.statements[0].params[0], "12.50") == 0 &&
               work.statements[0].params[1] == NULL && work.statements[0].expect_rows == 1);
    work_done(&work);
    submission_done(&submission);
    return true;
}

static bool run_json_problem(void *user, struct error *ret_error)
{
    static const char body[] = "{\"branches\":[{\"participant\":\"order\",\"statements\":[{}]}]}";
    static const struct http_limits limits = {
        .body_bytes = 1 << 20, .branches = 4, .statements = 8};
    struct submission submission;
    struct problem problem = {0};
    struct text text = {0};
    (void)user;
    (void)ret_error;
    loop_check(!submit_parse(&limits, NULL, (const uint8_t *)body, sizeof body - 1, &submission,
                             &problem));
    problem_render(&problem, &text);
    loop_check(memmem(text.bytes, text.size_bytes, "branches[0].statements[0]", 25) != NULL);
    text_done(&text);
    return true;
}

static bool run_json_write(void *user, struct error *ret_error)
{
    static const char expected[] = "{\"a\":[1,-2,null,true,\"x\\ny\"],\"bad\":\"\xef\xbf\xbd\"}\n";
    struct text text = {0};
    (void)user;
    (void)ret_error;
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    json_writer_name(writer, "a");
    json_writer_array_open(writer);
    json_writer_unsigned(writer, 1);
    json_writer_signed(writer, -2);
    json_writer_null(writer);
    json_writer_boolean(writer, true);
    json_writer_string(writer, "x\ny");
    json_writer_array_close(writer);
    json_writer_member_string(writer, "bad", "\xff");
    json_writer_object_close(writer);
    json_writer_finish(writer, &text);
    loop_check(text.size_bytes == sizeof expected - 1 &&
               memcmp(text.bytes, expected, text.size_bytes) == 0);
    text_done(&text);
    return true;
}

static bool run_metrics_write(void *user, struct error *ret_error)
{
    struct metric metrics[2] = {{"assent_a_total", "What a is.", "counter", "state=\"x\"", 1},
                                {"assent_a_total", NULL, "counter", "state=\"y\"", 2}};
    const struct api_answer answer = {.metric_count = 2, .metrics = metrics};
    struct text text = {0};
    (void)user;
    (void)ret_error;
    render_metrics(&answer, &text);
    loop_check(memmem(text.bytes, text.size_bytes, "assent_a_total{state=\"y\"} 2", 27) != NULL);
    text_done(&text);
    return true;
}

/* A request that meets the end of memory is refused or ends the process, and an answer is never half an answer. */
static void test_json_allocation_fails_ends_cleanly(void **state)
{
    static const struct loop_case cases[] = {
        {.name = "JSON document", .run = run_json_parse},
        {.name = "JSON submission", .run = run_json_submission},
        {.name = "problem document", .run = run_json_problem},
        {.name = "JSON writer", .run = run_json_write},
        {.name = "metrics", .run = run_metrics_write},
    };
    (void)state;
    make_json_body();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(loop_allocations(&cases[i]) > 0);
    }
}

/* ---- configuration ---- */

struct files {
    char folder[64];
    char config[96];
    char secret[96];
};

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void files_make(struct files *files)
{
    (void)snprintf(files->folder, sizeof files->folder, "/tmp/assent-memory-XXXXXX");
    assert_non_null(mkdtemp(files->folder));
    (void)snprintf(files->config, sizeof files->config, "%s/conf", files->folder);
    (void)snprintf(files->secret, sizeof files->secret, "%s/secret", files->folder);
    write_file(files->secret, "0123456789abcdef0123456789abcdef\n");
}

static void files_remove(const struct files *files)
{
    assert_int_equal(unlink(files->config), 0);
    assert_int_equal(unlink(files->secret), 0);
    assert_int_equal(rmdir(files->folder), 0);
}

static bool run_config_coordinator(void *user, struct error *ret_error)
{
    const struct files *files = user;
    struct config config;
    if (!config_load(files->config, &config, ret_error)) {
        return false;
    }
    loop_check(strcmp(config.http, "127.0.0.1:7500") == 0);
    loop_check(strcmp(config.journal, "/var/lib/assent/one journal.db") == 0);
    loop_check(config.participant_count == 2 && config.timeout_max_ms == 9000);
    loop_check(strcmp(config.participants[1].name, "payment") == 0 &&
               config.participants[1].secret.size_bytes == 32);
    config_done(&config);
    return true;
}

static bool run_config_agent(void *user, struct error *ret_error)
{
    const struct files *files = user;
    struct agent_settings settings;
    if (!agent_settings_load(files->config, &settings, ret_error)) {
        return false;
    }
    loop_check(strcmp(settings.core.participant, "order") == 0);
    loop_check(strcmp(settings.conninfo, "host=/run/postgresql dbname=orders user=assent") == 0);
    return true;
}

/* Either daemon's file is read whole, or refused with a text, or the process ends: a start never goes on with half of it. */
static void test_config_allocation_fails_ends_cleanly(void **state)
{
    struct files files;
    char text[1024];
    (void)state;
    files_make(&files);
    (void)snprintf(text, sizeof text,
                   "[assentd]\nhttp = 127.0.0.1:7500\njournal = /var/lib/assent/one\n  journal.db\n"
                   "timeout_max = 9s\n"
                   "[participant order]\naddress = 127.0.0.1:7411\nsecret_file = %s\n"
                   "[participant payment]\naddress = 127.0.0.1:7412\nsecret_file = %s\n",
                   files.secret, files.secret);
    write_file(files.config, text);
    const struct loop_case coordinator = {
        .name = "assentd.conf", .user = &files, .run = run_config_coordinator};
    assert_true(loop_allocations(&coordinator) > 20);

    (void)snprintf(text, sizeof text,
                   "[agent]\nparticipant = order\nlisten = 127.0.0.1:7411\nsecret_file = %s\n"
                   "[database]\nconninfo = host=/run/postgresql dbname=orders\n  user=assent\n"
                   "token_file = %s/token\n",
                   files.secret, files.folder);
    write_file(files.config, text);
    const struct loop_case agent = {
        .name = "assent-agent.conf", .user = &files, .run = run_config_agent};
    assert_true(loop_allocations(&agent) > 20);
    files_remove(&files);
}

/* A file that is wrong is still called wrong: nothing is taken because there was no memory to look at it. */
static bool run_config_wrong(void *user, struct error *ret_error)
{
    const struct files *files = user;
    struct agent_settings settings;
    (void)ret_error;
    struct error error = {0};
    loop_check(!agent_settings_load(files->config, &settings, &error));
    loop_check(error.text[0] != '\0');
    return true;
}

static void test_config_with_password_allocation_fails_is_refused(void **state)
{
    struct files files;
    char text[1024];
    (void)state;
    files_make(&files);
    (void)snprintf(text, sizeof text,
                   "[agent]\nparticipant = order\nlisten = 127.0.0.1:7411\nsecret_file = %s\n"
                   "[database]\nconninfo = dbname=orders password=geheim\ntoken_file = %s/token\n",
                   files.secret, files.folder);
    write_file(files.config, text);
    const struct loop_case wrong = {
        .name = "a password in conninfo", .user = &files, .run = run_config_wrong};
    assert_true(loop_allocations(&wrong) > 20);
    files_remove(&files);
}

/* ---- the client protocol ---- */

static const struct client_limits client_limits = {.body_bytes = 1 << 20,
                                                   .branches = 4,
                                                   .statements = 8,
                                                   .timeout_default_ms = 5000,
                                                   .timeout_max_ms = 60000};

static struct assent_request *new_request(void)
{
    struct assent_request *request = assent_request_new();
    loop_check(assent_request_add(request, "order", "INSERT INTO t VALUES ($1, $2)",
                                  ASSENT_PARAMS("a", NULL), 1) == ASSENT_OK);
    loop_check(assent_request_add(request, "payment", "SELECT 1", ASSENT_NO_PARAMS,
                                  ASSENT_ANY_ROWS) == ASSENT_OK);
    loop_check(assent_request_set_key(request, "key-1") == ASSENT_OK);
    return request;
}

static struct blob *one_row(void)
{
    struct result_column columns[1] = {{(char *)(uintptr_t) "id", (char *)(uintptr_t) "int4", 23}};
    char *values[1] = {(char *)(uintptr_t) "17"};
    struct result one = {(char *)(uintptr_t) "SELECT 1", 1, 1, columns, 1, values};
    const struct results results = {1, &one};
    return results_encode(&results);
}

/* What a coordinator would answer. */
static void answer_commit(struct api_call *call)
{
    struct txn_view *view = alloc_zeroed(sizeof *view);
    view->gtrid = kit_gtrid(1, 7);
    view->state = TXN_COMMITTED;
    view->completed = true;
    view->branch_count = call->submission.branch_count;
    view->branches = alloc_array(view->branch_count, sizeof *view->branches);
    for (size_t i = 0; i < view->branch_count; i++) {
        memcpy(view->branches[i].participant, call->submission.branches[i].participant,
               PARTICIPANT_NAME_SIZE);
        view->branches[i].state = BRANCH_COMMITTED;
        view->branches[i].results = one_row();
    }
    call->answer.status = API_OK;
    call->answer.view_count = 1;
    call->answer.views = view;
}

static void check_answer(struct assent_answer *answer)
{
    const struct assent_result *result = assent_answer_result(answer, "payment", 0);
    loop_check(assent_answer_outcome(answer) == ASSENT_COMMITTED);
    loop_check(assent_answer_completed(answer) && assent_answer_branch_count(answer) == 2);
    loop_check(result != NULL && strcmp(assent_result_value(result, 0, 0), "17") == 0);
    assent_answer_free(answer);
}

/* Encodes a request, decodes it as the coordinator does, answers, and decodes the answer. */
static bool run_client_protocol(void *user, struct error *ret_error)
{
    struct pack pack = {0};
    struct api_call *call = NULL;
    struct client_refusal refusal = {0};
    struct assent_request *request = new_request();
    (void)user;
    wire_encode_submit(&pack, request);
    assent_request_free(request);
    bool taken =
        client_decode_request(pack.bytes, pack.size_bytes, &client_limits, &call, &refusal);
    pack_done(&pack);
    if (!taken) {
        return error_set(ret_error, ERROR_INVALID, "%s", refusal.text);
    }
    loop_check(call->submission.branch_count == 2 && call->submission.key_bytes == 5);
    answer_commit(call);
    client_encode_answer(&pack, call);
    api_call_free(call);
    struct wire_answer wire;
    bool decoded = wire_decode(pack.bytes, pack.size_bytes, &wire);
    pack_done(&pack);
    if (!decoded) {
        return error_set(ret_error, ERROR_INVALID, "the answer is not understood");
    }
    check_answer(wire_to_answer(&wire, true));
    return true;
}

static bool run_client_refusal(void *user, struct error *ret_error)
{
    struct pack pack = {0};
    struct api_call *call = NULL;
    struct client_refusal refusal = {0};
    struct wire_answer wire;
    (void)user;
    (void)ret_error;
    pack_map(&pack, 1);
    pack_text(&pack, "v");
    pack_int(&pack, CLIENT_PROTOCOL_VERSION);
    loop_check(
        !client_decode_request(pack.bytes, pack.size_bytes, &client_limits, &call, &refusal));
    pack_done(&pack);
    client_encode_refusal(&pack, &refusal);
    loop_check(wire_decode(pack.bytes, pack.size_bytes, &wire));
    pack_done(&pack);
    struct assent_answer *answer = wire_to_answer(&wire, false);
    loop_check(assent_answer_outcome(answer) == ASSENT_REFUSED);
    assent_answer_free(answer);
    return true;
}

/* A request that got through is the one that was made; and "committed" is never made up from half an answer. */
static void test_client_protocol_allocation_fails_ends_cleanly(void **state)
{
    static const struct loop_case submit = {.name = "client protocol", .run = run_client_protocol};
    static const struct loop_case refuse = {.name = "a refusal", .run = run_client_refusal};
    (void)state;
    assert_true(loop_allocations(&submit) > 40);
    assert_true(loop_allocations(&refuse) > 0);
}

/* ---- messages and records ---- */

#define MESSAGE_SEED 20261127

static bool run_messages(void *user, struct error *ret_error)
{
    enum message_kind kind = *(const enum message_kind *)user;
    struct codec_buffer buffer = {0};
    uint64_t seed = MESSAGE_SEED;
    struct message sent = random_message(&seed, kind);
    struct message received;
    size_t used = 0;
    codec_encode_message(&buffer, &sent);
    bool decoded =
        codec_decode_message(buffer.bytes, buffer.size_bytes, &received, &used, ret_error);
    if (decoded) {
        loop_check(used == buffer.size_bytes && messages_equal(&sent, &received));
        message_done(&received);
    }
    message_done(&sent);
    codec_buffer_done(&buffer);
    return decoded;
}

/* Every kind of message arrives as it was, or not at all. */
static void test_messages_allocation_fails_end_cleanly(void **state)
{
    (void)state;
    for (size_t i = 0; i < RANDOM_KIND_COUNT; i++) {
        enum message_kind kind = random_kind(i);
        char name[32];
        (void)snprintf(name, sizeof name, "message %d", (int)kind);
        const struct loop_case message = {.name = name, .user = &kind, .run = run_messages};
        assert_true(loop_allocations(&message) > 0);
    }
}

static bool run_records(void *user, struct error *ret_error)
{
    static const char *const names[] = {"order", "payment"};
    struct record records[] = {
        kit_epoch(7, 2, names),
        kit_commit(kit_gtrid(3, 4), "key"),
        kit_accept(kit_gtrid(3, 4), "k"),
        kit_refused(kit_gtrid(3, 4)),
        kit_heuristic(kit_gtrid(3, 4), "order"),
    };
    struct record_buffer first = {0};
    struct record_buffer second = {0};
    bool good = true;
    (void)user;
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct record back;
        record_encode(&records[i], &first);
        good =
            good && record_decode(records[i].kind, first.bytes, first.size_bytes, &back, ret_error);
        if (good) {
            record_encode(&back, &second);
            loop_check(first.size_bytes == second.size_bytes &&
                       memcmp(first.bytes, second.bytes, first.size_bytes) == 0);
            record_done(&back);
        }
        record_done(&records[i]);
    }
    record_buffer_done(&first);
    record_buffer_done(&second);
    return good;
}

/* A record is read as it was written, or not at all. */
static void test_records_allocation_fails_end_cleanly(void **state)
{
    static const struct loop_case records = {.name = "journal records", .run = run_records};
    (void)state;
    assert_true(loop_allocations(&records) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_allocation_fails_ends_cleanly),
        cmocka_unit_test(test_config_allocation_fails_ends_cleanly),
        cmocka_unit_test(test_config_with_password_allocation_fails_is_refused),
        cmocka_unit_test(test_client_protocol_allocation_fails_ends_cleanly),
        cmocka_unit_test(test_messages_allocation_fails_end_cleanly),
        cmocka_unit_test(test_records_allocation_fails_end_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_agent_harness.c - see test_agent_harness.h. */
#include "tests/spec/test_agent_harness.h"

struct agent_config bench_config(void)
{
    return (struct agent_config){
        .participant = PARTICIPANT,
        .sweep_interval_ms = 2000,
        .inquiry_grace_ms = 1000,
        .retry_min_ms = 50,
        .retry_max_ms = 2000,
        .heartbeat_ms = 1000,
        .outcomes_page = 100,
        .tombstone_max = 1000,
        .interactive_max = 2,
    };
}

void bench_step(struct bench *bench, struct agent_event *event)
{
    agent_ready_clear(&bench->ready);
    event->now_ms = bench->now_ms;
    event->random = bench->random++;
    agent_step(bench->agent, event, &bench->ready);
    for (size_t i = 0; i < bench->ready.command_count; i++) {
        if (bench->ready.commands[i].kind == COMMAND_SCAN) {
            assert_int_equal(bench->scan_id, 0); /* never two scans at once */
            bench->scan_id = bench->ready.commands[i].id;
        } else if (bench->ready.commands[i].kind == COMMAND_STORE_WITNESS) {
            bench->store_id = bench->ready.commands[i].id;
        } else if (bench->ready.commands[i].kind == COMMAND_OUTCOMES) {
            assert_int_equal(bench->outcomes_id, 0);
            bench->outcomes_id = bench->ready.commands[i].id;
        }
    }
}

void bench_status(struct bench *bench, enum health health, bool history_changed)
{
    struct database_status status = {
        .health = health,
        .identity = {.system_id = 11, .timeline = history_changed ? 2 : 1, .database_oid = 5},
        .history_changed = history_changed,
    };
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = &status};
    bench_step(bench, &event);
}

void bench_wait(struct bench *bench, uint64_t ms)
{
    bench->now_ms += ms;
    struct agent_event event = {.kind = AGENT_EVENT_TIMER};
    bench_step(bench, &event);
}

void bench_message(struct bench *bench, uint64_t session, struct message *message)
{
    struct agent_event event = {
        .kind = AGENT_EVENT_MESSAGE, .session = session, .message = message};
    bench_step(bench, &event);
}

void bench_result(struct bench *bench, struct command_result *result)
{
    struct agent_event event = {.kind = AGENT_EVENT_RESULT, .result = result};
    bench_step(bench, &event);
}

void bench_stored(struct bench *bench)
{
    bench_answer(bench, bench->store_id, COMMAND_STORE_WITNESS, PG_OK);
}

void bench_answer(struct bench *bench, uint64_t command_id, enum command_kind kind,
                  enum pg_class class)
{
    struct command_result result = {.id = command_id, .kind = kind, .class = class};
    bench_result(bench, &result);
}

void bench_init_config(struct bench *bench, const struct agent_config *config)
{
    *bench = (struct bench){.now_ms = 1000000, .random = 1};
    bench->agent = agent_new(config, bench->now_ms);
    bench_status(bench, HEALTH_UP, false);
    bench_scan(bench, 0, NULL, 0);
}

void bench_init(struct bench *bench)
{
    struct agent_config config = bench_config();
    bench_init_config(bench, &config);
}

void bench_done(struct bench *bench)
{
    agent_ready_done(&bench->ready);
    agent_free(bench->agent);
}

struct journal_id bench_journal(void)
{
    struct journal_id id;
    memset(id.bytes, 0xab, sizeof(id.bytes));
    return id;
}

struct gtrid bench_gtrid(uint64_t sequence)
{
    return (struct gtrid){
        .journal = bench_journal(), .epoch = EPOCH, .epoch_nonce = NONCE, .sequence = sequence};
}

struct gid bench_gid(uint64_t sequence, uint64_t attempt)
{
    return (struct gid){
        .gtrid = bench_gtrid(sequence), .attempt = attempt, .participant = PARTICIPANT};
}

void bench_peer_up(struct bench *bench, uint64_t session)
{
    struct agent_event event = {
        .kind = AGENT_EVENT_PEER_UP, .session = session, .journal = bench_journal()};
    bench_step(bench, &event);
}

void bench_claim(struct bench *bench, uint64_t session, uint64_t epoch, uint64_t nonce,
                 uint64_t head_number)
{
    struct message message = {.kind = MESSAGE_CLAIM};
    message.as.claim.epoch = epoch;
    message.as.claim.epoch_nonce = nonce;
    message.as.claim.head.number = head_number;
    bench_message(bench, session, &message);
}

void bench_welcome(struct bench *bench, uint64_t session, uint64_t epoch, uint64_t nonce)
{
    bench_peer_up(bench, session);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    bench_claim(bench, session, epoch, nonce, 10);
    bench_answer(bench, bench_command(bench, COMMAND_STORE_WITNESS)->id, COMMAND_STORE_WITNESS,
                 PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, session);
}

void bench_work_as(struct bench *bench, uint64_t session, uint64_t sequence, uint64_t remaining_ms,
                   bool read_only, enum isolation isolation)
{
    struct message message = {.kind = MESSAGE_WORK};
    message.as.work.gtrid = bench_gtrid(sequence);
    message.as.work.remaining_ms = remaining_ms;
    message.as.work.read_only = read_only;
    message.as.work.isolation = isolation;
    message.as.work.work = blob_new("work", 4);
    bench_message(bench, session, &message);
}

void bench_work(struct bench *bench, uint64_t sequence)
{
    bench_work_as(bench, SESSION, sequence, 5000, false, ISOLATION_READ_COMMITTED);
}

void bench_commit(struct bench *bench, const struct gid *gid)
{
    struct message message = {.kind = MESSAGE_COMMIT};
    message.as.commit.gid = *gid;
    message.as.commit.proof = (struct proof){.kind = PROOF_ROW, .xid8 = 77};
    bench_message(bench, SESSION, &message);
}

void bench_rollback(struct bench *bench, const struct gid *gid)
{
    struct message message = {.kind = MESSAGE_ROLLBACK};
    message.as.rollback.gtrid = gid->gtrid;
    message.as.rollback.has_gid = true;
    message.as.rollback.gid = *gid;
    bench_message(bench, SESSION, &message);
}

void bench_rollback_all(struct bench *bench, const struct gtrid *gtrid)
{
    struct message message = {.kind = MESSAGE_ROLLBACK};
    message.as.rollback.gtrid = *gtrid;
    bench_message(bench, SESSION, &message);
}

void bench_verdict(struct bench *bench, const struct gid *gid, enum verdict verdict)
{
    struct message message = {.kind = MESSAGE_VERDICT};
    message.as.verdict.gid = *gid;
    message.as.verdict.verdict = verdict;
    bench_message(bench, SESSION, &message);
}

struct gid bench_prepare(struct bench *bench, uint64_t sequence)
{
    bench_work(bench, sequence);
    const struct command *command = bench_command(bench, COMMAND_EXECUTE);
    struct gid gid = command->as.execute.gid;
    struct command_result result = {
        .id = command->id,
        .kind = COMMAND_EXECUTE,
        .class = PG_OK,
        .proof = {.kind = PROOF_ROW, .xid8 = 77},
        .results = blob_new("results", 7),
    };
    bench_result(bench, &result);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_COMMIT);
    return gid;
}

void bench_scan_rows(struct bench *bench, size_t row_count, struct prepared_row *rows)
{
    if (bench->scan_id == 0) {
        bench_wait(bench, 2000);
    }
    assert_int_not_equal(bench->scan_id, 0);
    struct command_result result = {.id = bench->scan_id,
                                    .kind = COMMAND_SCAN,
                                    .class = PG_OK,
                                    .proof = {.xid8 = bench->horizon_xid},
                                    .is_alone = bench->is_alone,
                                    .row_count = row_count,
                                    .rows = rows};
    bench->scan_id = 0;
    bench_result(bench, &result);
}

void bench_scan(struct bench *bench, size_t row_count, const struct gid *gids, uint64_t age_ms)
{
    struct prepared_row *rows = row_count == 0 ? NULL : alloc_array(row_count, sizeof(*rows));
    for (size_t i = 0; i < row_count; i++) {
        gid_format(&gids[i], rows[i].gid_text);
        rows[i].age_ms = age_ms;
    }
    bench_scan_rows(bench, row_count, rows);
}

void bench_scan_texts(struct bench *bench, size_t row_count, const char *const *gid_texts)
{
    struct prepared_row *rows = alloc_array(row_count, sizeof(*rows));
    for (size_t i = 0; i < row_count; i++) {
        snprintf(rows[i].gid_text, sizeof(rows[i].gid_text), "%s", gid_texts[i]);
        rows[i].age_ms = FAR_AWAY;
    }
    bench_scan_rows(bench, row_count, rows);
}

void bench_settle(struct bench *bench)
{
    bench->is_alone = true;
    bench_scan(bench, 0, NULL, 0); /* no backend of an earlier process is left */
    bench_scan(bench, 0, NULL, 0); /* and this shows what they had prepared */
    bench->is_alone = false;
}

void bench_outcomes(struct bench *bench, size_t row_count, const struct gid *gids,
                    uint64_t last_xid)
{
    struct command_result result = {
        .id = bench->outcomes_id, .kind = COMMAND_OUTCOMES, .class = PG_OK};
    assert_int_not_equal(bench->outcomes_id, 0);
    bench->outcomes_id = 0;
    result.proof.xid8 = last_xid;
    result.row_count = row_count;
    result.rows = row_count == 0 ? NULL : alloc_array(row_count, sizeof(result.rows[0]));
    for (size_t i = 0; i < row_count; i++) {
        gid_format(&gids[i], result.rows[i].gid_text);
    }
    bench_result(bench, &result);
}

size_t bench_count_commands(const struct bench *bench, enum command_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->ready.command_count; i++) {
        count += bench->ready.commands[i].kind == kind;
    }
    return count;
}

size_t bench_count_sends(const struct bench *bench, enum message_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->ready.send_count; i++) {
        count += bench->ready.sends[i].message.kind == kind;
    }
    return count;
}

size_t bench_count_notices(const struct bench *bench, enum agent_notice_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < bench->ready.notice_count; i++) {
        count += bench->ready.notices[i].kind == kind;
    }
    return count;
}

const struct command *bench_command(const struct bench *bench, enum command_kind kind)
{
    assert_int_equal(bench_count_commands(bench, kind), 1);
    for (size_t i = 0; i < bench->ready.command_count; i++) {
        if (bench->ready.commands[i].kind == kind) {
            return &bench->ready.commands[i];
        }
    }
    return NULL;
}

const struct agent_send *bench_send(const struct bench *bench, enum message_kind kind)
{
    assert_int_equal(bench_count_sends(bench, kind), 1);
    for (size_t i = 0; i < bench->ready.send_count; i++) {
        if (bench->ready.sends[i].message.kind == kind) {
            return &bench->ready.sends[i];
        }
    }
    return NULL;
}

struct agent_counters bench_counters(const struct bench *bench)
{
    struct agent_counters counters;
    agent_counters_read(bench->agent, &counters);
    return counters;
}

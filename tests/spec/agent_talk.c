/* agent_talk.c - see agent_talk.h. */
#include "tests/spec/agent_talk.h"

int talk_begin(void **state)
{
    struct bench *bench = alloc_zeroed(sizeof(*bench));
    bench_init(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    *state = bench;
    return 0;
}

int talk_end(void **state)
{
    bench_done(*state);
    free(*state);
    return 0;
}

void say_statement(struct bench *bench, uint64_t session, const struct gid *gid, uint64_t ordinal,
                   uint64_t remaining_ms)
{
    struct message message = {.kind = MESSAGE_STATEMENT};
    message.as.statement.gtrid = gid->gtrid;
    message.as.statement.attempt = gid->attempt;
    message.as.statement.ordinal = ordinal;
    message.as.statement.remaining_ms = remaining_ms;
    message.as.statement.work = blob_new("sql", 3);
    bench_message(bench, session, &message);
}

void say_first(struct bench *bench, uint64_t sequence)
{
    struct gid gid = bench_gid(sequence, 0);
    say_statement(bench, SESSION, &gid, 1, 5000);
}

void say_prepare_as(struct bench *bench, uint64_t session, const struct gid *gid, uint64_t count,
                    uint64_t remaining_ms)
{
    struct message message = {.kind = MESSAGE_PREPARE};
    message.as.prepare.gid = *gid;
    message.as.prepare.count = count;
    message.as.prepare.remaining_ms = remaining_ms;
    bench_message(bench, session, &message);
}

void say_prepare(struct bench *bench, const struct gid *gid, uint64_t count)
{
    say_prepare_as(bench, SESSION, gid, count, 5000);
}

void answer_ok(struct bench *bench, uint64_t command_id)
{
    struct command_result result = {.id = command_id,
                                    .kind = COMMAND_STATEMENT,
                                    .class = PG_OK,
                                    .results = blob_new("rows", 4)};
    bench_result(bench, &result);
}

const struct command_statement *ran(const struct bench *bench)
{
    return &bench_command(bench, COMMAND_STATEMENT)->as.statement;
}

const struct message_answer *answer(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_ANSWER)->message.as.answer;
}

const struct message_vote *vote(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
}

struct gid open_branch(struct bench *bench, uint64_t sequence, uint64_t count)
{
    say_first(bench, sequence);
    struct gid gid = ran(bench)->execute.gid;
    answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    for (uint64_t ordinal = 2; ordinal <= count; ordinal++) {
        say_statement(bench, SESSION, &gid, ordinal, 5000);
        answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    }
    assert_int_equal(answer(bench)->ordinal, count);
    return gid;
}

void close_ok(struct bench *bench)
{
    bench_answer(bench, bench_command(bench, COMMAND_CLOSE)->id, COMMAND_CLOSE, PG_OK);
}

void assert_nothing_executed(const struct bench *bench)
{
    assert_int_equal(bench_count_commands(bench, COMMAND_STATEMENT), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_PREPARE), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
}

void assert_gives_up(const struct bench *bench, enum reason reason)
{
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->failure.reason, reason);
    assert_int_equal(bench_count_commands(bench, COMMAND_CLOSE), 1);
}

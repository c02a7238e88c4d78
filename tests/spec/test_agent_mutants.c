/* test_agent_mutants.c - properties of the agent's core that hang on one line each: every test here was written for an
 * automatic mutant that no other test noticed (tests/mutants/). P-6, P-7, P-10 to P-14. */
#include "tests/spec/test_agent_harness.h"

static int set_up(void **state)
{
    struct bench *bench = alloc_zeroed(sizeof(*bench));
    bench_init(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    bench_done(bench);
    free(bench);
    return 0;
}

static void status(struct bench *bench, const struct database_status *status)
{
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = status};
    bench_step(bench, &event);
}

static void head(struct bench *bench, uint64_t number, const struct journal_floor *floor)
{
    struct message message = {.kind = MESSAGE_HEAD};
    message.as.head.head.number = number;
    message.as.head.floor = *floor;
    bench_message(bench, SESSION, &message);
}

/* The witness that is stored next, which is answered. */
static struct witness stored(struct bench *bench)
{
    if (bench_count_commands(bench, COMMAND_STORE_WITNESS) == 0) {
        bench_wait(bench, 1000);
    }
    const struct command *command = bench_command(bench, COMMAND_STORE_WITNESS);
    struct witness witness = command->as.store;
    bench_answer(bench, command->id, COMMAND_STORE_WITNESS, PG_OK);
    return witness;
}

/* LOOK on behalf of the last step's command, with these rows. */
static void looked(struct bench *bench, size_t row_count, const struct gid *gids)
{
    struct command_result result = {.id = bench_command(bench, COMMAND_LOOK)->id,
                                    .kind = COMMAND_LOOK,
                                    .class = row_count == 0 ? PG_NOT_FOUND : PG_OK,
                                    .row_count = row_count};
    result.rows = row_count == 0 ? NULL : alloc_array(row_count, sizeof(result.rows[0]));
    for (size_t i = 0; i < row_count; i++) {
        gid_format(&gids[i], result.rows[i].gid_text);
    }
    bench_result(bench, &result);
}

static void proved(struct bench *bench, enum proof_result what)
{
    struct command_result result = {.id = bench_command(bench, COMMAND_PROVE)->id,
                                    .kind = COMMAND_PROVE,
                                    .class = PG_OK,
                                    .proved = what};
    bench_result(bench, &result);
}

static void finished(struct bench *bench, enum pg_class class)
{
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, class);
}

/* EXECUTE ended in doubt: the branch is being looked for. */
static struct gid doubtful(struct bench *bench, uint64_t sequence)
{
    bench_work(bench, sequence);
    const struct command *command = bench_command(bench, COMMAND_EXECUTE);
    struct gid gid = command->as.execute.gid;
    bench_answer(bench, command->id, COMMAND_EXECUTE, PG_UNKNOWN);
    return gid;
}

/* ---- the database's state ---- */

/* Each change of what is known of the database is told at once, and nothing is told twice. */
static void test_agent_p14_each_change_of_the_database_is_told(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct database_status now = {.health = HEALTH_UP,
                                  .identity = {.system_id = 11, .timeline = 1, .database_oid = 5}};
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 0);
    now.identity.system_id++;
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 1);
    now.identity.timeline++;
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 1);
    now.identity.database_oid++;
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 1);
    (void)snprintf(now.text, sizeof now.text, "slow");
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 1);
    now.health = HEALTH_DOWN;
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 1);
    status(bench, &now);
    assert_int_equal(bench_count_sends(bench, MESSAGE_HEALTH), 0);
}

/* That the database is down is said also if it never was up. */
static void test_agent_first_status_is_told(void **state)
{
    (void)state;
    struct bench bench = {.now_ms = 1000};
    struct agent_config config = bench_config();
    bench.agent = agent_new(&config, bench.now_ms);
    bench_peer_up(&bench, SESSION);
    struct database_status down = {.health = HEALTH_DOWN};
    status(&bench, &down);
    assert_int_equal(bench_count_sends(&bench, MESSAGE_HEALTH), 1);
    bench_done(&bench);
}

/* A status that says "up" again is no reason to look at everything again; one that says "down" again none to try. */
static void test_agent_repeated_status_starts_nothing(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench->ready.command_count, 0);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    finished(bench, PG_RETRY);
    bench_status(bench, HEALTH_DOWN, false);
    bench_status(bench, HEALTH_DOWN, false);
    assert_int_equal(bench->ready.command_count, 0);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* What could not be looked for is looked for as soon as the database is back, and nothing is scanned before. */
static void test_agent_p11_look_goes_on_when_the_database_is_back(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    (void)doubtful(bench, 1);
    bench_answer(bench, bench_command(bench, COMMAND_LOOK)->id, COMMAND_LOOK, PG_UNKNOWN);
    bench_status(bench, HEALTH_DOWN, false);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOOK), 1);
}

static void test_agent_p11_no_scan_without_a_database(void **state)
{
    struct bench *bench = *state;
    bench_status(bench, HEALTH_DOWN, false);
    bench_wait(bench, FAR_AWAY);
    assert_int_equal(bench->ready.command_count, 0);
}

/* The next time is the earliest of all: heartbeat, scan, and a head that waits to be stored. */
static void test_agent_deadline_is_the_earliest(void **state)
{
    struct bench *bench = *state;
    static const struct journal_floor none;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_wait(bench, 900);
    uint64_t heartbeat_ms = bench->ready.deadline_ms;
    assert_in_range(heartbeat_ms, bench->now_ms + 1, bench->now_ms + 1000);
    uint64_t store_ms = bench->now_ms - 900 + 1000; /* one second after the claim was stored */
    head(bench, 20, &none);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    assert_true(bench->ready.deadline_ms <= store_ms && bench->ready.deadline_ms <= heartbeat_ms);
    bench_status(bench, HEALTH_DOWN, false);
    bench->now_ms = store_ms + 500;
    bench_wait(bench, 0);
    assert_true(bench->ready.deadline_ms > bench->now_ms); /* nothing can be stored now */
    assert_false(bench->ready.drained);                    /* nobody asked for it */
}

/* Repeated failures come further and further apart. */
static void test_agent_p12_pauses_grow(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    for (int i = 0; i < 5; i++) {
        finished(bench, PG_RETRY);
        for (int k = 0; k < 200 && bench_count_commands(bench, COMMAND_FINISH) == 0; k++) {
            bench_wait(bench, 10);
        }
    }
    finished(bench, PG_RETRY);
    bench_wait(bench, 500); /* 50 ms five times doubled, less a quarter, is more */
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* ---- floors, heads, rotation ---- */

/* A floor never falls: by epoch, then by sequence; the first number by itself. */
static void test_agent_p13_floor_only_rises(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    uint64_t number = 20;
    struct journal_floor floor = {.epoch = 3, .sequence = 50, .first_number = 8};
    head(bench, number++, &floor);
    struct witness witness = stored(bench);
    assert_int_equal(witness.floor.epoch, 3);
    assert_int_equal(witness.floor.sequence, 50);
    assert_int_equal(witness.floor.first_number, 8);
    const struct journal_floor lower[] = {{.epoch = 2, .sequence = 90, .first_number = 7},
                                          {.epoch = 3, .sequence = 40, .first_number = 8}};
    for (size_t i = 0; i < 2; i++) {
        head(bench, number++, &lower[i]);
        witness = stored(bench);
        assert_int_equal(witness.floor.epoch, 3);
        assert_int_equal(witness.floor.sequence, 50);
        assert_int_equal(witness.floor.first_number, 8);
    }
    /* Each alone is worth storing, without a new head. */
    const struct journal_floor higher[] = {{.epoch = 3, .sequence = 60, .first_number = 8},
                                           {.epoch = 4, .sequence = 1, .first_number = 8},
                                           {.epoch = 4, .sequence = 1, .first_number = 9}};
    for (size_t i = 0; i < 3; i++) {
        head(bench, 1, &higher[i]);
        witness = stored(bench);
        assert_int_equal(witness.floor.epoch, higher[i].epoch);
        assert_int_equal(witness.floor.sequence, higher[i].sequence);
        assert_int_equal(witness.floor.first_number, higher[i].first_number);
    }
    head(bench, 1, &higher[2]);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
}

/* P-9, P-13: a copy of WORK whose transaction is below the floor is refused: nobody could judge what it prepared. */
static void test_agent_p9_work_below_the_floor_is_refused(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    const struct journal_floor earlier = {.epoch = EPOCH - 1, .sequence = 90, .first_number = 5};
    head(bench, 19, &earlier);
    bench_work(bench, 40); /* of a later epoch, in which sequences begin anew */
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 1);
    const struct journal_floor floor = {.epoch = EPOCH, .sequence = 50, .first_number = 8};
    head(bench, 20, &floor);
    const uint64_t forgotten[] = {50, 49, 1};
    for (size_t i = 0; i < 3; i++) {
        bench_work(bench, forgotten[i]);
        assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
        const struct message_vote *vote = &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
        assert_int_equal(vote->vote, VOTE_ABORT);
        assert_int_equal(vote->gid.attempt, 0);
    }
    bench_work(bench, 51);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 1);
    const struct journal_floor later = {.epoch = EPOCH + 1, .sequence = 1, .first_number = 9};
    head(bench, 21, &later);
    bench_work(bench, 60);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
}

static size_t rotations(struct bench *bench, uint64_t ms)
{
    size_t count = 0;
    for (uint64_t i = 0; i < ms; i += 500) {
        bench_wait(bench, 500);
        count += bench_count_commands(bench, COMMAND_ROTATE);
        if (bench->scan_id != 0) {
            bench_scan(bench, 0, NULL, 0);
            count += bench_count_commands(bench, COMMAND_ROTATE);
        }
    }
    return count;
}

/* P-12: outcomes are tidied up only once a floor is there and stored, one at a time, seldom, and again after a failure. */
static void test_agent_p12_rotation_follows_a_stored_floor(void **state)
{
    struct bench *bench = *state;
    static const struct journal_floor none, some = {.epoch = 1, .sequence = 9, .first_number = 2};
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    head(bench, 20, &none);
    (void)stored(bench);
    assert_int_equal(rotations(bench, 30000), 0);
    head(bench, 21, &some);
    (void)stored(bench);
    assert_int_equal(bench_count_commands(bench, COMMAND_ROTATE), 1);
    uint64_t id = bench_command(bench, COMMAND_ROTATE)->id;
    head(bench, 22, &none);
    (void)stored(bench); /* wanted again, while the first runs */
    assert_int_equal(rotations(bench, 30000), 0);
    bench_status(bench, HEALTH_DOWN, false);
    bench_answer(bench, id, COMMAND_ROTATE, PG_RETRY);
    assert_int_equal(rotations(bench, 30000), 0);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_ROTATE), 1);
    bench_answer(bench, bench_command(bench, COMMAND_ROTATE)->id, COMMAND_ROTATE, PG_RETRY);
    assert_int_equal(rotations(bench, 9000), 0);
    assert_int_equal(rotations(bench, 2000), 1);
    struct command_result result = {.kind = COMMAND_ROTATE, .class = PG_OK};
    for (result.id = id; result.id < id + 400; result.id++) { /* whichever it had */
        struct command_result answer = result;
        bench_result(bench, &answer);
    }
    assert_int_equal(rotations(bench, 30000), 0);
}

static void load(struct bench *bench, uint64_t id, const struct witness *witness)
{
    struct command_result result = {
        .id = id, .kind = COMMAND_LOAD_WITNESS, .class = PG_OK, .witness = *witness};
    bench_result(bench, &result);
}

/* P-10: what the database remembers is told, and a database that was set back gets the newer head again. */
static void test_agent_p10_loaded_witness_is_the_higher_of_both(void **state)
{
    struct bench *bench = *state;
    static const struct journal_floor none;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    head(bench, 40, &none);
    assert_int_equal(stored(bench).head.number, 40);
    bench_peer_up(bench, SESSION + 1);
    struct witness old = {.journal = bench_journal(), .epoch = EPOCH - 1, .epoch_nonce = 1};
    old.head.number = 30;
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &old);
    const struct message_witness *told = &bench_send(bench, MESSAGE_WITNESS)->message.as.witness;
    assert_int_equal(told->epoch, EPOCH);
    assert_int_equal(told->epoch_nonce, NONCE);
    assert_int_equal(told->head.number, 40);
    assert_int_equal(stored(bench).head.number, 40);
    bench_peer_up(bench, SESSION + 2);
    struct witness same = old;
    same.head.number = 40;
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &same);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
}

/* Two sessions ask at once: each hears the answer to its own question. */
static void test_agent_p10_loads_are_told_apart(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    bench_peer_up(bench, SESSION + 1);
    struct witness none = {.journal = bench_journal()};
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &none);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->session, SESSION + 1);
}

/* While a later claim of the session is being stored, its word counts for nothing and it is told nothing. */
static void test_agent_p10_no_acknowledgement_between_two_epochs(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    uint64_t finish = bench_command(bench, COMMAND_FINISH)->id;
    bench_status(bench, HEALTH_DOWN, false);
    bench_claim(bench, SESSION, EPOCH + 1, NONCE + 1, 10); /* waits for the database */
    bench_answer(bench, finish, COMMAND_FINISH, PG_OK);    /* came before it went */
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_status(bench, HEALTH_UP, false);
    uint64_t store = bench_command(bench, COMMAND_STORE_WITNESS)->id;
    bench_answer(bench, store, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->message.as.welcome.epoch, EPOCH + 1);
}

/* A claim of the same epoch with another nonce is not the same claim (a copied journal). */
static void test_agent_p10_same_epoch_other_nonce_is_another_claim(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_claim(bench, SESSION, EPOCH, NONCE + 1, 10);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_FENCED), 1);
}

/* A claim from nobody, and one of epoch 0, are nothing. */
static void test_agent_p10_claims_of_nobody(void **state)
{
    struct bench *bench = *state;
    bench_claim(bench, SESSION + 5, EPOCH, NONCE, 1);
    assert_int_equal(bench->ready.send_count, 0);
    assert_int_equal(bench_counters(bench).fenced, 1);
    bench_peer_up(bench, SESSION);
    struct witness none = {.journal = bench_journal()};
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &none);
    bench_claim(bench, SESSION, 0, 0, 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_FENCED), 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
}

static void up_with_journal(struct bench *bench, uint64_t session, unsigned number)
{
    struct agent_event event = {.kind = AGENT_EVENT_PEER_UP, .session = session};
    event.journal = bench_journal();
    memcpy(event.journal.bytes, &number, sizeof number);
    bench_step(bench, &event);
}

/* Journals come and go: those that nobody speaks for make room, those in use stay, and there is a bound. */
static void test_agent_journals_without_a_session_make_room(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    for (unsigned i = 1; i <= 600; i++) {
        up_with_journal(bench, 1000 + i, i);
        assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 1);
        struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = 1000 + i};
        bench_step(bench, &down);
    }
    bench_commit(bench, &gid); /* its journal is still known */
    finished(bench, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->session, SESSION);
    for (unsigned i = 1; i <= 255; i++) {
        up_with_journal(bench, 5000 + i, i);
        assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 1);
    }
    up_with_journal(bench, 6000, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 0);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 1);
    up_with_journal(bench, 5001, 1); /* a session that is there already */
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 0);
}

/* ---- words ---- */

/* The proof that came with the vote is kept if the word brings none. */
static void test_agent_p12_word_without_proof_keeps_the_votes(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_verdict(bench, &gid, VERDICT_COMMIT);
    finished(bench, PG_NOT_FOUND);
    assert_int_equal(bench_command(bench, COMMAND_PROVE)->as.prove.proof.xid8, 77);
    /* The same while something runs: the word waits, and what it brought with it. */
    gid = doubtful(bench, 2);
    uint64_t look = bench_command(bench, COMMAND_LOOK)->id;
    bench_commit(bench, &gid);
    assert_int_equal(bench->ready.command_count, 0);
    bench_answer(bench, look, COMMAND_LOOK, PG_NOT_FOUND);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.commit, true);
    finished(bench, PG_NOT_FOUND);
    assert_int_equal(bench_command(bench, COMMAND_PROVE)->as.prove.proof.xid8, 77);
}

/* A heuristic outcome is an answer like any other when the same word comes again. */
static void test_agent_p7_heuristic_outcome_is_repeated(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    finished(bench, PG_NOT_FOUND);
    proved(bench, PROOF_SAYS_ABSENT);
    bench_commit(bench, &gid);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_ROLLBACK);
    gid = bench_prepare(bench, 2);
    bench_rollback(bench, &gid);
    finished(bench, PG_NOT_FOUND);
    proved(bench, PROOF_SAYS_COMMITTED);
    bench_rollback(bench, &gid);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_COMMIT);
    bench_rollback(bench, &gid);
    gid = bench_prepare(bench, 3);
    bench_rollback(bench, &gid);
    finished(bench, PG_OK);
    bench_rollback(bench, &gid);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
}

/* The worst that a branch came to is what a nameless rollback is answered with, in whichever order they end. */
static void test_agent_p11_erasure_answers_with_the_worst(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    for (uint64_t round = 0; round < 2; round++) {
        struct gid gids[] = {bench_gid(7 + round, 1), bench_gid(7 + round, 2)};
        bench_rollback_all(bench, &gids[0].gtrid);
        if (bench_count_commands(bench, COMMAND_LOOK) == 1) {
            looked(bench, 2, gids);
        } else {
            bench_scan(bench, 2, gids, 0); /* settled: rows come from the scan alone */
            bench_rollback_all(bench, &gids[0].gtrid);
        }
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 2);
        uint64_t first = 0, second = 0;
        for (size_t i = 0; i < bench->ready.command_count; i++) {
            if (bench->ready.commands[i].kind == COMMAND_FINISH) {
                second = first != 0 ? bench->ready.commands[i].id : second;
                first = first == 0 ? bench->ready.commands[i].id : first;
            }
        }
        bench_answer(bench, round == 0 ? first : second, COMMAND_FINISH, PG_NOT_FOUND);
        uint64_t prove = bench_command(bench, COMMAND_PROVE)->id;
        struct command_result result = {
            .id = prove, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
        if (round == 0) {
            bench_result(bench, &result);
            bench_answer(bench, second, COMMAND_FINISH, PG_OK);
        } else {
            bench_answer(bench, first, COMMAND_FINISH, PG_OK);
            bench_result(bench, &result);
        }
        size_t nameless = 0; /* besides, what contradicts the word is told by name */
        for (size_t i = 0; i < bench->ready.send_count; i++) {
            const struct message *message = &bench->ready.sends[i].message;
            if (message->kind == MESSAGE_ACK && message->as.ack.gid.attempt == 0) {
                assert_int_equal(message->as.ack.ack, ACK_HEURISTIC_COMMIT);
                nameless++;
            }
        }
        assert_int_equal(nameless, 1);
    }
}

/* A rollback by name during a nameless one is answered by name as well. */
static void test_agent_p7_named_word_is_answered_by_name(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback_all(bench, &gid.gtrid);
    uint64_t finish = bench_command(bench, COMMAND_FINISH)->id;
    bench_rollback(bench, &gid);
    bench_answer(bench, finish, COMMAND_FINISH, PG_OK);
    size_t named = 0;
    for (size_t i = 0; i < bench->ready.send_count; i++) {
        named += bench->ready.sends[i].message.kind == MESSAGE_ACK &&
                 bench->ready.sends[i].message.as.ack.gid.attempt == gid.attempt;
    }
    assert_int_equal(named, 1);
}

/* Whether a rollback names an attempt is what its flag and its gid say together. */
static void test_agent_p9_rollback_without_an_attempt_is_nameless(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    for (uint64_t i = 0; i < 2; i++) {
        struct message message = {.kind = MESSAGE_ROLLBACK};
        message.as.rollback.gtrid = bench_gtrid(30 + i);
        message.as.rollback.has_gid = i == 0;
        message.as.rollback.gid = bench_gid(30 + i, i == 0 ? 0 : 5);
        bench_message(bench, SESSION, &message);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        assert_int_equal(bench_count_commands(bench, COMMAND_LOOK), 1);
    }
}

/* A rollback of another attempt tells that the transaction is over: what still runs is cancelled. */
static void test_agent_rollback_of_another_attempt_cancels_the_running_one(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_work(bench, 1);
    struct gid running = bench_command(bench, COMMAND_EXECUTE)->as.execute.gid;
    struct gid other = running;
    other.attempt++;
    bench_rollback(bench, &other);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &running));
    assert_true(gid_equal(&bench_command(bench, COMMAND_FINISH)->as.finish.gid, &other));
}

/* A coordinator that did not know a branch may know it later. */
static void test_agent_p8_unowned_branch_hears_a_later_verdict(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.commit, false);
}

/* P-8, P-10: also a row whose epoch is still to come (somebody made its name up) is told to be unknown, and is then asked about
 * once a minute; no word about it is heard. */
static void test_agent_p8_row_of_an_epoch_to_come_is_unknown(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 7);
    gid.gtrid.epoch = EPOCH + 1;
    bench_scan(bench, 1, &gid, 5000);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    bench_commit(bench, &gid);
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    struct message commit = {
        .kind = MESSAGE_COMMIT}; /* what a VERDICT would say lies where its proof is */
    commit.as.verdict.gid = gid;
    commit.as.verdict.verdict = VERDICT_UNKNOWN;
    bench_message(bench, SESSION, &commit);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 1);
    bench_scan(bench, 0, NULL, 0); /* gone again: nothing to ask about */
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* P-8: nor does one do anything about a branch that is not here any more. */
static void test_agent_p8_unknown_about_nothing_changes_nothing(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(7, 9);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-11: a branch that is being cancelled waits for its backend, whatever becomes of the database meanwhile. */
static void test_agent_p11_cancelled_branch_outlasts_the_database(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_work(bench, 1);
    uint64_t execute = bench_command(bench, COMMAND_EXECUTE)->id;
    struct gtrid gtrid = bench_gtrid(1);
    bench_rollback_all(bench, &gtrid);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 1);
    bench_status(bench, HEALTH_READ_ONLY, false);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    assert_int_equal(bench_counters(bench).branches_live, 1);
    bench_answer(bench, execute, COMMAND_EXECUTE, PG_ROLLED_BACK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* ---- looking ---- */

/* Of what a look finds, only this participant's attempts of this transaction count, and only the branch's own row is it. */
static void test_agent_p6_look_believes_exact_names_only(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = doubtful(bench, 1);
    struct gid rows[] = {gid, gid, gid};
    rows[0].attempt++;        /* another attempt: a branch of its own */
    rows[1].gtrid.sequence++; /* another transaction */
    (void)snprintf(rows[2].participant, sizeof rows[2].participant, "stock");
    looked(bench, 3, rows);
    proved(bench, PROOF_SAYS_ABSENT);
    assert_int_equal(bench_counters(bench).branches_live, 1);
    bench_rollback_all(bench, &gid.gtrid);
    assert_true(gid_equal(&bench_command(bench, COMMAND_FINISH)->as.finish.gid, &rows[0]));
}

/* An attempt that is going to commit does not keep a nameless rollback of the others from its answer. */
static void test_agent_p20_committing_attempt_does_not_hold_up_the_erasure(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    bench_rollback_all(bench, &gid.gtrid);
    looked(bench, 1, &gid);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.gid.attempt, 0);
}

/* ---- several journals and claims ---- */

static void up_and_loaded(struct bench *bench, uint64_t session, unsigned number)
{
    if (number == 0) {
        bench_peer_up(bench, session);
    } else {
        up_with_journal(bench, session, number);
    }
    struct witness none = {0};
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &none);
}

/* Coordinators of two journals are welcomed each for itself: neither takes the other's store, session or work away. */
static void test_agent_p10_two_journals_do_not_mix(void **state)
{
    struct bench *bench = *state;
    up_and_loaded(bench, SESSION, 0);
    up_and_loaded(bench, SESSION + 1, 1);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    struct command first = *bench_command(bench, COMMAND_STORE_WITNESS);
    bench_claim(bench, SESSION + 1, EPOCH, NONCE, 10);
    struct command second = *bench_command(bench, COMMAND_STORE_WITNESS);
    struct journal_id ours = bench_journal();
    assert_true(journal_id_equal(&first.as.store.journal, &ours));
    assert_false(journal_id_equal(&second.as.store.journal, &ours));
    bench_answer(bench, first.id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, SESSION);
    bench_answer(bench, second.id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, SESSION + 1);
    bench_work(bench, 1); /* the first is still welcome */
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 1);
}

/* Claims that wait for the database are stored one by one, each journal's own. */
static void test_agent_p10_waiting_claims_are_stored_for_their_journal(void **state)
{
    struct bench *bench = *state;
    /* The session of the first journal comes again, behind that of the second. */
    up_and_loaded(bench, SESSION + 2, 0);
    up_and_loaded(bench, SESSION + 1, 1);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION + 2};
    bench_step(bench, &down);
    up_and_loaded(bench, SESSION, 0);
    bench_status(bench, HEALTH_DOWN, false);
    bench_claim(bench, SESSION + 1, EPOCH + 3, NONCE, 10);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    bench_claim(bench, SESSION, EPOCH + 1, NONCE, 10); /* a later one while the first waits */
    assert_int_equal(bench->ready.command_count, 0);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 2);
    struct journal_id ours = bench_journal();
    for (size_t i = 0; i < bench->ready.command_count; i++) {
        const struct command *command = &bench->ready.commands[i];
        if (command->kind == COMMAND_STORE_WITNESS) {
            bool is_ours = journal_id_equal(&command->as.store.journal, &ours);
            assert_int_equal(command->as.store.epoch, is_ours ? EPOCH + 1 : EPOCH + 3);
        }
    }
}

/* A claim that came while an earlier one of the session was being stored needs a store of its own, also with that nonce. */
static void test_agent_p10_later_claim_is_stored_itself(void **state)
{
    struct bench *bench = *state;
    up_and_loaded(bench, SESSION, 0);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    uint64_t first = bench_command(bench, COMMAND_STORE_WITNESS)->id;
    bench_claim(bench, SESSION, EPOCH + 1, NONCE, 10);
    bench_answer(bench, first, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    const struct command *store = bench_command(bench, COMMAND_STORE_WITNESS);
    assert_int_equal(store->as.store.epoch, EPOCH + 1);
    bench_answer(bench, store->id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->message.as.welcome.epoch, EPOCH + 1);
    bench_claim(bench, SESSION, EPOCH + 2, NONCE, 10); /* and from the welcome on */
    assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.epoch, EPOCH + 2);
}

/* P-14: what another history answered about a witness says nothing. */
static void test_agent_p14_witness_of_another_history_does_not_count(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    uint64_t id = bench_command(bench, COMMAND_LOAD_WITNESS)->id;
    bench_status(bench, HEALTH_UP, true);
    struct witness none = {0};
    load(bench, id, &none);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WITNESS), 0);
    bench_wait(bench, 2000);
    load(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, &none);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    id = bench_command(bench, COMMAND_STORE_WITNESS)->id;
    bench_status(bench, HEALTH_UP, true);
    bench_answer(bench, id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
}

/* A session that is there already, and the end of one that is not, are nothing. */
static void test_agent_sessions_come_and_go_once(void **state)
{
    struct bench *bench = *state;
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_peer_up(bench, SESSION);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 0);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 1);
    bench_step(bench, &down);
    bench_step(bench, &down);
    assert_int_equal(bench->ready.send_count, 0);
}

/* A head that waits is stored although an older one comes after it, and not while there is no database. */
static void test_agent_p10_waiting_head_is_not_forgotten(void **state)
{
    struct bench *bench = *state;
    static const struct journal_floor none;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    head(bench, 50, &none);
    head(bench, 3, &none);
    bench_status(bench, HEALTH_DOWN, false);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(stored(bench).head.number, 50);
}

/* P-10: WORK of the same epoch with another nonce comes from a copied journal. */
static void test_agent_p10_work_with_another_nonce_is_ignored(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct message message = {.kind = MESSAGE_WORK};
    message.as.work.gtrid = bench_gtrid(1);
    message.as.work.gtrid.epoch_nonce++;
    message.as.work.remaining_ms = 5000;
    message.as.work.work = blob_new("work", 4);
    bench_message(bench, SESSION, &message);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench->ready.send_count, 0);
}

/* The reason for a doubt is told as it came; without one the participant is unavailable. */
static void test_agent_p2_doubt_keeps_its_reason(void **state)
{
    struct bench *bench = *state;
    static const enum reason reasons[] = {REASON_TIMEOUT, REASON_NONE};
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    for (size_t i = 0; i < 2; i++) {
        bench_work(bench, 1 + i);
        struct command_result result = {.id = bench_command(bench, COMMAND_EXECUTE)->id,
                                        .kind = COMMAND_EXECUTE,
                                        .class = PG_UNKNOWN,
                                        .failure.reason = reasons[i]};
        bench_result(bench, &result);
        assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.failure.reason,
                         i == 0 ? REASON_TIMEOUT : REASON_PARTICIPANT_UNAVAILABLE);
    }
}

/* P-9: an abort that comes again needs no second tombstone, and none is kept where none is wanted. */
static void test_agent_p9_tombstones_are_counted_once(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gtrid gtrid = bench_gtrid(1);
    bench_rollback_all(bench, &gtrid);
    bench_rollback_all(bench, &gtrid);
    assert_int_equal(bench_counters(bench).tombstones, 1);
    struct bench other;
    struct agent_config config = bench_config();
    config.tombstone_max = 0;
    bench_init_config(&other, &config);
    bench_welcome(&other, SESSION, EPOCH, NONCE);
    bench_rollback_all(&other, &gtrid);
    assert_int_equal(bench_counters(&other).tombstones, 0);
    bench_done(&other);
}

/* ---- the sweep ---- */

static const struct message_health *heartbeat(struct bench *bench)
{
    bench_wait(bench, 1000);
    return &bench_send(bench, MESSAGE_HEALTH)->message.as.health;
}

/* P-13: a sweep that is open goes on while later ones begin, and waits only for its own journal's branches that somebody
 * may yet decide. */
static void test_agent_p13_sweep_waits_for_its_own(void **state)
{
    struct bench *bench = *state;
    static const struct journal_floor none;
    bench_settle(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_outcomes(bench, 0, NULL, 0);
    struct gid rows[] = {bench_prepare(bench, 1), bench_gid(90, 3), bench_gid(91, 4)};
    rows[1].gtrid.journal.bytes[0] ^= 1; /* somebody else's: its coordinator is not here */
    bench_scan(bench, 2, rows, 0);       /* opens a sweep at head 10, for the first */
    head(bench, 30, &none);
    (void)stored(bench);
    rows[2] = bench_prepare(bench, 2);
    bench_scan(bench, 3, rows, 0);
    bench_commit(bench, &rows[0]);
    finished(bench, PG_OK);
    assert_int_equal(heartbeat(bench)->swept_number, 10);
    bench_verdict(bench, &rows[2], VERDICT_UNKNOWN); /* nobody knows it: no floor waits for it */
    bench_scan(bench, 2, rows + 1, 0);
    bench_scan(bench, 2, rows + 1, 0);
    assert_int_equal(heartbeat(bench)->swept_number, 30);
    bench_status(bench, HEALTH_UP, true); /* P-14: of another history nothing was swept */
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
}

/* P-13, P-14: a sweep is forgotten with the history that it was of: what it still waited for ends no sweep of another. */
static void test_agent_p14_no_sweep_ends_in_another_history(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_scan(bench, 1, &gid, 0); /* opens a sweep at head 10 that waits for the branch */
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    bench_rollback(bench, &gid);
    finished(bench, PG_OK);
    assert_int_equal(heartbeat(bench)->swept_number, 0);
}

static void other_journal(struct bench *bench, unsigned number, bool goes_again)
{
    struct agent_event event = {
        .kind = AGENT_EVENT_PEER_UP, .session = 1000 + number, .journal = bench_journal()};
    event.journal.bytes[0] = (uint8_t)number;
    event.journal.bytes[1] ^= 1;
    bench_step(bench, &event);
    if (goes_again) {
        event = (struct agent_event){.kind = AGENT_EVENT_PEER_DOWN, .session = 1000 + number};
        bench_step(bench, &event);
    }
}

/* P-13: a branch may outlive what is known of its journal, whose place others have taken; nobody's sweep waits for it then. */
static void test_agent_a_branch_outlives_its_forgotten_journal(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_scan(bench, 1, &gid, 0);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    for (unsigned i = 0; i < 256; i++) {
        other_journal(bench, i, true);
    }
    bench_scan(bench, 0, NULL, 0); /* somebody has ended it by hand */
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* Where every journal is in use there is no room for one more, also when it is in use only because a store is under way. */
static void test_agent_no_journal_in_use_is_forgotten(void **state)
{
    struct bench *bench = *state;
    for (unsigned i = 0; i < 255; i++) {
        other_journal(bench, i, false);
    }
    bench_peer_up(bench, SESSION);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    uint64_t store_id = bench_command(bench, COMMAND_STORE_WITNESS)->id;
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    other_journal(bench, 255, false);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 0);
    bench_answer(bench, store_id, COMMAND_STORE_WITNESS, PG_OK);
    other_journal(bench, 255, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 1);
}

/* ---- what contradicts an abort ---- */

/* A branch that was to be rolled back and that somebody has committed: it is told until it is on record. */
static struct gid telling(struct bench *bench, uint64_t sequence)
{
    struct gid gid = bench_prepare(bench, sequence);
    bench_rollback(bench, &gid);
    finished(bench, PG_NOT_FOUND);
    proved(bench, PROOF_SAYS_COMMITTED);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_COMMIT);
    return gid;
}

/* P-12, H1: a COMMIT for what is being told is no contradiction to refuse: what became of the branch is looked at again. */
static void test_agent_h1_another_word_while_telling_is_followed(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = telling(bench, 1);
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 0);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* H1: only the welcome of the branch's own coordinator has it told at once, and only what is being told, not asked about. */
static void test_agent_h1_a_welcome_goes_on_with_its_own(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    (void)telling(bench, 1);
    struct gid prepared = bench_prepare(bench, 2);
    other_journal(bench, 1, false);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    bench_claim(bench, 1001, EPOCH, NONCE, 10);
    bench_answer(bench, bench_command(bench, COMMAND_STORE_WITNESS)->id, COMMAND_STORE_WITNESS,
                 PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, 1001);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_wait(bench, 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    size_t inquiries = bench_count_sends(bench, MESSAGE_INQUIRY);
    bench_wait(bench, 0);
    assert_int_equal(inquiries + bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    bench_wait(bench, FAR_AWAY);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &prepared));
}

/* P-11: what is being told and is found prepared once more is a late second PREPARE, as after the end. */
static void test_agent_p11_late_prepare_while_telling(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = telling(bench, 1);
    bench_scan(bench, 0, NULL, 0);
    bench_scan(bench, 1, &gid, 0);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_LATE_PREPARE), 1);
}

/* H1 within bounds: what nobody can be told is kept up to a number, like what nobody can be asked about. */
static void test_agent_h1_what_nobody_can_be_told_is_bounded(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    for (uint64_t i = 1; i <= 10001; i++) {
        (void)telling(bench, i);
    }
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_scan(bench, 0, NULL, 0);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).branches_live, 10000);
}

/* What is prepared, how old the oldest is, and how many of it no coordinator here answers for. */
static void test_agent_health_tells_what_is_prepared(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    struct prepared_row *rows = alloc_array(3, sizeof(rows[0]));
    struct gid stranger = bench_gid(90, 3);
    stranger.gtrid.journal.bytes[0] ^= 1;
    gid_format(&gid, rows[0].gid_text);
    gid_format(&stranger, rows[1].gid_text);
    stranger.attempt++;
    gid_format(&stranger, rows[2].gid_text);
    rows[0].age_ms = 3000;
    rows[1].age_ms = 7000;
    rows[2].age_ms = 5000;
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    bench_wait(bench, 2000);
    struct command_result result = {.id = bench_command(bench, COMMAND_SCAN)->id,
                                    .kind = COMMAND_SCAN,
                                    .class = PG_OK,
                                    .row_count = 3,
                                    .rows = rows};
    bench->scan_id = 0;
    bench_result(bench, &result);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER),
                     0); /* it may restart */
    const struct message_health *health = heartbeat(bench);
    assert_int_equal(health->prepared_count, 3);
    assert_int_equal(health->foreign_count, 3);
    assert_int_equal(health->oldest_prepared_ms, 7000);
}

/* A new process of its coordinator may know a branch that the old one did not; one of another journal is none of its
 * business. */
static void test_agent_p8_new_session_asks_about_its_own(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    up_and_loaded(bench, SESSION + 1, 1);
    bench_claim(bench, SESSION + 1, EPOCH, NONCE, 10);
    (void)stored(bench);
    size_t asked = 0;
    for (int i = 0; i < 100; i++) {
        bench_wait(bench, 100);
        asked += bench_count_sends(bench, MESSAGE_INQUIRY);
        if (bench->scan_id != 0) {
            bench_scan(bench, 1, &gid, 0);
            asked += bench_count_sends(bench, MESSAGE_INQUIRY);
        }
    }
    assert_int_equal(asked, 0);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_welcome(bench, SESSION + 2, EPOCH + 1, NONCE);
    asked = bench_count_sends(bench, MESSAGE_INQUIRY);
    for (int i = 0; i < 15; i++) {
        bench_wait(bench, 100);
        asked += bench_count_sends(bench, MESSAGE_INQUIRY);
    }
    assert_true(asked > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- rows that somebody else ended ---- */

/* INQUIRYs that a new session of the journal makes in its first seconds. */
static size_t inquiries_of_session(struct bench *bench, uint64_t session, unsigned journal)
{
    up_and_loaded(bench, session, journal);
    bench_claim(bench, session, EPOCH + 1, NONCE, 10);
    (void)stored(bench);
    size_t asked = bench_count_sends(bench, MESSAGE_INQUIRY);
    for (int i = 0; i < 30; i++) {
        bench_wait(bench, 100);
        asked += bench_count_sends(bench, MESSAGE_INQUIRY);
    }
    return asked;
}

/* P-6: a row that nobody here may judge is forgotten with its end: a later coordinator is not asked about it. */
static void test_agent_p6_vanished_row_without_an_owner_is_forgotten(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    bench_scan(bench, 1, &gid, 10);
    bench_scan(bench, 0, NULL, 0);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    assert_int_equal(inquiries_of_session(bench, SESSION + 1, 0), 0);
}

/* The same of a row of a journal that no session has spoken for. */
static void test_agent_p6_vanished_row_of_an_unheard_journal_is_forgotten(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(1, 7);
    unsigned number = 1;
    memcpy(gid.gtrid.journal.bytes, &number, sizeof number);
    bench_scan(bench, 1, &gid, 10);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(inquiries_of_session(bench, SESSION, number), 0);
}

/* P-6: a branch that is just being committed leaves the list of prepared rows; that voids no vote. */
static void test_agent_p6_row_that_is_being_finished_may_vanish(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    uint64_t finish_id = bench_command(bench, COMMAND_FINISH)->id;
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    bench_answer(bench, finish_id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_COMMITTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_agent_p14_each_change_of_the_database_is_told),
        cmocka_unit_test(test_agent_first_status_is_told),
        TEST(test_agent_repeated_status_starts_nothing),
        TEST(test_agent_p11_look_goes_on_when_the_database_is_back),
        TEST(test_agent_p11_no_scan_without_a_database),
        TEST(test_agent_deadline_is_the_earliest),
        TEST(test_agent_p12_pauses_grow),
        TEST(test_agent_p13_floor_only_rises),
        TEST(test_agent_p9_work_below_the_floor_is_refused),
        TEST(test_agent_p12_rotation_follows_a_stored_floor),
        TEST(test_agent_p10_loaded_witness_is_the_higher_of_both),
        TEST(test_agent_p10_loads_are_told_apart),
        TEST(test_agent_p10_no_acknowledgement_between_two_epochs),
        TEST(test_agent_p10_same_epoch_other_nonce_is_another_claim),
        TEST(test_agent_p10_claims_of_nobody),
        TEST(test_agent_journals_without_a_session_make_room),
        TEST(test_agent_p12_word_without_proof_keeps_the_votes),
        TEST(test_agent_p7_heuristic_outcome_is_repeated),
        TEST(test_agent_p11_erasure_answers_with_the_worst),
        TEST(test_agent_p7_named_word_is_answered_by_name),
        TEST(test_agent_p9_rollback_without_an_attempt_is_nameless),
        TEST(test_agent_rollback_of_another_attempt_cancels_the_running_one),
        TEST(test_agent_p8_unowned_branch_hears_a_later_verdict),
        TEST(test_agent_p8_row_of_an_epoch_to_come_is_unknown),
        TEST(test_agent_p8_unknown_about_nothing_changes_nothing),
        TEST(test_agent_p11_cancelled_branch_outlasts_the_database),
        TEST(test_agent_p6_look_believes_exact_names_only),
        TEST(test_agent_p20_committing_attempt_does_not_hold_up_the_erasure),
        TEST(test_agent_p10_two_journals_do_not_mix),
        TEST(test_agent_p10_waiting_claims_are_stored_for_their_journal),
        TEST(test_agent_p10_later_claim_is_stored_itself),
        TEST(test_agent_p14_witness_of_another_history_does_not_count),
        TEST(test_agent_sessions_come_and_go_once),
        TEST(test_agent_p10_waiting_head_is_not_forgotten),
        TEST(test_agent_p10_work_with_another_nonce_is_ignored),
        TEST(test_agent_p2_doubt_keeps_its_reason),
        TEST(test_agent_p9_tombstones_are_counted_once),
        TEST(test_agent_p13_sweep_waits_for_its_own),
        TEST(test_agent_p14_no_sweep_ends_in_another_history),
        TEST(test_agent_a_branch_outlives_its_forgotten_journal),
        TEST(test_agent_no_journal_in_use_is_forgotten),
        TEST(test_agent_h1_another_word_while_telling_is_followed),
        TEST(test_agent_h1_a_welcome_goes_on_with_its_own),
        TEST(test_agent_p11_late_prepare_while_telling),
        TEST(test_agent_h1_what_nobody_can_be_told_is_bounded),
        TEST(test_agent_health_tells_what_is_prepared),
        TEST(test_agent_p8_new_session_asks_about_its_own),
        TEST(test_agent_p6_vanished_row_without_an_owner_is_forgotten),
        TEST(test_agent_p6_vanished_row_of_an_unheard_journal_is_forgotten),
        TEST(test_agent_p6_row_that_is_being_finished_may_vanish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

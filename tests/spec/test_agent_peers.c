/*
 * test_agent_peers.c - P-10, P-11 (sweep), P-13 (swept number) and P-14 in the agent's core:
 * coordinators, fencing, the sweep, and a database whose history changed.
 */
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
    bench_done(*state);
    free(*state);
    return 0;
}

static void load_witness(struct bench *bench, uint64_t epoch, uint64_t nonce, uint64_t head)
{
    struct command_result result = {
        .id = bench_command(bench, COMMAND_LOAD_WITNESS)->id,
        .kind = COMMAND_LOAD_WITNESS,
        .class = PG_OK,
        .witness = {.journal = bench_journal(), .epoch = epoch, .epoch_nonce = nonce},
    };
    result.witness.head.number = head;
    bench_result(bench, &result);
}

static void answer_store(struct bench *bench, enum pg_class class)
{
    bench_answer(bench, bench_command(bench, COMMAND_STORE_WITNESS)->id, COMMAND_STORE_WITNESS,
                 class);
}

static void tell_head(struct bench *bench, uint64_t number)
{
    struct message message = {.kind = MESSAGE_HEAD};
    message.as.head.head.number = number;
    bench_message(bench, SESSION, &message);
}

/* P-10: the witness of the database goes first; before it, a claim counts for nothing. */
static void test_agent_p10_witness_comes_before_any_claim(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    struct command load = *bench_command(bench, COMMAND_LOAD_WITNESS);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    struct command_result result = {.id = load.id,
                                    .kind = COMMAND_LOAD_WITNESS,
                                    .class = PG_OK,
                                    .witness = {.epoch = 3, .epoch_nonce = 4}};
    result.witness.head.number = 9;
    bench_result(bench, &result);
    const struct message_witness *witness = &bench_send(bench, MESSAGE_WITNESS)->message.as.witness;
    assert_int_equal(witness->epoch, 3);
    assert_int_equal(witness->epoch_nonce, 4);
    assert_int_equal(witness->head.number, 9);
    assert_int_equal(witness->identity.system_id, 11);
}

/* P-10: while the database cannot tell its witness, nobody is witnessed; it is tried until it can.
 */
static void test_agent_p10_witness_waits_for_the_database(void **state)
{
    struct bench *bench = *state;
    bench_status(bench, HEALTH_DOWN, false);
    bench_peer_up(bench, SESSION);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOAD_WITNESS), 0);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.health, HEALTH_DOWN);
    bench_status(bench, HEALTH_UP, false);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_UNKNOWN);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WITNESS), 0);
    bench_wait(bench, 2000);
    load_witness(bench, 0, 0, 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WITNESS), 1);
}

/* P-10: WELCOME leaves only when the claim is stored; a store that failed is repeated. */
static void test_agent_p10_welcome_needs_the_stored_epoch(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    load_witness(bench, 0, 0, 0);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    const struct witness *stored = &bench_command(bench, COMMAND_STORE_WITNESS)->as.store;
    assert_int_equal(stored->epoch, EPOCH);
    assert_int_equal(stored->epoch_nonce, NONCE);
    assert_int_equal(stored->head.number, 10);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    answer_store(bench, PG_UNKNOWN);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    bench_wait(bench, 2000);
    answer_store(bench, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->message.as.welcome.epoch, EPOCH);
    /* The welcome may be lost: the same claim gets it again and stores nothing. */
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
}

/* P-10: a lower epoch, and the same epoch with another nonce (a copied journal), are refused. */
static void test_agent_p10_stale_claims_are_fenced(void **state)
{
    struct bench *bench = *state;
    const struct {
        uint64_t epoch, nonce;
    } stale[] = {{EPOCH - 1, NONCE}, {EPOCH, NONCE + 1}, {0, 0}};
    bench_peer_up(bench, SESSION);
    load_witness(bench, EPOCH, NONCE, 10);
    for (size_t i = 0; i < 3; i++) {
        bench_claim(bench, SESSION, stale[i].epoch, stale[i].nonce, 10);
        assert_int_equal(bench_send(bench, MESSAGE_FENCED)->message.as.fenced.epoch, EPOCH);
        assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
        assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_FENCED), 1);
    }
    bench_work(bench, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    /* The epoch that is stored, with its own nonce, may come back (a coordinator that reconnects).
     */
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    answer_store(bench, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 1);
}

/* P-10: of two claims at once the lower one is refused even before the higher one is stored. */
static void test_agent_p10_lower_claim_loses_while_the_higher_is_stored(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    load_witness(bench, 0, 0, 0);
    bench_peer_up(bench, SESSION + 1);
    load_witness(bench, 0, 0, 0);
    bench_claim(bench, SESSION + 1, EPOCH + 1, 1, 20);
    struct command store = *bench_command(bench, COMMAND_STORE_WITNESS);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    assert_int_equal(bench_send(bench, MESSAGE_FENCED)->session, SESSION);
    bench_answer(bench, store.id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, SESSION + 1);
}

/* P-10: the lower claim that was being stored when the higher came is not welcomed. */
static void test_agent_p10_overtaken_claim_is_not_welcomed(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    load_witness(bench, 0, 0, 0);
    bench_peer_up(bench, SESSION + 1);
    load_witness(bench, 0, 0, 0);
    bench_claim(bench, SESSION, EPOCH, NONCE, 10);
    struct command store = *bench_command(bench, COMMAND_STORE_WITNESS);
    bench_claim(bench, SESSION + 1, EPOCH + 1, 1, 20);
    bench_answer(bench, store.id, COMMAND_STORE_WITNESS, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    assert_int_equal(bench_send(bench, MESSAGE_FENCED)->session, SESSION);
    assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.epoch, EPOCH + 1);
    answer_store(bench, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, SESSION + 1);
}

/* P-10: a welcomed higher epoch silences the older coordinator's session. */
static void test_agent_p10_higher_epoch_replaces_the_older_session(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_work(bench, 3);
    uint64_t execute_id = bench_command(bench, COMMAND_EXECUTE)->id;
    bench_peer_up(bench, SESSION + 1);
    load_witness(bench, EPOCH, NONCE, 10);
    bench_claim(bench, SESSION + 1, EPOCH + 1, 2, 20);
    answer_store(bench, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_FENCED)->session, SESSION);
    bench_answer(bench, execute_id, COMMAND_EXECUTE, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0); /* nobody there may hear it */
    bench_commit(bench, &gid);                                   /* on the old session */
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_work(bench, 2);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    assert_true(bench_counters(bench).fenced >= 3);
}

/* P-10: a copy of the journal was told a witness; what the coordinator that it was copied from makes durable meanwhile is told
 * as well, before its claim counts, and until it is stored. */
static void test_agent_p10_claim_confirms_the_witness_as_it_is(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_peer_up(bench, SESSION + 1);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->message.as.witness.head.number, 10);
    tell_head(bench, 15);
    bench_claim(bench, SESSION + 1, EPOCH + 1, NONCE + 1, 11);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->session, SESSION + 1);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->message.as.witness.head.number, 15);
    bench_claim(bench, SESSION + 1, EPOCH + 1, NONCE + 1, 16);
    assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.epoch, EPOCH + 1);
    /* The older one is heard until the claim is stored; then it is the copy's turn to look once more. */
    tell_head(bench, 20);
    bench_stored(bench);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
    assert_int_equal(bench_send(bench, MESSAGE_FENCED)->session, SESSION);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->message.as.witness.head.number, 20);
    bench_claim(bench, SESSION + 1, EPOCH + 1, NONCE + 1, 21);
    bench_stored(bench);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->session, SESSION + 1);
}

/* P-10: a second session of the same generation made those heads itself: it is not asked to look again, or a busy coordinator
 * would never get through. */
static void test_agent_p10_same_generation_confirms_its_own_heads(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_peer_up(bench, SESSION + 1);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    tell_head(bench, 15);
    bench_claim(bench, SESSION + 1, EPOCH, NONCE, 14);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WITNESS), 0);
    bench_stored(bench);
}

/* P-10: a newer epoch that the database learned from another agent process fences the older session
 * here. */
static void test_agent_p10_newer_epoch_in_the_database_fences_the_session(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_peer_up(bench, SESSION + 1);
    load_witness(bench, EPOCH + 1, 2, 30);
    assert_int_equal(bench_send(bench, MESSAGE_FENCED)->session, SESSION);
    bench_work(bench, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
}

/* P-10: a claim that the database refuses is compared with what the database knows, and then fenced
 * or stored. */
static void test_agent_p10_refused_store_reads_the_witness_again(void **state)
{
    struct bench *bench = *state;
    for (uint64_t known = EPOCH; known <= EPOCH + 1; known++) {
        bench_peer_up(bench, SESSION + known);
        load_witness(bench, EPOCH - 1, NONCE, 10);
        bench_claim(bench, SESSION + known, EPOCH, NONCE, 12);
        answer_store(bench, PG_REFUSED);
        assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 0);
        bench_wait(bench, 2000);
        load_witness(bench, known, NONCE, 10);
        if (known == EPOCH) { /* its own epoch: a permission that was missing, say */
            answer_store(bench, PG_OK);
            assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 1);
            struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION + known};
            bench_step(bench, &down);
        } else {
            assert_int_equal(bench_count_sends(bench, MESSAGE_FENCED), 1);
        }
    }
}

/* P-10: the database refused the claim, and knows more by now than its coordinator was told: it is told, and asked again. */
static void test_agent_p10_refused_claim_confirms_what_the_database_knows(void **state)
{
    struct bench *bench = *state;
    bench_peer_up(bench, SESSION);
    load_witness(bench, EPOCH - 1, NONCE, 10);
    bench_claim(bench, SESSION, EPOCH, NONCE, 12);
    answer_store(bench, PG_REFUSED);
    bench_wait(bench, 2000);
    load_witness(bench, EPOCH - 1, NONCE, 30);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    assert_int_equal(bench_send(bench, MESSAGE_WITNESS)->message.as.witness.head.number, 30);
    bench_claim(bench, SESSION, EPOCH, NONCE, 31);
    answer_store(bench, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_WELCOME), 1);
}

/* P-10: nothing but a claim is heard from a session that is not welcomed. */
static void test_agent_p10_messages_before_the_welcome_are_ignored(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(1, 5);
    bench_peer_up(bench, SESSION);
    bench_work(bench, 1);
    bench_commit(bench, &gid);
    bench_rollback(bench, &gid);
    bench_rollback_all(bench, &gid.gtrid);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    tell_head(bench, 3);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_counters(bench).tombstones, 0);
    assert_int_equal(bench_counters(bench).fenced, 6);
}

/* P-10: WORK of another epoch or nonce than the session's is from another life. */
static void test_agent_p10_work_of_another_epoch_is_ignored(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH + 1, NONCE);
    bench_work(bench, 1); /* EPOCH */
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    assert_int_equal(bench_counters(bench).fenced, 1);
    /* A decision about an older epoch's branch is normal, about a later epoch's it is not. */
    struct gid gid = bench_gid(1, 5);
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
    gid.gtrid.epoch = EPOCH + 2;
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-10: a coordinator has no say over another journal's branches. */
static void test_agent_p10_word_about_another_journal_is_ignored(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 5);
    gid.gtrid.journal.bytes[0] ^= 1;
    bench_scan(bench, 1, &gid, FAR_AWAY);
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-10: the head is stored when it grew, at most once a second, and never goes back. */
static void test_agent_p10_head_is_stored_at_most_once_a_second(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    size_t stores = 0;
    for (uint64_t i = 0; i < 50; i++) {
        tell_head(bench, 100 + i);
        stores += bench_count_commands(bench, COMMAND_STORE_WITNESS);
        if (bench_count_commands(bench, COMMAND_STORE_WITNESS) == 1) {
            answer_store(bench, PG_OK);
        }
        bench_wait(bench, 100);
        stores += bench_count_commands(bench, COMMAND_STORE_WITNESS);
        if (bench_count_commands(bench, COMMAND_STORE_WITNESS) == 1) {
            answer_store(bench, PG_OK);
        }
    }
    assert_in_range(stores, 4, 6);
    bench_wait(bench, 2000);
    if (bench_count_commands(bench, COMMAND_STORE_WITNESS) == 1) {
        assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.head.number, 149);
        answer_store(bench, PG_OK);
    }
    tell_head(bench, 3);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_STORE_WITNESS), 0);
}

/* P-11: rows of ours that this process does not know are asked about, and acted on only with an
 * answer. */
static void test_agent_p11_sweep_asks_about_unknown_rows(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gids[] = {bench_gid(1, 5), bench_gid(2, 6), bench_gid(3, 7)};
    bench_scan(bench, 3, gids, FAR_AWAY / 4);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 3);
    bench_verdict(bench, &gids[0], VERDICT_COMMIT);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
    bench_verdict(bench, &gids[1], VERDICT_ABORT);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
    bench_verdict(bench, &gids[2], VERDICT_WAIT);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-11: a young row is given its grace before anybody is asked. */
static void test_agent_p11_young_row_is_given_its_grace(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 5);
    bench_scan(bench, 1, &gid, 100);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    bench_wait(bench, 900);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
}

/* P-11: a scan that failed is not an empty list: nothing is concluded from it. */
static void test_agent_p11_failed_scan_says_nothing(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_wait(bench, 2000);
    assert_int_not_equal(bench->scan_id, 0);
    uint64_t id = bench->scan_id;
    bench->scan_id = 0;
    bench_answer(bench, id, COMMAND_SCAN, PG_UNKNOWN);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_int_equal(bench_counters(bench).branches_live, 1);
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* P-11: a branch that was prepared after the scan was issued may be missing from it; one finished
 * meanwhile may still be in it. Neither means anything. */
static void test_agent_p11_scan_is_judged_by_when_it_began(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid finished = bench_prepare(bench, 1);
    bench_wait(bench, 2000);
    assert_int_not_equal(bench->scan_id, 0); /* begins here */
    struct gid young = bench_prepare(bench, 2);
    bench_commit(bench, &finished);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    bench_scan(bench, 1, &finished, 2000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_int_equal(bench_counters(bench).branches_live,
                     1); /* young; finished did not come back */
    /* The next scan does not show the young one any more: a human's hand. Its yes is void. */
    bench_scan(bench, 0, NULL, 0);
    const struct message_vote *vote = &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
    assert_int_equal(vote->vote, VOTE_UNKNOWN);
    assert_true(gid_equal(&vote->gid, &young));
}

/* P-11: a second prepare of a gid that was finished before the scan began is found and asked about.
 */
static void test_agent_p11_late_second_prepare_is_found(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    bench_scan(bench, 1, &gid, 1500);
    assert_int_equal(bench_counters(bench).late_prepares, 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-11: the sweep goes on for ever, one scan at a time. */
static void test_agent_p11_sweep_never_ends(void **state)
{
    struct bench *bench = *state;
    uint64_t before = bench_counters(bench).sweeps;
    for (size_t i = 0; i < 20; i++) {
        bench_scan(bench, 0, NULL, 0);
    }
    assert_int_equal(bench_counters(bench).sweeps, before + 20);
    bench_wait(bench, 2000);
    assert_int_not_equal(bench->scan_id, 0);
    bench_wait(bench, FAR_AWAY); /* bench_step fails on a second scan */
}

/* P-10: rows whose coordinator is not there are counted, told once, and left alone. */
static void test_agent_p10_rows_without_a_coordinator_are_told_once(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 5);
    gid.gtrid.journal.bytes[0] ^= 1;
    size_t told = 0;
    for (size_t i = 0; i < 20; i++) {
        bench_scan(bench, 1, &gid, FAR_AWAY / 4);
        told += bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    }
    assert_int_equal(told, 1);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.foreign_count, 1);
}

/* P-6: what an application prepared in another database than its name says is counted and told of once, and left alone; what another
 * installation has elsewhere under the same name is its own. */
static void test_agent_p6_misplaced_rows_are_told_and_left(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid here = bench_gid(1, 5);
    snprintf(here.participant, sizeof(here.participant), "%s", "another");
    struct gid there = bench_gid(2, 5);
    struct gid other = bench_gid(3, 5);
    other.gtrid.journal.bytes[0] ^= 1;
    struct gid theirs = bench_gid(4, 5); /* of their database's agent */
    snprintf(theirs.participant, sizeof(theirs.participant), "%s", "another");
    size_t told = 0;
    for (size_t i = 0; i < 5; i++) {
        struct prepared_row *rows = alloc_array(4, sizeof(*rows));
        gid_format(&here, rows[0].gid_text);
        gid_format(&there, rows[1].gid_text);
        gid_format(&other, rows[2].gid_text);
        gid_format(&theirs, rows[3].gid_text);
        snprintf(rows[1].database, sizeof(rows[1].database), "%s", "postgres");
        snprintf(rows[2].database, sizeof(rows[2].database), "%s", "staging");
        snprintf(rows[3].database, sizeof(rows[3].database), "%s", "theirs");
        bench_scan_rows(bench, 4, rows);
        told += bench_count_notices(bench, AGENT_NOTICE_MISPLACED);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    }
    assert_int_equal(told, 1); /* the newest, with the number of them */
    bench_wait(bench, 1000);
    const struct message_health *health = &bench_send(bench, MESSAGE_HEALTH)->message.as.health;
    assert_int_equal(health->misplaced_count, 2);
    assert_int_equal(health->prepared_count, 0);
    char gid_text[GID_TEXT_SIZE];
    gid_format(&there, gid_text);
    assert_non_null(strstr(health->text, "wrong database"));
    assert_non_null(strstr(health->text, gid_text));
    struct database_status down = {.health = HEALTH_DOWN, .text = "connection refused"};
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = &down};
    bench_step(bench, &event); /* goes first */
    assert_string_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.text, down.text);
    bench_status(bench, HEALTH_UP, false);
    bench_scan(bench, 1, &here, 1);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_MISPLACED), 1);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.misplaced_count, 1);
    bench_scan(bench, 0, NULL, 0);
    health = &bench_send(bench, MESSAGE_HEALTH)->message.as.health;
    assert_int_equal(health->misplaced_count, 0);
    assert_null(strstr(health->text, "wrong database"));
}

/* P-13: the swept number is the head known when the scan began, told only once all that was live
 * then is resolved. */
static void test_agent_p13_swept_number_waits_for_what_was_live(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE); /* head 10 */
    bench_outcomes(bench, 0, NULL, 0);
    struct gid gid = bench_prepare(bench, 1);
    bench_scan(bench, 1, &gid, 10);
    tell_head(bench, 30);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
    bench_commit(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 10);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 30);
}

/* P-13, P-14: a sweep of another history is none, also when all that it waited for is resolved in this one. */
static void test_agent_p14_sweep_of_another_history_counts_for_nothing(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_outcomes(bench, 0, NULL, 0);
    struct gid gid = bench_prepare(bench, 1);
    bench_scan(bench, 1, &gid, 10);
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    bench_commit(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
}

/* P-14: a changed history voids the votes that were given, and asks what became of the branches. */
static void test_agent_p14_changed_history_voids_votes(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_status(bench, HEALTH_UP, true);
    const struct message_vote *vote = &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
    assert_int_equal(vote->vote, VOTE_UNKNOWN);
    assert_true(gid_equal(&vote->gid, &gid));
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.identity.timeline, 2);
    assert_int_not_equal(bench->scan_id, 0); /* swept at once */
    bench_stored(bench);
    assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->message.as.welcome.identity.timeline, 2);
    bench_work(bench, 1);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_UNKNOWN);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
}

/* P-14: an answer that the other history gave is a doubt in this one. */
static void test_agent_p14_result_of_another_history_is_doubt(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    uint64_t finish_id = bench_command(bench, COMMAND_FINISH)->id;
    bench_work(bench, 2);
    uint64_t execute_id = bench_command(bench, COMMAND_EXECUTE)->id;
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    bench_answer(bench, execute_id, COMMAND_EXECUTE, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_UNKNOWN);
    bench_answer(bench, finish_id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* P-14: what was acknowledged before the change is looked at again when it is asked for again. */
static void test_agent_p14_remembered_answers_are_dropped(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

static void ask_audit(struct bench *bench, uint64_t serial, const struct gid *gid)
{
    struct message message = {.kind = MESSAGE_AUDIT, .as.audit.serial = serial};
    message.as.audit.list.count = 1;
    message.as.audit.list.items = alloc_array(1, sizeof(message.as.audit.list.items[0]));
    message.as.audit.list.items[0].gid = *gid;
    bench_message(bench, SESSION, &message);
}

static void answer_audit(struct bench *bench, uint64_t command_id, enum pg_class class)
{
    static const uint8_t lost[] = {AUDIT_LOST};
    struct command_result result = {.id = command_id, .kind = COMMAND_AUDIT, .class = class};
    result.results = class == PG_OK ? blob_new(lost, 1) : NULL;
    bench_result(bench, &result);
}

/* P-14: an audit is passed on to the database and answered with what it says; one at a time, and not where the answer is a
 * doubt or another history's. */
static void test_agent_p14_audit_is_answered_by_the_database(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 7);
    ask_audit(bench, 31, &gid);
    const struct command *command = bench_command(bench, COMMAND_AUDIT);
    uint64_t id = command->id;
    assert_true(gid_equal(&command->as.audit.items[0].gid, &gid));
    ask_audit(bench, 31, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    answer_audit(bench, id, PG_OK);
    const struct message_audited *audited = &bench_send(bench, MESSAGE_AUDITED)->message.as.audited;
    assert_int_equal(audited->serial, 31);
    assert_int_equal(audited->findings->bytes[0], AUDIT_LOST);

    ask_audit(bench, 32, &gid);
    answer_audit(bench, bench_command(bench, COMMAND_AUDIT)->id, PG_UNKNOWN);
    assert_int_equal(bench_count_sends(bench, MESSAGE_AUDITED), 0);
    ask_audit(bench, 32, &gid); /* it asks again, and meanwhile the database is another one */
    id = bench_command(bench, COMMAND_AUDIT)->id;
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    answer_audit(bench, id, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_AUDITED), 0);
}

/* P-6, P-10: nobody is told about another journal's or participant's branches. */
static void test_agent_p14_audit_of_others_is_refused(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid other = bench_gid(1, 7);
    other.gtrid.journal.bytes[0] ^= 1;
    ask_audit(bench, 1, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    other = bench_gid(1, 7);
    snprintf(other.participant, sizeof(other.participant), "stranger");
    ask_audit(bench, 2, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    other = bench_gid(1, 7);
    other.gtrid.epoch = EPOCH + 1; /* a later coordinator's */
    ask_audit(bench, 3, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    struct message nothing = {.kind = MESSAGE_AUDIT, .as.audit.serial = 4};
    bench_message(bench, SESSION, &nothing);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    assert_int_equal(bench_counters(bench).fenced, 4);
}

/* P-14: while the database is away there is nobody to ask, and what comes after the session has claimed anew is not told:
 * the coordinator asks again. */
static void test_agent_p14_audit_needs_database_and_session(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    struct gid gid = bench_gid(1, 7);
    bench_status(bench, HEALTH_DOWN, false);
    ask_audit(bench, 1, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_AUDIT), 0);
    bench_status(bench, HEALTH_UP, false);
    ask_audit(bench, 1, &gid);
    uint64_t id = bench_command(bench, COMMAND_AUDIT)->id;
    bench_claim(bench, SESSION, EPOCH + 1, 2, 20);
    uint64_t store_id = bench_command(bench, COMMAND_STORE_WITNESS)->id;
    answer_audit(bench, id, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_AUDITED), 0);
    bench_answer(bench, store_id, COMMAND_STORE_WITNESS, PG_OK);
    ask_audit(bench, 2, &gid);
    answer_audit(bench, bench_command(bench, COMMAND_AUDIT)->id, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_AUDITED)->message.as.audited.serial, 2);
}

/* P-14: WELCOME tells the position that was read with the claim; where none was read, that of the status. */
static void test_agent_p14_welcome_tells_the_position_of_the_claim(void **state)
{
    struct bench *bench = *state;
    struct database_status status = {.health = HEALTH_UP};
    status.identity = (struct identity){.system_id = 9, .timeline = 1, .lsn = 500};
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = &status};
    bench_step(bench, &event);
    static const uint64_t read[] = {777, 0};
    static const uint64_t told[] = {777, 500};
    for (size_t i = 0; i < 2; i++) {
        bench_peer_up(bench, SESSION + i);
        load_witness(bench, 0, 0, 0);
        bench_claim(bench, SESSION + i, EPOCH + i, NONCE, 10);
        struct command_result result = {.id = bench_command(bench, COMMAND_STORE_WITNESS)->id,
                                        .kind = COMMAND_STORE_WITNESS,
                                        .class = PG_OK,
                                        .proof.lsn = read[i]};
        bench_result(bench, &result);
        assert_int_equal(bench_send(bench, MESSAGE_WELCOME)->message.as.welcome.identity.lsn,
                         told[i]);
    }
}

/* P-14: no new work before the rows of the new history were seen, and the scan of the old one does
 * not count. */
static void test_agent_p14_no_work_before_the_new_history_is_scanned(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_wait(bench, 2000);
    assert_int_not_equal(bench->scan_id, 0);
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    bench_work(bench, 1);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.failure.reason,
                     REASON_PARTICIPANT_UNAVAILABLE);
    bench_scan(bench, 0, NULL, 0); /* the old history's */
    bench_work(bench, 2);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    bench_scan(bench, 0, NULL, 0);
    bench_work(bench, 3);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_agent_p10_witness_comes_before_any_claim),
        TEST(test_agent_p10_witness_waits_for_the_database),
        TEST(test_agent_p10_welcome_needs_the_stored_epoch),
        TEST(test_agent_p10_stale_claims_are_fenced),
        TEST(test_agent_p10_lower_claim_loses_while_the_higher_is_stored),
        TEST(test_agent_p10_overtaken_claim_is_not_welcomed),
        TEST(test_agent_p10_higher_epoch_replaces_the_older_session),
        TEST(test_agent_p10_claim_confirms_the_witness_as_it_is),
        TEST(test_agent_p10_same_generation_confirms_its_own_heads),
        TEST(test_agent_p10_newer_epoch_in_the_database_fences_the_session),
        TEST(test_agent_p10_refused_store_reads_the_witness_again),
        TEST(test_agent_p10_refused_claim_confirms_what_the_database_knows),
        TEST(test_agent_p10_messages_before_the_welcome_are_ignored),
        TEST(test_agent_p10_work_of_another_epoch_is_ignored),
        TEST(test_agent_p10_word_about_another_journal_is_ignored),
        TEST(test_agent_p10_head_is_stored_at_most_once_a_second),
        TEST(test_agent_p11_sweep_asks_about_unknown_rows),
        TEST(test_agent_p11_young_row_is_given_its_grace),
        TEST(test_agent_p11_failed_scan_says_nothing),
        TEST(test_agent_p11_scan_is_judged_by_when_it_began),
        TEST(test_agent_p11_late_second_prepare_is_found),
        TEST(test_agent_p11_sweep_never_ends),
        TEST(test_agent_p10_rows_without_a_coordinator_are_told_once),
        TEST(test_agent_p6_misplaced_rows_are_told_and_left),
        TEST(test_agent_p13_swept_number_waits_for_what_was_live),
        TEST(test_agent_p14_sweep_of_another_history_counts_for_nothing),
        TEST(test_agent_p14_changed_history_voids_votes),
        TEST(test_agent_p14_result_of_another_history_is_doubt),
        TEST(test_agent_p14_remembered_answers_are_dropped),
        TEST(test_agent_p14_audit_is_answered_by_the_database),
        TEST(test_agent_p14_audit_of_others_is_refused),
        TEST(test_agent_p14_audit_needs_database_and_session),
        TEST(test_agent_p14_welcome_tells_the_position_of_the_claim),
        TEST(test_agent_p14_no_work_before_the_new_history_is_scanned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

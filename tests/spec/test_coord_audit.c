/* test_coord_audit.c - P-14: finished commits are compared with a database that is not the one that acknowledged them. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

#define TIMELINE 3
#define LSN      5000

static uint64_t histories;

static struct identity database(uint32_t timeline, uint64_t lsn)
{
    return (struct identity){.system_id = 9, .timeline = timeline, .database_oid = 7, .lsn = lsn};
}

/* WELCOME on the session that payment has, or a new one. */
static void payment_welcomes(struct world *world, struct identity here,
                             const struct journal_entry *newest, size_t newest_count)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    struct message message = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = counters.epoch};
    message.as.welcome.identity = here;
    message.as.welcome.history = ++histories;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = "payment",
                                .session = world->payment_session,
                                .message = &message};
    event.prior.newest = newest;
    event.prior.newest_count = newest_count;
    world_step(world, &event);
    message_done(&message);
}

static void payment_connects(struct world *world, struct identity here)
{
    world->payment_session = world->next_session++;
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "payment",
                             .address = "127.0.0.1:7410",
                             .version = "0",
                             .session = world->payment_session};
    world_step(world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(world, "payment", world->payment_session, &witness);
    payment_welcomes(world, here, NULL, 0);
}

/* A checkout whose branches voted at that place, decided commit; its entry as the journal has it. */
static struct journal_entry decided_at(struct world *world, uint64_t number, uint32_t timeline,
                                       uint64_t lsn)
{
    (void)world_submit(world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(world);
    static const char *const names[] = {"order", "payment"};
    struct journal_entry entry = {.commit_number = number};
    for (size_t i = 0; i < 2; i++) {
        struct message message = {.kind = MESSAGE_VOTE};
        message.as.vote.gid = world_gid(&gtrid, names[i], 40 + number);
        message.as.vote.vote = VOTE_COMMIT;
        message.as.vote.proof = (struct proof){
            .kind = PROOF_ROW, .timeline = timeline, .database_oid = 7, .system_id = 9, .lsn = lsn};
        world_message(world, names[i], i == 0 ? world->order_session : world->payment_session,
                      &message);
    }
    record_copy(world_append(world, RECORD_COMMIT), &entry.commit);
    world_durable(world);
    return entry;
}

/* The same, acknowledged and ended. */
static struct journal_entry finished_at(struct world *world, uint64_t number, uint32_t timeline,
                                        uint64_t lsn)
{
    struct journal_entry entry = decided_at(world, number, timeline, lsn);
    for (size_t i = 0; i < 2; i++) {
        struct gid gid = entry.commit.as.commit.branches[i].gid;
        world_ack(world, gid.participant, &gid, ACK_COMMITTED);
    }
    entry.ended = true;
    return entry;
}

static struct journal_entry finished(struct world *world, uint64_t number)
{
    return finished_at(world, number, TIMELINE, LSN);
}

static bool wants_page(const struct world *world, uint64_t before_number)
{
    char participant[PARTICIPANT_NAME_SIZE];
    uint64_t before = 0;
    return coord_wants_page(world->coord, participant, &before) &&
           strcmp(participant, "payment") == 0 && before == before_number;
}

static void give_page(struct world *world, uint64_t before_number,
                      const struct journal_entry *entries, size_t count)
{
    struct coord_event event = {.kind = COORD_EVENT_RETAINED,
                                .participant = "payment",
                                .before_number = before_number,
                                .entry_count = count,
                                .entries = entries};
    world_step(world, &event);
}

static void find(struct world *world, uint64_t serial, size_t count, const uint8_t *findings)
{
    struct message message = {.kind = MESSAGE_AUDITED};
    message.as.audited.serial = serial;
    message.as.audited.findings = blob_new(findings, count);
    world_message(world, "payment", world->payment_session, &message);
}

static enum api_status submit_status(struct world *world)
{
    uint64_t call = world_submit(world, NULL, 1);
    const struct api_answer *answer = world_answer(world, call);
    return answer == NULL ? 0 : answer->status;
}

/* P-14: after a failover no new work goes there before every finished commit was compared; what is lost is a heuristic
 * outcome, recorded and shown; then work goes on. */
static void test_p14_lost_commit_is_found_before_new_work(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entries[2] = {finished(&world, 20), finished(&world, 10)};
    payment_connects(&world, database(TIMELINE + 1, LSN + 100));
    assert_true(wants_page(&world, UINT64_MAX));
    assert_int_equal(submit_status(&world), API_REFUSED);

    give_page(&world, UINT64_MAX, entries, 2);
    const struct message_audit *audit = &world_send(&world, MESSAGE_AUDIT, 0)->as.audit;
    assert_int_equal(audit->list.count, 2);
    struct gid lost = entries[1].commit.as.commit.branches[1].gid;
    assert_true(gid_equal(&audit->list.items[1].gid, &lost));
    uint64_t serial = audit->serial;
    find(&world, serial, 2, (const uint8_t[]){AUDIT_COMMITTED, AUDIT_LOST});
    const struct record *record = world_append(&world, RECORD_HEURISTIC);
    assert_non_null(record);
    assert_true(gid_equal(&record->as.heuristic.gid, &lost));
    assert_int_equal(record->as.heuristic.ack, ACK_HEURISTIC_ROLLBACK);
    assert_true(wants_page(&world, 10));
    assert_int_equal(submit_status(&world), API_REFUSED);
    give_page(&world, 10, NULL, 0);
    assert_false(wants_page(&world, 10));
    world_durable(&world);
    assert_int_equal(submit_status(&world), 0); /* under way */
    struct txn_view view;
    assert_true(coord_view(world.coord, &lost.gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    txn_view_done(&view);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    record_done(&entries[0].commit);
    record_done(&entries[1].commit);
    world_done(&world);
}

/* P-14: a position behind that of a vote is another history on the same timeline; one that is not behind is no reason for
 * anything. */
static void test_p14_position_behind_the_votes_starts_an_audit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE, LSN));
    assert_false(wants_page(&world, UINT64_MAX));
    assert_int_equal(submit_status(&world), 0);
    payment_connects(&world, database(TIMELINE, LSN - 1));
    assert_true(wants_page(&world, UINT64_MAX));
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: also on a session that goes on: the agent welcomes again when its database is another one. */
static void test_p14_second_welcome_of_a_session_starts_an_audit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_welcomes(&world, database(TIMELINE + 1, LSN), NULL, 0);
    assert_true(wants_page(&world, UINT64_MAX));
    assert_int_equal(submit_status(&world), API_REFUSED);
    record_done(&entry.commit);
    world_done(&world);
}

/* A WELCOME that is only repeated has an old position; that is no other history. */
static void test_p14_repeated_welcome_starts_no_audit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    payment_connects(&world, database(TIMELINE, LSN - 100));
    struct journal_entry entry = finished(&world, 10);
    histories--;
    payment_welcomes(&world, database(TIMELINE, LSN - 100), NULL, 0);
    assert_false(wants_page(&world, UINT64_MAX));
    assert_int_equal(submit_status(&world), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: after a start the journal's newest commits tell where the database stood, and one that was lost is brought back from
 * there. A heuristic outcome that is recorded already is not asked about again. */
static void test_p14_audit_after_a_start_goes_by_the_journal(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entries[2] = {finished(&world, 20), finished(&world, 10)};
    struct journal_state journal = {.last_epoch = 1};
    world_done(&world);

    struct record note = {.kind = RECORD_HEURISTIC};
    note.as.heuristic.gid = entries[1].commit.as.commit.branches[1].gid;
    note.as.heuristic.ack = ACK_HEURISTIC_ROLLBACK;
    entries[1].notes = &note;
    entries[1].note_count = 1;
    world_init_from(&world, &journal, NULL, 0);
    world_durable(&world);
    world.payment_session = world_connect(&world, "payment"); /* welcomed without any history */
    payment_welcomes(&world, database(TIMELINE + 1, LSN), entries, 2);
    assert_true(wants_page(&world, UINT64_MAX));
    give_page(&world, UINT64_MAX, entries, 2);
    const struct message_audit *audit = &world_send(&world, MESSAGE_AUDIT, 0)->as.audit;
    assert_int_equal(audit->list.count, 1);
    find(&world, audit->serial, 1, (const uint8_t[]){AUDIT_LOST});
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    struct txn_view view;
    assert_true(coord_view(world.coord, &entries[0].commit.as.commit.gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTED);
    assert_int_equal(view.branches[1].state, BRANCH_HEURISTIC_ROLLBACK);
    txn_view_done(&view);
    record_done(&entries[0].commit);
    record_done(&entries[1].commit);
    world_done(&world);
}

/* P-14: a lost question is repeated with the heartbeat; an answer to another one, or of another length, is none; what
 * cannot be told is no heuristic outcome. */
static void test_p14_audit_is_asked_until_it_is_answered(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, &entry, 1);
    uint64_t serial = world_send(&world, MESSAGE_AUDIT, 0)->as.audit.serial;
    world_tick(&world, 1000);
    assert_int_equal(world_send(&world, MESSAGE_AUDIT, 0)->as.audit.serial, serial);
    find(&world, serial + 1, 1, (const uint8_t[]){AUDIT_LOST});
    find(&world, serial, 2, (const uint8_t[]){AUDIT_LOST, AUDIT_LOST});
    assert_false(wants_page(&world, 10));
    find(&world, serial, 1, (const uint8_t[]){AUDIT_CANNOT_TELL});
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    assert_true(wants_page(&world, 10));
    give_page(&world, UINT64_MAX, &entry, 1); /* an older question's */
    assert_true(wants_page(&world, 10));
    give_page(&world, 10, NULL, 0);
    assert_int_equal(submit_status(&world), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: a connection that breaks meanwhile goes on where it was; yet another database begins again. */
static void test_p14_audit_survives_its_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, &entry, 1);
    world_disconnect(&world, world.payment_session);
    payment_connects(&world, database(TIMELINE + 1, LSN + 10));
    assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 1);
    assert_int_equal(submit_status(&world), API_REFUSED);
    payment_connects(&world, database(TIMELINE + 2, LSN));
    assert_true(wants_page(&world, UINT64_MAX));
    record_done(&entry.commit);
    world_done(&world);
}

static void votes_yes(struct world *world, const char *participant, const struct gtrid *gtrid,
                      uint32_t timeline)
{
    bool is_order = strcmp(participant, "order") == 0;
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = world_gid(gtrid, participant, 78);
    message.as.vote.vote = VOTE_COMMIT;
    message.as.vote.proof = (struct proof){.kind = PROOF_ROW,
                                           .timeline = timeline,
                                           .database_oid = 7,
                                           .system_id = 9,
                                           .lsn = LSN + 50};
    world_message(world, participant, is_order ? world->order_session : world->payment_session,
                  &message);
}

/* A checkout that only payment has not voted on. */
static struct gtrid half_voted(struct world *world)
{
    (void)world_submit(world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(world);
    votes_yes(world, "order", &gtrid, TIMELINE);
    return gtrid;
}

static size_t claims_at_payment(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->ready.send_count; i++) {
        /* The table-top's order is welcomed without an identity and so is claimed again as well. */
        count += world->ready.sends[i].session == world->payment_session &&
                         world->ready.sends[i].message.kind == MESSAGE_CLAIM
                     ? 1
                     : 0;
    }
    return count;
}

static void payment_tells_health(struct world *world, struct identity here)
{
    struct message message = {.kind = MESSAGE_HEALTH};
    message.as.health = (struct message_health){.health = HEALTH_UP, .identity = here};
    world_message(world, "payment", world->payment_session, &message);
}

/* P-14: a branch that had acknowledged is compared also where another branch of its transaction still has not, and where END
 * is not in the journal yet: it is not driven again. One that has not acknowledged is. */
static void test_p14_acknowledged_branch_of_an_open_commit_is_compared(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry over = finished(&world, 10);
    over.ended = false; /* END is on its way to the journal */
    struct gtrid gtrid = half_voted(&world);
    votes_yes(&world, "payment", &gtrid, TIMELINE);
    struct journal_entry open = {.commit_number = 20};
    record_copy(world_append(&world, RECORD_COMMIT), &open.commit);
    world_durable(&world);
    const struct gid *payment = &open.commit.as.commit.branches[1].gid;
    world_ack(&world, "payment", payment, ACK_COMMITTED); /* and order's never comes */
    payment_connects(&world, database(TIMELINE + 1, LSN + 100));
    give_page(&world, UINT64_MAX, (const struct journal_entry[]){open, over}, 2);
    assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 1);
    const struct message_audit *audit = &world_send(&world, MESSAGE_AUDIT, 0)->as.audit;
    assert_int_equal(audit->list.count, 2);
    find(&world, audit->serial, 2, (const uint8_t[]){AUDIT_LOST, AUDIT_COMMITTED});
    assert_true(gid_equal(&world_append(&world, RECORD_HEURISTIC)->as.heuristic.gid, payment));
    world_durable(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &gtrid, false, &view));
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTING); /* and is still driven */
    assert_int_equal(view.branches[1].state, BRANCH_HEURISTIC_ROLLBACK);
    txn_view_done(&view);
    record_done(&open.commit);
    record_done(&over.commit);
    world_done(&world);
}

/* P-14: WORK that was on its way when the database became another one may be executed there. Its commit would name the new
 * history before the comparison is through, and the next process would find no difference. So it aborts. */
static void test_p14_another_database_aborts_what_is_undecided_there(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    struct gtrid gtrid = half_voted(&world);
    payment_welcomes(&world, database(TIMELINE + 1, LSN + 100), NULL, 0);
    assert_true(wants_page(&world, UINT64_MAX));
    votes_yes(&world, "payment", &gtrid, TIMELINE + 1);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: a WELCOME that tells of another database may be lost. A yes from there counts as doubt, and with the next heartbeat the
 * coordinator claims again, so that it hears the WELCOME once more. */
static void test_p14_lost_welcome_of_another_database_is_asked_for_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_tells_health(&world, database(TIMELINE, LSN + 10));
    world_tick(&world, 1000);
    assert_int_equal(claims_at_payment(&world), 0);
    struct gtrid gtrid = half_voted(&world);
    votes_yes(&world, "payment", &gtrid, TIMELINE + 1);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    struct txn_view view;
    assert_true(coord_view(world.coord, &gtrid, false, &view));
    assert_int_equal(view.state, TXN_ABORTING);
    txn_view_done(&view);
    payment_tells_health(&world, database(TIMELINE + 1, LSN + 100));
    world_tick(&world, 1000);
    assert_int_equal(claims_at_payment(&world), 1);
    payment_welcomes(&world, database(TIMELINE + 1, LSN + 100), NULL, 0);
    assert_true(wants_page(&world, UINT64_MAX));
    world_tick(&world, 1000);
    assert_int_equal(claims_at_payment(&world), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* While finished transactions are compared, a participant that is up and takes no work says why, whatever its agent reports and
 * however often it connects. */
static void test_p14_audit_tells_why_no_work_goes_there(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    for (int i = 0; i < 2; i++) {
        payment_tells_health(&world, database(TIMELINE + 1, LSN));
        uint64_t call = world_submit(&world, NULL, 1);
        const struct api_answer *answer = world_answer(&world, call);
        assert_int_equal(answer->status, API_REFUSED);
        assert_non_null(strstr(answer->text, "compared"));
        payment_connects(&world, database(TIMELINE + 1, LSN));
    }
    record_done(&entry.commit);
    world_done(&world);
}

static uint64_t stale_messages(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters.stale_messages;
}

static size_t count_notices(const struct world *world, enum coord_notice_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < world->ready.notice_count; i++) {
        count += world->ready.notices[i].kind == kind;
    }
    return count;
}

/* P-14: another server, timeline or database is another history, each for itself, however far its position is. */
static void test_p14_each_part_of_the_identity_tells_histories_apart(void **state)
{
    (void)state;
    for (int part = 0; part < 3; part++) {
        struct world world;
        world_init(&world);
        struct journal_entry entry = finished(&world, 10);
        struct identity here = database(TIMELINE, LSN + 100);
        here.system_id += part == 0;
        here.timeline += part == 1;
        here.database_oid += part == 2;
        payment_connects(&world, here);
        assert_true(wants_page(&world, UINT64_MAX));
        record_done(&entry.commit);
        world_done(&world);
    }
}

/* P-14: the highest position of a yes counts, in whichever order they came. */
static void test_p14_known_position_is_the_highest_vote(void **state)
{
    (void)state;
    static const uint64_t second[] = {LSN + 50, LSN - 50};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_init(&world);
        struct journal_entry entries[2] = {finished(&world, 10),
                                           finished_at(&world, 20, TIMELINE, second[i])};
        uint64_t highest = second[i] > LSN ? second[i] : LSN;
        payment_connects(&world, database(TIMELINE, highest));
        assert_false(wants_page(&world, UINT64_MAX));
        payment_connects(&world, database(TIMELINE, highest - 1));
        assert_true(wants_page(&world, UINT64_MAX));
        record_done(&entries[0].commit);
        record_done(&entries[1].commit);
        world_done(&world);
    }
}

/* P-14: older commits of another history do not tell where the present one stands. */
static void test_p14_only_the_newest_history_of_the_journal_counts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entries[2] = {finished(&world, 20), finished(&world, 10)};
    entries[0].commit.as.commit.branches[1].proof.timeline = TIMELINE + 1;
    entries[0].commit.as.commit.branches[1].proof.lsn = LSN - 100;
    struct journal_state journal = {.last_epoch = 1};
    world_done(&world);
    world_init_from(&world, &journal, NULL, 0);
    world_durable(&world);
    world.payment_session = world_connect(&world, "payment");
    payment_welcomes(&world, database(TIMELINE + 1, LSN - 100), entries, 2);
    assert_false(wants_page(&world, UINT64_MAX));
    record_done(&entries[0].commit);
    record_done(&entries[1].commit);
    world_done(&world);
}

/* P-14: the journal is asked for the newest commits with a WELCOME of a participant of which nothing is known, and only
 * then. */
static void test_p14_newest_commits_are_wanted_once(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message message = {.kind = MESSAGE_WELCOME};
    struct coord_event event = {
        .kind = COORD_EVENT_MESSAGE, .participant = "payment", .message = &message};
    assert_true(coord_wants_newest(world.coord, &event));
    event.participant = "nobody";
    assert_false(coord_wants_newest(world.coord, &event));
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP, .participant = "payment"};
    assert_false(coord_wants_newest(world.coord, &up));
    event.participant = "payment";
    message.kind = MESSAGE_HEALTH;
    assert_false(coord_wants_newest(world.coord, &event));
    message.kind = MESSAGE_WELCOME;
    struct journal_entry entry = finished(&world, 10);
    assert_false(coord_wants_newest(world.coord, &event));
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: while a comparison goes on, the database that it began with may go on too, or tell the same position again; any
 * other begins it again, further on or set back. */
static void test_p14_audit_begins_again_only_for_another_database(void **state)
{
    (void)state;
    static const struct {
        uint32_t timeline;
        uint64_t lsn;
        bool begins_again;
    } cases[] = {
        {TIMELINE + 1, LSN, false},
        {TIMELINE + 1, LSN + 1, false},
        {TIMELINE + 1, LSN - 1, true},
        {TIMELINE + 2, LSN + 100, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        world_init(&world);
        struct journal_entry entry = finished(&world, 10);
        payment_connects(&world, database(TIMELINE + 1, LSN));
        give_page(&world, UINT64_MAX, &entry, 1);
        payment_welcomes(&world, database(cases[i].timeline, cases[i].lsn), NULL, 0);
        assert_int_equal(wants_page(&world, UINT64_MAX), cases[i].begins_again);
        assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), !cases[i].begins_again);
        record_done(&entry.commit);
        world_done(&world);
    }
}

/* P-14: without a session nothing is read and nothing is asked; a page that was under way is asked with the next one. */
static void test_p14_audit_waits_for_a_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    world_disconnect(&world, world.payment_session);
    assert_false(wants_page(&world, UINT64_MAX));
    give_page(&world, UINT64_MAX, &entry, 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 0);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 1);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: the note of one branch says nothing of another's, and that of a person's word is no outcome. */
static void test_p14_only_its_own_note_spares_a_branch_the_audit(void **state)
{
    (void)state;
    static const enum record_kind kinds[] = {RECORD_HEURISTIC, RECORD_RESOLVED};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_init(&world);
        struct journal_entry entry = finished(&world, 10);
        struct record note = {.kind = kinds[i]};
        note.as.heuristic.gid = entry.commit.as.commit.branches[i].gid;
        entry.notes = &note;
        entry.note_count = 1;
        payment_connects(&world, database(TIMELINE + 1, LSN));
        give_page(&world, UINT64_MAX, &entry, 1);
        assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 1);
        record_done(&entry.commit);
        world_done(&world);
    }
}

/* P-14: a page that comes twice, late, or for nobody changes nothing. */
static void test_p14_page_that_nobody_waits_for_is_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    struct coord_event stray = {.kind = COORD_EVENT_RETAINED,
                                .participant = "nobody",
                                .before_number = UINT64_MAX,
                                .entry_count = 1,
                                .entries = &entry};
    world_step(&world, &stray);
    assert_int_equal(world.ready.send_count, 0);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, &entry, 1);
    uint64_t serial = world_send(&world, MESSAGE_AUDIT, 0)->as.audit.serial;
    give_page(&world, 10, NULL, 0); /* asked for by nobody: the first is not answered */
    assert_int_equal(submit_status(&world), API_REFUSED);
    find(&world, serial, 1, (const uint8_t[]){AUDIT_COMMITTED});
    give_page(&world, 10, NULL, 0);
    assert_int_equal(count_notices(&world, COORD_NOTICE_AUDITED), 1);
    give_page(&world, 10, NULL, 0);
    assert_int_equal(count_notices(&world, COORD_NOTICE_AUDITED), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: what has not acknowledged is driven, and not asked about. */
static void test_p14_branch_that_is_driven_is_not_compared(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = decided_at(&world, 10, TIMELINE, LSN);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    assert_int_not_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    give_page(&world, UINT64_MAX, &entry, 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_AUDIT), 0);
    assert_true(wants_page(&world, 10));
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14, P-19: a branch that had nothing to commit has nothing to lose. */
static void test_p14_read_only_branch_is_not_compared(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entries[2] = {finished(&world, 20), finished(&world, 10)};
    entries[0].commit.as.commit.branches[1].read_only = true;
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, entries, 2);
    const struct message_audit *audit = &world_send(&world, MESSAGE_AUDIT, 0)->as.audit;
    assert_int_equal(audit->list.count, 1);
    struct gid gid = entries[1].commit.as.commit.branches[1].gid;
    assert_true(gid_equal(&audit->list.items[0].gid, &gid));
    record_done(&entries[0].commit);
    record_done(&entries[1].commit);
    world_done(&world);
}

/* P-14: an outcome that was recorded while the question was under way is not recorded again. */
static void test_p14_outcome_that_came_first_is_kept(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, &entry, 1);
    uint64_t serial = world_send(&world, MESSAGE_AUDIT, 0)->as.audit.serial;
    world_ack(&world, "payment", &entry.commit.as.commit.branches[1].gid, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    find(&world, serial, 1, (const uint8_t[]){AUDIT_LOST});
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    assert_true(wants_page(&world, 10));
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: an answer without findings, or that comes again, is a stale message and no answer. */
static void test_p14_answer_that_says_nothing_is_stale(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    give_page(&world, UINT64_MAX, &entry, 1);
    uint64_t serial = world_send(&world, MESSAGE_AUDIT, 0)->as.audit.serial;
    uint64_t stale = stale_messages(&world);
    struct message message = {.kind = MESSAGE_AUDITED, .as.audited.serial = serial};
    world_message(&world, "payment", world.payment_session, &message);
    assert_int_equal(stale_messages(&world), stale + 1);
    assert_false(wants_page(&world, 10));
    find(&world, serial, 1, (const uint8_t[]){AUDIT_COMMITTED});
    assert_int_equal(stale_messages(&world), stale + 1);
    find(&world, serial, 0, (const uint8_t[]){0});
    assert_int_equal(stale_messages(&world), stale + 2);
    assert_true(wants_page(&world, 10));
    record_done(&entry.commit);
    world_done(&world);
}

/* A participant is called ready once for each session, and not while it is being compared. */
static void test_p14_participant_is_not_called_ready_during_an_audit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_connects(&world, database(TIMELINE, LSN));
    assert_int_equal(count_notices(&world, COORD_NOTICE_PEER_READY), 1);
    payment_welcomes(&world, database(TIMELINE, LSN), NULL, 0);
    assert_int_equal(count_notices(&world, COORD_NOTICE_PEER_READY), 0);
    payment_connects(&world, database(TIMELINE + 1, LSN));
    assert_int_equal(count_notices(&world, COORD_NOTICE_AUDIT), 1);
    assert_int_equal(count_notices(&world, COORD_NOTICE_PEER_READY), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* ---- acknowledgements about what only the journal remembers ---- */

static void ack_retained(struct world *world, const struct gid *gid, enum ack ack,
                         const struct journal_entry *entry)
{
    struct message message = {.kind = MESSAGE_ACK, .as.ack = {.gid = *gid, .ack = ack}};
    bool is_order = strcmp(gid->participant, "order") == 0;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = gid->participant,
                                .session = is_order ? world->order_session : world->payment_session,
                                .message = &message};
    event.prior = (struct coord_prior){.looked_up = true, .found = true, .entry = entry};
    world_step(world, &event);
    message_done(&message);
}

/* A coordinator that has no transaction in memory, over the journal of a finished one. */
static struct journal_entry restarted(struct world *world)
{
    world_init(world);
    struct journal_entry entry = finished(world, 10);
    struct journal_state journal = {.last_epoch = 1};
    world_done(world);
    world_init_from(world, &journal, NULL, 0);
    world_durable(world);
    world->order_session = world_connect(world, "order");
    world->payment_session = world_connect(world, "payment");
    return entry;
}

/* P-12, P-14: a contradiction of a retained commit is recorded, whichever of its branches it is about and whatever it says;
 * the second time it is in memory already. */
static void test_p14_contradiction_of_a_retained_commit_is_recorded_once(void **state)
{
    (void)state;
    static const enum ack acks[] = {ACK_HEURISTIC_ROLLBACK, ACK_HAZARD};
    for (size_t i = 0; i < 4; i++) {
        struct world world;
        struct journal_entry entry = restarted(&world);
        const struct gid *gid = &entry.commit.as.commit.branches[i / 2].gid;
        ack_retained(&world, gid, acks[i % 2], &entry);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
        assert_int_equal(world_append(&world, RECORD_HEURISTIC)->as.heuristic.ack, acks[i % 2]);
        ack_retained(&world, gid, acks[i % 2], &entry);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
        record_done(&entry.commit);
        world_done(&world);
    }
}

/* P-1, P-12: END is lazy: a commit that was forgotten before its END was written is one that had acknowledged. */
static void test_p12_retained_commit_has_ended_though_its_end_is_not_written(void **state)
{
    (void)state;
    struct world world;
    struct journal_entry entry = restarted(&world);
    entry.ended = false;
    const struct gid *gid = &entry.commit.as.commit.branches[0].gid;
    ack_retained(&world, gid, ACK_HEURISTIC_ROLLBACK, &entry);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-7, P-20: a repeated acknowledgement of a retained commit, one of another attempt, or of a branch that had nothing to
 * commit, contradicts nothing and brings nothing back into memory. */
static void test_p20_what_a_retained_commit_does_not_name_is_stale(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world world;
        struct txn_view view;
        struct journal_entry entry = restarted(&world);
        struct gid gid = entry.commit.as.commit.branches[1].gid;
        gid.attempt += i == 1;
        entry.commit.as.commit.branches[1].read_only = i == 2;
        uint64_t stale = stale_messages(&world);
        ack_retained(&world, &gid, i == 0 ? ACK_COMMITTED : ACK_HEURISTIC_ROLLBACK, &entry);
        assert_int_equal(stale_messages(&world), stale + 1);
        assert_int_equal(world.ready.append_count, 0);
        assert_false(coord_view(world.coord, &gid.gtrid, false, &view));
        record_done(&entry.commit);
        world_done(&world);
    }
}

static void assert_payment_text(const struct world *world, const char *expected)
{
    struct participant_view *views = NULL;
    size_t count = coord_participants(world->coord, &views);
    assert_int_equal(count, 2);
    assert_string_equal(views[1].text, expected);
    free(views);
}

/* The audit is a reason only while it goes on, and gives way to what the agent itself says. */
static void test_p14_audit_is_told_where_nothing_else_is(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    payment_tells_health(&world, database(TIMELINE, LSN));
    assert_payment_text(&world, "");
    payment_connects(&world, database(TIMELINE + 1, LSN));
    struct message message = {.kind = MESSAGE_HEALTH};
    message.as.health.health = HEALTH_UP;
    snprintf(message.as.health.text, sizeof message.as.health.text, "no slots");
    world_message(&world, "payment", world.payment_session, &message);
    assert_payment_text(&world, "no slots");
    record_done(&entry.commit);
    world_done(&world);
}

/* P-14: another database than the known one is claimed again only on a session that was welcomed, and where one is known. */
static void test_p14_only_a_welcomed_participant_is_claimed_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    payment_tells_health(&world, database(TIMELINE, LSN));
    world_tick(&world, 1000);
    assert_int_equal(claims_at_payment(&world), 0); /* nothing has been committed there */
    struct journal_entry entry = finished(&world, 10);
    payment_tells_health(&world, database(TIMELINE + 1, LSN));
    world_disconnect(&world, world.payment_session);
    world.payment_session = 0;
    world_tick(&world, 1000);
    assert_int_equal(claims_at_payment(&world), 0);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-12, P-14: a yes without a proof says nothing of its database, and counts. */
static void test_p14_yes_without_a_proof_counts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct journal_entry entry = finished(&world, 10);
    struct gtrid gtrid = half_voted(&world);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = world_gid(&gtrid, "payment", 78);
    message.as.vote.vote = VOTE_COMMIT;
    world_message(&world, "payment", world.payment_session, &message);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    record_done(&entry.commit);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p14_lost_commit_is_found_before_new_work),
        cmocka_unit_test(test_p14_position_behind_the_votes_starts_an_audit),
        cmocka_unit_test(test_p14_second_welcome_of_a_session_starts_an_audit),
        cmocka_unit_test(test_p14_repeated_welcome_starts_no_audit),
        cmocka_unit_test(test_p14_audit_after_a_start_goes_by_the_journal),
        cmocka_unit_test(test_p14_audit_is_asked_until_it_is_answered),
        cmocka_unit_test(test_p14_audit_survives_its_session),
        cmocka_unit_test(test_p14_acknowledged_branch_of_an_open_commit_is_compared),
        cmocka_unit_test(test_p14_another_database_aborts_what_is_undecided_there),
        cmocka_unit_test(test_p14_lost_welcome_of_another_database_is_asked_for_again),
        cmocka_unit_test(test_p14_audit_tells_why_no_work_goes_there),
        cmocka_unit_test(test_p14_each_part_of_the_identity_tells_histories_apart),
        cmocka_unit_test(test_p14_known_position_is_the_highest_vote),
        cmocka_unit_test(test_p14_only_the_newest_history_of_the_journal_counts),
        cmocka_unit_test(test_p14_newest_commits_are_wanted_once),
        cmocka_unit_test(test_p14_audit_begins_again_only_for_another_database),
        cmocka_unit_test(test_p14_audit_waits_for_a_session),
        cmocka_unit_test(test_p14_only_its_own_note_spares_a_branch_the_audit),
        cmocka_unit_test(test_p14_page_that_nobody_waits_for_is_nothing),
        cmocka_unit_test(test_p14_branch_that_is_driven_is_not_compared),
        cmocka_unit_test(test_p14_read_only_branch_is_not_compared),
        cmocka_unit_test(test_p14_outcome_that_came_first_is_kept),
        cmocka_unit_test(test_p14_answer_that_says_nothing_is_stale),
        cmocka_unit_test(test_p14_participant_is_not_called_ready_during_an_audit),
        cmocka_unit_test(test_p14_contradiction_of_a_retained_commit_is_recorded_once),
        cmocka_unit_test(test_p12_retained_commit_has_ended_though_its_end_is_not_written),
        cmocka_unit_test(test_p20_what_a_retained_commit_does_not_name_is_stale),
        cmocka_unit_test(test_p14_audit_is_told_where_nothing_else_is),
        cmocka_unit_test(test_p14_only_a_welcomed_participant_is_claimed_again),
        cmocka_unit_test(test_p14_yes_without_a_proof_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* coord_hostile.c - see coord_hostile.h. */
#include "tests/spec/coord_hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core.h"
#include "recovery/journal_memory.h"

#define PARTICIPANTS  3
#define KEYS          6
#define SETTLE_ROUNDS 400
#define ATTEMPTS      3 /* that a participant may speak of */

static const char *const names[PARTICIPANTS] = {"order", "payment", "stock"};

struct fact_branch { /* what the oracle knows of one branch */
    bool used, read_only;
    uint64_t session;  /* that its WORK went out on, 0: none; of this process */
    bool spoiled;      /* a no or the session's end came before any yes was recorded */
    uint64_t yes;      /* attempt of the first yes on that session */
    bool yes_readonly; /* it was VOTE_READONLY */
    bool recorded;
    uint64_t recorded_attempt; /* in the COMMIT record; 0: read-only */
    uint32_t refused_attempts; /* one bit each: told to roll back by name */
    bool forced; /* a person gave the verdict for what the journal could not judge any more */
    /* Interactive (P-22): STATEMENTs sent and answered, the attempt that answered the first one, PREPARE was sent. */
    uint64_t ordinal, answered, attempt;
    bool prepares;
    /* External: the attempt that was given out last (P-20), whether it was told to roll back. It prepares with VERIFY. */
    uint64_t given;
    bool given_refused;
    bool acked;     /* ACK_COMMITTED for the recorded gid */
    bool heuristic; /* a heuristic acknowledgement, or a released participant */
};

struct fact { /* of one gtrid */
    struct gtrid gtrid;
    bool recorded; /* COMMIT handed to the journal by a process that has not lost it */
    bool durable;
    bool is_open; /* interactive */
    uint64_t deadline_ms;
    bool told_commit, told_abort; /* the whole transaction */
    struct fact_branch branches[PARTICIPANTS];
};

enum call_kind {
    CALL_BY_NUMBER = 0,
    CALL_OPEN,
    CALL_STATEMENT,
    CALL_ROLLBACK,
    CALL_EXTERNAL,
    CALL_ACT
};

struct call {
    uint64_t
        id; /* odd ones are submissions and commits, even ones resolutions, unless the kind says otherwise */
    enum call_kind kind;
    bool answered;
    struct gtrid gtrid; /* of a resolution */
    size_t participant;
};

struct queued { /* a record on its way to the journal */
    uint64_t token;
    bool forced;
    struct record record;
};

struct world {
    struct choices *choices;
    struct coord_hostile_tally *tally;
    struct journal *journal;
    struct coord_config config;
    struct coord *coord;
    struct coord_ready ready;
    uint64_t now_ms;
    uint64_t epoch;
    uint64_t last_token, last_session, last_call;
    uint64_t sessions[PARTICIPANTS]; /* 0: down */
    uint32_t timelines[PARTICIPANTS];
    uint64_t audit_serial[PARTICIPANTS]; /* of the AUDIT that came last */
    size_t audit_count[PARTICIPANTS];
    bool configured[PARTICIPANTS];
    bool
        was_released; /* a participant was let go at some time: what it had is a person's business */
    bool stopped;     /* the core asked for it */
    size_t queued_count;
    struct queued *queued;
    size_t fact_count;
    struct fact *facts;
    size_t call_count;
    struct call *calls;
};

static uint64_t draw(struct world *world, uint64_t below)
{
    return choices_draw(world->choices, below);
}

/* ---- what the oracle remembers ---- */

static struct fact *fact_find(struct world *world, const struct gtrid *gtrid)
{
    for (size_t i = world->fact_count; i-- > 0;) {
        if (gtrid_equal(&world->facts[i].gtrid, gtrid)) {
            return &world->facts[i];
        }
    }
    return NULL;
}

static struct fact *fact_get(struct world *world, const struct gtrid *gtrid)
{
    struct fact *known = fact_find(world, gtrid);
    if (known != NULL) {
        return known;
    }
    world->facts = alloc_resize(world->facts, world->fact_count + 1, sizeof(world->facts[0]));
    known = &world->facts[world->fact_count++];
    *known = (struct fact){.gtrid = *gtrid};
    return known;
}

static size_t participant_of(const char *name)
{
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return PARTICIPANTS;
}

static size_t participant_at(const struct world *world, uint64_t session)
{
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        if (session != 0 && world->sessions[i] == session) {
            return i;
        }
    }
    return PARTICIPANTS;
}

static bool is_recorded_gid(const struct fact *known, const struct gid *gid)
{
    size_t index = participant_of(gid->participant);
    return index < PARTICIPANTS && known->recorded && known->branches[index].recorded &&
           known->branches[index].recorded_attempt == gid->attempt && gid->attempt != 0;
}

/* ---- what the core may do ---- */

static bool key_is_pending(const struct world *world, const struct record_commit *commit)
{
    for (size_t i = 0; i < world->queued_count; i++) {
        const struct record *record = &world->queued[i].record;
        if (record->kind == RECORD_COMMIT && record->as.commit.key_bytes == commit->key_bytes &&
            memcmp(record->as.commit.key, commit->key, commit->key_bytes) == 0) {
            return true;
        }
    }
    return false;
}

static void check_key(struct world *world, const struct record_commit *commit)
{
    struct journal_entry entry;
    struct error error;
    bool found = false;
    if (commit->key_bytes == 0) {
        return;
    }
    CHECK(!key_is_pending(world, commit)); /* P-18 */
    CHECK(journal_find_key(world->journal, commit->key, commit->key_bytes, &found, &entry, &error));
    if (found) {
        journal_entry_done(&entry);
    }
    CHECK(!found);
}

static void check_commit_record(struct world *world, const struct record_commit *commit)
{
    struct fact *known = fact_find(world, &commit->gtrid);
    CHECK(known != NULL && !known->recorded && !known->told_abort); /* I1 */
    CHECK(world->now_ms < known->deadline_ms);                      /* P-15 */
    check_key(world, commit);
    size_t worked = 0;
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        worked += known->branches[i].session != 0;
    }
    CHECK(commit->branch_count == worked);
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *branch = &commit->branches[i];
        size_t index = participant_of(branch->gid.participant);
        CHECK(index < PARTICIPANTS);
        struct fact_branch *of = &known->branches[index];
        CHECK(of->session != 0 && !of->spoiled);
        CHECK(of->ordinal == 0 || (of->prepares && of->answered == of->ordinal)); /* P-22 */
        if (branch->read_only) {
            CHECK(of->read_only && of->yes_readonly && branch->gid.attempt == 0);
        } else {
            CHECK(of->yes != 0 && !of->yes_readonly &&
                  of->yes == branch->gid.attempt);             /* P-7, P-20 */
            CHECK(of->ordinal == 0 || of->yes == of->attempt); /* P-22 */
            CHECK(of->given == 0 || (of->yes == of->given && of->prepares && !of->given_refused));
            CHECK((of->given != 0) == (branch->proof.kind == PROOF_EXTERNAL)); /* P-20 */
            CHECK(of->given == 0 || branch->proof.xid8 != 0);
            CHECK(of->given != 0 || (of->refused_attempts >> of->yes & 1U) == 0);
        }
        of->recorded = true;
        of->recorded_attempt = branch->gid.attempt;
    }
    known->recorded = true;
    world->tally->commits++;
}

static void check_end_record(struct world *world, const struct record_end *end)
{
    const struct fact *known = fact_find(world, &end->gtrid);
    CHECK(known != NULL && known->durable); /* never before it may be told */
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        const struct fact_branch *branch = &known->branches[i];
        CHECK(!branch->recorded || branch->recorded_attempt == 0 || branch->acked ||
              branch->heuristic); /* I4 */
    }
    world->tally->ends++;
}

static void take_appends(struct world *world)
{
    for (size_t i = 0; i < world->ready.append_count; i++) {
        struct coord_append *append = &world->ready.appends[i];
        CHECK(append->token == world->last_token + 1);
        world->last_token = append->token;
        if (append->record.kind == RECORD_COMMIT) {
            CHECK(append->forced);
            check_commit_record(world, &append->record.as.commit);
        } else if (append->record.kind == RECORD_END) {
            check_end_record(world, &append->record.as.end);
        } else if (append->record.kind == RECORD_HEURISTIC) {
            world->tally->heuristics++;
        }
        world->queued =
            alloc_resize(world->queued, world->queued_count + 1, sizeof(world->queued[0]));
        world->queued[world->queued_count++] =
            (struct queued){append->token, append->forced, append->record};
        memset(&append->record, 0, sizeof(append->record));
    }
}

static bool is_forced(const struct fact *known, const struct gid *gid)
{
    size_t index = participant_of(gid->participant);
    return known != NULL && index < PARTICIPANTS && known->branches[index].forced;
}

static void check_commit_word(struct world *world, const struct gid *gid)
{
    struct fact *known = fact_find(world, &gid->gtrid);
    if (is_forced(known, gid)) {
        return;
    }
    CHECK(known != NULL && known->durable); /* I2, P-4 */
    CHECK(is_recorded_gid(known, gid));     /* P-20 */
    CHECK(!known->told_abort);              /* I1 */
    known->told_commit = true;
}

/* By name it may also be an attempt that nobody counts, while another one is still going to commit (P-20). */
static void check_abort_word(struct world *world, const struct gtrid *gtrid, const struct gid *gid)
{
    struct fact *known = fact_get(world, gtrid);
    world->tally->aborts++;
    if (gid == NULL) {
        CHECK(!known->recorded && !known->told_commit); /* I1, P-2 */
        known->told_abort = true;
        return;
    }
    size_t index = participant_of(gid->participant);
    if (is_forced(known, gid)) {
        return;
    }
    CHECK(!is_recorded_gid(known, gid)); /* I1, P-2 */
    if (index < PARTICIPANTS && gid->attempt == known->branches[index].given) {
        known->branches[index].given_refused = true;
    } else if (index < PARTICIPANTS && gid->attempt <= ATTEMPTS) {
        known->branches[index].refused_attempts |= UINT32_C(1) << gid->attempt;
    }
}

static void check_work(struct world *world, size_t index, uint64_t session,
                       const struct message_work *work)
{
    struct fact *known = fact_get(world, &work->gtrid);
    struct fact_branch *branch = &known->branches[index];
    CHECK(!known->recorded && !known->told_abort);
    CHECK(branch->session == 0); /* P-20: one WORK for a branch */
    CHECK(work->remaining_ms > 0);
    known->deadline_ms = world->now_ms + work->remaining_ms;
    *branch = (struct fact_branch){.used = true, .read_only = work->read_only, .session = session};
}

/* P-22: the next one only after the answer to the one before, of that attempt, on the session that the branch began on. */
static void check_statement(struct world *world, size_t index, uint64_t session,
                            const struct message_statement *statement)
{
    struct fact *known = fact_get(world, &statement->gtrid);
    struct fact_branch *branch = &known->branches[index];
    CHECK(known->is_open && !known->recorded && !known->told_abort);
    CHECK(statement->remaining_ms > 0 && statement->work != NULL);
    known->deadline_ms = world->now_ms + statement->remaining_ms;
    if (branch->session == 0) {
        *branch = (struct fact_branch){
            .used = true, .read_only = statement->read_only, .session = session};
    }
    CHECK(branch->session == session && !branch->prepares);
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        const struct fact_branch *other = &known->branches[i];
        CHECK(i == index || other->ordinal == other->answered); /* one at a time */
    }
    if (statement->ordinal != branch->ordinal) {
        CHECK(statement->ordinal == branch->ordinal + 1 && branch->answered == branch->ordinal);
        branch->ordinal++;
    }
    CHECK(branch->answered + 1 == branch->ordinal); /* what was answered is not asked again */
    CHECK(statement->attempt == (statement->ordinal == 1 ? 0 : branch->attempt));
    world->tally->statements++;
}

static void check_prepare(struct world *world, size_t index, uint64_t session,
                          const struct message_prepare *prepare)
{
    struct fact *known = fact_get(world, &prepare->gid.gtrid);
    struct fact_branch *branch = &known->branches[index];
    CHECK(known->is_open && !known->recorded && !known->told_abort);
    CHECK(branch->session == session && branch->ordinal == branch->answered);
    CHECK(prepare->count == branch->ordinal && prepare->count > 0);
    CHECK(prepare->gid.attempt == branch->attempt && branch->attempt != 0);
    CHECK(prepare->remaining_ms > 0);
    branch->prepares = true;
}

/* P-3, P-20: what was given out last, once the client has said commit. */
static void check_verify(struct world *world, size_t index, uint64_t session,
                         const struct message_verify *verify)
{
    struct fact *known = fact_get(world, &verify->gid.gtrid);
    struct fact_branch *branch = &known->branches[index];
    CHECK(known->is_open && !known->recorded && !known->told_abort);
    CHECK(branch->session == session && branch->given != 0 && branch->ordinal == 0);
    CHECK(verify->gid.attempt == branch->given && verify->remaining_ms > 0);
    known->deadline_ms = world->now_ms + verify->remaining_ms;
    branch->prepares = true;
}

/* P-14: only about what is decided commit, and was acknowledged. */
static void check_audit(struct world *world, size_t index, const struct message_audit *audit)
{
    CHECK(audit->list.count > 0 && audit->list.count <= AUDIT_ITEMS_MAX);
    for (size_t i = 0; i < audit->list.count; i++) {
        const struct fact *known = fact_find(world, &audit->list.items[i].gid.gtrid);
        CHECK(known != NULL && known->durable && is_recorded_gid(known, &audit->list.items[i].gid));
        CHECK(known->branches[index].acked || known->branches[index].heuristic);
    }
    world->audit_serial[index] = audit->serial;
    world->audit_count[index] = audit->list.count;
    world->tally->audits++;
}

static void check_send(struct world *world, const struct coord_send *send)
{
    size_t index = participant_at(world, send->session);
    CHECK(index < PARTICIPANTS); /* nothing for who is gone */
    const struct message *message = &send->message;
    switch (message->kind) {
    case MESSAGE_CLAIM:
        CHECK(message->as.claim.epoch == world->epoch);
        return;
    case MESSAGE_WORK:
        check_work(world, index, send->session, &message->as.work);
        return;
    case MESSAGE_COMMIT:
        check_commit_word(world, &message->as.commit.gid);
        return;
    case MESSAGE_ROLLBACK:
        check_abort_word(world, &message->as.rollback.gtrid,
                         message->as.rollback.has_gid ? &message->as.rollback.gid : NULL);
        return;
    case MESSAGE_VERDICT:
        world->tally->verdicts++;
        if (message->as.verdict.verdict == VERDICT_COMMIT) {
            check_commit_word(world, &message->as.verdict.gid);
        } else if (message->as.verdict.verdict == VERDICT_ABORT) {
            check_abort_word(world, &message->as.verdict.gid.gtrid, &message->as.verdict.gid);
        }
        return;
    case MESSAGE_HEAD:
        return;
    case MESSAGE_AUDIT:
        check_audit(world, index, &message->as.audit);
        return;
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_HEALTH:
    case MESSAGE_AUDITED:
    case MESSAGE_ANSWER:
        CHECK(!"a coordinator does not say that");
        return;
    case MESSAGE_STATEMENT:
        check_statement(world, index, send->session, &message->as.statement);
        return;
    case MESSAGE_PREPARE:
        check_prepare(world, index, send->session, &message->as.prepare);
        return;
    case MESSAGE_VERIFY:
        check_verify(world, index, send->session, &message->as.verify);
        return;
    }
}

static void check_interactive_answer(const struct world *world, struct fact *known,
                                     const struct call *call, const struct api_answer *answer)
{
    bool is_ok = answer->status == API_OK;
    if (answer->status == API_ABORTED || (is_ok && call->kind == CALL_ROLLBACK)) {
        CHECK(!known->recorded && !known->told_commit); /* I1 */
        known->told_abort = true;
    } else if (is_ok && call->kind == CALL_OPEN) {
        known->is_open = true;
    } else if (is_ok && call->kind == CALL_STATEMENT) {
        CHECK(answer->results != NULL && answer->seq > 0 && !known->told_abort);
    } else if (is_ok && call->kind == CALL_EXTERNAL) {
        struct fact_branch *branch = &known->branches[call->participant];
        CHECK(gtrid_equal(&answer->gid.gtrid, &known->gtrid) && answer->gid.attempt != 0);
        CHECK(participant_of(answer->gid.participant) == call->participant);
        CHECK(branch->ordinal == 0 && !branch->prepares); /* a participant is one or the other */
        CHECK(branch->given != answer->gid.attempt && !known->told_abort);
        branch->used = true;
        branch->session =
            branch->session != 0 ? branch->session : world->sessions[call->participant];
        branch->given = answer->gid.attempt;
    }
}

static void check_answer(struct world *world, const struct coord_answer *answer)
{
    if (answer->call == 0) {
        if (answer->answer.status == API_OK) { /* a participant was let go */
            world->was_released = true;
        }
        return;
    }
    struct call *call = NULL;
    for (size_t i = 0; i < world->call_count && call == NULL; i++) {
        call = world->calls[i].id == answer->call ? &world->calls[i] : NULL;
    }
    CHECK(call != NULL && !call->answered); /* Q1 */
    call->answered = true;
    if (answer->answer.view_count == 0) {
        if ((call->id & 1) == 0 && answer->answer.status == API_OK) {
            fact_get(world, &call->gtrid)->branches[call->participant].forced = true;
        }
        return;
    }
    const struct txn_view *view = &answer->answer.views[0];
    if (view->request.is_request && answer->answer.status != API_OK) {
        return; /* accepted, or dead: nothing of a transaction is told */
    }
    struct fact *known =
        fact_get(world, view->request.is_request && view->request.has_run ? &view->request.run
                                                                          : &view->gtrid);
    bool is_submit = (call->id & 1) != 0 && call->kind == CALL_BY_NUMBER;
    if (call->kind != CALL_BY_NUMBER) {
        check_interactive_answer(world, known, call, &answer->answer);
    } else if (is_submit && answer->answer.status == API_OK) {
        CHECK(known->durable && !known->told_abort);
        known->told_commit = true;
    } else if (is_submit && answer->answer.status == API_ABORTED) {
        CHECK(!known->recorded && !known->told_commit);
        known->told_abort = true;
    }
}

static void entries_free(struct journal_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_entry_done(&entries[i]);
    }
    free(entries);
}

static void step(struct world *world, struct coord_event *event)
{
    coord_ready_clear(&world->ready);
    if (world->stopped) {
        return;
    }
    event->now_ms = world->now_ms;
    event->wall_ms = 1700000000000 + world->now_ms;
    event->random = event->random != 0 ? event->random : 1 + draw(world, 255);
    struct journal_entry entry;
    struct error error;
    struct gtrid gtrid;
    struct journal_entry *newest = NULL;
    size_t newest_count = 0;
    uint64_t number = 0;
    bool found = false, held = false;
    if (coord_wants_key(world->coord, event)) {
        CHECK(event->submission != NULL);
        CHECK(journal_find_key(world->journal, event->submission->key, event->submission->key_bytes,
                               &found, &entry, &error));
        event->prior.looked_up = true;
        held = found;
    } else if (coord_wants_gtrid(world->coord, event, &gtrid)) {
        CHECK(journal_find_gtrid(world->journal, &gtrid, &found, &entry, &error));
        event->prior.looked_up = true;
        held = found;
        if (event->kind == COORD_EVENT_REQUEST_ACT && !found) {
            CHECK(journal_find_request(world->journal, &gtrid, &found, &entry, &error));
            held = found;
        }
    } else if (coord_wants_newest(world->coord, event)) {
        CHECK(journal_list(world->journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, event->participant, 4,
                           &newest, &newest_count, &error));
        event->prior.newest = newest;
        event->prior.newest_count = newest_count;
    } else if (coord_wants_hash(world->coord, event, &number)) {
        CHECK(journal_hash_at(world->journal, number, &event->prior.hash_found, event->prior.hash,
                              &error));
    }
    CHECK(journal_read_floor(world->journal, &event->prior.floor, &error));
    event->prior.found = held;
    event->prior.entry = held ? &entry : NULL;
    coord_step(world->coord, event, &world->ready);
    if (held) {
        journal_entry_done(&entry);
    }
    entries_free(newest, newest_count);
    /* Sends and answers first: what depends on a record may not leave with it. */
    for (size_t i = 0; i < world->ready.send_count; i++) {
        check_send(world, &world->ready.sends[i]);
    }
    for (size_t i = 0; i < world->ready.answer_count; i++) {
        check_answer(world, &world->ready.answers[i]);
    }
    take_appends(world);
    CHECK(world->ready.deadline_ms > world->now_ms);
    if (world->ready.stop != COORD_RUN) {
        world->stopped = true;
        world->tally->stops++;
    }
}

/* ---- the journal ---- */

/* The first `count` queued records are written and synced as one batch. */
static struct journal_head journal_write(struct world *world, size_t count)
{
    struct record *records = alloc_array(count, sizeof(records[0]));
    struct journal_head head;
    struct error error;
    for (size_t i = 0; i < count; i++) {
        records[i] = world->queued[i].record;
        if (records[i].kind == RECORD_COMMIT) {
            fact_get(world, &records[i].as.commit.gtrid)->durable = true;
        }
    }
    CHECK(journal_append(world->journal, world->epoch, records, count, &head, &error));
    for (size_t i = 0; i < count; i++) {
        record_done(&records[i]);
    }
    free(records);
    world->queued_count -= count;
    memmove(world->queued, world->queued + count, world->queued_count * sizeof(world->queued[0]));
    return head;
}

static void do_durable(struct world *world, size_t count)
{
    if (count == 0 || count > world->queued_count) {
        return;
    }
    struct coord_event event = {.kind = COORD_EVENT_DURABLE,
                                .token = world->queued[count - 1].token};
    event.head = journal_write(world, count);
    step(world, &event);
}

static void do_trim(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_TRIMMED};
    struct error error;
    struct journal_trim bounds = world->ready.trim_bounds;
    CHECK(journal_trim(world->journal, &bounds, &event.head, &event.floor, &event.more, &error));
    step(world, &event);
}

/* ---- death and start ---- */

static bool collect(void *user, uint64_t number, const struct record *record)
{
    struct queued **list = user;
    (void)number;
    size_t count = (size_t)(*list)[0].token;
    *list = alloc_resize(*list, count + 2, sizeof((*list)[0]));
    record_copy(record, &(*list)[count + 1].record);
    (*list)[0].token = count + 1;
    return true;
}

/* A person's word may be durable although the process died before it could say so; then it counts after the start. */
static void expect_verdicts(struct world *world, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_resolved *resolved = &records[i].as.resolved;
        bool has_commit = false;
        for (size_t k = 0; records[i].kind == RECORD_RESOLVED && k < count; k++) {
            has_commit = has_commit || (records[k].kind == RECORD_COMMIT &&
                                        gtrid_equal(&records[k].as.commit.gtrid, &resolved->gtrid));
        }
        if (records[i].kind == RECORD_RESOLVED && resolved->action != RESOLVE_FORGET &&
            !has_commit) {
            size_t index = participant_of(resolved->participant);
            CHECK(index < PARTICIPANTS);
            fact_get(world, &resolved->gtrid)->branches[index].forced = true;
        }
    }
}

static void add_participant(struct world *world, size_t index)
{
    struct coord_event event = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                .participant = names[index],
                                .address = "127.0.0.1:7410"};
    world->configured[index] = true;
    step(world, &event);
}

static void start(struct world *world)
{
    struct error error;
    journal_memory_reopen(&world->journal);
    const struct journal_state *state = journal_state(world->journal);
    struct queued *live = alloc_array(1, sizeof(live[0]));
    CHECK(journal_replay(world->journal, collect, &live, &error));
    size_t count = (size_t)live[0].token;
    struct record *records = alloc_array(count + 1, sizeof(records[0]));
    for (size_t i = 0; i < count; i++) {
        records[i] = live[i + 1].record;
    }
    expect_verdicts(world, records, count);
    world->config.journal = state->id;
    world->coord = coord_new(&world->config, world->now_ms);
    world->epoch = state->last_epoch + 1;
    world->last_token = 0;
    world->stopped = false;
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        add_participant(world, i);
    }
    struct coord_event event = {
        .kind = COORD_EVENT_START, .state = state, .records = records, .record_count = count};
    step(world, &event);
    for (size_t i = 0; i < count; i++) {
        record_done(&records[i]);
    }
    free(records);
    free(live);
    world->tally->starts++;
}

/* The process dies: what was handed to the journal thread is written up to some record, or not at all. */
static void die(struct world *world)
{
    size_t written = draw(world, world->queued_count + 1);
    if (written > 0) {
        (void)journal_write(world, written);
    }
    for (size_t i = 0; i < world->queued_count; i++) {
        struct record *record = &world->queued[i].record;
        if (record->kind == RECORD_COMMIT) {
            fact_get(world, &record->as.commit.gtrid)->recorded = false; /* lost, and nobody knew */
        }
        record_done(record);
    }
    world->queued_count = 0;
    for (size_t i = 0; i < world->fact_count; i++) {
        for (size_t b = 0; b < PARTICIPANTS; b++) {
            world->facts[i].branches[b].spoiled = true; /* votes die with the process (P-3) */
        }
    }
    for (size_t i = 0; i < world->call_count; i++) {
        world->calls[i].answered = true; /* the connections are gone */
    }
    memset(world->sessions, 0, sizeof(world->sessions));
    coord_free(world->coord);
    coord_ready_clear(&world->ready);
}

/* ---- events ---- */

static void do_submit(struct world *world)
{
    struct submission submission = {.timeout_ms = 1 + (uint32_t)draw(world, 3000),
                                    .ack = draw(world, 2) == 0 ? ACK_MODE_COMPLETED
                                                               : ACK_MODE_DECIDED};
    size_t key = draw(world, KEYS + 6); /* the rest has none */
    if (key < KEYS) {
        submission.key_bytes =
            (size_t)snprintf(submission.key, sizeof(submission.key), "k%zu", key);
    }
    memset(submission.body_hash, draw(world, 8) == 0 ? 2 : 1, sizeof(submission.body_hash));
    submission.is_async = draw(world, 3) == 0;
    if (submission.is_async && draw(world, 4) != 0) {
        snprintf(submission.queue, sizeof(submission.queue), "q%u", (unsigned)draw(world, 2));
    }
    size_t chosen = 1 + draw(world, (1U << PARTICIPANTS) - 1);
    submission.branches = alloc_array(PARTICIPANTS, sizeof(submission.branches[0]));
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        if ((chosen >> i & 1U) == 0) {
            continue;
        }
        struct submission_branch *branch = &submission.branches[submission.branch_count++];
        snprintf(branch->participant, sizeof(branch->participant), "%s", names[i]);
        branch->read_only = draw(world, 6) == 0;
        branch->work = blob_new("w", 1);
    }
    world->last_call += 2; /* odd ones are submissions */
    world->calls = alloc_resize(world->calls, world->call_count + 1, sizeof(world->calls[0]));
    world->calls[world->call_count++] = (struct call){.id = world->last_call | 1};
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = world->last_call | 1, .submission = &submission};
    step(world, &event);
    submission_done(&submission);
}

static uint64_t call_new(struct world *world, enum call_kind kind)
{
    world->last_call += 2;
    world->calls = alloc_resize(world->calls, world->call_count + 1, sizeof(world->calls[0]));
    world->calls[world->call_count++] = (struct call){.id = world->last_call | 1, .kind = kind};
    return world->last_call | 1;
}

static struct gtrid pick_gtrid(struct world *world);

/* Mostly one that is open. */
static struct gtrid pick_open(struct world *world)
{
    for (size_t i = world->fact_count; draw(world, 8) != 0 && i-- > 0;) {
        const struct fact *known = &world->facts[i];
        if (known->is_open && !known->recorded && !known->told_abort && draw(world, 3) != 0) {
            return known->gtrid;
        }
    }
    return pick_gtrid(world);
}

static void do_open(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_OPEN,
                                .timeout_ms = 1 + (uint32_t)draw(world, 3000),
                                .call = call_new(world, CALL_OPEN)};
    step(world, &event);
}

static void do_statement(struct world *world)
{
    struct interactive_statement statement = {.gtrid = pick_open(world),
                                              .seq = draw(world, 4),
                                              .hash = {draw(world, 8) == 0},
                                              .read_only = draw(world, 6) == 0,
                                              .work = blob_new("s", 1)};
    snprintf(statement.participant, sizeof(statement.participant), "%s",
             draw(world, 32) == 0 ? "nobody" : names[draw(world, PARTICIPANTS)]);
    statement.seq = draw(world, 2) == 0 ? 0 : statement.seq;
    struct coord_event event = {.kind = COORD_EVENT_STATEMENT,
                                .statement = &statement,
                                .call = call_new(world, CALL_STATEMENT)};
    step(world, &event);
    blob_free(statement.work);
}

static void do_external(struct world *world)
{
    size_t participant = draw(world, PARTICIPANTS);
    struct interactive_external external = {.gtrid = pick_open(world)};
    snprintf(external.participant, sizeof(external.participant), "%s", names[participant]);
    struct coord_event event = {.kind = COORD_EVENT_EXTERNAL,
                                .external = &external,
                                .call = call_new(world, CALL_EXTERNAL)};
    event.random = 1000 + world->last_call; /* an attempt: no other draw is like it */
    world->calls[world->call_count - 1].participant = participant;
    step(world, &event);
}

static void do_close(struct world *world)
{
    struct interactive_end end = {.gtrid = pick_open(world),
                                  .commit = draw(world, 4) != 0,
                                  .ack =
                                      draw(world, 2) == 0 ? ACK_MODE_COMPLETED : ACK_MODE_DECIDED};
    struct coord_event event = {.kind = COORD_EVENT_CLOSE,
                                .end = &end,
                                .call =
                                    call_new(world, end.commit ? CALL_BY_NUMBER : CALL_ROLLBACK)};
    step(world, &event);
}

static void send_message(struct world *world, size_t index, uint64_t session,
                         struct message *message)
{
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = names[index],
                                .session = session,
                                .message = message};
    step(world, &event);
    message_done(message);
}

/* A transaction to speak of: mostly a recent one; seldom one that was never given out. */
static struct gtrid pick_gtrid(struct world *world)
{
    if (world->fact_count > 0 && draw(world, 16) != 0) {
        size_t recent = world->fact_count < 12 ? world->fact_count : 12;
        return world->facts[world->fact_count - 1 - draw(world, recent)].gtrid;
    }
    struct gtrid gtrid = {.journal = world->config.journal,
                          .epoch = draw(world, world->epoch + 2),
                          .epoch_nonce = draw(world, 256),
                          .sequence = 1000000 + draw(world, 64)}; /* no run gets so far */
    if (draw(world, 4) == 0) {
        gtrid.journal.bytes[0] ^= 1;
    }
    return gtrid;
}

static struct gid pick_gid(struct world *world, size_t index)
{
    struct gid gid = {.gtrid = pick_gtrid(world), .attempt = draw(world, ATTEMPTS + 1)};
    const struct fact *known = fact_find(world, &gid.gtrid);
    if (known != NULL && draw(world, 3) != 0 && known->branches[index].yes != 0) {
        gid.attempt = known->branches[index].yes;
    }
    snprintf(gid.participant, sizeof(gid.participant), "%s",
             names[draw(world, 24) == 0 ? draw(world, PARTICIPANTS) : index]);
    return gid;
}

/* Does this participant owe a word about the transaction: its vote, or its acknowledgement? */
static bool is_awaited(const struct world *world, const struct fact *known, size_t index, bool vote)
{
    const struct fact_branch *branch = &known->branches[index];
    if (vote) {
        return branch->session != 0 && branch->session == world->sessions[index] &&
               branch->yes == 0 && !branch->spoiled && !known->recorded;
    }
    return known->told_commit && branch->recorded_attempt != 0 && !branch->acked;
}

/* Mostly what is awaited, or things would hardly ever get anywhere. */
static struct gid pick_awaited(struct world *world, size_t index, bool vote)
{
    struct gid gid = pick_gid(world, index);
    for (size_t i = world->fact_count; draw(world, 4) != 0 && i-- > 0;) {
        const struct fact *known = &world->facts[i];
        if (is_awaited(world, known, index, vote)) {
            gid.gtrid = known->gtrid;
            gid.attempt =
                vote ? 1 + draw(world, ATTEMPTS) : known->branches[index].recorded_attempt;
            if (vote && known->branches[index].attempt != 0 && draw(world, 8) != 0) {
                gid.attempt = known->branches[index].attempt;
            }
            if (vote && known->branches[index].given != 0 && draw(world, 8) != 0) {
                gid.attempt = known->branches[index].given;
            }
            snprintf(gid.participant, sizeof(gid.participant), "%s", names[index]);
            break;
        }
    }
    return gid;
}

static bool is_heard(const struct world *world, size_t index, uint64_t session)
{
    return session != 0 && world->sessions[index] == session && !world->stopped;
}

/* What a vote of this kind changes for the oracle. That the participant must have been welcomed is implied: WORK goes
 * to nobody else. */
static void learn_vote(struct world *world, size_t index, uint64_t session,
                       const struct message_vote *vote)
{
    struct fact *known = fact_find(world, &vote->gid.gtrid);
    if (known == NULL || participant_of(vote->gid.participant) != index) {
        return;
    }
    struct fact_branch *branch = &known->branches[index];
    bool is_yes = vote->vote == VOTE_COMMIT || vote->vote == VOTE_READONLY;
    if (branch->session == 0 || branch->session != session || known->recorded) {
        return;
    }
    if (branch->ordinal != 0 && branch->attempt != 0 && vote->gid.attempt != branch->attempt) {
        return; /* P-22: another attempt than the one that answered */
    }
    if (branch->given != 0 && vote->gid.attempt != branch->given) {
        return; /* P-20: not what was given out last */
    }
    if ((branch->ordinal != 0 || branch->given != 0) && !branch->prepares) {
        branch->spoiled = true; /* a yes that nobody asked for is doubt */
        return;
    }
    if (branch->yes == 0 && !branch->yes_readonly) {
        if (vote->vote == VOTE_COMMIT && vote->gid.attempt == 0) {
            return; /* names nothing */
        }
        branch->yes = vote->vote == VOTE_COMMIT ? vote->gid.attempt : 0;
        branch->yes_readonly = vote->vote == VOTE_READONLY && branch->read_only;
        bool proves_other = vote->vote == VOTE_COMMIT &&
                            (branch->given != 0) != (vote->proof.kind == PROOF_EXTERNAL);
        branch->spoiled = branch->spoiled || !is_yes || proves_other ||
                          (vote->vote == VOTE_READONLY && !branch->read_only);
    } else if (!is_yes && vote->gid.attempt == branch->yes && branch->yes != 0) {
        branch->spoiled = true; /* taken back */
    }
}

static void do_vote(struct world *world, size_t index, uint64_t session)
{
    struct message message = {.kind = MESSAGE_VOTE};
    struct message_vote *vote = &message.as.vote;
    vote->gid = pick_awaited(world, index, true);
    vote->vote = draw(world, 8) != 0 ? VOTE_COMMIT : (enum vote)(1 + draw(world, 4));
    const struct fact *known = fact_find(world, &vote->gid.gtrid);
    if (known != NULL && known->branches[index].read_only && draw(world, 2) == 0) {
        vote->vote = VOTE_READONLY;
    }
    if (vote->vote == VOTE_ABORT || vote->vote == VOTE_UNKNOWN) {
        vote->failure.reason = REASON_CONSTRAINT;
    } else if (vote->vote == VOTE_COMMIT) {
        vote->proof.kind = PROOF_ROW;
        vote->proof.timeline = world->timelines[index];
        vote->proof.lsn = world->now_ms; /* as good as any position that only grows */
        bool is_external = known != NULL && known->branches[index].given != 0;
        if (is_external != (draw(world, 16) == 0)) {
            vote->proof.kind = PROOF_EXTERNAL;
            vote->proof.xid8 = 700;
        }
    }
    if (is_heard(world, index, session)) {
        learn_vote(world, index, session, vote);
    }
    send_message(world, index, session, &message);
}

/* Mostly of the statement that is under way. */
static void do_answer(struct world *world, size_t index, uint64_t session)
{
    struct message message = {.kind = MESSAGE_ANSWER};
    struct message_answer *answer = &message.as.answer;
    answer->gid = pick_gid(world, index);
    answer->ordinal = draw(world, 4);
    answer->results = blob_new("rows", 1 + draw(world, 4));
    struct fact *known = NULL;
    for (size_t i = world->fact_count; draw(world, 8) != 0 && i-- > 0;) {
        const struct fact_branch *branch = &world->facts[i].branches[index];
        if (branch->session == world->sessions[index] && branch->ordinal > branch->answered) {
            known = &world->facts[i];
            answer->gid.gtrid = known->gtrid;
            answer->gid.attempt =
                branch->attempt != 0 ? branch->attempt : 1 + draw(world, ATTEMPTS);
            answer->ordinal = branch->ordinal;
            snprintf(answer->gid.participant, PARTICIPANT_NAME_SIZE, "%s", names[index]);
            break;
        }
    }
    known = fact_find(world, &answer->gid.gtrid);
    if (known != NULL && is_heard(world, index, session) && answer->gid.attempt != 0 &&
        participant_of(answer->gid.participant) == index) {
        struct fact_branch *branch = &known->branches[index];
        if (branch->session == session && answer->ordinal == branch->ordinal &&
            branch->answered + 1 == branch->ordinal &&
            (branch->attempt == 0 || branch->attempt == answer->gid.attempt)) {
            branch->answered++;
            branch->attempt = answer->gid.attempt;
        }
    }
    send_message(world, index, session, &message);
}

static void learn_ack(struct world *world, size_t index, const struct message_ack *ack)
{
    struct fact *known = fact_find(world, &ack->gid.gtrid);
    if (known == NULL || participant_of(ack->gid.participant) != index) {
        return;
    }
    struct fact_branch *branch = &known->branches[index];
    if (ack->ack == ACK_COMMITTED) {
        branch->acked = branch->acked || is_recorded_gid(known, &ack->gid);
    } else if (ack->ack != ACK_ROLLED_BACK) {
        branch->heuristic = true;
    }
}

static void do_ack(struct world *world, size_t index, uint64_t session)
{
    struct message message = {.kind = MESSAGE_ACK};
    struct message_ack *ack = &message.as.ack;
    ack->gid = pick_awaited(world, index, false);
    uint64_t kind = draw(world, 24);
    ack->ack = kind < 5 ? (enum ack)(1 + kind) : kind < 16 ? ACK_COMMITTED : ACK_ROLLED_BACK;
    if (is_heard(world, index, session)) {
        learn_ack(world, index, ack);
    }
    send_message(world, index, session, &message);
}

static void do_inquiry(struct world *world, size_t index, uint64_t session)
{
    struct message message = {.kind = MESSAGE_INQUIRY};
    message.as.inquiry.gid = pick_gid(world, index);
    send_message(world, index, session, &message);
}

static void do_health(struct world *world, size_t index, uint64_t session)
{
    struct message message = {.kind = MESSAGE_HEALTH};
    message.as.health.health = draw(world, 8) == 0 ? HEALTH_DOWN : HEALTH_UP;
    message.as.health.swept_number = draw(world, 3) == 0 ? 0 : draw(world, 200);
    message.as.health.prepared_count = (uint32_t)draw(world, 3);
    send_message(world, index, session, &message);
}

/* The whole handshake, or a part of it that is wrong. */
static void do_connect(struct world *world, size_t index, bool kindly)
{
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = names[index],
                             .address = "127.0.0.1:7410",
                             .version = "0",
                             .session = ++world->last_session};
    uint64_t session = world->last_session;
    for (size_t i = 0; i < world->fact_count && world->sessions[index] != 0; i++) {
        world->facts[i].branches[index].spoiled = true; /* the older session is over */
    }
    world->sessions[index] = session;
    step(world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    if (!kindly && draw(world, 64) == 0) {
        witness.as.witness.epoch = draw(world, world->epoch + 2);
        witness.as.witness.head.number = draw(world, 40);
    }
    send_message(world, index, session, &witness);
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = world->epoch};
    if (!kindly && draw(world, 8) == 0) {
        world->timelines[index]++; /* promoted meanwhile */
    }
    welcome.as.welcome.identity.timeline = world->timelines[index];
    welcome.as.welcome.identity.lsn = world->now_ms;
    welcome.as.welcome.history = draw(world, 3);
    if (!kindly && draw(world, 16) == 0) {
        welcome.as.welcome.identity.lsn = draw(world, 256); /* set back */
    }
    if (!kindly && draw(world, 8) == 0) {
        welcome.as.welcome.epoch--;
    }
    send_message(world, index, session, &welcome);
}

static void do_disconnect(struct world *world, size_t index)
{
    struct coord_event down = {.kind = COORD_EVENT_PEER_DOWN, .session = world->sessions[index]};
    if (world->sessions[index] == 0) {
        return;
    }
    for (size_t i = 0; i < world->fact_count; i++) {
        world->facts[i].branches[index].spoiled = true; /* silence is no (P-2) */
    }
    world->sessions[index] = 0;
    step(world, &down);
}

static void do_resolve(struct world *world)
{
    struct api_resolve resolve = {.gtrid = pick_gtrid(world),
                                  .action = (enum resolve_action)(1 + draw(world, 3))};
    snprintf(resolve.participant, sizeof(resolve.participant), "%s",
             names[draw(world, PARTICIPANTS)]);
    snprintf(resolve.comment, sizeof(resolve.comment), "because");
    world->last_call += 2;
    world->calls = alloc_resize(world->calls, world->call_count + 1, sizeof(world->calls[0]));
    world->calls[world->call_count++] =
        (struct call){.id = world->last_call & ~UINT64_C(1),
                      .gtrid = resolve.gtrid,
                      .participant = participant_of(resolve.participant)};
    struct coord_event event = {
        .kind = COORD_EVENT_RESOLVE, .call = world->last_call & ~UINT64_C(1), .resolve = &resolve};
    step(world, &event);
}

/* Requeue or drop: mostly of a request that is there, in whatever state. */
static void do_act(struct world *world)
{
    struct api_list list = {.any_state = true, .limit = 20};
    struct txn_view *views = NULL;
    struct api_request_act act = {.id = pick_gtrid(world),
                                  .act =
                                      draw(world, 3) == 0 ? REQUEST_ACT_DROP : REQUEST_ACT_REQUEUE};
    size_t count = coord_list(world->coord, &list, &views);
    size_t chosen = draw(world, 20);
    for (size_t i = 0; i < count; i++) {
        if (i == chosen || (views[i].request.is_request && i < chosen)) {
            act.id = views[i].gtrid;
        }
        txn_view_done(&views[i]);
    }
    free(views);
    struct coord_event event = {
        .kind = COORD_EVENT_REQUEST_ACT, .call = call_new(world, CALL_ACT), .act = &act};
    step(world, &event);
}

static void do_remove(struct world *world)
{
    size_t index = draw(world, PARTICIPANTS);
    struct journal_entry *entries = NULL;
    struct error error;
    size_t count = 0;
    CHECK(journal_list(world->journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, names[index], 1, &entries,
                       &count, &error));
    entries_free(entries, count);
    struct coord_event event = {.kind = COORD_EVENT_PARTICIPANT_REMOVE,
                                .participant = names[index],
                                .untrimmed = count > 0};
    step(world, &event);
}

/* To what was asked last, or to nothing; mostly nothing is lost. */
static void do_audited(struct world *world, size_t index, uint64_t session, bool kindly)
{
    struct message message = {.kind = MESSAGE_AUDITED};
    uint8_t findings[AUDIT_ITEMS_MAX];
    size_t count = world->audit_count[index];
    if (!kindly && draw(world, 8) == 0) {
        count = draw(world, 3);
    }
    for (size_t i = 0; i < count; i++) {
        findings[i] = kindly || draw(world, 4) != 0 ? AUDIT_COMMITTED : (uint8_t)draw(world, 6);
    }
    message.as.audited.serial = world->audit_serial[index] - (!kindly && draw(world, 8) == 0);
    message.as.audited.findings = blob_new(findings, count);
    send_message(world, index, session, &message);
}

static void do_message(struct world *world)
{
    size_t index = draw(world, PARTICIPANTS);
    uint64_t session = world->sessions[index];
    if (draw(world, 32) == 0) {
        session = draw(world, world->last_session + 2); /* one that is over, or somebody else's */
    }
    uint64_t kind = draw(world, 24);
    if (kind >= 18) {
        do_answer(world, index, session);
    } else if (kind >= 16) {
        do_audited(world, index, session, false);
    } else if (kind < 7) {
        do_vote(world, index, session);
    } else if (kind < 12) {
        do_ack(world, index, session);
    } else if (kind < 14) {
        do_inquiry(world, index, session);
    } else {
        do_health(world, index, session);
    }
}

static void do_rare(struct world *world)
{
    struct coord_event event = {0};
    switch (draw(world, 12)) {
    case 0:
        event.kind = COORD_EVENT_SPACE;
        event.space_ok = draw(world, 3) != 0;
        step(world, &event);
        return;
    case 1:
        do_remove(world);
        return;
    case 2:
        if (draw(world, 8) == 0) {
            event.kind = COORD_EVENT_DRAIN;
            step(world, &event);
        }
        return;
    case 3:
    case 4:
    case 5:
        do_resolve(world);
        return;
    case 6:
    case 7:
        die(world);
        start(world);
        return;
    case 8:
    case 9:
        do_act(world);
        return;
    default:
        add_participant(world, draw(world, PARTICIPANTS));
        return;
    }
}

static void do_pages(struct world *world)
{
    char participant[PARTICIPANT_NAME_SIZE];
    uint64_t before_number = 0;
    struct error error;
    while (!world->stopped && coord_wants_page(world->coord, participant, &before_number)) {
        struct journal_entry *entries = NULL;
        size_t count = 0;
        CHECK(journal_list(world->journal, JOURNAL_LISTS_COMMITS, before_number, participant,
                           1 + draw(world, 4), &entries, &count, &error));
        struct coord_event event = {.kind = COORD_EVENT_RETAINED,
                                    .participant = participant,
                                    .before_number = before_number,
                                    .entry_count = count,
                                    .entries = entries};
        step(world, &event);
        entries_free(entries, count);
    }
}

static void do_event(struct world *world)
{
    if (world->stopped) {
        die(world);
        start(world);
        return;
    }
    uint64_t kind = draw(world, 100);
    struct coord_event timer = {.kind = COORD_EVENT_TIMER};
    if (kind < 8) {
        do_submit(world);
    } else if (kind < 10) {
        do_open(world);
    } else if (kind < 16) {
        do_statement(world);
    } else if (kind < 18) {
        do_external(world);
    } else if (kind < 22) {
        do_close(world);
    } else if (kind < 62) {
        do_message(world);
    } else if (kind < 78) {
        do_durable(world, 1 + draw(world, 4));
    } else if (kind < 86) {
        size_t index = draw(world, PARTICIPANTS);
        if (world->sessions[index] == 0 || draw(world, 8) == 0) {
            do_connect(world, index, false);
        } else if (draw(world, 6) == 0) {
            do_disconnect(world, index);
        }
    } else if (kind < 97) {
        world->now_ms += draw(world, 400);
        if (draw(world, 4) != 0) { /* else it was stopped, and something else comes first */
            step(world, &timer);
        }
    } else {
        do_rare(world);
    }
    if (world->ready.trim && !world->stopped) {
        do_trim(world);
    }
    do_pages(world);
}

/* ---- the end: everybody behaves ---- */

static void acknowledge_all(struct world *world)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        for (size_t index = 0; index < PARTICIPANTS; index++) {
            struct fact *known = &world->facts[i];
            struct message message = {.kind = MESSAGE_ACK};
            struct gid *gid = &message.as.ack.gid;
            gid->gtrid = known->gtrid;
            snprintf(gid->participant, sizeof(gid->participant), "%s", names[index]);
            const struct fact_branch *branch = &known->branches[index];
            if (known->recorded && !branch->recorded) {
                continue;
            }
            message.as.ack.ack = known->recorded ? ACK_COMMITTED : ACK_ROLLED_BACK;
            gid->attempt = known->recorded ? branch->recorded_attempt : branch->yes;
            learn_ack(world, index, &message.as.ack);
            send_message(world, index, world->sessions[index], &message);
        }
    }
}

static void settle(struct world *world)
{
    /* Nothing new begins: what was accepted would run for ever, since nobody votes any more. */
    struct coord_event space = {.kind = COORD_EVENT_SPACE, .space_ok = false};
    die(world);
    start(world);
    step(world, &space);
    do_durable(world, world->queued_count);
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        do_connect(world, i, true);
    }
    for (size_t round = 0; round < 8; round++) {
        CHECK(!world->stopped);
        acknowledge_all(world);
        do_durable(world, world->queued_count);
        struct coord_event timer = {.kind = COORD_EVENT_TIMER};
        world->now_ms += 5000; /* beyond every deadline and repetition */
        step(world, &timer);
        if (world->ready.trim) {
            do_trim(world);
        }
        do_pages(world);
        for (size_t i = 0; i < PARTICIPANTS; i++) {
            do_audited(world, i, world->sessions[i], true);
        }
    }
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    for (size_t i = 0; i < world->call_count; i++) {
        CHECK(world->calls[i].answered); /* Q1 */
    }
    CHECK(counters.active == 0 && counters.queued == 0);
    CHECK(counters.in_doubt == 0);
}

void coord_hostile_run(struct choices *choices, size_t events, struct coord_hostile_tally *tally)
{
    struct world *world = alloc_zeroed(sizeof(*world));
    struct journal_options options = {.create = true};
    struct error error;
    memset(options.new_id.bytes, 0xab, sizeof(options.new_id.bytes));
    world->choices = choices;
    world->tally = tally;
    world->now_ms = 1000000;
    CHECK(journal_open_memory(&options, &world->journal, &error));
    snprintf(world->config.address, sizeof(world->config.address), "tcp://127.0.0.1:7401");
    world->config.retention_ms = 3000;
    world->config.trim_interval_ms = 500;
    world->config.max_active = 1 + (uint32_t)draw(world, 8);
    world->config.max_queued = 1 + (uint32_t)draw(world, 8);
    world->config.recent_max = 1 + (uint32_t)draw(world, 8);
    world->config.interactive_max = 1 + (uint32_t)draw(world, 8);
    world->config.interactive_idle_ms = 1 + (uint32_t)draw(world, 3000);
    world->config.interactive_result_bytes = 8;
    start(world);
    do_durable(world, world->queued_count);
    for (size_t i = 0; i < PARTICIPANTS; i++) {
        do_connect(world, i, true);
    }
    for (size_t i = 0; i < events && !choices_over(choices); i++) {
        do_event(world);
    }
    settle(world);
    die(world);
    coord_ready_done(&world->ready);
    journal_close(world->journal);
    free(world->queued);
    free(world->facts);
    free(world->calls);
    free(world);
}

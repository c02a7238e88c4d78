/* agent_hostile.c - see agent_hostile.h. */
#include "tests/spec/agent_hostile.h"

#include "common/check.h"
#include "tests/spec/test_agent_harness.h"

#define WINDOW       8    /* transactions that are spoken of at a time */
#define SEQUENCES    2000 /* in one run */
#define GIDS_MAX     4096
#define COMMANDS_MAX 1024
#define SESSIONS_MAX 6

struct fact { /* what the oracle knows of one gid */
    struct gid gid;
    bool word_commit, word_rollback;
    bool executed_ok;
    uint64_t executed_history;
    bool says_committed, says_rolled_back;
    bool executing, busy; /* executing: it has a backend, and another attempt must not */
    uint64_t session;     /* that it began on */
    bool voted_yes;
    bool
        is_abandoned; /* that session was over before it had voted: nobody's word is needed (P-2) */
    bool is_open;     /* interactive: from its first statement to PREPARE's or CLOSE's answer */
    uint64_t ordinal, answered;
};

struct world {
    struct bench bench;
    struct choices *choices;
    uint64_t history;
    uint64_t last_session;
    uint64_t first_sequence;         /* of the window */
    uint64_t sessions[SESSIONS_MAX]; /* 0: down */
    bool welcomed[SESSIONS_MAX];
    uint64_t speaking; /* the session whose message is being heard */
    uint64_t last_serial;
    uint64_t inquiry_session;
    struct gid contrary;       /* told, and repeated until it is noted (H1) */
    uint64_t contrary_session; /* of the INQUIRY that came last; 0: it was answered */
    struct gid inquiry;
    bool erase_word[SEQUENCES + 1]; /* ROLLBACK without gid was given */
    size_t command_count;
    struct command commands[COMMANDS_MAX];
    uint64_t command_history[COMMANDS_MAX];
    size_t fact_count;
    struct fact facts[GIDS_MAX];
};

static uint64_t draw(struct world *world, uint64_t below)
{
    return choices_draw(world->choices, below);
}

static struct fact *fact(struct world *world, const struct gid *gid)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        if (gid_equal(&world->facts[i].gid, gid)) {
            return &world->facts[i];
        }
    }
    CHECK(world->fact_count < GIDS_MAX);
    struct fact *new = &world->facts[world->fact_count++];
    *new = (struct fact){.gid = *gid};
    return new;
}

static bool executing_elsewhere(const struct world *world, const struct gid *gid)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        if (world->facts[i].executing && gtrid_equal(&world->facts[i].gid.gtrid, &gid->gtrid)) {
            return true;
        }
    }
    return false;
}

static void session_is_over(struct world *world, uint64_t session)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        struct fact *known = &world->facts[i];
        known->is_abandoned = known->is_abandoned ||
                              (known->session == session && known->executing && !known->voted_yes);
    }
}

/* Sessions that another one took over from, or that were fenced. WITNESS may be all that the one that took over is sent: its claim
 * was stored, and it has to claim once more (P-10). */
static void learn_overtaken(struct world *world)
{
    const struct agent_ready *ready = &world->bench.ready;
    for (size_t i = 0; i < ready->send_count; i++) {
        enum message_kind kind = ready->sends[i].message.kind;
        for (size_t slot = 0; slot < SESSIONS_MAX; slot++) {
            bool is_its = world->sessions[slot] == ready->sends[i].session;
            bool took_over = kind == MESSAGE_WELCOME || kind == MESSAGE_WITNESS;
            if ((kind == MESSAGE_FENCED && is_its) || (took_over && !is_its)) {
                session_is_over(world, world->sessions[slot]);
            }
        }
    }
}

/* I3: may it be rolled back? */
static bool may_roll_back(const struct world *world, const struct fact *known)
{
    return known->word_rollback || world->erase_word[known->gid.gtrid.sequence] ||
           (known->is_abandoned && !known->voted_yes);
}

static void check_command(struct world *world, const struct command *command)
{
    struct fact *known = NULL;
    switch (command->kind) {
    case COMMAND_EXECUTE:
        CHECK(!executing_elsewhere(world, &command->as.execute.gid));
        known = fact(world, &command->as.execute.gid);
        CHECK(!(known->executed_ok || known->busy));
        known->executing = true;
        known->busy = true;
        known->session = world->speaking;
        break;
    case COMMAND_CANCEL:
        known = fact(world, &command->as.cancel);
        CHECK(known->executing && known->busy);
        /* Before PREPARE a branch may be given up without a word. */
        CHECK(known->is_open || may_roll_back(world, known));
        return;
    case COMMAND_STATEMENT:
        known = fact(world, &command->as.statement.execute.gid);
        CHECK(!known->busy && !known->executed_ok);
        CHECK(known->executing == known->is_open); /* on the backend that it began with */
        CHECK(known->is_open || !executing_elsewhere(world, &known->gid));
        CHECK(known->is_open == (command->as.statement.ordinal > 1));
        CHECK(command->as.statement.ordinal == known->ordinal + 1 &&
              known->answered == known->ordinal); /* P-22: no predecessor is missing */
        known->ordinal++;
        known->is_open = true;
        known->session = world->speaking;
        known->executing = true;
        known->busy = true;
        break;
    case COMMAND_PREPARE:
        known = fact(world, &command->as.prepare.gid);
        CHECK(known->is_open && !known->busy && known->answered == known->ordinal);
        known->is_open = false;
        known->busy = true;
        break;
    case COMMAND_CLOSE:
        known = fact(world, &command->as.close);
        CHECK(known->is_open && !known->busy);
        known->busy = true;
        break;
    case COMMAND_VERIFY: /* looks, and may be repeated */
        known = fact(world, &command->as.verify.gid);
        CHECK(!known->busy && !known->executing);
        known->busy = true;
        break;
    case COMMAND_FINISH:
        known = fact(world, &command->as.finish.gid);
        CHECK(!known->busy);
        if (command->as.finish.commit) {
            CHECK(known->word_commit); /* I3 */
        } else {
            CHECK(may_roll_back(world, known));
        }
        known->busy = true;
        break;
    case COMMAND_PROVE:
        known = fact(world, &command->as.prove.gid);
        CHECK(!known->busy);
        known->busy = true;
        break;
    case COMMAND_LOOK:
        if (command->as.look.has_gid) {
            known = fact(world, &command->as.look.gid);
            CHECK(!known->busy);
            known->busy = true;
        }
        break;
    case COMMAND_SCAN:
    case COMMAND_AUDIT:
    case COMMAND_OUTCOMES:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_ROTATE:
        break;
    }
    CHECK(world->command_count < COMMANDS_MAX);
    world->command_history[world->command_count] = world->history;
    world->commands[world->command_count] = *command;
    if (command->kind == COMMAND_EXECUTE) {
        world->commands[world->command_count].as.execute.work = NULL; /* stays with ready */
    } else if (command->kind == COMMAND_STATEMENT) {
        world->commands[world->command_count].as.statement.execute.work = NULL;
    } else if (command->kind == COMMAND_AUDIT) {
        world->commands[world->command_count].as.audit.items =
            NULL; /* likewise; the count is kept */
    }
    world->command_count++;
}

static void check_send(struct world *world, const struct agent_send *send)
{
    size_t slot = 0;
    while (slot < SESSIONS_MAX && world->sessions[slot] != send->session) {
        slot++;
    }
    CHECK(slot < SESSIONS_MAX); /* nothing for who is gone */
    const struct message *message = &send->message;
    if (message->kind == MESSAGE_WELCOME) {
        world->welcomed[slot] = true;
    } else if (message->kind == MESSAGE_INQUIRY) {
        world->inquiry = message->as.inquiry.gid;
        world->inquiry_session = send->session;
    } else if (message->kind == MESSAGE_AUDITED) {
        CHECK(message->as.audited.serial != 0 && message->as.audited.serial <= world->last_serial);
    } else if (message->kind == MESSAGE_ANSWER) {
        const struct fact *known = fact(world, &message->as.answer.gid);
        CHECK(known->is_open && known->answered == message->as.answer.ordinal &&
              known->ordinal == known->answered);
    } else if (message->kind == MESSAGE_VOTE && message->as.vote.vote == VOTE_COMMIT) {
        struct fact *known = fact(world, &message->as.vote.gid);
        known->voted_yes = true;
        CHECK(known->executed_ok);
        CHECK(known->executed_history == world->history);
    } else if (message->kind == MESSAGE_ACK && message->as.ack.gid.attempt != 0) {
        const struct fact *known = fact(world, &message->as.ack.gid);
        switch (message->as.ack.ack) {
        case ACK_COMMITTED:
        case ACK_HEURISTIC_COMMIT:
            CHECK(known->says_committed);
            break;
        case ACK_ROLLED_BACK:
        case ACK_HEURISTIC_ROLLBACK:
            CHECK(known->says_rolled_back);
            break;
        case ACK_HAZARD:
            break;
        }
        if (message->as.ack.ack == ACK_HEURISTIC_COMMIT || message->as.ack.ack == ACK_HAZARD) {
            world->contrary = message->as.ack.gid;
            world->contrary_session = send->session;
        }
    }
}

static void check_ready(struct world *world)
{
    const struct agent_ready *ready = &world->bench.ready;
    learn_overtaken(world);
    for (size_t i = 0; i < ready->command_count; i++) {
        check_command(world, &ready->commands[i]);
    }
    for (size_t i = 0; i < ready->send_count; i++) {
        check_send(world, &ready->sends[i]);
    }
    CHECK(ready->deadline_ms > world->bench.now_ms);
}

/* The window moves on, so that there are always transactions that nobody has aborted yet. */
static uint64_t pick_sequence(struct world *world)
{
    if (draw(world, 6) == 0 && world->first_sequence + WINDOW < SEQUENCES) {
        world->first_sequence++;
    }
    return world->first_sequence + draw(world, WINDOW);
}

/* A gid that somebody may speak of: mostly one that exists. */
static struct gid pick_gid(struct world *world)
{
    if (world->fact_count > 0 && draw(world, 8) != 0) {
        size_t recent = world->fact_count < 20 ? world->fact_count : 20;
        return world->facts[world->fact_count - 1 - draw(world, recent)].gid;
    }
    return bench_gid(pick_sequence(world), 1 + draw(world, 3));
}

static void learn_rows(struct world *world, struct command_result *result)
{
    size_t count = draw(world, 4);
    result->rows = alloc_array(count + 1, sizeof(*result->rows));
    for (size_t i = 0; i < count; i++) {
        struct gid gid = pick_gid(world);
        if (draw(world, 10) == 0) {
            snprintf(gid.participant, sizeof(gid.participant), "%s", "stranger");
        }
        gid_format(&gid, result->rows[result->row_count].gid_text);
        result->rows[result->row_count++].age_ms = draw(world, 5000);
    }
}

/* What this answer proves about the gid, if it is of the present history. */
static void learn_answer(struct world *world, const struct command *command,
                         const struct command_result *result, bool is_present)
{
    struct fact *known = NULL;
    switch (command->kind) {
    case COMMAND_EXECUTE:
        known = fact(world, &command->as.execute.gid);
        known->executing = false;
        known->executed_ok = result->class == PG_OK && is_present;
        known->executed_history = world->history;
        /* Read-only branches that are not serializable end by ROLLBACK whatever the class is. */
        known->says_rolled_back = known->says_rolled_back ||
                                  command_execute_by_rollback(&command->as.execute) ||
                                  (is_present && result->class == PG_ROLLED_BACK);
        break;
    case COMMAND_STATEMENT:
        known = fact(world, &command->as.statement.execute.gid);
        known->answered += is_present && result->class == PG_OK;
        if (is_present && result->class == PG_ROLLED_BACK) {
            known->is_open = false;
            known->executing = false;
            known->says_rolled_back = true;
        }
        break;
    case COMMAND_PREPARE:
        known = fact(world, &command->as.prepare.gid);
        known->executing = false;
        known->executed_ok = result->class == PG_OK && is_present;
        known->executed_history = world->history;
        known->says_rolled_back = known->says_rolled_back ||
                                  command_execute_by_rollback(&command->as.prepare) ||
                                  (is_present && result->class == PG_ROLLED_BACK);
        break;
    case COMMAND_CLOSE:
        known = fact(world, &command->as.close);
        known->is_open = false;
        known->executing = false;
        known->says_rolled_back = true;
        break;
    case COMMAND_VERIFY:
        known = fact(world, &command->as.verify.gid);
        known->executed_ok = result->class == PG_OK && is_present;
        known->executed_history = world->history;
        break;
    case COMMAND_FINISH:
        known = fact(world, &command->as.finish.gid);
        if (is_present && result->class == PG_OK) {
            known->says_committed = known->says_committed || command->as.finish.commit;
            known->says_rolled_back = known->says_rolled_back || !command->as.finish.commit;
        }
        break;
    case COMMAND_PROVE:
        known = fact(world, &command->as.prove.gid);
        if (is_present && result->class == PG_OK) {
            known->says_committed = known->says_committed || result->proved == PROOF_SAYS_COMMITTED;
            known->says_rolled_back =
                known->says_rolled_back || result->proved == PROOF_SAYS_ABSENT;
        }
        break;
    case COMMAND_LOOK:
        if (command->as.look.has_gid) {
            known = fact(world, &command->as.look.gid);
            known->says_rolled_back =
                known->says_rolled_back ||
                (is_present && (result->class == PG_NOT_FOUND || result->class == PG_OK));
        }
        break;
    case COMMAND_CANCEL:
    case COMMAND_SCAN:
    case COMMAND_AUDIT:
    case COMMAND_OUTCOMES:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_ROTATE:
        break;
    }
    if (known != NULL) {
        known->busy = false;
    }
}

static void do_answer(struct world *world, bool kindly)
{
    if (world->command_count == 0) {
        return;
    }
    size_t index = draw(world, world->command_count);
    struct command command = world->commands[index];
    bool is_present = world->command_history[index] == world->history;
    world->command_count--;
    world->commands[index] = world->commands[world->command_count];
    world->command_history[index] = world->command_history[world->command_count];
    struct command_result result = {
        .id = command.id,
        .kind = command.kind,
        .class = kindly || draw(world, 3) != 0 ? PG_OK : (enum pg_class)(1 + draw(world, 6)),
        .proved = (enum proof_result)(kindly ? PROOF_SAYS_ABSENT : 1 + draw(world, 4)),
    };
    if (command.kind == COMMAND_SCAN || command.kind == COMMAND_LOOK ||
        command.kind == COMMAND_OUTCOMES) {
        if (kindly && command.kind == COMMAND_LOOK) {
            result.class = PG_NOT_FOUND;
        } else if (result.class == PG_OK && !kindly) {
            learn_rows(world, &result);
        }
    }
    if (command.kind == COMMAND_SCAN) {
        world->bench.scan_id = 0;
        result.is_alone = command.as.scan.look_for_others && (kindly || draw(world, 2) == 0);
    } else if (command.kind == COMMAND_OUTCOMES) {
        world->bench.outcomes_id = 0;
    }
    if (command.kind == COMMAND_SCAN || command.kind == COMMAND_OUTCOMES) {
        result.proof.xid8 = draw(world, 1000);
    }
    if (command.kind == COMMAND_VERIFY && (result.class == PG_OK || draw(world, 4) == 0)) {
        result.proof.kind = PROOF_EXTERNAL;
        result.proof.xid8 = 1 + draw(world, 1000);
    }
    if (command.kind == COMMAND_AUDIT && result.class == PG_OK) {
        uint8_t findings[AUDIT_ITEMS_MAX] = {0};
        result.results = blob_new(findings, command.as.audit.count);
    }
    learn_answer(world, &command, &result, is_present);
    bench_result(&world->bench, &result);
    check_ready(world);
}

static void statement_first(struct world *world, struct message *message)
{
    message->kind = MESSAGE_STATEMENT;
    message->as.statement.gtrid = bench_gtrid(pick_sequence(world));
    message->as.statement.ordinal = 1;
    message->as.statement.remaining_ms = draw(world, 3000);
    message->as.statement.read_only = draw(world, 5) == 0;
    message->as.statement.work = blob_new("s", 1);
}

/* Mostly the next one of an attempt that exists. */
static void statement_next(struct world *world, const struct fact *known, struct message *message)
{
    statement_first(world, message);
    message->as.statement.gtrid = known->gid.gtrid;
    message->as.statement.attempt = known->gid.attempt;
    message->as.statement.ordinal = known->ordinal + (draw(world, 4) == 0 ? draw(world, 3) : 1);
}

static void do_message(struct world *world)
{
    size_t slot = draw(world, SESSIONS_MAX);
    for (size_t i = 0; i < SESSIONS_MAX && draw(world, 20) != 0 && !world->welcomed[slot]; i++) {
        slot = (slot + 1) % SESSIONS_MAX; /* mostly one that is heard */
    }
    uint64_t session = world->sessions[slot] != 0 ? world->sessions[slot] : 99999;
    bool counts = world->sessions[slot] != 0 && world->welcomed[slot];
    struct message message = {0};
    struct gid gid = pick_gid(world);
    struct fact *known = fact(world, &gid);
    switch (draw(world, 24)) {
    case 21:
    case 22:
    case 23:
        message.kind = MESSAGE_VERIFY;
        message.as.verify.gid = gid;
        message.as.verify.remaining_ms = draw(world, 3000);
        break;
    case 13:
    case 14:
        statement_first(world, &message);
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        statement_next(world, known, &message);
        break;
    case 19:
    case 20:
        message.kind = MESSAGE_PREPARE;
        message.as.prepare.gid = gid;
        message.as.prepare.count = known->ordinal + (draw(world, 8) == 0);
        message.as.prepare.remaining_ms = draw(world, 3000);
        break;
    case 12:
        message.kind = MESSAGE_AUDIT;
        message.as.audit.serial = ++world->last_serial;
        message.as.audit.list.count = 1;
        message.as.audit.list.items = alloc_array(1, sizeof(message.as.audit.list.items[0]));
        message.as.audit.list.items[0].gid = gid;
        break;
    case 0:
    case 1:
    case 2:
    case 8:
    case 9:
    case 10:
    case 11:
        message.kind = MESSAGE_WORK;
        message.as.work.gtrid = bench_gtrid(pick_sequence(world));
        message.as.work.remaining_ms = draw(world, 3000);
        message.as.work.read_only = draw(world, 5) == 0;
        message.as.work.work = blob_new("w", 1);
        break;
    case 3:
        message.kind = MESSAGE_COMMIT;
        message.as.commit.gid = gid;
        known->word_commit = known->word_commit || counts;
        break;
    case 4:
        message.kind = MESSAGE_ROLLBACK;
        message.as.rollback.gtrid = gid.gtrid;
        message.as.rollback.has_gid = true;
        message.as.rollback.gid = gid;
        /* It also cancels what still runs of the transaction: that counts for the whole gtrid. */
        known->word_rollback = known->word_rollback || counts;
        world->erase_word[gid.gtrid.sequence] = world->erase_word[gid.gtrid.sequence] || counts;
        break;
    case 5:
        message.kind = MESSAGE_ROLLBACK;
        message.as.rollback.gtrid = gid.gtrid;
        world->erase_word[gid.gtrid.sequence] = world->erase_word[gid.gtrid.sequence] || counts;
        break;
    case 6:
        message.kind = MESSAGE_VERDICT;
        message.as.verdict.gid = gid;
        message.as.verdict.verdict = (enum verdict)(1 + draw(world, 5));
        known->word_commit =
            known->word_commit || (counts && message.as.verdict.verdict == VERDICT_COMMIT);
        known->word_rollback =
            known->word_rollback || (counts && message.as.verdict.verdict == VERDICT_ABORT);
        break;
    default:
        message.kind = MESSAGE_HEAD;
        message.as.head.head.number = draw(world, 100);
        break;
    }
    world->speaking = session;
    bench_message(&world->bench, session, &message);
    check_ready(world);
}

static void session_end(struct world *world, size_t slot)
{
    struct agent_event event = {.kind = AGENT_EVENT_PEER_DOWN, .session = world->sessions[slot]};
    session_is_over(world, world->sessions[slot]);
    world->sessions[slot] = 0;
    world->welcomed[slot] = false;
    bench_step(&world->bench, &event);
    check_ready(world);
}

static void do_session(struct world *world)
{
    size_t slot = draw(world, SESSIONS_MAX);
    if (world->sessions[slot] == 0) {
        world->sessions[slot] = ++world->last_session;
        world->welcomed[slot] = false;
        bench_peer_up(&world->bench, world->sessions[slot]);
    } else if (draw(world, 6) == 0) {
        session_end(world, slot); /* has looked at its ready */
        return;
    } else {
        uint64_t epoch = draw(world, 5) == 0 ? EPOCH - 1 : EPOCH;
        bench_claim(&world->bench, world->sessions[slot], epoch, NONCE, draw(world, 100));
    }
    check_ready(world);
}

static void do_event(struct world *world)
{
    uint64_t kind = draw(world, 100);
    if (kind < 45) {
        do_answer(world, false);
    } else if (kind < 80) {
        do_message(world);
    } else if (kind < 82) {
        do_session(world);
    } else if (kind < 99) {
        bench_wait(&world->bench, draw(world, 500));
        check_ready(world);
    } else if (draw(world, 4) != 0) {
        bench_status(&world->bench, draw(world, 8) == 0 ? HEALTH_DOWN : HEALTH_UP, false);
        check_ready(world);
    } else {
        world->history++;
        bench_status(&world->bench, HEALTH_UP, true);
        check_ready(world);
    }
}

/* The endless sweep alone is left. */
static bool is_settled(const struct world *world)
{
    return bench_counters(&world->bench).branches_live == 0 &&
           (world->command_count == 0 ||
            (world->command_count == 1 && world->commands[0].kind == COMMAND_SCAN));
}

/* The coordinator speaks on a session that is welcomed, or opens one. */
static void settle_connect(struct world *world)
{
    for (size_t slot = 0; slot < SESSIONS_MAX; slot++) {
        if (world->sessions[slot] != 0 && world->welcomed[slot]) {
            bench_wait(&world->bench, 2000);
            check_ready(world);
            return;
        }
    }
    if (world->sessions[0] == 0) {
        world->sessions[0] = ++world->last_session;
        bench_peer_up(&world->bench, world->sessions[0]);
    } else {
        bench_claim(&world->bench, world->sessions[0], EPOCH, NONCE, 0);
    }
    check_ready(world);
}

static void settle_verdict(struct world *world)
{
    struct message message = {.kind = MESSAGE_VERDICT};
    struct fact *known = fact(world, &world->inquiry);
    message.as.verdict.gid = world->inquiry;
    message.as.verdict.verdict = known->word_commit ? VERDICT_COMMIT : VERDICT_ABORT;
    known->word_rollback = known->word_rollback || !known->word_commit;
    uint64_t session = world->inquiry_session;
    world->inquiry_session = 0;
    bench_message(&world->bench, session, &message);
    check_ready(world);
}

static void settle_noted(struct world *world)
{
    struct message message = {.kind = MESSAGE_VERDICT};
    message.as.verdict.gid = world->contrary;
    message.as.verdict.verdict = VERDICT_NOTED;
    uint64_t session = world->contrary_session;
    world->contrary_session = 0;
    bench_message(&world->bench, session, &message);
    check_ready(world);
}

/* In the end everything is answered kindly: nothing may keep running. */
static void settle(struct world *world)
{
    bench_status(&world->bench, HEALTH_UP, false);
    check_ready(world);
    for (size_t slot = 0; slot < SESSIONS_MAX; slot++) {
        if (world->sessions[slot] != 0) {
            session_end(world, slot); /* one that was overtaken by another stays deaf */
        }
    }
    world->inquiry_session = 0;
    world->contrary_session = 0;
    for (size_t i = 0; i < 4000 && !is_settled(world); i++) {
        if (world->command_count > 0) {
            do_answer(world, true);
        } else if (world->inquiry_session != 0) {
            settle_verdict(world);
        } else if (world->contrary_session != 0) {
            settle_noted(world);
        } else {
            settle_connect(world);
        }
    }
    CHECK(is_settled(world));
}

void agent_hostile_run(struct choices *choices, size_t events)
{
    struct world *world = alloc_zeroed(sizeof(*world));
    world->choices = choices;
    world->last_session = 100;
    world->first_sequence = 1;
    bench_init(&world->bench);
    world->sessions[0] = SESSION;
    world->welcomed[0] = true;
    bench_welcome(&world->bench, SESSION, EPOCH, NONCE);
    for (size_t i = 0; i < events && !choices_over(choices); i++) {
        do_event(world);
    }
    settle(world);
    bench_done(&world->bench);
    free(world);
}

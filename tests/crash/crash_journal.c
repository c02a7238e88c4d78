/*
 * crash_journal.c - see crash_journal.h.
 */
#include "tests/crash/crash_journal.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "recovery/journal.h"

#define AGE_MS ((uint64_t)2 * 3600 * 1000)

struct live {
    size_t count;
    struct gtrid gtrid;
};

static bool find_live(void *user, uint64_t number, const struct record *record)
{
    struct live *live = user;
    (void)number;
    if (record->kind == RECORD_COMMIT) {
        live->gtrid = record->as.commit.gtrid;
        live->count++;
    }
    return true;
}

/* Ends the sale now and a read-only transaction of nobody's two hours later: only an END moves the journal's clock, and
 * alone in a journal the sale would be as old as the clock says, which is not old at all. */
static bool append_aged(struct journal *journal, const struct gtrid *gtrid, struct error *ret_error)
{
    const struct journal_state *state = journal_state(journal);
    const struct record lent = {.kind = RECORD_EPOCH,
                                .as.epoch = {.epoch = state->last_epoch + 1,
                                             .nonce = clock_monotonic_ms() | 1,
                                             .participant_count = state->participant_count,
                                             .participants = state->participants}};
    struct gtrid later = *gtrid;
    later.epoch = state->last_epoch + 1;
    later.epoch_nonce = lent.as.epoch.nonce;
    later.sequence = 1;
    struct record_branch branch = {.read_only = true, .gid = {.gtrid = later}};
    memcpy(branch.gid.participant, state->participants[0], sizeof branch.gid.participant);
    struct record records[4] = {
        {0},
        {.kind = RECORD_END,
         .as.end = {.gtrid = *gtrid, .wall_ms = clock_wall_ms(), .running_ms = state->running_ms}},
        {.kind = RECORD_COMMIT,
         .as.commit = {.gtrid = later, .branch_count = 1, .branches = &branch}},
        {.kind = RECORD_END,
         .as.end = {.gtrid = later,
                    .wall_ms = clock_wall_ms(),
                    .running_ms = state->running_ms + AGE_MS}},
    };
    struct journal_head head;
    record_copy(&lent, &records[0]);
    bool succeeded = journal_append(journal, state->last_epoch + 1, records, 4, &head, ret_error);
    record_done(&records[0]);
    return succeeded;
}

static bool age(const char *path, struct error *ret_error)
{
    const struct journal_options options = {.path = path};
    struct journal *journal = NULL;
    struct live live = {0};
    if (!journal_open_sqlite(&options, &journal, ret_error)) {
        return false;
    }
    bool succeeded = journal_replay(journal, find_live, &live, ret_error);
    if (succeeded && live.count != 1) {
        succeeded =
            error_set(ret_error, ERROR_INVALID, "%zu live transactions in the journal", live.count);
    }
    succeeded = succeeded && append_aged(journal, &live.gtrid, ret_error);
    journal_close(journal);
    return succeeded;
}

/* As the daemons' user, so that they can use what is made on the way (lock and reserve). */
bool crash_journal_age(struct stack *stack, struct error *ret_error)
{
    const char *user = stack_os_user(stack);
    const struct passwd *entry = user == NULL ? NULL : getpwnam(user);
    const gid_t group = getegid();
    if (entry != NULL) {
        CHECK(setegid(entry->pw_gid) == 0 && seteuid(entry->pw_uid) == 0);
    }
    bool succeeded = age(stack_journal_path(stack), ret_error);
    if (entry != NULL) {
        CHECK(seteuid(getuid()) == 0 && setegid(group) == 0);
    }
    return succeeded || error_wrap(ret_error, "aging the journal");
}

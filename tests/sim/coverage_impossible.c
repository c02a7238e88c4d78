/*
 * coverage_impossible.c - pairs that can not happen, with the reason, and what is shown elsewhere. An impossible pair that was
 * reached, and anything that is in neither list and was never reached, fails a run that is long enough.
 */
#include <string.h>

#include "tests/sim/coverage.h"

struct entry {
    const char *table, *state, *event; /* "*": any */
    const char *why;
};

/* What takes so many accidents at once that hours may not meet it has a test of its own in tests/spec/; the points, the
 * crash matrix. */
static const struct entry elsewheres[] = {
    {"point", "c.accept", "*", "in the client edge, which the crash matrix runs"},
    {"point", "c.decide.row_written", "*",
     "inside SQLite's transaction, which the crash matrix runs; here a batch is there or not"},
    {"point", "c.decide.pre_sync", "*", "as c.decide.row_written"},
    {"kill", "c.accept", "*", "as the point"},
    {"kill", "c.decide.row_written", "*", "as the point"},
    {"kill", "c.decide.pre_sync", "*", "as the point"},
    {"branch", "heuristic-rollback", "ACK hazard", "test_h1_first_outcome_stands"},
    {"branch", "heuristic-commit", "ACK hazard", "test_h1_first_outcome_stands"},
    {"branch", "hazard", "ACK heuristic*", "test_h1_first_outcome_stands"},
    {"branch", "hazard", "VOTE abort", "test_h1_first_outcome_stands"},
    {"branch", "refused", "VOTE unknown", "test_p07_refusal_stands"},
    /* Two copies of WORK, and what became of the first comes last: refused, or executed and looked for. */
    {"branch", "prepared", "VOTE abort", "test_p07_answer_to_another_copy_of_the_work_is_stale"},
    {"transaction", "committing", "ACK rolled back",
     "test_p07_acknowledgement_of_another_attempt_ends_nothing"},
    {"branch", "committing", "ACK rolled back",
     "test_p07_acknowledgement_of_another_attempt_ends_nothing"},
    {"branch", "read-only", "VOTE unknown", "test_p07_answer_to_another_copy_of_the_work_is_stale"},
    {"branch", "read-only", "ACK rolled back",
     "test_p07_answer_to_another_copy_of_the_work_is_stale"},
    {"agent", "proving", "PROVE prepared", "test_agent_p12_row_that_is_there_again_is_finished"},
    {"agent", "doubtful", "NOTED", "test_agent_h1_noted_ends_nothing_but_the_telling"},
    {"agent", "unowned", "NOTED", "test_agent_h1_noted_ends_nothing_but_the_telling"},
    {"agent", "paused", "NOTED", "test_agent_h1_noted_ends_nothing_but_the_telling"},
    {"agent", "telling", "WORK", "test_agent_h1_old_messages_do_not_end_the_telling"},
    {"agent", "telling", "VERDICT wait", "test_agent_h1_old_messages_do_not_end_the_telling"},
    {"agent", "proving", "VERDICT wait", "test_agent_h1_old_messages_do_not_end_the_telling"},
    {"agent", "telling", "COMMIT", "test_agent_h1_commit_after_a_contradiction_is_found_done"},
    {"agent", "telling", "VERDICT commit",
     "test_agent_h1_commit_after_a_contradiction_is_found_done"},
    {"agent", "cancelling", "database up", "test_agent_p11_cancelled_branch_outlasts_the_database"},
    {"agent", "finishing", "VERDICT unknown",
     "test_agent_p12_unknown_after_the_word_changes_nothing"},
    {"agent", "proving", "VERDICT unknown",
     "test_agent_p12_unknown_after_the_word_changes_nothing"},
    {"agent", "paused", "VERDICT unknown", "test_agent_p12_unknown_after_the_word_changes_nothing"},
    {"agent", "telling", "VERDICT unknown",
     "test_agent_p12_unknown_after_the_word_changes_nothing"},
    {"agent", "done", "VERDICT unknown", "test_agent_p12_unknown_after_the_word_changes_nothing"},
    {"agent", "new", "VERDICT unknown", "test_agent_p8_unknown_about_nothing_changes_nothing"},
};

static const struct entry impossibles[] = {
    {"transaction", "queued", "*", "queues are not part of this version"},
    {"transaction", "dead", "*", "queues are not part of this version"},
    {"branch", "*", "SUBMIT with its key", "a key meets a transaction, not a branch"},
    {"branch", "*", "client's COMMIT", "it meets a transaction, not a branch"},
    {"branch", "*", "client's ROLLBACK", "it meets a transaction, not a branch"},
    {"transaction", "active", "client's*", "an interactive one is open within the step"},
    {"transaction", "active", "ANSWER", "nothing was sent yet"},
    {"transaction", "open", "SUBMIT with its key", "an interactive one has no key"},
    {"transaction", "open", "ACK*", "nobody was told how to end"},
    {"transaction", "open", "INQUIRY", "nothing is prepared that could be asked about"},
    {"transaction", "open", "DURABLE", "no record of it was made"},
    {"transaction", "open", "VOTE commit", "nobody was told to prepare"},
    {"transaction", "open", "VOTE read-only", "nobody was told to prepare"},
    {"branch", "idle", "client's STATEMENT", "a branch begins to work with its first statement"},
    {"branch", "idle", "ANSWER", "nothing was sent yet"},
    {"branch", "unknown", "*", "left within the step that enters it"},
    {"transaction", "active", "VOTE*", "nothing was sent yet"},
    {"transaction", "active", "ACK*", "nothing was sent yet"},
    {"transaction", "active", "INQUIRY", "nothing was executed yet"},
    {"branch", "idle", "VOTE*", "nothing was sent yet"},
    {"branch", "idle", "ACK*", "nothing was sent yet"},
    {"branch", "idle", "INQUIRY", "nothing was executed yet"},
    {"transaction", "preparing", "ACK*", "nobody was told how to end"},
    {"transaction", "deciding", "ACK*", "nobody was told how to end"},
    {"branch", "working", "ACK*", "it was not told how to end"},
    {"branch", "prepared", "ACK*", "it was not told how to end"},
    {"branch", "forgotten", "VOTE read-only", "it was prepared, so it did not vote so"},
    {"branch", "refused", "ACK committed", "it has nothing to commit"},
    {"branch", "refused", "ACK heuristic*", "nothing of it was prepared that somebody could end"},
    {"branch", "refused", "ACK hazard", "nothing of it was prepared that could be lost"},
    {"branch", "read-only", "ACK committed", "it has nothing to end"},
    {"branch", "read-only", "ACK heuristic*", "it has nothing to end"},
    {"branch", "read-only", "ACK hazard", "it has nothing to end"},
    {"branch", "read-only", "INQUIRY", "nothing is prepared that could be asked about"},
    {"branch", "read-only", "VOTE commit", "it was declared read-only, and votes so"},
    {"branch", "prepared", "VOTE read-only", "an attempt gives one vote"},
    {"branch", "comm*", "VOTE read-only", "it was prepared, so it did not vote so"},
    {"branch", "heuristic-*", "VOTE read-only", "it was prepared, so it did not vote so"},
    {"branch", "hazard", "VOTE read-only", "it was prepared, so it did not vote so"},
    {"transaction", "comm*", "ACK heuristic commit", "committed is no contradiction there"},
    {"branch", "comm*", "ACK heuristic commit", "committed is no contradiction there"},
    {"transaction", "abort*", "ACK committed", "what aborted is never told to commit"},
    {"branch", "roll*", "ACK committed", "what aborted is never told to commit"},
    {"transaction", "abort*", "ACK heuristic rollback", "rolled back is no contradiction there"},
    {"branch", "roll*", "ACK heuristic rollback", "rolled back is no contradiction there"},
    {"branch", "heuristic-commit", "ACK committed", "what aborted is never told to commit"},
    {"branch", "heuristic-commit", "ACK heuristic rollback",
     "rolled back is no contradiction there"},
    {"branch", "heuristic-rollback", "ACK heuristic commit", "committed is no contradiction there"},
    {"agent", "new", "RESULT*", "left within the step that enters it"},
    {"agent", "new", "PROVE*", "left within the step that enters it"},
    {"agent", "new", "WORK", "counted for branches that are known"},
    {"agent", "new", "STATEMENT 1", "counted for branches that are known"},
    {"agent", "answering", "WORK", "a transaction is spoken or sent whole"},
    {"agent", "open", "WORK", "a transaction is spoken or sent whole"},
    {"agent", "closing", "WORK", "a transaction is spoken or sent whole"},
    {"agent", "answering", "COMMIT", "it has not voted, so it is not decided commit"},
    {"agent", "open", "COMMIT", "it has not voted, so it is not decided commit"},
    {"agent", "closing", "COMMIT", "it has not voted yes, so it is not decided commit"},
    {"agent", "answering", "VERDICT*", "it asks for nothing before its vote"},
    {"agent", "open", "VERDICT*", "it asks for nothing before its vote"},
    {"agent", "closing", "VERDICT*", "it has nothing to ask for"},
    {"agent", "answering", "NOTED", "it has told nothing"},
    {"agent", "open", "NOTED", "it has told nothing"},
    {"agent", "closing", "NOTED", "it has told nothing"},
    {"agent", "answering", "RESULT not found", "STATEMENT is never answered so"},
    {"agent", "answering", "RESULT retry", "STATEMENT is never answered so"},
    {"agent", "answering", "RESULT refused", "STATEMENT is never answered so"},
    {"agent", "answering", "RESULT unknown", "before PREPARE is sent there is no doubt"},
    {"agent", "closing", "RESULT not found", "STATEMENT and CLOSE are never answered so"},
    {"agent", "closing", "RESULT retry", "STATEMENT and CLOSE are never answered so"},
    {"agent", "closing", "RESULT refused", "STATEMENT and CLOSE are never answered so"},
    {"agent", "closing", "RESULT unknown", "before PREPARE is sent there is no doubt"},
    {"agent", "open", "RESULT*", "no command of it is in flight"},
    {"agent", "answering", "PROVE*", "only PROVE is answered so"},
    {"agent", "open", "PROVE*", "only PROVE is answered so"},
    {"agent", "closing", "PROVE*", "only PROVE is answered so"},
    {"agent", "answering", "SCAN with its row", "nothing of it is prepared"},
    {"agent", "open", "SCAN with its row", "nothing of it is prepared"},
    {"agent", "closing", "SCAN with its row", "nothing of it is prepared"},
    {"agent", "answering", "its timer", "its timer is off"},
    {"agent", "closing", "its timer", "its timer is off"},
    {"agent", "answering", "PREPARE", "commit closes a list that is answered"},
    {"agent", "new", "ROLLBACK without gid", "counted for branches that are known"},
    {"agent", "new", "SCAN without its row", "counted for branches that are known"},
    {"agent", "new", "history changed", "left within the step that enters it"},
    {"agent", "new", "database up", "left within the step that enters it"},
    {"agent", "new", "PEER*", "left within the step that enters it"},
    {"agent", "new", "its timer", "left within the step that enters it"},
    {"agent", "new", "DRAIN", "left within the step that enters it"},
    {"agent", "prepared", "VERDICT unknown",
     "whoever is welcomed knows the epoch of this yes (P-10), and its floor waits for it (P-13)"},
    {"agent", "executing", "NOTED", "it has told nothing"},
    {"agent", "cancelling", "NOTED", "it has told nothing"},
    {"agent", "looking", "NOTED", "it has told nothing"},
    {"agent", "unsure", "NOTED", "it has told nothing"},
    {"agent", "prepared", "NOTED", "it has told nothing"},
    {"agent", "unowned", "WORK", "who does not know it gives no work of it out"},
    {"agent", "unowned", "COMMIT", "who does not know it gives no word of its own accord"},
    {"agent", "unowned", "ROLLBACK*", "who does not know it gives no word of its own accord"},
    {"agent", "executing", "COMMIT", "it has not voted, so it is not decided commit"},
    {"agent", "executing", "VERDICT*", "it asks for nothing before its vote"},
    {"agent", "cancelling", "COMMIT", "it has not voted, so it is not decided commit"},
    {"agent", "cancelling", "VERDICT*", "it asks for nothing before its vote"},
    {"agent", "looking", "COMMIT", "it voted unknown, so it is not decided commit"},
    {"agent", "unsure", "COMMIT", "it voted unknown, so it is not decided commit"},
    {"agent", "looking", "VERDICT*", "it has not asked yet"},
    {"agent", "unsure", "VERDICT*", "it has not asked yet"},
    {"agent", "executing", "RESULT not found", "EXECUTE is never answered so"},
    {"agent", "executing", "RESULT retry", "EXECUTE is never answered so"},
    {"agent", "executing", "RESULT refused", "EXECUTE is never answered so"},
    {"agent", "cancelling", "RESULT not found", "EXECUTE is never answered so"},
    {"agent", "cancelling", "RESULT retry", "EXECUTE is never answered so"},
    {"agent", "cancelling", "RESULT refused", "EXECUTE is never answered so"},
    {"agent", "looking", "RESULT rolled back", "LOOK is never answered so"},
    {"agent", "looking", "RESULT retry", "LOOK is never answered so"},
    {"agent", "looking", "RESULT refused", "LOOK is never answered so"},
    {"agent", "finishing", "RESULT rolled back", "FINISH is never answered so"},
    {"agent", "proving", "RESULT ok", "counted by what the proof says"},
    {"agent", "proving", "RESULT rolled back", "PROVE is never answered so"},
    {"agent", "proving", "RESULT not found", "PROVE is never answered so"},
    {"agent", "proving", "RESULT refused", "PROVE is never answered so"},
    {"agent", "unsure", "RESULT*", "no command of it is in flight"},
    {"agent", "prepared", "RESULT*", "no command of it is in flight"},
    {"agent", "doubtful", "RESULT*", "no command of it is in flight"},
    {"agent", "unowned", "RESULT*", "no command of it is in flight"},
    {"agent", "paused", "RESULT*", "no command of it is in flight"},
    {"agent", "telling", "RESULT*", "no command of it is in flight"},
    {"agent", "done", "RESULT*", "no command of it is in flight"},
    {"agent", "executing", "PROVE*", "only PROVE is answered so"},
    {"agent", "cancelling", "PROVE*", "only PROVE is answered so"},
    {"agent", "looking", "PROVE*", "only PROVE is answered so"},
    {"agent", "unsure", "PROVE*", "only PROVE is answered so"},
    {"agent", "prepared", "PROVE*", "only PROVE is answered so"},
    {"agent", "doubtful", "PROVE*", "only PROVE is answered so"},
    {"agent", "unowned", "PROVE*", "only PROVE is answered so"},
    {"agent", "finishing", "PROVE*", "only PROVE is answered so"},
    {"agent", "paused", "PROVE*", "only PROVE is answered so"},
    {"agent", "telling", "PROVE*", "only PROVE is answered so"},
    {"agent", "done", "PROVE*", "only PROVE is answered so"},
    {"agent", "executing", "its timer", "its timer is off"},
    {"agent", "cancelling", "its timer", "its timer is off"},
    {"agent", "looking", "its timer", "its timer is off"},
    {"agent", "finishing", "its timer", "its timer is off"},
    {"agent", "proving", "its timer", "its timer is off"},
    {"agent", "done", "its timer", "its timer is off"},
    {"agent", "done", "SCAN without its row", "counted for what lives"},
    {"agent", "done", "history changed", "counted for what lives"},
    {"agent", "done", "database up", "counted for what lives"},
    {"agent", "done", "PEER*", "counted for what lives"},
    {"agent", "done", "DRAIN", "counted for what lives"},
};

static bool fits(const char *pattern, const char *text)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*') {
        return strncmp(pattern, text, length - 1) == 0;
    }
    return strcmp(pattern, text) == 0;
}

static const char *find(const struct entry *entries, size_t count, const char *table,
                        const char *state, const char *event)
{
    for (size_t i = 0; i < count; i++) {
        if (fits(entries[i].table, table) && fits(entries[i].state, state) &&
            fits(entries[i].event, event)) {
            return entries[i].why;
        }
    }
    return NULL;
}

const char *coverage_impossible(const char *table, const char *state, const char *event)
{
    return find(impossibles, sizeof(impossibles) / sizeof(impossibles[0]), table, state, event);
}

const char *coverage_elsewhere(const char *table, const char *state, const char *event)
{
    return find(elsewheres, sizeof(elsewheres) / sizeof(elsewheres[0]), table, state, event);
}

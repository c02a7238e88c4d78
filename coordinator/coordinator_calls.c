/* coordinator_calls.c - questions from the edges that change nothing: from the core's memory, else from the
 * journal (on the reading connection), else from what P-8 makes of an unknown transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "coordinator/coordinator_internal.h"

static struct txn_view *answer_one(struct api_answer *answer)
{
    answer->status = API_OK;
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    return &answer->views[0];
}

static void answer_failed(struct api_answer *answer, const struct error *error)
{
    answer->status = API_FAILED;
    snprintf(answer->text, sizeof(answer->text), "%.200s", error->text);
    log_event(LOG_ERROR, "journal could not be read", LOG_S("error", error->text));
}

/* Neither in memory nor retained. */
static void answer_presumed(const struct coordinator *coordinator, const struct gtrid *gtrid,
                            struct api_answer *answer)
{
    struct coord_counters counters;
    coord_counters_read(coordinator->coord, &counters);
    if (coord_presume(coordinator->coord, gtrid) == VERDICT_ABORT) {
        struct txn_view *view = answer_one(answer);
        view->gtrid = *gtrid;
        view->state = TXN_ABORTED;
        snprintf(view->failure_text, sizeof(view->failure_text), "%s",
                 "no decision to commit was ever recorded");
        return;
    }
    bool ours = journal_id_equal(&gtrid->journal, &journal_state(coordinator->journal)->id);
    bool below =
        gtrid->epoch < counters.floor.epoch ||
        (gtrid->epoch == counters.floor.epoch && gtrid->sequence <= counters.floor.sequence);
    answer->status = ours && below ? API_EXPIRED : API_NOT_FOUND;
}

/* A transaction, or an accepted request that is over. */
static bool find_by_id(struct coordinator *coordinator, const struct gtrid *id, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error)
{
    return journal_find_gtrid(coordinator->journal, id, ret_found, ret_entry, ret_error) &&
           (*ret_found ||
            journal_find_request(coordinator->journal, id, ret_found, ret_entry, ret_error));
}

static void call_get(struct coordinator *coordinator, struct api_call *call)
{
    struct txn_view view;
    if (coord_view(coordinator->coord, &call->gtrid, call->want_events, &view)) {
        *answer_one(&call->answer) = view;
        return;
    }
    bool found = false;
    struct journal_entry entry;
    struct error error;
    if (!find_by_id(coordinator, &call->gtrid, &found, &entry, &error)) {
        answer_failed(&call->answer, &error);
        return;
    }
    if (found && entry.commit.kind == RECORD_DROPPED) {
        coord_view_dropped(&entry.commit.as.dropped, call->want_events, answer_one(&call->answer));
        journal_entry_done(&entry);
        return;
    }
    if (!found) {
        struct journal_floor floor;
        if (!journal_read_floor(coordinator->journal, &floor, &error)) {
            answer_failed(&call->answer, &error);
            return;
        }
        coord_raise_floor(coordinator->coord, &floor);
        answer_presumed(coordinator, &call->gtrid, &call->answer);
        return;
    }
    coord_view_entry(&entry, call->want_events, answer_one(&call->answer));
    journal_entry_done(&entry);
}

static void call_get_by_key(struct coordinator *coordinator, struct api_call *call)
{
    struct txn_view view;
    if (coord_view_by_key(coordinator->coord, call->key, call->key_bytes, call->want_events,
                          &view)) {
        *answer_one(&call->answer) = view;
        return;
    }
    bool found = false;
    struct journal_entry entry;
    struct error error;
    if (!journal_find_key(coordinator->journal, call->key, call->key_bytes, &found, &entry,
                          &error)) {
        answer_failed(&call->answer, &error);
        return;
    }
    if (!found) {
        call->answer.status = API_NOT_FOUND;
        return;
    }
    coord_view_entry(&entry, call->want_events, answer_one(&call->answer));
    journal_entry_done(&entry);
}

static bool entry_matches(const struct journal_entry *entry, const struct api_list *list)
{
    if (list->any_state) {
        return true;
    }
    if (entry->commit.kind == RECORD_DROPPED) {
        return !list->in_doubt && list->state == TXN_ABORTED;
    }
    struct txn_view view;
    coord_view_entry(entry, false, &view);
    bool matches = !list->in_doubt && view.state == list->state;
    txn_view_done(&view);
    return matches;
}

static bool entry_names(const struct journal_entry *entry, const char *participant)
{
    const struct record_commit *commit = &entry->commit.as.commit;
    for (size_t i = 0; i < commit->branch_count; i++) {
        if (strcmp(commit->branches[i].gid.participant, participant) == 0) {
            return true;
        }
    }
    return false;
}

static bool list_by_key(struct coordinator *coordinator, const struct api_list *list,
                        uint64_t before_number, struct api_answer *answer, struct error *ret_error)
{
    bool found = false;
    struct journal_entry entry;
    struct txn_view in_memory;
    if (!journal_find_key(coordinator->journal, list->key, list->key_bytes, &found, &entry,
                          ret_error)) {
        return false;
    }
    if (!found) {
        return true;
    }
    if (coord_view(coordinator->coord, &entry.commit.as.commit.gtrid, false, &in_memory)) {
        txn_view_done(&in_memory); /* listed already */
    } else if (entry.commit_number < before_number && entry_matches(&entry, list) &&
               (list->participant[0] == '\0' || entry_names(&entry, list->participant))) {
        coord_view_entry(&entry, false, &answer->views[answer->view_count++]);
    }
    journal_entry_done(&entry);
    return true;
}

static const struct gtrid *entry_id(const struct journal_entry *entry)
{
    return entry->commit.kind == RECORD_DROPPED ? &entry->commit.as.dropped.gtrid
                                                : &entry->commit.as.commit.gtrid;
}

static void entry_view(const struct journal_entry *entry, struct txn_view *ret_view)
{
    if (entry->commit.kind == RECORD_DROPPED) {
        coord_view_dropped(&entry->commit.as.dropped, false, ret_view);
    } else {
        coord_view_entry(entry, false, ret_view);
    }
}

/* Of the aborted only those that a person dropped are on record (P-1). */
static enum journal_lists list_of_records(const struct api_list *list)
{
    if (list->any_state) {
        return JOURNAL_LISTS_BOTH;
    }
    return list->state == TXN_ABORTED ? JOURNAL_LISTS_DROPPED : JOURNAL_LISTS_COMMITS;
}

/* Adds what only the journal remembers, older than before_number, until `wanted` are there. */
static bool list_from_journal(struct coordinator *coordinator, const struct api_list *list,
                              uint64_t before_number, size_t wanted, struct api_answer *answer,
                              struct error *ret_error)
{
    const char *participant = list->participant[0] == '\0' ? NULL : list->participant;
    if (list->key_bytes > 0) { /* a key has one decision at most: no need to look through all */
        return list_by_key(coordinator, list, before_number, answer, ret_error);
    }
    while (answer->view_count < wanted) {
        struct journal_entry *entries = NULL;
        size_t count = 0;
        if (!journal_list(coordinator->journal, list_of_records(list), before_number, participant,
                          200, &entries, &count, ret_error)) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            before_number = entries[i].commit_number;
            if (answer->view_count < wanted &&
                !coord_lists(coordinator->coord, entry_id(&entries[i])) &&
                entry_matches(&entries[i], list)) {
                entry_view(&entries[i], &answer->views[answer->view_count++]);
            }
            journal_entry_done(&entries[i]);
        }
        free(entries);
        if (count == 0) {
            return true;
        }
    }
    return true;
}

static bool list_is_only_in_memory(const struct api_list *list)
{
    return list->in_doubt || (!list->any_state && list->state != TXN_COMMITTED &&
                              list->state != TXN_HEURISTIC && list->state != TXN_ABORTED);
}

static void call_list(struct coordinator *coordinator, struct api_call *call)
{
    struct api_answer *answer = &call->answer;
    struct api_list list = call->list;
    size_t limit = list.limit;
    list.limit = limit + 1; /* one more tells whether a next page exists */
    uint64_t before_number = UINT64_MAX;
    struct error error;
    if (list.has_after && !coord_lists(coordinator->coord, &list.after)) {
        bool found = false;
        struct journal_entry entry;
        if (!find_by_id(coordinator, &list.after, &found, &entry, &error)) {
            answer_failed(answer, &error);
            return;
        }
        if (!found) {
            answer->status = API_OK; /* gone meanwhile: nothing comes after it */
            return;
        }
        before_number = entry.commit_number;
        journal_entry_done(&entry);
    }
    answer->status = API_OK;
    answer->view_count = coord_list(coordinator->coord, &list, &answer->views);
    if (!list_is_only_in_memory(&list) &&
        !list_from_journal(coordinator, &list, before_number, list.limit, answer, &error)) {
        answer_failed(answer, &error);
        return;
    }
    if (answer->view_count > limit) {
        txn_view_done(&answer->views[--answer->view_count]);
        answer->has_next = true;
    }
}

static void metric_add(struct api_answer *answer, const char *name, const char *type,
                       const char *help, const char *labels, double value)
{
    answer->metrics =
        alloc_resize(answer->metrics, answer->metric_count + 1, sizeof(answer->metrics[0]));
    struct metric *metric = &answer->metrics[answer->metric_count++];
    memset(metric, 0, sizeof(*metric));
    metric->name = name;
    metric->type = type;
    metric->help = help;
    metric->value = value;
    snprintf(metric->labels, sizeof(metric->labels), "%s", labels);
}

static void metrics_reasons(struct api_answer *answer, const char *name, const char *help,
                            const uint64_t counts[REASON_COUNT])
{
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        char labels[160];
        snprintf(labels, sizeof(labels), "reason=\"%s\"", reason_text((enum reason)reason));
        metric_add(answer, name, "counter", reason == REASON_NONE + 1 ? help : NULL, labels,
                   (double)counts[reason]);
    }
}

static void metrics_participants(const struct coordinator *coordinator, struct api_answer *answer)
{
    struct participant_view *views = NULL;
    size_t count = coord_participants(coordinator->coord, &views);
    static const char *const names[] = {"assent_participant_ready",
                                        "assent_participant_in_doubt",
                                        "assent_participant_prepared",
                                        "assent_participant_foreign_prepared",
                                        "assent_participant_misplaced_prepared",
                                        "assent_participant_oldest_prepared_seconds",
                                        "assent_participant_open_branches"};
    static const char *const helps[] = {
        "1 if work can be sent to the participant.",
        "Branches decided commit that the participant has not acknowledged.",
        "Prepared rows of this coordinator at the participant's last sweep.",
        "Prepared rows of Assent that no reachable coordinator answers for.",
        "Prepared rows of Assent in another database than their name says; no agent ends them.",
        "Age of the oldest prepared row of Assent.",
        "Branches of this coordinator's open interactive transactions; each holds a connection."};
    for (size_t m = 0; m < sizeof(names) / sizeof(names[0]); m++) {
        for (size_t i = 0; i < count; i++) {
            const double values[] = {views[i].ready ? 1 : 0,
                                     (double)views[i].in_doubt,
                                     (double)views[i].prepared_count,
                                     (double)views[i].foreign_count,
                                     (double)views[i].misplaced_count,
                                     (double)views[i].oldest_prepared_ms / 1000,
                                     (double)views[i].open};
            char labels[160];
            snprintf(labels, sizeof(labels), "participant=\"%s\"", views[i].name);
            metric_add(answer, names[m], "gauge", i == 0 ? helps[m] : NULL, labels, values[m]);
        }
    }
    free(views);
}

static void call_metrics(struct coordinator *coordinator, struct api_call *call)
{
    struct api_answer *answer = &call->answer;
    struct coord_counters c;
    struct journal_thread_counters j;
    coord_counters_read(coordinator->coord, &c);
    journal_thread_counters_read(coordinator->journal_thread, &j);
    const struct {
        const char *name, *type, *help;
        double value;
    } plain[] = {
        {"assent_transactions_submitted_total", "counter", "Transactions begun.",
         (double)c.submitted},
        {"assent_transactions_committed_total", "counter", "Transactions decided commit.",
         (double)c.committed},
        {"assent_transactions_replayed_total", "counter",
         "Requests answered from an earlier one with the same key.", (double)c.replayed},
        {"assent_key_conflicts_total", "counter", "Requests whose key was used with another body.",
         (double)c.key_conflicts},
        {"assent_heuristic_branches_total", "counter",
         "Branches found finished against the decision.", (double)c.heuristics},
        {"assent_hazard_branches_total", "counter", "Branches whose outcome nobody can tell.",
         (double)c.hazards},
        {"assent_resolved_total", "counter", "Branches that a person resolved.",
         (double)c.resolved},
        {"assent_inquiries_total", "counter", "Inquiries of agents.", (double)c.inquiries},
        {"assent_unknown_inquiries_total", "counter", "Inquiries that could not be judged.",
         (double)c.unknown_inquiries},
        {"assent_stale_messages_total", "counter", "Messages of ended sessions or transactions.",
         (double)c.stale_messages},
        {"assent_finishes_resent_total", "counter", "COMMITs told again.",
         (double)c.commits_resent},
        {"assent_transactions_live", "gauge", "Transactions not finished.", (double)c.live},
        {"assent_transactions_active", "gauge", "Transactions between work and decision.",
         (double)c.active},
        {"assent_transactions_open", "gauge",
         "Interactive transactions that take statements; interactive_max is the limit.",
         (double)c.open},
        {"assent_transactions_waiting", "gauge", "Transactions waiting for admission.",
         (double)c.queued},
        {"assent_branches_in_doubt", "gauge", "Branches decided commit and not acknowledged.",
         (double)c.in_doubt},
        {"assent_accepted_total", "counter", "Requests accepted to run later.", (double)c.accepted},
        {"assent_accepted_runs_repeated_total", "counter",
         "Runs of accepted requests that aborted and will be tried again.",
         (double)c.runs_repeated},
        {"assent_accepted_died_total", "counter",
         "Accepted requests that became dead: they cannot succeed.", (double)c.died},
        {"assent_accepted_requeued_total", "counter", "Dead requests put back into their queues.",
         (double)c.requeued},
        {"assent_accepted_dropped_total", "counter", "Accepted requests dropped by a person.",
         (double)c.dropped},
        {"assent_accepted_waiting", "gauge", "Accepted requests that wait or run.",
         (double)c.requests_waiting},
        {"assent_accepted_dead", "gauge", "Dead requests nobody has requeued or dropped.",
         (double)c.requests_dead},
        {"assent_accepted_bytes", "gauge", "Statements of accepted requests kept in memory.",
         (double)c.requests_bytes},
        {"assent_accepted_oldest_seconds", "gauge",
         "Age of the oldest accepted request that waits or runs.",
         (double)c.oldest_request_ms / 1000},
        {"assent_journal_batches_total", "counter", "Journal batches, one sync each.",
         (double)j.batches},
        {"assent_journal_records_total", "counter", "Journal records written.", (double)j.records},
        {"assent_journal_head", "gauge", "Number of the last durable record.",
         (double)c.head.number},
        {"assent_journal_first", "gauge", "Number of the first retained record.",
         (double)c.floor.first_number},
        {"assent_epoch", "gauge", "Epoch of this coordinator.", (double)c.epoch},
        {"assent_degraded", "gauge", "1 while only the journal's reserve is left.",
         c.degraded ? 1 : 0},
    };
    answer->status = API_OK;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        metric_add(answer, plain[i].name, plain[i].type, plain[i].help, "", plain[i].value);
    }
    metrics_reasons(answer, "assent_transactions_aborted_total", "Transactions aborted, by reason.",
                    c.aborted);
    metrics_reasons(answer, "assent_requests_refused_total",
                    "Requests refused before anything was done, by reason.", c.refused);
    metrics_participants(coordinator, answer);
}

static void call_ready(struct coordinator *coordinator, struct api_call *call)
{
    struct api_answer *answer = &call->answer;
    struct coord_counters counters;
    coord_counters_read(coordinator->coord, &counters);
    answer->status = API_REFUSED;
    answer->reason = REASON_SHUTDOWN;
    answer->retry_after_s = 1;
    if (!counters.running || counters.draining) {
        snprintf(answer->text, sizeof(answer->text), "%s",
                 counters.draining ? "shutting down" : "starting");
        return;
    }
    if (counters.degraded) {
        answer->reason = REASON_CAPACITY;
        snprintf(answer->text, sizeof(answer->text), "%s", "only the journal's reserve is left");
        return;
    }
    struct participant_view *views = NULL;
    size_t count = coord_participants(coordinator->coord, &views);
    answer->status = API_OK;
    for (size_t i = 0; i < count; i++) {
        if (!views[i].ready) {
            answer->status = API_REFUSED;
            answer->reason = REASON_PARTICIPANT_UNAVAILABLE;
            snprintf(answer->participant, sizeof(answer->participant), "%s", views[i].name);
            snprintf(answer->text, sizeof(answer->text), "%s", views[i].text);
            break;
        }
    }
    free(views);
}

/* P-16: what recovery read is told to nobody before this start's EPOCH is durable. */
static bool call_is_early(const struct coordinator *coordinator, struct api_call *call)
{
    struct coord_counters counters;
    coord_counters_read(coordinator->coord, &counters);
    if (counters.running || (call->operation != API_GET && call->operation != API_GET_BY_KEY &&
                             call->operation != API_LIST && call->operation != API_QUEUES)) {
        return false;
    }
    call->answer.status = API_REFUSED;
    call->answer.reason = REASON_SHUTDOWN;
    call->answer.retry_after_s = 1;
    snprintf(call->answer.text, sizeof(call->answer.text), "%s", "the coordinator is starting");
    return true;
}

void calls_answer(struct coordinator *coordinator, struct api_call *call)
{
    if (call_is_early(coordinator, call)) {
        call->done(call);
        return;
    }
    switch (call->operation) {
    case API_GET:
        call_get(coordinator, call);
        break;
    case API_GET_BY_KEY:
        call_get_by_key(coordinator, call);
        break;
    case API_LIST:
        call_list(coordinator, call);
        break;
    case API_PARTICIPANTS:
        call->answer.status = API_OK;
        call->answer.participant_count =
            coord_participants(coordinator->coord, &call->answer.participants);
        break;
    case API_QUEUES:
        call->answer.status = API_OK;
        call->answer.queue_count =
            coord_queues(coordinator->coord, &call->answer.queues, &call->answer.unqueued);
        break;
    case API_METRICS:
        call_metrics(coordinator, call);
        break;
    case API_READY:
        call_ready(coordinator, call);
        break;
    case API_SUBMIT:
    case API_RESOLVE: /* the core's */
    case API_OPEN:
    case API_STATEMENT:
    case API_CLOSE:
    case API_EXTERNAL:
    case API_REQUEST_ACT:
        call->answer.status = API_FAILED;
        break;
    }
    call->done(call);
}

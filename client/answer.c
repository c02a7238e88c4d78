/* answer.c - reading answers, lists and participants (assent.h). Values only. */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "common/alloc.h"
#include "common/version.h"

const char *assent_version(void)
{
    return ASSENT_VERSION;
}

const char *assent_error_text(int error)
{
    switch (error) {
    case ASSENT_OK:
        return "no error";
    case ASSENT_E_ARGUMENT:
        return "an argument is not valid";
    case ASSENT_E_LIMIT:
        return "more than the protocol can carry";
    case ASSENT_E_BUSY:
        return "too many requests in flight";
    case ASSENT_E_SYSTEM:
        return "out of file descriptors, threads or another resource of the system";
    default:
        return "unknown error";
    }
}

const char *assent_outcome_text(enum assent_outcome outcome)
{
    switch (outcome) {
    case ASSENT_COMMITTED:
        return "committed";
    case ASSENT_ABORTED:
        return "aborted";
    case ASSENT_UNKNOWN:
        return "unknown";
    case ASSENT_UNAVAILABLE:
        return "unavailable";
    case ASSENT_REFUSED:
        return "refused";
    case ASSENT_NOT_FOUND:
        return "not found";
    case ASSENT_HEURISTIC:
        return "heuristic";
    case ASSENT_ACTIVE:
        return "active";
    case ASSENT_ACCEPTED:
        return "accepted";
    case ASSENT_DEAD:
        return "dead";
    }
    return "?";
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

struct assent_answer *answer_new(enum assent_outcome outcome, const char *reason, const char *text)
{
    struct assent_answer *answer = alloc_zeroed(sizeof *answer);
    answer->outcome = outcome;
    answer->reason = alloc_string(reason);
    answer->text = alloc_string(text);
    answer->report.statement_index = -1;
    return answer;
}

void assent_answer_free(struct assent_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    free(answer->id);
    free(answer->state);
    free(answer->key);
    free(answer->gid);
    free(answer->queue);
    free(answer->waiting_for);
    free(answer->reason);
    free(answer->text);
    free(answer->participant);
    free(answer->sqlstate);
    pg_report_done(&answer->report);
    for (size_t i = 0; i < answer->branch_count; i++) {
        free(answer->branches[i].participant);
        free(answer->branches[i].state);
        results_done(&answer->branches[i].results);
    }
    free(answer->branches);
    results_done(&answer->results);
    free(answer);
}

enum assent_outcome assent_answer_outcome(const struct assent_answer *answer)
{
    return answer->outcome;
}

const char *assent_answer_id(const struct assent_answer *answer)
{
    return text_or_empty(answer->id);
}

const char *assent_answer_state(const struct assent_answer *answer)
{
    return text_or_empty(answer->state);
}

const char *assent_answer_key(const struct assent_answer *answer)
{
    return text_or_empty(answer->key);
}

const char *assent_answer_gid(const struct assent_answer *answer)
{
    return text_or_empty(answer->gid);
}

const char *assent_answer_queue(const struct assent_answer *answer)
{
    return text_or_empty(answer->queue);
}

uint32_t assent_answer_attempts(const struct assent_answer *answer)
{
    return answer->attempts;
}

const char *assent_answer_waiting_for(const struct assent_answer *answer)
{
    return text_or_empty(answer->waiting_for);
}

bool assent_answer_completed(const struct assent_answer *answer)
{
    return answer->completed && answer->outcome == ASSENT_COMMITTED;
}

bool assent_answer_replayed(const struct assent_answer *answer)
{
    return answer->replayed;
}

const char *assent_answer_reason(const struct assent_answer *answer)
{
    return text_or_empty(answer->reason);
}

bool assent_answer_retryable(const struct assent_answer *answer)
{
    return answer->retryable;
}

uint32_t assent_answer_retry_after_ms(const struct assent_answer *answer)
{
    return answer->retry_after_ms;
}

const char *assent_answer_text(const struct assent_answer *answer)
{
    if (answer->text != NULL) {
        return answer->text;
    }
    if (answer->report.message != NULL) {
        return answer->report.message;
    }
    return answer->reason != NULL && answer->reason[0] != 0 ? answer->reason
                                                            : assent_outcome_text(answer->outcome);
}

const char *assent_answer_participant(const struct assent_answer *answer)
{
    return text_or_empty(answer->participant);
}

const char *assent_answer_sqlstate(const struct assent_answer *answer)
{
    return text_or_empty(answer->sqlstate);
}

const char *assent_answer_postgresql(const struct assent_answer *answer, enum assent_field field)
{
    const struct pg_report *report = &answer->report;
    switch (field) {
    case ASSENT_FIELD_MESSAGE:
        /* Without an SQLSTATE the words are the agent's, and only assent_answer_text has them. */
        return assent_answer_sqlstate(answer)[0] != 0 ? text_or_empty(report->message) : "";
    case ASSENT_FIELD_DETAIL:
        return text_or_empty(report->detail);
    case ASSENT_FIELD_HINT:
        return text_or_empty(report->hint);
    case ASSENT_FIELD_CONSTRAINT:
        return text_or_empty(report->constraint);
    case ASSENT_FIELD_TABLE:
        return text_or_empty(report->table);
    case ASSENT_FIELD_COLUMN:
        return text_or_empty(report->column);
    }
    return "";
}

int assent_answer_statement(const struct assent_answer *answer)
{
    return answer->report.statement_index;
}

size_t assent_answer_branch_count(const struct assent_answer *answer)
{
    return answer->branch_count;
}

const char *assent_answer_branch_participant(const struct assent_answer *answer, size_t index)
{
    return index < answer->branch_count ? answer->branches[index].participant : "";
}

const char *assent_answer_branch_state(const struct assent_answer *answer, size_t index)
{
    return index < answer->branch_count ? answer->branches[index].state : "";
}

bool assent_answer_branch_pending(const struct assent_answer *answer, size_t index)
{
    return index < answer->branch_count && answer->branches[index].pending;
}

/* struct assent_result has no definition: its pointers are those of work.h's struct result. */
static const struct result *result_of(const struct assent_result *result)
{
    return (const struct result *)result;
}

const struct assent_result *assent_answer_result(const struct assent_answer *answer,
                                                 const char *participant, size_t statement)
{
    for (size_t i = 0; i < answer->branch_count && participant != NULL; i++) {
        const struct answer_branch *branch = &answer->branches[i];
        if (strcmp(branch->participant, participant) == 0 &&
            statement < branch->results.result_count) {
            return (const struct assent_result *)&branch->results.results[statement];
        }
    }
    return NULL;
}

const char *assent_result_command(const struct assent_result *result)
{
    return result != NULL ? text_or_empty(result_of(result)->command) : "";
}

int64_t assent_result_rows_affected(const struct assent_result *result)
{
    return result != NULL ? result_of(result)->rows_affected : 0;
}

size_t assent_result_column_count(const struct assent_result *result)
{
    return result != NULL ? result_of(result)->column_count : 0;
}

size_t assent_result_row_count(const struct assent_result *result)
{
    return result != NULL ? result_of(result)->row_count : 0;
}

const char *assent_result_column_name(const struct assent_result *result, size_t column)
{
    return column < assent_result_column_count(result)
               ? text_or_empty(result_of(result)->columns[column].name)
               : "";
}

const char *assent_result_column_type(const struct assent_result *result, size_t column)
{
    return column < assent_result_column_count(result)
               ? text_or_empty(result_of(result)->columns[column].type)
               : "";
}

uint32_t assent_result_column_oid(const struct assent_result *result, size_t column)
{
    return column < assent_result_column_count(result) ? result_of(result)->columns[column].oid : 0;
}

const char *assent_result_value(const struct assent_result *result, size_t row, size_t column)
{
    if (row >= assent_result_row_count(result) || column >= assent_result_column_count(result)) {
        return NULL;
    }
    return result_of(result)->values[row * result_of(result)->column_count + column];
}

void assent_list_free(struct assent_list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        assent_answer_free(list->answers[i]);
    }
    free(list->answers);
    free(list->next);
    free(list);
}

const char *assent_list_error(const struct assent_list *list)
{
    return list->error;
}

size_t assent_list_count(const struct assent_list *list)
{
    return list->count;
}

const struct assent_answer *assent_list_at(const struct assent_list *list, size_t index)
{
    return index < list->count ? list->answers[index] : NULL;
}

const char *assent_list_next(const struct assent_list *list)
{
    return list->next;
}

void assent_participants_free(struct assent_participants *participants)
{
    if (participants == NULL) {
        return;
    }
    for (size_t i = 0; i < participants->count; i++) {
        free(participants->items[i].name);
        free(participants->items[i].address);
        free(participants->items[i].text);
    }
    free(participants->items);
    free(participants);
}

const char *assent_participants_error(const struct assent_participants *participants)
{
    return participants->error;
}

size_t assent_participants_count(const struct assent_participants *participants)
{
    return participants->count;
}

const char *assent_participants_name(const struct assent_participants *participants, size_t index)
{
    return index < participants->count ? text_or_empty(participants->items[index].name) : "";
}

const char *assent_participants_address(const struct assent_participants *participants,
                                        size_t index)
{
    return index < participants->count ? text_or_empty(participants->items[index].address) : "";
}

bool assent_participants_ready(const struct assent_participants *participants, size_t index)
{
    return index < participants->count && participants->items[index].ready;
}

const char *assent_participants_text(const struct assent_participants *participants, size_t index)
{
    return index < participants->count ? text_or_empty(participants->items[index].text) : "";
}

/* core_ready.c - filling and emptying struct coord_ready: the only way out of the core. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/core_internal.h"

/* Makes room for one more and returns it zeroed. */
static void *ready_grow(void **items, size_t *count, size_t *capacity, size_t item_bytes)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? 8 : *capacity * 2;
        *items = alloc_resize(*items, *capacity, item_bytes);
    }
    void *item = (char *)*items + *count * item_bytes;
    memset(item, 0, item_bytes);
    (*count)++;
    return item;
}

struct message *ready_send(struct coord_ready *ready, uint64_t session, enum message_kind kind)
{
    void *items = ready->sends;
    struct coord_send *send =
        ready_grow(&items, &ready->send_count, &ready->send_capacity, sizeof(*send));
    ready->sends = items;
    send->session = session;
    send->message.kind = kind;
    return &send->message;
}

struct record *ready_append(struct coord *coord, struct coord_ready *ready, enum record_kind kind,
                            bool forced, uint64_t *ret_token)
{
    void *items = ready->appends;
    struct coord_append *append =
        ready_grow(&items, &ready->append_count, &ready->append_capacity, sizeof(*append));
    ready->appends = items;
    append->token = ++coord->next_token;
    append->forced = forced;
    append->record.kind = kind;
    if (ret_token != NULL) {
        *ret_token = append->token;
    }
    return &append->record;
}

struct api_answer *ready_answer(struct coord_ready *ready, uint64_t call, enum api_status status)
{
    void *items = ready->answers;
    struct coord_answer *answer =
        ready_grow(&items, &ready->answer_count, &ready->answer_capacity, sizeof(*answer));
    ready->answers = items;
    answer->call = call;
    answer->answer.status = status;
    return &answer->answer;
}

void ready_notice(struct coord_ready *ready, enum coord_notice_kind kind, const struct gtrid *gtrid,
                  const char *participant, const char *format, ...)
{
    void *items = ready->notices;
    struct coord_notice *notice =
        ready_grow(&items, &ready->notice_count, &ready->notice_capacity, sizeof(*notice));
    ready->notices = items;
    notice->kind = kind;
    if (gtrid != NULL) {
        notice->has_gtrid = true;
        notice->gtrid = *gtrid;
    }
    if (participant != NULL) {
        snprintf(notice->participant, sizeof(notice->participant), "%s", participant);
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(notice->detail, sizeof(notice->detail), format, arguments);
    va_end(arguments);
}

void ready_stop(struct coord_ready *ready, enum coord_stop stop, const char *format, ...)
{
    if (ready->stop != COORD_RUN) {
        return; /* the first reason is the one to tell */
    }
    ready->stop = stop;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ready->stop_text, sizeof(ready->stop_text), format, arguments);
    va_end(arguments);
}

void coord_ready_clear(struct coord_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        message_done(&ready->sends[i].message);
    }
    for (size_t i = 0; i < ready->append_count; i++) {
        record_done(&ready->appends[i].record);
    }
    for (size_t i = 0; i < ready->answer_count; i++) {
        struct api_answer *answer = &ready->answers[i].answer;
        for (size_t k = 0; k < answer->view_count; k++) {
            txn_view_done(&answer->views[k]);
        }
        free(answer->views);
        blob_free(answer->results);
    }
    ready->send_count = 0;
    ready->append_count = 0;
    ready->answer_count = 0;
    ready->notice_count = 0;
    ready->deadline_ms = UINT64_MAX;
    ready->trim = false;
    ready->stop = COORD_RUN;
    ready->stop_text[0] = '\0';
}

void coord_ready_done(struct coord_ready *ready)
{
    coord_ready_clear(ready);
    free(ready->sends);
    free(ready->appends);
    free(ready->answers);
    free(ready->notices);
    memset(ready, 0, sizeof(*ready));
}

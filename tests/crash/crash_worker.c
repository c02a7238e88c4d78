/*
 * crash_worker.c - one worker of the pool: a stack, and cells on it. See crash_pool.h.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/crash/crash_pool.h"
#include "tests/crash/crash_stage.h"

#define TAIL_BYTES ((size_t)8 * 1024) /* of each log */

struct worker {
    const struct crash_table *table;
    int socket;
    FILE *said;                                     /* standard output and error of this process */
    struct pgcluster *clusters[CRASH_PARTICIPANTS]; /* of a wired stack */
    struct stack *stack;
    struct crash_wire *wire;
    struct crash_ledger *ledger;
};

/* --- the stack -------------------------------------------------------------------------------- */

static void drop_stack(struct worker *worker)
{
    stack_free(worker->stack);
    crash_wire_free(worker->wire);
    crash_ledger_free(worker->ledger);
    worker->stack = NULL;
    worker->wire = NULL;
    worker->ledger = NULL;
    for (size_t i = 0; i < CRASH_PARTICIPANTS; i++) {
        pgcluster_free(worker->clusters[i]);
        worker->clusters[i] = NULL;
    }
}

/* The proxy reads what it carries over TCP; other stacks make clusters of their own. */
static bool make_clusters(struct worker *worker, struct error *ret_error)
{
    const struct pgcluster_options options = {.max_prepared_transactions = 64,
                                              .listens_on_tcp = true};
    for (size_t i = 0; i < CRASH_PARTICIPANTS; i++) {
        if (!pgcluster_new(&options, &worker->clusters[i], ret_error)) {
            return false;
        }
    }
    return true;
}

static bool make_stack(struct worker *worker, bool wired, struct error *ret_error)
{
    static const char *const names[CRASH_PARTICIPANTS] = {"order", "payment", "bonus"};
    /* Retention as short as it can be; the cell about trimming needs it. Everything else is as
     * shipped: the promise of ten seconds is about the defaults. */
    const struct stack_options options = {.participant_count = CRASH_PARTICIPANTS,
                                          .participants = names,
                                          .clusters = wired ? worker->clusters : NULL,
                                          .assentd_lines =
                                              "retention_hours = 1\ntrim_interval = 500ms\n"};
    worker->ledger = crash_ledger_new();
    if ((!wired || make_clusters(worker, ret_error)) &&
        stack_new(&options, &worker->stack, ret_error) &&
        checkout_setup(worker->stack, ret_error) &&
        (!wired || crash_wire_new(worker->stack, &worker->wire, ret_error)) &&
        stack_start(worker->stack, ret_error)) {
        return true;
    }
    drop_stack(worker);
    return error_wrap(ret_error, "making a stack");
}

/* --- logs ------------------------------------------------------------------------------------- */

struct logs {
    char *text;
    size_t length;
    off_t marks[CRASH_PARTICIPANTS + 1];
    long said_mark;
};

static struct stack_daemon *daemon_of(struct stack *stack, size_t index)
{
    return index == 0 ? stack_coordinator(stack) : stack_agent(stack, index - 1);
}

static void mark_logs(struct worker *worker, struct logs *logs)
{
    for (size_t i = 0; worker->stack != NULL && i <= CRASH_PARTICIPANTS; i++) {
        logs->marks[i] = stack_daemon_log_size(daemon_of(worker->stack, i));
    }
    (void)fflush(NULL);
    (void)fseek(worker->said, 0, SEEK_END);
    logs->said_mark = ftell(worker->said);
}

/* The end of a file from where the cell began. */
static void add_log(struct logs *logs, const char *name, FILE *file, off_t mark)
{
    if (file == NULL || fseeko(file, 0, SEEK_END) != 0) {
        return;
    }
    off_t size = ftello(file);
    if (size - mark > (off_t)TAIL_BYTES) {
        mark = size - (off_t)TAIL_BYTES;
    }
    if (size <= mark || fseeko(file, mark, SEEK_SET) != 0 ||
        logs->length + TAIL_BYTES + 64 > CRASH_LOGS_BYTES) {
        return;
    }
    logs->length += (size_t)snprintf(logs->text + logs->length, 64, "--- %.40s\n", name);
    logs->length += fread(logs->text + logs->length, 1, (size_t)(size - mark), file);
}

static void collect_logs(struct worker *worker, struct logs *logs)
{
    logs->text = alloc_zeroed(CRASH_LOGS_BYTES);
    for (size_t i = 0; worker->stack != NULL && i <= CRASH_PARTICIPANTS; i++) {
        const struct stack_daemon *daemon = daemon_of(worker->stack, i);
        FILE *file = fopen(stack_daemon_log_path(daemon), "re");
        add_log(logs, stack_daemon_name(daemon), file, logs->marks[i]);
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    (void)fflush(NULL);
    add_log(logs, "the runner", worker->said, logs->said_mark);
}

/* --- cells ------------------------------------------------------------------------------------ */

static void say(struct worker *worker, struct crash_message *message, const struct logs *logs)
{
    message->logs_bytes = (uint32_t)logs->length;
    struct iovec parts[2] = {{.iov_base = message, .iov_len = sizeof *message},
                             {.iov_base = logs->text, .iov_len = logs->length}};
    const struct msghdr packet = {.msg_iov = parts, .msg_iovlen = logs->length == 0 ? 1 : 2};
    CHECK(sendmsg(worker->socket, &packet, MSG_NOSIGNAL) ==
          (ssize_t)(sizeof *message + logs->length)); /* the parent is gone: so are we */
}

/* What was sold on the stack must still be there; then it goes. */
static void close_stack(struct worker *worker)
{
    struct error error = {0};
    struct logs logs = {0};
    struct crash_message message = {.beside = true};
    mark_logs(worker, &logs);
    if (worker->stack != NULL && (!crash_settle(worker->stack, &error) ||
                                  !crash_ledger_audit(worker->ledger, worker->stack, &error))) {
        (void)snprintf(message.error, sizeof message.error, "audit of all rows: %.400s",
                       error.text);
        collect_logs(worker, &logs);
        say(worker, &message, &logs);
    }
    drop_stack(worker);
    free(logs.text);
}

static void run_cell(struct worker *worker, uint32_t index)
{
    struct error error = {0};
    struct logs logs = {0};
    struct crash_message message = {.cell = index};
    struct crash_stage stage = {.cell = &worker->table->cells[index], .number = index + 1};
    const bool wired = crash_cell_is_wired(stage.cell);
    if (worker->stack != NULL && wired != (worker->wire != NULL)) {
        close_stack(worker);
    }
    const uint64_t begin_ms = clock_monotonic_ms();
    mark_logs(worker, &logs);
    message.green = worker->stack != NULL || make_stack(worker, wired, &error);
    stage.stack = worker->stack;
    stage.wire = worker->wire;
    stage.ledger = worker->ledger;
    message.green = message.green && crash_settle(worker->stack, &error) &&
                    crash_stage_init(&stage, &error) && crash_run(&stage, &error) &&
                    crash_judge(&stage, &error);
    if (!message.green) {
        (void)snprintf(message.error, sizeof message.error, "%s", error.text);
        if (worker->stack != NULL) {
            crash_kill_all(worker->stack); /* or its clients would wait for those who sleep */
        }
        collect_logs(worker, &logs);
    }
    crash_stage_done(&stage);
    if (!message.green) {
        drop_stack(worker);
    }
    message.heal_ms = stage.heal_ms;
    message.run_ms = clock_monotonic_ms() - begin_ms;
    say(worker, &message, &logs);
    free(logs.text);
}

void crash_worker_main(const struct crash_table *table, int socket)
{
    struct worker worker = {.table = table, .socket = socket, .said = tmpfile()};
    uint32_t cell = 0;
    CHECK(worker.said != NULL && dup2(fileno(worker.said), STDOUT_FILENO) >= 0 &&
          dup2(fileno(worker.said), STDERR_FILENO) >= 0);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    while (recv(socket, &cell, sizeof cell, 0) == (ssize_t)sizeof cell) {
        run_cell(&worker, cell);
    }
    close_stack(&worker);
    (void)fclose(worker.said);
}

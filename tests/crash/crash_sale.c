/*
 * crash_sale.c - the checkouts of a cell: their shape, their requests, over HTTP or through the
 * client library. See crash_stage.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/crash/crash_stage.h"

#define GATE         4711
#define LARGE_ANSWER 200000 /* two of them in a COMMIT record: the log grows quickly */

/* --- through the client library --------------------------------------------------------------- */

/* A process of its own, as a client is: libassent keeps a closed client's connection for the next
 * one, and would dial every later assentd of the stack. */
struct client_call {
    const struct stack *stack;
    const struct sale *sale;
    uint32_t timeout_ms;
    pid_t pid;
    int answer_fd;
};

struct client_word { /* what the process says in the end */
    enum told told;
    int status;
    char id[160];
};

static struct assent_request *client_request(const struct client_call *call)
{
    const struct sale *sale = call->sale;
    struct assent_request *request = assent_request_new();
    (void)assent_request_set_key(request, sale->key);
    (void)assent_request_set_timeout_ms(request, call->timeout_ms);
    const char *order = stack_participant(call->stack, CRASH_FIRST);
    (void)assent_request_add(request, order,
                             "INSERT INTO orders(id, customer, amount) VALUES ($1, $2, 12.50)",
                             ASSENT_PARAMS(sale->id, sale->account), 1);
    (void)assent_request_add(request, order,
                             "INSERT INTO order_lines(order_id, item) VALUES ($1, 'a book')",
                             ASSENT_PARAMS(sale->id), 1);
    for (size_t i = 1; i < stack_participant_count(call->stack); i++) {
        const char *payment = stack_participant(call->stack, i);
        (void)assent_request_add(request, payment,
                                 "UPDATE accounts SET balance = balance - 12.50 WHERE id = $1",
                                 ASSENT_PARAMS(sale->account), 1);
        (void)assent_request_add(
            request, payment,
            "INSERT INTO payments(order_id, account, amount) VALUES ($1, $2, 12.50)",
            ASSENT_PARAMS(sale->id, sale->account), 1);
    }
    return request;
}

static enum told told_of(enum assent_outcome outcome)
{
    switch (outcome) {
    case ASSENT_COMMITTED:
        return TOLD_COMMITTED;
    case ASSENT_ABORTED:
        return TOLD_ABORTED;
    case ASSENT_REFUSED:
        return TOLD_REFUSED;
    case ASSENT_HEURISTIC:
        return TOLD_HEURISTIC;
    case ASSENT_UNKNOWN:
    case ASSENT_UNAVAILABLE:
    case ASSENT_NOT_FOUND:
    case ASSENT_ACTIVE:   /* of interactive transactions */
    case ASSENT_ACCEPTED: /* of requests that are to run later */
    case ASSENT_DEAD:
        break;
    }
    return TOLD_NOTHING;
}

static void client_main(const struct client_call *call, int answer_fd)
{
    struct client_word word = {.told = TOLD_NOTHING};
    struct assent_client *client = NULL;
    if (assent_client_open(stack_client_address(call->stack), &client) == ASSENT_OK) {
        struct assent_request *request = client_request(call);
        struct assent_answer *answer = assent_submit(client, request);
        const char *id = assent_answer_id(answer);
        word.told = told_of(assent_answer_outcome(answer));
        word.status = assent_answer_retry_after_ms(answer) > 0 ? 503 : 0; /* come again */
        (void)snprintf(word.id, sizeof word.id, "%s", id == NULL ? "" : id);
        assent_answer_free(answer);
        assent_request_free(request);
    }
    ssize_t written = write(answer_fd, &word, sizeof word);
    _exit(written == (ssize_t)sizeof word ? 0 : 1);
}

/* Somebody sleeps, or something is late, until this has passed. */
static bool outlasts_deadline(const struct crash_cell *cell)
{
    return cell->action == ACTION_STOP || cell->action == ACTION_HOLD ||
           cell->action == ACTION_MUTE;
}

static struct client_call *client_begin(const struct crash_stage *stage, const struct sale *sale)
{
    int ends[2];
    const pid_t parent = getpid();
    struct client_call *call = alloc_zeroed(sizeof *call);
    call->stack = stage->stack;
    call->sale = sale;
    call->timeout_ms = outlasts_deadline(stage->cell) ? CRASH_SHORT_MS : CRASH_LONG_MS;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    call->pid = fork();
    CHECK(call->pid >= 0);
    if (call->pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        client_main(call, ends[1]);
    }
    (void)close(ends[1]);
    call->answer_fd = ends[0];
    return call;
}

static bool client_answered(const struct client_call *call)
{
    struct pollfd readable = {.fd = call->answer_fd, .events = POLLIN};
    return poll(&readable, 1, 0) > 0;
}

static void client_end(struct client_call *call, struct answer *ret_answer)
{
    struct client_word word = {.told = TOLD_NOTHING};
    pid_t waited;
    if (read(call->answer_fd, &word, sizeof word) != (ssize_t)sizeof word) {
        word = (struct client_word){.told = TOLD_NOTHING};
    }
    do {
        waited = waitpid(call->pid, NULL, 0);
    } while (waited < 0 && errno == EINTR);
    *ret_answer =
        (struct answer){.told = word.told, .status = word.status, .body = alloc_string("")};
    memcpy(ret_answer->id, word.id, sizeof ret_answer->id);
    (void)close(call->answer_fd);
    free(call);
}

/* --- the shape of a sale ---------------------------------------------------------------------- */

static struct checkout sale_shape(const struct crash_cell *cell)
{
    struct checkout shape = {0};
    memcpy(shape.parts, crash_flow_parts(cell->flow), CRASH_PARTICIPANTS * sizeof shape.parts[0]);
    shape.timeout_ms = outlasts_deadline(cell) ? CRASH_SHORT_MS : CRASH_LONG_MS;
    if (cell->prelude == PRELUDE_TWO_DECIDED || cell->prelude == PRELUDE_TWO_UNDECIDED) {
        shape.pay_after_ms = 500; /* both orders are prepared before the first payment is */
    }
    switch (cell->flow) {
    case FLOW_REFUSE:
        shape.gate = GATE;
        break;
    case FLOW_TIMEOUT:
        shape.pay_after_ms = 4 * CRASH_SHORT_MS;
        shape.first_to_wait = CRASH_LAST;
        shape.timeout_ms = CRASH_SHORT_MS; /* by then the others have prepared */
        break;
    case FLOW_DRAIN:
    case FLOW_RECONNECT:
    case FLOW_WAIT:
        shape.pay_after_ms = 800;
        break;
    case FLOW_PLAIN:
        shape.plain = true;
        break;
    case FLOW_SEVER:
        shape.plain = true;
        shape.pay_after_ms = 1000; /* half of the shorter deadline: asked again, it must commit */
        break;
    case FLOW_STALL:
        shape.timeout_ms = 800;
        break;
    case FLOW_BULK:
        shape.answer_bytes = LARGE_ANSWER;
        shape.timeout_ms = CRASH_LONG_MS;
        break;
    default:
        break;
    }
    return shape;
}

bool sale_make(struct crash_stage *stage, struct sale *sale, unsigned variant,
               struct error *ret_error)
{
    sale_done(sale);
    (void)snprintf(sale->id, sizeof sale->id, "cell-%u-%u", stage->number, variant);
    (void)snprintf(sale->key, sizeof sale->key, "key-%u-%u", stage->number, variant);
    (void)snprintf(sale->account, sizeof sale->account, "account-%u-%u", stage->number, variant);
    struct checkout checkout = sale_shape(stage->cell);
    checkout.id = sale->id;
    checkout.account = sale->account;
    sale->body = checkout_body(stage->stack, &checkout);
    return checkout_open_account(stage->stack, sale->account, CRASH_BALANCE, ret_error);
}

/* --- its requests ----------------------------------------------------------------------------- */

struct sale_call { /* one of the two */
    struct checkout_call *http;
    struct client_call *client;
};

static struct sale_call *call_begin(const struct crash_stage *stage, const struct sale *sale)
{
    struct sale_call *call = alloc_zeroed(sizeof *call);
    if (stage->cell->flow == FLOW_CLIENT) {
        call->client = client_begin(stage, sale);
    } else {
        call->http = checkout_begin(stage->stack, sale->key, sale->body);
    }
    return call;
}

static bool call_answered(const struct sale_call *call)
{
    return call->client != NULL ? client_answered(call->client) : checkout_answered(call->http);
}

static void call_end(struct sale_call *call, struct answer *ret_answer)
{
    if (call->client != NULL) {
        client_end(call->client, ret_answer);
    } else {
        checkout_end(call->http, ret_answer);
    }
    free(call);
}

static void begin_calls(struct crash_stage *stage, struct sale *sale)
{
    const size_t count = stage->cell->flow == FLOW_DUPLICATE ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        CHECK(sale->call_count + sale->answer_count < CRASH_CALLS);
        sale->calls[sale->call_count++] = call_begin(stage, sale);
    }
}

/* The others have prepared and the coordinator knows it (a row of pg_prepared_xacts is there before its vote is, and a
 * refusal that is quicker leaves that vote out), or what the cell waits for has happened before. */
static bool gate_may_open(void *user)
{
    struct crash_stage *stage = user;
    const struct crash_cell *cell = stage->cell;
    const struct sale *sale = &stage->sales[0];
    return sale_answered(sale) ||
           (cell->action <= ACTION_STOP && stack_daemon_fault_hits(stage->victim) >= cell->hit) ||
           checkout_votes_by_key(stage->stack, sale->key) >= CRASH_LAST;
}

/* "After the others have prepared" must not be a matter of a machine's speed: the branch that will
 * refuse waits at a lock. */
static void begin_at_gate(struct crash_stage *stage, struct sale *sale)
{
    char sql[96];
    struct error ignored; /* without the lock the branch does not wait, and the cell shows it */
    (void)snprintf(sql, sizeof sql, "SELECT pg_advisory_lock(%d)", GATE);
    (void)stack_sql(stage->stack, CRASH_LAST, sql, NULL, &ignored);
    begin_calls(stage, sale);
    (void)stack_poll(stage->victim, crash_patience(), gate_may_open, stage);
    (void)snprintf(sql, sizeof sql, "SELECT pg_advisory_unlock(%d)", GATE);
    (void)stack_sql(stage->stack, CRASH_LAST, sql, NULL, &ignored);
}

void sale_begin(struct crash_stage *stage, struct sale *sale)
{
    if (stage->cell->flow == FLOW_REFUSE) {
        begin_at_gate(stage, sale);
    } else {
        begin_calls(stage, sale);
    }
}

bool sale_answered(const struct sale *sale)
{
    for (size_t i = 0; i < sale->call_count; i++) {
        if (!call_answered(sale->calls[i])) {
            return false;
        }
    }
    return true;
}

void sale_end(struct sale *sale)
{
    for (size_t i = 0; i < sale->call_count; i++) {
        call_end(sale->calls[i], &sale->answers[sale->answer_count++]);
        sale->calls[i] = NULL;
    }
    sale->call_count = 0;
}

void sale_done(struct sale *sale)
{
    sale_end(sale);
    for (size_t i = 0; i < sale->answer_count; i++) {
        answer_done(&sale->answers[i]);
    }
    free(sale->body);
    *sale = (struct sale){0};
}

void sale_ask(const struct crash_stage *stage, const struct sale *sale, struct answer *ret_answer)
{
    call_end(call_begin(stage, sale), ret_answer);
}

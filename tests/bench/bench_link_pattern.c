/*
 * bench_link_pattern.c - which nng pattern should carry the links between assentd and its agents?
 *
 * Compares REQ/REP with contexts against a pair of PUSH/PULL sockets (one-way frames both ways)
 * over TCP loopback between two processes, and shows what either does when the other side dies.
 * The figures in docs/adr/0007-nng-pattern.md come from here. Speaks to nng directly on purpose: it
 * is the measurement that link.c was chosen by, and must not depend on it.
 *
 *   bench_link_pattern [rounds]      prints one line per pattern, messages in flight and batching
 *   bench_link_pattern death         prints what each pattern does when the server dies or stops
 *
 * The process re-executes itself as "client ..." and "server ...": nng must not be forked over.
 */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 400
#define CONTEXTS_MAX  32
#define SAMPLES_MAX   2000000
#define RUN_NS        1500000000ull

#define MUST(call)                                                                                 \
    do {                                                                                           \
        int must_result = (call);                                                                  \
        if (must_result != 0) {                                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, nng_strerror(must_result));         \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

struct plan {
    bool push;
    bool batch;
    int in_flight;
};

/* One REQ or REP context and the operation it is in. */
struct context {
    nng_ctx ctx;
    nng_aio *aio;
    bool receiving;
};

/* Everything one process has; which half is used depends on the pattern and the side. */
static struct side {
    struct plan plan;
    bool is_server;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    /* PUSH/PULL: what waits while a frame is on its way */
    nng_socket push;
    nng_socket pull;
    nng_aio *send_aio;
    nng_aio *receive_aio;
    bool sending;
    uint8_t waiting[CONTEXTS_MAX * MESSAGE_BYTES];
    size_t waiting_bytes;
    /* REQ/REP */
    nng_socket socket;
    struct context contexts[CONTEXTS_MAX];
    int context_count;
    /* client only */
    bool stopping;
    int outstanding;
    uint64_t frames;
    uint64_t sample_count;
    uint32_t *samples_ns;
    uint64_t noticed_ns; /* when the first sign of a dead server came */
    int noticed_result;
} side;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ull +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void stamp(uint8_t message[MESSAGE_BYTES])
{
    uint64_t now = now_ns();
    memset(message, 'm', MESSAGE_BYTES);
    memcpy(message, &now, sizeof now);
}

/* Takes the answers in a frame; writes as many new requests over it. Returns how many to send.
 * Caller holds the lock. */
static size_t client_turn(uint8_t *bytes, size_t size_bytes)
{
    uint64_t now = now_ns();
    size_t count = size_bytes / MESSAGE_BYTES;
    for (size_t i = 0; i < count; i++) {
        uint64_t sent;
        memcpy(&sent, bytes + i * MESSAGE_BYTES, sizeof sent);
        if (side.sample_count < SAMPLES_MAX) {
            side.samples_ns[side.sample_count++] = (uint32_t)(now - sent);
        }
    }
    side.frames++;
    if (side.stopping) {
        side.outstanding -= (int)count;
        if (side.outstanding == 0) {
            pthread_cond_signal(&side.idle);
        }
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        stamp(bytes + i * MESSAGE_BYTES);
    }
    return count;
}

/* ---- PUSH/PULL ---- */

static void push_flush(void)
{
    if (side.sending || side.waiting_bytes == 0) {
        return;
    }
    size_t size_bytes = side.plan.batch ? side.waiting_bytes : MESSAGE_BYTES;
    nng_msg *frame;
    MUST(nng_msg_alloc(&frame, 0));
    MUST(nng_msg_append(frame, side.waiting, size_bytes));
    side.waiting_bytes -= size_bytes;
    memmove(side.waiting, side.waiting + size_bytes, side.waiting_bytes);
    side.sending = true;
    nng_aio_set_msg(side.send_aio, frame);
    nng_send_aio(side.push, side.send_aio);
}

static void push_sent(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&side.lock);
    if (nng_aio_result(side.send_aio) != 0) {
        nng_msg_free(nng_aio_get_msg(side.send_aio));
    }
    side.sending = false;
    push_flush();
    pthread_mutex_unlock(&side.lock);
}

static void pull_received(void *unused)
{
    (void)unused;
    if (nng_aio_result(side.receive_aio) != 0) {
        return;
    }
    nng_msg *frame = nng_aio_get_msg(side.receive_aio);
    size_t size_bytes = nng_msg_len(frame);
    pthread_mutex_lock(&side.lock);
    if (side.is_server || client_turn(nng_msg_body(frame), size_bytes) > 0) {
        if (side.waiting_bytes + size_bytes <= sizeof side.waiting) {
            memcpy(side.waiting + side.waiting_bytes, nng_msg_body(frame), size_bytes);
            side.waiting_bytes += size_bytes;
        }
        push_flush();
    }
    pthread_mutex_unlock(&side.lock);
    nng_msg_free(frame);
    nng_recv_aio(side.pull, side.receive_aio);
}

static void pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *unused)
{
    (void)pipe;
    (void)event;
    (void)unused;
    pthread_mutex_lock(&side.lock);
    if (side.noticed_ns == 0) {
        side.noticed_ns = now_ns();
    }
    pthread_mutex_unlock(&side.lock);
}

static int push_listen(void)
{
    nng_listener listener;
    int port;
    MUST(nng_push0_open(&side.push));
    MUST(nng_pull0_open(&side.pull));
    MUST(nng_socket_set_size(side.pull, NNG_OPT_RECVMAXSZ, 1 << 20));
    MUST(nng_pipe_notify(side.push, NNG_PIPE_EV_REM_POST, pipe_gone, NULL));
    MUST(nng_pipe_notify(side.pull, NNG_PIPE_EV_REM_POST, pipe_gone, NULL));
    MUST(nng_aio_alloc(&side.send_aio, push_sent, NULL));
    MUST(nng_aio_alloc(&side.receive_aio, pull_received, NULL));
    MUST(nng_listen(side.pull, "tcp://127.0.0.1:0", &listener, 0));
    MUST(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
    nng_recv_aio(side.pull, side.receive_aio);
    return port;
}

/* ---- REQ/REP ---- */

static void reply_step(void *argument)
{
    struct context *context = argument;
    int result = nng_aio_result(context->aio);
    if (context->receiving) {
        if (result != 0) {
            return;
        }
        context->receiving = false;
        nng_ctx_send(context->ctx, context->aio); /* the request's message goes back as it is */
    } else {
        if (result != 0) {
            nng_msg_free(nng_aio_get_msg(context->aio));
        }
        context->receiving = true;
        nng_ctx_recv(context->ctx, context->aio);
    }
}

static void request_step(void *argument)
{
    struct context *context = argument;
    int result = nng_aio_result(context->aio);
    if (result != 0) {
        pthread_mutex_lock(&side.lock);
        if (side.noticed_ns == 0) {
            side.noticed_ns = now_ns();
            side.noticed_result = result;
        }
        pthread_mutex_unlock(&side.lock);
        return;
    }
    if (!context->receiving) {
        context->receiving = true;
        nng_ctx_recv(context->ctx, context->aio);
        return;
    }
    nng_msg *frame = nng_aio_get_msg(context->aio);
    pthread_mutex_lock(&side.lock);
    size_t count = client_turn(nng_msg_body(frame), nng_msg_len(frame));
    pthread_mutex_unlock(&side.lock);
    if (count == 0) {
        nng_msg_free(frame);
        return;
    }
    context->receiving = false;
    nng_aio_set_msg(context->aio, frame);
    nng_ctx_send(context->ctx, context->aio);
}

static void contexts_open(int count, void (*step)(void *))
{
    side.context_count = count;
    for (int i = 0; i < count; i++) {
        MUST(nng_ctx_open(&side.contexts[i].ctx, side.socket));
        MUST(nng_aio_alloc(&side.contexts[i].aio, step, &side.contexts[i]));
    }
}

static int reply_listen(void)
{
    nng_listener listener;
    int port;
    MUST(nng_rep0_open(&side.socket));
    contexts_open(CONTEXTS_MAX, reply_step);
    MUST(nng_listen(side.socket, "tcp://127.0.0.1:0", &listener, 0));
    MUST(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
    for (int i = 0; i < CONTEXTS_MAX; i++) {
        side.contexts[i].receiving = true;
        nng_ctx_recv(side.contexts[i].ctx, side.contexts[i].aio);
    }
    return port;
}

/* ---- the two processes ---- */

static void dial(nng_socket socket, int port)
{
    char address[64];
    snprintf(address, sizeof address, "tcp://127.0.0.1:%d", port);
    MUST(nng_dial(socket, address, NULL, 0));
}

/* Says its port on stdout, learns the client's on stdin, and says its CPU time when stdin ends. */
static int run_server(void)
{
    char line[64];
    side.is_server = true;
    printf("%d\n", side.plan.push ? push_listen() : reply_listen());
    fflush(stdout);
    if (side.plan.push && fgets(line, sizeof line, stdin) != NULL) {
        dial(side.push, atoi(line));
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("%llu\n", (unsigned long long)cpu_us());
        fflush(stdout);
    }
    _exit(0); /* never close a busy socket */
}

struct server {
    pid_t pid;
    FILE *to;
    FILE *from;
};

static struct server server_start(char *arguments[])
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) {
        _exit(1);
    }
    struct server server = {.pid = fork()};
    if (server.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        for (int i = 0; i < 2; i++) {
            close(to[i]);
            close(from[i]);
        }
        char word[] = "server";
        char *argv[] = {arguments[0], word, arguments[2], arguments[3], arguments[4], NULL};
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    close(to[0]);
    close(from[1]);
    server.to = fdopen(to[1], "w");
    server.from = fdopen(from[0], "r");
    return server;
}

static unsigned long long server_read(struct server *server)
{
    char line[64];
    if (fgets(line, sizeof line, server->from) == NULL) {
        return 0;
    }
    return strtoull(line, NULL, 10);
}

static unsigned long long server_cpu_us(struct server *server)
{
    fputs("cpu\n", server->to);
    fflush(server->to);
    return server_read(server);
}

static void client_connect(struct server *server)
{
    int own_port = 0;
    if (side.plan.push) {
        own_port = push_listen();
    } else {
        MUST(nng_req0_open(&side.socket));
        /* 0: a request whose server dies is not sent again behind our back */
        MUST(nng_socket_set_ms(side.socket, NNG_OPT_REQ_RESENDTIME, 0));
        contexts_open(side.plan.batch ? 4 : side.plan.in_flight, request_step);
    }
    int port = (int)server_read(server);
    dial(side.plan.push ? side.push : side.socket, port);
    fprintf(server->to, "%d\n", own_port);
    fflush(server->to);
}

static void client_begin(void)
{
    pthread_mutex_lock(&side.lock);
    side.outstanding = side.plan.in_flight;
    if (side.plan.push) {
        for (int i = 0; i < side.plan.in_flight; i++) {
            stamp(side.waiting + side.waiting_bytes);
            side.waiting_bytes += MESSAGE_BYTES;
        }
        push_flush();
    }
    pthread_mutex_unlock(&side.lock);
    for (int i = 0; i < side.context_count; i++) {
        nng_msg *frame;
        size_t per_frame = (size_t)(side.plan.in_flight / side.context_count);
        MUST(nng_msg_alloc(&frame, per_frame * MESSAGE_BYTES));
        for (size_t k = 0; k < per_frame; k++) {
            stamp((uint8_t *)nng_msg_body(frame) + k * MESSAGE_BYTES);
        }
        nng_aio_set_msg(side.contexts[i].aio, frame);
        nng_ctx_send(side.contexts[i].ctx, side.contexts[i].aio);
    }
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void pause_ns(uint64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / 1000000000ull),
                                .tv_nsec = (long)(duration_ns % 1000000000ull)};
    nanosleep(&duration, NULL);
}

static int run_client(char *arguments[])
{
    struct server server = server_start(arguments);
    client_connect(&server);
    client_begin();
    pause_ns(RUN_NS / 5); /* warm up */
    unsigned long long server_before = server_cpu_us(&server);
    pthread_mutex_lock(&side.lock);
    uint64_t cpu_before = cpu_us(), start = now_ns();
    side.sample_count = 0;
    side.frames = 0;
    pthread_mutex_unlock(&side.lock);
    pause_ns(RUN_NS);
    pthread_mutex_lock(&side.lock);
    uint64_t elapsed = now_ns() - start, count = side.sample_count, frames = side.frames;
    uint64_t cpu = cpu_us() - cpu_before;
    side.stopping = true;
    pthread_mutex_unlock(&side.lock);
    unsigned long long server_cpu = server_cpu_us(&server) - server_before;
    pthread_mutex_lock(&side.lock);
    while (side.outstanding > 0) {
        pthread_cond_wait(&side.idle, &side.lock);
    }
    qsort(side.samples_ns, count, sizeof *side.samples_ns, compare_samples);
    pthread_mutex_unlock(&side.lock);
    size_t median = (size_t)count / 2;
    size_t tail = (size_t)count - 1 - (size_t)count / 100;
    printf("%-9s %-6s %2d in flight: %8.0f/s  p50 %6.1f us  p99 %7.1f us  CPU %5.1f us/round trip  "
           "%4.1f messages/frame\n",
           side.plan.push ? "push/pull" : "req/rep", side.plan.batch ? "batch" : "single",
           side.plan.in_flight, (double)count * 1e9 / (double)elapsed,
           (double)side.samples_ns[median] / 1e3, (double)side.samples_ns[tail] / 1e3,
           (double)(cpu + server_cpu) / (double)count, (double)count / (double)frames);
    fflush(stdout);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    _exit(0);
}

/* The server is stopped (no FIN, no answers), later killed: what does the client notice, and when?
 */
static int run_death(char *arguments[])
{
    struct server server = server_start(arguments);
    client_connect(&server);
    client_begin();
    pause_ns(300000000ull);
    kill(server.pid, SIGSTOP);
    pause_ns(2000000000ull);
    pthread_mutex_lock(&side.lock);
    bool noticed_stop = side.noticed_ns != 0;
    pthread_mutex_unlock(&side.lock);
    uint64_t killed_ns = now_ns();
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    pause_ns(1000000000ull);
    pthread_mutex_lock(&side.lock);
    printf("%-9s stopped for 2 s: %s; killed: ", side.plan.push ? "push/pull" : "req/rep",
           noticed_stop ? "noticed" : "not noticed");
    if (side.noticed_ns >= killed_ns) {
        printf("noticed after %.1f ms (%s)", (double)(side.noticed_ns - killed_ns) / 1e6,
               side.plan.push ? "pipe event" : nng_strerror(side.noticed_result));
    } else {
        printf("not noticed within 1 s");
    }
    if (side.plan.push) {
        printf(", a frame still waits in the socket for the next connection: %s",
               side.sending ? "yes" : "no");
    }
    printf("\n");
    fflush(stdout);
    _exit(0);
}

static void run_child(char *program, const char *role, const char *push, const char *batch,
                      const char *in_flight)
{
    char copies[5][32];
    const char *words[5] = {program, role, push, batch, in_flight};
    char *argv[6] = {0};
    for (int i = 0; i < 5; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", words[i]);
        argv[i] = copies[i];
    }
    pid_t pid = fork();
    if (pid == 0) {
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

int main(int argc, char *argv[])
{
    pthread_mutex_init(&side.lock, NULL);
    pthread_cond_init(&side.idle, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 5) {
        side.plan = (struct plan){
            .push = atoi(argv[2]) != 0, .batch = atoi(argv[3]) != 0, .in_flight = atoi(argv[4])};
        side.samples_ns = calloc(SAMPLES_MAX, sizeof *side.samples_ns);
        if (strcmp(argv[1], "server") == 0) {
            return run_server();
        }
        return strcmp(argv[1], "death") == 0 ? run_death(argv) : run_client(argv);
    }
    char program[] = "bench";
    if (argc > 1 && strcmp(argv[1], "death") == 0) {
        run_child(program, "death", "0", "0", "32");
        run_child(program, "death", "1", "0", "32");
        return 0;
    }
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    for (int round = 0; round < rounds; round++) {
        run_child(program, "client", "0", "0", "1");
        run_child(program, "client", "1", "0", "1");
        run_child(program, "client", "0", "0", "32");
        run_child(program, "client", "1", "0", "32");
        run_child(program, "client", "0", "1", "32");
        run_child(program, "client", "1", "1", "32");
    }
    return 0;
}

/*
 * test_link_kit.c - see the header.
 */
#include "tests/lib/test.h"

#include "tests/unit/test_link_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/lib/process.h"

/* ---- what the link tells ---- */

static void record_up(void *user, const struct link_peer *peer)
{
    struct link_kit *kit = user;
    pthread_mutex_lock(&kit->lock);
    kit->out_of_order |= peer->session == 0 || peer->session <= kit->session;
    kit->ups++;
    kit->session = kit->in_session = peer->session;
    kit->peer = *peer;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void record_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    struct link_kit *kit = user;
    pthread_mutex_lock(&kit->lock);
    kit->out_of_order |= session != kit->in_session || count == 0;
    kit->batches++;
    if (kit->message_count + count > kit->message_capacity) {
        kit->message_capacity = 2 * (kit->message_count + count);
        kit->messages = alloc_resize(kit->messages, kit->message_capacity, sizeof *kit->messages);
    }
    memcpy(kit->messages + kit->message_count, messages, count * sizeof *messages);
    kit->message_count += count;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void record_down(void *user, uint64_t session)
{
    struct link_kit *kit = user;
    pthread_mutex_lock(&kit->lock);
    kit->out_of_order |= session != kit->in_session;
    kit->downs++;
    kit->in_session = 0;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void record_trouble(void *user, const char *participant, enum link_trouble trouble,
                           const char *text)
{
    struct link_kit *kit = user;
    (void)participant;
    pthread_mutex_lock(&kit->lock);
    kit->troubles[trouble]++;
    (void)snprintf(kit->trouble_text[trouble], sizeof kit->trouble_text[trouble], "%s", text);
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

/* ---- the ends ---- */

void link_kit_secret(const char *text, struct link_secret *ret_secret)
{
    *ret_secret = (struct link_secret){.size_bytes = strlen(text)};
    memcpy(ret_secret->bytes, text, ret_secret->size_bytes);
}

void link_kit_start(struct link_kit *kit, bool is_coordinator, uint16_t port,
                    const char *secret_text, uint32_t silence_ms, uint32_t frame_limit_bytes)
{
    char listen[64];
    char address[ADDRESS_SIZE];
    struct error error;
    pthread_condattr_t attributes;
    *kit = (struct link_kit){0};
    pthread_mutex_init(&kit->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&kit->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", (unsigned)port);
    struct link_options options = {
        .is_coordinator = is_coordinator,
        .listen = listen,
        .journal = {.bytes = {1, 2, 3, 4}},
        .participant = LINK_KIT_NAME,
        .silence_ms = silence_ms,
        .frame_limit_bytes = frame_limit_bytes,
        .callbacks = {.user = kit,
                      .on_up = record_up,
                      .on_messages = record_messages,
                      .on_down = record_down,
                      .on_trouble = record_trouble},
    };
    link_kit_secret(secret_text, &options.secret);
    if (!link_start(&options, &kit->link, &error)) {
        (void)fprintf(stderr, "link_start: %s\n", error.text);
        abort();
    }
    link_address(kit->link, address);
    kit->port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

void link_kit_stop(struct link_kit *kit)
{
    link_stop(kit->link, 1000);
    link_kit_forget_messages(kit);
    free(kit->messages);
    pthread_cond_destroy(&kit->changed);
    pthread_mutex_destroy(&kit->lock);
}

void link_kit_add(struct link_kit *coordinator, const char *participant, uint16_t port,
                  const char *secret_text)
{
    char address[64];
    struct link_secret secret;
    struct error error;
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    link_kit_secret(secret_text, &secret);
    if (!link_add_participant(coordinator->link, participant, address, &secret, &error)) {
        (void)fprintf(stderr, "link_add_participant: %s\n", error.text);
        abort();
    }
}

/* ---- waiting ---- */

struct wish {
    size_t ups;
    size_t downs;
    size_t messages;
    enum link_trouble trouble;
    size_t troubles;
    bool in_session;
    bool has_number;
    uint64_t number;
};

static bool has_number(const struct link_kit *kit, uint64_t number)
{
    for (size_t i = 0; i < kit->message_count; i++) {
        if (kit->messages[i].kind == MESSAGE_INQUIRY &&
            kit->messages[i].as.inquiry.prepared_ms == number) {
            return true;
        }
    }
    return false;
}

static bool fulfilled(const struct link_kit *kit, const struct wish *wish)
{
    return kit->ups >= wish->ups && kit->downs >= wish->downs &&
           kit->message_count >= wish->messages &&
           (wish->trouble == 0 || kit->troubles[wish->trouble] >= wish->troubles) &&
           (!wish->in_session || kit->in_session != 0) &&
           (!wish->has_number || has_number(kit, wish->number));
}

static bool wait_for(struct link_kit *kit, const struct wish *wish)
{
    struct timespec deadline;
    bool well = true;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += LINK_KIT_WAIT_MS / 1000;
    pthread_mutex_lock(&kit->lock);
    while (well && !fulfilled(kit, wish)) {
        well = pthread_cond_timedwait(&kit->changed, &kit->lock, &deadline) == 0;
    }
    pthread_mutex_unlock(&kit->lock);
    return well;
}

bool link_kit_wait_ups(struct link_kit *kit, size_t ups)
{
    return wait_for(kit, &(struct wish){.ups = ups});
}

bool link_kit_wait_downs(struct link_kit *kit, size_t downs)
{
    return wait_for(kit, &(struct wish){.downs = downs});
}

bool link_kit_wait_messages(struct link_kit *kit, size_t count)
{
    return wait_for(kit, &(struct wish){.messages = count});
}

bool link_kit_wait_trouble(struct link_kit *kit, enum link_trouble trouble, size_t count)
{
    return wait_for(kit, &(struct wish){.trouble = trouble, .troubles = count});
}

bool link_kit_wait_in_session(struct link_kit *kit)
{
    return wait_for(kit, &(struct wish){.in_session = true});
}

bool link_kit_wait_number(struct link_kit *kit, uint64_t number)
{
    return wait_for(kit, &(struct wish){.has_number = true, .number = number});
}

size_t link_kit_ups(struct link_kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    size_t ups = kit->ups;
    pthread_mutex_unlock(&kit->lock);
    return ups;
}

size_t link_kit_troubles(struct link_kit *kit, enum link_trouble trouble)
{
    pthread_mutex_lock(&kit->lock);
    size_t troubles = kit->troubles[trouble];
    pthread_mutex_unlock(&kit->lock);
    return troubles;
}

/* ---- messages ---- */

static uint64_t current_session(struct link_kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    uint64_t session = kit->in_session;
    pthread_mutex_unlock(&kit->lock);
    return session;
}

void link_kit_send_number(struct link_kit *kit, uint64_t number)
{
    struct message message = {
        .kind = MESSAGE_INQUIRY,
        .as.inquiry = {.gid = {.participant = LINK_KIT_NAME}, .prepared_ms = number}};
    link_send(kit->link, current_session(kit), &message, 1);
}

void link_kit_forget_messages(struct link_kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    for (size_t i = 0; i < kit->message_count; i++) {
        message_done(&kit->messages[i]);
    }
    kit->message_count = 0;
    kit->batches = 0;
    pthread_mutex_unlock(&kit->lock);
}

/* Takes all messages that there are, waiting for at least one. */
static struct message *take_messages(struct link_kit *kit, size_t *ret_count)
{
    pthread_mutex_lock(&kit->lock);
    while (kit->message_count == 0) {
        pthread_cond_wait(&kit->changed, &kit->lock);
    }
    struct message *messages = kit->messages;
    *ret_count = kit->message_count;
    kit->messages = NULL;
    kit->message_count = kit->message_capacity = 0;
    pthread_mutex_unlock(&kit->lock);
    return messages;
}

struct process *link_kit_echo_start(uint16_t port)
{
    char port_text[16];
    (void)snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    const char *const argv[] = {"/proc/self/exe", "echo", port_text, NULL};
    struct process_options options = {.argv = argv, .stderr_path = "/dev/stderr"};
    struct process *process;
    struct error error;
    assert_success(process_start(&options, &process, &error), &error);
    return process;
}

void link_kit_run_echo(int argc, char *argv[], const char *secret_text)
{
    if (argc != 3 || strcmp(argv[1], "echo") != 0) {
        return;
    }
    struct link_kit kit;
    link_kit_start(&kit, false, (uint16_t)strtoul(argv[2], NULL, 10), secret_text,
                   LINK_KIT_SILENCE_MS, 0);
    for (;;) { /* until killed */
        size_t count;
        struct message *messages = take_messages(&kit, &count);
        link_send(kit.link, current_session(&kit), messages, count);
        free(messages);
    }
}

void link_kit_assert_echo(struct link_kit *coordinator, uint64_t number)
{
    assert_true(link_kit_wait_in_session(coordinator));
    link_kit_send_number(coordinator, number);
    assert_true(link_kit_wait_number(coordinator, number));
}

uint16_t link_kit_free_port(void)
{
    uint16_t port;
    struct error error;
    assert_success(process_free_port(&port, &error), &error);
    return port;
}

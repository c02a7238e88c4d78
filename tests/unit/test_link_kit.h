/*
 * test_link_kit.h - one end of a link under test, with a record of everything it was told.
 */
#ifndef ASSENT_TESTS_UNIT_TEST_LINK_KIT_H
#define ASSENT_TESTS_UNIT_TEST_LINK_KIT_H

#include <pthread.h>

#include "common/link.h"

#define LINK_KIT_SILENCE_MS 1500
#define LINK_KIT_WAIT_MS    30000 /* deadline of every wait: far more than anything should take */
#define LINK_KIT_NAME       "stock"

struct process;

struct link_kit {
    struct link *link;
    uint16_t port;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* the record */
    size_t ups;
    size_t downs;
    uint64_t session;    /* of the last on_up */
    uint64_t in_session; /* the same, 0 after its on_down */
    struct link_peer peer;
    size_t batches;
    size_t message_count;
    size_t message_capacity;
    struct message *messages; /* owned */
    size_t troubles[8];       /* by enum link_trouble */
    char trouble_text[8][512];
    bool out_of_order; /* messages or down outside of a session */
};

/* Starts a coordinator's or an agent's end; port 0 takes a free one. secret_text at least 16
 * characters. Fails the test on error. */
void link_kit_start(struct link_kit *kit, bool is_coordinator, uint16_t port,
                    const char *secret_text, uint32_t silence_ms, uint32_t frame_limit_bytes);
void link_kit_stop(struct link_kit *kit);

void link_kit_secret(const char *text, struct link_secret *ret_secret);
void link_kit_add(struct link_kit *coordinator, const char *participant, uint16_t port,
                  const char *secret_text);

/* Each waits until the record says so and returns false at the deadline. */
bool link_kit_wait_ups(struct link_kit *kit, size_t ups);
bool link_kit_wait_downs(struct link_kit *kit, size_t downs);
bool link_kit_wait_messages(struct link_kit *kit, size_t count);
bool link_kit_wait_trouble(struct link_kit *kit, enum link_trouble trouble, size_t count);
bool link_kit_wait_in_session(struct link_kit *kit);

/* Counts, read under the lock. */
size_t link_kit_ups(struct link_kit *kit);
size_t link_kit_troubles(struct link_kit *kit, enum link_trouble trouble);

/* Sends one INQUIRY numbered `number` in the current session, if there is one. */
void link_kit_send_number(struct link_kit *kit, uint64_t number);
/* True if an INQUIRY of that number arrived before the deadline. */
bool link_kit_wait_number(struct link_kit *kit, uint64_t number);
/* Drops the messages recorded so far. */
void link_kit_forget_messages(struct link_kit *kit);

/* An agent in a process of its own that sends every message back: this program again, whose main calls link_kit_run_echo when
 * it is asked to. Stopped with process_free. */
struct process *link_kit_echo_start(uint16_t port);
/* Does not return if the arguments say that this is such an agent. */
void link_kit_run_echo(int argc, char *argv[], const char *secret_text);
/* Once there is a session, a message of this number goes there and comes back. */
void link_kit_assert_echo(struct link_kit *coordinator, uint64_t number);

uint16_t link_kit_free_port(void);

#endif

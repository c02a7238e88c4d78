/* crowd.c - threads that play customers, and numbers from a seed (kit.h). */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/kit/kit.h"

struct crowd {
    struct kit *kit;
    uint64_t count;
    atomic_uint_fast64_t next;
    void (*act)(struct kit *kit, uint64_t index, void *context);
    void *context;
    size_t thread_count;
    pthread_t threads[];
};

static void *crowd_main(void *argument)
{
    struct crowd *crowd = argument;
    for (uint64_t index = atomic_fetch_add(&crowd->next, 1); index < crowd->count;
         index = atomic_fetch_add(&crowd->next, 1)) {
        crowd->act(crowd->kit, index, crowd->context);
    }
    return NULL;
}

struct crowd *crowd_start(struct kit *kit, uint64_t count, uint64_t at_once,
                          void (*act)(struct kit *kit, uint64_t index, void *context),
                          void *context)
{
    const size_t thread_count = (size_t)(count < at_once ? count : at_once);
    struct crowd *crowd = calloc(1, sizeof *crowd + thread_count * sizeof(pthread_t));
    if (crowd == NULL) {
        abort();
    }
    *crowd = (struct crowd){.kit = kit, .count = count, .act = act, .context = context};
    for (; crowd->thread_count < thread_count; crowd->thread_count++) {
        const int failed =
            pthread_create(&crowd->threads[crowd->thread_count], NULL, crowd_main, crowd);
        if (failed != 0) {
            kit_give_up(kit, EX_OSERR, "fewer --at-once need fewer threads", "thread %zu: %s",
                        crowd->thread_count + 1, strerror(failed));
        }
    }
    return crowd;
}

void crowd_wait(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->thread_count; i++) {
        pthread_join(crowd->threads[i], NULL);
    }
    free(crowd);
}

void crowd_run(struct kit *kit, uint64_t count,
               void (*act)(struct kit *kit, uint64_t index, void *context), void *context)
{
    crowd_wait(crowd_start(kit, count, kit->options.at_once, act, context));
}

void crowd_await_turn(uint64_t begin_us, uint64_t index, uint64_t rate)
{
    const uint64_t due_us = rate > 0 ? begin_us + index * 1000000 / rate : 0;
    const uint64_t now_us = kit_now_us();
    if (now_us < due_us) {
        poll(NULL, 0, (int)((due_us - now_us + 999) / 1000));
    }
}

/* splitmix64 (Steele, Lea, Flood 2014) of seed, stream and index: no state, so threads need no order. */
uint64_t random_below(const struct kit *kit, uint64_t stream, uint64_t index, uint64_t below)
{
    uint64_t z = kit->options.seed + (stream + 1) * UINT64_C(0xd1b54a32d192ed03) +
                 (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

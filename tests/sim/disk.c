/*
 * disk.c - a coordinator's journal: its thread (journal_thread.c) and its disk.
 *
 * What is durable lies in a real memory journal (recovery/journal_memory.c): numbers, hash chain, state, trimming and
 * look-ups are the product's own. The model adds what a disk does to the batch that is being written: a sync takes time;
 * when the process or the machine dies under it, the whole batch is there afterwards or none of it; after a failed sync
 * either. A torn batch, of which only the first pages or records reached the platter, is not a third case here: a batch is
 * one SQLite transaction, its commit mark is in the last frame of the WAL, and each frame's checksum goes over all before it,
 * so a batch that lacks or has damaged any byte ends before its mark and was never written. That files are so is shown where
 * there are files: tests/spec/test_p16_journal_damage.c cuts and damages real ones at every place. A batch that
 * survived in the page cache alone is made durable by the next start, before anybody hears of it (P-16), or lost with
 * the machine.
 *
 * Two processes on one file, where the lock has failed, share the memory journal; what a handle of the real one remembers for
 * itself, the last record that it knows (sqlite_begin), is kept beside it.
 */
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

#define LAZY_MS 1000 /* JOURNAL_LAZY_MS of journal_thread.c */

static void batch_grow(struct sim_batch *batch, size_t count)
{
    if (batch->count + count > batch->capacity) {
        batch->capacity = (batch->count + count) * 2;
        batch->records = alloc_resize(batch->records, batch->capacity, sizeof(batch->records[0]));
    }
}

void batch_drop(struct sim_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        record_done(&batch->records[i]);
    }
    batch->count = 0;
    batch->is_forced = false;
}

static void batch_move(struct sim_batch *from, struct sim_batch *to)
{
    struct sim_batch empty = *to;
    batch_drop(to);
    empty.count = 0;
    *to = *from;
    empty.is_forced = false;
    *from = (struct sim_batch){.records = empty.records, .capacity = empty.capacity};
}

/* Has nobody else written since this process read the journal or wrote to it? Most of all between a start's reading and its
 * EPOCH: it would not know of what the other one decided, and could not be told. */
static bool thread_has_last_word(const struct sim_world *world, const struct sim_coord *coord)
{
    return world->disks[coord->disk].head_number == coord->thread.head_number;
}

/* The process or the sync fails under the batch that is being written. */
static bool batch_is_kept(struct sim_world *world, const struct sim_coord *coord)
{
    bool is_kept = fault_strikes(world, SIM_LOG_KEPT) || world->keeps_batch;
    return is_kept && thread_has_last_word(world, coord);
}

static struct sim_disk *its_disk(struct sim_world *world, const struct sim_coord *coord)
{
    return &world->disks[coord->disk];
}

uint32_t disk_new(struct sim_world *world, struct journal *journal, uint32_t identity)
{
    CHECK(world->disk_count < SIM_DISKS);
    world->disks[world->disk_count] = (struct sim_disk){
        .journal = journal, .identity = identity, .has_space = true, .copied_from = SIM_NOBODY};
    return world->disk_count++;
}

uint32_t disk_copy(struct sim_world *world, uint32_t disk)
{
    uint32_t copy = disk_new(world, journal_memory_copy(world->disks[disk].journal),
                             world->disks[disk].identity);
    world->disks[copy].copied_from = disk;
    return copy;
}

/* The batch is durable now. False: the journal refused it (somebody else owns it). */
static bool disk_write(struct sim_world *world, uint32_t disk, const struct sim_batch *batch,
                       struct journal_head *ret_head)
{
    struct error error;
    struct journal *journal = world->disks[disk].journal;
    if (!journal_append(journal, batch->epoch, batch->records, batch->count, ret_head, &error)) {
        if (error.kind != ERROR_LOCKED) {
            law_broken(world, "S1", "the journal refused a batch: %s", error.text);
        }
        journal_memory_reopen(&world->disks[disk].journal);
        return false;
    }
    world->disks[disk].head_number = ret_head->number;
    law_durable(world, disk, batch->records, batch->count, ret_head->number - batch->count + 1);
    return true;
}

static bool thread_write(struct sim_world *world, struct sim_coord *coord,
                         struct journal_head *ret_head)
{
    struct sim_thread *thread = &coord->thread;
    if (!thread_has_last_word(world, coord) ||
        !disk_write(world, coord->disk, &thread->writing, ret_head)) {
        return false;
    }
    thread->head_number = ret_head->number;
    return true;
}

bool disk_open(struct sim_world *world, struct sim_coord *coord)
{
    struct sim_disk *disk = its_disk(world, coord);
    struct journal_head head;
    if (disk->is_damaged) {
        return false;
    }
    if (disk->journal == NULL) {
        struct journal_options options = {.create = true};
        struct error error;
        disk->identity = world->identity_count++;
        uint64_t bits = sim_mix(world->options.seed, 1000 + disk->identity);
        memcpy(options.new_id.bytes, &bits, sizeof(bits));
        options.new_id.bytes[JOURNAL_ID_BYTES - 1] = (uint8_t)disk->identity;
        CHECK(journal_open_memory(&options, &disk->journal, &error));
    }
    if (disk->kept.count > 0) {
        (void)disk_write(world, coord->disk, &disk->kept, &head);
        batch_drop(&disk->kept);
    }
    journal_memory_reopen(&disk->journal);
    disk->head_number = journal_state(disk->journal)->head.number;
    coord->thread.head_number = disk->head_number;
    memset(&coord->thread.trim, 0, sizeof(coord->thread.trim));
    coord->thread.is_writing = false;
    coord->thread.has_failed = false;
    coord->thread.has_trim = false;
    coord->thread.had_space = true;
    if (!disk->has_space) {
        struct sim_event *event = queue_new(world, EVENT_COORD_SPACE);
        event->b = 0;
        world_post(world, world_coord_process((uint32_t)(coord - world->coords)), event, 1);
    }
    return true;
}

static void write_begin(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_thread *thread = &coord->thread;
    batch_move(&thread->waiting, &thread->writing);
    thread->is_writing = true;
    uint64_t sync_ms = sim_below(&world->disk_random, 4);
    if (fault_strikes(world, SIM_LOG_SLOW)) {
        sync_ms += fault_below(world, 5000);
    }
    thread->fails_next = fault_strikes(world, SIM_LOG_SYNC_FAILS);
    struct sim_event *event = queue_new(world, EVENT_SYNC);
    event->a = index;
    event->incarnation = coord->process.incarnation;
    event->number = ++thread->write_number;
    queue_push(world, event, world->now_ms + sync_ms);
}

static void trim_begin(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_thread *thread = &coord->thread;
    struct sim_disk *disk = its_disk(world, coord);
    struct journal_head head;
    struct journal_floor floor;
    struct error error;
    bool more = false;
    thread->has_trim = false;
    struct sim_event *event = queue_new(world, EVENT_COORD_TRIMMED);
    bool is_foreign = !thread_has_last_word(world, coord);
    if (is_foreign || !journal_trim(disk->journal, &thread->trim, &head, &floor, &more, &error)) {
        journal_memory_reopen(&disk->journal);
        thread->has_failed = true;
        event->kind = EVENT_COORD_FAILED;
        event->b = is_foreign || error.kind == ERROR_LOCKED;
        world_post(world, world_coord_process(index), event, 1);
        return;
    }
    disk->head_number = head.number;
    thread->head_number = head.number;
    event->head = head;
    event->floor = floor;
    event->b = more;
    world_post(world, world_coord_process(index), event, 1);
    (void)world_point(world, world_coord_process(index), FAULT_C_GC_MID);
}

/* What the thread does next when it is free. */
static void thread_go_on(struct sim_world *world, uint32_t index)
{
    struct sim_thread *thread = &world->coords[index].thread;
    if (thread->is_writing || thread->has_failed) {
        return;
    }
    if (thread->waiting.count > 0 &&
        (thread->waiting.is_forced || world->now_ms >= thread->waiting.due_ms)) {
        write_begin(world, index);
    } else if (thread->has_trim) {
        trim_begin(world, index);
    }
}

void disk_append(struct sim_world *world, uint32_t index, struct coord_ready *ready)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_batch *batch = &coord->thread.waiting;
    if (coord->thread.has_failed) {
        return; /* P-16: nothing is written on a handle that failed */
    }
    if (batch->count == 0) {
        batch->due_ms = world->now_ms + LAZY_MS;
        batch->is_forced = false;
    }
    batch_grow(batch, ready->append_count);
    for (size_t i = 0; i < ready->append_count; i++) {
        struct coord_append *append = &ready->appends[i];
        ARROW(world, LANE_COORD(index), LANE_JOURNAL(index), "%s",
              trace_record_words(&append->record, (char[TRACE_WORDS_SIZE]){0}));
        batch->records[batch->count++] = append->record;
        memset(&append->record, 0, sizeof(append->record));
        batch->is_forced = batch->is_forced || append->forced;
        batch->token = append->token;
    }
    batch->epoch = coord->epoch;
    if (!batch->is_forced && !coord->thread.is_writing) {
        struct sim_event *event = queue_new(world, EVENT_LAZY);
        event->a = index;
        event->incarnation = coord->process.incarnation;
        queue_push(world, event, batch->due_ms);
    }
    thread_go_on(world, index);
}

void disk_trim(struct sim_world *world, uint32_t index, const struct journal_trim *trim)
{
    struct sim_thread *thread = &world->coords[index].thread;
    thread->trim = *trim;
    thread->has_trim = true;
    thread_go_on(world, index);
}

void disk_lazy(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    const struct sim_process *process = &world->coords[index].process;
    if (process->is_alive && process->incarnation == event->incarnation) {
        thread_go_on(world, index);
    }
}

/* The lazy records that were added while a write was going on have no event of their own. */
static void lazy_again(struct sim_world *world, uint32_t index)
{
    const struct sim_coord *coord = &world->coords[index];
    if (coord->thread.waiting.count > 0 && !coord->thread.is_writing && !coord->thread.has_failed) {
        struct sim_event *event = queue_new(world, EVENT_LAZY);
        event->a = index;
        event->incarnation = coord->process.incarnation;
        queue_push(world, event, coord->thread.waiting.due_ms);
    }
}

static void sync_failed(struct sim_world *world, uint32_t index, bool is_foreign)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_event *event = queue_new(world, EVENT_COORD_FAILED);
    coord->thread.has_failed = true;
    event->b = is_foreign;
    TRACE(world, LANE_JOURNAL(index), is_foreign ? "fenced" : "sync failed");
    world_post(world, world_coord_process(index), event, sim_below(&world->disk_random, 4));
}

void disk_synced(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_thread *thread = &coord->thread;
    struct journal_head head;
    if (!coord->process.is_alive || coord->process.incarnation != event->incarnation ||
        !thread->is_writing || thread->write_number != event->number) {
        return;
    }
    thread->is_writing = false;
    if (thread->fails_next) {
        struct sim_disk *disk = its_disk(world, coord);
        if (batch_is_kept(world, coord)) {
            batch_move(&thread->writing, &disk->kept);
        } else {
            batch_drop(&thread->writing);
        }
        sync_failed(world, index, false);
        return;
    }
    uint64_t token = thread->writing.token;
    bool written = thread_write(world, coord, &head);
    batch_drop(&thread->writing);
    if (!written) {
        sync_failed(world, index, true);
        return;
    }
    TRACE(world, LANE_JOURNAL(index), "durable %llu", (unsigned long long)head.number);
    struct sim_event *durable = queue_new(world, EVENT_COORD_DURABLE);
    durable->number = token;
    durable->head = head;
    world_post(world, world_coord_process(index), durable, sim_below(&world->schedule, 2));
    if (world_point(world, world_coord_process(index), FAULT_C_CHECKPOINT_MID)) {
        return;
    }
    thread_go_on(world, index);
    lazy_again(world, index);
}

/* The process is gone. Its kernel may still have the batch that was being written; its own queue is lost. */
void disk_thread_die(struct sim_world *world, uint32_t index, bool with_machine)
{
    struct sim_coord *coord = &world->coords[index];
    struct sim_thread *thread = &coord->thread;
    struct sim_disk *disk = its_disk(world, coord);
    if (with_machine) {
        batch_drop(&disk->kept);
    }
    if (thread->is_writing && !disk->is_damaged && disk->kept.count == 0 &&
        batch_is_kept(world, coord)) {
        if (with_machine) { /* it was on the platter just before the end */
            struct journal_head head;
            (void)thread_write(world, coord, &head);
            batch_drop(&thread->writing);
        } else {
            batch_move(&thread->writing, &disk->kept);
        }
    }
    thread->is_writing = false;
    thread->has_trim = false;
    batch_drop(&thread->writing);
    batch_drop(&thread->waiting);
}

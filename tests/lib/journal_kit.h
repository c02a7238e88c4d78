/*
 * journal_kit.h - what the journal's tests share: a folder of their own and short ways to make records.
 */
#ifndef ASSENT_TESTS_LIB_JOURNAL_KIT_H
#define ASSENT_TESTS_LIB_JOURNAL_KIT_H

#include "recovery/journal.h"

#define KIT_EPOCH 1

struct journal_kit {
    char folder[64];
    char path[96]; /* folder/journal.db */
    struct journal_options options;
    struct journal *journal; /* NULL: closed */
    bool memory;
};

extern const struct journal_id kit_id;

void kit_init(struct journal_kit *kit, bool memory); /* makes the folder, opens nothing */
void kit_done(struct journal_kit *kit);              /* closes, removes the folder */
bool kit_open(struct journal_kit *kit, struct error *ret_error);
void kit_close(struct journal_kit *kit);
void kit_reopen(struct journal_kit *kit); /* as after a crash of the process; must succeed */
/* Opens a new journal and appends EPOCH 1 with participants order and payment. */
void kit_start(struct journal_kit *kit);

struct gtrid kit_gtrid(uint64_t epoch, uint64_t sequence);
struct record kit_epoch(uint64_t epoch, size_t count, const char *const *participants); /* owned */
/* Branches order and payment, a result in the first one; key may be NULL. Owned. */
struct record kit_commit(struct gtrid gtrid, const char *key);
struct record kit_end(struct gtrid gtrid, uint64_t running_ms);
struct record kit_heuristic(struct gtrid gtrid, const char *participant);
struct record kit_resolved(struct gtrid gtrid, const char *participant);
struct record kit_accept(struct gtrid gtrid, const char *key); /* owned */
struct record kit_refused(struct gtrid gtrid);
struct record kit_commit_of(struct gtrid gtrid, struct gtrid request, const char *key);
struct record kit_requeued(struct gtrid gtrid, uint64_t sequence);
struct record kit_dropped(struct gtrid gtrid, uint64_t running_ms);
struct record kit_release(const char *participant);

/* Appends one record, which it releases, in KIT_EPOCH; must succeed. Returns its number. */
uint64_t kit_append(struct journal_kit *kit, struct record record);
/* COMMIT and END of (KIT_EPOCH, sequence). */
void kit_finished(struct journal_kit *kit, uint64_t sequence, const char *key, uint64_t running_ms);
/* Trims with retention 0 and everything swept, slice by slice until nothing is due; returns the slices that moved. */
size_t kit_trim_all(struct journal_kit *kit, uint64_t now_running_ms, size_t slice_records);

/* The live records as text, "commit 1.7,end 1.7,heuristic 1.8/order"; owned by the caller. */
char *kit_live_text(struct journal_kit *kit);

/* Runs SQL on the closed journal's file, as an evil hand would; must succeed. */
void kit_sql(struct journal_kit *kit, const char *sql);

/* Removes every file of the folder; nothing is open. */
void kit_empty(const struct journal_kit *kit);
/* The files of the template in place of the kit's own, its log among them. */
void kit_copy(const struct journal_kit *kit, const struct journal_kit *template);

#endif

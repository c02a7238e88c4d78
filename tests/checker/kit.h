/*
 * kit.h - for the tests of the checker: writes a history into a temporary file, has it judged, and looks for
 * findings.
 *
 * In lines ' stands for ". Databases are a and b. Times are microseconds.
 */
#ifndef ASSENT_TESTS_CHECKER_KIT_H
#define ASSENT_TESTS_CHECKER_KIT_H

#include "tests/lib/test.h"

#include "tests/checker/report.h"

struct kit {
    char path[64];
    FILE *file;
    uint64_t lines;
    struct history history;
    struct report report;
    struct problem problem;
    bool judged;
};

#define APPEND(db_, k_, v_)      "{'f':'append','db':'" db_ "','k':'" k_ "','v':" #v_ "}"
#define READ(db_, k_, v_)        "{'f':'r','db':'" db_ "','k':'" k_ "','v':" v_ "}"
#define WRITE(db_, k_, v_)       "{'f':'w','db':'" db_ "','k':'" k_ "','v':" #v_ "}"
#define WRITE_N(db_, k_, v_, n_) "{'f':'w','db':'" db_ "','k':'" k_ "','v':" #v_ ",'n':" #n_ "}"
#define READ_N(db_, k_, v_, n_)  "{'f':'r','db':'" db_ "','k':'" k_ "','v':" #v_ ",'n':" #n_ "}"
#define ADD(db_, k_, v_, seq_)   "{'f':'add','db':'" db_ "','k':'" k_ "','v':" #v_ ",'seq':" #seq_ "}"
#define TOTAL(db_, v_)           "{'f':'total','db':'" db_ "','v':" #v_ "}"

/* Begins a history with its meta line. */
void kit_begin(struct kit *kit);
/* The same with further members ("" or "'heal_ms':5000,"). */
void kit_begin_with(struct kit *kit, const char *meta);

/* One more line. */
void kit_line(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An op without key: T<i>, with mode "L" or "S" and result "ok" ... */
void kit_op(struct kit *kit, int i, int t_inv, int t_ret, const char *mode, const char *result,
            const char *ops);

/* An op with key; extra is further members ("" or "'completed':true,"). */
void kit_keyed(struct kit *kit, int i, int t_inv, int t_ret, const char *key, const char *result,
               const char *extra, const char *ops);

/* Empty dumps of a and b, and a state: as if nothing were left. more_a and more_b are further members
 * ("" or "'lists':{},"). */
void kit_rest(struct kit *kit, const char *more_a, const char *more_b);

/* Writes `end`, reads and judges. Fails the test if the history is refused. */
void kit_judge(struct kit *kit);

/* How often this was found. */
uint64_t kit_count(const struct kit *kit, enum check check, const char *name);

/* Exactly one kind of finding was found in all, and this is it. */
void kit_only(const struct kit *kit, enum check check, const char *name);

/* A cycle of this class that leads over exactly these transactions, in this order from whichever
 * ("1 2 3"); allowed as said. */
void kit_cycle(const struct kit *kit, const char *class_name, const char *path, bool allowed);

/* No findings; all that could be checked was. */
void kit_passes(const struct kit *kit);

/* Ends with the file removed. */
void kit_done(struct kit *kit);

#endif

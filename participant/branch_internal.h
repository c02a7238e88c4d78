/*
 * branch_internal.h - the state behind branch.h, shared by the core's own files (branch*.c) and
 * nobody else.
 *
 *   branch.c         the step: dispatch, timers, drain, counters
 *   branch_ready.c   filling and emptying struct agent_ready
 *   branch_state.c   the one table of states, look-up, birth and end of a branch
 *   branch_work.c    WORK in, EXECUTE's result, votes (P-2, P-3, P-9, P-19, P-20)
 *   branch_interactive.c  STATEMENT and PREPARE in, ANSWER out (P-22)
 *   branch_external.c  VERIFY in (P-3, P-20)
 *   branch_finish.c  COMMIT, ROLLBACK, VERDICT in; FINISH, PROVE; acknowledgements (P-6, P-12)
 *   branch_erase.c   LOOK: late prepares, and ROLLBACK without a gid (P-9, P-11)
 *   branch_peer.c    coordinators: witness, claim, fencing, heads, health (P-10, P-14)
 *   branch_audit.c   AUDIT: what had acknowledged, is it still there? (P-14)
 *   branch_compare.c outcomes that an earlier process left: did their coordinator decide so? (P-12)
 *   branch_sweep.c   the endless scan and the inquiries (P-6, P-8, P-11, P-13)
 *
 * STATES OF A BRANCH (one gid; the only setter is agent_branch_move in branch_state.c; below,
 * roll_back, branch_finish and branch_end stand for agent_branch_roll_back and so on)
 *
 *   WORK                          SCAN or LOOK found it        a word about a gid unknown here
 *    |                                      |                             |
 *    v                                      v                             |
 *   EXECUTING --yes--> PREPARED --void--> DOUBTFUL <--WAIT--------+       |
 *    |  |  |              |                 |  |  --UNKNOWN--> UNOWNED    |
 *    |  |  +-doubt-+      +--- the word ----+--|------------------+       |
 *    |  |          v                        |  | found            |       |
 *    |  |      LOOKING <--> UNSURE          |  |                  v       v
 *    |  |       |  |  |                     |  |          +-> FINISHING <--+
 *    |  |       |  |  +---- no word yet ----|--+          |    |  |  |
 *    |  v       |  +------- the word -------|-------------|--->|  |  +--not there--> PROVING
 *    | CANCELLING ---- prepared ------------|-------------|--->|  |                  |    |
 *    |  |       |                           |          PAUSED <---+-- try again -----+    |
 *    v  v       v                           v                  |                          |
 *   DONE <----- nothing is prepared --------(row gone: freed)--+--------------------------+
 *    ^-- NOTED -- TELLING <---- contrary to the word to roll back -+
 *
 *   STATEMENT 1                                     An interactive branch begins so (P-22). Before PREPARE nothing
 *    |                                              can be prepared: whatever goes wrong ends it without a LOOK.
 *    v            answered                          After PREPARE everything above may follow.
 *   ANSWERING <------------> OPEN --PREPARE--> EXECUTING
 *    |   |     STATEMENT n    |
 *    |   +---> CLOSING <------+   told to roll back, the deadline, its session ended, drain
 *    v            v
 *   DONE <--------+
 *
 *   VERIFY                                          A branch that the application prepares (docs/adr/0016). The
 *    |                                              scan may have found it before, as DOUBTFUL.
 *    v
 *   VERIFYING --yes--> PREPARED
 *    |     +--no, doubt--> DOUBTFUL
 *    +-- a word came meanwhile --> FINISHING
 *
 *   state       true in it                                   durable               entered in
 *   EXECUTING   a worker runs it; may prepare any moment     perhaps the row       work_execute
 *   CANCELLING  the same, and it was told to roll back, or   perhaps the row       roll_back
 *               its session was over before it had voted
 *   ANSWERING   a statement of it runs                       nothing               statement_run
 *   OPEN        its transaction is open, nothing runs        nothing               agent_answered
 *   CLOSING     it will be rolled back: a statement is       nothing               branch_close
 *               being cancelled, or CLOSE runs
 *   LOOKING     EXECUTE ended in doubt; LOOK is running      perhaps the row       branch_doubt
 *   UNSURE      LOOK failed; it will be tried again          perhaps the row       agent_looked
 *   VERIFYING   VERIFY runs; no vote of this process yet     perhaps the row       verify_run
 *   PREPARED    this process voted yes (P-3); it asks (P-6)  the row               branch_vote_yes
 *   DOUBTFUL    prepared, or over by somebody else's hand;   the row, or the end   scan, P-14,
 *               no valid yes of this process. External: or                         row_compare,
 *               not prepared yet                                                   verified_no
 *   UNOWNED     prepared; its coordinator answered UNKNOWN   the row               agent_verdict
 *   FINISHING   the coordinator's word is carried out        the row, or the end   branch_finish
 *   PROVING     FINISH or LOOK found nothing: what became    unknown               agent_branch_
 *               of it?                                                             prove
 *   PAUSED      FINISH must be tried again at the timer      unknown               agent_finished
 *   TELLING     rolled back by word, and it is not: told     the outcome, if any   branch_end
 *               until its coordinator has it on record (H1)
 *   DONE        over; kept a while to answer repetitions     the outcome           branch_end
 *
 * If the process dies in any state, the row (if there is one) is all that stays; the next process
 * finds it with the scan as DOUBTFUL, votes it UNKNOWN and asks. Nothing here is needed for safety
 * after a crash.
 */
#ifndef ASSENT_PARTICIPANT_BRANCH_INTERNAL_H
#define ASSENT_PARTICIPANT_BRANCH_INTERNAL_H

#include <sys/queue.h>

#include "common/heap.h"
#include "common/map.h"
#include "participant/branch.h"

/* Bounds and paces that nobody needs to configure. */
#define BRANCH_LIVE_MAX        100000 /* branches not DONE; more WORK is refused, other requests wait */
#define BRANCH_STRANDED_MAX    10000 /* without a row, and without a coordinator to ask about them */
#define BRANCH_DONE_MAX        4096  /* remembered answers */
#define PEER_MAX               256
#define JOURNAL_MAX            256
#define HEAD_STORE_MS          1000  /* P-10: at most once a second */
#define ROTATE_MS              10000 /* between two ROTATEs */
#define UNOWNED_ASK_MS         60000 /* an UNKNOWN may turn after an operator's work */
#define OTHERS_TELL_MS         5000  /* those of a process that has just ended go by themselves */
#define OTHERS_GRACE_MS        30000 /* an earlier process may still drain; then its backends are ended */
#define UNKNOWN_OWNER_GRACE_MS 10000 /* a coordinator that restarts is no alarm yet */

enum branch_state {
    BRANCH_NEW = 0,
    BRANCH_EXECUTING,
    BRANCH_CANCELLING,
    BRANCH_LOOKING,
    BRANCH_UNSURE,
    BRANCH_PREPARED,
    BRANCH_DOUBTFUL,
    BRANCH_UNOWNED,
    BRANCH_FINISHING,
    BRANCH_PROVING,
    BRANCH_PAUSED,
    BRANCH_TELLING,
    BRANCH_DONE,
    BRANCH_ANSWERING,
    BRANCH_OPEN,
    BRANCH_CLOSING,
    BRANCH_VERIFYING,
    BRANCH_STATE_COUNT,
};

/* What the coordinator said about a gid. The first word stays: a second, contrary one is a fault of
 * its. */
enum branch_word { WORD_NONE = 0, WORD_COMMIT, WORD_ROLLBACK };

enum agent_owner { OWNER_BRANCH = 1, OWNER_ERASE, OWNER_PEER };

struct agent_timer {
    struct heap_node node; /* first: a node is its timer */
    enum agent_owner owner;
};

/* A command in flight for a branch or an erasure; id 0: none. */
struct agent_pending {
    uint64_t id;
    uint64_t history; /* agent->history when it was issued: a later one makes its result a doubt
                         (P-14) */
    enum agent_owner owner;
};

struct agent_branch {
    struct agent_timer timer; /* first: see agent_timer_owner */
    struct agent_pending pending;
    TAILQ_ENTRY(agent_branch) list;     /* agent->live or agent->done */
    TAILQ_ENTRY(agent_branch) siblings; /* same gtrid */
    struct agent_txn *txn;
    struct gid gid;
    enum branch_state state;
    enum branch_word word;
    bool asked_by_gid;  /* an ACK that names the gid is owed */
    bool read_only;     /* ends by ROLLBACK: declared, and not serializable (P-19) */
    bool proves_commit; /* PROVING: what was asked for */
    bool certain; /* no backend can still prepare it: its EXECUTE ended for sure, or was fenced */
    bool noticed_owner;   /* UNKNOWN_OWNER was told */
    uint64_t session;     /* WORK came on it: the only one that gets the vote (P-7) */
    uint64_t since_step;  /* when the present state was entered, in steps */
    uint64_t found_ms;    /* when this process first knew of it */
    uint64_t prepared_ms; /* since when it is prepared (may be before this process began: then 0) */
    uint64_t seen_scan;   /* last scan that saw the row */
    uint64_t sweep_mark;  /* counted in its journal's open sweep (P-13) */
    bool is_late;         /* its row came after its abort was told: counted in late_open */
    uint64_t
        compare_mark; /* DOUBTFUL because of its outcome row: counted in its journal's open page */
    uint32_t tries;   /* of what the timer repeats */
    /* Interactive, else 0: of the statement that came last, and when it all must be over (never later than told first). */
    uint64_t ordinal;
    uint64_t deadline_ms;
    enum isolation isolation;
    bool is_declared_read_only; /* whatever the isolation */
    char owner[OWNER_SIZE];     /* external, PREPARED: who prepared it */
    bool is_refused;            /* FINISH was refused for want of a right: told in HEALTH */
    struct proof proof;
    enum vote vote;       /* 0: none given */
    struct blob *results; /* of the yes; OPEN: of the last statement, for its repetition */
    struct failure failure;
    enum ack ack; /* DONE */
};

TAILQ_HEAD(agent_branch_list, agent_branch);

/* ROLLBACK without a gid (P-9, P-11): every attempt of one gtrid goes, then one ACK with attempt 0.
 */
enum erase_state {
    ERASE_LOOKING = 1, /* LOOK is running */
    ERASE_PAUSED,      /* LOOK failed; again at the timer */
    ERASE_ENDING,      /* what there is of it is known here and being rolled back */
};

struct agent_erase {
    struct agent_timer timer; /* first */
    struct agent_pending pending;
    TAILQ_ENTRY(agent_erase) list;
    struct agent_txn *txn;
    enum erase_state state;
    uint32_t tries;
    enum ack ack; /* the worst that a branch of it came to */
};

TAILQ_HEAD(agent_erase_list, agent_erase);

/* One gtrid as this participant sees it. Lives while it has a branch or an erasure. */
struct agent_txn {
    struct gtrid gtrid;
    struct agent_branch_list branches;
    struct agent_erase *erase; /* NULL: none */
};

/* An abort that may overtake its WORK (P-9). */
struct agent_tombstone {
    struct gtrid gtrid;
    TAILQ_ENTRY(agent_tombstone) list; /* oldest first */
};

TAILQ_HEAD(agent_tombstone_list, agent_tombstone);

/* What this process knows of one coordinator's journal. */
struct agent_journal {
    struct journal_id id;
    struct witness witness; /* what the database holds, plus newer head and floor */
    uint64_t claimed_epoch; /* the highest claim seen, stored or not */
    uint64_t claimed_nonce;
    uint64_t session;  /* the welcomed one; 0: none */
    bool is_dirty;     /* head or floor is newer than the database's copy */
    uint64_t store_id; /* STORE_WITNESS in flight; 0: none */
    uint64_t store_history;
    uint64_t store_due_ms; /* the next one not before */
    struct witness storing;
    /* The open sweep (P-13): everything that was live when a scan ended; when the last of these is
     * resolved, every prepared row older than sweep_head is gone. */
    uint64_t scan_head;  /* head known when the present scan was issued */
    uint64_t sweep_mark; /* 0: none open */
    uint64_t sweep_head;
    size_t sweep_open;
    uint64_t swept_number;
    uint64_t sweep_xid; /* every lower transaction id had ended when it was opened */
    uint32_t sweep_timeline;
    /* The comparison of the outcomes that this process did not make (P-12). */
    bool is_compared;
    uint64_t compare_id; /* OUTCOMES in flight; 0: none */
    uint64_t compare_history;
    uint64_t compare_due_ms;
    uint64_t compare_mark; /* of the open page; 0: none */
    size_t compare_open;   /* of it not agreed upon yet */
    uint64_t compare_xid;  /* the last one of the page before */
    uint64_t compare_last_xid;
    bool compare_is_last;
    uint32_t compare_tries;
};

/* One coordinator's session. Moved only in peer_move (branch_peer.c), which draws the states. */
enum peer_state {
    PEER_UNLOADED = 1,
    PEER_LOADING,
    PEER_WITNESSED,
    PEER_CLAIMED,
    PEER_STORING,
    PEER_WELCOMED,
    PEER_FENCED,
    PEER_STATE_COUNT,
};

struct agent_peer {
    struct agent_timer timer; /* first */
    uint64_t session;
    struct agent_journal *journal;
    enum peer_state state;
    uint64_t load_id; /* LOAD_WITNESS in flight */
    uint64_t load_history;
    uint32_t tries;
    struct message_claim claim;
    uint64_t known_number; /* the highest head that it was told here, or told us */
    uint64_t stored_lsn;   /* the database's position when the claim was stored (P-14) */
    uint64_t audit_id;     /* AUDIT in flight; 0: none */
    uint64_t audit_serial, audit_history;
};

struct agent {
    struct agent_config config;
    uint64_t now_ms;
    uint64_t random;
    uint64_t step;
    uint64_t next_command_id;
    uint64_t history; /* counts changes of history (P-14) */
    bool is_draining;
    bool is_reconciling; /* history changed, not yet scanned: no new work (P-14) */
    bool has_status;
    struct database_status status;
    bool health_due;           /* tell every coordinator at the end of this step */
    struct agent_ready *ready; /* only inside a step */

    struct map txns;     /* struct agent_txn by gtrid */
    struct map commands; /* struct agent_pending by id */
    struct map tombstones;
    struct agent_tombstone_list tombstone_list;
    struct heap timers;
    struct agent_branch_list live, done;
    struct agent_erase_list erases;
    size_t live_count, done_count, erase_count, tombstone_count;
    size_t state_count[BRANCH_STATE_COUNT];
    size_t interactive_count; /* branches that hold a connection of their own */

    size_t peer_count, journal_count;
    struct agent_peer *peers[PEER_MAX];
    struct agent_journal *journals[JOURNAL_MAX];

    /* Earlier incarnations of the agent: a fence of theirs (any LOOK) and a complete scan begun
     * after it make sure that this process knows every gid they left (P-11). */
    bool has_fenced;
    bool is_settled;
    bool others_told;
    uint64_t others_since_ms; /* a scan found backends of theirs; 0: none did */

    uint64_t scan_id; /* in flight; 0: none */
    uint64_t scan_history, scan_step, scan_number;
    bool scan_after_fence;
    bool scan_again;
    uint64_t scan_due_ms, heartbeat_due_ms, rotate_due_ms;
    uint64_t rotate_id;
    bool rotate_wanted;
    uint32_t prepared_count, foreign_count, misplaced_count;
    struct gid misplaced_told;           /* the newest of them that was told of */
    uint64_t oldest_prepared_ms;         /* age at the last scan */
    size_t late_open;                    /* rows that no sweep has waited for (is_late) */
    size_t refused_count;                /* branches that this role may not finish (is_refused) */
    char refused_text[HEALTH_TEXT_SIZE]; /* of the last of them */

    struct agent_counters counters;
};

/* branch_ready.c */
struct message *agent_send(struct agent *agent, uint64_t session,
                           enum message_kind kind);                         /* lent */
struct command *agent_command(struct agent *agent, enum command_kind kind); /* lent */
void agent_notice(struct agent *agent, enum agent_notice_kind kind, const struct gid *gid,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void agent_text_copy(char *to, size_t size_bytes, const char *from);

/* branch.c */
uint64_t agent_random(struct agent *agent);
uint64_t agent_backoff(struct agent *agent, uint32_t tries, uint32_t min_ms, uint32_t max_ms);
void agent_timer_init(struct agent_timer *timer, enum agent_owner owner);
void agent_timer_set(struct agent *agent, struct agent_timer *timer, uint64_t due_ms);
/* Issues a command on behalf of a branch or an erasure; its result comes back to it. Lent. */
struct command *agent_command_for(struct agent *agent, struct agent_pending *pending,
                                  enum command_kind kind);
bool agent_database_up(const struct agent *agent);

/* branch_state.c */
struct agent_txn *agent_txn_find(struct agent *agent, const struct gtrid *gtrid);
struct agent_txn *agent_txn_need(struct agent *agent, const struct gtrid *gtrid);
void agent_txn_release(struct agent *agent, struct agent_txn *txn); /* frees it if it is empty */
struct agent_branch *agent_branch_find(struct agent *agent, const struct gid *gid);
struct agent_branch *agent_branch_new(struct agent *agent, const struct gid *gid);
void agent_branch_free(struct agent *agent, struct agent_branch *branch);
void agent_branch_move(struct agent *agent, struct agent_branch *branch, enum branch_state to);
void agent_branch_drop_answers(struct agent *agent); /* forgets every DONE branch */
const char *agent_branch_state_text(enum branch_state state);
bool agent_tombstone_has(struct agent *agent, const struct gtrid *gtrid);
void agent_tombstone_add(struct agent *agent, const struct gtrid *gtrid);

/* branch_work.c */
void agent_work(struct agent *agent, struct agent_peer *peer, struct message_work *work);
void agent_executed(struct agent *agent, struct agent_branch *branch,
                    struct command_result *result);
void agent_vote_again(struct agent *agent, const struct agent_branch *branch, uint64_t session);
/* Obstacles to a branch that would begin now; REASON_NONE: none. */
enum reason agent_work_obstacle(struct agent *agent, const struct agent_peer *peer,
                                const struct gtrid *gtrid, uint64_t remaining_ms);
/* Is this of the epoch that the peer speaks for? */
bool agent_work_is_of(const struct agent_peer *peer, const struct gtrid *gtrid);
/* Nothing was executed: votes no with attempt 0. */
void agent_work_refuse(struct agent *agent, uint64_t session, const struct gtrid *gtrid,
                       enum reason reason);
struct gid agent_gid_new(struct agent *agent, const struct gtrid *gtrid); /* P-20 */
struct agent_branch *agent_txn_spokesman(const struct agent_txn *txn);
void agent_branch_vote_no(struct agent *agent, struct agent_branch *branch,
                          struct command_result *result);
uint64_t agent_deadline(const struct agent *agent, uint64_t remaining_ms);
void agent_vote_void(struct agent *agent, struct agent_branch *branch, const char *why);
/* What began on this session and has not voted is rolled back (P-2); while the session is not over, the interactive ones alone. */
void agent_branches_abandon(struct agent *agent, uint64_t session, bool is_over);

/* branch_interactive.c */
void agent_statement(struct agent *agent, struct agent_peer *peer,
                     struct message_statement *statement);
void agent_prepare(struct agent *agent, struct agent_peer *peer,
                   const struct message_prepare *prepare);
void agent_answered(struct agent *agent, struct agent_branch *branch,
                    struct command_result *result);
void agent_branch_closed(struct agent *agent, struct agent_branch *branch,
                         const struct command_result *result);
/* Rolls back a branch that has not been asked to prepare; the reason goes into its no. */
void agent_branch_give_up(struct agent *agent, struct agent_branch *branch, enum reason reason);
void agent_branch_close(struct agent *agent, struct agent_branch *branch); /* without a vote */
void agent_interactive_drain(struct agent *agent); /* gives up every branch that is open */

/* branch_external.c */
void agent_verify(struct agent *agent, struct agent_peer *peer,
                  const struct message_verify *verify);
void agent_verified(struct agent *agent, struct agent_branch *branch,
                    struct command_result *result);
/* A scan shows its row with this transaction id. */
void agent_external_seen(struct agent *agent, struct agent_branch *branch, uint32_t xid);

/* branch_finish.c */
void agent_commit(struct agent *agent, const struct message_commit *commit);
void agent_rollback(struct agent *agent, const struct message_rollback *rollback);
void agent_verdict(struct agent *agent, const struct message_verdict *verdict);
void agent_branch_finish(struct agent *agent, struct agent_branch *branch);
void agent_branch_prove(struct agent *agent, struct agent_branch *branch);
/* TELLING: acknowledges what contradicts an abort, again and again until it is on record. */
void agent_branch_tell(struct agent *agent, struct agent_branch *branch, const char *detail);
void agent_branch_end(struct agent *agent, struct agent_branch *branch, enum ack ack,
                      const char *detail);
void agent_finished(struct agent *agent, struct agent_branch *branch,
                    const struct command_result *result);
void agent_proved(struct agent *agent, struct agent_branch *branch,
                  const struct command_result *result);

/* branch_erase.c */
/* Earlier processes prepare nothing more; the next complete scan settles it. */
void agent_fenced(struct agent *agent);
void agent_erase_start(struct agent *agent, const struct gtrid *gtrid);
void agent_erase_look(struct agent *agent, struct agent_erase *erase);
void agent_erase_looked(struct agent *agent, struct agent_erase *erase,
                        const struct command_result *result);
void agent_erase_check(struct agent *agent, struct agent_txn *txn);
void agent_erase_free(struct agent *agent, struct agent_erase *erase);
void agent_branch_roll_back(struct agent *agent, struct agent_branch *branch);
void agent_branch_cancel(struct agent *agent, struct agent_branch *branch); /* what runs of it */
void agent_branch_look(struct agent *agent, struct agent_branch *branch);
/* LOOK again at the timer. */
void agent_branch_unsure(struct agent *agent, struct agent_branch *branch);
void agent_looked(struct agent *agent, struct agent_branch *branch,
                  const struct command_result *result);

/* branch_peer.c */
struct agent_peer *agent_peer_find(struct agent *agent, uint64_t session);
struct agent_journal *agent_journal_find(struct agent *agent, const struct journal_id *id);
uint64_t agent_session_for(struct agent *agent, const struct gtrid *gtrid); /* 0: none welcomed */
void agent_peer_up(struct agent *agent, uint64_t session, const struct journal_id *journal);
void agent_peer_down(struct agent *agent, uint64_t session);
void agent_peer_due(struct agent *agent, struct agent_peer *peer);
void agent_peers_retry(struct agent *agent); /* the database came up */
void agent_peers_claim_again(struct agent *agent);
void agent_claim(struct agent *agent, struct agent_peer *peer, const struct message_claim *claim);
void agent_head(struct agent_peer *peer, const struct message_head *head);
bool agent_witness_result(struct agent *agent, const struct command_result *result);
void agent_journals_due(struct agent *agent);
uint64_t agent_journals_deadline(const struct agent *agent);
void agent_health_send(struct agent *agent);

/* branch_audit.c */
void agent_audit(struct agent *agent, struct agent_peer *peer, struct message_audit *audit);
bool agent_audited(struct agent *agent, struct command_result *result); /* false: not its result */

/* branch_compare.c */
void agent_compares_due(struct agent *agent);
uint64_t agent_compares_deadline(const struct agent *agent);
bool agent_compared(struct agent *agent,
                    const struct command_result *result); /* false: not its result */
void agent_compare_resolved(struct agent *agent, struct agent_branch *branch);
void agent_compare_pause(struct agent *agent, struct agent_journal *journal); /* nobody to ask */
void agent_compare_anew(struct agent *agent,
                        const struct journal_id *id); /* something was let go */
void agent_compares_restart(struct agent *agent);     /* the history changed */

/* branch_sweep.c */
void agent_scan(struct agent *agent);
void agent_scanned(struct agent *agent, const struct command_result *result);
void agent_branch_adopt(struct agent *agent, struct agent_branch *branch, uint64_t age_ms);
void agent_branch_await(struct agent *agent, struct agent_branch *branch);
void agent_branch_ask(struct agent *agent, struct agent_branch *branch);
void agent_branches_await(struct agent *agent, const struct journal_id *journal);
void agent_sweep_resolved(struct agent *agent, struct agent_branch *branch);
/* What coordinators are told. */
uint64_t agent_sweep_number(const struct agent *agent, const struct agent_journal *journal);
void agent_history_changed(struct agent *agent);

#endif

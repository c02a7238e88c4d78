/*
 * world.h - the simulated world's insides, shared by the files of the simulator and nobody else.
 *
 *   world.c        birth, the loop, phases (chaos, heal), the end
 *   queue.c        events in order of time
 *   note.c         the run's hash
 *   faults.c       which faults a seed has, and whether one strikes
 *   coord.c        a coordinator process: the core and what coordinator*.c do around it
 *   disk.c         its journal: batches, syncs, crashes, copies
 *   agents.c       agent processes: the core and what agent*.c and pg_*.c do around it
 *   database.c     the model of PostgreSQL
 *   backend.c      what runs on connections: branches, finishes, the keeper's looks
 *   backend_interactive.c  branches that get their statements one by one
 *   network.c      sessions between the two
 *   clients.c      clients and operators
 *   talk.c         clients that speak statement by statement
 *   applications.c clients that prepare a branch themselves
 *   backend_external.c  what the agent does with such a branch
 *   operators.c    operators who resolve, and who decide about what stays
 *   nemesis.c      faults that come by the clock, and healing
 *   law.c          invariants that hold at every moment; law_coord.c, law_agent.c, law_database.c: of whom
 *   judge.c        what must hold at the end
 *
 * Every process has an incarnation; what was meant for an earlier one is dropped. A stopped process keeps what
 * arrives and takes it when it goes on.
 */
#ifndef ASSENT_SIM_WORLD_H
#define ASSENT_SIM_WORLD_H

#include "common/fault.h"
#include "common/map.h"
#include "coordinator/core.h"
#include "participant/branch.h"
#include "recovery/journal_memory.h"
#include "tests/sim/random.h"
#include "tests/sim/sim.h"

#define SIM_COORDS       2
#define SIM_DATABASES    5
#define SIM_AGENTS       (2 * SIM_DATABASES) /* a twin for each */
#define SIM_PROCESSES    (SIM_COORDS + SIM_AGENTS)
#define SIM_ACCOUNTS     12
#define SIM_NOBODY       UINT32_MAX
#define SIM_TICK_MS      25
#define SIM_BEGIN_MS     1000000 /* where the virtual clock begins */
#define SIM_SILENCE_MS   10000
#define SIM_WORKERS      4
#define SIM_BACKENDS_MAX 64
#define SIM_DISKS        6
#define SIM_IDENTITIES   SIM_DISKS

enum sim_event_kind {
    EVENT_COORD_MESSAGE = 1, /* session, message */
    EVENT_COORD_UP,          /* a: participant, session */
    EVENT_COORD_DOWN,
    EVENT_COORD_TIMER,   /* number: which setting of the timer */
    EVENT_COORD_DURABLE, /* number: token; head */
    EVENT_COORD_TRIMMED,
    EVENT_COORD_SPACE,
    EVENT_COORD_FAILED, /* the journal's thread gave up */
    EVENT_COORD_SUBMIT, /* number: call */
    EVENT_COORD_RESOLVE,
    EVENT_COORD_ACT, /* requeue or drop an accepted request; number: call */
    EVENT_COORD_DRAIN,
    EVENT_COORD_RECONFIGURE, /* a: participant, b: 1 add, 0 remove */
    EVENT_AGENT_MESSAGE,
    EVENT_AGENT_UP, /* session; a: coordinator slot */
    EVENT_AGENT_DOWN,
    EVENT_AGENT_TIMER,
    EVENT_AGENT_RESULT,
    EVENT_AGENT_BEAT, /* the keeper looks at the server */
    EVENT_AGENT_DRAIN,
    EVENT_PROCESS_MAX =
        EVENT_AGENT_DRAIN, /* up to here: taken by a process, kept while it is stopped */
    EVENT_SYNC,            /* a: coordinator slot; its incarnation; number: which write */
    EVENT_LAZY,            /* records that need no sync of their own are due */
    EVENT_BACKEND,         /* a: database, b: backend; number: its generation */
    EVENT_KEEPER_RUN,      /* a: agent: the keeper's next command is carried out */
    EVENT_LOST_ANSWER, /* a: database, b: backend: its client learns that the connection is gone */
    EVENT_DEADLINE,    /* a: database, b: backend: its client stops waiting */
    EVENT_DIAL,        /* a: coordinator slot, b: participant */
    EVENT_SILENCE,     /* a: slot, b: participant; session */
    EVENT_START,       /* a: process; number: starts that were ordered */
    EVENT_CONTINUE,    /* a: process */
    EVENT_PG_START,    /* a: database */
    EVENT_PG_NORMAL,   /* a: database: takes writes again */
    EVENT_SPACE_BACK,  /* a: slot */
    EVENT_REPAIRED,    /* a: slot */
    EVENT_RESTORED,    /* the copy that was put aside takes the journal's place */
    EVENT_ADD_BACK,    /* a: slot, b: participant */
    EVENT_CLIENT,      /* number: op; a: what */
    EVENT_APPLICATION, /* number: which application */
    EVENT_TICK,
    EVENT_HEAL,
};

struct sim_event {
    uint64_t due_ms, tie;
    enum sim_event_kind kind;
    uint32_t process; /* SIM_NOBODY: nobody's inbox */
    uint32_t a, b;
    uint64_t incarnation, session, number, posted_ms;
    uint64_t copy_of; /* explored: the tie of the message that this one is a copy of; 0: none */
    struct sim_event *next; /* in an inbox, or free */
    struct journal_head head;
    struct journal_floor floor;
    union {
        struct message message;
        struct command_result result;
        struct api_resolve *resolve; /* owned */
        struct api_request_act *act; /* owned */
    } as;
};

struct sim_slot {
    uint64_t due_ms, tie;
    struct sim_event *event;
};

struct sim_queue {
    size_t count, capacity;
    struct sim_slot *slots; /* a 4-ary heap */
    struct sim_event *free_events;
    uint64_t next_tie;
};

struct sim_process {
    bool is_alive, is_stopped, is_draining;
    uint64_t incarnation;
    uint64_t stopped_until_ms;
    struct sim_event *inbox_first, *inbox_last; /* while it is stopped */
    uint64_t starts;                            /* ordered; an older order is void */
};

/* ---- what is known beside all processes: the truth that they are judged by ---- */

struct sim_attempt;

struct sim_accept;      /* accepted.c */
#define ACCEPTED_ASKS 3 /* of so many times that a client asks, one waits for the outcome */

struct sim_truth { /* of one gtrid */
    struct gtrid gtrid;
    uint32_t op, variant;
    uint64_t deadline_ms;             /* 0: no work was sent */
    uint64_t sessions[SIM_DATABASES]; /* that its work was sent on; 0: none */
    bool has_lost_link; /* its coordinator heard that one of them ended, and had not decided it */
    bool is_decided;    /* a COMMIT record is or was durable */
    const struct sim_accept *request; /* that it is a run of; NULL: none */
    bool is_told_second; /* a database knew, as it was decided, that its request had committed */
    uint32_t decided_journal;
    uint64_t decided_number;
    size_t gid_count;
    struct gid gids[SIM_DATABASES]; /* that the record names */
    uint32_t read_only_mask;
    bool is_ended;
    bool told_aborted, told_committed; /* a client was */
    bool is_excused;                   /* a grave fault took part */
    uint32_t told_rollback_mask;       /* ROLLBACK or ABORT was said to these participants */
    uint64_t
        buried_by[SIM_DATABASES]; /* the incarnation of its agent that heard a ROLLBACK; 0: none */
    struct sim_attempt *attempts;
    struct sim_truth *next;
};

struct sim_attempt { /* of one gid */
    struct gid gid;
    struct sim_truth *truth; /* NULL: a stranger's */
    uint32_t database;
    uint32_t account[2];
    int64_t amount[2];
    uint32_t account_count;
    bool writes_row;
    /* its life in the database's present history */
    bool is_prepared, is_committed, is_rolled_back;
    bool row_visible;
    uint64_t busy_until_ms;
    uint64_t xid8;
    uint64_t prepared_at_ms;
    const char *
        tag; /* static: of the server's answer to its last end (PREPARE TRANSACTION ...); NULL: none */
    uint32_t statements_begun, statements_done; /* interactive */
    bool is_stranger, is_read_only;
    bool is_external, has_grant; /* an application prepares it; the agent may finish it */
    bool is_another;             /* under the name of one that was verified (P-20) */
    bool is_elsewhere;           /* a stranger's, in another database of the same cluster */
    /* what happened to it */
    uint64_t made_by; /* the agent's incarnation */
    bool reply_ok;    /* its agent has read the whole answer */
    uint64_t reply_incarnation;
    bool voted_yes;
    uint64_t session; /* that it began on */
    bool
        is_abandoned; /* that was over before it had voted: its process needs no word to roll it back (P-2) */
    bool told_commit, told_rollback;
    bool committed_once;
    bool by_human; /* a person ended it */
    bool is_void;  /* its coordinator heard that the database has become another one (P-14) */
    bool said_commit,
        said_rollback;         /* a person's word through the coordinator, against the record */
    bool is_awaited;           /* a person's word must end it */
    bool is_lost;              /* what the database lost touched it */
    bool is_reported;          /* a HEURISTIC record names it */
    uint64_t told_contrary_by; /* the agent incarnation that told of a commit by hand */
    bool
        in_hole; /* a known limit: told to roll back from a copy (P-10), or another one's xid (P-12) */
    uint32_t reported_ack;
    char text[GID_TEXT_SIZE];
    struct sim_attempt *next_of_truth;
    struct sim_attempt *next_of_world;
};

/* ---- database ---- */

enum sim_wal_kind { WAL_PREPARE = 1, WAL_COMMIT, WAL_ROLLBACK, WAL_WITNESS, WAL_ROTATE, WAL_OTHER };

struct sim_wal {
    enum sim_wal_kind kind;
    uint64_t lsn, next_xid;
    struct sim_attempt *attempt;
    size_t witness_index; /* which witness, and what it was before */
    bool had_witness;
    struct witness before;
};

enum backend_stage {
    BACKEND_FREE = 0,
    BACKEND_BODY,    /* travels to the server, or runs its statements */
    BACKEND_LOCK,    /* waits for a row */
    BACKEND_HELD,    /* statements done, the agent must send PREPARE (split) */
    BACKEND_OPEN,    /* interactive: waits for the next statement, or PREPARE */
    BACKEND_PREPARE, /* PREPARE is in the server */
    BACKEND_FINISH,  /* COMMIT or ROLLBACK PREPARED is in the server */
    BACKEND_VERIFY,  /* an external branch is looked at */
};

struct sim_backend { /* a connection's work in the server; may outlive its client */
    enum backend_stage stage;
    uint64_t generation;  /* events of an earlier use are void */
    uint32_t agent;       /* agent slot */
    uint64_t incarnation; /* of that agent */
    uint64_t command_id;
    enum command_kind command_kind;
    bool is_attached; /* the agent still has the connection */
    bool is_awaited;  /* and waits for an answer */
    bool is_split;
    bool is_interactive;
    uint32_t step; /* which of its client's statements runs */
    bool is_cancelled;
    bool holds_locks;
    bool by_rollback;               /* read-only: ends by ROLLBACK */
    struct command_execute execute; /* work owned */
    struct command_finish finish;
    struct command_verify verify;
    struct sim_attempt *attempt;
    uint64_t lock_until_ms;
    uint64_t proof_lsn;
    enum sim_fault no_kind; /* how it will fail, or SIM_FAULT_COUNT */
    uint64_t no_bits;
};

struct sim_database {
    uint32_t index;
    char name[PARTICIPANT_NAME_SIZE];
    uint64_t system_id;
    uint32_t timeline;
    uint64_t lsn, next_xid;
    bool is_up, is_read_only;
    enum proof_kind proof;
    size_t slot_count;
    uint64_t starts; /* grows with every restart: older connections are gone */
    bool had_twin;   /* a second agent has worked here */
    bool has_lost;   /* a tail of its WAL, or its timeline */
    size_t prepared_count, prepared_capacity;
    struct sim_attempt **prepared;
    int64_t balance[SIM_ACCOUNTS];
    int64_t paid_in[SIM_ACCOUNTS]; /* by nobody of ours */
    int64_t owed[SIM_ACCOUNTS];    /* what C1 says that it must be (law.c) */
    void *locked_by[SIM_ACCOUNTS]; /* a backend or an attempt; NULL: free */
    size_t witness_count, witness_capacity;
    struct witness *witnesses;
    size_t wal_count, wal_capacity;
    struct sim_wal *wal;
    size_t backend_count; /* of them, the first so many have been in use */
    struct sim_backend backends[SIM_BACKENDS_MAX];
};

/* ---- agents ---- */

struct sim_job {
    struct command command; /* owned */
    struct sim_job *next;
};

struct sim_jobs {
    struct sim_job *first, *last;
    size_t count;
};

struct sim_edge {   /* what pg_*.c keep in memory */
    bool is_known;  /* the keeper has judged the server */
    bool was_known; /* ever, in this process */
    struct identity identity;
    uint64_t lsn_seen, lsn_at_connect, lost_from_lsn, lost_to_lsn;
    uint64_t starts; /* the server's, at connect */
    enum health health;
    struct sim_jobs execute, keeper;
    size_t running; /* workers that run a branch */
    bool keeper_busy;
    uint64_t late_ms; /* how much later than found its last answer comes */
    bool scanned;
    size_t voted_count;
    uint64_t *voted;
    uint64_t history_changes; /* told so far */
};

struct sim_agent {
    struct sim_process process;
    uint32_t database;
    struct agent *core;
    struct agent_ready ready;
    uint64_t sessions[SIM_COORDS];
    struct journal_id journals[SIM_COORDS]; /* whose they are */
    uint64_t hears;                         /* the session whose message this step takes; 0: none */
    uint64_t timer_at_ms, timer_number;
    uint64_t deadline_ms;
    struct sim_edge edge;
    uint64_t welcomed_epoch[SIM_IDENTITIES]; /* per journal (F1) */
};

/* ---- journals and coordinators ---- */

struct sim_batch {
    size_t count, capacity;
    struct record *records; /* owned */
    uint64_t token, epoch, due_ms;
    bool is_forced;
};

struct sim_disk {            /* one journal file; survives processes */
    uint32_t identity;       /* which journal id */
    struct journal *journal; /* what is durable; NULL: no file yet */
    struct sim_batch
        kept; /* in the page cache only: made durable by the next start, or lost with the machine */
    bool is_damaged;
    bool has_space;
    uint32_t copied_from; /* SIM_NOBODY, or the disk that it is an old copy of */
    uint64_t last_epoch;  /* durable */
    uint64_t head_number; /* likewise: its last record */
};

struct sim_thread { /* the journal thread of a coordinator process */
    struct sim_batch waiting, writing;
    bool is_writing, has_failed, fails_next, has_trim;
    uint64_t write_number;
    uint64_t head_number; /* the last record that it has read or written (P-17) */
    struct journal_trim trim;
    bool had_space;
};

struct sim_coord {
    struct sim_process process;
    uint32_t disk; /* index */
    struct coord *core;
    struct coord_ready ready;
    struct sim_thread thread;
    uint64_t sessions[SIM_DATABASES];
    uint64_t welcome_session[SIM_DATABASES],
        welcome_history[SIM_DATABASES]; /* of the last WELCOME */
    bool removed[SIM_DATABASES];
    uint64_t timer_at_ms, timer_number, deadline_ms;
    enum coord_stop refused; /* why it does not run */
    uint32_t refusals;       /* in a row */
    uint64_t epoch;
    bool wants_carry; /* a step of this round has handed something out */
    bool is_used;     /* slot 1: a second coordinator exists */
};

struct sim_link {
    uint64_t session;             /* 0: none */
    uint32_t agent;               /* slot that it leads to */
    uint64_t blocked_until_ms[2]; /* 0 to the agent, 1 to the coordinator */
    uint64_t last_due_ms[2], last_tie[2];
    bool is_dialling;
    bool is_silent; /* the other side is gone and nobody noticed */
    uint32_t failures;
};

/* ---- clients ---- */

enum talk_phase { TALK_OPENING = 0, TALK_SPEAKING, TALK_COMMITTING, TALK_ROLLING_BACK };

#define SIM_STEPS_MAX (2 * SIM_DATABASES)

struct sim_talk { /* a client that speaks statement by statement (P-22) */
    enum talk_phase phase;
    uint32_t step_count, step; /* statements; those that were answered */
    uint32_t databases[SIM_STEPS_MAX];
    uint32_t account[SIM_STEPS_MAX];
    int64_t amount[SIM_STEPS_MAX];
    uint32_t regret_at; /* rolls back instead of this step; step_count: instead of the commit */
    struct gtrid gtrid;
    uint32_t refusals;               /* of this step */
    uint32_t afterthoughts;          /* that are still to come when it is over */
    bool is_external[SIM_STEPS_MAX]; /* the application prepares that participant's branch */
    struct gid gid;                  /* that it was given last */
    struct sim_random random;
};

struct sim_op {
    uint32_t mask; /* participants */
    uint32_t read_only_mask;
    bool has_key, is_duplicated, is_interactive;
    bool is_accepted; /* handed over: respond-async */
    uint32_t queue;   /* 0: none */
    bool was_accepted;
    struct gtrid accepted; /* the id that its client was told */
    enum isolation isolation;
    enum ack_mode ack;
    uint32_t timeout_ms;
    uint32_t account[SIM_DATABASES];
    int64_t amount[SIM_DATABASES];
    uint32_t calls_open, tries;
    uint32_t variants; /* bodies submitted so far, a bit each */
    bool is_settled;   /* its client knows the outcome, or that nothing was done */
    bool saw_committed, saw_aborted;
    struct gtrid committed;               /* what a client was told */
    struct sim_truth *decided[SIM_DISKS]; /* per journal identity (X1) */
    struct sim_talk talk;                 /* interactive */
};

enum call_kind {
    CALL_SUBMIT = 1,
    CALL_RESOLVE,
    CALL_OPEN, /* of an interactive transaction, and the three below */
    CALL_STATEMENT,
    CALL_COMMIT,
    CALL_ROLLBACK,
    CALL_EXTERNAL,
    CALL_ACT, /* variant: enum request_act */
};

struct sim_application { /* about to prepare a branch itself */
    uint32_t op, database;
    struct gid gid;
    uint64_t until_ms; /* it waits no longer for its rows */
    bool is_heeded;    /* somebody waits for it */
};

struct sim_call {
    enum call_kind kind;
    uint32_t op, variant;
    uint32_t coord;
    uint64_t incarnation;
    struct gtrid gtrid; /* of an interactive transaction */
    uint64_t seq;
    bool is_answered, is_gone, is_delivered;
};

enum sim_phase {
    PHASE_CHAOS = 1,
    PHASE_HEAL,
    PHASE_PERSON, /* what nobody may touch without a person waits for the person's word to be carried out */
    PHASE_OVER
};

struct sim_world {
    struct sim_options options;
    struct sim_verdict *verdict;
    enum sim_phase phase;
    uint64_t now_ms, heal_at_ms, connected_at_ms, chaos_ms;
    uint64_t person_at_ms, person_says_ms; /* the first and the last word of theirs */
    int64_t wall_offset_ms;
    struct sim_queue queue;
    uint64_t hash;
    struct sim_random schedule, network, disk_random, database_random, client_random, payload,
        operator_random;
    uint32_t rate[SIM_FAULT_COUNT]; /* of 2^32 */
    uint32_t ordinal[SIM_FAULT_COUNT];
    uint64_t fault_seed, fault_bits;
    size_t strike_capacity;
    bool grave;        /* some grave fault has struck */
    bool has_accepted; /* some operations are handed over */
    struct sim_accept *accepts;
    bool a_person_came; /* explored: to what is dead */
    bool canary_due;
    bool
        keeps_batch; /* the explorer's choice: what is being written survives, as if LOG_KEPT struck */

    uint32_t database_count;
    struct sim_database databases[SIM_DATABASES];
    struct sim_agent agents[SIM_AGENTS]; /* database d: slots d and d + SIM_DATABASES */
    uint32_t agent_of[SIM_DATABASES];    /* the slot that coordinators dial */
    struct sim_coord coords[SIM_COORDS];
    uint32_t main_coord; /* the one that clients speak to */
    struct sim_disk disks[SIM_DISKS];
    uint32_t disk_count;
    uint32_t identity_count;
    struct sim_link links[SIM_COORDS][SIM_DATABASES];
    uint64_t next_session;
    uint64_t next_incarnation;

    size_t op_count;
    struct sim_op *ops;
    size_t call_count, call_capacity;
    struct sim_call *calls;

    size_t application_count, application_capacity, applications_open;
    struct sim_application *applications;

    struct map truths; /* struct sim_truth by gtrid */
    struct sim_truth *truth_list;
    struct map attempts; /* struct sim_attempt by gid */
    struct sim_attempt *attempt_list;

    /* A brisk seed trims within the run. Retention is then seconds in place of an hour, so deadlines, pauses and late
     * prepares are scaled down with it, as the configuration's limits keep them (P-13). */
    bool is_brisk;
    bool has_rounds; /* several events of one moment make one round of the coordinator's loop */
    uint64_t slow_max_ms, late_max_ms, stop_max_ms;
    struct coord_config coord_config;
    struct agent_config agent_config;
    struct journal_entry prior_entry;
    uint32_t backup; /* an older copy of the main journal; SIM_NOBODY: none */
    bool has_forked; /* no journal is accepted by everybody any more: a person must decide */
};

/* queue.c */
struct sim_event *queue_new(struct sim_world *world, enum sim_event_kind kind); /* returns owned */
void queue_push(struct sim_world *world, struct sim_event *event, uint64_t due_ms); /* takes */
void queue_push_ordered(struct sim_world *world, struct sim_event *event, uint64_t due_ms,
                        uint64_t tie);
struct sim_event *queue_pop(struct sim_world *world); /* NULL: none */
void queue_free(struct sim_world *world, struct sim_event *event);
void queue_done(struct sim_world *world);

/* faults.c */
void faults_draw(struct sim_world *world);
bool fault_strikes(struct sim_world *world, enum sim_fault fault);
/* Draws for the fault that has just struck: the same whatever else happens. */
uint64_t fault_below(struct sim_world *world, uint64_t below);

/* world.c */
void world_init(struct sim_world *world);
void world_done(struct sim_world *world);
void world_note(struct sim_world *world, uint64_t what); /* into the run's hash */
bool world_failed(const struct sim_world *world);
struct sim_process *world_process(struct sim_world *world, uint32_t index);
uint32_t world_coord_process(uint32_t coord);
uint32_t world_agent_process(uint32_t agent);
void world_post(struct sim_world *world, uint32_t process, struct sim_event *event,
                uint64_t delay_ms);
void world_dispatch(struct sim_world *world, struct sim_event *event); /* takes */
/* A process reached a named point; true if it was killed there. */
bool world_point(struct sim_world *world, uint32_t process, enum fault_point point);
void process_stop(struct sim_world *world, uint32_t process, uint64_t for_ms);
void process_order_start(struct sim_world *world, uint32_t process, uint64_t delay_ms);
void process_inbox_drop(struct sim_world *world, struct sim_process *process);

/* note.c */
void world_note_event(struct sim_world *world, const struct sim_event *event);
void world_note_answer(struct sim_world *world, const struct coord_answer *answer);
void world_note_rows(struct sim_world *world);

/* coord.c */
void coord_proc_start(struct sim_world *world, uint32_t coord);
void coord_proc_take(struct sim_world *world, uint32_t coord, struct sim_event *event);
/* An event of this process is over, also if nobody took it: a round that has no more events hands out what it has. */
void coord_proc_passed(struct sim_world *world, uint32_t coord);
void coord_proc_kill(struct sim_world *world, uint32_t coord, bool with_machine);
/* Steps a SUBMIT and carries out what comes of it; the process may be gone afterwards. */
void coord_proc_step_submit(struct sim_world *world, uint32_t coord, struct coord_event *event,
                            bool *ret_ok);
bool coord_proc_serves(const struct sim_world *world, uint32_t coord);

/* disk.c */
uint32_t disk_new(struct sim_world *world, struct journal *journal, uint32_t identity);
bool disk_open(struct sim_world *world, struct sim_coord *coord); /* false: refused */
void disk_append(struct sim_world *world, uint32_t coord, struct coord_ready *ready);
void disk_trim(struct sim_world *world, uint32_t coord, const struct journal_trim *trim);
void disk_synced(struct sim_world *world, uint32_t coord, const struct sim_event *event);
void disk_lazy(struct sim_world *world, uint32_t coord, const struct sim_event *event);
void disk_thread_die(struct sim_world *world, uint32_t coord, bool with_machine);
void batch_drop(struct sim_batch *batch);
uint32_t disk_copy(struct sim_world *world, uint32_t disk); /* as it is now; returns its index */

/* agents.c */
void agent_proc_start(struct sim_world *world, uint32_t agent);
void agent_proc_take(struct sim_world *world, uint32_t agent, struct sim_event *event);
void agent_proc_kill(struct sim_world *world, uint32_t agent);
void agent_post_result(struct sim_world *world, uint32_t agent, uint64_t incarnation,
                       struct command_result *result, uint64_t delay_ms);
void edge_keeper_run(struct sim_world *world, uint32_t agent, const struct sim_event *event);
void edge_worker_free(struct sim_world *world, uint32_t agent);
/* The seam of participant/command.h, as pg_submit; the result comes as an event. False: the agent died on the way. */
bool edge_submit(struct sim_world *world, uint32_t agent, struct command *command); /* takes */
/* What a worker remembers of the branch that it just answered (pg_worker.c). */
void edge_note_executed(struct sim_world *world, uint32_t agent,
                        const struct command_result *result);

/* database.c */
void database_init(struct sim_world *world, uint32_t index);
void database_done(struct sim_database *database);
void database_prepare(struct sim_world *world, struct sim_database *database,
                      struct sim_attempt *attempt);
void database_end(struct sim_world *world, struct sim_database *database,
                  struct sim_attempt *attempt, bool commit);
struct sim_attempt *database_prepared(const struct sim_database *database, const struct gid *gid);
void database_own_commit(struct sim_database *database); /* WAL of the agent's own */
void database_store_witness(struct sim_world *world, struct sim_database *database,
                            const struct witness *witness, struct command_result *result);
void database_load_witness(const struct sim_database *database, const struct journal_id *journal,
                           struct witness *ret_witness);
void database_rotate(struct sim_world *world, struct sim_database *database);
bool database_below_floor(const struct sim_database *database, const struct gtrid *gtrid);
void database_lose(struct sim_world *world, struct sim_database *database, uint64_t lsn);
bool database_lock(struct sim_database *database, const struct sim_attempt *attempt, void *holder);
void database_unlock(struct sim_world *world, struct sim_database *database, const void *holder);

/* backend.c */
void backend_execute(struct sim_world *world, uint32_t agent, struct command *command);
void backend_finish(struct sim_world *world, uint32_t agent, struct command *command);
/* backend_interactive.c */
void backend_statement(struct sim_world *world, uint32_t agent, struct command *command);
void backend_prepare_open(struct sim_world *world, uint32_t agent, struct command *command);
void backend_close(struct sim_world *world, uint32_t agent, const struct command *command);
/* backend_external.c */
void backend_verify(struct sim_world *world, uint32_t agent, const struct command *command);
/* backend.c */
/* The same gid once more while it is there. */
struct sim_attempt *backend_attempt_double(struct sim_world *world,
                                           const struct sim_attempt *first);
void backend_event(struct sim_world *world, const struct sim_event *event);
void backend_lost_answer(struct sim_world *world, const struct sim_event *event);
void backend_deadline(struct sim_world *world, const struct sim_event *event);
void backend_cancel(struct sim_world *world, uint32_t agent, const struct gid *gid);
void backend_wake(struct sim_world *world, struct sim_database *database);
/* Its connection is gone, with the server or by itself; what it did not do yet it will not do. */
void backend_end(struct sim_world *world, struct sim_database *database,
                 struct sim_backend *backend);
/* pg_terminate_backend: it says so to its client. */
void backend_terminate(struct sim_world *world, struct sim_database *database,
                       struct sim_backend *backend);
void backend_agent_died(struct sim_world *world, uint32_t agent);
bool backend_may_prepare(const struct sim_database *database, const struct gtrid *gtrid,
                         const struct gid *gid);

/* keeper.c */
void keeper_carry_out(struct sim_world *world, uint32_t agent, struct command *command,
                      struct command_result *result);

/* network.c */
void network_dial(struct sim_world *world, uint32_t coord, uint32_t database, uint64_t delay_ms);
void network_dialled(struct sim_world *world, uint32_t coord, uint32_t database);
void network_send_to_agent(struct sim_world *world, uint32_t coord, uint64_t session,
                           struct message *message); /* takes */
void network_send_to_coord(struct sim_world *world, uint32_t agent, uint64_t session,
                           struct message *message); /* takes */
void network_break(struct sim_world *world, uint32_t coord, uint32_t database, bool tell_coord,
                   bool tell_agent);
void network_process_died(struct sim_world *world, uint32_t process);
void network_silence(struct sim_world *world, const struct sim_event *event);
void network_block(struct sim_world *world, uint32_t coord, uint32_t database, int direction,
                   uint64_t for_ms);

void network_share(const struct message *from, struct message *ret_message); /* blobs shared */

/* clients.c */
void clients_init(struct sim_world *world);
void clients_event(struct sim_world *world, const struct sim_event *event);
void clients_submit(struct sim_world *world, uint32_t coord, const struct sim_event *event);
void clients_answer(struct sim_world *world, uint32_t coord, struct coord_answer *answer);
void clients_coord_died(struct sim_world *world, uint32_t coord);
void clients_look(struct sim_world *world);
bool clients_settled(const struct sim_world *world);
void clients_ask_all(struct sim_world *world);
void clients_call(struct sim_world *world, enum call_kind kind, uint32_t op, uint32_t variant);
/* For talk.c. */
void clients_later(struct sim_world *world, size_t op, uint64_t delay_ms); /* it goes on then */
void clients_told_committed(struct sim_world *world, struct sim_call *call,
                            const struct txn_view *view);
void clients_told_aborted(struct sim_world *world, const struct sim_call *call,
                          const struct txn_view *view);

/* accepted.c: requests that are handed over, and their queues */
void accepted_config(struct sim_world *world);
void accepted_draw(struct sim_world *world, size_t index);
/* A small world: everything is handed over, into one queue. */
void accepted_explore(struct sim_world *world, size_t index);
void accepted_make(struct sim_world *world, size_t index, struct submission *submission);
void accepted_durable(struct sim_world *world, uint32_t disk, const struct record *record);
void accepted_work(struct sim_world *world, uint32_t coord, struct sim_truth *truth);
void accepted_ready(struct sim_world *world, const struct coord_ready *ready);
void accepted_told(struct sim_world *world, const struct sim_call *call,
                   const struct api_answer *answer);
void accepted_told_aborted(struct sim_world *world, const struct sim_call *call,
                           const struct txn_view *view);
void accepted_operate(struct sim_world *world);
void accepted_act_answered(struct sim_world *world, const struct sim_call *call,
                           const struct api_answer *answer);
/* While it heals: what waits for a row that nobody may touch waits for ever, so a person gives it up. */
void accepted_give_up(struct sim_world *world);
void accepted_watch(struct sim_world *world, uint32_t coord); /* after a step */
bool accepted_is_dropped(const struct sim_world *world, const struct sim_op *op);
bool accepted_is_over(const struct sim_world *world); /* none waits */
uint64_t accepted_digest(const struct sim_world *world);
void accepted_judge(struct sim_world *world);
void accepted_free(struct sim_world *world);

/* talk.c: clients that speak statement by statement */
void talk_draw(struct sim_world *world, size_t op);
/* The same for the explorer: nothing is drawn. */
void talk_explore(struct sim_world *world, size_t op);
void talk_go_on(struct sim_world *world, size_t op); /* says what is next */
/* False: nothing was done (API_FAILED), and nobody answers. */
bool talk_submit(struct sim_world *world, uint32_t coord, size_t call);
void talk_answered(struct sim_world *world, struct sim_call *call, const struct api_answer *answer);
void talk_unanswered(struct sim_world *world, uint32_t op); /* nobody will answer */
uint32_t talk_steps(const struct sim_op *op,
                    uint32_t database); /* statements, how many are there */
/* The application that was waited for has prepared, or could not. */
void talk_prepared(struct sim_world *world, uint32_t op, const struct gid *gid, bool ok);

/* applications.c */
enum application_fate {
    APPLICATION_WAITS = 1, /* for the reply to its PREPARE: talk_prepared */
    APPLICATION_GOES_ON,   /* without waiting */
    APPLICATION_ASKS_AGAIN,
    APPLICATION_DIES,
};

enum application_end {
    APPLICATION_HAS_PREPARED = 1,
    APPLICATION_HAS_FAILED,
    APPLICATION_IS_BLOCKED, /* by a row that somebody else holds */
};

/* Its work and PREPARE TRANSACTION. */
enum application_end application_prepare(struct sim_world *world, struct sim_database *database,
                                         struct sim_attempt *attempt);
enum application_fate application_begin(struct sim_world *world, uint32_t op,
                                        const struct gid *gid);
void applications_event(struct sim_world *world, const struct sim_event *event);
void applications_prepare_again(struct sim_world *world, struct sim_database *database);
void applications_heal(struct sim_world *world);

static inline bool sim_is_heuristic(enum branch_state state)
{
    return state == BRANCH_HEURISTIC_COMMIT || state == BRANCH_HEURISTIC_ROLLBACK ||
           state == BRANCH_HAZARD;
}

/* operators.c */
void operators_tick(struct sim_world *world, bool is_healing);
/* At rest: gives a word for every row that stays and that the coordinator can pass it on for; returns how many. */
size_t operators_decide(struct sim_world *world);
/* Was every such word carried out? Breaks the law L1 when it takes too long. */
bool operators_are_obeyed(struct sim_world *world);

/* What a work blob says to the model of PostgreSQL. */
struct sim_work {
    uint32_t op, variant;
    uint32_t account_count;
    uint32_t account[2];
    int64_t amount[2];
    bool is_split;
    uint32_t step; /* of an interactive transaction's statement */
};

/* What a statement answers. */
struct sim_said {
    struct gid gid;
    uint32_t step;
};

/* nemesis.c */
void nemesis_tick(struct sim_world *world);
void nemesis_heal(struct sim_world *world);
void nemesis_heal_tick(struct sim_world *world);
void nemesis_event(struct sim_world *world, const struct sim_event *event);
void nemesis_stop_database(struct sim_world *world, struct sim_database *database, uint64_t for_ms);
/* It goes on without the last `lost` changes. */
void nemesis_fail_over(struct sim_world *world, struct sim_database *database, uint64_t lost,
                       bool new_timeline);
/* Another role prepares a transaction under this name, elsewhere: in another database of the same cluster; gid: what the
 * name says, NULL if it is no gid. */
void nemesis_prepare_foreign(struct sim_world *world, struct sim_database *database,
                             const char *text, const struct gid *gid, bool is_elsewhere);

/* law*.c */
void law_broken(struct sim_world *world, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct sim_truth *law_truth(struct sim_world *world, const struct gtrid *gtrid);
struct sim_truth *law_truth_need(struct sim_world *world, const struct gtrid *gtrid);
struct sim_attempt *law_attempt(struct sim_world *world, const struct gid *gid);
struct sim_attempt *law_attempt_new(struct sim_world *world, const struct gid *gid);
/* What arrives at a coordinator from the agent of a database. */
void law_coord_hears(struct sim_world *world, uint32_t coord, uint32_t database, uint64_t session,
                     const struct message *message);
/* A coordinator hears that a session is over. */
void law_coord_lost(struct sim_world *world, uint32_t coord, uint64_t session);
void law_coord_ready(struct sim_world *world, uint32_t coord, const struct coord_ready *ready);
void law_durable(struct sim_world *world, uint32_t disk, const struct record *records, size_t count,
                 uint64_t first_number);
/* A statement is handed to the connection of this attempt. */
bool law_statement(struct sim_world *world, const struct sim_attempt *attempt, uint64_t ordinal);
/* A message that the agent listens to. */
void law_agent_hears(struct sim_world *world, uint32_t agent, const struct message *message);
void law_agent_ready(struct sim_world *world, uint32_t agent, const struct agent_ready *ready);
/* Nobody counts what the agent says on it any more. */
void law_session_over(struct sim_world *world, uint32_t agent, uint64_t session);
void law_prepared(struct sim_world *world, struct sim_attempt *attempt);
void law_ended(struct sim_world *world, struct sim_attempt *attempt, bool commit);
/* Its effects came (1), were taken back with a lost tail (-1), or neither (0): C1 and K1 hold now. */
void law_rows(struct sim_world *world, struct sim_database *database,
              const struct sim_attempt *attempt, int effects);
bool law_names(const struct sim_truth *truth, const struct gid *gid);
/* Of the transaction that is shown: of an accepted request its run. */
const struct gtrid *law_view_gtrid(const struct txn_view *view);
/* Could anybody have told a coordinator without the record that this was decided? */
bool law_is_witnessed(const struct sim_world *world, const struct sim_truth *truth);
bool law_is_reported(const struct sim_truth *truth, uint32_t database);
const char *law_say_gtrid(const struct gtrid *gtrid); /* until it is called again */
uint32_t law_database(const struct sim_world *world, const char *participant);
uint32_t law_identity(const struct sim_world *world, const struct journal_id *id);

/* judge.c */
bool judge_rows_stay(
    const struct sim_world *world); /* prepared, and nobody may touch them without a person */
bool judge_is_quiet(struct sim_world *world, char ret_why[SIM_TEXT_SIZE]);
/* Nothing is prepared any more, but what a person must decide and what was prepared just now. */
bool judge_is_unlocked(const struct sim_world *world, char ret_why[SIM_TEXT_SIZE]);
void judge_end(struct sim_world *world);

/* trace.c */
void trace_say(struct sim_world *world, uint32_t lane, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trace_arrow(struct sim_world *world, uint32_t from, uint32_t to, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* trace_words.c: text, filled, or a constant. */
#define TRACE_WORDS_SIZE 80

const char *trace_message_words(const struct message *message, char text[TRACE_WORDS_SIZE]);
const char *trace_record_words(const struct record *record, char text[TRACE_WORDS_SIZE]);
const char *trace_answer_words(enum api_status status, bool is_submission);

#define TRACE(world, ...)                                                                          \
    do {                                                                                           \
        if (__builtin_expect((world)->options.trace != NULL, 0)) {                                 \
            trace_say((world), __VA_ARGS__);                                                       \
        }                                                                                          \
    } while (0)
#define ARROW(world, ...)                                                                          \
    do {                                                                                           \
        if (__builtin_expect((world)->options.trace != NULL, 0)) {                                 \
            trace_arrow((world), __VA_ARGS__);                                                     \
        }                                                                                          \
    } while (0)

#define LANE_CLIENT      0
#define LANE_COORD(c)    (1 + 2 * (c))
#define LANE_JOURNAL(c)  (2 + 2 * (c))
#define LANE_AGENT(a)    (1 + 2 * SIM_COORDS + 2 * ((a) % SIM_DATABASES))
#define LANE_DATABASE(d) (2 + 2 * SIM_COORDS + 2 * (d))
#define LANE_COUNT       (1 + 2 * SIM_COORDS + 2 * SIM_DATABASES)

#endif

/*
 * honest_scripts.c - what is done to the model and to the server, and what both must say. See honest.h.
 *
 * In a pipeline an error makes the server skip the rest, so by itself this edge never has PREPARE answered with the tag
 * ROLLBACK; honest_wire.h makes the block fail behind its back, and the server then says it in earnest (P-3).
 */
#include "tests/spec/honest.h"

static const struct honest_op commit_and_rollback[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = 5, .is_split = true,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "prepared"},
    {HONEST_SCAN, .says = "1 2"},
    {HONEST_LOOK, .gid = 1, .says = "1"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_ROLLBACK, .gid = 2, .says = "ok ROLLBACK PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .fence = true, .says = "absent"},
    {HONEST_ROLLBACK, .gid = 2, .says = "not found"},
    {HONEST_COMMIT, .gid = 3, .says = "not found"}, /* nobody ever heard of it */
    {HONEST_PROVE_COMMIT, .gid = 3, .fence = true, .says = "absent"},
    {HONEST_LOOK, .gid = 2, .says = "not found"},
    {HONEST_SCAN, .says = ""},
    {0},
};

static const struct honest_op by_xid[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = 5, .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_ROLLBACK, .gid = 2, .says = "ok ROLLBACK PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .says = "absent"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "absent"},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .fence = true, .says = "absent"}, /* no vote was seen */
    {HONEST_PROVE_COMMIT, .gid = 3, .says = "absent"},
    {HONEST_AUDIT, .gid = 1, .count = 2, .by_vote = true, .says = "committed lost"},
    {HONEST_AGENT_DIES},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_PROMOTE, .says = "history changed, next timeline"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "cannot tell"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .says = "cannot tell"},
    {HONEST_AUDIT, .gid = 1, .count = 2, .by_vote = true, .says = "unknown unknown"},
    {HONEST_EXECUTE, .gid = 4, .account = 4, .amount = 1, .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 4, .by_vote = true, .says = "committed"},
    {0},
};

static const struct honest_op read_only[] = {
    {HONEST_EXECUTE, .gid = 1, .is_read_only = true, .says = "read-only ROLLBACK"},
    {HONEST_EXECUTE, .gid = 2, .is_read_only = true, .is_serializable = true,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 3, .is_serializable = true, .account = 3, .amount = 1,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_SCAN, .says = "2 3"},
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_COMMIT, .gid = 2, .says = "absent"}, /* it has no row */
    {HONEST_ROLLBACK, .gid = 3, .says = "ok ROLLBACK PREPARED"},
    {0},
};

static const struct honest_op failing_statements[] = {
    {HONEST_EXECUTE, .gid = 1, .flaw = FLAW_CONSTRAINT, .says = "no constraint 23505"},
    {HONEST_EXECUTE, .gid = 2, .flaw = FLAW_SERIALIZATION, .says = "no serialization 40001"},
    {HONEST_EXECUTE, .gid = 3, .flaw = FLAW_DEADLOCK, .says = "no deadlock 40P01"},
    {HONEST_EXECUTE, .gid = 4, .flaw = FLAW_STATEMENT, .says = "no statement_failed 42P01"},
    {HONEST_EXECUTE, .gid = 5, .flaw = FLAW_NOT_PREPARABLE, .says = "no not_preparable 0A000"},
    {HONEST_EXECUTE, .gid = 6, .account = 6, .amount = -2000, .says = "no constraint 23514"},
    {HONEST_EXECUTE, .gid = 7, .account = 7, .amount = -2000, .is_split = true,
     .says = "no row_count"},
    {HONEST_SCAN, .says = ""},
    {HONEST_PROVE_ROLLBACK, .gid = 1, .fence = true, .says = "absent"},
    {HONEST_EXECUTE, .gid = 11, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_LOOK, .gid = 1, .says = "11"}, /* another attempt of the same transaction */
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_COMMIT, .gid = 11, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 1, .says = "absent"},
    {0},
};

/* No error is told, and nothing is prepared: only the tag says so. */
static const struct honest_op failed_blocks[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10, .flaw = FLAW_FAILED_BLOCK,
     .says = "no statement_failed ROLLBACK"},
    {HONEST_SCAN, .says = ""},
    {HONEST_LOOK, .gid = 1, .says = "not found"},
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 1, .fence = true, .says = "absent"},
    {HONEST_EXECUTE, .gid = 2, .account = 1, .amount = -10, .is_split = true,
     .flaw = FLAW_FAILED_BLOCK, .says = "no statement_failed ROLLBACK"},
    {HONEST_EXECUTE, .gid = 11, .account = 1, .amount = -3, /* its row is free again */
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_SCAN, .says = "11"},
    {HONEST_COMMIT, .gid = 11, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 1, .says = "absent"},
    {0},
};

static const struct honest_op row_conflicts[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 1, .amount = 1, .timeout_ms = 800,
     .says = "no lock_timeout 55P03"},
    {HONEST_EXECUTE, .gid = 3, .account = 1, .amount = 1, .timeout_ms = 800, .is_split = true,
     .says = "no lock_timeout 55P03"},
    {HONEST_BEGIN, .gid = 4, .account = 1, .amount = -7},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_ANSWER, .gid = 4, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_BEGIN, .gid = 5, .account = 1, .amount = -985, .is_split = true},
    {HONEST_BEGIN, .gid = 6, .account = 1, .amount = 100},
    {HONEST_CANCEL, .gid = 6},
    {HONEST_ANSWER, .gid = 6, .says = "no rolled_back_by_client 57014"},
    /* What is too little already waits for nobody: its WHERE finds no row. */
    {HONEST_EXECUTE, .gid = 7, .account = 1, .amount = -991, .is_split = true,
     .says = "no row_count"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_ANSWER, .gid = 5, .says = "no row_count"}, /* it sees what was committed meanwhile */
    {HONEST_SCAN, .says = ""},
    {0},
};

static const struct honest_op fence[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_BEGIN, .gid = 2, .account = 1, .amount = 1},
    {HONEST_LOOK, .gid = 2, .says = "not found"},
    {HONEST_ANSWER, .gid = 2, .says = "no participant_unavailable 57P01"},
    {HONEST_BEGIN, .gid = 3, .account = 1, .amount = 1, .is_split = true},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .fence = true, .says = "absent"},
    {HONEST_ANSWER, .gid = 3, .says = "no participant_unavailable 57P01"},
    {HONEST_BEGIN, .gid = 4, .account = 1, .amount = 1},
    {HONEST_LOOK, .gid = 5, .says = "not found"}, /* others are spared */
    {HONEST_ROLLBACK, .gid = 1, .says = "ok ROLLBACK PREPARED"},
    {HONEST_ANSWER, .gid = 4, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {0},
};

static const struct honest_op late_prepare[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_BEGIN, .gid = 2, .account = 1, .amount = 1},
    {HONEST_AGENT_DIES},
    {HONEST_SCAN, .says = "1"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .says = "absent"}, /* without a fence that is not the end */
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_AWAIT_PREPARED, .gid = 2},
    {HONEST_LOOK, .gid = 2, .says = "2"},
    {HONEST_BEGIN, .gid = 3, .account = 1, .amount = 1},
    {HONEST_BEGIN, .gid = 4, .account = 1, .amount = 1, .is_split = true},
    {HONEST_AGENT_DIES},
    {HONEST_LOOK, .gid = 3, .says = "not found"}, /* it ended everybody of before */
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 4, .fence = true, .says = "absent"},
    {HONEST_SCAN, .says = ""},
    {0},
};

static const struct honest_op slots[] = {
    {HONEST_FOREIGN, .gid = 9, .foreign = FOREIGN_OTHER},
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 4, .account = 4, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 5, .account = 5, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 6, .account = 6, .amount = 1, .says = "no capacity 53200"},
    {HONEST_EXECUTE, .gid = 7, .account = 6, .amount = 1, .is_split = true,
     .says = "no capacity 53200"},
    {HONEST_EXECUTE, .gid = 8, .account = 6, .is_read_only = true, .says = "read-only ROLLBACK"},
    {HONEST_EXECUTE, .gid = 1, .account = 6, .amount = 1, .says = "no statement_failed 42710"},
    {HONEST_ROLLBACK, .gid = 5, .says = "ok ROLLBACK PREPARED"},
    {HONEST_EXECUTE, .gid = 16, .account = 6, .amount = 1,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_SCAN, .says = "1 16 2 3 4"},
    {0},
};

static const struct honest_op gid_in_use[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 1, .account = 2, .amount = -10, .says = "no statement_failed 42710"},
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10, .timeout_ms = 800,
     .says = "no lock_timeout 55P03"},
    {HONEST_LOOK, .gid = 1, .says = "1"},
    {HONEST_HUMAN_HOLDS, .gid = 1},
    {HONEST_COMMIT, .gid = 1, .says = "again"}, /* busy: another backend is at it */
    {HONEST_ROLLBACK, .gid = 1, .says = "again"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "prepared"},
    {HONEST_SCAN, .says = "1"},
    {HONEST_HUMAN_LETS_GO, .gid = 1},
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {0},
};

static const struct honest_op standby[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10, .standby_is_away = true,
     .says = "unknown participant_unavailable PREPARE TRANSACTION"},
    {HONEST_LOOK, .gid = 1, .says = "1"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 2, .standby_is_away = true, .says = "again COMMIT PREPARED"},
    {HONEST_COMMIT, .gid = 2, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .standby_is_away = true, .says = "again"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_COMMIT, .gid = 1, .standby_is_away = true, .says = "prepared"},
    {HONEST_ROLLBACK, .gid = 1, .says = "ok ROLLBACK PREPARED"},
    {0},
};

static const struct honest_op humans[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_HUMAN_ROLLBACK, .gid = 1},
    {HONEST_COMMIT, .gid = 1, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .fence = true, .says = "absent"},
    {HONEST_HUMAN_COMMIT, .gid = 2},
    {HONEST_ROLLBACK, .gid = 2, .says = "not found"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .says = "committed"},
    {HONEST_AUDIT, .gid = 1, .count = 2, .says = "lost committed"},
    {0},
};

static const struct honest_op strangers[] = {
    {HONEST_FOREIGN, .gid = 1, .foreign = FOREIGN_OTHER},
    {HONEST_FOREIGN, .gid = 2, .foreign = FOREIGN_PREFIX},
    {HONEST_FOREIGN, .gid = 3, .foreign = FOREIGN_NEIGHBOUR},
    {HONEST_FOREIGN, .gid = 4, .foreign = FOREIGN_JOURNAL},
    {HONEST_FOREIGN, .gid = 5, .foreign = FOREIGN_LIKE_OURS},
    {HONEST_FOREIGN, .gid = 6, .foreign = FOREIGN_LIKE_OURS, .is_elsewhere = true},
    {HONEST_SCAN, .says = "5 assent:old-2 journal-4 neighbour-3 elsewhere 6"},
    {HONEST_LOOK, .gid = 3, .says = "not found"},
    {HONEST_LOOK, .gid = 4, .says = "not found"},
    {HONEST_LOOK, .gid = 5, .says = "5"},
    {HONEST_LOOK, .gid = 6, .says = "not found"},
    {HONEST_COMMIT, .gid = 3, .says = "not found"},
    {HONEST_COMMIT, .gid = 5, .says = "refused"}, /* another role's */
    {HONEST_ROLLBACK, .gid = 5, .says = "refused"},
    {HONEST_COMMIT, .gid = 6, .says = "refused"}, /* another database's */
    {HONEST_ROLLBACK, .gid = 6, .says = "refused"},
    {HONEST_PROVE_ROLLBACK, .gid = 5, .says = "prepared"},
    {HONEST_AUDIT, .gid = 4, .count = 2, .says = "lost prepared"},
    {0},
};

static const struct honest_op witness[] = {
    {HONEST_LOAD, .says = "epoch 0/0 head 0/0 floor 0/0 first 0 at "},
    {HONEST_STORE, .epoch = 3, .nonce = 5, .head = 10, .says = "ok"},
    {HONEST_LOAD, .says = "epoch 3/5 head 10/10 floor 0/0 first 0 at tcp://coordinator:3"},
    {HONEST_STORE, .epoch = 2, .nonce = 9, .head = 99, .says = "refused"}, /* an older epoch */
    {HONEST_STORE, .epoch = 3, .nonce = 6, .head = 99, .says = "refused"}, /* a copied journal */
    {HONEST_LOAD, .says = "epoch 3/5 head 10/10 floor 0/0 first 0 at tcp://coordinator:3"},
    {HONEST_STORE, .epoch = 3, .nonce = 5, .head = 8, .floor_epoch = 2, .floor_sequence = 4,
     .floor_first = 6, .says = "ok"},
    {HONEST_LOAD, .says = "epoch 3/5 head 10/10 floor 2/4 first 6 at tcp://coordinator:3"},
    {HONEST_STORE, .epoch = 4, .nonce = 1, .head = 7, .floor_epoch = 1, .floor_sequence = 9,
     .floor_first = 2, .says = "ok"},
    {HONEST_LOAD, .says = "epoch 4/1 head 7/7 floor 2/4 first 6 at tcp://coordinator:4"},
    {0},
};

static const struct honest_op floors[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_ROLLBACK, .gid = 3, .says = "ok ROLLBACK PREPARED"},
    {HONEST_AUDIT, .gid = 1, .count = 4, .says = "committed committed lost lost"},
    {HONEST_ROTATE, .says = "ok"}, /* no floor: everything stays */
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_STORE, .epoch = 7, .nonce = 0x77, .head = 9, .floor_epoch = 7, .floor_sequence = 3,
     .floor_first = 4, .says = "ok"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_COMMIT, .gid = 3, .by_vote = true, .says = "cannot tell"},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .by_vote = true, .says = "absent"},
    {HONEST_AUDIT, .gid = 1, .count = 4, .says = "committed committed unknown lost"},
    {HONEST_ROTATE, .says = "ok"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "cannot tell"},
    {HONEST_PROVE_ROLLBACK, .gid = 1, .by_vote = true, .says = "absent"},
    {HONEST_AUDIT, .gid = 1, .count = 4, .says = "unknown unknown unknown lost"},
    {HONEST_EXECUTE, .gid = 4, .account = 4, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 4, .by_vote = true, .says = "committed"},
    {0},
};

static const struct honest_op crash[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_BEGIN, .gid = 4, .account = 2, .amount = 1},
    {HONEST_CRASH, .says = "same history"},
    {HONEST_ANSWER, .gid = 4, .says = "unknown participant_unavailable"},
    {HONEST_LOOK, .gid = 4, .says = "not found"},
    {HONEST_SCAN, .says = "2 3"},
    {HONEST_EXECUTE, .gid = 5, .account = 2, .amount = 1, .timeout_ms = 800, /* still locked */
     .says = "no lock_timeout 55P03"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_ROLLBACK, .gid = 3, .says = "ok ROLLBACK PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_AGENT_DIES},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_AUDIT, .gid = 1, .count = 3, .by_vote = true, .says = "committed committed lost"},
    {0},
};

static const struct honest_op set_back[] = {
    {HONEST_STORE, .epoch = 7, .nonce = 1, .head = 3, .says = "ok"},
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 6, .account = 6, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_COPY, .says = "same history"},
    {HONEST_STORE, .epoch = 8, .nonce = 2, .head = 4, .says = "ok"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_ROLLBACK, .gid = 6, .says = "ok ROLLBACK PREPARED"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 4, .account = 4, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 3, .says = "ok COMMIT PREPARED"},
    {HONEST_AUDIT, .gid = 1, .count = 3, .says = "committed committed committed"},
    {HONEST_RESTORE, .says = "history changed"},
    {HONEST_LOAD, .says = "epoch 7/1 head 3/3 floor 0/0 first 0 at tcp://coordinator:7"},
    {HONEST_SCAN, .says = "2 6"},
    {HONEST_AUDIT, .gid = 1, .count = 4, .by_vote = true, .says = "committed prepared lost lost"},
    {HONEST_PROVE_COMMIT, .gid = 3, .by_vote = true, .says = "absent"},
    {HONEST_COMMIT, .gid = 4, .says = "not found"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_ROLLBACK, .gid = 6, .says = "ok ROLLBACK PREPARED"},
    {HONEST_EXECUTE, .gid = 5, .account = 3, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 5, .says = "ok COMMIT PREPARED"},
    {0},
};

static const struct honest_op set_back_by_xid[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_COPY, .says = "same history"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_RESTORE, .says = "history changed"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = -10,
     .says = "yes by xid PREPARE TRANSACTION"}, /* the same xid */
    {HONEST_COMMIT, .gid = 3, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "cannot tell"},
    /* Its position was written once before, in what was lost. */
    {HONEST_PROVE_COMMIT, .gid = 3, .by_vote = true, .says = "cannot tell"},
    {HONEST_AUDIT, .gid = 1, .count = 3, .by_vote = true, .says = "committed unknown unknown"},
    /* Set back while no agent looks: the same xid a third time, this time given by a process that knows of no loss. */
    {HONEST_RESTORE, .agent_is_away = true},
    {HONEST_EXECUTE, .gid = 4, .account = 4, .amount = -10,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 4, .by_vote = true, .says = "committed"},
    {HONEST_PROVE_COMMIT, .gid = 2, .by_vote = true, .says = "cannot tell"},
    {HONEST_PROVE_COMMIT, .gid = 3, .by_vote = true, .says = "cannot tell"},
    {HONEST_AUDIT, .gid = 1, .count = 4, .by_vote = true,
     .says = "committed unknown unknown committed"},
    {0},
};

static const struct honest_op promotion[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_PROMOTE, .says = "history changed, next timeline"},
    {HONEST_SCAN, .says = "2"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_AUDIT, .gid = 1, .count = 2, .by_vote = true, .says = "committed prepared"},
    {HONEST_COMMIT, .gid = 2, .says = "ok COMMIT PREPARED"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 3, .says = "ok COMMIT PREPARED"},
    {0},
};

/* P-22: statement by statement on one connection, which is never another one. */
static const struct honest_op spoken[] = {
    {HONEST_SAY, .gid = 1, .account = 1, .amount = -10, .says = "open"},
    {HONEST_SAY, .gid = 1, .account = 2, .amount = 5, .says = "open"},
    {HONEST_SAY, .gid = 1, .says = "open"}, /* only looks */
    {HONEST_SCAN, .says = ""},
    {HONEST_EXECUTE, .gid = 2, .account = 2, .amount = 1, .timeout_ms = 800,
     .says = "no lock_timeout 55P03"}, /* what is open is locked */
    {HONEST_PREPARE, .gid = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_SAY, .gid = 1, .says = "no participant_unavailable"}, /* its connection is free again */
    {HONEST_PREPARE, .gid = 1, .says = "no participant_unavailable"},
    {HONEST_CLOSE, .gid = 1, .says = "ok"}, /* what is gone is closed */
    {HONEST_SCAN, .says = "1"},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_SAY, .gid = 3, .account = 3, .amount = -10, .says = "open"},
    {HONEST_CLOSE, .gid = 3, .says = "ok"},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .fence = true, .says = "absent"},
    {HONEST_PREPARE, .gid = 3, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 4, .is_read_only = true, .says = "open"},
    {HONEST_PREPARE, .gid = 4, .is_read_only = true, .says = "read-only ROLLBACK"},
    {HONEST_SAY, .gid = 5, .is_read_only = true, .is_serializable = true, .says = "open"},
    {HONEST_PREPARE, .gid = 5, .is_read_only = true, .is_serializable = true,
     .says = "yes by xid PREPARE TRANSACTION"},
    {HONEST_ROLLBACK, .gid = 5, .says = "ok ROLLBACK PREPARED"},
    {HONEST_EXECUTE, .gid = 6, .account = 3, .amount = 1, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_ROLLBACK, .gid = 6, .says = "ok ROLLBACK PREPARED"},
    {0},
};

/* A statement that fails is the end of its branch, and of its locks. */
static const struct honest_op spoken_in_vain[] = {
    {HONEST_SAY, .gid = 1, .account = 1, .amount = -10, .says = "open"},
    {HONEST_SAY, .gid = 1, .flaw = FLAW_CONSTRAINT, .says = "no constraint 23505"},
    {HONEST_SAY, .gid = 1, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 2, .account = 1, .amount = -10, .says = "open"},
    {HONEST_SAY, .gid = 2, .flaw = FLAW_SERIALIZATION, .says = "no serialization 40001"},
    {HONEST_SAY, .gid = 3, .account = 1, .amount = -10, .says = "open"},
    {HONEST_SAY, .gid = 3, .flaw = FLAW_DEADLOCK, .says = "no deadlock 40P01"},
    {HONEST_PREPARE, .gid = 3, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 4, .flaw = FLAW_STATEMENT, .says = "no statement_failed 42P01"},
    {HONEST_SAY, .gid = 5, .account = 1, .amount = -2000, .says = "no constraint 23514"},
    {HONEST_SAY, .gid = 6, .account = 1, .amount = -10, .says = "open"},
    {HONEST_PREPARE, .gid = 6, .flaw = FLAW_FAILED_BLOCK, .says = "no statement_failed ROLLBACK"},
    {HONEST_SAY, .gid = 7, .account = 1, .amount = -10, .says = "open"},
    {HONEST_PREPARE, .gid = 7, .standby_is_away = true,
     .says = "unknown participant_unavailable PREPARE TRANSACTION"},
    {HONEST_LOOK, .gid = 7, .says = "7"},
    {HONEST_ROLLBACK, .gid = 7, .says = "ok ROLLBACK PREPARED"},
    {HONEST_SCAN, .says = ""},
    {0},
};

/* Statements that wait for a row: until its time is over, until they are cancelled, until they get it. */
static const struct honest_op spoken_and_waiting[] = {
    {HONEST_EXECUTE, .gid = 1, .account = 1, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_SAY, .gid = 2, .account = 2, .amount = 1, .says = "open"},
    {HONEST_SAY, .gid = 2, .account = 1, .amount = 1, .timeout_ms = 800,
     .says = "no lock_timeout 55P03"},
    {HONEST_SAY, .gid = 3, .account = 2, .amount = 1, .says = "open"}, /* free again */
    {HONEST_SAY_BEGIN, .gid = 3, .account = 1, .amount = 1},
    {HONEST_CANCEL, .gid = 3},
    {HONEST_ANSWER, .gid = 3, .says = "no rolled_back_by_client 57014"},
    {HONEST_SAY, .gid = 4, .account = 2, .amount = 1, .says = "open"},
    {HONEST_CANCEL, .gid = 4}, /* nothing runs that it could end, and what comes is not meant */
    {HONEST_SAY, .gid = 4, .says = "open"},
    {HONEST_SAY_BEGIN, .gid = 4, .account = 1, .amount = 2},
    {HONEST_COMMIT, .gid = 1, .says = "ok COMMIT PREPARED"},
    {HONEST_ANSWER, .gid = 4, .says = "open"},
    {HONEST_PREPARE, .gid = 4, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_SAY, .gid = 5, .account = 1, .amount = 1, .says = "open"},
    {HONEST_SAY_BEGIN, .gid = 6, .account = 1, .amount = 1},
    {HONEST_LOOK, .gid = 6, .says = "not found"}, /* the fence ends the branch's own backend */
    {HONEST_ANSWER, .gid = 6, .says = "no participant_unavailable 57P01"},
    {HONEST_SAY, .gid = 5, .says = "open"}, /* others are spared */
    {HONEST_CLOSE, .gid = 5, .says = "ok"},
    {0},
};

/* What ends an open branch without its agent: the server's limit, which client SQL cannot lift, a person, a crash; and the agent's own
 * death. Each frees its locks, and nobody goes on with it. */
static const struct honest_op spoken_and_lost[] = {
    {HONEST_SAY, .gid = 1, .account = 1, .amount = -10, .timeout_ms = 1500, .says = "open"},
    {HONEST_AWAIT_GONE, .gid = 1},
    {HONEST_SAY, .gid = 1, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 2, .account = 1, .amount = -10, .timeout_ms = 1500, .says = "open"},
    {HONEST_SAY, .gid = 2, .flaw = FLAW_IDLE_FOR_EVER, .timeout_ms = 1500, .says = "open"},
    {HONEST_AWAIT_GONE, .gid = 2},
    {HONEST_SAY, .gid = 2, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 3, .account = 1, .amount = -10, .says = "open"},
    {HONEST_HUMAN_ENDS, .gid = 3},
    {HONEST_SAY, .gid = 3, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 4, .account = 1, .amount = -10, .says = "open"},
    {HONEST_CRASH, .says = "same history"},
    {HONEST_SAY, .gid = 4, .says = "no participant_unavailable"},
    {HONEST_PREPARE, .gid = 4, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 5, .account = 1, .amount = -10, .says = "open"},
    {HONEST_AGENT_DIES},
    {HONEST_SAY, .gid = 5, .says = "no participant_unavailable"},
    {HONEST_SAY, .gid = 6, .account = 1, .amount = -10, .says = "open"},
    {HONEST_PREPARE, .gid = 6, .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_CRASH, .says = "same history"}, /* and what is prepared stays */
    {HONEST_SCAN, .says = "6"},
    {HONEST_COMMIT, .gid = 6, .says = "ok COMMIT PREPARED"},
    {HONEST_SCAN, .says = ""},
    {0},
};

/* What an application prepares in a role that the agent is a member of: looked at, and finished as that role. */
static const struct honest_op applications[] = {
    {HONEST_VERIFY, .gid = 1, .says = "no not_preparable"}, /* not yet */
    {HONEST_APPLICATION, .gid = 1, .account = 1, .amount = -10, .says = "prepared"},
    {HONEST_APPLICATION, .gid = 1, .account = 2, .amount = -10, .says = "failed"}, /* in use */
    {HONEST_APPLICATION, .gid = 2, .account = 1, .amount = -10, .says = "failed"}, /* locked */
    {HONEST_APPLICATION, .gid = 2, .account = 2, .amount = -2000, .says = "failed"},
    {HONEST_VERIFY, .gid = 2, .says = "no not_preparable"},
    {HONEST_VERIFY, .gid = 1, .is_late = true, .says = "unknown timeout"},
    {HONEST_VERIFY, .gid = 1, .says = "yes, of application"},
    {HONEST_VERIFY, .gid = 1, .by_vote = true, .says = "yes, of application"},
    {HONEST_EXECUTE, .gid = 3, .account = 1, .amount = 1, .timeout_ms = 800,
     .says = "no lock_timeout 55P03"},
    {HONEST_LOOK, .gid = 1, .says = "1"},
    {HONEST_SCAN, .says = "1"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "prepared"},
    {HONEST_AUDIT, .gid = 1, .count = 1, .by_vote = true, .says = "prepared"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .says = "ok COMMIT PREPARED"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_AUDIT, .gid = 1, .count = 1, .by_vote = true, .says = "committed"},
    {HONEST_VERIFY, .gid = 1, .says = "no not_preparable"}, /* no more */
    {HONEST_APPLICATION, .gid = 2, .account = 2, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 2, .says = "yes, of application"},
    {HONEST_ROLLBACK, .gid = 2, .by_vote = true, .says = "ok ROLLBACK PREPARED"},
    {HONEST_ROLLBACK, .gid = 2, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .says = "absent"},
    {HONEST_AUDIT, .gid = 2, .count = 1, .by_vote = true, .says = "lost"},
    /* Nobody has voted: whatever is there goes. */
    {HONEST_APPLICATION, .gid = 3, .account = 3, .amount = -10, .says = "prepared"},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .is_external = true, .says = "prepared"},
    {HONEST_ROLLBACK, .gid = 3, .is_external = true, .says = "ok ROLLBACK PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 3, .is_external = true, .says = "absent"},
    /* Nor is it known to be an application's: the role is taken all the same. */
    {HONEST_APPLICATION, .gid = 4, .account = 4, .amount = -10, .says = "prepared"},
    {HONEST_COMMIT, .gid = 4, .says = "ok COMMIT PREPARED"},
    {HONEST_APPLICATION, .gid = 5, .account = 5, .amount = -10, .says = "prepared"},
    {HONEST_ROLLBACK, .gid = 5, .says = "ok ROLLBACK PREPARED"},
    {0},
};

/* What is not ours to finish: of a role that the agent is no member of, of the agent's own, a stranger's, in another database. */
static const struct honest_op applications_denied[] = {
    {HONEST_APPLICATION, .gid = 1, .account = 1, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 1, .says = "yes, of application"},
    {HONEST_REVOKE},
    {HONEST_APPLICATION, .gid = 2, .account = 2, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 1, .says = "no rejected_by_policy"},
    {HONEST_VERIFY, .gid = 2, .says = "no rejected_by_policy"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .says = "refused"}, /* decided, and waits */
    {HONEST_COMMIT, .gid = 1, .is_external = true, .says = "refused"},
    {HONEST_COMMIT, .gid = 1, .says = "refused"},
    {HONEST_ROLLBACK, .gid = 1, .is_external = true, .says = "refused"},
    {HONEST_ROLLBACK, .gid = 1, .says = "refused"},
    {HONEST_PROVE_ROLLBACK, .gid = 1, .is_external = true, .says = "prepared"},
    {HONEST_SCAN, .says = "1 2"},
    {HONEST_EXECUTE, .gid = 3, .account = 3, .amount = -10,
     .says = "yes by row PREPARE TRANSACTION"},
    {HONEST_VERIFY, .gid = 3, .says = "no rejected_by_policy"},
    {HONEST_ROLLBACK, .gid = 3, .is_external = true, .says = "ok ROLLBACK PREPARED"},
    {HONEST_FOREIGN, .gid = 4, .foreign = FOREIGN_LIKE_OURS},
    {HONEST_VERIFY, .gid = 4, .says = "no rejected_by_policy"},
    {HONEST_ROLLBACK, .gid = 4, .is_external = true, .says = "refused"},
    {HONEST_FOREIGN, .gid = 5, .foreign = FOREIGN_LIKE_OURS, .is_elsewhere = true},
    {HONEST_VERIFY, .gid = 5, .says = "no not_preparable"},
    {HONEST_COMMIT, .gid = 5, .is_external = true, .says = "not found"},
    {HONEST_ROLLBACK, .gid = 5, .is_external = true, .says = "not found"},
    {HONEST_PROVE_ROLLBACK, .gid = 5, .is_external = true, .says = "absent"},
    {HONEST_HUMAN_HOLDS, .gid = 2},
    {HONEST_COMMIT, .gid = 2, .is_external = true, .says = "refused"}, /* busy or not */
    {HONEST_HUMAN_LETS_GO, .gid = 2},
    {HONEST_GRANT},
    {HONEST_VERIFY, .gid = 1, .by_vote = true, .says = "yes, of application"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .says = "ok COMMIT PREPARED"},
    {0},
};

/* What happens to it between the look and the end. */
static const struct honest_op applications_disturbed[] = {
    {HONEST_APPLICATION, .gid = 1, .account = 1, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 1, .standby_is_away = true,
     .says = "unknown participant_unavailable"}, /* there, and not known on the standby */
    {HONEST_VERIFY, .gid = 1, .says = "yes, of application"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .standby_is_away = true,
     .says = "again COMMIT PREPARED"},
    {HONEST_COMMIT, .gid = 1, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 1, .by_vote = true, .says = "committed"},
    {HONEST_APPLICATION, .gid = 2, .account = 2, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 2, .says = "yes, of application"},
    {HONEST_HUMAN_HOLDS, .gid = 2},
    {HONEST_VERIFY, .gid = 2, .by_vote = true, .says = "yes, of application"}, /* still seen */
    {HONEST_COMMIT, .gid = 2, .by_vote = true, .says = "again"},
    {HONEST_ROLLBACK, .gid = 2, .by_vote = true, .says = "again"},
    {HONEST_ROLLBACK, .gid = 2, .is_external = true, .says = "again"},
    {HONEST_HUMAN_LETS_GO, .gid = 2},
    {HONEST_ROLLBACK, .gid = 2, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_ROLLBACK, .gid = 2, .by_vote = true, .says = "committed"},
    {HONEST_VERIFY, .gid = 2, .says = "no not_preparable"},
    /* The application changes its mind, and prepares something else under the same name (P-20). */
    {HONEST_APPLICATION, .gid = 3, .account = 3, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 3, .says = "yes, of application"},
    {HONEST_HUMAN_ROLLBACK, .gid = 3},
    {HONEST_APPLICATION, .gid = 3, .account = 4, .amount = -5, .says = "prepared"},
    {HONEST_COMMIT, .gid = 3, .by_vote = true, .says = "not found but another ROLLBACK PREPARED"},
    {HONEST_COMMIT, .gid = 3, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 3, .by_vote = true, .says = "absent"},
    {HONEST_APPLICATION, .gid = 4, .account = 4, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 4, .says = "yes, of application"},
    {HONEST_HUMAN_COMMIT, .gid = 4},
    {HONEST_APPLICATION, .gid = 4, .account = 5, .amount = -5, .says = "prepared"},
    {HONEST_ROLLBACK, .gid = 4, .by_vote = true, .says = "not found but another ROLLBACK PREPARED"},
    {HONEST_PROVE_ROLLBACK, .gid = 4, .by_vote = true, .says = "committed"},
    /* Deaths. */
    {HONEST_APPLICATION, .gid = 5, .account = 5, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 5, .says = "yes, of application"},
    {HONEST_CRASH, .says = "same history"},
    {HONEST_VERIFY, .gid = 5, .by_vote = true, .says = "yes, of application"},
    {HONEST_AGENT_DIES},
    {HONEST_VERIFY, .gid = 5, .by_vote = true, .says = "yes, of application"},
    {HONEST_COMMIT, .gid = 5, .by_vote = true, .says = "ok COMMIT PREPARED"},
    {HONEST_AGENT_DIES},
    {HONEST_PROVE_COMMIT, .gid = 5, .by_vote = true, .says = "committed"},
    {HONEST_APPLICATION, .gid = 6, .account = 6, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 6, .says = "yes, of application"},
    {HONEST_COPY, .says = "same history"},
    {HONEST_COMMIT, .gid = 6, .by_vote = true, .says = "ok COMMIT PREPARED"},
    {HONEST_APPLICATION, .gid = 7, .account = 7, .amount = -10, .says = "prepared"},
    {HONEST_VERIFY, .gid = 7, .says = "yes, of application"},
    {HONEST_RESTORE, .says = "history changed"},
    {HONEST_VERIFY, .gid = 7, .says = "no not_preparable"},
    {HONEST_COMMIT, .gid = 7, .by_vote = true, .says = "not found"},
    {HONEST_PROVE_COMMIT, .gid = 7, .by_vote = true, .says = "cannot tell"},
    {HONEST_COMMIT, .gid = 6, .by_vote = true, .says = "ok COMMIT PREPARED"}, /* once more */
    {0},
};

const struct honest_script honest_scripts[] = {
    {"applications", PROOF_ROW, applications, "1=990 4=990 | prepared | rows"},
    {"applications that are denied", PROOF_ROW, applications_denied,
     "1=990 2=990 | prepared 4 5 | rows"},
    {"applications that are disturbed", PROOF_ROW, applications_disturbed,
     "1=990 2=990 4=990 5=990 6=990 | prepared | rows"},
    {"commit and rollback", PROOF_ROW, commit_and_rollback, "1=990 | prepared | rows 1"},
    {"statement by statement", PROOF_ROW, spoken, "1=990 2=1005 | prepared | rows 1"},
    {"statements that fail", PROOF_ROW, spoken_in_vain, "- | prepared | rows"},
    {"statements that wait", PROOF_ROW, spoken_and_waiting, "1=992 2=1001 | prepared | rows 1 4"},
    {"open branches that are lost", PROOF_ROW, spoken_and_lost, "1=990 | prepared | rows 6"},
    {"read-only branches", PROOF_ROW, read_only, "- | prepared | rows"},
    {"failing statements", PROOF_ROW, failing_statements, "1=990 | prepared | rows 11"},
    {"failed blocks", PROOF_ROW, failed_blocks, "1=997 | prepared | rows 11"},
    {"row conflicts", PROOF_ROW, row_conflicts, "1=983 | prepared | rows 1 4"},
    {"the fence", PROOF_ROW, fence, "1=1001 | prepared | rows 4"},
    {"late prepares", PROOF_ROW, late_prepare, "1=991 | prepared | rows 1 2"},
    {"slots", PROOF_ROW, slots, "- | prepared 1 16 2 3 4 other-9 | rows"},
    {"a gid in use", PROOF_ROW, gid_in_use, "1=990 | prepared | rows 1"},
    {"no standby", PROOF_ROW, standby, "2=990 | prepared | rows 2"},
    {"a person's hand", PROOF_ROW, humans, "2=990 | prepared | rows 2"},
    {"strangers", PROOF_ROW, strangers,
     "- | prepared 5 6 assent:old-2 journal-4 neighbour-3 other-1 | rows"},
    {"witnesses", PROOF_ROW, witness, "- | prepared | rows"},
    {"floors", PROOF_ROW, floors, "1=990 2=990 4=1001 | prepared | rows 4"},
    {"a crash", PROOF_ROW, crash, "1=990 2=990 | prepared | rows 1 2"},
    {"set back to a copy", PROOF_ROW, set_back, "1=990 2=990 3=1001 | prepared | rows 1 2 5"},
    {"set back, proof by xid", PROOF_XID, set_back_by_xid, "1=990 4=990 | prepared | rows"},
    {"promotion", PROOF_ROW, promotion, "1=990 2=990 3=1001 | prepared | rows 1 2 3"},
    {"proof by xid", PROOF_XID, by_xid, "1=990 4=1001 | prepared | rows"},
};
const size_t honest_script_count = sizeof honest_scripts / sizeof honest_scripts[0];

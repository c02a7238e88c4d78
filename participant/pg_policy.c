/*
 * pg_policy.c - the agent's policy (policy.h) over one EXECUTE: what is refused before it is sent, the words that go in
 * front of each statement, and what is looked at when its answer is there.
 *
 * A refusal is a no like any other, before PREPARE. Client SQL can change its role and its statement_timeout with
 * set_config, as PostgreSQL allows that to the session; so both are set anew before each statement.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/pg_execution.h"
#include "participant/pg_guard.h"

void pg_policy_begin(struct execution *x)
{
    struct pg *pg = x->member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    x->policy = policy_hold(pg->policy);
    (void)pthread_mutex_unlock(&pg->mutex);
}

void pg_policy_done(struct execution *x)
{
    free(x->terms);
    policy_release(x->policy);
}

void pg_set_policy(struct pg *pg, struct policy *policy)
{
    (void)pthread_mutex_lock(&pg->mutex);
    struct policy *old = pg->policy;
    pg->policy = policy_hold(policy);
    pg->role_warned = false;
    (void)pthread_mutex_unlock(&pg->mutex);
    policy_release(old);
}

bool pg_policy_admit(struct execution *x, size_t index)
{
    char why[POLICY_TEXT_SIZE];
    if (x->terms == NULL) {
        x->terms = alloc_array(x->work.statement_count, sizeof x->terms[0]);
    }
    struct policy_terms *terms = &x->terms[index];
    if (!policy_admit(x->policy, &x->work.statements[index], terms, why)) {
        return pg_fail_text(x, REASON_REJECTED_BY_POLICY, (int)index, "%s", why);
    }
    x->timed = x->timed || terms->max_time_ms > 0;
    x->split = x->split || terms->max_rows > 0 || x->policy->refuse_ddl;
    return true;
}

bool pg_policy_check_words(struct execution *x, size_t index)
{
    char word[PG_GUARD_WORD_SIZE];
    return !x->policy->refuse_ddl || pg_guard_looks_like_dml(x->work.statements[index].sql, word) ||
           pg_fail_text(x, REASON_REJECTED_BY_POLICY, (int)index,
                        "policy refuse_ddl: %s is not among the commands that this agent runs",
                        word);
}

/* ---- in front of a statement ---- */

#define TIME_WORDS 2 /* that send_time sends */

/* What is shorter: the policy's time, or what the deadline leaves. */
static uint64_t time_ms(const struct execution *x, size_t index)
{
    uint64_t max_ms = index < x->work.statement_count ? x->terms[index].max_time_ms : 0;
    return max_ms > 0 && max_ms < x->limit_ms ? max_ms : x->limit_ms;
}

/* A statement that only waits for somebody else's lock breaks no rule, and may be tried again: lock_timeout comes first and
 * gives its own reason. */
static bool send_time(struct execution *x, size_t index)
{
    char sql[96];
    uint64_t most_ms = time_ms(x, index);
    uint64_t lock_ms = most_ms - (most_ms + 7) / 8;
    lock_ms = lock_ms < x->lock_limit_ms ? lock_ms : x->lock_limit_ms;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %" PRIu64, most_ms);
    bool sent = pg_send_sql(x, sql);
    (void)snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %" PRIu64, lock_ms > 0 ? lock_ms : 1);
    return sent && pg_send_sql(x, sql);
}

/* Quoted as a name, so that it is nothing else whatever it is. */
static bool send_role(struct execution *x)
{
    if (x->policy->role[0] == '\0') {
        return pg_send_sql(x, "SET LOCAL ROLE NONE"); /* what an earlier policy has left */
    }
    char sql[2 * POLICY_NAME_SIZE + 32] = "SET LOCAL ROLE \"";
    size_t size = strlen(sql);
    for (const char *c = x->policy->role; *c != '\0'; c++) {
        sql[size++] = *c;
        if (*c == '"') {
            sql[size++] = *c;
        }
    }
    sql[size++] = '"';
    sql[size] = '\0';
    return pg_send_sql(x, sql);
}

static bool needs_role(const struct execution *x, size_t index)
{
    return (x->policy->role[0] != '\0' || x->role_left) && index < x->work.statement_count;
}

bool pg_policy_leaves_role(const struct execution *x)
{
    return x->policy->role[0] != '\0';
}

bool pg_policy_send(struct execution *x, size_t index)
{
    if (x->timed && !send_time(x, index)) {
        return false;
    }
    return !needs_role(x, index) || send_role(x);
}

int pg_policy_words(const struct execution *x, size_t index)
{
    return (x->timed ? TIME_WORDS : 0) + (needs_role(x, index) ? 1 : 0);
}

int pg_policy_word_index(const struct execution *x, int word)
{
    return x->timed && word < TIME_WORDS ? INDEX_OWN : INDEX_ROLE;
}

/* ---- its answer ---- */

bool pg_policy_rows(struct execution *x, int index)
{
    const struct result *result = &x->collected.results.results[index];
    int64_t max_rows = x->terms[index].max_rows;
    if (max_rows == 0 ||
        (result->row_count <= (size_t)max_rows && result->rows_affected <= max_rows)) {
        return true;
    }
    /* More rows may be on their way, without end: hang up. */
    x->broken = x->broken || result->command == NULL;
    return pg_fail_text(x, REASON_REJECTED_BY_POLICY, index,
                        "policy max_rows: statement %d returns or touches more than %" PRId64
                        " rows",
                        index, max_rows);
}

bool pg_policy_tag(struct execution *x, int index, bool described)
{
    const char *tag = x->collected.results.results[index].command;
    if (!x->policy->refuse_ddl || pg_guard_tag_is_dml(tag, described)) {
        return true;
    }
    return pg_fail_text(x, REASON_REJECTED_BY_POLICY, index,
                        "policy refuse_ddl: statement %d was carried out as %.64s%s, and is undone",
                        index, tag, strncmp(tag, "SELECT", 6) == 0 ? " INTO a table" : "");
}

const char *pg_policy_rule(const struct execution *x, int index, enum reason reason)
{
    if (index == INDEX_ROLE && reason == REASON_STATEMENT_FAILED) {
        return "role"; /* not granted, or not there */
    }
    if (index < 0 || reason != REASON_TIMEOUT || x->overtime) {
        return NULL;
    }
    uint32_t max_ms = x->terms[index].max_time_ms;
    /* A timeout of the server cannot fire before its time; what ends a statement sooner is a person's cancel. */
    bool is_ours = max_ms > 0 && time_ms(x, (size_t)index) == max_ms &&
                   clock_monotonic_ms() - x->sent_ms >= max_ms;
    return is_ours ? "max_time" : NULL;
}

/* Every branch is refused for it, and only the owner of the database can mend it: told once for each policy. */
void pg_policy_warn(struct execution *x, const char *rule, const char *message)
{
    struct pg *pg = x->member->pg;
    if (strcmp(rule, "role") != 0) {
        return;
    }
    (void)pthread_mutex_lock(&pg->mutex);
    bool warned = pg->role_warned;
    pg->role_warned = true;
    (void)pthread_mutex_unlock(&pg->mutex);
    if (!warned) {
        pg_warn(pg, "policy role cannot be taken", "%.180s", message);
    }
}

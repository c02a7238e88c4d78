/*
 * test_agent_daemon.c - build/bin/assent-agent on a private PostgreSQL cluster, spoken to over a
 * real link by this test in the coordinator's place: the driver, its fault points, drain, and what
 * a restart leaves.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/inbox.h"
#include "common/link.h"
#include "common/work.h"
#include "tests/lib/pgcluster.h"
#include "tests/lib/process.h"

#define WAIT_MS 20000

enum { ITEM_UP = 1, ITEM_DOWN, ITEM_MESSAGE };

struct item {
    struct inbox_item base;
    uint64_t session;
    struct message message;
};

struct fixture {
    struct pgcluster *cluster;
    char folder[64];
    char agent_path[1024], config_path[128], log_path[128], trace_path[128];
    off_t log_offset;
    struct process *agent;
    struct inbox *inbox;
    struct link *link;
    struct inbox_item *pending;
    uint64_t session;
    uint64_t sequence;
};

static void post(struct fixture *fixture, int kind, uint64_t session, const struct message *message)
{
    struct item *item = alloc_zeroed(sizeof(*item));
    item->base.kind = kind;
    item->session = session;
    if (message != NULL) {
        item->message = *message;
    }
    inbox_post(fixture->inbox, &item->base);
}

static void on_up(void *user, const struct link_peer *peer)
{
    post(user, ITEM_UP, peer->session, NULL);
}

static void on_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        post(user, ITEM_MESSAGE, session, &messages[i]);
    }
}

static void on_down(void *user, uint64_t session)
{
    post(user, ITEM_DOWN, session, NULL);
}

static void on_trouble(void *user, const char *participant, enum link_trouble trouble,
                       const char *text)
{
    (void)user, (void)participant, (void)trouble, (void)text;
}

/* The next item of this kind (and, for messages, this kind of message) of the newest session. */
static struct message wait_for(struct fixture *fixture, int item_kind, enum message_kind kind)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    for (;;) {
        if (fixture->pending == NULL) {
            fixture->pending = inbox_take(fixture->inbox, deadline_ms);
        }
        if (fixture->pending == NULL) {
            print_error("no %s", item_kind == ITEM_MESSAGE ? message_kind_text(kind) : "session");
            abort();
        }
        struct item *item = (struct item *)(void *)fixture->pending;
        fixture->pending = item->base.next;
        if (item->base.kind == ITEM_UP) {
            fixture->session = item->session;
        }
        struct message message = item->message;
        bool is_it = item->base.kind == item_kind && item->session == fixture->session &&
                     (item_kind != ITEM_MESSAGE || message.kind == kind);
        free(item);
        if (is_it) {
            return message;
        }
        message_done(&message);
    }
}

static void tell(struct fixture *fixture, struct message *message)
{
    link_send(fixture->link, fixture->session, message, 1);
}

static struct journal_id journal(void)
{
    struct journal_id id;
    memset(id.bytes, 7, sizeof(id.bytes));
    return id;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void run_agent(struct fixture *fixture, const char *const *arguments, int expected)
{
    struct error error = {0};
    int exit_code = -1;
    struct process_options options = {
        .argv = arguments, .stdout_path = fixture->log_path, .stderr_path = fixture->log_path};
    assert_success(process_run(&options, clock_monotonic_ms() + WAIT_MS, &exit_code, &error),
                   &error);
    assert_int_equal(exit_code, expected);
}

/* Starts the agent and goes through the handshake with it. fault_point may be NULL. */
static void start_agent(struct fixture *fixture, uint64_t epoch, const char *fault_point)
{
    struct error error = {0};
    const char *plain[] = {fixture->agent_path, "-c", fixture->config_path, NULL};
    const char *faulty[] = {fixture->agent_path,
                            "-c",
                            fixture->config_path,
                            "--enable-fault-points",
                            "--fault-point",
                            fault_point,
                            "--fault-trace",
                            fixture->trace_path,
                            NULL};
    struct process_options options = {.argv = fault_point == NULL ? plain : faulty,
                                      .stderr_path = fixture->log_path};
    process_free(fixture->agent);
    fixture->agent = NULL;
    assert_success(process_start(&options, &fixture->agent, &error), &error);
    char line[1024];
    assert_success(process_wait_line(fixture->agent, fixture->log_path, fixture->log_offset,
                                     "event=ready", clock_monotonic_ms() + WAIT_MS, line,
                                     sizeof(line), &fixture->log_offset, &error),
                   &error);
    char *address = strstr(line, "127.0.0.1:");
    assert_non_null(address);
    address[strcspn(address, " \n")] = '\0';
    struct link_secret secret = {.size_bytes = 20};
    memset(secret.bytes, 's', 20);
    assert_success(link_add_participant(fixture->link, "order", address, &secret, &error), &error);
    wait_for(fixture, ITEM_UP, 0);
    struct message witness = wait_for(fixture, ITEM_MESSAGE, MESSAGE_WITNESS);
    assert_true(witness.as.witness.epoch < epoch);
    struct message claim = {.kind = MESSAGE_CLAIM};
    claim.as.claim.epoch = epoch;
    claim.as.claim.epoch_nonce = epoch * 100;
    claim.as.claim.head.number = epoch;
    tell(fixture, &claim);
    struct message welcome = wait_for(fixture, ITEM_MESSAGE, MESSAGE_WELCOME);
    assert_int_equal(welcome.as.welcome.epoch, epoch);
}

static void send_work(struct fixture *fixture, uint64_t epoch, const char *sql)
{
    struct statement statement = {.sql = (char *)(uintptr_t)sql, .expect_rows = EXPECT_ROWS_ANY};
    struct work work = {.statement_count = 1, .statements = &statement};
    struct message message = {.kind = MESSAGE_WORK};
    message.as.work.gtrid = (struct gtrid){.journal = journal(),
                                           .epoch = epoch,
                                           .epoch_nonce = epoch * 100,
                                           .sequence = ++fixture->sequence};
    message.as.work.remaining_ms = 10000;
    message.as.work.work = work_encode(&work);
    tell(fixture, &message);
}

static void send_commit(struct fixture *fixture, const struct message_vote *vote)
{
    struct message message = {.kind = MESSAGE_COMMIT};
    message.as.commit.gid = vote->gid;
    message.as.commit.proof = vote->proof;
    tell(fixture, &message);
}

static void assert_sql(struct fixture *fixture, const char *sql, const char *expected)
{
    char *value = NULL;
    struct error error = {0};
    assert_success(pgcluster_sql(fixture->cluster, "orders", sql, &value, &error), &error);
    assert_string_equal(value, expected);
    free(value);
}

static int set_up(void **state)
{
    struct fixture *fixture = alloc_zeroed(sizeof(*fixture));
    struct error error = {0};
    const char *bin = getenv("ASSENT_BIN_DIR");
    snprintf(fixture->agent_path, sizeof(fixture->agent_path), "%s/assent-agent",
             bin != NULL ? bin : "build/bin");
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/assent-agent-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_success(pgcluster_new(NULL, &fixture->cluster, &error), &error);
    assert_success(
        pgcluster_sql(fixture->cluster, "postgres", "CREATE DATABASE orders", NULL, &error),
        &error);
    char config[2048], secret_path[128], *conninfo = NULL, *admin = NULL;
    snprintf(secret_path, sizeof(secret_path), "%s/secret", fixture->folder);
    snprintf(fixture->config_path, sizeof(fixture->config_path), "%s/agent.conf", fixture->folder);
    snprintf(fixture->log_path, sizeof(fixture->log_path), "%s/log", fixture->folder);
    snprintf(fixture->trace_path, sizeof(fixture->trace_path), "%s/trace", fixture->folder);
    write_file(secret_path, "ssssssssssssssssssss\n", 0600);
    conninfo = pgcluster_conninfo_for(fixture->cluster, "orders", "assent_order");
    admin = pgcluster_conninfo_for(fixture->cluster, "orders", "postgres");
    snprintf(config, sizeof(config),
             "[agent]\nparticipant = order\nlisten = 127.0.0.1:0\nsecret_file = %s\n"
             "[database]\nconninfo = %s\ntoken_file = %s/token\nworkers = 2\n"
             "[protocol]\ninquiry_grace = 200ms\nsweep_interval = 200ms\n",
             secret_path, conninfo, fixture->folder);
    write_file(fixture->config_path, config, 0600);
    const char *setup[] = {fixture->agent_path, "setup",   "-c",  fixture->config_path,
                           "--apply",           "--admin", admin, NULL};
    run_agent(fixture, setup, EX_OK);
    assert_success(pgcluster_sql(fixture->cluster, "orders",
                                 "CREATE TABLE t (id int PRIMARY KEY);"
                                 "GRANT ALL ON t TO assent_order",
                                 NULL, &error),
                   &error);
    free(conninfo);
    free(admin);
    fixture->inbox = inbox_new();
    struct link_options options = {
        .is_coordinator = true,
        .listen = "127.0.0.1:0",
        .journal = journal(),
        .callbacks = {.user = fixture,
                      .on_up = on_up,
                      .on_messages = on_messages,
                      .on_down = on_down,
                      .on_trouble = on_trouble},
    };
    assert_success(link_start(&options, &fixture->link, &error), &error);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    link_stop(fixture->link, 1000);
    process_free(fixture->agent);
    pgcluster_free(fixture->cluster);
    for (;;) {
        struct inbox_item *next =
            fixture->pending != NULL ? fixture->pending : inbox_take(fixture->inbox, 0);
        if (next == NULL) {
            break;
        }
        fixture->pending = next->next;
        message_done(&((struct item *)(void *)next)->message);
        free(next);
    }
    inbox_free(fixture->inbox);
    process_remove_folder(fixture->folder, &error);
    free(fixture);
    return 0;
}

static void wait_exit(struct fixture *fixture, int expected)
{
    int status = 0;
    assert_true(process_wait(fixture->agent, clock_monotonic_ms() + WAIT_MS, &status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

/* WORK is executed and prepared, voted yes; COMMIT commits it; a statement that fails votes no;
 * SIGTERM drains. */
static void test_agent_daemon_prepares_commits_and_drains(void **state)
{
    struct fixture *fixture = *state;
    start_agent(fixture, 1, NULL);
    send_work(fixture, 1, "INSERT INTO t VALUES (1)");
    struct message vote = wait_for(fixture, ITEM_MESSAGE, MESSAGE_VOTE);
    assert_int_equal(vote.as.vote.vote, VOTE_COMMIT);
    assert_sql(fixture, "SELECT count(*) FROM pg_prepared_xacts", "1");
    assert_sql(fixture, "SELECT count(*) FROM t", "0");
    send_commit(fixture, &vote.as.vote);
    struct message ack = wait_for(fixture, ITEM_MESSAGE, MESSAGE_ACK);
    assert_int_equal(ack.as.ack.ack, ACK_COMMITTED);
    assert_sql(fixture, "SELECT count(*) FROM pg_prepared_xacts", "0");
    assert_sql(fixture, "SELECT count(*) FROM t", "1");
    message_done(&vote);

    send_work(fixture, 1, "INSERT INTO t VALUES (1)");
    vote = wait_for(fixture, ITEM_MESSAGE, MESSAGE_VOTE);
    assert_int_equal(vote.as.vote.vote, VOTE_ABORT);
    assert_string_equal(vote.as.vote.failure.sqlstate, "23505");
    message_done(&vote);
    process_signal(fixture->agent, SIGTERM);
    wait_exit(fixture, EX_OK);
}

/* SIGTERM waits for the verdict of what was voted; a second one does not. */
static void test_agent_daemon_second_sigterm_leaves_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct error error = {0};
    start_agent(fixture, 1, NULL);
    send_work(fixture, 1, "INSERT INTO t VALUES (1)");
    struct message vote = wait_for(fixture, ITEM_MESSAGE, MESSAGE_VOTE);
    message_done(&vote);
    process_signal(fixture->agent, SIGTERM);
    assert_success(process_wait_line(fixture->agent, fixture->log_path, fixture->log_offset,
                                     "event=draining", clock_monotonic_ms() + WAIT_MS, NULL, 0,
                                     NULL, &error),
                   &error);
    send_work(fixture, 1, "INSERT INTO t VALUES (2)");
    vote = wait_for(fixture, ITEM_MESSAGE, MESSAGE_VOTE);
    assert_int_equal(vote.as.vote.failure.reason, REASON_SHUTDOWN);
    message_done(&vote);
    process_signal(fixture->agent, SIGTERM);
    wait_exit(fixture, EX_OK);
    assert_sql(fixture, "SELECT count(*) FROM pg_prepared_xacts", "1");
}

/* P-12: killed after COMMIT PREPARED and before the ACK was read, the next process proves what
 * became of it. */
static void test_agent_daemon_p12_commit_is_proved_after_a_kill(void **state)
{
    struct fixture *fixture = *state;
    start_agent(fixture, 1, "a.ack.sent");
    send_work(fixture, 1, "INSERT INTO t VALUES (1)");
    struct message vote = wait_for(fixture, ITEM_MESSAGE, MESSAGE_VOTE);
    send_commit(fixture, &vote.as.vote);
    int status = 0;
    assert_true(process_wait(fixture->agent, clock_monotonic_ms() + WAIT_MS, &status));
    assert_true(WIFSIGNALED(status));
    assert_sql(fixture, "SELECT count(*) FROM t", "1");
    start_agent(fixture, 2, NULL);
    send_commit(fixture, &vote.as.vote);
    struct message ack = wait_for(fixture, ITEM_MESSAGE, MESSAGE_ACK);
    assert_int_equal(ack.as.ack.ack, ACK_COMMITTED);
    message_done(&vote);
}

/* P-3, P-6, P-8: killed with its vote on the way, the next process finds the row, asks, and obeys.
 */
static void test_agent_daemon_p6_restarted_agent_asks_about_its_row(void **state)
{
    struct fixture *fixture = *state;
    start_agent(fixture, 1, "a.vote.sent");
    send_work(fixture, 1, "INSERT INTO t VALUES (1)");
    int status = 0;
    assert_true(process_wait(fixture->agent, clock_monotonic_ms() + WAIT_MS, &status));
    assert_true(WIFSIGNALED(status));
    start_agent(fixture, 2, NULL);
    struct message inquiry = wait_for(fixture, ITEM_MESSAGE, MESSAGE_INQUIRY);
    assert_int_equal(inquiry.as.inquiry.gid.gtrid.sequence, fixture->sequence);
    assert_sql(fixture, "SELECT count(*) FROM pg_prepared_xacts", "1");
    struct message verdict = {.kind = MESSAGE_VERDICT};
    verdict.as.verdict.gid = inquiry.as.inquiry.gid;
    verdict.as.verdict.verdict = VERDICT_ABORT;
    tell(fixture, &verdict);
    struct message ack = wait_for(fixture, ITEM_MESSAGE, MESSAGE_ACK);
    assert_int_equal(ack.as.ack.ack, ACK_ROLLED_BACK);
    assert_sql(fixture, "SELECT count(*) FROM pg_prepared_xacts", "0");
    assert_sql(fixture, "SELECT count(*) FROM t", "0");
}

/* P-10: what the database remembers outlives the agent: the older epoch is fenced. */
static void test_agent_daemon_p10_older_epoch_is_fenced_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    start_agent(fixture, 9, NULL);
    struct message claim = {.kind = MESSAGE_CLAIM};
    claim.as.claim.epoch = 8;
    tell(fixture, &claim);
    struct message fenced = wait_for(fixture, ITEM_MESSAGE, MESSAGE_FENCED);
    assert_int_equal(fenced.as.fenced.epoch, 9);
    process_signal(fixture->agent, SIGKILL);
    assert_true(process_wait(fixture->agent, clock_monotonic_ms() + WAIT_MS, NULL));
    start_agent(fixture, 10, NULL); /* checks that the witness is below 10 */
    process_signal(fixture->agent, SIGKILL);
}

/* Mistakes on the command line and in the file end with the codes of sysexits.h. */
static void test_agent_daemon_mistakes_have_their_exit_codes(void **state)
{
    struct fixture *fixture = *state;
    const char *missing[] = {fixture->agent_path, "-c", "/nonexistent/x.conf", NULL};
    const char *usage[] = {fixture->agent_path, NULL};
    const char *faults[] = {fixture->agent_path, "-c",      fixture->config_path,
                            "--fault-point",     "a.begin", NULL};
    const char *check[] = {fixture->agent_path, "-c", fixture->config_path, "--check-config", NULL};
    const char *version[] = {fixture->agent_path, "--version", NULL};
    run_agent(fixture, missing, EX_CONFIG);
    run_agent(fixture, usage, EX_USAGE);
    run_agent(fixture, faults, EX_CONFIG);
    run_agent(fixture, check, EX_OK);
    run_agent(fixture, version, EX_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_agent_daemon_prepares_commits_and_drains),
        TEST(test_agent_daemon_second_sigterm_leaves_at_once),
        TEST(test_agent_daemon_p12_commit_is_proved_after_a_kill),
        TEST(test_agent_daemon_p6_restarted_agent_asks_about_its_row),
        TEST(test_agent_daemon_p10_older_epoch_is_fenced_after_a_restart),
        TEST(test_agent_daemon_mistakes_have_their_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

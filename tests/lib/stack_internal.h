/*
 * stack_internal.h - what stack.c, stack_daemon.c and stack_query.c share; nobody else includes it.
 */
#ifndef ASSENT_TESTS_LIB_STACK_INTERNAL_H
#define ASSENT_TESTS_LIB_STACK_INTERNAL_H

#include <libpq-fe.h>

#include "tests/lib/process.h"
#include "tests/lib/stack.h"

#define STACK_PATH_SIZE   192
#define STACK_NAME_SIZE   64
#define STACK_PATIENCE_MS 30000

struct stack_daemon {
    const struct stack *stack;
    char name[STACK_NAME_SIZE];
    char program[STACK_PATH_SIZE];
    char config_path[STACK_PATH_SIZE];
    char log_path[STACK_PATH_SIZE];
    char trace_path[STACK_PATH_SIZE];
    struct process *process; /* NULL: does not run */
};

struct stack_member { /* a participant */
    char name[STACK_NAME_SIZE];
    struct pgcluster *cluster;
    bool owns_cluster;
    char role[STACK_NAME_SIZE];
    uint16_t port;
    char secret_path[STACK_PATH_SIZE];
    struct stack_daemon agent;
    PGconn *connection; /* superuser's; NULL: none yet */
};

struct stack {
    const char *os_user;
    const char *const *env; /* of daemons, on top of ours; NULL: none */
    char folder[48];
    char database[STACK_NAME_SIZE];
    char journal_path[STACK_PATH_SIZE];
    char api[64];
    char client_address[64];
    uint16_t http_port, client_port, listen_port;
    struct stack_daemon coordinator;
    size_t member_count;
    struct stack_member members[STACK_PARTICIPANTS_MAX];
};

#endif

/*
 * fault.c - the table of faults. See fault.h.
 */
#include "fault.h"

#include <string.h>

static const char *const groups[FAULT_GROUPS] = {"kill", "stop", "restart", "pg",    "backend",
                                                 "net",  "wire", "disk",    "clock", "human"};

#define PROCESS_TIMES  100, 2000
#define DATABASE_TIMES 200, 3000

const struct fault_kind fault_kinds[] = {
    {"kill", FAULT_KILL, PROCESS_TIMES, fault_kill_begin, fault_kill_end, false},
    {"kill", FAULT_KILL, PROCESS_TIMES, fault_kill_begin, fault_kill_end, true},
    {"stop", FAULT_STOP, 200, 14000, fault_stop_begin, fault_stop_end, false},
    {"stop", FAULT_STOP, 200, 14000, fault_stop_begin, fault_stop_end, true},
    {"restart", FAULT_RESTART, 0, 0, fault_restart_begin, NULL, false},
    {"restart", FAULT_RESTART, 0, 0, fault_restart_begin, NULL, true},
    {"pg-immediate", FAULT_PG, DATABASE_TIMES, fault_pg_immediate_begin, fault_pg_end, true},
    {"pg-fast", FAULT_PG, DATABASE_TIMES, fault_pg_fast_begin, fault_pg_end, true},
    {"pg-kill", FAULT_PG, DATABASE_TIMES, fault_pg_kill_begin, fault_pg_end, true},
    {"backend-kill", FAULT_BACKEND, 0, 0, fault_backend_begin, NULL, true},
    {"backend-stop", FAULT_BACKEND, 200, 12000, fault_backend_stop_begin, fault_backend_stop_end,
     true},
    {"backend-terminate", FAULT_BACKEND, 0, 0, fault_terminate_begin, NULL, true},
    {"net", FAULT_NET, 200, 12000, fault_net_begin, fault_net_end, true},
    {"net", FAULT_NET, 200, 12000, fault_net_begin, fault_net_end, false},
    {"reset", FAULT_NET, 0, 0, fault_reset_begin, NULL, true},
    {"reset", FAULT_NET, 0, 0, fault_reset_begin, NULL, false},
    {"wire", FAULT_WIRE, 500, 4000, fault_wire_begin, fault_wire_end, true},
    {"wire", FAULT_WIRE, 500, 4000, fault_wire_begin, fault_wire_end, true}, /* as likely again */
    {"wire", FAULT_WIRE, 500, 4000, fault_wire_begin, fault_wire_end, false},
    {"disk-full", FAULT_DISK, 500, 5000, fault_disk_begin, fault_disk_end, false},
    {"clock", FAULT_CLOCK, 500, 5000, fault_clock_begin, fault_clock_end, false},
    {"human-rollback", FAULT_HUMAN, 0, 0, fault_human_rollback_begin, NULL, true},
    {"human-commit", FAULT_HUMAN, 0, 0, fault_human_commit_begin, NULL, true},
};
const size_t fault_kind_count = sizeof fault_kinds / sizeof fault_kinds[0];

const char *fault_group_name(enum fault_group group)
{
    return groups[group];
}

bool fault_parse(const char *list, unsigned *ret_set)
{
    unsigned set = 0;
    if (strcmp(list, "none") == 0) {
        *ret_set = 0;
        return true;
    }
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        unsigned found = length == 3 && strncmp(list, "all", 3) == 0 ? (1U << FAULT_GROUPS) - 1 : 0;
        for (unsigned i = 0; i < FAULT_GROUPS; i++) {
            if (strlen(groups[i]) == length && strncmp(groups[i], list, length) == 0) {
                found |= 1U << i;
            }
        }
        if (found == 0) {
            return false;
        }
        set |= found;
        list += length + (list[length] == ',' ? 1 : 0);
    }
    *ret_set = set;
    return set != 0;
}

const char *fault_impossible(const struct run *run, const struct fault_kind *kind)
{
    const char *reason = kind->group == FAULT_DISK    ? run->world.no_disk
                         : kind->group == FAULT_CLOCK ? run->world.no_clock
                                                      : "";
    return reason[0] == '\0' ? NULL : reason;
}

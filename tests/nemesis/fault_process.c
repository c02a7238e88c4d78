/*
 * fault_process.c - faults of the daemons: killed, stopped for a while, restarted in order. See fault.h.
 */
#include <signal.h>
#include <stdio.h>

#include "fault.h"

static void set_target(struct run *run, struct fault *fault)
{
    char name[STREAM_PEER_SIZE];
    fault->process = fault->kind->on_database ? WORLD_AGENT + fault->database : WORLD_COORDINATOR;
    (void)snprintf(fault->target, sizeof fault->target, "%s",
                   world_process_name(&run->world, fault->process, name));
}

static bool demand_running(struct run *run, const struct fault *fault, struct error *ret_error)
{
    return stack_daemon_runs(world_daemon(&run->world, fault->process)) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "%s does not run", fault->target);
}

bool fault_kill_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error)
{
    (void)random;
    set_target(run, fault);
    if (!demand_running(run, fault, ret_error)) {
        return false;
    }
    (void)snprintf(fault->detail, sizeof fault->detail, "SIGKILL, pid %d",
                   (int)stack_daemon_pid(world_daemon(&run->world, fault->process)));
    run->held_down[fault->process] = true;
    world_kill(&run->world, fault->process);
    return true;
}

bool fault_kill_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    run->held_down[fault->process] = false;
    return world_start(&run->world, fault->process, ret_error);
}

bool fault_stop_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error)
{
    (void)random;
    set_target(run, fault);
    if (!demand_running(run, fault, ret_error)) {
        return false;
    }
    (void)snprintf(fault->detail, sizeof fault->detail, "SIGSTOP, then SIGCONT");
    stack_daemon_signal(world_daemon(&run->world, fault->process), SIGSTOP);
    return true;
}

bool fault_stop_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)ret_error;
    stack_daemon_signal(world_daemon(&run->world, fault->process), SIGCONT);
    return true;
}

/* As in an upgrade: it is asked to end, finishes what it has, and its successor starts. */
bool fault_restart_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error)
{
    (void)random;
    set_target(run, fault);
    if (!demand_running(run, fault, ret_error)) {
        return false;
    }
    (void)snprintf(fault->detail, sizeof fault->detail, "SIGTERM, and started again");
    struct stack_daemon *daemon = world_daemon(&run->world, fault->process);
    struct error error;
    atomic_store(&run->world.pids[fault->process], 0);
    if (!stack_daemon_stop(daemon, &error)) {
        run_say(run, "%s", error.text);
        run->crashes++; /* whatever goes on around it, it is to end in order, and in time */
        world_kill(&run->world, fault->process);
    }
    return world_start(&run->world, fault->process, ret_error);
}

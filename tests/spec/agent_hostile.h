/*
 * agent_hostile.h - any events against the agent's core, with the invariants as the oracle.
 *
 * The world is hostile: messages repeat, contradict each other and come from sessions of any state; commands are answered
 * late, in any order and with any class. Whatever happens:
 *
 *   I3         a FINISH goes only the way that a word for that gid (or its gtrid) went before it
 *   P-3        a yes follows only PG_OK of that gid's own EXECUTE, in the same history
 *   P-7, P-12  an ACK says only what FINISH, the proof, a fence or EXECUTE said about that gid
 *   P-20       no gid is executed twice, and no gtrid twice at once
 *
 * and one command at a time for a gid, one SCAN at a time, nothing to sessions that are down. In the end everything is
 * answered kindly, and nothing may keep running.
 *
 * Used by test_agent_random.c (seeds) and tests/fuzz/fuzz_agent.c (bytes). A violation ends the process (CHECK).
 */
#ifndef ASSENT_TESTS_SPEC_AGENT_HOSTILE_H
#define ASSENT_TESTS_SPEC_AGENT_HOSTILE_H

#include "tests/lib/choices.h"

/* At most `events` events, then the settling. */
void agent_hostile_run(struct choices *choices, size_t events);

#endif

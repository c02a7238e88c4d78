/*
 * fuzz_agent.c - the bytes choose the events that the agent's core gets; the invariants of tests/spec/agent_hostile.h are
 * the oracle.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/spec/agent_hostile.h"

#define EVENTS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static const uint8_t nothing[1];
    struct choices choices = {.bytes = size_bytes == 0 ? nothing : bytes, .size_bytes = size_bytes};
    agent_hostile_run(&choices, EVENTS_MAX);
    return 0;
}

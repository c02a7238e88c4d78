/*
 * honest_wire.h - what the real server said, command by command, and a way to have it say ROLLBACK to PREPARE TRANSACTION.
 *
 * Stands between the agent's edge and libpq (the linker's --wrap), so the edge runs as it is. One server at a time, any
 * thread.
 */
#ifndef ASSENT_TESTS_SPEC_HONEST_WIRE_H
#define ASSENT_TESTS_SPEC_HONEST_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define HONEST_TAG_SIZE 32

/* Forgets what was said about this attempt. */
void honest_wire_forget(uint64_t attempt);
/* The command tag with which its PREPARE TRANSACTION, ROLLBACK, COMMIT PREPARED or ROLLBACK PREPARED was answered; "" if
 * none was, or with an error. */
void honest_wire_tag(uint64_t attempt, char ret_tag[HONEST_TAG_SIZE]);

/* Once: just before this attempt's PREPARE TRANSACTION a statement fails, in a Sync of its own, so that the server does not
 * skip what follows: it meets PREPARE TRANSACTION in a failed block. The edge does not see the error. */
void honest_wire_fail_block(uint64_t attempt);

#endif

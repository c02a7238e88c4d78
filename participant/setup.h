/*
 * setup.h - `assent-agent setup`: prints or applies the SQL that makes a database ready to take
 * part.
 *
 * Called by main.c only; prints to stdout and stderr and returns the process's exit code.
 */
#ifndef ASSENT_PARTICIPANT_SETUP_H
#define ASSENT_PARTICIPANT_SETUP_H

int agent_setup_main(int argc, char **argv);

#endif

/*
 * options.h - the command line of `assent-fault run`.
 */
#ifndef ASSENT_TESTS_NEMESIS_OPTIONS_H
#define ASSENT_TESTS_NEMESIS_OPTIONS_H

#include "run.h"

/* Ends the process with EX_USAGE on mistakes, as argp does. */
void options_parse(int argc, char **argv, struct run_options *ret_options);

#endif

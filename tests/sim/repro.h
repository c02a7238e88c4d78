/*
 * repro.h - a failing run as a file: what to run, in the words of the command line. Kept under tests/repro/, each is run
 * by the tests for ever; it passes when nothing breaks any more.
 */
#ifndef ASSENT_SIM_REPRO_H
#define ASSENT_SIM_REPRO_H

#include "common/error.h"
#include "tests/sim/sim.h"

bool repro_save(const char *path, const struct sim_options *options,
                const struct sim_verdict *verdict, struct error *ret_error);
/* *ret_strikes is owned by the caller and lent to *ret_options. */
bool repro_load(const char *path, struct sim_options *ret_options, struct sim_strike **ret_strikes,
                struct error *ret_error);

#endif

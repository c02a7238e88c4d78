/*
 * checker_world.c - writes a made-up history to standard output (world.h), to try the checker and its reports with.
 *
 *     checker_world SEED TRANSACTIONS [SNAPSHOT_PERCENT FRACTURED_PERCENT [CORRUPTION]]
 */
#include <stdlib.h>
#include <sysexits.h>

#include "tests/checker/world.h"

static uint64_t number(int argc, char **argv, int index)
{
    return index < argc ? strtoull(argv[index], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
    struct world_options options = {.seed = number(argc, argv, 1),
                                    .txns = (uint32_t)number(argc, argv, 2),
                                    .snapshot_percent = (int)number(argc, argv, 3),
                                    .fractured_percent = (int)number(argc, argv, 4),
                                    .samples = true,
                                    .corruption = (enum corruption)number(argc, argv, 5)};
    if (argc < 3 || options.corruption >= CORRUPT_COUNT) {
        fputs("usage: checker_world SEED TRANSACTIONS [SNAPSHOT_PERCENT FRACTURED_PERCENT "
              "[CORRUPTION]]\n",
              stderr);
        return EX_USAGE;
    }
    struct world_result result;
    world_write(&options, stdout, &result);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

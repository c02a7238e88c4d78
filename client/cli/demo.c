/* demo.c - `assent demo`. */
#include "client/cli/cli.h"

int demo_main(struct options *options, int argc, char **argv)
{
    (void)options;
    (void)argc;
    (void)argv;
    return EX_UNAVAILABLE;
}

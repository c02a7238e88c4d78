/*
 * commit.h - which commit a test program was built from: a seed names a run of one commit, not of a release.
 * Made by the build (cmake/AssentCommit.cmake): "30e39a5", "30e39a5-dirty" where files were changed, or "unknown".
 */
#ifndef ASSENT_TESTS_LIB_COMMIT_H
#define ASSENT_TESTS_LIB_COMMIT_H

#include "common/version.h"

extern const char *const assent_commit;

/* For printf: "0.1.0 (30e39a5)". */
#define COMMIT_FORMAT    ASSENT_VERSION " (%s)"
#define COMMIT_ARGUMENTS assent_commit

#endif

#!/usr/bin/env bash
# Proves that the structure checks can fail: each gets a planted violation and must find it.
# Usage: test_checks.sh CC NM
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cc="$1" nm="$2"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failures=0

# expect_failure TEXT COMMAND...: the command fails and says TEXT.
expect_failure() {
    local wanted="$1" output
    shift
    if output="$("$@" 2>&1)"; then
        echo "succeeded, but should have complained: $wanted" >&2
        failures=$((failures + 1))
    elif ! grep -qF -- "$wanted" <<<"$output"; then
        printf 'failed without saying "%s":\n%s\n' "$wanted" "$output" >&2
        failures=$((failures + 1))
    fi
}

expect_success() {
    local output
    if ! output="$("$@" 2>&1)"; then
        printf 'failed, but nothing is wrong:\n%s\n' "$output" >&2
        failures=$((failures + 1))
    fi
}

# plant FILE INCLUDE: a source tree with one clean file and this one.
plant() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/common" "$(dirname "$scratch/tree/$1")"
    printf '#include <stdint.h>\n' >"$scratch/tree/common/clean.h"
    printf '#include %s\n' "$2" >"$scratch/tree/$1"
}

includes_case() {
    plant "$1" "$2"
    expect_failure "$1 includes" "$here/check_includes.sh" "$scratch/tree"
}

includes_case coordinator/core.c '<nng/nng.h>'
includes_case coordinator/driver.c '  <nng/nng.h>'
includes_case participant/worker.c '<libpq-fe.h>'
includes_case coordinator/core_vote.c '<sqlite3.h>'
includes_case common/link.c '<msgpack.h>'
includes_case client/submit.c '<msgpack/pack.h>'
includes_case participant/main.c '<microhttpd.h>'
includes_case coordinator/core.c '"common/log.h"'
includes_case participant/branch_work.c '"participant/pg.h"'
includes_case coordinator/core.c '<time.h>'
includes_case common/log.c '"recovery/record.h"'
includes_case recovery/journal_sqlite.c '"coordinator/core.h"'
includes_case participant/driver.c '"coordinator/core.h"'
includes_case include/assent/assent.h '"common/error.h"'
includes_case tests/checker/history_read.c '"common/error.h"'
includes_case tests/checker/main.c '"recovery/journal.h"'
includes_case tests/checker/check_effects.c '"coordinator/core.h"'
includes_case tests/checker/cycle.c '"participant/branch.h"'
includes_case tests/checker/kit.c '"tests/lib/process.h"'
includes_case tests/fault/main.c '"common/cli.h"'
includes_case examples/scenarios/kit/demo.c '"client/cli/demo.h"'
plant tests/checker/kit.h '"tests/lib/test.h"'
expect_success "$here/check_includes.sh" "$scratch/tree"
plant participant/pg_connect.c '<libpq-fe.h>'
expect_success "$here/check_includes.sh" "$scratch/tree"
plant coordinator/core.c '"common/xid.h"'
expect_success "$here/check_includes.sh" "$scratch/tree"

# purity SOURCE: compiles it; the object is what the check looks at.
compile() {
    printf '%s\n' "$2" >"$scratch/$1.c"
    "$cc" -O1 -fPIC -c "$scratch/$1.c" -o "$scratch/$1.o"
}

compile clean 'extern int other(int); int f(int i) { return other(i); }'
compile other 'int other(int i) { return i + 1; }'
compile reads_clock '#include <time.h>
time_t now(void) { return time(0); }'
expect_failure 'needs other' "$here/check_purity.sh" --nm "$nm" --objects "$scratch/clean.o"
expect_success "$here/check_purity.sh" --nm "$nm" --objects "$scratch/clean.o;$scratch/other.o"
expect_success "$here/check_purity.sh" --nm "$nm" --objects "$scratch/clean.o" \
    --provided ";$scratch/other.o"
expect_success "$here/check_purity.sh" --nm "$nm" --objects "$scratch/clean.o" --allow 'x;other'
expect_failure 'needs time' "$here/check_purity.sh" --nm "$nm" --objects "$scratch/reads_clock.o"
expect_failure 'no objects' "$here/check_purity.sh" --nm "$nm" --objects ''

# hardening WHAT FLAGS...: a program with one flag that undoes one property.
hardening() {
    local what=$1
    shift
    printf '%s\n' '#include <stdio.h>
int main(int count, char **arguments)
{
    char text[64];
    snprintf(text, sizeof text, "%*s", count, arguments[0]);
    return puts(text) < 0;
}' | "$cc" -O2 -fPIE -pie -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
        -Wl,-z,relro,-z,now,-z,noexecstack -x c - "$@" -o "$scratch/hardening"
    if [ "$what" = nothing ]; then
        expect_success "$here/check_hardening.sh" "$scratch/hardening"
    else
        expect_failure "$what" "$here/check_hardening.sh" "$scratch/hardening"
    fi
}

hardening nothing
hardening 'not position independent' -no-pie
hardening 'read-only relocations' -Wl,-z,norelro
hardening 'binds lazily' -Wl,-z,lazy
hardening 'executable stack' -Wl,-z,execstack
hardening 'path to libraries' -Wl,-rpath,/opt/lib
hardening 'stack protector' -fno-stack-protector
hardening 'fortified function' -U_FORTIFY_SOURCE

# rules_case WANTED ROWS: a document whose table has these rows for P-1, beside one test that runs and one that does not.
rules_case() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/docs" "$scratch/tree/tests"
    printf 'static void test_p01_a(void **state)\nstatic void test_p01_b(void **state)\n  TEST(test_p01_a),\n' \
        >"$scratch/tree/tests/x.c"
    {
        printf '### The tests of each rule\n'
        printf '%s\n' "$2"
        for rule in $(seq 2 22); do
            printf '| P-%d | `test_p01_*` | |\n' "$rule"
        done
        printf '### Invariants\n'
    } >"$scratch/tree/docs/PROTOCOL.md"
    if [ -n "$1" ]; then
        expect_failure "$1" "$here/check_rules.sh" "$scratch/tree"
    else
        expect_success "$here/check_rules.sh" "$scratch/tree"
    fi
}

rules_case '' '| P-1 | `test_p01_a` | |'
rules_case 'P-1 has no row' '| P-23 | `test_p01_a` | |'
rules_case 'P-1 names no test' '| P-1 | | |'
rules_case 'no test test_p01_b' '| P-1 | `test_p01_a`, `test_p01_b` | |'
rules_case 'no test begins with test_p02_' '| P-1 | `test_p02_*` | |'
mkdir "$scratch/tree/tests/sim"
printf '    {"branch", "prepared", "VOTE abort", "test_p01_c"},\n' >"$scratch/tree/tests/sim/coverage_impossible.c"
expect_failure 'there is no test test_p01_c' "$here/check_rules.sh" "$scratch/tree"

# errors_case WANTED FILE SED: this tree's code and page, with one file changed.
errors_case() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/docs" "$scratch/tree/coordinator" "$scratch/tree/common"
    local source="$here/../.." file
    for file in docs/ERRORS.md coordinator/http_problem.c coordinator/http_problem.h common/outcome.c common/outcome.h; do
        cp "$source/$file" "$scratch/tree/$file"
    done
    sed -i -E "$3" "$scratch/tree/$2"
    if [ -n "$1" ]; then
        expect_failure "$1" "$here/check_errors.sh" "$scratch/tree"
    else
        expect_success "$here/check_errors.sh" "$scratch/tree"
    fi
}

errors_case '' docs/ERRORS.md ''
errors_case '-expired_not 404' coordinator/http_problem.c 's/"expired"/"expired_not"/'
errors_case '+deadlock 409' common/outcome.c 's/"deadlock"/"deadlocked"/'
errors_case '-overload 503' coordinator/http_problem.c '/REASON_OVERLOAD/s/429/503/'
errors_case 'not every slug was found' common/outcome.h 's/^    REASON_COUNT/    REASON_NEW,\n    REASON_COUNT/'
errors_case 'the sections and the status' docs/ERRORS.md '/^## timeout$/d'
errors_case 'the table' docs/ERRORS.md '/^\| \[.timeout/d'
errors_case 'say "yes" about sending deadlock again' docs/ERRORS.md 's/^(\| \[.deadlock.*) yes/\1 no/'
errors_case 'alphabetical' docs/ERRORS.md 's/^## expired$/## xpired/'

if [ "$failures" -gt 0 ]; then
    echo "$failures cases failed" >&2
    exit 1
fi
echo "the checks find what is planted"

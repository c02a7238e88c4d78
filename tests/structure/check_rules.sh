#!/usr/bin/env bash
# Checks that every protocol rule has its tests: the table "The tests of each rule" in docs/PROTOCOL.md has a row for each
# of P-1 to P-22, and each name in it is a test function or a test program that is there. So is each test that the simulator names in
# place of a run of its own (coverage_impossible.c). Usage: check_rules.sh [SOURCE_DIR]
set -euo pipefail

source_dir="${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
cd "$source_dir"
status=0

complain() {
    echo "docs/PROTOCOL.md, tests of each rule: $1" >&2
    status=1
}

rows="$(sed -n '/^### The tests of each rule/,/^### Invariants/p' docs/PROTOCOL.md | grep '^| P-' || true)"
# A function counts if something besides its own definition names it (the list that main() runs), a program by its source.
names="$({
    grep -rhE --include='*.c' --exclude=coverage_impossible.c 'test_[a-z0-9_]+' tests | grep -vE '^static void test_|^ \*|^/\*' | grep -oE 'test_[a-z0-9_]+'
    find tests -name '*.c' -printf '%f\n' | sed 's/\.c$//'
} | sort -u)"

for rule in $(seq 1 22); do
    row="$(grep -E "^\| P-$rule \|" <<<"$rows" || true)"
    if [ -z "$row" ]; then
        complain "P-$rule has no row"
        continue
    fi
    tests="$(grep -oE '`[a-z0-9_]+\*?`' <<<"$row" | tr -d '`' || true)"
    if [ -z "$tests" ]; then
        complain "P-$rule names no test"
    fi
    for test in $tests; do
        case "$test" in
        *'*') grep -qE "^${test%\*}" <<<"$names" || complain "P-$rule: no test begins with ${test%\*}" ;;
        *) grep -qxF "$test" <<<"$names" || complain "P-$rule: there is no test $test" ;;
        esac
    done
done

elsewheres=tests/sim/coverage_impossible.c
if [ -f "$elsewheres" ]; then
    for test in $(grep -oE '"test_[a-z0-9_]+"' "$elsewheres" | tr -d '"' | sort -u); do
        grep -rqE --include='*.c' "^static void $test\(" tests || {
            echo "$elsewheres: there is no test $test" >&2
            status=1
        }
    done
fi
exit "$status"

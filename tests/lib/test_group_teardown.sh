#!/usr/bin/env bash
# A program of tests whose group's teardown failed does not end with 0 (tests/lib/group.c).
# Usage: test_group_teardown.sh PROGRAM
set -euo pipefail

program="$1"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failures=0

complain() {
    echo "$1" >&2
    cat "$scratch/output" >&2
    failures=$((failures + 1))
}

# ends TEARDOWN: its exit status is in $status, what it said in $scratch/output.
ends() {
    status=0
    "$program" "$1" >"$scratch/output" 2>&1 || status=$?
}

for teardown in none well; do
    ends "$teardown"
    if [ "$status" -ne 0 ]; then
        complain "teardown \"$teardown\" is a failure ($status)"
    fi
done
for teardown in badly assertion signal; do
    ends "$teardown"
    if [ "$status" -eq 0 ] || ! grep -q 'the teardown of the group failed' "$scratch/output"; then
        complain "teardown \"$teardown\" is not counted as a failure ($status)"
    fi
done
# A signal that cmocka does not catch ends the program by itself; a sanitizer may turn it into a status of its own.
ends abort
if [ "$status" -eq 0 ]; then
    complain "teardown \"abort\" is no failure"
fi
exit "$((failures > 0))"

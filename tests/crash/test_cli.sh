#!/usr/bin/env bash
# test_cli.sh - `assent-fault matrix` from outside: what it refuses, and where its reports go. Runs one cell.
set -euo pipefail

matrix="$ASSENT_BIN_DIR/assent-fault-matrix"
work="$(mktemp -d /tmp/assent-matrix-XXXXXX)"
trap 'rm -rf "$work"' EXIT
cell=c.vote.recv@assentd/commit/kill

fail() {
    echo "$*" >&2
    exit 1
}

# refuses CODE TEXT OPTIONS...: at once (no cluster could be made in that time), and says why.
refuses() {
    local code="$1" text="$2" status=0 said
    shift 2
    said="$(timeout 5 "$matrix" --cell "$cell" "$@" 2>&1)" || status=$?
    [ "$status" -eq "$code" ] || fail "$*: exit code $status, not $code: $said"
    grep -qF -- "$text" <<<"$said" || fail "$*: does not say \"$text\": $said"
}

for report in --junit --html --json; do
    refuses 74 'cannot write' "$report" "$work/missing/report"
done
refuses 64 'only one report' --json - --html -
refuses 64 'no profile is called' --profile weekly
"$matrix" --help | grep -q '74 a report' || fail "--help does not have the exit codes"

# A profile can be counted without running it.
count="$("$matrix" --profile ci --list | tail -n 1)"
[[ "$count" =~ ^[0-9]+\ of\ [0-9]+\ cells ]] || fail "--list ends with: $count"

# The report alone on standard output; the table beside it.
"$matrix" --cell "$cell" --json - --junit "$work/junit.xml" >"$work/out.json" 2>"$work/table"
[ "$(jq -c '[.green, .red, (.cells | length)]' "$work/out.json")" = '[1,0,1]' ] ||
    fail "not one green cell: $(head -c 500 "$work/out.json")"
grep -q '1 green, 0 red' "$work/table" || fail "the table is not on standard error"
grep -q '<testsuite' "$work/junit.xml" || fail "there is no JUnit report"

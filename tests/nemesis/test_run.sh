#!/usr/bin/env bash
# test_run.sh CASE HAS_CHECK - `assent-fault run` from outside: a run with faults of all kinds must be judged good; the
# negative controls must show what they are there to show. HAS_CHECK is 1 where the judge (assent-fault-check) is built.
set -euo pipefail

case="$1"
has_check="$2"
run="$ASSENT_BIN_DIR/assent-fault-run"
work="$(mktemp -d /tmp/assent-nemesis-XXXXXX)"
status=0

finish() {
    local code=$?
    if [ "$code" -eq 0 ] || [ -z "${ASSENT_KEEP:-}" ]; then
        rm -rf "$work"
    else
        echo "kept: $work" >&2
    fi
}
trap finish EXIT

fail() {
    echo "$*" >&2
    if [ -f "$work/summary.json" ]; then
        cat "$work/summary.json" >&2
    fi
    if [ -f "$work/verdict.json" ]; then
        jq '{verdict, checks: [.checks[] | select(.status != "passed")]}' "$work/verdict.json" >&2
    fi
    # What was done, and the end of what the daemons said.
    if [ -f "$work/history.jsonl" ]; then
        grep '"nemesis"' "$work/history.jsonl" >&2 || true
    fi
    tail -n 100 "$work"/*.log >&2 2>/dev/null || true
    exit 1
}

# go OPTIONS...: runs; its exit code is in $status, its summary in summary.json.
go() {
    status=0
    "$run" --json --quiet --dir "$work" "$@" >"$work/summary.json" || status=$?
}

# good: the run was good, as far as anybody is there to judge it.
good() {
    if [ "$has_check" = 1 ]; then
        [ "$status" -eq 0 ] || fail "exit code $status"
    else
        [ "$status" -eq 69 ] || fail "exit code $status where there is no judge"
    fi
    [ "$(jq .crashes "$work/summary.json")" = 0 ] || fail "a daemon crashed"
}

# at_least PATH NUMBER: in the summary.
at_least() {
    [ "$(jq "$1 >= $2" "$work/summary.json")" = true ] || fail "$1 is below $2"
}

# equal FILTER VALUE: of the summary.
equal() {
    [ "$(jq -c "$1" "$work/summary.json")" = "$2" ] || fail "$1 is not $2"
}

# published: the summary has the figures that the run is for, and they are the judge's.
published() {
    equal 'has("plain_reads") and has("fractured_reads") and has("fractured_percent")' true
    equal '.operations >= .committed + .failed' true
    equal '[.faults_by_kind[]] | add // 0' "$(jq .faults "$work/summary.json")"
    if [ "$has_check" = 1 ]; then
        equal .fractured_reads "$(jq .figures.fractured_reads "$work/verdict.json")"
        equal .operations "$(jq .figures.requests "$work/verdict.json")"
        equal '.locking_cycles | [length, add]' '[8,0]'
    fi
}

# refuses CODE TEXT OPTIONS...: at once, and says why.
refuses() {
    local code="$1" text="$2" said
    shift 2
    status=0
    said="$(timeout 20 "$run" "$@" 2>&1)" || status=$?
    [ "$status" -eq "$code" ] || fail "$*: exit code $status, not $code: $said"
    grep -qF -- "$text" <<<"$said" || fail "$*: does not say \"$text\": $said"
}

case "$case" in
options) # What cannot be is refused before anything is made, with the bound or the reason.
    for time in 5s 29s 73h 4321m 0s 30 30x -30s; do
        refuses 64 "--time takes 30s to 72h" --time="$time"
    done
    refuses 64 '--profile takes ci, nightly or release' --profile weekly
    refuses 64 'from 100 to' --requests 99
    refuses 64 '1 to 200 bytes' --dir "$(printf 'x%.0s' {1..201})"
    refuses 74 'cannot write' --profile nightly --html "$work/missing/page.html"
    refuses 74 'cannot make' --profile nightly --dir "$work/missing/folder"
    mkdir "$work/dir" "$work/dir/history.jsonl"
    refuses 74 'cannot write' --profile nightly --dir "$work/dir"
    mkdir "$work/kept"
    echo '{"type":"meta"}' >"$work/kept/history.jsonl"
    refuses 74 'a history is there already' --profile nightly --dir "$work/kept"
    [ "$(cat "$work/kept/history.jsonl")" = '{"type":"meta"}' ] || fail "the history that was there is gone"
    ;;
mixed) # Faults of every kind, all workloads, both ways to read.
    go --seed 20261127 --profile ci --clients 8
    good
    equal .seconds 30
    at_least .committed 200
    at_least .faults 5
    at_least .heals 3
    published
    ;;
plain) # What does not lock its reads sees transactions half: or the workload would expose nothing.
    go --seed 5 --time 30s --profile nightly --clients 16 --faults none --mode plain --workload skew,bank
    good
    equal .seconds 30
    published
    if [ "$has_check" = 1 ]; then # nothing is restarted: half a minute is enough
        equal .checks.B1 '"passed"'
    fi
    if [ "$has_check" = 1 ] && [ "$(jq '.figures.fractured_reads > 0' "$work/verdict.json")" != true ]; then
        fail "no plain read was fractured"
    fi
    ;;
corrupt) # One committed row deleted behind everybody's back must be found; and no more is asked for than is allowed.
    go --seed 6 --time 30s --requests 400 --participants 2 --faults none --workload upgrade,bank --corrupt
    at_least .operations 300
    equal '.operations <= 440' true # eight clients each finish what they began
    [ "$(grep '"type":"op"' "$work/history.jsonl" | tail -n 1 | jq '.t_inv > 20000000')" = true ] ||
        fail "all was asked for in the beginning"
    if [ "$has_check" = 1 ]; then
        [ "$status" -eq 1 ] || fail "exit code $status: the deleted row was not found"
        [ "$(jq '[.checks[] | select(.status == "failed") | .id] | contains(["A1"])' \
            "$work/verdict.json")" = true ] || fail "found, but not as what it is"
    fi
    ;;
interrupted) # A signal ends it in order: history closed, nothing left behind.
    # Ctrl-C goes to all processes of the terminal's foreground group.
    setsid "$run" --seed 7 --time 60s --participants 2 --dir "$work" --json --quiet >"$work/summary.json" &
    pid=$!
    # Until the first request was answered. (tail ends with the next line, which nobody reads.)
    timeout 120 grep -q -m 1 '"type":"op"' <(tail -n +1 -F "$work/history.jsonl" 2>/dev/null) ||
        fail "no request was ever answered"
    children="$(pgrep -P "$pid")"
    kill -INT -- "-$pid"
    wait "$pid" || status=$?
    [ "$status" -eq 130 ] || fail "exit code $status"
    [ "$(tail -n 1 "$work/history.jsonl" | jq -r '.type + " " + .reason')" = "end interrupted" ] ||
        fail "the history was not closed"
    for child in $children; do
        ! kill -0 "$child" 2>/dev/null || fail "process $child was left behind"
    done
    equal .crashes 0
    ;;
*)
    fail "no such case: $case"
    ;;
esac

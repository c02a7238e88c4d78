#!/usr/bin/env bash
# Keeps docs/SCOREBOARD.md: figures of runs that took place, each with its date, version and command. Nothing in it is written
# by hand.
#
#   tests/fault/scoreboard.sh run NAME COMMAND...   runs it and keeps what it printed as JSON in docs/scoreboard/NAME.json
#   tests/fault/scoreboard.sh render                writes docs/SCOREBOARD.md from what is kept
#   tests/fault/scoreboard.sh nightly [FOLDER]      all runs of the nightly profile, with the programs of FOLDER (build/bin), then render
#
# COMMAND prints its result as one JSON object, or one to a line, on standard output: that is what --json does everywhere.
# A run that fails is kept as well, and shown as failed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kept=docs/scoreboard

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '/^set -/d'
}

# run NAME COMMAND...
run() {
    local name="$1" output started status=0
    shift
    if [[ ! "$name" =~ ^[a-z][a-z0-9-]*$ ]] || [ $# -eq 0 ]; then
        usage >&2
        return 64
    fi
    output="$(mktemp)"
    started="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    local begin=$SECONDS
    "$@" >"$output" || status=$?
    # The command as a reader would type it: programs by their names.
    local words=() word
    for word in "$@"; do
        words+=("${word/#*\/bin\//}")
    done
    if ! jq -e . "$output" >/dev/null 2>&1; then
        echo "$name printed no JSON (exit code $status); it is not kept" >&2
        rm -f "$output"
        return 1
    fi
    mkdir -p "$kept"
    jq -n --slurpfile result "$output" --arg name "$name" --arg date "$started" \
        --arg version "$(cat VERSION)" --arg commit "$(git rev-parse --short HEAD 2>/dev/null || true)" \
        --arg command "${words[*]}" --argjson seconds "$((SECONDS - begin))" --argjson exit "$status" \
        '{name: $name, date: $date, version: $version, commit: $commit, command: $command,
          seconds: $seconds, exit: $exit, result: [$result[] | del(.cells?, .mutants?, .sites?)]}' \
        >"$kept/$name.json"
    rm -f "$output"
    echo "$kept/$name.json: exit code $status after $((SECONDS - begin)) s"
}

# One row: what was run, when, and the figures that matter; those that a program does not give are left out.
row() {
    jq -r '
        def n: tostring | [while(length > 0; .[:-3])] | map(.[-3:]) | reverse | join(" ");
        . as $run
        | ([.result[] | .transactions | numbers] | add) as $transactions
        | ([.result[] | .schedules | numbers] | add) as $schedules
        | ([.result[] | .states | numbers] | add) as $states
        | (.result[0]) as $r
        | ([ (if $schedules != null and $r.deepest != null
                then "\($schedules | n) schedules, \($states | n) situations"
              elif ($r.seeds | numbers) != null and $transactions != null
                then "\($r.seeds | n) seeds, \($transactions | n) transactions, \(($r.transactions_per_minute // 0) | n) a minute, longest healing \($r.longest_heal_ms // 0) ms"
              elif $r.green != null then "\($r.green) cells green, \($r.red) red"
              elif $r.executions != null then "\($r.executions | n) executions of \($r.targets | length) targets"
              else ($r | to_entries | map(select(.value | type == "number" or type == "string")) | map("\(.key) \(.value)") | .[0:8] | join(", "))
              end) ] | join(", ")) as $figures
        | "| \($run.name) | \(if $run.exit == 0 then "passed" else "**failed**" end) | \($figures) | \($run.seconds) s | \($run.date[0:10]) | \($run.version) (\($run.commit)) | `\($run.command)` |"
    ' "$1"
}

render() {
    local file
    {
        cat <<'TEXT'
# Scoreboard

Runs that took place, each with its date, version and command; written by `tests/fault/scoreboard.sh render` from
[scoreboard/](scoreboard/). What is promised and what each of these shows: [TESTING.md](TESTING.md).

| run | verdict | figures | took | date | version | command |
|---|---|---|---|---|---|---|
TEXT
        for file in "$kept"/*.json; do
            row "$file"
        done
        echo
        if [ -f "$kept/found.md" ]; then
            cat "$kept/found.md"
        fi
    } >docs/SCOREBOARD.md
    echo "docs/SCOREBOARD.md"
}

nightly() {
    local bin="${1:-build/bin}" status=0
    run sim "$bin/assent-fault" sim --time 3600s --json || status=1
    run explore "$bin/assent-fault" explore --json || status=1
    run matrix "$bin/assent-fault" matrix --profile release --json || status=1
    run nemesis "$bin/assent-fault" run --time 1h --json || status=1
    run mutants-planted "$bin/assent-fault" mutants --planted --json || status=1
    run mutants-automatic "$bin/assent-fault" mutants --automatic --json || status=1
    run fuzz bash -c 'tests/fuzz/run.sh --time 600 >/dev/null; status=$?; cat build-fuzz/fuzz.json; exit $status' || status=1
    render
    return "$status"
}

case "${1:-}" in
run)
    shift
    run "$@"
    ;;
render) render ;;
nightly)
    shift
    nightly "$@"
    ;;
--help) usage ;;
*)
    usage >&2
    exit 64
    ;;
esac

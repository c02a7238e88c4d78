#!/usr/bin/env bash
# Keeps docs/SCOREBOARD.md: figures of runs that took place, each with its date, version and command.
#
#   tests/fault/scoreboard.sh run NAME COMMAND...   runs it and keeps what it printed as JSON in docs/scoreboard/NAME.json
#   tests/fault/scoreboard.sh render                writes docs/SCOREBOARD.md from what is kept
#   tests/fault/scoreboard.sh nightly [FOLDER]      all runs of the nightly profile, with the programs of FOLDER (build/bin), then render
#
# COMMAND prints its result on standard output, as one JSON value or several one after the other. A run that fails is kept
# as well, and shown as failed. Not kept is one that printed nothing, or no JSON, or figures that no row shows.
# The version is the one that the program says it is of, or else that of the tree when the run began; "-dirty" behind it says that the tree was
# not as committed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kept=docs/scoreboard

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '/^set -/d'
}

# What is tested: the commit, and whether the tree is as committed. What this script itself writes does not count.
tree_version() {
    local commit
    if ! commit="$(git rev-parse --short HEAD 2>/dev/null)"; then
        echo unknown
        return
    fi
    if [ -n "$(git status --porcelain -- . ":!$kept" ':!docs/SCOREBOARD.md')" ]; then
        commit="$commit-dirty"
    fi
    echo "$commit"
}

# The figures of one run, one branch for each kind. A run of none of these kinds, or one that lacks a figure, is an error.
# shellcheck disable=SC2016 # $run and the like are jq's
figures='
    def n: if type == "number" then tostring | [while(length > 0; .[:-3])] | map(.[-3:]) | reverse | join(" ")
           else error("a figure is missing") end;
    def percent: . * 1000 | round / 10 | tostring + " %";
    def parts: map(select(. != null)) | join(", ");
    def sum_of(f): [f | select(. != null)] | add;

    # assent-fault sim
    def sim: .[0] | [
        "\(.seeds | n) seeds", "\(.transactions | n) transactions",
        "\(.transactions_per_minute | n) a minute", "longest healing \(.longest_heal_ms | n) ms",
        (if .not_as_declared != null then "\(.not_as_declared) not reached as declared" else null end),
        (if (.failures | length) > 0 then "failing: \(.failures | map("\(.rule) at seed \(.seed)") | join(", "))" else null end)
    ];

    # assent-fault explore: an object for each world
    def explore: [
        "\(sum_of(.[].schedules) | n) schedules", "\(sum_of(.[].states) | n) situations",
        (.[] | "\(.transactions | n) \(if .interactive then "interactive " elif .accepted then "accepted " else "" end)transaction\(if .transactions > 1 then "s" else "" end) with up to \(.faults | n) faults: \(if .complete then "all" else "a part" end)"),
        (map(.broken // "" | select(. != "")) | if length > 0 then "broken: \(join(", "))" else null end)
    ];

    # assent-fault matrix
    def matrix: .[0] | ["\(.green | n) cells green", "\(.red | n) red", "profile \(.profile)"];

    # assent-fault run
    def nemesis: .[0] | [
        (if .operations != null then "\(.operations | n) requests" else null end),
        "\(.committed | n) transactions committed", "\(.failed | n) failed", "\(.unknown | n) unknown",
        "\(.faults | n) faults", "longest healing \(.heal_max_ms | n) ms", "\(.heals_late | n) late", "\(.crashes | n) crashes",
        (if (.plain_reads // 0) > 0 then "\(.fractured_reads / .plain_reads | percent) of \(.plain_reads | n) plain reads fractured" else null end),
        (if (.locking_cycles // {} | length) > 0 then "\([.locking_cycles[]] | add // 0 | n) cycles of locking reads" else null end),
        "history: \(if .passed then "pass" else "fail" end)"
    ];

    # assent-fault mutants --planted
    def planted: .[0].planted
        | (map(select(.verdict == "caught")) | length) as $caught
        | (map([.stages[] | select(.verdict == "caught") | .stage][0] | select(. != null))
            | group_by(.) | map("\(.[0]) \(length)")) as $by
        | ["\($caught) of \(length) caught", "first by \($by | join(", "))",
           (map(select(.verdict != "caught")) | if length > 0 then "not so: \(map("\(.number) (\(.verdict))") | join(", "))" else null end)];

    # assent-fault mutants --automatic
    def automatic: .[0].automatic | [
        "\(.killed | n) of \(.run | n) killed", "\(.rate | percent) of those that are not equivalent",
        "survivors: \(.equivalent) equivalent, \(.listed) others with a reason, \(.unlisted) without"
    ];

    # tests/fuzz/run.sh
    def fuzz: .[0] | ["\(.executions | n) executions", "\(.targets | length) targets",
        (.targets | map(select(.result != "clean") | .target) | if length > 0 then "red: \(join(", "))" else null end)];

    # tests/model/figures.sh
    def model: .[0].model | [
        "\(.states | n) states of \(.right) right models", "\(.planted_found) of \(.planted) planted bugs found",
        "\(.rests) searches for cycles", (if .failed > 0 then "\(.failed) red" else null end)
    ];

    .result
    | if any(.[]; .planted? != null) then planted
      elif any(.[]; .automatic? != null) then automatic
      elif any(.[]; .model? != null) then model
      elif any(.[]; .heal_max_ms? != null) then nemesis
      elif any(.[]; .green? != null) then matrix
      elif any(.[]; .executions? != null) then fuzz
      elif any(.[]; .deepest? != null) then explore
      elif any(.[]; .transactions_per_minute? != null) then sim
      else error("no figures that a row shows")
      end
    | parts'

# What is kept: figures, not each cell, mutant and finding by its name. Of planted bugs, who caught which.
# shellcheck disable=SC2016 # $result and the like are jq's
shortened='
    def shorten:
        if type != "object" then .
        else
            (if .planted? != null then .planted |= map({number, title, verdict, stages: (.stages | map({stage, verdict, seconds}))}) else . end)
            | (if .automatic? != null then .automatic |= (. + {survivors: [(.mutants // [])[] | select((.verdict | . == "survived" or . == "not asked for") and .reason == null) | .name]} | del(.mutants)) else . end)
            | del(.cells?, .mutants?, .sites?, .impossible?, .history?)
        end;
    {name: $name, date: $date, version: $version, commit: $commit, command: $command, seconds: $seconds, exit: $exit,
     result: [$result[] | shorten]}'

# run NAME COMMAND...
run() {
    local name="${1:-}" output record started commit status=0
    shift || true
    if [[ ! "$name" =~ ^[a-z][a-z0-9-]*$ ]] || [ $# -eq 0 ]; then
        usage >&2
        return 64
    fi
    output="$(mktemp)"
    record="$(mktemp)"
    started="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    commit="$(tree_version)"
    local begin=$SECONDS
    "$@" >"$output" || status=$?
    # The command as a reader would type it: programs by their names, and no folders of this machine.
    local words=() word
    for word in "$@"; do
        word="${word/#*\/bin\//}"
        [[ "$word" != /* ]] || word="${word##*/}"
        words+=("$word")
    done
    if ! jq -es 'length > 0 and all(.[]; type == "object")' "$output" >/dev/null 2>&1; then
        echo "$name printed no JSON (exit code $status); it is not kept" >&2
        rm -f "$output" "$record"
        return 1
    fi
    if ! jq -n --slurpfile result "$output" --arg name "$name" --arg date "$started" \
        --arg version "$(cat VERSION)" --arg commit "$commit" \
        --arg command "${words[*]}" --argjson seconds "$((SECONDS - begin))" --argjson exit "$status" \
        "$shortened" >"$record" || ! row "$record" >/dev/null; then
        echo "$name printed JSON that no row of the scoreboard shows (exit code $status); it is not kept" >&2
        rm -f "$output" "$record"
        return 1
    fi
    mkdir -p "$kept"
    cat "$record" >"$kept/$name.json"
    rm -f "$output" "$record"
    echo "$kept/$name.json: exit code $status after $((SECONDS - begin)) s"
    return "$status"
}

# One row: what was run, when, and the figures that matter.
row() {
    local text
    text="$(jq -r "$figures" "$1")" || return
    if [ -z "$text" ]; then
        echo "$1: no figures" >&2
        return 1
    fi
    jq -r --arg figures "$text" '
        "| \(.name) | \(if .exit == 0 then "passed" else "**failed**" end) | \($figures) | \(.seconds) s | \(.date[0:10]) | \(.version) (\(.result[0].commit // .commit)) | `\(.command)` |"
    ' "$1"
}

render() {
    local file rows=""
    for file in "$kept"/*.json; do
        if ! rows+="$(row "$file")"$'\n'; then
            echo "$file cannot be shown; docs/SCOREBOARD.md is left as it was" >&2
            return 1
        fi
    done
    {
        cat <<'TEXT'
# Scoreboard

Runs that took place, each with its date, version and command. The table is written by `tests/fault/scoreboard.sh render` from what
the programs printed, which is kept in [scoreboard/](scoreboard/); the list of bugs below it is written by hand, in
[scoreboard/found.md](scoreboard/found.md). What is promised and what each of these shows: [TESTING.md](TESTING.md).

| run | verdict | figures | took | date | version | command |
|---|---|---|---|---|---|---|
TEXT
        printf '%s\n' "$rows"
        if [ -f "$kept/found.md" ]; then
            cat "$kept/found.md"
        fi
    } >docs/SCOREBOARD.md
    echo "docs/SCOREBOARD.md"
}

nightly() {
    local bin="${1:-build/bin}" status=0
    run sim "$bin/assent-fault" sim --profile nightly --json || status=1
    run explore "$bin/assent-fault" explore --profile nightly --json || status=1
    run matrix "$bin/assent-fault" matrix --profile release --json - || status=1
    run nemesis "$bin/assent-fault" run --profile nightly --json || status=1
    run mutants-planted "$bin/assent-fault" mutants --planted --named --json || status=1
    run mutants-automatic "$bin/assent-fault" mutants --automatic --json || status=1
    run model tests/model/figures.sh "$(dirname "$bin")" || status=1
    run fuzz tests/fuzz/run.sh --profile nightly --json || status=1
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

#!/usr/bin/env bash
# assent-fault sim and assent-fault explore from outside: exit codes, output, files.
# Usage: test_cli.sh BIN_DIR REPRO_DIR
set -euo pipefail

bin="$(realpath "$1")" repro="$(realpath "$2")"
sim="$bin/assent-fault-sim" explore="$bin/assent-fault-explore"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failures=0

# expect STATUS TEXT COMMAND...: ends with STATUS and says TEXT somewhere.
expect() {
    local wanted="$1" text="$2" status=0 output
    shift 2
    output="$("$@" 2>&1)" || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qF -- "$text" <<<"$output"; then
        printf '%s\n  ended with %s, not %s, or did not say "%s":\n%s\n' \
            "$*" "$status" "$wanted" "$text" "${output:0:2000}" >&2
        failures=$((failures + 1))
    fi
}

# require WHAT COMMAND...
require() {
    local what="$1"
    shift
    if ! "$@"; then
        echo "not so: $what" >&2
        failures=$((failures + 1))
    fi
}

# says FILTER COMMAND...: what the command prints on stdout is JSON for which the filter is true.
says() {
    local filter="$1"
    shift
    "$@" 2>/dev/null | jq -es "$filter" >/dev/null
}

# ---- sim ----

# What contradicts itself is refused, in words.
expect 64 'runs what it names, once' "$sim" --seed 17 --seeds 1..2
expect 64 'runs what it names, once' "$sim" --seed 17 --time 5s
expect 64 'runs what it names, once' "$sim" --profile ci --seed 17
expect 64 'which of them?' "$sim" --replay "$repro/L1-2184.sim" --seed 17
expect 64 'kept already' "$sim" --replay "$repro/L1-2184.sim" --save
expect 64 'one run' "$sim" --svg x.svg --replay "$repro/L1-2184.sim" "$repro/L1-17049.sim"
expect 64 'seeds' "$sim" --seeds 7..3
expect 64 'seeds' "$sim" --seeds 1..99999999999999999999999
expect 64 'time' "$sim" --time 0
expect 64 'time' "$sim" --time 5x
expect 64 'time' "$sim" --time -5s
expect 64 'jobs' "$sim" --jobs 0
expect 64 'profile' "$sim" --profile weekly
expect 64 "'seed' is no option" "$sim" seed 17
# The time that was said wins, before and after the profile.
expect 0 'failed             0' timeout 30 "$sim" --time 1s --profile ci --jobs 1
expect 0 'failed             0' timeout 30 "$sim" --profile ci --time 1s --jobs 1

# A run names the version and the commit that it is a run of; as JSON, too, with the text for people elsewhere.
version="$(sed -n '1p' <<<"$("$sim" --version)")"
expect 0 "seed 17, version ${version#assent-fault-sim } (" "$sim" --seed 17
require 'JSON of one seed' \
    says '.[0] | .seed == 17 and .failed == false and (.commit | length) > 0 and (.hash | length) == 16' \
    "$sim" --seed 17 --json
require 'JSON of many seeds' says '.[0] | .seeds == 3 and (.commit | length) > 0' \
    "$sim" --seeds 1..3 --jobs 1 --json
require 'JSON of kept files' says '.[0] | length == 2 and all(.[]; .failed == false)' \
    "$sim" --json --replay "$repro/L1-2184.sim" "$repro/L1-17049.sim"

# Coverage is judged where a profile runs its own time, and that is said.
expect 0 '(not judged: only a profile' "$sim" --seeds 1..3 --jobs 1
expect 0 '(not judged: only a profile' "$sim" --profile ci --seeds 1..3 --jobs 1
expect 1 'agent        telling' "$sim" --profile nightly --seeds 1..3 --jobs 1
require 'all that was not reached is listed, pairs too' grep -q 'branch' <<<"$("$sim" --list-coverage --seeds 1..3 --jobs 1)"

# What an interrupted run has found by then is shown.
"$sim" --profile nightly --jobs 2 --json >interrupted.json 2>/dev/null &
pid=$!
timeout 20 bash -c "until pgrep -P $pid >/dev/null; do read -rt 0.05 <> <(:) || true; done"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
require 'an interrupted run ends with 130' test "$status" -eq 130
require 'JSON of an interrupted run' says '.[0] | .interrupted and .failures == []' cat interrupted.json

# Where nothing can be kept, that is said before the run; the folder is made.
mkdir closed
touch closed/tests
expect 74 'cannot keep anything in tests/repro' bash -c "cd closed && timeout 30 '$sim' --save --time 1h"
expect 0 'failed             0' "$sim" --seeds 1..3 --jobs 1 --save
require 'the folder is there, and empty' rmdir tests/repro

# A drawing that cannot be written is an error, before the run and after it; one that can leaves nothing behind unless drawn.
expect 74 'cannot write nowhere/x.svg' timeout 30 "$sim" --svg nowhere/x.svg --time 1h
expect 74 'cannot write nowhere/x.svg' "$sim" --seed 17 --svg nowhere/x.svg
expect 74 'cannot write /dev/full' "$sim" --seed 17 --svg /dev/full
expect 0 'seed 17' "$sim" --seed 17 --svg run.svg
require 'a drawing is there' grep -q '</svg>' run.svg
expect 0 'passed' "$sim" --replay "$repro/L1-2184.sim" --svg kept.svg
require 'a drawing is there' grep -q '</svg>' kept.svg
expect 0 'failed             0' "$sim" --seeds 1..3 --jobs 1 --svg none.svg
require 'no drawing where nothing failed' test ! -e none.svg

# Every kept run is still the run that was kept: each of its faults finds its occasion.
for file in "$repro"/*.sim; do
    count="$(grep -c '^strike ' "$file")"
    expect 0 "($count of $count faults struck)" "$sim" --replay "$file"
done

# Half a file would run as something else, and pass.
: >empty.sim
expect 65 'no line "seed N"' "$sim" --replay empty.sim
head -n 6 "$repro/L1-2184.sim" >cut.sim
expect 65 'no line "end"' "$sim" --replay cut.sim
sed 's/^strike agent-kill 9$/strike agent-kill/' "$repro/L1-2184.sim" >worse.sim
expect 65 'line 7: not understood' "$sim" --replay worse.sim
{ cat "$repro/L1-2184.sim"; echo 'ops 3'; } >longer.sim
expect 65 'not understood' "$sim" --replay longer.sim
printf 'seed 3\nstrike agent-kill 1\nend drawn\n' >both.sim
expect 65 'faults are listed' "$sim" --replay both.sim
printf 'seed 3\nend drawn\n' >drawn.sim
expect 0 'passed' "$sim" --replay drawn.sim
expect 74 'cannot read nowhere.sim' "$sim" --replay nowhere.sim

# ---- explore ----

expect 64 'transactions' "$explore" --transactions 0
expect 64 'transactions' "$explore" --transactions 3
expect 64 'faults' "$explore" --faults 5
expect 64 'schedules' "$explore" --schedules 99999999999999999999999
expect 64 'schedules' "$explore" --schedules 0
expect 64 'time' "$explore" --time 5x
expect 64 'profile' "$explore" --profile weekly
expect 74 'cannot write nowhere/x.svg' timeout 30 "$explore" --svg nowhere/x.svg
expect 0 'COMPLETE, there are no others' "$explore" --transactions 1 --faults 0 --time 5m
# What is said itself wins over the profile, in any order.
expect 0 '100 different ones: a part' timeout 30 "$explore" --transactions 1 --schedules 100 --profile nightly
expect 0 '100 different ones: a part' timeout 30 "$explore" --transactions 1 --profile nightly --schedules 100
# Each schedule is counted once, ends or is cut off, and has a number of faults.
require 'the sums of a part' says '.[0] | .schedules == 3000 and (.complete | not)
    and .ended + .cut == .schedules and ([.by_faults[].schedules] | add) == .schedules
    and .by_faults[0].complete and (.by_faults[1].complete | not) and .by_faults[1].left > 0' \
    "$explore" --transactions 1 --faults 1 --schedules 3000 --json
require 'a line for each world' \
    says 'length == 4 and all(.complete) and map(.interactive) == [false, false, true, false]
    and map(.accepted) == [false, false, false, true]' "$explore" --faults 0 --json
require 'an interactive transaction' \
    says '.[0] | .interactive and .transactions == 1 and .complete' "$explore" --interactive --faults 0 --json
require 'an accepted request' \
    says '.[0] | .accepted and .transactions == 1 and .complete' "$explore" --accepted --faults 0 --json
expect 64 'one of them' "$explore" --accepted --interactive
# As many as there are, and no more, however many are asked for.
all="$("$explore" --transactions 2 --faults 0 --json | jq .schedules)"
require "all $all, and no more" says ".[0] | .schedules == $all and .complete" \
    "$explore" --transactions 2 --faults 0 --schedules 300000 --json

[ "$failures" -eq 0 ]

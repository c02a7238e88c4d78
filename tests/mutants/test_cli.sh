#!/usr/bin/env bash
# assent-fault-mutants from outside, without a run: what it refuses, lists and checks, and what it leaves behind when it is
# interrupted.
# Usage: test_cli.sh PROGRAM SOURCE_DIR
set -euo pipefail

program="$1" source_dir="$2"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failures=0

wrong() {
    echo "$*" >&2
    failures=$((failures + 1))
}

# expect STATUS TEXT OPTION...: ends with STATUS and says TEXT somewhere.
expect() {
    local wanted="$1" text="$2" status=0 output
    shift 2
    output="$("$program" --source "$source_dir" "$@" 2>&1)" || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qF -- "$text" <<<"$output"; then
        wrong "$* ended with $status, not $wanted, or did not say \"$text\": ${output:0:1000}"
    fi
}

# What is not there.
count="$("$program" --source "$source_dir" --list --automatic | wc -l)"
expect 64 "there is no automatic mutant 999999, there are $count" --mutant 999999
expect 64 "there is no automatic mutant $((count + 1)), there are $count" --list --mutant $((count + 1))
expect 64 'there is no planted bug 999, there are' --bug 999
expect 64 'there is no planted bug 999, there are' --check --bug 999
expect 69 'is no source tree of Assent' --source "$scratch"

# What is not understood, by the option that does not take it.
expect 64 '--mutant takes the number of an automatic mutant, as --list has them, not `x`' --mutant x
expect 64 '--mutant takes' --mutant 0
expect 64 '--bug takes the number of a planted bug, as --list has them, not `9x`' --bug 9x
expect 64 '--until takes spec, random or sim, not `end`' --until end
expect 64 '--profile takes ci, nightly or release, not `all`' --profile all
expect 64 '--seeds takes a number, 1 or more, not `0`' --seeds 0
expect 64 '--time-sim takes seconds: a number, 0 for none, not `1m`' --time-sim 1m
expect 64 '--jobs takes a number from 1 to 256, not `257`' -j 257
expect 64 '`9`: only options are taken' 9
expect 64 '--check goes with neither' --check --list
expect 64 '--check goes with neither' --check --mutant 1

# What was asked for, and nothing else.
expect 0 'planted bugs that apply: 1 of ' --check --bug 3
if "$program" --source "$source_dir" --check --bug 3 | grep -q survivors; then
    wrong '--check --bug 3 speaks of survivors, which it did not look at'
fi
expect 0 'survivors that are where they were' --check --automatic
if [ "$("$program" --source "$source_dir" --list --bug 3 | cut -d' ' -f1,2)" != 'bug 3' ]; then
    wrong '--list --bug 3 lists something else'
fi
"$program" --source "$source_dir" --list --json >"$scratch/list"
if ! jq -e --argjson count "$count" '(.planted | length > 0 and all(.[]; .number > 0 and (.stages | length) > 0)) and
        (.automatic | length == $count and all(.[]; .number > 0 and .name != ""))' "$scratch/list" >/dev/null; then
    wrong "--list --json: $(head -c 300 "$scratch/list")"
fi
if ! "$program" --source "$source_dir" --list --json --mutant 7 |
    jq -e '(.automatic | map(.number)) == [7] and (has("planted") | not)' >/dev/null; then
    wrong '--list --json --mutant 7 lists something else'
fi

# A planted bug that does not apply any more is told, and makes the check fail.
mkdir -p "$scratch/tree/tests/mutants/planted"
cp "$source_dir/tests/mutants/survivors.txt" "$scratch/tree/tests/mutants/"
printf '%s\n' 'number: 1' 'title: t' 'rules: P-1' 'expected: R' 'sim: --seeds 1..2' '' '--- in code.c' 'old' \
    '--- becomes' 'new' '--- end' >"$scratch/tree/tests/mutants/planted/01-one.bug"
echo 'int other;' >"$scratch/tree/code.c"
expect 1 'occurs nowhere' --source "$scratch/tree" --check --planted

# Interrupted while a tool runs: the tool, what it has started, and the folder are gone. The tool is one of ours that says
# when it is there.
mkdir "$scratch/tools" "$scratch/tmp"
mkfifo "$scratch/there"
cat >"$scratch/tools/cmake" <<'TEXT'
#!/usr/bin/env bash
sleep 300 &
echo "$$ $!" >"$SCRATCH/there"
wait
TEXT
chmod +x "$scratch/tools/cmake"
for name in INT TERM HUP; do
    status=0
    env --default-signal=INT SCRATCH="$scratch" TMPDIR="$scratch/tmp" PATH="$scratch/tools:$PATH" \
        "$program" --source "$source_dir" --bug 9 2>"$scratch/said" &
    child=$!
    read -r tool below <"$scratch/there"
    if [ "$(find "$scratch/tmp" -mindepth 1 -maxdepth 1 | wc -l)" -ne 1 ]; then
        wrong "there is no folder to be removed: $(ls "$scratch/tmp")"
    fi
    kill "-$name" "$child"
    wait "$child" 2>/dev/null || status=$?
    if [ "$status" -ne $((128 + $(kill -l "$name"))) ]; then
        wrong "SIG$name: ended with $status: $(cat "$scratch/said")"
    fi
    if kill -0 "$tool" 2>/dev/null || kill -0 "$below" 2>/dev/null; then
        wrong "SIG$name: what it had started still runs"
    fi
    if [ -n "$(ls "$scratch/tmp")" ]; then
        wrong "SIG$name: left $(ls "$scratch/tmp")"
    fi
done

[ "$failures" -eq 0 ]

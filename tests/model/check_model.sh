#!/usr/bin/env bash
# Runs one model with one set of switches through spin and judges the result.
#
#   check_model.sh right  MODEL [-DNAME=VALUE...]   no error in the complete state space, every option reached
#   check_model.sh cycles MODEL [-DNAME=VALUE...]   no cycle in it either: every run comes to rest (README.md)
#   check_model.sh wrong  MODEL -DBUG_n=1 [...]     spin finds an error: the planted bug is caught
#
# MODEL_MEMORY_MB: the most that a search may take (3500).
#
# Never green by accident: a search that was cut short (depth, memory, time), a bitstate search, a switch that the model
# does not know, an output that is not understood, and, for the right model, an option of a process that no run took
# although its fault was in the budget, all fail.
set -euo pipefail

mode="${1:?right, cycles or wrong}"
model="${2:?the name of a model}"
shift 2
folder="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source="$folder/$model.pml"
memory_mb="${MODEL_MEMORY_MB:-3500}"
depth=200000

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

for switch in "$@"; do
    name="${switch#-D}"
    name="${name%%=*}"
    grep -qw -- "$name" "$source" || fail "$model.pml knows no switch $name"
done

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$folder"/*.pml "$work"
cd "$work"

spin -a "$@" "$model.pml" >spin.log 2>&1 || { cat spin.log; fail "spin does not accept the model"; }
flags=(-O2 -w -DMEMLIM="$memory_mb")
run=(-m"$depth" -E) # -E: rest, an assertion, says what a valid end state is
case "$mode" in
right) flags+=(-DSAFETY) ;;
wrong) flags+=(-DSAFETY) && flags[0]=-O0 ;; # found at once; compiling takes longer
cycles) flags+=(-DNP) && run+=(-l) ;;       # no progress label anywhere: any cycle is an error
*) fail "unknown mode $mode" ;;
esac
"${CC:-gcc}" "${flags[@]}" -o pan pan.c || fail "the verifier does not compile"
status=0
./pan "${run[@]}" >pan.log 2>&1 || status=$?

sed -n -e '/^pan:1:/p' -e '/errors:/p' -e '/states, stored/p' -e '/total actual memory/p' -e '/elapsed time/p' pan.log
[ "$status" -eq 0 ] || { cat pan.log; fail "the verifier ended with $status"; }
grep -q '^Full statespace search for:' pan.log || fail "not a full search of the state space"
if grep -qiE 'max search depth too small|out of memory|memory limit|aborting|truncated' pan.log; then
    fail "the search was cut short"
fi

if [ "$mode" = wrong ]; then
    grep -qE 'errors: [1-9]' pan.log || fail "the planted bug was not found"
    grep -qE '^pan:1: (assertion violated|non-progress cycle)' pan.log || fail "an error, but not one of ours"
    echo "found; the last steps of its trace:"
    spin -t -p "$@" "$model.pml" 2>/dev/null | grep 'proc ' | grep -v 'valid end state' | tail -n 12 || true
    exit 0
fi

grep -qE 'errors: 0$' pan.log || { spin -t -p "$@" "$model.pml" | tail -n 120; fail "the right model has an error"; }
if grep -q 'Search not completed' pan.log; then
    fail "the search was cut short"
fi
[ "$mode" = right ] || exit 0

# Every option of every process (indented by four) must have been taken. The guards of those that were not are what spin
# lists as unreached.
python3 - "$model" <<'PYTHON' || fail "parts of the model were never reached"
import re
import sys

model = sys.argv[1]
lines = open(f"{model}.pml").read().split("\n")
guards = {}
for start, line in enumerate(lines):
    if line.startswith("    :: atomic {"):
        for end in range(start, min(start + 6, len(lines))):
            guards[end + 1] = start
            if "->" in lines[end]:
                break
status = 0
for number, text in re.findall(rf"^\t{model}\.pml:(\d+), state \d+, \"(.*)\"", open("pan.log").read(), re.M):
    start = guards.get(int(number))
    if start is None or not text.startswith("("):
        continue
    print(f"{model}.pml:{start + 1}: never reached: {lines[start].strip()}")
    status = 1
sys.exit(status)
PYTHON
echo "every option was reached"

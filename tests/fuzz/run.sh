#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer and the sanitizers (preset `fuzz`, clang) and runs them.
#
#   tests/fuzz/run.sh [--profile NAME] [--time SECONDS] [--jobs N] [--json] [NAME...]
#
#   --profile NAME   how long, by name, for each target: ci (8 s, what ./check runs), nightly (10 minutes),
#                    release (an hour)
#   --time SECONDS   for each target; beats the profile; 60 where neither is given
#   --jobs N         that many targets at a time; the number of processors unless given
#   --json           the table as JSON on standard output; everything else goes to standard error
#   NAME...          only these targets (message, coord, ...); all unless given
#
# What is found stays in build-fuzz/corpus/NAME and is where the next run starts. An input that ends a target is kept in
# build-fuzz/crashes/ and the exit code is 1: copy it into tests/fuzz/corpus/NAME/, where ./check replays it for ever,
# and mend what it shows. The last lines are a table of executions, also as build-fuzz/fuzz.json.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder="$PWD/build-fuzz"
seconds=
profile=
jobs="$(nproc)"
names=()
json=no

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '/^set -/d'
}

while [ $# -gt 0 ]; do
    case "$1" in
    --time | --jobs)
        if [[ ! "${2:-}" =~ ^[1-9][0-9]*$ ]]; then
            echo "$1 needs a number" >&2
            exit 64
        fi
        if [ "$1" = --time ]; then seconds="$2"; else jobs="$2"; fi
        shift 2
        ;;
    --profile)
        profile="${2:-}"
        if [[ ! "$profile" =~ ^(ci|nightly|release)$ ]]; then
            echo "--profile needs ci, nightly or release" >&2
            exit 64
        fi
        shift 2
        ;;
    --json)
        json=yes
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 64
        ;;
    *)
        if [ ! -d "tests/fuzz/corpus/$1" ]; then
            echo "there is no target $1; there are: $(ls tests/fuzz/corpus | tr '\n' ' ')" >&2
            exit 64
        fi
        names+=("$1")
        shift
        ;;
    esac
done
if [ -z "$seconds" ]; then
    case "$profile" in
    ci) seconds=8 ;;
    nightly) seconds=600 ;;
    release) seconds=3600 ;;
    *) seconds=60 ;;
    esac
fi
if [ "${#names[@]}" -eq 0 ]; then
    mapfile -t names < <(ls tests/fuzz/corpus)
fi

exec 3>&1
if [ "$json" = yes ]; then
    exec >&2
fi
rm -f "$folder/fuzz.json" # an older run's figures are not this one's
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- --quiet
mkdir -p "$folder/crashes" "$folder/logs"

# One target for its time; libFuzzer itself says in the log what it found.
fuzz_one() {
    local name="$1" length=4096
    mkdir -p "$folder/corpus/$name"
    ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1 "$folder/tests/fuzz/fuzz_$name" \
        -max_total_time="$seconds" -max_len="$length" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$folder/crashes/$name-" \
        "$folder/corpus/$name" "tests/fuzz/corpus/$name" >"$folder/logs/$name.log" 2>&1
}
export -f fuzz_one
export folder seconds

status=0
printf '%s\n' "${names[@]}" | xargs -P "$jobs" -I{} bash -c 'fuzz_one {}' || status=1

total=0
rows=()
printf '%-12s %12s %8s\n' target executions result
for name in "${names[@]}"; do
    count="$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/logs/$name.log" | tail -n 1)"
    result=clean
    if ! grep -q '^Done ' "$folder/logs/$name.log"; then
        result=RED
        status=1
    fi
    printf '%-12s %12s %8s\n' "$name" "${count:-0}" "$result"
    rows+=("{\"target\":\"$name\",\"executions\":${count:-0},\"result\":\"$result\"}")
    total=$((total + ${count:-0}))
    if [ "$result" = RED ]; then
        grep -nE '(ERROR|SUMMARY|check failed|runtime error|Test unit written)' \
            "$folder/logs/$name.log" | sed 's/^/    /' || true
    fi
done
printf '%-12s %12s\n' total "$total"
(
    IFS=,
    printf '{"version":"%s","seconds_each":%s,"executions":%s,"targets":[%s]}\n' \
        "$(cat VERSION)" "$seconds" "$total" "${rows[*]}"
) >"$folder/fuzz.json"
if [ "$json" = yes ]; then
    cat "$folder/fuzz.json" >&3
fi
exit "$status"

#!/usr/bin/env bash
# Runs every model under spin, as `ctest -L model` does, and prints the figures as one JSON object:
#
#   tests/model/figures.sh BUILD_FOLDER
#
# right: models without a bug, `states` are all of theirs; rests: searches for a run that goes round for ever; planted:
# searches for a planted bug, and how many found it. What is red is told on standard error, and the exit code is 1. Where
# nothing ran there are no figures.
set -euo pipefail

usage() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '/^set -/d'
}

if [ "${1:-}" = --help ]; then
    usage
    exit 0
fi
if [ $# -ne 1 ] || [ "${1:0:1}" = - ]; then
    usage >&2
    exit 64
fi
build="$1"
if [ ! -f "$build/CTestTestfile.cmake" ]; then
    echo "$build is not the folder of a build with tests" >&2
    exit 66
fi
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
ctest --test-dir "$build" -L '^model$' --no-tests=error -V >"$log" 2>&1 || status=1

# "12: Test command: ... check_model.sh" "right" "commit"", "12:  9512345 states, stored", "1/29 Test #12: model.commit ... Passed"
awk -v version="$(cat "$(dirname "${BASH_SOURCE[0]}")/../../VERSION")" '
    /^[0-9]+: Test command: .*check_model\.sh/ {
        mode[$1] = /"wrong"/ ? "wrong" : /"cycles"/ ? "cycles" : "right"
    }
    /^[0-9]+: +[0-9.e+]+ states, stored/ { states[$1] = $2 }
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
        passed = / Passed /
        failed += !passed
        if (!passed) {
            print > "/dev/stderr"
        }
        id = $0
        sub(/^[^#]*#/, "", id)
        sub(/:.*/, ":", id)
        if (mode[id] == "right") {
            right++
            sum += states[id]
        } else if (mode[id] == "cycles") {
            rests++
        } else if (mode[id] == "wrong") {
            planted++
            found += passed
        }
    }
    END {
        if (right + rests + planted == 0) {
            exit 1
        }
        printf "{\"version\":\"%s\",\"model\":{\"right\":%d,\"states\":%d,\"rests\":%d,\"planted\":%d,\"planted_found\":%d,\"failed\":%d}}\n",
            version, right, sum, rests, planted, found, failed
    }' "$log" || {
    cat "$log" >&2
    exit 1
}
exit "$status"

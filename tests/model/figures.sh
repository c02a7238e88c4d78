#!/usr/bin/env bash
# Runs every model under spin, as `ctest -L model` does, and prints the figures as one JSON object:
#
#   tests/model/figures.sh BUILD_FOLDER
#
# right: models without a bug, `states` are all of theirs; rests: searches for a run that goes round for ever; planted:
# searches for a planted bug, and how many found it. What is red is told on standard error, and the exit code is 1.
set -euo pipefail

build="${1:?the folder of a build}"
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
        printf "{\"version\":\"%s\",\"model\":{\"right\":%d,\"states\":%d,\"rests\":%d,\"planted\":%d,\"planted_found\":%d,\"failed\":%d}}\n",
            version, right, sum, rests, planted, found, failed
    }' "$log"
exit "$status"

#!/usr/bin/env bash
# test_cli.sh - what tests/fuzz/run.sh refuses before it builds anything, and that its help names what it takes.
set -euo pipefail

run="$(dirname "${BASH_SOURCE[0]}")/run.sh"

# expect CODE TEXT OPTIONS...
expect() {
    local code="$1" text="$2" status=0 said
    shift 2
    said="$("$run" "$@" 2>&1)" || status=$?
    if [ "$status" -ne "$code" ] || ! grep -qF -- "$text" <<<"$said"; then
        echo "run.sh $*: exit code $status, not $code, or does not say \"$text\": $said" >&2
        exit 1
    fi
}

expect 64 'needs ci, nightly or release' --profile weekly
expect 64 'needs ci, nightly or release' --profile
expect 64 'needs a number' --profile ci --time soon
expect 64 'needs a number' --jobs 0
expect 64 'there is no target nothing' --profile ci nothing
expect 64 'run.sh [--profile NAME]' --what
for text in 'ci (8 s' nightly release --time --jobs --json; do
    expect 0 "$text" --help
done

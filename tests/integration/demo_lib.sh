# demo_lib.sh - what the shell tests of the demo share. Sourced; needs ASSENT_BIN_DIR.
# shellcheck shell=bash
set -euo pipefail

assent=${ASSENT_BIN_DIR:?}/assent
unset ASSENT_API
# The folder must be one that the user postgres can reach.
work=$(mktemp -d /tmp/assent-test-XXXXXX)
chmod 755 "$work"
demo=$work/demo

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    tail -n 20 "$demo"/log/*.log >&2 2>/dev/null || true
    exit 1
}

# expect CODE COMMAND...: its exit code must be CODE. Output goes to $work/out.
expect() {
    local wanted=$1 code=0
    shift
    "$@" >"$work/out" 2>&1 || code=$?
    if [ "$code" -ne "$wanted" ]; then
        cat "$work/out" >&2
        fail "exit code $code instead of $wanted: $*"
    fi
}

# A port with nine more behind it that nobody listens on now; the tests run beside each other.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + (RANDOM % 1200) * 10))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

cleanup() {
    "$assent" demo down --purge --dir "$demo" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

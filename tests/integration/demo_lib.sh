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

# A port with nineteen more behind it, as a demo takes them (--port in assent-demo(1)), that are this test's until it ends, also
# while nobody listens there: a link whose target is the test's process. Other tests take lower ones (tests/lib/process.c).
free_port() {
    local port link owner
    for _ in $(seq 300); do
        port=$((26000 + (RANDOM % 300) * 20))
        link=/tmp/assent-port-$port
        owner=$(readlink "$link" || true)
        if [ -n "$owner" ] && [ ! -d "/proc/$owner" ]; then
            rm -f "$link" # of a test that was killed
        fi
        if ln -s "$$" "$link" 2>/dev/null && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

cleanup() {
    "$assent" demo down --purge --dir "$demo" >/dev/null 2>&1 || true
    rm -rf "$work"
    find /tmp -maxdepth 1 -name 'assent-port-*' -lname "$$" -delete
}
trap cleanup EXIT

#!/usr/bin/env bash
# test_quickstart.sh - ./quickstart twice, then --down; as root also as an ordinary user.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

quickstart=${ASSENT_SOURCE_DIR:?}/quickstart
port=$(free_port)

expect 0 "$quickstart" --dir "$demo" --port "$port"
[ "$(grep -c '^  yes ' "$work/out")" -eq 5 ] || fail "the verdict"
grep -q "It stays running: http://127.0.0.1:$port" "$work/out" || fail "the API's address"
expect 0 "$quickstart" --dir "$demo"
[ "$(grep -c '^  yes ' "$work/out")" -eq 5 ] || fail "the second verdict"
expect 0 "$assent" demo status --dir "$demo"
expect 0 "$quickstart" --down --dir "$demo"
[ ! -e "$demo" ] || fail "--down left the folder"
expect 64 "$quickstart" --nonsense

# An ordinary user needs no root, and everything runs as that user.
if [ "$(id -u)" -eq 0 ]; then
    mkdir "$work/bin"
    cp "$ASSENT_BIN_DIR"/assent "$ASSENT_BIN_DIR"/assentd "$ASSENT_BIN_DIR"/assent-agent "$work/bin"
    mkdir -p "$work/tree/packaging"
    cp "$quickstart" "$work/tree"
    cp "$ASSENT_SOURCE_DIR/packaging/packages.sh" "$work/tree/packaging"
    chown -R nobody "$work/tree"
    user=(setpriv --reuid=nobody --regid=nogroup --clear-groups env "ASSENT_BIN_DIR=$work/bin" HOME=/nonexistent)
    expect 0 "${user[@]}" "$work/tree/quickstart" --port "$(free_port)"
    for pid in $("${user[@]}" "$work/bin/assent" demo status --json --dir "$work/tree/.assent-demo" |
        jq '.processes[].pid'); do
        [ "$(stat -c %U "/proc/$pid")" = nobody ] || fail "pid $pid is not nobody's"
    done
    expect 0 "${user[@]}" "$work/tree/quickstart" --down
    [ ! -e "$work/tree/.assent-demo" ] || fail "the ordinary user's --down left the folder"
fi

# Some of what the tests need is there (cmocka, say) and some is not: it builds without them. A stub is cmake, on a machine without spin.
mkdir -p "$work/fresh/packaging" "$work/stub"
cp "$quickstart" "$work/fresh"
cp "$ASSENT_SOURCE_DIR/packaging/packages.sh" "$work/fresh/packaging"
cat >"$work/stub/cmake" <<STUB
#!/bin/sh
case "\$*" in
*-DBUILD_TESTING=OFF*) touch build/configured ;;
*--preset*) echo "CMake Error: Could not find ASSENT_SPIN using the following names: spin" && exit 1 ;;
*--build*) [ -e build/configured ] && ln -s "$ASSENT_BIN_DIR" build/bin ;;
esac
STUB
chmod +x "$work/stub/cmake"
expect 0 env -u ASSENT_BIN_DIR "PATH=$work/stub:$PATH" "$work/fresh/quickstart" --down --dir "$work/none"
[ -e "$work/fresh/build/bin" ] || fail "it was not built without the tests"

echo "all quickstart checks passed"

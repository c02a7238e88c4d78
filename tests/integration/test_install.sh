#!/usr/bin/env bash
# test_install.sh - what `cmake --install` puts where, and that it runs from wherever it is moved.
set -euo pipefail

work=$(mktemp -d /tmp/assent-test-XXXXXX)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

DESTDIR=$work/stage cmake --install "${ASSENT_BUILD_DIR:?}" --prefix /opt/assent >/dev/null
mv "$work/stage/opt/assent" "$work/moved"
[ -z "$(find "$work/stage" ! -type d)" ] || fail "something went elsewhere: $(find "$work/stage" ! -type d)"
cd "$work/moved"

# All but the manual; the library's own files are the matter of test_libassent.sh.
find . ! -type d ! -path './share/man/*' | sed 's|^\./lib/[a-z0-9_]*-linux-gnu/|./lib/|' |
    grep -v -e '/libassent\.' -e '/assent\.pc$' -e '/cmake/Assent/' | LC_ALL=C sort >"$work/installed"
diff - "$work/installed" <<'LIST' || fail "what is installed"
./bin/assent
./bin/assent-fault
./bin/assent-fault-check
./bin/assent-fault-demo
./bin/assent-fault-explore
./bin/assent-fault-matrix
./bin/assent-fault-mutants
./bin/assent-fault-run
./bin/assent-fault-sim
./include/assent/assent.h
./lib/assent/libassent_clock_shift.so
./libexec/assent/assent-demo-checkout-retry
./libexec/assent/assent-demo-delivery
./libexec/assent/assent-demo-expired-card
./libexec/assent/assent-demo-reservation
./libexec/assent/assent-demo-saga
./libexec/assent/assent-demo-upgrade
./sbin/assent-agent
./sbin/assentd
./share/doc/assent/examples/agents/order.conf
./share/doc/assent/examples/agents/order.operations
./share/doc/assent/examples/assentd.conf
LIST

# Every page of docs/man, and nothing that leads nowhere.
for page in "${ASSENT_SOURCE_DIR:?}"/docs/man/*.[1-8]; do
    cmp -s "$page" "share/man/man${page##*.}/${page##*/}" || fail "${page##*/} is not installed"
done
grep -rl '^\.so ' share/man >"$work/aliases"
while read -r alias; do
    target=$(sed -n 's/^\.so //p' "$alias")
    [ -e "share/man/$target" ] || fail "$alias leads to $target"
done <"$work/aliases"

# Each command that `assent --help` lists has a page of its name.
for command in $(bin/assent --help | sed -n '/^Commands:$/,/^$/s/^  \([a-z][a-z]*\).*/\1/p' | sort -u); do
    [ -e "share/man/man1/assent-$command.1" ] || fail "there is no page assent-$command(1)"
done

# They run from here, without a path into the build.
version=$(cat "$ASSENT_SOURCE_DIR/VERSION")
for program in bin/assent sbin/assentd sbin/assent-agent; do
    [[ "$("$program" --version)" == *"$version"* ]] || fail "$program --version"
done
bin/assent-fault --help >/dev/null || fail "assent-fault --help"
for name in $(bin/assent demo run --list | cut -d' ' -f1); do
    bin/assent demo run "$name" --help >/dev/null || fail "assent demo run $name --help"
done
for file in bin/* sbin/* lib/assent/* libexec/assent/*; do
    [ -e "$file" ] || continue
    if readelf -d "$file" | grep -qE 'R(UN)?PATH'; then
        fail "$file looks for libraries in $(readelf -d "$file" | grep -E 'R(UN)?PATH')"
    fi
done

echo "all install checks passed"

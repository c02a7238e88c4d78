#!/usr/bin/env bash
# test_doc_pages.sh - docs/concepts/*.md and docs/ERRORS.md: every command as it is printed, and what it prints, on one demo.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
docs=${ASSENT_SOURCE_DIR:?}/docs
port=$(free_port)
export ASSENT_API=http://127.0.0.1:$port ASSENT_CLIENT=127.0.0.1:$((port + 1)) ASSENT_DEMO=$demo TMPDIR=$work
# As a reader's demo is who has played a story before.
expect 0 "$assent" demo up --dir "$demo" --port "$port" --participants order,payment,inventory

# The pages' commands stand in the clone.
mkdir -p "$work/clone/build"
ln -s "$ASSENT_BIN_DIR" "$work/clone/build/bin"
ln -s "${ASSENT_BUILD_DIR:?}/lib" "$work/clone/build/lib"
ln -s "$ASSENT_SOURCE_DIR/include" "$work/clone/include"
cd "$work/clone"
# failures.md last: it kills databases.
pages=("$docs/concepts/README.md" "$docs/ERRORS.md")
for page in "$docs"/concepts/[a-z]*.md; do
    [ "${page##*/}" = failures.md ] || pages+=("$page")
done
pages+=("$docs/concepts/failures.md")
/usr/bin/python3 "$here/doc_pages.py" "${pages[@]}" || fail "the pages"

# The comparison itself can fail: a wrong line, a line too many, a block that fails, a page without any.
page() {
    printf '%s\n' "$@" >"$work/page.md"
}
bad_page() {
    expect 1 /usr/bin/python3 "$here/doc_pages.py" "$work/page.md"
}
page '```sh' 'echo one; echo two 2' '```' '' '```text' '...' 'two ...' '```'
expect 0 /usr/bin/python3 "$here/doc_pages.py" "$work/page.md"
page '```sh' 'echo one' '```' '```text' 'two' '```'
bad_page
page '```sh' 'echo one; echo two' '```' '```text' 'one' '```'
bad_page
page '```sh' 'echo one; false' '```' '```text' 'one' '```'
bad_page
page '```text' 'one' '```'
bad_page

echo "all document checks passed"

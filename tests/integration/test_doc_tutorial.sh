#!/usr/bin/env bash
# test_doc_tutorial.sh - docs/TUTORIAL.md: every command as it is printed, and what it prints. As root it runs as the user postgres, since
# PostgreSQL does not run as root.
# shellcheck source=tests/integration/demo_lib.sh
source "$(dirname "$0")/demo_lib.sh"

# Copies, since that user may not reach the clone.
mkdir "$work/bin"
cp "$ASSENT_BIN_DIR"/{assent,assentd,assent-agent} "$work/bin/"
cp "$(dirname "$0")/doc_pages.py" "${ASSENT_SOURCE_DIR:?}/docs/TUTORIAL.md" "$work/"
mkdir "$work/home"

end_servers() {
    local file pid
    for file in "$work"/home/shop/*.data/postmaster.pid; do
        if [ -e "$file" ]; then
            pid=$(head -n 1 "$file")
            kill -QUIT "$pid" || true
        fi
    done
    cleanup
}
trap end_servers EXIT

as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$work/home"
    as_user=(runuser -u postgres --)
fi
"${as_user[@]}" env HOME="$work/home" TMPDIR="$work/home" SHOP="$work/home/shop" PORT="$(free_port)" PATH="$work/bin:$PATH" \
    /usr/bin/python3 "$work/doc_pages.py" "$work/TUTORIAL.md" || fail "the tutorial"

echo "all tutorial checks passed"

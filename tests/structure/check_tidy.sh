#!/usr/bin/env bash
# Runs clang-tidy over every source file of a build, a few at a time. A file that was clean is not looked at
# again until it, a header it includes, its compile command or .clang-tidy changes.
# Usage: check_tidy.sh BUILD_DIR
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source_dir="$(cd "$here/../.." && pwd)"

# One file: $2 is its compile command, run in folder $3.
tidy_one() {
    local file="$1" command="$2" folder="$3" key
    # The preprocessed text holds every header; the file itself is hashed too because its comments count.
    key="$({
        cat "$source_dir/.clang-tidy" "$file"
        printf '%s\n' "$command"
        (cd "$folder" && eval "${command/ -o / -E -D_ASSENT_OBJECT=}" 2>/dev/null)
    } | sha256sum | cut -d' ' -f1)"
    if [ -e "$cache/$key" ]; then
        return 0
    fi
    # -w: the compiler's own warnings are judged by the build.
    local output
    if output="$(clang-tidy-14 --quiet -p "$build" \
        --extra-arg=-w \
        "$file" 2>&1)"; then
        touch "$cache/$key"
    else
        printf '%s\n' "$output" | grep -v 'warnings generated\|warning generated\|^Use -'
        return 1
    fi
}

if [ "${1:-}" = --one ]; then
    build="$2" cache="$2/tidy-cache"
    tidy_one "$3" "$4" "$5"
    exit
fi

build="$(cd "$1" && pwd)"
mkdir -p "$build/tidy-cache"
count="$(jq 'map(.file) | unique | length' "$build/compile_commands.json")"
jq -j 'unique_by(.file)[] | .file, "\u0000", .command, "\u0000", .directory, "\u0000"' \
    "$build/compile_commands.json" |
    xargs -0 -n 3 -P "$(nproc)" bash "${BASH_SOURCE[0]}" --one "$build" || {
    echo "clang-tidy: findings above ($count files looked at)" >&2
    exit 1
}
echo "clang-tidy: $count files are clean"

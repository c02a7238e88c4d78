#!/usr/bin/env bash
# cmake/AssentCommit.cmake: the commit, whether files were changed, and "unknown" where nobody can tell.
# Usage: test_commit.sh CMAKE SCRIPT
set -euo pipefail

cmake="$1" script="$(realpath "$2")"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir tree

# look SOURCE [COMMIT]: what the script says about it.
look() {
    "$cmake" "-DSOURCE=$scratch/$1" "-DOUTPUT=$scratch/out.c" "-DCOMMIT=${2:-}" -P "$script"
    sed -n 's/^const char \*const assent_commit = "\(.*\)";$/\1/p' out.c
}

# is WANTED IS
is() {
    if [ "$1" != "$2" ]; then
        echo "\"$2\", not \"$1\"" >&2
        exit 1
    fi
}

is unknown "$(look tree)"
is abc1234 "$(look tree abc1234)"
is unknown "$(look tree 'no name; of a commit')"
if ! command -v git >/dev/null; then
    exit 0
fi
git init -q tree
mkdir tree/inside
echo one >tree/file
git -C tree add file
git -C tree -c user.name=test -c user.email=test@example.org commit -qm one
commit="$(git -C tree rev-parse --short=7 HEAD)"
is "$commit" "$(look tree)"
touch -d @1000000000 out.c
is "$commit" "$(look tree)"
is 1000000000 "$(stat -c %Y out.c)" # unchanged, so nothing is built again
echo two >tree/file
is "$commit-dirty" "$(look tree)"
is unknown "$(look tree/inside)" # somebody else's commit

#!/usr/bin/env bash
# Checks that docs/ERRORS.md is the code's list of problem types: a section for each slug that an answer can have and no other, in
# alphabetical order, and a row in the table before with its status. Usage: check_errors.sh [SOURCE_DIR]
set -euo pipefail

source_dir="${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
cd "$source_dir"
page=docs/ERRORS.md
status=0

# "slug status" a line. A problem of the edge's own stands in one table; the reasons of aborts have status and name in two.
own="$(grep -oE '\] = \{"[a-z_]+", [0-9]+' coordinator/http_problem.c | sed -E 's/.*"([a-z_]+)", ([0-9]+)/\1 \2/')"
names="$(grep -oE '\[REASON_[A-Z_]+\] = \{"[a-z_]+"' common/outcome.c | sed -E 's/\[(REASON_[A-Z_]+)\] = \{"([a-z_]+)"/\1 \2/' | sort)"
statuses="$(grep -oE '\[REASON_[A-Z_]+\] = \{NULL, [0-9]+' coordinator/http_problem.c |
    sed -E 's/\[(REASON_[A-Z_]+)\] = \{NULL, ([0-9]+)/\1 \2/' | sort)"
code="$({
    echo "$own"
    join -o 1.2,2.2 <(echo "$names") <(echo "$statuses")
} | LC_ALL=C sort)"

# That the lists were found: every kind and every reason but those that are none of their own.
kinds="$(grep -cE '^    PROBLEM_[A-Z_]+,' coordinator/http_problem.h)"
reasons="$(grep -cE '^    REASON_[A-Z_]+,' common/outcome.h)"
if [ "$(wc -l <<<"$code")" -ne $((kinds - 2 + reasons - 1)) ]; then
    echo "coordinator/http_problem.c, common/outcome.c: not every slug was found" >&2
    exit 1
fi

sections="$(sed -n 's/^## \([a-z_]*\)$/\1/p' "$page")"
# shellcheck disable=SC2016
rows="$(sed -nE 's/^\| \[`([a-z_]+)`\]\(#([a-z_]+)\) \| ([0-9]+) \|.*/\1 \3/p' "$page")"
first_words="$(awk '/^## [a-z_]+$/ { slug = $2; getline; getline; print slug, $1 }' "$page" | sed -E 's/[^0-9]*$//')"

# differ WHAT TEXT: TEXT is the code's list, else the difference is shown.
differ() {
    if ! diff --label code --label "$page" -u0 <(echo "$code") <(echo "$2") >&2; then
        echo "$page: $1 (left: the code)" >&2
        status=1
    fi
}

differ "the table" "$rows"
differ "the sections and the status that each begins with" "$first_words"
# Whether to send it again, for reasons; the edge's own say it case by case. What has no row was found above.
wanted="$(sed -nE 's/.*\] = \{"([a-z_]+)", (true|false)\}.*/\1 \2/p' common/outcome.c | sed 's/true/yes/; s/false/no/' | LC_ALL=C sort)"
said="$(sed -nE 's/^\| \[.([a-z_]+).\].*\| (yes|no)[^|]* \|$/\1 \2/p' "$page" | LC_ALL=C sort)"
if ! LC_ALL=C join <(echo "$wanted") <(echo "$said") |
    awk -v page="$page" '$2 != $3 { printf "%s: the table must say \"%s\" about sending %s again\n", page, $2, $1; wrong = 1 } END { exit wrong }' >&2; then
    status=1
fi
if ! LC_ALL=C sort -c <<<"$sections" 2>/dev/null; then
    echo "$page: the sections are not in alphabetical order" >&2
    status=1
fi
exit "$status"

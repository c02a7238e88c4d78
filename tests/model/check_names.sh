#!/usr/bin/env bash
# Every name that names.pml takes from the code must stand in the headers that its section names; every rule must have its
# row in docs/PROTOCOL.md; and a rule that the row finds in a model has an assertion there: each inline or process that
# the row names contains one, and the rule's number, and so does one in each file that the row names.
set -euo pipefail

folder="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$folder/../.."
status=0
count=0
headers=()
while IFS= read -r line; do
    case "$line" in
    *"names: none"*) headers=() ;;
    *"names: "*)
        line="${line#*names: }"
        read -r -a headers <<<"${line% \*/}"
        ;;
    *)
        [ "${#headers[@]}" -gt 0 ] || continue
        for name in $(grep -oE '\b[A-Z]+_[A-Z_]+\b' <<<"$line" || true); do
            count=$((count + 1))
            if ! grep -qw "$name" "${headers[@]}"; then
                echo "$name is in none of: ${headers[*]}"
                status=1
            fi
        done
        ;;
    esac
done <"$folder/names.pml"
echo "$count names looked up"

# body_of FILE NAME: the lines of that inline, process or macro of one line, with the comment before it.
body_of() {
    awk -v name="$2" '
        /^\/\*/ { comment = "" }
        $0 ~ "^#define " name "\\(" { print comment $0; exit }
        !inside && $0 ~ "^(inline|active.*proctype|proctype) *" name " *\\(" || $0 ~ "^active .*proctype " name "\\(" {
            inside = 1
            print comment
        }
        { comment = inside ? "" : comment $0 "\n" }
        /^$/ { comment = "" }
        inside { print }
        inside && /^}|^inline .*}$/ { exit }
    ' "$folder/$1"
}

# asserts RULE FILE NAME: does it assert something, and does it say for which rule?
asserts() {
    local body
    body="$(body_of "$2" "$3")"
    grep -q 'assert(' <<<"$body" && grep -qE "P-$1\b" <<<"$body"
}

# check_row RULE ROW: of a rule that claims an assertion.
check_row() {
    local rule="$1" files names name file found
    files="$(cut -d '|' -f 3 <<<"$2" | grep -oE '[a-z]+\.pml' || true)"
    names="$(cut -d '|' -f 4 <<<"$2" | grep -oE '`[a-z_]+`' | tr -d '\`' || true)"
    for name in $names; do
        found=no
        for file in $files; do
            if asserts "$rule" "$file" "$name"; then
                found=yes
            fi
        done
        if [ "$found" = no ]; then
            echo "docs/PROTOCOL.md, P-$rule: $name asserts nothing for it in ${files//$'\n'/ or }"
            status=1
        fi
    done
    for file in $files; do
        found=no
        for name in $names; do
            if asserts "$rule" "$file" "$name"; then
                found=yes
            fi
        done
        if [ "$found" = no ]; then
            echo "docs/PROTOCOL.md, P-$rule: nothing that it names in $file asserts P-$rule"
            status=1
        fi
    done
    claims=$((claims + 1))
}

rows="$(sed -n '/^### The rules in the models/,$p' docs/PROTOCOL.md | grep '^| P-' || true)"
claims=0
for rule in $(seq 1 22); do
    row="$(grep "^| P-$rule |" <<<"$rows" || true)"
    if [ -z "$row" ]; then
        echo "docs/PROTOCOL.md, the rules in the models: P-$rule has no row"
        status=1
    elif grep -qE '^\| P-[0-9]+ \| `' <<<"$row"; then
        check_row "$rule" "$row"
    elif ! grep -qE '^\| P-[0-9]+ \| \| none: ' <<<"$row"; then
        echo "docs/PROTOCOL.md: P-$rule has neither a model nor the reason why not"
        status=1
    fi
done
echo "$claims rules have assertions"
[ "$count" -gt 40 ] && [ "$claims" -ge 14 ] && [ "$status" -eq 0 ]

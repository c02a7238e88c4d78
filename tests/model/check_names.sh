#!/usr/bin/env bash
# Every name that names.pml takes from the code must stand in the headers that its section names; every rule that
# docs/PROTOCOL.md finds in a model must be cited there; every rule must have its row.
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

rows="$(sed -n '/^### The rules in the models/,$p' docs/PROTOCOL.md | grep '^| P-' || true)"
for rule in $(seq 1 22); do
    row="$(grep "^| P-$rule |" <<<"$rows" || true)"
    if [ -z "$row" ]; then
        echo "docs/PROTOCOL.md, the rules in the models: P-$rule has no row"
        status=1
    fi
    for file in $(cut -d '|' -f 3 <<<"$row" | grep -oE '[a-z]+\.pml' || true); do
        if ! grep -qE "P-$rule\b" "$folder/$file"; then
            echo "$file does not cite P-$rule"
            status=1
        fi
    done
done
[ "$count" -gt 40 ] && [ "$status" -eq 0 ]

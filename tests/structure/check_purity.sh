#!/usr/bin/env bash
# Fails if an object of a pure library needs a symbol that is neither defined by the library itself or the
# pure libraries below it, nor on the list of functions that only touch memory.
# Called by ctest (cmake/AssentPure.cmake); list arguments are separated by semicolons.
set -euo pipefail

nm=nm allow="" provided="" objects=""
while [ $# -gt 0 ]; do
    case "$1" in
    --nm) nm="$2" ;;
    --allow) allow="$2" ;;
    --provided) provided="$2" ;;
    --objects) objects="$2" ;;
    *) echo "unknown argument $1" >&2; exit 64 ;;
    esac
    shift 2
done

# Only memory and text in memory; abort is what a failed CHECK ends in.
memory_only="memcpy memmove memset memcmp memchr strlen strnlen strcmp strncmp strchr strrchr strstr
             strspn strcspn snprintf vsnprintf
             malloc calloc realloc free abort _GLOBAL_OFFSET_TABLE_"

IFS=';' read -ra object_list <<<"$objects"
IFS=';' read -ra provided_list <<<"$(tr -s ';' <<<"$provided" | sed 's/^;//')"
if [ "${#object_list[@]}" -eq 0 ]; then
    echo "no objects to look at" >&2
    exit 1
fi

defined() { "$nm" --defined-only --extern-only --format=posix "$@" | awk 'NF >= 2 { print $1 }'; }

allowed="$(mktemp)"
trap 'rm -f "$allowed"' EXIT
{
    # shellcheck disable=SC2086 # lists of words
    printf '%s\n' $memory_only ${allow//;/ }
    defined "${object_list[@]}"
    if [ "${#provided_list[@]}" -gt 0 ]; then
        defined "${provided_list[@]}"
    fi
} | sort -u >"$allowed"

status=0
for object in "${object_list[@]}"; do
    while read -r symbol; do
        if ! grep -qxF -- "$symbol" "$allowed"; then
            echo "$object needs $symbol, which a pure core must not use" >&2
            status=1
        fi
    done < <("$nm" --undefined-only --format=posix "$object" | awk 'NF >= 2 { print $1 }')
done
if [ "$status" -eq 0 ]; then
    echo "${#object_list[@]} objects are pure"
fi
exit "$status"

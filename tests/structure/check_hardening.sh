#!/usr/bin/env bash
# Checks that what is shipped is hardened as cmake/AssentOptions.cmake means it: position independent, all
# relocations read-only from the start, no executable stack, no path to libraries built in, and compiled with
# stack protector and fortified functions. Usage: check_hardening.sh FILE... (programs and shared libraries)
set -euo pipefail

status=0

# wants FILE WHAT CONDITION...
wants() {
    local file=$1 what=$2
    shift 2
    if ! "$@"; then
        echo "$file: $what" >&2
        status=1
    fi
}

has() {
    grep -qE -- "$1" <<<"$2"
}

has_not() {
    ! has "$@"
}

[ $# -gt 0 ] || { echo "no file to check" >&2; exit 1; }
for file in "$@"; do
    headers=$(readelf -hlW "$file")
    dynamic=$(readelf -dW "$file")
    symbols=$(readelf --dyn-syms -W "$file")
    wants "$file" "is not position independent" has 'Type:  *DYN' "$headers"
    wants "$file" "has no read-only relocations (-z relro)" has GNU_RELRO "$headers"
    wants "$file" "binds lazily (-z now)" has 'BIND_NOW|FLAGS_1.*NOW' "$dynamic"
    wants "$file" "has an executable stack" has 'GNU_STACK.* RW ' "$headers"
    wants "$file" "has a path to libraries built in" has_not 'R(UN)?PATH' "$dynamic"
    wants "$file" "has no stack protector" has __stack_chk_fail "$symbols"
    wants "$file" "has no fortified function" has '__[a-z]+printf_chk' "$symbols"
done
exit "$status"

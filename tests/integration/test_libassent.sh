#!/usr/bin/env bash
# test_libassent.sh - the libraries as they are installed: nothing but assent_* to be seen, usable from C and C++,
# shared and static.
set -euo pipefail

libraries=${ASSENT_BUILD_DIR:?}/lib
include=${ASSENT_SOURCE_DIR:?}/include
work=$(mktemp -d /tmp/assent-test-XXXXXX)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# Exported names: all of the header's functions, and none besides.
nm -D --defined-only "$libraries/libassent.so" | awk '{print $3}' | sort >"$work/shared"
nm -g --defined-only "$libraries/libassent.a" | awk 'NF == 3 {print $3}' | grep -v '^__odr_asan' | sort >"$work/static"
tr '\n' ' ' <"$include/assent/assent.h" | grep -oE 'ASSENT_API [^(;#]*[ *]assent_[a-z_]*\(' |
    sed 's/.*[ *]\(assent_[a-z_]*\)($/\1/' | sort >"$work/header"
[ -s "$work/header" ] || fail "no function in the header"
diff "$work/header" "$work/shared" || fail "the shared library's names"
diff "$work/header" "$work/static" || fail "the static library's names"
[ "$(readlink "$libraries/libassent.so")" = libassent.so.0 ] || fail "the links of the shared library"

cat >"$work/use.c" <<'C'
#include <assent/assent.h>
#include <stdio.h>

int main(void)
{
    struct assent_client *client = NULL;
    struct assent_request *request = assent_request_new();
    int result = assent_client_open("127.0.0.1:1", &client);
    if (result != ASSENT_OK) {
        return 1;
    }
    assent_request_add(request, "order", "SELECT $1", ASSENT_PARAMS("a"), ASSENT_ANY_ROWS);
    assent_client_set_connect_timeout_ms(client, 50);
    struct assent_answer *answer = assent_submit(client, request);
    printf("%s\n", assent_outcome_text(assent_answer_outcome(answer)));
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    return 0;
}
C
cp "$work/use.c" "$work/use.cc"
flags=(-Wall -Wextra -Werror "-I$include")
# A sanitized build needs its run-time in the program too.
wanted=$(nm -D "$libraries/libassent.so")
if [[ $wanted == *__asan_init* ]]; then
    flags+=(-fsanitize=address -fsanitize=undefined)
elif [[ $wanted == *__tsan_init* ]]; then
    flags+=(-fsanitize=thread)
fi
cc -std=c11 -pedantic "${flags[@]}" "$work/use.c" -o "$work/shared-use" "-L$libraries" -lassent "-Wl,-rpath,$libraries"
cc -std=c11 -pedantic "${flags[@]}" "$work/use.c" -o "$work/static-use" "$libraries/libassent.a" -lnng -lmsgpackc -lpthread
[ "$("$work/shared-use")" = unavailable ] || fail "the shared library"
[ "$("$work/static-use")" = unavailable ] || fail "the static library"
sed -i 's/assent_request_add(.*/assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);/' "$work/use.cc"
c++ -std=c++17 "${flags[@]}" "$work/use.cc" -o "$work/cpp-use" "-L$libraries" -lassent "-Wl,-rpath,$libraries"
[ "$("$work/cpp-use")" = unavailable ] || fail "C++"

echo "all library checks passed"

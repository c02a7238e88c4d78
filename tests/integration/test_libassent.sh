#!/usr/bin/env bash
# test_libassent.sh - the libraries as they are installed: nothing but assent_* to be seen, usable from C and C++,
# shared and static, found by pkg-config and by CMake wherever the installed tree lies.
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
# A sanitized build needs its run-time in the program too.
sanitize=()
wanted=$(nm -D "$libraries/libassent.so")
if [[ $wanted == *__asan_init* ]]; then
    sanitize=(-fsanitize=address -fsanitize=undefined)
elif [[ $wanted == *__tsan_init* ]]; then
    sanitize=(-fsanitize=thread)
fi
warnings=(-Wall -Wextra -Werror)
flags=("${warnings[@]}" "-I$include" ${sanitize[@]+"${sanitize[@]}"})
cc -std=c11 -pedantic "${flags[@]}" "$work/use.c" -o "$work/shared-use" "-L$libraries" -lassent "-Wl,-rpath,$libraries"
cc -std=c11 -pedantic "${flags[@]}" "$work/use.c" -o "$work/static-use" "$libraries/libassent.a" -lnng -lmsgpackc -lpthread
[ "$("$work/shared-use")" = unavailable ] || fail "the shared library"
[ "$("$work/static-use")" = unavailable ] || fail "the static library"
sed -i 's/assent_request_add(.*/assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);/' "$work/use.cc"
c++ -std=c++17 "${flags[@]}" "$work/use.cc" -o "$work/cpp-use" "-L$libraries" -lassent "-Wl,-rpath,$libraries"
[ "$("$work/cpp-use")" = unavailable ] || fail "C++"

# Installed into a stage and then moved elsewhere, as packagers do: nothing may remember where it was.
DESTDIR=$work/stage cmake --install "$ASSENT_BUILD_DIR" --component libassent --prefix /opt/assent >/dev/null
mv "$work/stage/opt/assent" "$work/moved"
version=$(cat "$ASSENT_SOURCE_DIR/VERSION")
(cd "$work/moved" && find . ! -type d | sed 's|^\./lib/[a-z0-9_]*-linux-gnu/|./lib/|' | sort) >"$work/installed"
diff - "$work/installed" <<LIST || fail "what is installed"
./include/assent/assent.h
./lib/cmake/Assent/AssentConfig.cmake
./lib/cmake/Assent/AssentConfigVersion.cmake
./lib/libassent.a
./lib/libassent.so
./lib/libassent.so.0
./lib/libassent.so.$version
./lib/pkgconfig/assent.pc
LIST
if grep -rqF -e "$ASSENT_SOURCE_DIR" -e /opt/assent "$work/moved" --include='*.pc' --include='*.cmake'; then
    fail "the package files name a folder of the build or the stage"
fi
folder=$(dirname "$(find "$work/moved" -name libassent.a)")

# works PROGRAM WANTED: it calls the library, which refuses the address; the shared library is needed or not.
works() {
    local code=0 needs=no
    LD_LIBRARY_PATH=$folder ASSENT_CLIENT=nowhere "$1" o-1 c-1 1.00 >"$work/out" 2>&1 || code=$?
    [ "$code" -eq 64 ] || fail "$1: exit code $code: $(cat "$work/out")"
    readelf -d "$1" | grep -q 'NEEDED.*libassent\.so\.0' && needs=yes
    [ "$needs" = "$2" ] || fail "$1 needs the shared library: $needs"
}

# pkg-config: shared; and static from a tree without the shared one.
example=$ASSENT_SOURCE_DIR/examples/c
build_with_pkg_config() {
    local pkg_config="pkg-config --cflags --libs $*"
    # shellcheck disable=SC2046
    cc -std=c11 -pedantic "${warnings[@]}" ${sanitize[@]+"${sanitize[@]}"} -o "$work/example" "$example/checkout.c" \
        $($pkg_config assent)
}
export PKG_CONFIG_PATH=$folder/pkgconfig
[ "$(pkg-config --modversion assent)" = "$version" ] || fail "the version in assent.pc"
build_with_pkg_config
works "$work/example" yes
mkdir "$work/archive"
mv "$folder"/libassent.so* "$work/archive"
build_with_pkg_config --static
works "$work/example" no
mv "$work/archive"/libassent.so* "$folder"

# CMake: both, by the example's own file; and versions that this one cannot stand in for.
for static in OFF ON; do
    cmake -S "$example" -B "$work/cmake-$static" "-DCMAKE_PREFIX_PATH=$work/moved" "-DAssent_USE_STATIC_LIBS=$static" \
        "-DCMAKE_C_FLAGS=${warnings[*]} ${sanitize[*]-}" >"$work/out" 2>&1 &&
        cmake --build "$work/cmake-$static" >>"$work/out" 2>&1 || fail "CMake, static $static: $(cat "$work/out")"
    works "$work/cmake-$static/checkout" "$([ "$static" = ON ] && echo no || echo yes)"
done
mkdir "$work/version"
cat >"$work/version/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(version LANGUAGES NONE)
find_package(Assent ${WANTED} CONFIG REQUIRED)
CMAKE
for wanted in "${version%.*}.99" "${version%%.*}.99" 99; do
    if cmake -S "$work/version" -B "$work/version/build" "-DCMAKE_PREFIX_PATH=$work/moved" "-DWANTED=$wanted" \
        >"$work/out" 2>&1; then
        fail "CMake took $version for $wanted"
    fi
    grep -q "compatible" "$work/out" || fail "CMake failed otherwise: $(cat "$work/out")"
done

echo "all library checks passed"

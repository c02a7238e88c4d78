# Compiler and linker options for every target: C11 with GNU extensions, warnings as errors, hardening in
# release builds, sanitizers on request.

set(ASSENT_SANITIZE "" CACHE STRING "Sanitizer: empty, address (ASan and UBSan), thread or fuzzer (ASan and UBSan with libFuzzer's coverage, clang)")
set_property(CACHE ASSENT_SANITIZE PROPERTY STRINGS "" address thread fuzzer)
option(ASSENT_WERROR "Treat compiler warnings as errors" ON)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
add_compile_definitions(_GNU_SOURCE)

add_compile_options(
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual
    -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
    # Our own functions are what they are: calls within a library may be seen through.
    -fno-omit-frame-pointer -fno-common -fno-semantic-interposition)
if(ASSENT_WERROR)
    add_compile_options(-Werror)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # `{0}` is how C11 says "all members empty"; SQL in arrays is written over several lines.
    add_compile_options(-Wno-missing-field-initializers -Wno-string-concatenation)
else()
    # snprintf into a fixed text is how a text for people is bounded here: cutting it is meant.
    add_compile_options(-Wno-missing-field-initializers -Wno-format-truncation -Wlogical-op
                        -Wduplicated-cond)
endif()

# CHECK() never depends on NDEBUG; -O2 -g without it keeps assert() of third-party headers honest too.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g3")

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack)

if(ASSENT_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
elseif(ASSENT_SANITIZE STREQUAL "fuzzer")
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "ASSENT_SANITIZE=fuzzer needs clang: cmake --preset fuzz")
    endif()
    add_compile_options(-U_FORTIFY_SOURCE -fsanitize=fuzzer-no-link,address,undefined
                        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
elseif(ASSENT_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread)
    add_link_options(-fsanitize=thread)
elseif(ASSENT_SANITIZE STREQUAL "")
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
                            -fstack-clash-protection)
    endif()
else()
    message(FATAL_ERROR "ASSENT_SANITIZE must be empty, address, thread or fuzzer, not ${ASSENT_SANITIZE}")
endif()

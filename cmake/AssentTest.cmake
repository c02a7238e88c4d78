# assent_test(NAME name SOURCES a.c ... [LIBS ...] [LABELS unit|spec|integration|crash|fuzz|threads ...]
#             [TIMEOUT seconds] [ENVIRONMENT A=B ...] [ARGS ...])
#
# A cmocka program, built to <build>/tests/bin and registered with ctest under NAME. LABELS defaults to
# unit, TIMEOUT to 60 s. "threads" marks what also runs under ThreadSanitizer. A test that starts private
# PostgreSQL clusters is labelled integration (or spec, crash), so that it can be left out.

set(ASSENT_TEST_ENVIRONMENT
    "ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp"
    "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/lsan.supp:print_suppressions=0"
    "ASSENT_BUILD_DIR=${CMAKE_BINARY_DIR}"
    "ASSENT_BIN_DIR=${CMAKE_BINARY_DIR}/bin"
    "ASSENT_SOURCE_DIR=${CMAKE_SOURCE_DIR}")

function(assent_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ENVIRONMENT;ARGS")
    if(NOT arg_NAME OR NOT arg_SOURCES)
        message(FATAL_ERROR "assent_test needs NAME and SOURCES")
    endif()
    if(NOT arg_LABELS)
        set(arg_LABELS unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    # tests/lib/group.c: a group whose teardown failed has failed.
    add_executable(${arg_NAME} ${arg_SOURCES} $<TARGET_OBJECTS:assent_test_group>)
    target_link_options(${arg_NAME} PRIVATE "LINKER:--wrap=_cmocka_run_group_tests")
    set_target_properties(${arg_NAME} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bin")
    target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBS} PkgConfig::cmocka)
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME} ${arg_ARGS})
    set_tests_properties(${arg_NAME} PROPERTIES
        LABELS "${arg_LABELS}"
        TIMEOUT ${arg_TIMEOUT}
        ENVIRONMENT "${ASSENT_TEST_ENVIRONMENT};${arg_ENVIRONMENT}")
endfunction()

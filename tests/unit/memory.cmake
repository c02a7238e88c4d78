# The n-th allocation fails. Takes malloc's place, which other sanitizers want for themselves.
if(ASSENT_SANITIZE STREQUAL "" OR ASSENT_SANITIZE STREQUAL "address")
    add_library(assent_failing STATIC
        ${CMAKE_SOURCE_DIR}/tests/lib/failing_loop.c
        ${CMAKE_SOURCE_DIR}/tests/lib/failing_vfs.c
        ${CMAKE_SOURCE_DIR}/tests/lib/journal_kit.c)
    target_link_libraries(assent_failing PUBLIC assent_journal PkgConfig::sqlite3 PkgConfig::cmocka)

    # assent_memory_test(NAME sources... LIBS libraries...): with malloc replaced.
    function(assent_memory_test name)
        cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
        assent_test(NAME ${name}
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c ${CMAKE_SOURCE_DIR}/tests/lib/failing_malloc.c
                    ${arg_UNPARSED_ARGUMENTS}
            LIBS assent_failing ${arg_LIBS} TIMEOUT 600
            # A small quarantine: each child is a copy of it.
            ENVIRONMENT "ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1:quarantine_size_mb=8")
    endfunction()

    assent_memory_test(test_out_of_memory_journal)
    assent_memory_test(test_out_of_memory_codecs ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
        LIBS assent_http assent_client assent_client_edge assent_client_msgpack assent_coordinator
             assent_agent_config assent_codec)
endif()
if(ASSENT_SANITIZE STREQUAL "")
    assent_memory_test(test_out_of_memory LIBS assent_http assent_codec)
    # The sanitizer itself gives up where a thread that begins has no memory.
    assent_memory_test(test_out_of_memory_edges ${CMAKE_CURRENT_LIST_DIR}/test_client_sink.c
        LIBS assent_http_stand_in assent_client assent_client_edge assent_link)
endif()

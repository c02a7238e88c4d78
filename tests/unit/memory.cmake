# The n-th allocation fails. Takes malloc's place, which sanitizers want for themselves.
if(ASSENT_SANITIZE STREQUAL "")
    assent_test(NAME test_out_of_memory
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_out_of_memory.c
                ${CMAKE_SOURCE_DIR}/tests/lib/failing_malloc.c
                ${CMAKE_SOURCE_DIR}/tests/lib/failing_vfs.c
                ${CMAKE_SOURCE_DIR}/tests/lib/journal_kit.c
        LIBS assent_journal assent_http assent_codec PkgConfig::sqlite3 TIMEOUT 300)
endif()

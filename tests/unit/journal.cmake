# The journal: record bodies, and both backends through the same tests.
set(journal_kit "${CMAKE_SOURCE_DIR}/tests/lib/journal_kit.c")
foreach(unit IN ITEMS test_record_codec test_journal test_journal_random test_journal_threads)
    if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/${unit}.c")
        set(labels unit)
        if(unit STREQUAL "test_journal_threads")
            list(APPEND labels threads)
        endif()
        assent_test(NAME ${unit} SOURCES ${CMAKE_CURRENT_LIST_DIR}/${unit}.c ${journal_kit}
                    LIBS assent_journal PkgConfig::sqlite3 LABELS ${labels})
    endif()
endforeach()

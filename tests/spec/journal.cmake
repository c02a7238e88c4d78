# The journal's protocol rules: P-13, P-16, P-17.
set(journal_sources "${CMAKE_SOURCE_DIR}/tests/lib/journal_kit.c" "${CMAKE_SOURCE_DIR}/tests/lib/failing_vfs.c")
foreach(name IN ITEMS test_p13_journal test_p13_journal_bounded test_p16_journal_damage
                      test_p16_journal_failing_disk test_p16_journal_space test_p16_journal_tools
                      test_p17_journal_lock)
    if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/${name}.c")
        assent_test(NAME ${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c ${journal_sources}
                    LIBS assent_journal PkgConfig::sqlite3 LABELS spec TIMEOUT 120)
    endif()
endforeach()

# Every call for a file fails, our own ones, too.
include(${CMAKE_SOURCE_DIR}/tests/lib/failing_calls.cmake)
assent_test(NAME test_p16_journal_io
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_p16_journal_io.c ${journal_sources}
                    ${CMAKE_SOURCE_DIR}/tests/lib/failing_calls.c
            LIBS assent_journal PkgConfig::sqlite3 LABELS spec TIMEOUT 300)
target_link_options(test_p16_journal_io PRIVATE ${FAILING_CALLS})

# The coordinator's core, rule by rule.
foreach(name IN ITEMS test_coord_audit test_coord_commit test_coord_external test_coord_recovery test_coord_keys test_coord_review
        test_coord_mutants test_coord_view test_coord_changes)
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${name}.c")
        assent_test(NAME ${name} SOURCES ${name}.c coord_world.c LIBS assent_coord_core LABELS spec)
    endif()
endforeach()

foreach(name IN ITEMS test_coord_lines test_coord_lines_branches test_coord_lines_restart)
    assent_test(NAME ${name} SOURCES ${name}.c coord_lines.c coord_world.c LIBS assent_coord_core LABELS spec)
endforeach()

foreach(name IN ITEMS test_coord_queue test_coord_queue_acts test_coord_queue_keys test_coord_queue_mutants test_coord_queue_recovery
        test_coord_queue_view) # accepted requests
    assent_test(NAME ${name} SOURCES ${name}.c coord_requests.c coord_world.c LIBS assent_coord_core LABELS spec)
endforeach()

foreach(name IN ITEMS test_coord_interactive test_coord_statement) # P-22
    assent_test(NAME ${name} SOURCES ${name}.c coord_talk.c coord_world.c LIBS assent_coord_core LABELS spec)
endforeach()

# Any events by seed against the core and the memory journal; tests/fuzz/fuzz_coord.c runs the same world on bytes.
add_library(test_coord_hostile STATIC coord_hostile.c)
target_link_libraries(test_coord_hostile PUBLIC assent_coord_core assent_journal)
assent_test(NAME test_coord_random SOURCES test_coord_random.c LIBS test_coord_hostile LABELS spec
    TIMEOUT 120)

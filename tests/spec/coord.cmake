# The coordinator's core, rule by rule.
foreach(name IN ITEMS test_coord_commit test_coord_recovery test_coord_keys test_coord_review
        test_coord_mutants)
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${name}.c")
        assent_test(NAME ${name} SOURCES ${name}.c coord_world.c LIBS assent_coord_core LABELS spec)
    endif()
endforeach()

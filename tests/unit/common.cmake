# The basics in common/.
assent_test(NAME test_cli_value SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_cli_value.c LIBS assent_cli)
foreach(unit IN ITEMS alloc blob error fault heap inbox log map messages outcome xid)
    set(labels unit)
    if(unit MATCHES "^(blob|inbox|log)$")
        list(APPEND labels threads)
    endif()
    assent_test(NAME test_${unit} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${unit}.c
                LIBS assent_common LABELS ${labels})
endforeach()

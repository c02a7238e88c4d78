# `assent demo`, ./quickstart and the command line, from outside.
foreach(name IN ITEMS cli demo libassent quickstart)
    add_test(NAME test_${name}
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_${name}.sh")
    set_tests_properties(test_${name} PROPERTIES
        LABELS integration
        TIMEOUT 300
        ENVIRONMENT "${ASSENT_TEST_ENVIRONMENT}")
endforeach()

# libassent against real daemons.
assent_test(NAME test_client_daemon SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_daemon.c
            LIBS assent_client assent_teststack LABELS integration TIMEOUT 120)
assent_test(NAME test_client_daemon_accepted
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_accepted.c
            LIBS assent_client assent_teststack LABELS integration TIMEOUT 120)

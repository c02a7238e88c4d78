# The threads of whole daemons, all at once; ./check runs it under ThreadSanitizer as well.
assent_test(NAME test_daemon_threads SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_daemon_threads.c
            LIBS assent_client assent_teststack assent_proxy Threads::Threads
            LABELS integration threads TIMEOUT 180)
foreach(daemon IN ITEMS assentd assent-agent)
    if(TARGET ${daemon})
        add_dependencies(test_daemon_threads ${daemon})
    endif()
endforeach()

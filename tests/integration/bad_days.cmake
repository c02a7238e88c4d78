# Bad days: whole stacks of real daemons and databases, and what goes wrong around them.
add_library(assent_bad_days_kit STATIC
    ${CMAKE_CURRENT_LIST_DIR}/test_bad_days_kit.c
    ${CMAKE_CURRENT_LIST_DIR}/test_interactive_kit.c)
target_link_libraries(assent_bad_days_kit
    PUBLIC assent_teststack PkgConfig::cmocka
    PRIVATE PkgConfig::jansson)

foreach(name IN ITEMS test_bad_days_participant test_bad_days_disk test_bad_days_journal test_bad_days_policy
        test_bad_days_restart test_bad_days_lost test_interactive test_interactive_death test_interactive_refused
        test_external test_queues)
    assent_test(NAME ${name}
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c
        LIBS assent_bad_days_kit Threads::Threads PkgConfig::jansson
        LABELS integration TIMEOUT 300)
    # The daemons are run, not linked.
    foreach(daemon IN ITEMS assentd assent-agent)
        if(TARGET ${daemon})
            add_dependencies(${name} ${daemon})
        endif()
    endforeach()
endforeach()

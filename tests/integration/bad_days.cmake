# Bad days: whole stacks of real daemons and databases, and what goes wrong around them.
add_library(assent_bad_days_kit STATIC ${CMAKE_CURRENT_LIST_DIR}/test_bad_days_kit.c)
target_link_libraries(assent_bad_days_kit
    PUBLIC assent_teststack PkgConfig::cmocka
    PRIVATE PkgConfig::jansson)

foreach(area IN ITEMS participant disk journal policy restart lost)
    set(name test_bad_days_${area})
    assent_test(NAME ${name}
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c
        LIBS assent_bad_days_kit Threads::Threads
        LABELS integration TIMEOUT 300)
    # The daemons are run, not linked.
    foreach(daemon IN ITEMS assentd assent-agent)
        if(TARGET ${daemon})
            add_dependencies(${name} ${daemon})
        endif()
    endforeach()
endforeach()

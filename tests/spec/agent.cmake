# The agent's pure core, rule by rule.
add_library(test_agent_harness STATIC test_agent_harness.c)
target_link_libraries(test_agent_harness PUBLIC assent_agent_core PkgConfig::cmocka)
# Any events by seed; tests/fuzz/fuzz_agent.c runs the same world on bytes.
add_library(test_agent_hostile STATIC agent_hostile.c)
target_link_libraries(test_agent_hostile PUBLIC test_agent_harness)

foreach(name IN ITEMS votes finish external peers compare mutants)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/test_agent_${name}.c)
        assent_test(NAME test_agent_${name} SOURCES test_agent_${name}.c
            LIBS test_agent_harness LABELS spec)
    endif()
endforeach()

foreach(name IN ITEMS interactive statement) # P-22
    assent_test(NAME test_agent_${name} SOURCES test_agent_${name}.c agent_talk.c LIBS test_agent_harness LABELS spec)
endforeach()

assent_test(NAME test_agent_random SOURCES test_agent_random.c LIBS test_agent_hostile LABELS spec)

assent_test(NAME test_agent_config SOURCES test_agent_config.c LIBS assent_agent_config LABELS unit)

# The daemon itself, with this test in the coordinator's place.
if(TARGET assent-agent)
    assent_test(NAME test_agent_daemon SOURCES test_agent_daemon.c
        LIBS assent_testlib assent_link assent_codec LABELS integration threads TIMEOUT 180)
    add_dependencies(test_agent_daemon assent-agent)
endif()

# The PostgreSQL edge of the agent, rule by rule, on private clusters.
if(TARGET assent_pg)
    add_library(test_pg_world STATIC pg_world.c)
    target_link_libraries(test_pg_world
        PUBLIC assent_pg assent_testlib PkgConfig::cmocka PkgConfig::libpq)

    foreach(name IN ITEMS p03_vote p11_fence p12_outcomes p12_proof p14_identity p19_read_only p21_client_sql
                 p22_interactive)
        assent_test(NAME test_${name} SOURCES test_${name}.c LIBS test_pg_world
                    LABELS spec integration TIMEOUT 120)
    endforeach()
    assent_test(NAME test_pg_external SOURCES test_pg_external.c LIBS test_pg_world
                LABELS spec integration TIMEOUT 120)
    assent_test(NAME test_execute_policy SOURCES test_execute_policy.c LIBS test_pg_world assent_agent_config
                LABELS spec integration TIMEOUT 120)
    # A server that answers PREPARE with the tag ROLLBACK.
    target_link_options(test_p03_vote PRIVATE "LINKER:--wrap=PQcmdStatus")
endif()

# The PostgreSQL edge of the agent as a whole, and the facts about PostgreSQL that it is built on.
if(TARGET test_pg_world)
    foreach(name IN ITEMS pool setup)
        assent_test(NAME test_pg_${name} SOURCES test_pg_${name}.c LIBS test_pg_world
                    LABELS integration TIMEOUT 120)
    endforeach()
    assent_test(NAME test_pg_facts SOURCES test_pg_facts.c
                LIBS assent_testlib PkgConfig::libpq LABELS integration TIMEOUT 120)
endif()

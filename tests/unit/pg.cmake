# The pure parts of the PostgreSQL edge.
if(TARGET assent_pg_pure)
    foreach(name IN ITEMS classify guard text)
        assent_test(NAME test_pg_${name} SOURCES test_pg_${name}.c LIBS assent_pg_pure)
    endforeach()
    assent_test(NAME test_policy SOURCES test_policy.c LIBS assent_agent_config assent_codec)
endif()
# And of its verdict about a server; libpq is linked, and no server is spoken to.
if(TARGET assent_pg)
    assent_test(NAME test_pg_judge SOURCES test_pg_judge.c LIBS assent_pg PkgConfig::libpq)
endif()

# The simulator's model of PostgreSQL against a real one.
if(TARGET assent_pg)
    assent_test(NAME test_model_honest
                SOURCES test_model_honest.c honest.c honest_model.c honest_scripts.c honest_server.c
                        honest_wire.c
                LIBS test_pg_world assent_sim LABELS spec integration TIMEOUT 360)
    # The server's own words, and a block that fails behind the edge's back: honest_wire.h.
    target_link_options(test_model_honest PRIVATE "LINKER:--wrap=PQsendQueryParams"
        "LINKER:--wrap=PQsendQuery" "LINKER:--wrap=PQgetResult")
endif()

# The simulator's model of PostgreSQL against a real one.
if(TARGET assent_pg)
    assent_test(NAME test_model_honest
                SOURCES test_model_honest.c honest.c honest_model.c honest_scripts.c honest_server.c
                LIBS test_pg_world assent_sim LABELS spec integration TIMEOUT 120)
endif()

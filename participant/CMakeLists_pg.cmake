# The PostgreSQL edge of the agent (pg.h). Only these files know libpq.

# Pure parts, usable without libpq.
assent_pure_library(assent_pg_pure SOURCES pg_classify.c pg_guard.c pg_text.c LIBS assent_common_core
    # SQL's letters; no program here ever leaves the C locale.
    ALLOW __ctype_b_loc __ctype_toupper_loc strcasecmp strncasecmp strcasestr)

add_library(assent_pg STATIC
    pg.c pg_audit.c pg_outcomes.c pg_owner.c pg_connect.c pg_execute.c pg_external.c pg_finish.c pg_interactive.c pg_keeper.c pg_member.c pg_policy.c pg_proof.c
    pg_results.c pg_failure.c pg_settle.c pg_setup.c pg_witness.c pg_worker.c)
target_link_libraries(assent_pg
    PUBLIC assent_pg_pure assent_policy assent_agent_core assent_codec assent_common Threads::Threads
    PRIVATE PkgConfig::libpq PkgConfig::libsodium)

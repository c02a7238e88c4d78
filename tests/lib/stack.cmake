# A whole Assent for tests that need one: see stack.h.
add_library(assent_teststack STATIC stack.c stack_daemon.c stack_query.c stack_checkout.c)
target_link_libraries(assent_teststack
    PUBLIC assent_testlib
    PRIVATE assent_journal PkgConfig::libpq PkgConfig::jansson Threads::Threads)

# The pure parts of the PostgreSQL edge.
if(TARGET assent_pg_pure)
    foreach(name IN ITEMS classify guard text)
        assent_test(NAME test_pg_${name} SOURCES test_pg_${name}.c LIBS assent_pg_pure)
    endforeach()
endif()

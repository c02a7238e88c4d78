# The HTTP edge, most programs with a stand-in for the owner thread and real sockets.
add_library(assent_http_stand_in STATIC ${CMAKE_CURRENT_LIST_DIR}/http_stand_in.c)
target_link_libraries(assent_http_stand_in PUBLIC assent_http PkgConfig::cmocka)

foreach(unit IN ITEMS bad submit interactive interactive_answers queues answers wire scarce wait stream)
    assent_test(NAME test_http_${unit} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_http_${unit}.c
                LIBS assent_http_stand_in LABELS unit threads)
endforeach()
assent_test(NAME test_http_openapi SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_http_openapi.c
            LIBS assent_http_stand_in PkgConfig::jansson)
assent_test(NAME test_http_ring SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_http_ring.c
            LIBS assent_http_stand_in)

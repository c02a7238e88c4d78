# libassent and the client edge.
assent_test(NAME test_client_msgpack SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_msgpack.c
            LIBS assent_client_edge assent_client_msgpack assent_codec assent_api assent_common)
assent_test(NAME test_client_library
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_library.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_client_sink.c
            LIBS assent_client assent_client_edge assent_codec assent_api assent_testlib nng::nng
            LABELS unit threads
            ENVIRONMENT "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_CURRENT_LIST_DIR}/test_link_lsan.supp")
foreach(name IN ITEMS accepted wait)
    assent_test(NAME test_client_${name}
                SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_${name}.c
                        ${CMAKE_CURRENT_LIST_DIR}/test_client_sink.c
                LIBS assent_client assent_client_edge assent_codec assent_api assent_testlib nng::nng
                LABELS unit threads
                ENVIRONMENT "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_CURRENT_LIST_DIR}/test_link_lsan.supp")
endforeach()
assent_test(NAME test_client_transaction
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_transaction.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_client_sink.c
            LIBS assent_client assent_client_edge assent_codec assent_api assent_testlib nng::nng
            LABELS unit threads
            ENVIRONMENT "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_CURRENT_LIST_DIR}/test_link_lsan.supp")
assent_test(NAME test_client_json
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_json.c ${CMAKE_SOURCE_DIR}/client/cli/json.c
            LIBS assent_common PkgConfig::yajl)
assent_test(NAME test_client_clock
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_clock.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_client_sink.c
            LIBS assent_client assent_client_edge assent_codec assent_api assent_testlib nng::nng
            LABELS unit threads TIMEOUT 180
            ENVIRONMENT "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_CURRENT_LIST_DIR}/test_link_lsan.supp")
assent_test(NAME test_client_timer
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_client_timer.c ${CMAKE_SOURCE_DIR}/client/timer.c
            LIBS assent_common nng::nng LABELS unit threads)
assent_test(NAME test_cli_process
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_cli_process.c
                    ${CMAKE_SOURCE_DIR}/client/cli/demo_process.c
            LIBS assent_common)
if(TARGET test_cli_process)
    target_link_options(test_cli_process PRIVATE "LINKER:--wrap=poll")
endif()

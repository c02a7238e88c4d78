# The wire: codec, payloads, links.
foreach(unit IN ITEMS codec work)
    assent_test(NAME test_${unit}
                SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${unit}.c
                        ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
                LIBS assent_codec)
endforeach()
set(link_environment "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_CURRENT_LIST_DIR}/test_link_lsan.supp")
assent_test(NAME test_link
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link.c ${CMAKE_CURRENT_LIST_DIR}/test_link_kit.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link assent_testlib LABELS unit threads TIMEOUT 120 ENVIRONMENT ${link_environment})
assent_test(NAME test_link_faults
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link_faults.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_link_kit.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_link_proxy.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link assent_testlib LABELS unit threads TIMEOUT 180
            ENVIRONMENT ${link_environment})
assent_test(NAME test_link_clock
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link_clock.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_link_kit.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link assent_testlib LABELS unit threads TIMEOUT 180
            ENVIRONMENT ${link_environment})
assent_test(NAME test_link_frame
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link_frame.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link PkgConfig::libsodium)
assent_test(NAME test_link_reset
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link_reset.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_link_kit.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link assent_proxy assent_testlib Threads::Threads LABELS unit threads TIMEOUT 180
            ENVIRONMENT ${link_environment} "MALLOC_PERTURB_=165")

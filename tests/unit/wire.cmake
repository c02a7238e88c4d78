# The wire: codec, payloads, links.
foreach(unit IN ITEMS codec work)
    assent_test(NAME test_${unit}
                SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${unit}.c
                        ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
                LIBS assent_codec)
endforeach()
assent_test(NAME test_link
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_link.c ${CMAKE_CURRENT_LIST_DIR}/test_link_kit.c
                    ${CMAKE_CURRENT_LIST_DIR}/test_codec_random.c
            LIBS assent_link LABELS unit threads TIMEOUT 120)

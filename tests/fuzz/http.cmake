# Request bodies, resolutions and keys. assent_fuzz() comes from the CMakeLists.txt of this folder.
if(COMMAND assent_fuzz)
    assent_fuzz(NAME fuzz_http_json
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_http_json.c
        LIBS assent_http
        CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus_http_json)
endif()

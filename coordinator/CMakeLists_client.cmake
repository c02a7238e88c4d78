# The body hash both edges use, and the client edge (nng, msgpack).
add_library(assent_submission_hash STATIC ${CMAKE_CURRENT_LIST_DIR}/submission_hash.c)
target_link_libraries(assent_submission_hash PUBLIC assent_common PRIVATE PkgConfig::libsodium)

# Shared with libassent.
add_library(assent_client_msgpack STATIC ${CMAKE_CURRENT_LIST_DIR}/client_msgpack.c)
target_link_libraries(assent_client_msgpack PUBLIC assent_common_core)

add_library(assent_client_edge STATIC ${CMAKE_CURRENT_LIST_DIR}/client_codec.c
                                      ${CMAKE_CURRENT_LIST_DIR}/client_codec_answer.c
                                      ${CMAKE_CURRENT_LIST_DIR}/client_edge.c
                                      ${CMAKE_CURRENT_LIST_DIR}/client_edge_open.c
                                      ${CMAKE_CURRENT_LIST_DIR}/client_wait.c)
target_link_libraries(assent_client_edge
    PUBLIC assent_api
    PRIVATE assent_client_msgpack assent_submission_hash assent_codec assent_common nng::nng)

# What edges and core share of the calls between them (pure), and the HTTP edge.
assent_pure_library(assent_api
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/api.c
    LIBS assent_common_core)

set(ASSENT_OPENAPI_FILE "${CMAKE_SOURCE_DIR}/docs/openapi.json")

add_library(assent_http STATIC
    http.c http_accept.c http_check.c http_exchange.c http_json_memory.c http_json_parse.c
    http_json_write.c http_interactive.c http_key.c http_listen.c
    http_members.c http_openapi.c http_problem.c http_pump.c http_queues.c http_render.c http_reply.c http_ring.c http_route.c http_send.c http_stream.c
    http_submit.c http_wait.c)
set_source_files_properties(http_openapi.c PROPERTIES
    COMPILE_DEFINITIONS "ASSENT_OPENAPI_FILE=\"${ASSENT_OPENAPI_FILE}\""
    OBJECT_DEPENDS "${ASSENT_OPENAPI_FILE}")
target_link_libraries(assent_http
    PUBLIC assent_api assent_record assent_submission_hash assent_codec assent_common
    PRIVATE PkgConfig::libmicrohttpd PkgConfig::yajl Threads::Threads)

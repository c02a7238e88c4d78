# The pure core, and the daemon around it.
assent_pure_library(assent_coord_core
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/core.c
            ${CMAKE_CURRENT_LIST_DIR}/core_accept.c
            ${CMAKE_CURRENT_LIST_DIR}/core_audit.c
            ${CMAKE_CURRENT_LIST_DIR}/core_dead.c
            ${CMAKE_CURRENT_LIST_DIR}/core_external.c
            ${CMAKE_CURRENT_LIST_DIR}/core_finish.c
            ${CMAKE_CURRENT_LIST_DIR}/core_inquiry.c
            ${CMAKE_CURRENT_LIST_DIR}/core_interactive.c
            ${CMAKE_CURRENT_LIST_DIR}/core_peer.c
            ${CMAKE_CURRENT_LIST_DIR}/core_queue.c
            ${CMAKE_CURRENT_LIST_DIR}/core_ready.c
            ${CMAKE_CURRENT_LIST_DIR}/core_request.c
            ${CMAKE_CURRENT_LIST_DIR}/core_resolve.c
            ${CMAKE_CURRENT_LIST_DIR}/core_start.c
            ${CMAKE_CURRENT_LIST_DIR}/core_statement.c
            ${CMAKE_CURRENT_LIST_DIR}/core_submit.c
            ${CMAKE_CURRENT_LIST_DIR}/core_trim.c
            ${CMAKE_CURRENT_LIST_DIR}/core_txn.c
            ${CMAKE_CURRENT_LIST_DIR}/core_view.c
            ${CMAKE_CURRENT_LIST_DIR}/core_vote.c
    LIBS assent_api assent_record assent_common_core)

add_library(assent_coordinator STATIC
    ${CMAKE_CURRENT_LIST_DIR}/config.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_calls.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_carry.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_participants.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_post.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_prior.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_step.c
    ${CMAKE_CURRENT_LIST_DIR}/coordinator_take.c
    ${CMAKE_CURRENT_LIST_DIR}/journal_thread.c)
target_link_libraries(assent_coordinator PUBLIC assent_coord_core assent_journal assent_link
    assent_cli assent_common PRIVATE PkgConfig::libsodium)

add_executable(assentd ${CMAKE_CURRENT_LIST_DIR}/main.c)
target_link_libraries(assentd PRIVATE assent_coordinator assent_http assent_client_edge assent_cli
    PkgConfig::libsystemd)
install(TARGETS assentd RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})

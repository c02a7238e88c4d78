# The pure core, and the daemon around it.
assent_pure_library(assent_coord_core
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/core.c
            ${CMAKE_CURRENT_LIST_DIR}/core_finish.c
            ${CMAKE_CURRENT_LIST_DIR}/core_inquiry.c
            ${CMAKE_CURRENT_LIST_DIR}/core_peer.c
            ${CMAKE_CURRENT_LIST_DIR}/core_ready.c
            ${CMAKE_CURRENT_LIST_DIR}/core_resolve.c
            ${CMAKE_CURRENT_LIST_DIR}/core_submit.c
            ${CMAKE_CURRENT_LIST_DIR}/core_txn.c
            ${CMAKE_CURRENT_LIST_DIR}/core_view.c
            ${CMAKE_CURRENT_LIST_DIR}/core_vote.c
    LIBS assent_api assent_record assent_common_core)

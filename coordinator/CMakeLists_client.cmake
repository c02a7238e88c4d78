# The body hash both edges use, and the client edge (nng, msgpack).
find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)

add_library(assent_submission_hash STATIC ${CMAKE_CURRENT_LIST_DIR}/submission_hash.c)
target_link_libraries(assent_submission_hash PUBLIC assent_common PRIVATE PkgConfig::SODIUM)

# Configuration files (inih) and the daemons' common command line.
find_package(PkgConfig REQUIRED)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)

add_library(assent_cli STATIC ${CMAKE_CURRENT_LIST_DIR}/config_file.c
                              ${CMAKE_CURRENT_LIST_DIR}/cli.c)
target_link_libraries(assent_cli PUBLIC assent_common PRIVATE PkgConfig::INIH)

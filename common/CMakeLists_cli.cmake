# Configuration files (inih) and the daemons' common command line.
add_library(assent_cli STATIC ${CMAKE_CURRENT_LIST_DIR}/config_file.c
                              ${CMAKE_CURRENT_LIST_DIR}/config_file_read.c
                              ${CMAKE_CURRENT_LIST_DIR}/cli.c
                              ${CMAKE_CURRENT_LIST_DIR}/cli_value.c
                              ${CMAKE_CURRENT_LIST_DIR}/address.c)
target_link_libraries(assent_cli PUBLIC assent_common PRIVATE PkgConfig::inih)

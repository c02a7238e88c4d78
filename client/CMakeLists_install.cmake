# What a program that uses libassent needs, as component "libassent": the library, shared and static, its header, and
# the files by which pkg-config (assent.pc) and CMake (AssentConfig.cmake) find it.
include(CMakePackageConfigHelpers)

# What the static library needs besides.
set(ASSENT_LIBRARIES_PRIVATE nng msgpackc pthread)

# Folders relative to the prefix are written relative to assent.pc; absolute ones (a distribution's choice) as they are.
set(pkgconfig_folder "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH ASSENT_PC_TO_PREFIX "${pkgconfig_folder}" "${CMAKE_INSTALL_PREFIX}")
    set(ASSENT_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
    file(RELATIVE_PATH ASSENT_PC_TO_PREFIX "/prefix/${pkgconfig_folder}" "/prefix")
    set(ASSENT_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
string(REGEX REPLACE "/$" "" ASSENT_PC_TO_PREFIX "${ASSENT_PC_TO_PREFIX}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(ASSENT_PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
else()
    set(ASSENT_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
list(TRANSFORM ASSENT_LIBRARIES_PRIVATE PREPEND "-l" OUTPUT_VARIABLE ASSENT_PC_LIBS_PRIVATE)
list(JOIN ASSENT_PC_LIBS_PRIVATE " " ASSENT_PC_LIBS_PRIVATE)
configure_file(assent.pc.in assent.pc @ONLY)

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/Assent")
configure_package_config_file(AssentConfig.cmake.in AssentConfig.cmake
    INSTALL_DESTINATION "${package_folder}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# Before 1.0 a minor version may change what programs see.
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/AssentConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)

install(TARGETS assent_shared LIBRARY
    DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    COMPONENT libassent NAMELINK_COMPONENT libassent)
install(FILES "${archive}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT libassent)
install(FILES "${CMAKE_SOURCE_DIR}/include/assent/assent.h"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/assent" COMPONENT libassent)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/assent.pc"
    DESTINATION "${pkgconfig_folder}" COMPONENT libassent)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/AssentConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/AssentConfigVersion.cmake"
    DESTINATION "${package_folder}" COMPONENT libassent)

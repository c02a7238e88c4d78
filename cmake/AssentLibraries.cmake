# Third-party libraries, each as one imported target defined here and nowhere else:
#
#   PkgConfig::libpq     PkgConfig::msgpack  PkgConfig::sqlite3   PkgConfig::libmicrohttpd
#   PkgConfig::jansson   PkgConfig::yajl     PkgConfig::libcurl   PkgConfig::libsodium
#   PkgConfig::inih      PkgConfig::libsystemd                    PkgConfig::cmocka (tests)
#   nng::nng             Threads::Threads

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nng CONFIG REQUIRED)

foreach(library IN ITEMS libpq sqlite3 libmicrohttpd jansson yajl libcurl libsodium inih libsystemd)
    pkg_check_modules(${library} REQUIRED IMPORTED_TARGET GLOBAL ${library})
endforeach()
# Debian 12 calls the C library's file msgpack.pc, newer releases msgpack-c.pc.
pkg_search_module(msgpack REQUIRED IMPORTED_TARGET GLOBAL msgpack-c msgpack)
if(BUILD_TESTING)
    pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET GLOBAL cmocka)
endif()

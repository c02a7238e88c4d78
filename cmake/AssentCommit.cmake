# Run at build time (cmake -P): writes which commit is built to OUTPUT, and only if that has changed, so that nothing is
# compiled again for nothing. Wanted: SOURCE, OUTPUT; COMMIT if the caller knows it (a package).
#
# Without git, or where SOURCE is no checkout of its own (an archive unpacked inside another repository), it is "unknown".
set(commit "${COMMIT}")
set(ENV{GIT_OPTIONAL_LOCKS} 0) # it only looks: somebody may be committing
find_program(GIT_PROGRAM git)
if(commit STREQUAL "" AND GIT_PROGRAM)
    execute_process(COMMAND "${GIT_PROGRAM}" rev-parse --show-toplevel WORKING_DIRECTORY "${SOURCE}"
        OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    file(REAL_PATH "${SOURCE}" source)
    if(top STREQUAL source)
        execute_process(COMMAND "${GIT_PROGRAM}" describe --always --dirty --abbrev=7 --exclude=*
            WORKING_DIRECTORY "${SOURCE}"
            OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
endif()
if(NOT commit MATCHES "^[0-9A-Za-z.+_-]+$")
    set(commit unknown)
endif()
set(text "#include \"tests/lib/commit.h\"\n\nconst char *const assent_commit = \"${commit}\";\n")
set(before "")
if(EXISTS "${OUTPUT}")
    file(READ "${OUTPUT}" before)
endif()
if(NOT text STREQUAL before)
    file(WRITE "${OUTPUT}" "${text}")
endif()

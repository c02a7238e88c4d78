# assent_pure_library(NAME SOURCES... [LIBS pure libraries...] [ALLOW symbols...])
#
# A library whose code does no I/O, reads no clock and calls no third-party code. Makes
#   NAME        static library with the build's usual options, linked to LIBS
#   NAME_pure   the same sources as plain objects, without sanitizer, fortify or stack protector
# and a test purity.NAME: what NAME_pure's objects leave undefined must be defined in the _pure objects of
# LIBS (themselves pure libraries) or be on the short list of tests/structure/check_purity.sh or in ALLOW.

function(assent_pure_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;ALLOW")
    set(sources ${arg_SOURCES} ${arg_UNPARSED_ARGUMENTS})

    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${arg_LIBS})

    add_library(${name}_pure OBJECT ${sources})
    target_compile_options(${name}_pure PRIVATE
        # SHELL: or CMake would drop the second -U_FORTIFY_SOURCE of a release build as a duplicate.
        -fno-sanitize=all "SHELL:-U_FORTIFY_SOURCE" -fno-stack-protector -O1)
    set_target_properties(${name}_pure PROPERTIES
        ASSENT_PURE_LIBS "${arg_LIBS}")

    if(BUILD_TESTING)
        set(provided "")
        foreach(library IN LISTS arg_LIBS)
            # A library without _pure objects is linked, but may only lend its types.
            list(APPEND provided
                "$<$<TARGET_EXISTS:${library}_pure>:$<TARGET_OBJECTS:${library}_pure>>")
        endforeach()
        add_test(NAME purity.${name}
            COMMAND bash "${CMAKE_SOURCE_DIR}/tests/structure/check_purity.sh"
                --nm "${CMAKE_NM}"
                --allow "${arg_ALLOW}"
                --provided "$<JOIN:${provided},;>"
                --objects "$<TARGET_OBJECTS:${name}_pure>")
        set_tests_properties(purity.${name} PROPERTIES LABELS "structure;unit" TIMEOUT 60)
    endif()
endfunction()

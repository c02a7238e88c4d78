add_executable(bench_link_pattern bench_link_pattern.c)
target_link_libraries(bench_link_pattern PRIVATE nng::nng Threads::Threads)
set_target_properties(bench_link_pattern PROPERTIES
                      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bin")

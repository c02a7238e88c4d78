add_executable(bench_journal bench_journal.c)
target_link_libraries(bench_journal PRIVATE assent_journal)
set_target_properties(bench_journal PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bin")

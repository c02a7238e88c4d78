# FAILING_CALLS: link options of a program with failing_calls.c.
set(FAILING_CALLS)
foreach(call IN ITEMS open read pread pwrite __read_chk __pread_chk fsync ftruncate posix_fallocate statvfs link)
    list(APPEND FAILING_CALLS "LINKER:--wrap=${call}")
endforeach()

# The coordinator's driver: configuration and the journal's thread.
assent_test(NAME test_coord_config SOURCES test_coord_config.c LIBS assent_coordinator)
assent_test(NAME test_journal_thread SOURCES test_journal_thread.c LIBS assent_coordinator LABELS unit threads)

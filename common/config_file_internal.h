/*
 * config_file_internal.h - a configuration file in memory, shared by config_file.c and config_file_read.c and nobody else.
 */
#ifndef ASSENT_COMMON_CONFIG_FILE_INTERNAL_H
#define ASSENT_COMMON_CONFIG_FILE_INTERNAL_H

#include "common/config_file.h"

struct config_entry {
    char *section;
    char *key;
    char *value;
    int line;
    bool asked; /* some getter wanted it */
};

struct config_asked {
    char *section;
    char *key;
};

struct config_file {
    char *path;
    size_t entry_count, entry_capacity;
    struct config_entry *entries;
    size_t section_count, section_capacity;
    char **sections;
    int *section_lines;
    /* Every (section, key) that was asked for, to suggest the nearest one for a misspelt key. */
    size_t asked_count, asked_capacity;
    struct config_asked *asked;
};

/* NULL: the file does not have it. */
struct config_entry *config_file_find(const struct config_file *file, const char *section,
                                      const char *key);

#endif

/*
 * fuzz_main.c - feeds files to a fuzz target: the regression run with any compiler.
 *
 *   fuzz_message_files FOLDER...    every file of each folder, whole and cut at every length
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX_BYTES (64 * 1024)

/* A copy of exactly the size, so that the sanitizer sees every read beyond the end. */
static void feed(const uint8_t *bytes, size_t size_bytes)
{
    uint8_t *copy = malloc(size_bytes == 0 ? 1 : size_bytes);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, size_bytes);
    (void)LLVMFuzzerTestOneInput(copy, size_bytes);
    free(copy);
}

static int feed_file(const char *path)
{
    static uint8_t bytes[FILE_MAX_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size_bytes = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 0; i <= size_bytes; i++) {
        feed(bytes, i);
    }
    return 0;
}

static int feed_folder(const char *folder, size_t *count)
{
    DIR *listing = opendir(folder);
    int failed = 0;
    if (listing == NULL) {
        perror(folder);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char path[4096];
        struct stat status;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &status) != 0) {
            perror(path);
            failed = 1;
        } else if (S_ISREG(status.st_mode)) {
            failed |= feed_file(path);
            (*count)++;
        }
    }
    closedir(listing);
    return failed;
}

int main(int argc, char *argv[])
{
    int failed = 0;
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        failed |= feed_folder(argv[i], &count);
    }
    printf("%zu files\n", count);
    return failed != 0 || count == 0;
}

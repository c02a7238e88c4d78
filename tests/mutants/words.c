/* words.c - see words.h. */
#include "tests/mutants/words.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static void add_bytes(struct words *words, const char *word, size_t length)
{
    words->items = alloc_resize(words->items, words->count + 2, sizeof(words->items[0]));
    words->items[words->count++] = alloc_bytes(word, length);
    words->items[words->count] = NULL;
}

void words_add(struct words *words, const char *word)
{
    add_bytes(words, word, strlen(word));
}

void words_split(struct words *words, const char *text)
{
    static const char blank[] = " \t\n";
    for (text += strspn(text, blank); *text != '\0'; text += strspn(text, blank)) {
        size_t length = strcspn(text, blank);
        add_bytes(words, text, length);
        text += length;
    }
}

bool words_have(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i], word) == 0) {
            return true;
        }
    }
    return false;
}

const char *const *words_argv(const struct words *words)
{
    static const char *const none[] = {NULL};
    return words->items == NULL ? none : (const char *const *)words->items;
}

void words_drop(struct words *words)
{
    free(words->items[--words->count]);
    words->items[words->count] = NULL;
}

void words_done(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct words){0};
}

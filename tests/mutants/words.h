/* words.h - a growing list of strings that ends with NULL, as execve wants it. */
#ifndef ASSENT_TESTS_MUTANTS_WORDS_H
#define ASSENT_TESTS_MUTANTS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct words {
    size_t count;
    char **items; /* items[count] is NULL; NULL while empty */
};

void words_add(struct words *words, const char *word);
void words_split(struct words *words, const char *text); /* at white space; adds */
bool words_have(const struct words *words, const char *word);
const char *const *words_argv(const struct words *words);
void words_drop(struct words *words); /* the last one */
void words_done(struct words *words);

#endif

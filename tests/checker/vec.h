/*
 * vec.h - growing arrays, for everything a history can bring more of.
 *
 *     VEC_OF(struct op) ops;            an empty one is all zero
 *     struct op *op = vec_add(&ops);    a new item, all zero; moves the items
 *     vec_done(&ops);
 *
 * Out of memory ends the program with a message: an offline checker has nothing to save.
 */
#ifndef ASSENT_TESTS_CHECKER_VEC_H
#define ASSENT_TESTS_CHECKER_VEC_H

#include <stddef.h>
#include <stdlib.h>

#define VEC_OF(type_)                                                                              \
    struct {                                                                                       \
        type_ *items;                                                                              \
        size_t count;                                                                              \
        size_t size;                                                                               \
    }

#define vec_add(vec_)                                                                              \
    ((vec_)->items = vec_more((vec_)->items, &(vec_)->size, (vec_)->count, sizeof *(vec_)->items), \
     &(vec_)->items[(vec_)->count++])

#define vec_done(vec_)                                                                             \
    do {                                                                                           \
        free((vec_)->items);                                                                       \
        (vec_)->items = NULL;                                                                      \
        (vec_)->count = (vec_)->size = 0;                                                          \
    } while (0)

/* Room for one more item, which is cleared; returns the items, perhaps at a new place. */
void *vec_more(void *items, size_t *size, size_t count, size_t item_size);

/* calloc and realloc that do not return NULL. */
void *mem_zeroed(size_t count, size_t item_size);
void *mem_resized(void *memory, size_t count, size_t item_size);

#endif

/*
 * error.h - an operating error: a text for people, wrapped on its way up, with a hint for the
 * operator.
 *
 * Functions that can fail take `struct error *ret_error` last and return false; the struct is
 * written only on failure. Protocol outcomes (a no vote, an abort) are data, never a struct error.
 */
#ifndef ASSENT_COMMON_ERROR_H
#define ASSENT_COMMON_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_SIZE 512

enum error_kind {
    ERROR_NONE = 0,
    ERROR_IO,       /* a read, write, sync or socket failed */
    ERROR_NO_SPACE, /* the disk is full */
    ERROR_DAMAGED,  /* stored data is not what was written (gap, hash mismatch) */
    ERROR_LOCKED,   /* somebody else owns it (second coordinator) */
    ERROR_VERSION,  /* a newer or unknown format */
    ERROR_INVALID,  /* bad input, bad configuration */
    ERROR_LIMIT,    /* input beyond a configured limit; the text names the limit */
    ERROR_NOT_FOUND,
    ERROR_DENIED,      /* permission, wrong secret */
    ERROR_UNAVAILABLE, /* a peer or database cannot be reached now */
    ERROR_SYSTEM,      /* another operating system error */
};

struct error {
    enum error_kind kind;
    char text[ERROR_TEXT_SIZE]; /* one line, no final full stop needed */
    char hint[ERROR_TEXT_SIZE]; /* what to do about it; may be empty */
};

/* Fills *error (if not NULL) and returns false, so that `return error_set(...)` reads well. */
bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, appending ": " and strerror(errnum). */
bool error_set_errno(struct error *error, enum error_kind kind, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<prefix>: " before the text; keeps kind and hint. Returns false. */
bool error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets the remedy. Returns false. */
bool error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* That these return false is known to nobody who sees one file at a time: compilers and analyzers would warn
 * about outputs left unwritten on success. So the calls are wrapped to say it. */
static inline bool error_false(void)
{
    return false;
}

#define error_set(...)       ((void)error_set(__VA_ARGS__), error_false())
#define error_set_errno(...) ((void)error_set_errno(__VA_ARGS__), error_false())
#define error_wrap(...)      ((void)error_wrap(__VA_ARGS__), error_false())
#define error_hint(...)      ((void)error_hint(__VA_ARGS__), error_false())

#endif

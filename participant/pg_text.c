/* pg_text.c - see pg_text.h. */
#include "participant/pg_text.h"

#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

/* How many bytes the valid UTF-8 character at text has; 0 if there is none. Reads no further than a
 * NUL. */
static size_t character_bytes(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80) {
        return 1;
    }
    /* The second byte's range keeps out overlong forms, surrogates and what lies above U+10FFFF. */
    unsigned char low = c[0] == 0xE0 ? 0xA0 : c[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c[0] == 0xED ? 0x9F : c[0] == 0xF4 ? 0x8F : 0xBF;
    size_t size = c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    if (size == 0 || c[1] < low || c[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((c[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool pg_text_valid(const char *text)
{
    while (*text != '\0') {
        size_t size = character_bytes(text);
        if (size == 0) {
            return false;
        }
        text += size;
    }
    return true;
}

void pg_text_copy(char *to, size_t size, const char *from)
{
    CHECK(size > 0);
    size_t length = 0;
    while (from != NULL && *from != '\0') {
        size_t bytes = character_bytes(from);
        if (length + (bytes == 0 ? 1 : bytes) >= size) {
            break;
        }
        if (bytes <= 1) {
            to[length++] = (char)(bytes == 0 ? '?' : (unsigned char)*from < 0x20 ? ' ' : *from);
            from++;
        } else {
            memcpy(to + length, from, bytes);
            length += bytes;
            from += bytes;
        }
    }
    while (length > 0 && to[length - 1] == ' ') {
        length--;
    }
    to[length] = '\0';
}

char *pg_text_clean(const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    char *clean = alloc_string(text);
    for (char *c = clean; *c != '\0';) {
        size_t size = character_bytes(c);
        if (size == 0) {
            *c = '?';
            size = 1;
        }
        c += size;
    }
    return clean;
}

/*
 * fuzz_gid.c - the text forms of gtrid and gid: whatever is taken is the one text of its value.
 */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/xid.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char *text = malloc(size_bytes + 1);
    CHECK(text != NULL);
    memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';

    struct gid gid;
    struct gtrid gtrid;
    struct journal_id journal;
    char formatted[GID_TEXT_SIZE];
    if (gid_parse(text, &gid)) {
        gid_format(&gid, formatted);
        CHECK(strcmp(text, formatted) == 0);
        CHECK(participant_name_valid(gid.participant));
    }
    if (gtrid_parse(text, &gtrid)) {
        gtrid_format(&gtrid, formatted);
        CHECK(strcmp(text, formatted) == 0);
    }
    if (journal_id_parse(text, &journal)) {
        journal_id_format(&journal, formatted);
        CHECK(strcmp(text, formatted) == 0);
    }
    free(text);
    return 0;
}

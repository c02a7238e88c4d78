/*
 * journal_wal.c - reads SQLite's write-ahead log before SQLite does (P-16).
 *
 * SQLite ends the log at the first frame whose checksum is wrong, silently: right for a tail torn by a
 * crash, wrong for a damaged frame in the middle, which would drop every later commit with it. The two can
 * be told apart where it matters. With synchronous=FULL the log is synced after each commit frame, before
 * the next transaction's first frame is written. So:
 *
 *   1. the torn tail of a crash lies within one transaction: after its first bad frame there may be good
 *      ones of the same generation (same salts), at most up to and including one commit frame;
 *   2. a frame of this generation after a commit frame after a bad frame means that the bad frame's
 *      transaction had been synced, and was damaged later. That is refused.
 *
 * (SQLite repeats a commit frame to fill up a sector on devices without powersafe overwrite; its Unix file
 * system assumes that property unless it is told otherwise, and nobody here does.)
 *
 * What this cannot see: damage in the very last transaction, or a log cut off clean. The head witness of
 * P-10 is for those. Format: https://www.sqlite.org/fileformat2.html#walformat
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recovery/journal_files.h"

#define WAL_HEADER_BYTES   32
#define FRAME_HEADER_BYTES 24
#define PAGE_MAX_BYTES     65536
#define WAL_MAGIC          0x377f0682u /* the last bit says which byte order the sums use */

struct wal {
    const char *path;
    int descriptor;
    bool rewrite;
    bool big_endian_sums;
    uint32_t page_bytes;
    uint8_t salts[8];
    uint32_t sums[2];
    uint8_t *frame;
};

static uint32_t read_big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t read_little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Continues the log's running checksum over size_bytes (a multiple of 8). */
static void sum_bytes(struct wal *wal, const uint8_t *bytes, size_t size_bytes)
{
    uint32_t s0 = wal->sums[0];
    uint32_t s1 = wal->sums[1];
    for (size_t i = 0; i < size_bytes; i += 8) {
        s0 += (wal->big_endian_sums ? read_big_endian(bytes + i) : read_little_endian(bytes + i)) +
              s1;
        s1 += (wal->big_endian_sums ? read_big_endian(bytes + i + 4)
                                    : read_little_endian(bytes + i + 4)) +
              s0;
    }
    wal->sums[0] = s0;
    wal->sums[1] = s1;
}

/* Exactly size_bytes at offset; *ret_whole false if the file ends before. */
static bool read_at(const struct wal *wal, uint8_t *bytes, size_t size_bytes, off_t offset,
                    bool *ret_whole, struct error *ret_error)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t got = pread(wal->descriptor, bytes + done, size_bytes - done, offset + (off_t)done);
        if (got < 0 && errno != EINTR) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot read %s", wal->path);
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    *ret_whole = done == size_bytes;
    return true;
}

/* The same bytes over themselves: makes the page dirty again, so that the sync that follows writes it. */
static bool write_back(const struct wal *wal, const uint8_t *bytes, size_t size_bytes, off_t offset,
                       struct error *ret_error)
{
    size_t done = 0;
    while (wal->rewrite && done < size_bytes) {
        ssize_t put =
            pwrite(wal->descriptor, bytes + done, size_bytes - done, offset + (off_t)done);
        if (put < 0 && errno != EINTR) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", wal->path);
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return true;
}

static bool read_header(struct wal *wal, bool *ret_valid, struct error *ret_error)
{
    uint8_t header[WAL_HEADER_BYTES];
    bool whole;
    *ret_valid = false;
    if (!read_at(wal, header, sizeof header, 0, &whole, ret_error)) {
        return false;
    }
    uint32_t magic = read_big_endian(header);
    uint32_t page_bytes = read_big_endian(header + 8);
    if (!whole || (magic & ~1u) != WAL_MAGIC || page_bytes < 512 || page_bytes > PAGE_MAX_BYTES ||
        (page_bytes & (page_bytes - 1)) != 0) {
        return true;
    }
    wal->big_endian_sums = (magic & 1) != 0;
    wal->page_bytes = page_bytes;
    memcpy(wal->salts, header + 16, sizeof wal->salts);
    sum_bytes(wal, header, 24);
    if (wal->sums[0] != read_big_endian(header + 24) ||
        wal->sums[1] != read_big_endian(header + 28)) {
        return true;
    }
    *ret_valid = true;
    return write_back(wal, header, sizeof header, 0, ret_error);
}

/* Where the walk stands. */
enum wal_place {
    WAL_VALID,      /* every frame so far is good */
    WAL_BROKEN,     /* a bad frame was met */
    WAL_BROKEN_END, /* a commit frame of this generation was met after it */
};

static bool frame_is_good(struct wal *wal)
{
    sum_bytes(wal, wal->frame, 8);
    sum_bytes(wal, wal->frame + FRAME_HEADER_BYTES, wal->page_bytes);
    return memcmp(wal->frame + 8, wal->salts, sizeof wal->salts) == 0 &&
           read_big_endian(wal->frame) != 0 && read_big_endian(wal->frame + 16) == wal->sums[0] &&
           read_big_endian(wal->frame + 20) == wal->sums[1];
}

static bool refuse_damage(const struct wal *wal, uint64_t frame_number, struct error *ret_error)
{
    (void)error_set(ret_error, ERROR_DAMAGED,
                    "%s: frame %llu is damaged and synced transactions follow it", wal->path,
                    (unsigned long long)frame_number);
    return error_hint(ret_error,
                      "keep a copy of the journal and its -wal file; restore the journal "
                      "from a backup, then see `assent journal verify` and docs/JOURNAL.md");
}

static bool walk_frames(struct wal *wal, struct error *ret_error)
{
    size_t frame_bytes = FRAME_HEADER_BYTES + wal->page_bytes;
    enum wal_place place = WAL_VALID;
    uint64_t bad_frame = 0;
    for (uint64_t number = 1;; number++) { /* ends with the file */
        off_t offset = (off_t)(WAL_HEADER_BYTES + (number - 1) * frame_bytes);
        bool whole;
        if (!read_at(wal, wal->frame, frame_bytes, offset, &whole, ret_error)) {
            return false;
        }
        if (!whole) {
            return true;
        }
        if (place == WAL_VALID && frame_is_good(wal)) {
            if (!write_back(wal, wal->frame, frame_bytes, offset, ret_error)) {
                return false;
            }
            continue;
        }
        if (place == WAL_VALID) {
            place = WAL_BROKEN;
            bad_frame = number;
        }
        /* The bad frame itself may be the one whose header still says what it was. */
        if (memcmp(wal->frame + 8, wal->salts, sizeof wal->salts) != 0) {
            continue;
        }
        if (place == WAL_BROKEN_END) {
            return refuse_damage(wal, bad_frame, ret_error);
        }
        if (read_big_endian(wal->frame + 4) != 0) {
            place = WAL_BROKEN_END;
        }
    }
}

static bool walk(struct wal *wal, struct error *ret_error)
{
    bool valid;
    if (!read_header(wal, &valid, ret_error)) {
        return false;
    }
    if (!valid) {
        /* The header is synced before the first frame is written, so frames under a bad header were lost
         * later. A file of a header only is a crash during its creation. */
        if (lseek(wal->descriptor, 0, SEEK_END) > WAL_HEADER_BYTES) {
            return refuse_damage(wal, 0, ret_error);
        }
        return true;
    }
    wal->frame = alloc_zeroed(FRAME_HEADER_BYTES + wal->page_bytes);
    bool walked = walk_frames(wal, ret_error);
    free(wal->frame);
    if (walked && wal->rewrite && fsync(wal->descriptor) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot sync %s", wal->path);
    }
    return walked;
}

static bool wal_read(const char *path, bool rewrite, struct error *ret_error)
{
    char *wal_path = journal_path_beside(path, "-wal");
    struct wal wal = {.path = wal_path, .rewrite = rewrite};
    wal.descriptor = open(wal_path, (rewrite ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    bool read = wal.descriptor < 0 && errno == ENOENT;
    if (wal.descriptor >= 0) {
        read = walk(&wal, ret_error);
        (void)close(wal.descriptor);
    } else if (!read) {
        (void)error_set_errno(ret_error, journal_errno_kind(errno), errno, "cannot open %s",
                              wal_path);
    }
    free(wal_path);
    return read;
}

bool journal_wal_secure(const char *path, struct error *ret_error)
{
    return wal_read(path, true, ret_error);
}

bool journal_wal_inspect(const char *path, struct error *ret_error)
{
    return wal_read(path, false, ret_error);
}

/*
 * demo_files.c - secrets and configuration files of a demo (demo.h).
 *
 * The configuration files are the examples of packaging/examples with the demo's values in place of theirs, written
 * again by every `demo up`.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "client/cli/demo_templates.h"
#include "common/alloc.h"
#include "common/check.h"

#define FILE_MAX_BYTES (1 << 20)
#define SECRET_BYTES   32

bool demo_make_folder(const char *path, struct error *ret_error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", path);
    }
    return true;
}

bool demo_read(const char *path, char **ret_text, struct error *ret_error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", path);
    }
    char *text = alloc_zeroed(FILE_MAX_BYTES + 1);
    const size_t size_bytes = fread(text, 1, FILE_MAX_BYTES, file);
    const bool ok = !ferror(file) && feof(file);
    fclose(file);
    if (!ok) {
        free(text);
        return error_set(ret_error, ERROR_IO, "%s: cannot be read, or is too large", path);
    }
    text[size_bytes] = 0;
    *ret_text = text;
    return true;
}

/* Written beside, synced, renamed: after any crash the file is the old one or the new one. */
static bool write_new(const char *path, const char *text, struct error *ret_error)
{
    char *beside = text_format("%s.new", path);
    const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const size_t size_bytes = strlen(text);
    bool ok = fd >= 0 && write(fd, text, size_bytes) == (ssize_t)size_bytes && fsync(fd) == 0;
    int errnum = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (ok && rename(beside, path) != 0) {
        ok = false;
        errnum = errno;
    }
    free(beside);
    return ok || error_set_errno(ret_error, ERROR_IO, errnum, "%s", path);
}

bool demo_write(const char *path, const char *text, bool *ret_changed, struct error *ret_error)
{
    char *old = NULL;
    bool is_same = false;
    if (access(path, F_OK) == 0 && demo_read(path, &old, ret_error)) {
        is_same = strcmp(old, text) == 0;
    }
    free(old);
    if (ret_changed != NULL) {
        *ret_changed = !is_same;
    }
    return is_same || write_new(path, text, ret_error);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

bool demo_remove_tree(const char *path, struct error *ret_error)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT) {
        return true;
    }
    return error_set_errno(ret_error, ERROR_IO, errno, "removing %s", path);
}

static void random_hex(char ret_hex[2 * SECRET_BYTES + 1])
{
    uint8_t bytes[SECRET_BYTES];
    CHECK(getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
    }
    explicit_bzero(bytes, sizeof bytes);
}

static char *role_name(const struct demo_participant *participant)
{
    return text_format("assent_%s", participant->name);
}

bool demo_write_secrets(const struct demo *demo, const struct demo_participant *participant,
                        struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    char secret[2 * SECRET_BYTES + 1];
    char admin[2 * SECRET_BYTES + 1];
    bool ok = true;
    if (access(demo_path(demo, path, "secrets/%s", participant->name), F_OK) != 0) {
        random_hex(secret);
        char *text = text_format("%s\n", secret);
        ok = demo_write(path, text, NULL, ret_error);
        free(text);
    }
    if (ok && access(demo_path(demo, path, "secrets/%s.pgpass", participant->name), F_OK) != 0) {
        random_hex(secret);
        random_hex(admin);
        char *role = role_name(participant);
        char *text = text_format("*:*:*:postgres:%s\n*:*:*:%s:%s\n", admin, role, secret);
        ok = demo_write(path, text, NULL, ret_error);
        free(role);
        free(text);
    }
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(admin, sizeof admin);
    return ok;
}

bool demo_read_password(const struct demo *demo, const struct demo_participant *participant,
                        const char *role, char **ret_password, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    char *text = NULL;
    if (!demo_read(demo_path(demo, path, "secrets/%s.pgpass", participant->name), &text,
                   ret_error)) {
        return false;
    }
    char *wanted = text_format("*:*:*:%s:", role);
    const char *line = strstr(text, wanted);
    bool ok = line != NULL;
    if (ok) {
        line += strlen(wanted);
        *ret_password = alloc_bytes(line, strcspn(line, "\n"));
    } else {
        ok = error_set(ret_error, ERROR_INVALID, "%s has no line for %s", path, role);
    }
    free(wanted);
    free(text);
    return ok;
}

/* The path is quoted where it must be: it holds no quote and no backslash (demo_user.c). */
static char *quote_path(const char *path)
{
    return strchr(path, ' ') != NULL ? text_format("'%s'", path) : alloc_string(path);
}

char *demo_conninfo(const struct demo *demo, const struct demo_participant *participant,
                    const char *role, const char *database)
{
    char path[DEMO_PATH_SIZE];
    char *passfile = quote_path(demo_path(demo, path, "secrets/%s.pgpass", participant->name));
    char *conninfo = text_format("host=%s port=%u dbname=%s user=%s passfile=%s", demo->sockets,
                                 participant->postgres_port, database, role, passfile);
    free(passfile);
    return conninfo;
}

struct setting {
    const char *key;
    const char *value;
};

/* Does the line set this key ("key = ...")? */
static bool line_sets(const char *line, const char *key)
{
    const size_t length = strlen(key);
    return strncmp(line, key, length) == 0 && strncmp(line + length, " = ", 3) == 0;
}

static const struct setting *setting_of(const char *line, const struct setting *settings)
{
    for (; settings->key != NULL; settings++) {
        if (line_sets(line, settings->key)) {
            return settings;
        }
    }
    return NULL;
}

/* Copies lines from the template up to `end`, with other values for some keys; a replaced line loses its
 * continuation lines. */
static void fill_template(FILE *out, const char *at, const char *end,
                          const struct setting *settings)
{
    bool was_replaced = false;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        const struct setting *setting = setting_of(at, settings);
        const bool continues = (*at == ' ' || *at == '\t') && was_replaced;
        if (setting != NULL) {
            fprintf(out, "%s = %s\n", setting->key, setting->value);
        } else if (!continues) {
            fwrite(at, 1, (size_t)(next - at), out);
        }
        was_replaced = setting != NULL || continues;
        at = next;
    }
}

static const char written_by[] =
    "; Written by `assent demo up`, which writes it again each time.\n";

bool demo_write_assentd_conf(const struct demo *demo, bool *ret_changed, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    char journal[DEMO_PATH_SIZE];
    char ports[3][32];
    char *text = NULL;
    size_t size_bytes = 0;
    snprintf(ports[0], sizeof ports[0], "127.0.0.1:%u", demo->api_port);
    snprintf(ports[1], sizeof ports[1], "127.0.0.1:%u", demo->client_port);
    snprintf(ports[2], sizeof ports[2], "127.0.0.1:%u", demo->listen_port);
    const struct setting settings[] = {
        {"http", ports[0]},   {"client", ports[1]},
        {"listen", ports[2]}, {"journal", demo_path(demo, journal, "journal/journal.db")},
        {NULL, NULL},
    };
    FILE *out = open_memstream(&text, &size_bytes);
    CHECK(out != NULL);
    fputs(written_by, out);
    const char *participants = strstr(template_assentd, "[participant ");
    CHECK(participants != NULL);
    fill_template(out, template_assentd, participants, settings);
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        fprintf(out, "[participant %s]\naddress = 127.0.0.1:%u\nsecret_file = %s\n\n",
                participant->name, participant->agent_port,
                demo_path(demo, path, "secrets/%s", participant->name));
    }
    fclose(out);
    const bool ok = demo_write(demo_path(demo, path, "assentd.conf"), text, ret_changed, ret_error);
    free(text);
    return ok;
}

/* One word of a connection string per line: inih's lines are short. */
static char *conninfo_lines(const struct demo *demo, const struct demo_participant *participant)
{
    char path[DEMO_PATH_SIZE];
    char *role = role_name(participant);
    char *passfile = quote_path(demo_path(demo, path, "secrets/%s.pgpass", participant->name));
    char *lines =
        text_format("host=%s port=%u\n    dbname=%s\n    user=%s\n    passfile=%s", demo->sockets,
                    participant->postgres_port, participant->name, role, passfile);
    free(role);
    free(passfile);
    return lines;
}

bool demo_write_agent_conf(const struct demo *demo, const struct demo_participant *participant,
                           bool *ret_changed, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    char secret[DEMO_PATH_SIZE];
    char token[DEMO_PATH_SIZE];
    char listen[32];
    char *text = NULL;
    size_t size_bytes = 0;
    char *conninfo = conninfo_lines(demo, participant);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", participant->agent_port);
    const struct setting settings[] = {
        {"participant", participant->name},
        {"listen", listen},
        {"secret_file", demo_path(demo, secret, "secrets/%s", participant->name)},
        {"conninfo", conninfo},
        {"token_file", demo_path(demo, token, "secrets/%s.token", participant->name)},
        {NULL, NULL},
    };
    FILE *out = open_memstream(&text, &size_bytes);
    CHECK(out != NULL);
    fputs(written_by, out);
    fill_template(out, template_agent, template_agent + sizeof template_agent - 1, settings);
    fclose(out);
    const bool ok = demo_write(demo_path(demo, path, "agent-%s.conf", participant->name), text,
                               ret_changed, ret_error);
    free(text);
    free(conninfo);
    return ok;
}

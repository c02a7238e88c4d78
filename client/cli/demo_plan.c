/* demo_plan.c - what a demo consists of, kept in demo.ini (demo.h). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "common/config_file.h"

#define SECTION            "demo"
#define PARTICIPANT_PREFIX "participant "
#define API_PORT           7400
#define POSTGRES_PORT      5432

char *demo_path(const struct demo *demo, char path[DEMO_PATH_SIZE], const char *format, ...)
{
    va_list arguments;
    const int used = snprintf(path, DEMO_PATH_SIZE, "%s/", demo->folder);
    va_start(arguments, format);
    vsnprintf(path + used, DEMO_PATH_SIZE - (size_t)used, format, arguments);
    va_end(arguments);
    return path;
}

static bool read_port(struct config_file *file, const char *section, const char *key,
                      uint16_t *ret_port, struct error *ret_error)
{
    int64_t value = 0;
    if (!config_file_get_int(file, section, key, CONFIG_FILE_REQUIRED, 1, 65535, &value,
                             ret_error)) {
        return false;
    }
    *ret_port = (uint16_t)value;
    return true;
}

static bool read_participant(struct config_file *file, const char *section, struct demo *demo,
                             struct error *ret_error)
{
    struct demo_participant *participant = &demo->participants[demo->participant_count];
    const char *name = section + strlen(PARTICIPANT_PREFIX);
    if (demo->participant_count == DEMO_PARTICIPANT_MAX || !participant_name_valid(name)) {
        return config_file_fail(file, section, "agent_port", ret_error, "too many or no name");
    }
    snprintf(participant->name, sizeof participant->name, "%s", name);
    demo->participant_count++;
    return read_port(file, section, "agent_port", &participant->agent_port, ret_error) &&
           read_port(file, section, "postgres_port", &participant->postgres_port, ret_error);
}

static bool read_plan(struct config_file *file, struct demo *demo, struct error *ret_error)
{
    const char *sockets = NULL;
    if (!config_file_get_text(file, SECTION, "sockets", NULL, &sockets, ret_error) ||
        !read_port(file, SECTION, "api_port", &demo->api_port, ret_error) ||
        !read_port(file, SECTION, "client_port", &demo->client_port, ret_error) ||
        !read_port(file, SECTION, "listen_port", &demo->listen_port, ret_error)) {
        return false;
    }
    snprintf(demo->sockets, sizeof demo->sockets, "%s", sockets);
    for (size_t i = 0; i < config_file_section_count(file); i++) {
        const char *section = config_file_section(file, i);
        if (strncmp(section, PARTICIPANT_PREFIX, strlen(PARTICIPANT_PREFIX)) == 0 &&
            !read_participant(file, section, demo, ret_error)) {
            return false;
        }
    }
    return config_file_finish(file, ret_error);
}

bool demo_plan_load(struct demo *demo, bool *ret_found, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    struct config_file *file = NULL;
    demo->api_port = API_PORT;
    *ret_found = access(demo_path(demo, path, "demo.ini"), F_OK) == 0;
    if (!*ret_found) {
        return true;
    }
    if (!config_file_load(path, &file, ret_error)) {
        return false;
    }
    const bool ok = read_plan(file, demo, ret_error);
    config_file_free(file);
    return ok;
}

bool demo_plan_save(const struct demo *demo, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    char *text = text_format("; Kept by `assent demo`: where this demo's parts are.\n"
                             "[" SECTION "]\nsockets = %s\napi_port = %u\nclient_port = %u\n"
                             "listen_port = %u\n",
                             demo->sockets, demo->api_port, demo->client_port, demo->listen_port);
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        char *longer = text_format(
            "%s\n[" PARTICIPANT_PREFIX "%s]\nagent_port = %u\npostgres_port = %u\n", text,
            participant->name, participant->agent_port, participant->postgres_port);
        free(text);
        text = longer;
    }
    const bool ok = demo_write(demo_path(demo, path, "demo.ini"), text, NULL, ret_error);
    free(text);
    return ok;
}

static bool plan_has(const struct demo *demo, const char *name)
{
    for (size_t i = 0; i < demo->participant_count; i++) {
        if (strcmp(demo->participants[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool plan_add_one(struct demo *demo, const char *name, struct error *ret_error)
{
    if (!participant_name_valid(name)) {
        error_set(ret_error, ERROR_INVALID, "\"%s\" cannot be a participant's name", name);
        return error_hint(ret_error, "1 to 63 of a-z, 0-9, _ and -, beginning with a letter");
    }
    if (plan_has(demo, name)) {
        return true;
    }
    if (demo->participant_count == DEMO_PARTICIPANT_MAX) {
        return error_set(ret_error, ERROR_INVALID, "more than %d participants",
                         DEMO_PARTICIPANT_MAX);
    }
    struct demo_participant *participant = &demo->participants[demo->participant_count];
    snprintf(participant->name, sizeof participant->name, "%s", name);
    participant->postgres_port = (uint16_t)(POSTGRES_PORT + demo->participant_count);
    const unsigned int preferred = demo->api_port + 11u + (unsigned int)demo->participant_count;
    if (!demo_port_choose(demo, (uint16_t)preferred, &participant->agent_port, ret_error)) {
        return false;
    }
    demo->participant_count++;
    return true;
}

bool demo_plan_add(struct demo *demo, const char *names, struct error *ret_error)
{
    char copy[DEMO_PARTICIPANT_MAX * PARTICIPANT_NAME_SIZE + 1];
    if (strlen(names) >= sizeof copy) {
        return error_set(ret_error, ERROR_INVALID, "too many participants");
    }
    snprintf(copy, sizeof copy, "%s", names);
    char *rest = NULL;
    for (char *name = strtok_r(copy, ", ", &rest); name != NULL;
         name = strtok_r(NULL, ", ", &rest)) {
        if (!plan_add_one(demo, name, ret_error)) {
            return false;
        }
    }
    return true;
}

bool demo_plan_sockets(struct demo *demo, struct error *ret_error)
{
    struct stat status;
    if (demo->sockets[0] != 0) {
        /* Gone after a restart of the machine: taken again under its name, if that is free. */
        (void)mkdir(demo->sockets, 0700);
        if (lstat(demo->sockets, &status) == 0 && S_ISDIR(status.st_mode) &&
            status.st_uid == geteuid() && (status.st_mode & 077) == 0) {
            return true;
        }
    }
    snprintf(demo->sockets, sizeof demo->sockets, "/tmp/assent-XXXXXX");
    if (mkdtemp(demo->sockets) == NULL) {
        demo->sockets[0] = 0;
        return error_set_errno(ret_error, ERROR_IO, errno, "a folder for sockets in /tmp");
    }
    return true;
}

/* Binds and lets go. 0 binds any port. The port bound, or 0. */
static uint16_t port_try(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t address_bytes = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    /* As the daemons do: connections of a killed predecessor do not count. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const bool ok = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    listen(fd, 1) == 0 &&
                    getsockname(fd, (struct sockaddr *)&address, &address_bytes) == 0;
    close(fd);
    return ok ? ntohs(address.sin_port) : 0;
}

bool demo_port_is_free(uint16_t port)
{
    return port_try(port) == port;
}

static bool plan_uses(const struct demo *demo, uint16_t port)
{
    bool uses = port == demo->api_port || port == demo->client_port || port == demo->listen_port;
    for (size_t i = 0; i < demo->participant_count; i++) {
        uses = uses || port == demo->participants[i].agent_port;
    }
    return uses;
}

bool demo_port_choose(const struct demo *demo, uint16_t preferred, uint16_t *ret_port,
                      struct error *ret_error)
{
    if (preferred != 0 && !plan_uses(demo, preferred) && demo_port_is_free(preferred)) {
        *ret_port = preferred;
        return true;
    }
    for (int attempt = 0; attempt < 100; attempt++) {
        const uint16_t port = port_try(0);
        if (port != 0 && !plan_uses(demo, port)) {
            *ret_port = port;
            return true;
        }
    }
    return error_set(ret_error, ERROR_UNAVAILABLE, "no free port on 127.0.0.1");
}

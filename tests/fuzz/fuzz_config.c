/*
 * fuzz_config.c - any text as a configuration file of either daemon, or as an agent's file of operations: taken, or refused
 * with a text that names the file. The first byte chooses: 'o' operations, others the daemon. "secret_file =
 * /proc/self/fd/99" is a good secret.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "coordinator/config.h"
#include "participant/config.h"
#include "participant/operations.h"
#include "tests/fuzz/fuzz.h"

#define SECRET    "0123456789abcdef0123456789abcdef\n"
#define SECRET_FD 99 /* the name in the corpus */

/* The loaders want files, and the secret's must be nobody else's to read: both lie in memory. */
static int config_fd(void)
{
    static int fd = -1;
    if (fd < 0) {
        int secret = memfd_create("secret", 0);
        CHECK(secret >= 0 && write(secret, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
        CHECK(fchmod(secret, 0600) == 0 && dup2(secret, SECRET_FD) == SECRET_FD);
        (void)close(secret);
        fd = memfd_create("config", MFD_CLOEXEC);
        CHECK(fd >= 0);
    }
    return fd;
}

/* What is taken can be found again, each name once, and needs no more arguments than a call can have. */
static bool load_operations(const char *path, struct error *error)
{
    struct policy *policy = policy_new();
    bool loaded = operations_load(path, policy, error);
    for (size_t i = 0; loaded && i < policy->operation_count; i++) {
        const struct operation *operation = &policy->operations[i];
        CHECK(policy_name_valid(operation->name) && operation->sql[0] != '\0');
        CHECK(policy_find(policy, operation->name) == operation);
        CHECK(operation->param_count <= OPERATION_ARGS_MAX);
    }
    policy_release(policy);
    return loaded;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char path[64];
    struct error error = {0};
    bool loaded = false;
    if (size_bytes == 0) {
        return 0;
    }
    int fd = config_fd();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, bytes + 1, size_bytes - 1, 0) == (ssize_t)(size_bytes - 1));
    if (bytes[0] == 'o') {
        loaded = load_operations(path, &error);
    } else if (bytes[0] % 2 == 0) {
        struct config config;
        loaded = config_load(path, &config, &error);
        if (loaded) {
            CHECK(config.http != NULL && config.journal != NULL);
            config_done(&config);
        }
    } else {
        struct agent_settings settings;
        loaded = agent_settings_load(path, &settings, &error);
        CHECK(!loaded || participant_name_valid(settings.core.participant));
    }
    CHECK(loaded || error.text[0] != '\0');
    return 0;
}

/* main.c - a scenario's options, the order of things, and its end (kit.h). */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "examples/scenarios/kit/kit.h"

#define KEY_SEED     0x600
#define KEY_SHOPPERS 0x601
#define KEY_AT_ONCE  0x602
#define KEY_TIMEOUT  0x603
#define KEY_OWN      0x700 /* the scenario's first, and so on */

#define AT_ONCE_DEFAULT 16
#define AT_ONCE_MAX     500
#define PAUSE_MAX_MS    1000u

char *kit_text(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    const int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        abort(); /* out of memory */
    }
    return text;
}

uint64_t kit_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t kit_now_ms(void)
{
    return kit_now_us() / 1000;
}

void kit_give_up(const struct kit *kit, int code, const char *hint, const char *format, ...)
{
    /* Several threads may find the same at the same time: the first one speaks. */
    static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
    va_list arguments;
    pthread_mutex_lock(&first);
    if (kit->progress != NULL) {
        progress_clear(kit->progress);
    }
    fprintf(stderr, "assent-demo-%s: ", kit->scenario->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (hint != NULL) {
        fprintf(stderr, "assent-demo-%s: hint: %s\n", kit->scenario->name, hint);
    }
    fflush(NULL);
    _exit(code); /* without the destructors of libraries whose threads still work */
}

void kit_pause(const struct kit *kit, unsigned int attempt, uint64_t advised_ms, const char *what)
{
    const uint64_t now_ms = kit_now_ms();
    const unsigned int most_ms = attempt < 6 ? 25u << attempt : PAUSE_MAX_MS;
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof random, 0); /* spreads the crowd; no part of the story */
    const uint64_t pause_ms = advised_ms + random % most_ms;
    if (now_ms + pause_ms >= kit->until_ms) {
        kit_give_up(
            kit, EX_UNAVAILABLE,
            "`assent demo up` repairs a demo, its log folder tells more; --timeout gives it "
            "more time",
            "the time is up: %s", what);
    }
    poll(NULL, 0, (int)pause_ms);
}

/* A decimal number, or argp's error. */
static uint64_t parse_number(const struct argp_state *state, const char *option, const char *text,
                             uint64_t least, uint64_t most)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || number < least ||
        number > most) {
        argp_error(state, "--%s takes %llu to %llu, not \"%s\"", option, (unsigned long long)least,
                   (unsigned long long)most, text);
    }
    return number;
}

/* The scenario's own options have keys from KEY_OWN on, in their order. */
static error_t parse_own(const struct scenario *scenario, int key, const char *argument,
                         const struct argp_state *state)
{
    if (key < KEY_OWN || (size_t)(key - KEY_OWN) >= scenario->option_count) {
        return ARGP_ERR_UNKNOWN;
    }
    const struct scenario_option *option = &scenario->options[key - KEY_OWN];
    *option->value = parse_number(state, option->name, argument, option->least, option->most);
    return 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct kit *kit = state->input;
    struct kit_options *options = &kit->options;
    switch (key) {
    case 'd':
        options->folder = argument;
        return 0;
    case 'p':
        options->port = argument;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case KEY_SEED:
        options->seed = parse_number(state, "seed", argument, 0, UINT64_MAX);
        return 0;
    case KEY_SHOPPERS:
        options->shoppers = parse_number(state, "shoppers", argument, 1, 1000000);
        return 0;
    case KEY_AT_ONCE:
        options->at_once = parse_number(state, "at-once", argument, 1, AT_ONCE_MAX);
        return 0;
    case KEY_TIMEOUT:
        options->seconds = parse_number(state, "timeout", argument, 1, 86400);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "what is \"%s\" for?", argument);
        return EINVAL;
    default:
        return parse_own(kit->scenario, key, argument, state);
    }
}

/* Returns owned: the scenario's own options behind those that all have. */
static struct argp_option *list_options(const struct scenario *scenario)
{
    static const struct argp_option shared[] = {
        {"dir", 'd', "DIR", 0, "The demo's folder (default .assent-demo)", 1},
        {"port", 'p', "PORT", 0, "The port of the demo's API", 1},
        {"json", 'j', NULL, 0, "Print the summary as JSON", 1},
        {"shoppers", KEY_SHOPPERS, "N", 0, "How many customers there are", 1},
        {"at-once", KEY_AT_ONCE, "N", 0, "How many requests are sent at a time", 1},
        {"seed", KEY_SEED, "N", 0, "What is left to chance (1)", 1},
        {"timeout", KEY_TIMEOUT, "SECONDS", 0, "All of it has to be over by then", 1},
    };
    const size_t shared_count = sizeof shared / sizeof *shared;
    struct argp_option *options =
        calloc(shared_count + scenario->option_count + 1, sizeof *options);
    if (options == NULL) {
        abort();
    }
    memcpy(options, shared, sizeof shared);
    for (size_t i = 0; i < scenario->option_count; i++) {
        const struct scenario_option *own = &scenario->options[i];
        options[shared_count + i] =
            (struct argp_option){own->name, KEY_OWN + (int)i, "N", 0, own->what, 2};
    }
    return options; /* calloc has made the end */
}

static void parse(struct kit *kit, int argc, char **argv)
{
    struct argp_option *options = list_options(kit->scenario);
    char *doc = kit_text("%s\v"
                         "The demo is made or repaired if need be; the scenario's tables are in a "
                         "schema of their own, made anew each time. Exit codes: 0 all answers of "
                         "the verdict are yes, 1 one is no, 64 usage, 69 unavailable.",
                         kit->scenario->what);
    const struct argp argp = {options, parse_option, NULL, doc, NULL, NULL, NULL};
    argp_err_exit_status = EX_USAGE;
    char *name = kit_text("assent demo run %s", kit->scenario->name);
    argv[0] = name;
    argp_parse(&argp, argc, argv, 0, NULL, kit);
    free(name);
    free(doc);
    free(options);
}

static void name_run(struct kit *kit)
{
    uint8_t bytes[(KIT_RUN_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        abort(); /* so few bytes are always had whole */
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(kit->run + 2 * i, 3, "%02x", bytes[i]);
    }
    snprintf(kit->schema, sizeof kit->schema, "%s", kit->scenario->name);
    for (char *c = kit->schema; *c != 0; c++) {
        *c = *c == '-' ? '_' : *c;
    }
}

static void begin_summary(struct kit *kit)
{
    kit->checks = json_array();
    kit->summary = json_pack("{s:s, s:s, s:I, s:I, s:o}", "scenario", kit->scenario->name, "run",
                             kit->run, "seed", (json_int_t)kit->options.seed, "shoppers",
                             (json_int_t)kit->options.shoppers, "checks", kit->checks);
    if (kit->summary == NULL) {
        abort();
    }
}

int kit_main(const struct scenario *scenario, int argc, char **argv)
{
    struct kit kit = {.scenario = scenario, .is_well = true};
    kit.options = (struct kit_options){.seed = 1,
                                       .shoppers = scenario->shoppers,
                                       .at_once = scenario->at_once != 0 ? scenario->at_once
                                                                         : AT_ONCE_DEFAULT,
                                       .seconds = scenario->seconds};
    parse(&kit, argc, argv);
    name_run(&kit);
    begin_summary(&kit);
    kit.begin_ms = kit_now_ms();
    kit.until_ms = kit.begin_ms + kit.options.seconds * 1000;
    kit.progress = progress_new(&kit);
    kit_title(&kit, scenario->what);
    fflush(stdout);
    progress_stage(&kit, "the demo", 0, NULL);
    demo_up(&kit, 5);
    database_prepare(&kit);
    progress_end(&kit);
    if (assent_client_open(kit.client, &kit.assent) != ASSENT_OK) {
        kit_give_up(&kit, EX_UNAVAILABLE, NULL, "libassent cannot use the address %s", kit.client);
    }
    scenario->run(&kit);
    progress_end(&kit);
    const int code = verdict_end(&kit);
    assent_client_close(kit.assent);
    PQfinish(kit.lock);
    progress_free(kit.progress);
    json_decref(kit.summary);
    json_decref(kit.status);
    json_decref(kit.databases);
    free(kit.api);
    free(kit.client);
    return fflush(stdout) != 0 || ferror(stdout) ? EX_IOERR : code;
}

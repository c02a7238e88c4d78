/*
 * history_events.c - reads the smaller lines: meta, answer, nemesis, heuristic, sample, state, end.
 */
#include <stdio.h>

#include "tests/checker/reader.h"

#define DATABASES_MAX 1024

bool read_meta(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    struct meta *meta = &history->meta;
    int mode = MODE_LOCKING;
    int64_t heal_ms = 10000;
    const json_t *databases = NULL, *workloads = NULL;
    meta->program = meta->command = NAME_NONE;
    meta->steady_from = meta->journal_steady_from = -1;
    if (history->has_meta) {
        return reader_fail(reader, "a second \"meta\"");
    }
    if (!field_integer(reader, line, "version", REQUIRED, &meta->version)) {
        return false;
    }
    if (meta->version != HISTORY_VERSION) {
        return reader_fail(reader, "version %lld of the format; this program knows version %d",
                           (long long)meta->version, HISTORY_VERSION);
    }
    if (!field_array(reader, line, "databases", REQUIRED, &databases) ||
        !field_array(reader, line, "workloads", REQUIRED, &workloads) ||
        !field_integer(reader, line, "seed", REQUIRED, &meta->seed) ||
        !field_name(reader, line, "started", REQUIRED, &meta->started) ||
        !field_text(reader, line, "program", &meta->program) ||
        !field_text(reader, line, "command", &meta->command) ||
        !field_choice(reader, line, "mode", OPTIONAL, "L S", &mode) ||
        !field_integer(reader, line, "heal_ms", OPTIONAL, &heal_ms) ||
        !field_integer(reader, line, "steady_from", OPTIONAL, &meta->steady_from) ||
        !field_integer(reader, line, "journal_steady_from", OPTIONAL, &meta->journal_steady_from)) {
        return false;
    }
    if (heal_ms < 0 || heal_ms > INT64_C(86400000)) {
        return reader_fail(reader, "\"heal_ms\" is not between 0 and a day");
    }
    meta->heal_us = heal_ms * 1000;
    meta->mode = (enum mode)mode;
    size_t count = json_array_size(databases);
    if (count == 0 || count > DATABASES_MAX) {
        return reader_fail(reader, "\"databases\" has %zu names; 1 to %d are allowed", count,
                           DATABASES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct database *database = vec_add(&history->databases);
        if (!value_name(reader, json_array_get(databases, i), "a name of \"databases\"",
                        &database->name)) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (history->databases.items[j].name == database->name) {
                return reader_fail(reader, "\"databases\" names one twice");
            }
        }
    }
    for (size_t i = 0; i < json_array_size(workloads); i++) {
        if (!value_name(reader, json_array_get(workloads, i), "a name of \"workloads\"",
                        vec_add(&meta->workloads))) {
            return false;
        }
    }
    history->has_meta = true;
    return true;
}

static bool read_time(struct reader *reader, const json_t *line, int64_t *ret_t)
{
    if (!field_integer(reader, line, "t", REQUIRED, ret_t)) {
        return false;
    }
    if (*ret_t < 0 || *ret_t == TIME_NEVER) {
        return reader_fail(reader, "\"t\" is negative");
    }
    if (*ret_t > reader->history->t_last) {
        reader->history->t_last = *ret_t;
    }
    return true;
}

bool read_answer(struct reader *reader, const json_t *line)
{
    struct answer answer = {.txid = NAME_NONE, .line = (uint32_t)reader->line};
    int state = 0;
    if (!read_time(reader, line, &answer.t) ||
        !field_name(reader, line, "key", REQUIRED, &answer.key) ||
        !field_name(reader, line, "txid", OPTIONAL, &answer.txid) ||
        !field_choice(reader, line, "state", REQUIRED, "committed aborted open", &state)) {
        return false;
    }
    answer.state = (uint8_t)state;
    *vec_add(&reader->history->answers) = answer;
    return true;
}

bool read_nemesis(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    struct nemesis nemesis = {.detail = NAME_NONE,
                              .key_first = (uint32_t)history->nemesis_keys.count};
    int phase = 0;
    const json_t *keys = NULL;
    if (!read_time(reader, line, &nemesis.t) ||
        !field_integer(reader, line, "n", REQUIRED, &nemesis.n) ||
        !field_name(reader, line, "fault", REQUIRED, &nemesis.fault) ||
        !field_name(reader, line, "target", REQUIRED, &nemesis.target) ||
        !field_text(reader, line, "detail", &nemesis.detail) ||
        !field_choice(reader, line, "phase", REQUIRED, "begin end point healed", &phase) ||
        !field_bool(reader, line, "heuristic", &nemesis.heuristic) ||
        !field_array(reader, line, "keys", OPTIONAL, &keys)) {
        return false;
    }
    nemesis.phase = (uint8_t)phase;
    nemesis.has_keys = keys != NULL;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (!value_name(reader, json_array_get(keys, i), "a key of \"keys\"",
                        vec_add(&history->nemesis_keys))) {
            return false;
        }
    }
    nemesis.key_count = (uint32_t)(history->nemesis_keys.count - nemesis.key_first);
    *vec_add(&history->nemeses) = nemesis;
    return true;
}

bool read_heuristic(struct reader *reader, const json_t *line)
{
    struct heuristic heuristic = {.key = NAME_NONE, .txid = NAME_NONE, .db_name = NAME_NONE};
    int outcome = 0;
    if (!read_time(reader, line, &heuristic.t) ||
        !field_name(reader, line, "key", OPTIONAL, &heuristic.key) ||
        !field_name(reader, line, "txid", OPTIONAL, &heuristic.txid) ||
        !field_name(reader, line, "db", OPTIONAL, &heuristic.db_name) ||
        !field_choice(reader, line, "outcome", REQUIRED, "mixed commit rollback hazard",
                      &outcome) ||
        !field_name(reader, line, "outcome", REQUIRED, &heuristic.outcome)) {
        return false;
    }
    if (heuristic.key == NAME_NONE && heuristic.txid == NAME_NONE) {
        return reader_fail(reader, "a heuristic outcome with neither \"key\" nor \"txid\"");
    }
    *vec_add(&reader->history->heuristics) = heuristic;
    return true;
}

static bool read_process(struct reader *reader, int64_t t, const char *name, const json_t *process)
{
    struct process_sample sample = {.t = t, .pid = -1, .rss = -1, .fds = -1};
    if (!json_is_object(process)) {
        return reader_fail(reader, "a process of \"processes\" is not an object");
    }
    if (!field_integer(reader, process, "pid", OPTIONAL, &sample.pid) ||
        !field_integer(reader, process, "rss", OPTIONAL, &sample.rss) ||
        !field_integer(reader, process, "fds", OPTIONAL, &sample.fds)) {
        return false;
    }
    sample.process = names_add(&reader->history->names, name);
    *vec_add(&reader->history->process_samples) = sample;
    return true;
}

bool read_sample(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    struct sample sample = {.journal = -1, .tps = -1};
    const json_t *tps = json_object_get(line, "tps");
    json_t *processes = NULL;
    if (!read_time(reader, line, &sample.t) ||
        !field_integer(reader, line, "journal", OPTIONAL, &sample.journal) ||
        !field_object(reader, line, "processes", &processes)) {
        return false;
    }
    if (tps && !json_is_null(tps)) {
        if (!json_is_number(tps)) {
            return reader_fail(reader, "\"tps\" is not a number");
        }
        sample.tps = json_number_value(tps);
    }
    for (void *i = json_object_iter(processes); i; i = json_object_iter_next(processes, i)) {
        if (!read_process(reader, sample.t, json_object_iter_key(i), json_object_iter_value(i))) {
            return false;
        }
    }
    history->has_growth |= sample.journal >= 0 || processes;
    *vec_add(&history->samples) = sample;
    return true;
}

bool read_state(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    const json_t *unfinished = NULL, *in_doubt = NULL;
    int64_t t = 0;
    if (!read_time(reader, line, &t) ||
        !field_array(reader, line, "unfinished", REQUIRED, &unfinished) ||
        !field_array(reader, line, "in_doubt", REQUIRED, &in_doubt)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(unfinished); i++) {
        if (!value_name(reader, json_array_get(unfinished, i), "an id of \"unfinished\"",
                        vec_add(&history->unfinished))) {
            return false;
        }
    }
    for (size_t i = 0; i < json_array_size(in_doubt); i++) {
        if (!value_name(reader, json_array_get(in_doubt, i), "an id of \"in_doubt\"",
                        vec_add(&history->in_doubt))) {
            return false;
        }
    }
    history->has_state = true;
    return true;
}

bool read_end(struct reader *reader, const json_t *line)
{
    struct history *history = reader->history;
    int64_t t = 0, lines = 0;
    history->end_reason = NAME_NONE;
    if (!read_time(reader, line, &t) || !field_integer(reader, line, "lines", REQUIRED, &lines) ||
        !field_text(reader, line, "reason", &history->end_reason)) {
        return false;
    }
    if (lines != (int64_t)reader->line - 1) {
        return reader_fail(reader, "\"lines\" is %lld, but %llu lines come before: some are lost",
                           (long long)lines, (unsigned long long)(reader->line - 1));
    }
    history->has_end = true;
    return true;
}

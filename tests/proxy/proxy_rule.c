/*
 * proxy_rule.c - rules: which unit they strike, and waiting for it. See proxy.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/proxy/proxy_internal.h"

static bool rule_matches(const struct rule *rule, size_t route, enum link_end from,
                         const char *peer, const struct stream_unit *unit)
{
    enum proxy_direction direction = from == END_DIALER ? PROXY_TO_TARGET : PROXY_TO_DIALER;
    return rule->id != 0 && rule->of.route == route && rule->of.direction == direction &&
           (rule->peer[0] == '\0' || strcmp(rule->peer, peer) == 0) &&
           strstr(unit->label, rule->text) != NULL;
}

struct rule *rules_judge(struct proxy *proxy, size_t route, enum link_end from, const char *peer,
                         const struct stream_unit *unit)
{
    struct rule *found = NULL;
    for (size_t i = 0; i < PROXY_RULES_MAX; i++) {
        struct rule *rule = &proxy->rules[i];
        if (!rule_matches(rule, route, from, peer, unit)) {
            continue;
        }
        rule->seen++;
        if (found == NULL && rule->seen >= rule->of.nth && rule->struck < rule->of.times) {
            found = rule;
        }
    }
    if (found != NULL) {
        found->struck++;
        (void)snprintf(found->label, sizeof found->label, "%s", unit->label);
        (void)pthread_cond_broadcast(&proxy->struck);
    }
    return found;
}

static struct rule *find_rule(struct proxy *proxy, uint64_t id)
{
    for (size_t i = 0; i < PROXY_RULES_MAX; i++) {
        if (proxy->rules[i].id == id) {
            return &proxy->rules[i];
        }
    }
    return NULL;
}

bool proxy_add_rule(struct proxy *proxy, const struct proxy_rule *rule, uint64_t *ret_id,
                    struct error *ret_error)
{
    if (strlen(rule->text) >= PROXY_TEXT_SIZE || rule->direction == PROXY_BOTH ||
        (rule->peer != NULL && strlen(rule->peer) >= STREAM_PEER_SIZE)) {
        return error_set(ret_error, ERROR_INVALID, "not a rule: %.80s", rule->text);
    }
    (void)pthread_mutex_lock(&proxy->lock);
    struct rule *place = find_rule(proxy, 0);
    if (place != NULL) {
        *place = (struct rule){.id = ++proxy->last_rule_id, .of = *rule};
        (void)snprintf(place->text, sizeof place->text, "%s", rule->text);
        (void)snprintf(place->peer, sizeof place->peer, "%s", rule->peer == NULL ? "" : rule->peer);
        place->of.text = place->text;
        place->of.peer = NULL; /* the copy counts */
        place->of.nth = rule->nth == 0 ? 1 : rule->nth;
        place->of.times = rule->times == 0 ? 1 : rule->times;
        *ret_id = place->id;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return place != NULL ||
           error_set(ret_error, ERROR_LIMIT, "more than %d rules at a time", PROXY_RULES_MAX);
}

bool proxy_wait_rule(struct proxy *proxy, uint64_t id, uint64_t deadline_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                   .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    int result = 0;
    (void)pthread_mutex_lock(&proxy->lock);
    struct rule *rule = find_rule(proxy, id);
    while (rule != NULL && rule->struck < rule->of.times && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&proxy->struck, &proxy->lock, &until);
        rule = find_rule(proxy, id);
    }
    bool succeeded = rule != NULL && rule->struck >= rule->of.times;
    (void)pthread_mutex_unlock(&proxy->lock);
    return succeeded;
}

uint32_t proxy_remove_rule(struct proxy *proxy, uint64_t id, char *ret_label)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct rule *rule = find_rule(proxy, id);
    uint32_t struck = rule == NULL ? 0 : rule->struck;
    if (ret_label != NULL) {
        (void)snprintf(ret_label, STREAM_LABEL_SIZE, "%s", rule == NULL ? "" : rule->label);
    }
    if (rule != NULL) {
        *rule = (struct rule){0};
        (void)pthread_cond_broadcast(&proxy->struck); /* who waits for it shall not wait longer */
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return struck;
}

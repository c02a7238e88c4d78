/*
 * http_members.c - see http_members.h.
 */
#include "coordinator/http_members.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

bool problem_at(struct problem *ret_problem, enum problem_kind kind, const struct json_value *value,
                const char *format, ...)
{
    char path[JSON_PATH_SIZE];
    json_value_path(value, path);
    char what[ERROR_TEXT_SIZE - JSON_PATH_SIZE - 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return problem_set(ret_problem, kind, "%s: %s", path, what);
}

static bool member_check(const struct json_value *member, const struct member_rule *rule,
                         struct problem *ret_problem)
{
    if (rule->need == MEMBER_OPENED) {
        return problem_at(ret_problem, PROBLEM_NOT_SUPPORTED, member,
                          "belongs to a transaction that was opened (POST "
                          "/v1/transactions/open), not to one in a single request");
    }
    if (member->type != rule->type) {
        return problem_at(ret_problem, PROBLEM_MALFORMED, member, "must be %s, not %s",
                          json_value_type_text(rule->type), json_value_type_text(member->type));
    }
    return true;
}

bool members_check(const struct json_value *object, const struct member_rule *rules,
                   size_t rule_count, const struct json_value *values[],
                   struct problem *ret_problem)
{
    CHECK(rule_count <= MEMBER_RULES_MAX);
    if (object->type != JSON_VALUE_OBJECT) {
        return problem_at(ret_problem, PROBLEM_MALFORMED, object, "must be an object, not %s",
                          json_value_type_text(object->type));
    }
    for (size_t i = 0; i < rule_count; i++) {
        values[i] = NULL;
    }
    for (const struct json_value *member = object->first; member != NULL; member = member->next) {
        size_t i = 0;
        while (i < rule_count && strcmp(rules[i].name, member->name) != 0) {
            i++;
        }
        if (i == rule_count) {
            return problem_at(ret_problem, PROBLEM_MALFORMED, member, "unknown member");
        }
        if (member->type == JSON_VALUE_NULL && rules[i].need != MEMBER_REQUIRED) {
            continue;
        }
        if (!member_check(member, &rules[i], ret_problem)) {
            return false;
        }
        values[i] = member;
    }
    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].need == MEMBER_REQUIRED && values[i] == NULL) {
            return problem_at(ret_problem, PROBLEM_MALFORMED, object, "\"%s\" is missing",
                              rules[i].name);
        }
    }
    return true;
}

bool number_whole(const struct json_value *value, uint64_t maximum, uint64_t *ret_number)
{
    CHECK(value->type == JSON_VALUE_NUMBER);
    uint64_t number = 0;
    for (size_t i = 0; i < value->text_bytes; i++) {
        const char c = value->text[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(c - '0'), &number)) {
            return false;
        }
    }
    if (number > maximum) {
        return false;
    }
    *ret_number = number;
    return true;
}

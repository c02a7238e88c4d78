/* pg_conninfo.c - see pg_conninfo.h. */
#include "participant/pg_conninfo.h"

#include <libpq-fe.h>
#include <string.h>

/* libpq cites the part that it does not understand, which may be the very password. */
static bool may_cite(const char *conninfo)
{
    return strstr(conninfo, "pass") == NULL && strchr(conninfo, '@') == NULL;
}

static bool refuse_unreadable(const char *conninfo, const char *reason, struct error *ret_error)
{
    if (reason != NULL && may_cite(conninfo)) {
        error_set(ret_error, ERROR_INVALID, "%.*s", (int)strcspn(reason, "\n"), reason);
    } else {
        error_set(ret_error, ERROR_INVALID, "not a connection string that libpq can read");
    }
    return error_hint(ret_error, "write keyword=value pairs, as in host=/run/postgresql "
                                 "dbname=orders user=assent_order");
}

bool pg_conninfo_check(const char *conninfo, struct error *ret_error)
{
    char *reason = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &reason);
    if (options == NULL) {
        refuse_unreadable(conninfo, reason, ret_error);
        PQfreemem(reason);
        return false;
    }
    bool has_password = false;
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        const bool is_password =
            strcmp(option->keyword, "password") == 0 || strcmp(option->keyword, "sslpassword") == 0;
        has_password = has_password || (is_password && option->val != NULL);
    }
    PQconninfoFree(options);
    if (has_password) {
        error_set(ret_error, ERROR_INVALID, "there is a password in it");
        return error_hint(ret_error, "use peer authentication, or passfile=PATH with mode 0600");
    }
    return true;
}

/* resolve.c - `assent resolve`: a person's decision about a branch, kept in the journal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/http_call.h"
#include "client/cli/look.h"

struct resolve {
    struct options *options;
    const char *id;
    const char *action;
    const char *participant;
    const char *comment;
};

static bool action_is_known(const char *action)
{
    return strcmp(action, "commit") == 0 || strcmp(action, "rollback") == 0 ||
           strcmp(action, "forget") == 0;
}

static error_t parse_resolve(int key, char *argument, struct argp_state *state)
{
    struct resolve *resolve = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = resolve->options;
        return 0;
    case 'p':
        resolve->participant = argument;
        return 0;
    case 'c':
        resolve->comment = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            resolve->id = argument;
        } else if (state->arg_num == 1 && action_is_known(argument)) {
            resolve->action = argument;
        } else {
            argp_error(state, "\"%s\" is not commit, rollback or forget", argument);
        }
        return 0;
    case ARGP_KEY_END:
        if (resolve->id == NULL || resolve->action == NULL || resolve->participant == NULL ||
            resolve->comment == NULL) {
            argp_error(state, "an ID, an action, --participant and --comment are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int send_resolve(struct options *common, const char *path, const char *body)
{
    struct reply reply = {0};
    struct error error = {0};
    int code = CLI_EXIT_DONE;
    if (http_call(common, path, body, &reply, &error) != CALL_ANSWERED) {
        return fail_with(&error);
    }
    if (reply.status != 200) {
        code = print_problem(common, &reply);
    } else if (common->json) {
        print_body(&reply);
    } else {
        look_print_transaction(reply.json);
    }
    reply_done(&reply);
    return code;
}

int resolve_main(struct options *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"participant", 'p', "NAME", 0, "The branch to decide about", 0},
        {"comment", 'c', "TEXT", 0, "Why; kept in the journal", 0},
        {0},
    };
    static const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse_resolve,
        "ID commit|rollback|forget",
        "Decides about a branch whose outcome nobody can tell, or acknowledges one that went "
        "against the decision (forget). Kept in the journal with the comment.",
        children,
        NULL,
        NULL};
    struct resolve resolve = {.options = common};
    argp_parse(&argp, argc, argv, 0, NULL, &resolve);
    char *path = look_path("/v1/transactions/*/resolve", resolve.id);
    char *participant = json_quote(resolve.participant);
    char *comment = json_quote(resolve.comment);
    char *body = text_format("{\"action\":\"%s\",\"participant\":%s,\"comment\":%s}",
                             resolve.action, participant, comment);
    const int code = send_resolve(common, path, body);
    free(path);
    free(participant);
    free(comment);
    free(body);
    return code;
}

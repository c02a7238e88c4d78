/*
 * command.c - release of what commands and their results own. Pure.
 */
#include "participant/command.h"

#include <stdlib.h>
#include <string.h>

void command_done(struct command *command)
{
    if (command->kind == COMMAND_EXECUTE) {
        blob_free(command->as.execute.work);
    } else if (command->kind == COMMAND_STATEMENT) {
        blob_free(command->as.statement.execute.work);
    } else if (command->kind == COMMAND_AUDIT) {
        free(command->as.audit.items);
    }
    memset(command, 0, sizeof(*command));
}

void command_result_done(struct command_result *result)
{
    blob_free(result->results);
    failure_done(&result->failure);
    free(result->rows);
    memset(result, 0, sizeof(*result));
}

/* SPDX-License-Identifier: MIT */
/* cmd_clear_model_cache.c - `aimnet clear_model_cache`: removes downloaded models, nothing else. */
#include "aimnet_model.h"
#include "commands.h"
#include "console.h"

typedef struct clear_options {
    int dry_run, quiet;
} clear_options;

static const cli_arg args[] = {
    {.name = "dry-run",
     .letter = 'n',
     .kind = CLI_FLAG,
     .offset = offsetof(clear_options, dry_run),
     .help = "only print what would be removed"},
    CLI_QUIET_ARG(clear_options, "do not print what is removed"),
};

static void print(void *user, const char *path)
{
    const clear_options *o = user;
    if (!o->quiet)
        cli_printf("%s\n", path);
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const clear_options *o = options;
    (void)operands;
    (void)n_operands;
    if (aimnet_cache_clear(o->dry_run, print, options) == AIMNET_OK)
        return CLI_OK;
    cli_error("%s", aimnet_last_error());
    return CLI_FAILED;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_clear_model_cache = {
    .name = "clear_model_cache",
    .summary = "remove downloaded models",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .description = "Removes the files that 'aimnet download' put into the cache, finished or not, "
                   "and prints their paths. Other files in that folder stay.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet clear_model_cache --dry-run\n",
    .options_size = sizeof(clear_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* cmd_help.c - `aimnet help [COMMAND]`, and everything else that is generated from the option
 * tables: the manual page, the Markdown reference (docs/cli.md and docs/man/aimnet.1 in the
 * repository are its output) and shell completion. */
#include "commands.h"

#include "console.h"

typedef struct help_options {
    int man, markdown;
    cli_int completion;
} help_options;

static const cli_arg args[] = {
    {.name = "man",
     .kind = CLI_FLAG,
     .help = "the manual page aimnet(1), as roff",
     .offset = offsetof(help_options, man)},
    {.name = "markdown",
     .kind = CLI_FLAG,
     .help = "the reference of all commands, as Markdown",
     .offset = offsetof(help_options, markdown)},
    {.name = "completion",
     .kind = CLI_CHOICE,
     .meta = "SHELL",
     .choices = "bash|zsh|fish",
     .help = "completion script for bash, zsh or fish",
     .offset = offsetof(help_options, completion)},
};

static int run(void *options, const char *const *operands, int n_operands)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    const help_options *o = options;
    if (o->man + o->markdown + o->completion.given + (n_operands > 0) > 1) {
        cli_error("help: give one of --man, --markdown, --completion or a command");
        return CLI_USAGE;
    }
    if (o->man) {
        cli_manual_page();
    } else if (o->markdown) {
        cli_manual_markdown();
    } else if (o->completion.given) {
        cli_completion(shells[o->completion.value]);
    } else if (n_operands == 0) {
        cli_help_overview();
    } else {
        const cli_command *command = cli_command_find(operands[0]);
        if (command == NULL) {
            cli_unknown_command(operands[0]);
            return CLI_USAGE;
        }
        cli_help_command(command);
    }
    return CLI_OK;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_help = {
    .name = "help",
    .summary = "help on a command, manual page, shell completion",
    .operands = "[COMMAND]",
    .min_operands = 0,
    .max_operands = 1,
    .description = "Explains a command, or lists all of them.",
    .groups = groups,
    .n_groups = 1,
    .examples =
        "aimnet help energy\n"
        "source <(aimnet help --completion bash)\tcomplete commands and options in this shell\n"
        "aimnet help --man | man -l -\tread the manual page\n",
    .options_size = sizeof(help_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* commands.h - the commands as tables, and what is generated from them. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "args.h"

#define COMMAND(name) extern const cli_command cli_command_##name;
#include "commands.def"
#undef COMMAND

int cli_command_count(void);
const cli_command *cli_command_at(int index);
/* NULL if there is none; an unknown name is reported with the closest one by cli_unknown_command.
 */
const cli_command *cli_command_find(const char *name);
void cli_unknown_command(const char *name);

/* Each writes to standard output (cli_out). */
void cli_help_overview(void);
void cli_help_command(const cli_command *command);
void cli_manual_page(void);             /* aimnet(1) in roff, all commands */
void cli_manual_markdown(void);         /* docs/cli.md */
void cli_completion(const char *shell); /* "bash", "zsh" or "fish" */

#endif

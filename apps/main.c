/* SPDX-License-Identifier: MIT */
/* main.c - `aimnet COMMAND [options] ...`: finds the command's table, parses its options, runs it,
 * and makes sure that everything it printed arrived. A command line of xtb is translated first
 * (xtb.c). Nothing else happens before the arguments are
 * parsed, so that help and mistakes cost milliseconds. */
#include <stdlib.h>
#include <string.h>

#include "aimnet.h"
#include "commands.h"
#include "console.h"
#include "xtb.h"

static int run(const cli_command *command, int argc, const char **argv)
{
    int n_operands = 0, status = CLI_FAILED;
    void *options = calloc(1, command->options_size > 0 ? command->options_size : 1);
    if (options == NULL) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    switch (cli_parse(command, argc, argv, options, &n_operands)) {
    case CLI_PARSED:
        status = command->run(options, argv, n_operands);
        break;
    case CLI_WANTS_HELP:
        cli_help_command(command);
        status = CLI_OK;
        break;
    case CLI_BAD_USAGE:
        status = CLI_USAGE;
        break;
    }
    free(options);
    return status;
}

static int run_named(const char *name, int argc, const char **argv)
{
    return run(cli_command_find(name), argc, argv);
}

static int dispatch(int argc, const char **argv)
{
    if (argc < 2) {
        cli_help_overview();
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_help_overview();
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        cli_printf("aimnet %s\n", aimnet_version());
        return CLI_OK;
    }
    if (cli_is_xtb(argv))
        return cli_xtb(argc, argv, run_named);
    if (argv[1][0] == '-' && argv[1][1]) {
        cli_error("unknown option %s: options of a command stand after its name", argv[1]);
        cli_note("'aimnet help' lists the commands");
        return CLI_USAGE;
    }
    const cli_command *command = cli_command_find(argv[1]);
    if (command == NULL) {
        cli_unknown_command(argv[1]);
        return CLI_USAGE;
    }
    return run(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    cli_console_start();
    int status = dispatch(argc, (const char **)argv);
    if (!cli_out_flush() && status == CLI_OK)
        status = CLI_FAILED;
    return status;
}

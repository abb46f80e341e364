/* SPDX-License-Identifier: MIT */
/* help.c - the command list and the help texts of a terminal, 80 columns wide, from the tables of
 * args.h. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "aimnet.h"
#include "console.h"

enum { WIDTH = 79, OPTION_COLUMN = 28, SUMMARY_COLUMN = 20 };

static const cli_command *const commands[] = {
#define COMMAND(name) &cli_command_##name,
#include "commands.def"
#undef COMMAND
};

int cli_command_count(void)
{
    return (int)(sizeof commands / sizeof commands[0]);
}

const cli_command *cli_command_at(int index)
{
    return commands[index];
}

const cli_command *cli_command_find(const char *name)
{
    for (int i = 0; i < cli_command_count(); i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

/* "optimize" for "opt", "neigh" for "neighbors" */
static int begins_alike(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b), shorter = n < m ? n : m;
    return shorter > 2 && strncmp(a, b, shorter) == 0;
}

void cli_unknown_command(const char *name)
{
    const cli_command *closest = NULL;
    int best = 3;
    for (int i = 0; i < cli_command_count(); i++) {
        const int distance =
            begins_alike(name, commands[i]->name) ? 1 : cli_distance(name, commands[i]->name);
        if (distance < best) {
            best = distance;
            closest = commands[i];
        }
    }
    if (closest)
        cli_error("unknown command '%s': did you mean '%s'?", name, closest->name);
    else if (strchr(name, '.') || strchr(name, '/'))
        cli_error("unknown command '%s': for energies of a file say 'aimnet energy %s'", name,
                  name);
    else
        cli_error("unknown command '%s'", name);
    cli_note("'aimnet help' lists the commands");
}

/* Prints text (to the first '\n' or NUL) wrapped, starting at `column`, further lines indented by
 * `indent`. */
static void wrap(const char *text, int column, int indent)
{
    while (*text && *text != '\n') {
        const int size = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + size > WIDTH) {
            cli_printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            cli_puts(" ");
            column++;
        }
        cli_out(text, (size_t)size);
        column += size;
        text += size;
        text += strspn(text, " ");
    }
    cli_puts("\n");
}

static void paragraphs(const char *text)
{
    while (*text) {
        wrap(text, 0, 0);
        text += strcspn(text, "\n");
        text += *text == '\n';
        if (*text)
            cli_puts("\n");
    }
}

static void option(const cli_command *c, const cli_arg *arg)
{
    const char letter = cli_letter(c, arg);
    char left[80], text[512] = "";
    int n = letter ? snprintf(left, sizeof left, "  -%c, ", letter)
                   : snprintf(left, sizeof left, "      ");
    n += snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", arg->name, arg->meta ? " " : "",
                  arg->meta ? arg->meta : "");
    cli_puts(left);
    if (n > OPTION_COLUMN - 2)
        cli_printf("\n%*s", OPTION_COLUMN, "");
    else
        cli_printf("%*s", OPTION_COLUMN - n, "");
    snprintf(text, sizeof text, "%s%s", arg->help, arg->kind == CLI_LIST ? "; repeatable" : "");
    wrap(text, OPTION_COLUMN, OPTION_COLUMN);
}

void cli_help_command(const cli_command *c)
{
    int has_options = 0;
    for (int g = 0; g < c->n_groups; g++)
        has_options += c->groups[g].n_args;
    cli_printf("Usage: aimnet %s%s%s%s\n\n", c->name, has_options ? " [options]" : "",
               c->operands[0] ? " " : "", c->operands);
    paragraphs(c->description);
    for (int g = 0; g < c->n_groups; g++) {
        cli_printf("\n%s\n", c->groups[g].title);
        for (int i = 0; i < c->groups[g].n_args; i++) {
            if (!c->groups[g].args[i].refused)
                option(c, &c->groups[g].args[i]);
        }
    }
    if (c->examples[0])
        cli_puts("\nExamples\n");
    for (const char *e = c->examples; *e;) {
        const int line = (int)strcspn(e, "\n"), command = (int)strcspn(e, "\t\n");
        cli_printf("  %.*s\n", command, e);
        if (command < line)
            cli_printf("      %.*s\n", line - command - 1, e + command + 1);
        e += line + (e[line] == '\n');
    }
}

void cli_help_overview(void)
{
    cli_printf("aimnet %s - AIMNet2 neural-network potentials: energies, forces and charges\n\n",
               aimnet_version());
    cli_puts("Usage: aimnet COMMAND [options] ...\n\nCommands\n");
    for (int i = 0; i < cli_command_count(); i++) {
        cli_printf("  %-*s", SUMMARY_COLUMN - 2, commands[i]->name);
        wrap(commands[i]->summary, SUMMARY_COLUMN, SUMMARY_COLUMN);
    }
    cli_puts("\nOptions\n"
             "  -h, --help   this help; after a command: the help of that command\n"
             "      --version\n"
             "               print the version\n"
             "\nFor a start: aimnet energy --forces molecule.xyz\n"
             "Exit status: 0 fine, 1 a structure or a model failed, 2 wrong usage,\n"
             "             3 not converged, 130 interrupted\n");
}

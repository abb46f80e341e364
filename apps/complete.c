/* SPDX-License-Identifier: MIT */
/* complete.c - completion scripts for bash, zsh and fish from the tables of args.h: command names,
 * option names, the words of choices, file names everywhere else. */
#include "commands.h"

#include <string.h>

#include "console.h"

static void spaced_choices(const char *choices)
{
    for (; *choices; choices++)
        cli_out(*choices == '|' ? " " : choices, 1);
}

static void bash_command(const cli_command *c)
{
    cli_printf("    %s)\n        case $prev in\n", c->name);
    for (int g = 0; g < c->n_groups; g++) {
        for (int i = 0; i < c->groups[g].n_args; i++) {
            const cli_arg *arg = &c->groups[g].args[i];
            if (arg->kind != CLI_CHOICE || arg->refused)
                continue;
            cli_printf("        --%s) COMPREPLY=($(compgen -W '", arg->name);
            spaced_choices(arg->choices);
            cli_puts("' -- \"$cur\")); return ;;\n");
        }
    }
    cli_puts("        esac\n        words='--help");
    for (int g = 0; g < c->n_groups; g++) {
        for (int i = 0; i < c->groups[g].n_args; i++) {
            if (!c->groups[g].args[i].refused)
                cli_printf(" --%s", c->groups[g].args[i].name);
        }
    }
    cli_puts("' ;;\n");
}

static void command_names(void)
{
    for (int i = 0; i < cli_command_count(); i++)
        cli_printf("%s%s", i ? " " : "", cli_command_at(i)->name);
}

static void bash(void)
{
    cli_puts("# bash completion of aimnet: source <(aimnet help --completion bash)\n"
             "_aimnet()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - "
             "1]} words=\n"
             "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '");
    command_names();
    cli_puts(
        " --help --version' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (int i = 0; i < cli_command_count(); i++)
        bash_command(cli_command_at(i));
    cli_puts("    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) "
             ";;\n    *) ");
    cli_puts("if [ \"${COMP_WORDS[1]}\" = help ]; then COMPREPLY=($(compgen -W '");
    command_names();
    cli_puts("' -- \"$cur\")); else COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n    esac\n}\n"
             "complete -o filenames -F _aimnet aimnet\n");
}

/* The help text inside single quotes and square brackets: neither may occur. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            cli_puts("'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            cli_printf("\\%c", *text);
        else
            cli_out(text, 1);
    }
}

static void zsh_command(const cli_command *c)
{
    cli_printf("    %s)\n        _arguments \\\n", c->name);
    for (int g = 0; g < c->n_groups; g++) {
        for (int i = 0; i < c->groups[g].n_args; i++) {
            const cli_arg *arg = &c->groups[g].args[i];
            if (arg->refused)
                continue;
            cli_printf("            '%s--%s%s[", arg->kind == CLI_LIST ? "*" : "", arg->name,
                       arg->kind == CLI_FLAG ? "" : "=");
            zsh_text(arg->help);
            cli_puts("]");
            if (arg->kind == CLI_CHOICE) {
                cli_printf(":%s:(", arg->meta);
                spaced_choices(arg->choices);
                cli_puts(")");
            } else if (arg->kind != CLI_FLAG) {
                cli_printf(":%s:%s", arg->meta,
                           arg->kind == CLI_TEXT || arg->kind == CLI_LIST ? "_files" : "");
            }
            cli_puts("' \\\n");
        }
    }
    cli_puts("            '--help[help of this command]' \\\n");
    if (strcmp(c->name, "help") == 0) {
        cli_puts("            '*:command:(");
        command_names();
        cli_puts(")' ;;\n");
    } else {
        cli_puts("            '*:file:_files' ;;\n");
    }
}

static void zsh(void)
{
    cli_puts("#compdef aimnet\n# zsh completion of aimnet: source <(aimnet help --completion zsh)\n"
             "_aimnet()\n{\n    if (( CURRENT == 2 )); then\n        local -a commands=(\n");
    for (int i = 0; i < cli_command_count(); i++) {
        cli_printf("            '%s:", cli_command_at(i)->name);
        zsh_text(cli_command_at(i)->summary);
        cli_puts("'\n");
    }
    cli_puts("        )\n        _describe command commands\n        return\n    fi\n"
             "    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command "
             "in\n");
    for (int i = 0; i < cli_command_count(); i++)
        zsh_command(cli_command_at(i));
    cli_puts("    esac\n}\n"
             "if [ \"$funcstack[1]\" = _aimnet ]; then _aimnet \"$@\"; else compdef _aimnet "
             "aimnet; fi\n");
}

static void fish_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            cli_puts("\\");
        cli_out(text, 1);
    }
}

static void fish(void)
{
    cli_puts("# fish completion of aimnet: aimnet help --completion fish | source\n");
    for (int i = 0; i < cli_command_count(); i++) {
        const cli_command *c = cli_command_at(i);
        cli_printf("complete -c aimnet -n __fish_use_subcommand -f -a %s -d '", c->name);
        fish_text(c->summary);
        cli_puts("'\n");
        for (int g = 0; g < c->n_groups; g++) {
            for (int k = 0; k < c->groups[g].n_args; k++) {
                const cli_arg *arg = &c->groups[g].args[k];
                if (arg->refused)
                    continue;
                cli_printf("complete -c aimnet -n '__fish_seen_subcommand_from %s' -l %s", c->name,
                           arg->name);
                if (cli_letter(c, arg))
                    cli_printf(" -s %c", arg->letter);
                if (arg->kind == CLI_CHOICE) {
                    cli_puts(" -x -a '");
                    spaced_choices(arg->choices);
                    cli_puts("'");
                } else if (arg->kind != CLI_FLAG) {
                    cli_puts(arg->kind == CLI_TEXT || arg->kind == CLI_LIST ? " -r" : " -x");
                }
                cli_puts(" -d '");
                fish_text(arg->help);
                cli_puts("'\n");
            }
        }
    }
}

void cli_completion(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else
        fish();
}

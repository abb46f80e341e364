/* SPDX-License-Identifier: MIT */
/* manual.c - the manual page aimnet(1) and the Markdown reference of all commands, from the tables
 * of args.h.
 *
 * The files docs/man/aimnet.1 and docs/cli.md are the output of `aimnet help --man` and `aimnet
 * help --markdown`; a test compares them. The parts that belong to no single command (input files,
 * results, exit status) stand below, once for both forms. */
#include "commands.h"

#include <ctype.h>
#include <string.h>

#include "aimnet.h"
#include "console.h"

typedef struct section {
    const char *title;
    const char *text; /* paragraphs separated by '\n' */
} section;

static const section common[] = {
    {"Input files",
     "Structures are read from XYZ, extended XYZ, SDF/mol, PDB, CIF and POSCAR files, recognised "
     "by content and "
     "name; '-' is standard "
     "input; gzip-compressed files are read as they are. A file may hold any number of frames and "
     "may be larger than memory. Total charge and multiplicity come from the "
     "file (charge=-1 mult=2 on the comment line of an XYZ file, M CHG lines in SDF), else they "
     "are 0 and 1; --charge and --mult "
     "override the file.\n"
     "A structure that cannot be read or computed is reported, and all others are still computed.\n"
     "A program that feeds structures through a pipe gets an answer as soon as nothing more is "
     "waiting in the pipe. A structure is "
     "complete with the empty line after it (XYZ), with $$$$ (SDF), END (PDB) or the next data_ "
     "(CIF)."},
    {"JSON Lines",
     "With --json every structure is one line, one JSON object, in input order, with all digits "
     "that a double needs and with only the "
     "keys that were asked for. aimnet energy: file, frame (from 0), natoms, formula (Hill order), "
     "charge, mult, model (a list for an "
     "ensemble), coulomb (method and parameters), energy, forces, charges, spin_charges, dipole, "
     "quadrupole, stress, hessian, terms, "
     "model_outputs, energy_std, forces_std, charges_std, warnings. A structure that fails gives "
     "file, frame and error. Arrays "
     "are nested lists: [natoms][3] for forces, [3][3] for stress, [3 natoms][3 natoms] for the "
     "hessian. What is not a number is null. "
     "Units are eV, Angstrom and e.\n"
     "aimnet neighbors: file, frame, cutoff, pairs as [i, j, [Sx, Sy, Sz], distance]."},
    {"Models",
     "--model takes, in this order: 'default', the model that is built in; a path that begins with "
     "/, ./ or ../; a published name or alias (aimnet download --list) in the cache; a file or "
     "directory that exists; OWNER/NAME[@REVISION], a repository of Hugging Face in the cache. "
     "NAME:K is member K of a family, repository or directory, NAME:all the ensemble of its "
     "members. A model that is not in the cache is reported with what to fetch and where to put "
     "it; only aimnet download uses the network. The SHA-256 of a model from the cache is checked "
     "whenever it is loaded."},
    {"Environment", "AIMNET_CACHE_DIR is the folder of downloaded models, else "
                    "XDG_CACHE_HOME/aimnet, else ~/.cache/aimnet. AIMNET_MIRROR=https://... "
                    "replaces the host that published models come from; digests are checked all "
                    "the same. HF_ENDPOINT and HF_TOKEN are those of Hugging Face. SSL_CERT_FILE "
                    "names the trusted certificates.\nAIM_ISA=base, avx2 or avx512 keeps the "
                    "program from using a wider instruction "
                    "set than this; by default it takes the widest "
                    "that the processor has."},
    {"Exit status", "0: fine. 1: a structure, a model or a file failed. 2: wrong usage. 3: not "
                    "converged. 130: interrupted; finished "
                    "results are printed, a file given with -o is left as it was."},
    {"Diagnostics", "Messages go to standard error as 'aimnet: FILE:LINE: what is wrong and what "
                    "was expected'. Standard output carries results "
                    "only."},
};
enum { N_COMMON = sizeof common / sizeof common[0] };

/* Text for roff: backslashes and dashes are escaped, a leading dot or quote is protected. */
static void roff(const char *text, size_t size)
{
    if (size > 0 && (text[0] == '.' || text[0] == '\''))
        cli_puts("\\&");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\')
            cli_puts("\\e");
        else if (text[i] == '-')
            cli_puts("\\-");
        else
            cli_out(text + i, 1);
    }
}

static void roff_text(const char *text)
{
    roff(text, strlen(text));
}

static void roff_upper(const char *text)
{
    for (; *text; text++) {
        const char upper = (char)toupper((unsigned char)*text);
        cli_out(&upper, 1);
    }
}

static void roff_paragraphs(const char *text)
{
    while (*text) {
        const size_t size = strcspn(text, "\n");
        roff(text, size);
        cli_puts("\n");
        text += size + (text[size] == '\n');
        if (*text)
            cli_puts(".PP\n");
    }
}

static void roff_option(const cli_command *c, const cli_arg *arg)
{
    const char letter = cli_letter(c, arg);
    cli_puts(".TP\n");
    if (letter)
        cli_printf("\\fB\\-%c\\fR, ", letter);
    cli_puts("\\fB\\-\\-");
    roff_text(arg->name);
    cli_puts("\\fR");
    if (arg->meta) {
        cli_puts(" \\fI");
        roff_text(arg->meta);
        cli_puts("\\fR");
    }
    cli_puts("\n");
    roff_text(arg->help);
    cli_puts(arg->kind == CLI_LIST ? "; repeatable.\n" : ".\n");
}

static void roff_examples(const char *examples)
{
    for (const char *e = examples; *e;) {
        const size_t line = strcspn(e, "\n"), command = strcspn(e, "\t\n");
        cli_puts(".TP\n\\fB");
        roff(e, command);
        cli_puts("\\fR\n");
        if (command < line) {
            roff(e + command + 1, line - command - 1);
            cli_puts("\n");
        }
        e += line + (e[line] == '\n');
    }
}

static void roff_command(const cli_command *c)
{
    cli_puts(".SS \"aimnet ");
    roff_text(c->name);
    cli_puts(c->n_groups ? " [options] " : " ");
    roff_text(c->operands);
    cli_puts("\"\n");
    roff_paragraphs(c->description);
    for (int g = 0; g < c->n_groups; g++) {
        cli_puts(".PP\n\\fI");
        roff_text(c->groups[g].title);
        cli_puts("\\fR\n");
        for (int i = 0; i < c->groups[g].n_args; i++) {
            if (!c->groups[g].args[i].refused)
                roff_option(c, &c->groups[g].args[i]);
        }
    }
    if (c->examples[0]) {
        cli_puts(".PP\n\\fIExamples\\fR\n");
        roff_examples(c->examples);
    }
}

void cli_manual_page(void)
{
    cli_puts(".\\\" Generated by 'aimnet help --man'; do not edit.\n");
    cli_printf(".TH AIMNET 1 \"\" \"aimnet %s\" \"User Commands\"\n", aimnet_version());
    cli_puts(
        ".SH NAME\naimnet \\- energies, forces and charges from AIMNet2 neural\\-network "
        "potentials\n"
        ".SH SYNOPSIS\n.B aimnet\n.I COMMAND\n[options] ...\n.br\n.B aimnet\n\\fB\\-\\-help\\fR | "
        "\\fB\\-\\-version\\fR\n.SH DESCRIPTION\n"
        "The program evaluates AIMNet2 models on molecules. A default model is built in; others "
        "are given as files "
        "with \\fB\\-\\-model\\fR.\n.SH COMMANDS\n");
    for (int i = 0; i < cli_command_count(); i++)
        roff_command(cli_command_at(i));
    for (int i = 0; i < N_COMMON; i++) {
        cli_puts(".SH ");
        roff_upper(common[i].title);
        cli_puts("\n");
        roff_paragraphs(common[i].text);
    }
}

static void markdown_paragraphs(const char *text)
{
    while (*text) {
        const size_t size = strcspn(text, "\n");
        cli_out(text, size);
        cli_puts("\n");
        text += size + (text[size] == '\n');
        if (*text)
            cli_puts("\n");
    }
}

/* '|' would end a table cell. */
static void markdown_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            cli_puts("\\");
        cli_out(text, 1);
    }
}

static void markdown_command(const cli_command *c)
{
    cli_printf("\n## aimnet %s\n\n    aimnet %s%s%s%s\n\n", c->name, c->name,
               c->n_groups ? " [options]" : "", c->operands[0] ? " " : "", c->operands);
    markdown_paragraphs(c->description);
    for (int g = 0; g < c->n_groups; g++) {
        cli_printf("\n| %s | |\n| --- | --- |\n", c->groups[g].title);
        for (int i = 0; i < c->groups[g].n_args; i++) {
            const cli_arg *arg = &c->groups[g].args[i];
            if (arg->refused)
                continue;
            cli_puts("| `");
            if (cli_letter(c, arg))
                cli_printf("-%c`, `", arg->letter);
            cli_printf("--%s%s", arg->name, arg->meta ? " " : "");
            markdown_cell(arg->meta ? arg->meta : "");
            cli_puts("` | ");
            markdown_cell(arg->help);
            cli_puts(arg->kind == CLI_LIST ? "; repeatable |\n" : " |\n");
        }
    }
    if (c->examples[0])
        cli_puts("\nExamples:\n\n");
    for (const char *e = c->examples; *e;) {
        const int line = (int)strcspn(e, "\n"), command = (int)strcspn(e, "\t\n");
        if (command < line)
            cli_printf("    # %.*s\n", line - command - 1, e + command + 1);
        cli_printf("    %.*s\n", command, e);
        e += line + (e[line] == '\n');
    }
}

void cli_manual_markdown(void)
{
    cli_puts(
        "<!-- Generated by 'aimnet help --markdown'; do not edit. -->\n# Command reference\n\n");
    cli_printf("`aimnet COMMAND [options] ...`, version %s. `aimnet help COMMAND` and `aimnet "
               "COMMAND --help` print the "
               "same in a terminal, `aimnet help --completion bash|zsh|fish` prints a completion "
               "script.\n\n",
               aimnet_version());
    cli_puts("| command | |\n| --- | --- |\n");
    for (int i = 0; i < cli_command_count(); i++)
        cli_printf("| [%s](#aimnet-%s) | %s |\n", cli_command_at(i)->name, cli_command_at(i)->name,
                   cli_command_at(i)->summary);
    for (int i = 0; i < cli_command_count(); i++)
        markdown_command(cli_command_at(i));
    for (int i = 0; i < N_COMMON; i++) {
        cli_printf("\n## %s\n\n", common[i].title);
        markdown_paragraphs(common[i].text);
    }
}

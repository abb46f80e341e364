/* SPDX-License-Identifier: MIT */
/* cmd_gaussian_ext.c - `aimnet gaussian-ext LAYER INPUT OUTPUT MSG ...`: the keyword External of
 * Gaussian (gaussian.com/external).
 *
 * Input: a line with number of atoms, order of derivatives, charge and multiplicity (4I10), then a
 * line for each atom with its number, coordinates in bohr and a charge (I10,4F20.12); what follows
 * (connectivity) is not needed. Output: energy and dipole (4D20.12); gradient (3D20.12);
 * for second derivatives also polarisability, dipole derivatives and the lower triangle of
 * the force constants (3D20.12), all in atomic units. What fails goes to the message file as well,
 * which Gaussian prints. Columns are fixed: numbers may touch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "engrad.h"
#include "external.h"
#include "outfile.h"

typedef struct gaussian_options {
    int quiet;
    cli_engine_options engine;
} gaussian_options;

enum {
    LAYER,
    INPUT,
    OUTPUT,
    MESSAGES,
    N_OPERANDS = 6,
    MAX_ATOMS = 1000000,
    NARROW = 10,
    WIDE = 20
};

static const cli_arg args[] = {
    CLI_QUIET_ARG(gaussian_options, "no warnings"),
};

/* Columns start .. start + width - 1 as a number; Fortran's D exponents are fine. */
static int column(const char *line, size_t start, size_t width, double *value)
{
    char text[32], *end;
    if (line == NULL || strlen(line) < start + 1)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)width, line + start);
    for (char *c = text; *c; c++)
        if (*c == 'D' || *c == 'd')
            *c = 'E';
    *value = strtod(text, &end);
    return end != text && end[strspn(end, " \t")] == '\0' && isfinite(*value);
}

static int is_whole(double x, double low, double high)
{
    return x == floor(x) && x >= low && x <= high;
}

/* The first line; returns 0 with the complaint in `message`. */
static int read_head(char *line, double head[4], char *message, size_t size)
{
    for (size_t k = 0; k < 4; k++)
        if (!column(line, NARROW * k, NARROW, &head[k])) {
            snprintf(message, size,
                     "line 1: expected number of atoms, derivatives, charge and multiplicity, in "
                     "columns of 10");
            return 0;
        }
    if (is_whole(head[0], 1, MAX_ATOMS) && is_whole(head[1], 0, 2) &&
        is_whole(head[2], -1000, 1000) && is_whole(head[3], 1, 1000))
        return 1;
    snprintf(message, size,
             "line 1: %g atoms, derivatives %g, charge %g, multiplicity %g: expected 1 to %d, 0 to "
             "2, a whole number, at least 1",
             head[0], head[1], head[2], head[3], MAX_ATOMS);
    return 0;
}

/* Ghost atoms (basis functions without a nucleus) have number 0 or the negative of their element. */
static int is_ghost(const char *line)
{
    double number;
    return column(line, 0, NARROW, &number) && is_whole(number, -118, 0);
}

static int read_atom(char *line, int32_t i, cli_external *x, char *message, size_t size)
{
    double number, charge = 0.0;
    if (is_ghost(line)) {
        snprintf(message, size, "line %d: atom %d is a ghost atom: this potential has none",
                 (int)i + 2, (int)i);
        return 0;
    }
    int ok = column(line, 0, NARROW, &number) && is_whole(number, 1, 118);
    for (size_t d = 0; d < 3; d++) {
        double *at = &x->coord[3 * (size_t)i + d];
        ok = ok && column(line, NARROW + WIDE * d, WIDE, at);
        *at *= CLI_BOHR;
    }
    if (!ok) {
        snprintf(message, size,
                 "line %d: expected an atomic number and three coordinates (I10,3F20.12)",
                 (int)i + 2);
        return 0;
    }
    x->numbers[i] = (int32_t)number;
    if (column(line, NARROW + 3 * WIDE, WIDE, &charge) && charge != 0.0) {
        snprintf(message, size,
                 "line %d: atom %d carries a charge of %g: embedding in point charges is not "
                 "possible; use mechanical embedding",
                 (int)i + 2, (int)i, charge);
        return 0;
    }
    return 1;
}

static int read_input(char *text, cli_external *x, int *order, char *message, size_t size)
{
    double head[4];
    if (!read_head(cli_external_line(&text), head, message, size))
        return 0;
    *order = (int)head[1];
    x->charge = head[2];
    x->mult = head[3];
    if (!cli_external_allocate(x, (int32_t)head[0], *order == 2)) {
        snprintf(message, size, "out of memory");
        return 0;
    }
    for (int32_t i = 0; i < x->n_atoms; i++)
        if (!read_atom(cli_external_line(&text), i, x, message, size))
            return 0;
    return 1;
}

/* Numbers in D20.12, `per_line` a line. */
typedef struct printer {
    FILE *file;
    int per_line, n;
} printer;

static void put(printer *p, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%20.12E", value);
    *strchr(text, 'E') = 'D';
    fputs(text, p->file);
    if (++p->n % p->per_line == 0)
        fputc('\n', p->file);
}

static void finish(printer *p)
{
    if (p->n % p->per_line != 0)
        fputc('\n', p->file);
}

static void write_second_order(FILE *file, const cli_external *x)
{
    const size_t n3 = 3 * (size_t)x->n_atoms;
    const double unit = CLI_BOHR * CLI_BOHR / CLI_HARTREE;
    printer p = {file, 3, 0};
    for (int k = 0; k < 6; k++)
        put(&p, 0.0); /* polarisability: not known */
    for (size_t k = 0; k < 3 * n3; k++)
        put(&p, x->dipole_gradient[k]);
    for (size_t i = 0; i < n3; i++)
        for (size_t j = 0; j <= i; j++)
            put(&p, x->hessian[i * n3 + j] * unit);
    finish(&p);
}

static int write_output(const char *path, const cli_external *x, int order)
{
    cli_outfile o;
    if (cli_outfile_open(&o, path) != CLI_OK)
        return CLI_FAILED;
    printer head = {o.file, 4, 0}, p = {o.file, 3, 0};
    put(&head, x->energy / CLI_HARTREE);
    for (int d = 0; d < 3; d++)
        put(&head, x->dipole[d] / CLI_BOHR);
    for (size_t i = 0; order > 0 && i < 3 * (size_t)x->n_atoms; i++)
        put(&p, -x->forces[i] * CLI_BOHR / CLI_HARTREE);
    if (order == 2)
        write_second_order(o.file, x);
    return cli_outfile_close(&o);
}

static void write_message(const char *path, const char *text)
{
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    fprintf(file, "aimnet: %s\n", text);
    fclose(file);
}

static int run(void *options, const char *const *operands, int n)
{
    const gaussian_options *o = options;
    cli_external x = {0};
    char message[1024] = "";
    int order = 0, status = CLI_FAILED;
    cli_set_quiet(o->quiet);
    char *text = cli_external_read(operands[INPUT]);
    if (text == NULL)
        snprintf(message, sizeof message, "%s cannot be read", operands[INPUT]);
    else if (!read_input(text, &x, &order, message, sizeof message))
        cli_error("%s: %s", operands[INPUT], message);
    else
        status = cli_external_evaluate(&x, &o->engine, message, sizeof message);
    if (status == CLI_OK && (status = write_output(operands[OUTPUT], &x, order)) != CLI_OK)
        snprintf(message, sizeof message, "%s cannot be written", operands[OUTPUT]);
    if (status != CLI_OK && n > MESSAGES)
        write_message(operands[MESSAGES], message);
    cli_external_free(&x);
    free(text);
    return status;
}

static const cli_group groups[] = {
    {"Options", args, sizeof args / sizeof args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(gaussian_options, engine)},
};

const cli_command cli_command_gaussian_ext = {
    .name = "gaussian-ext",
    .summary = "keyword External of Gaussian: energy and derivatives",
    .operands = "LAYER INPUT OUTPUT [MSG [FCHK [MATEL]]]",
    .min_operands = 3,
    .max_operands = N_OPERANDS,
    .description =
        "Reads the input file that Gaussian writes for external programs and writes energy, "
        "dipole, gradient and, where Gaussian asks for second derivatives, exact force constants "
        "(in double precision) and dipole derivatives. In Gaussian's route: "
        "External=\"aimnet gaussian-ext\", options of this command included; Gaussian adds the "
        "operands.\n"
        "Charge and multiplicity are those of the input unless options say otherwise. Point "
        "charges are refused. The polarisability is written as zero.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples = "aimnet gaussian-ext R Gau-1.EIn Gau-1.EOu Gau-1.EMs\n",
    .options_size = sizeof(gaussian_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* cmd_orca_ext.c - `aimnet orca-ext FILE`: the external tool of ORCA (ExtOpt, `%method ProgExt`).
 *
 * ORCA calls the program with a file of five or six lines (name of an XYZ file, charge,
 * multiplicity, number of cores, whether a gradient is wanted, a file of point charges), '#' starts
 * a comment. ORCA reads NAME.engrad, NAME being that of the XYZ file (itself BASE_EXT.xyz) without
 * its extension: number of atoms, energy and gradient, nothing behind them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "engrad.h"
#include "external.h"
#include "stream.h"

typedef struct orca_options {
    int quiet;
    cli_engine_options engine;
} orca_options;

enum { XYZ, CHARGE, MULT, CORES, GRADIENT, POINT_CHARGES, N_LINES };

static const cli_arg args[] = {
    CLI_QUIET_ARG(orca_options, "no warnings"),
};

/* The words of the lines, comments and blanks taken off; fewer than five are an error. */
static int split(const char *path, char *text, char *word[N_LINES])
{
    int n = 0;
    for (char *line = cli_external_line(&text); line && n < N_LINES;
         line = cli_external_line(&text)) {
        line[strcspn(line, "#")] = '\0';
        line += strspn(line, " \t");
        size_t size = strlen(line);
        while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t'))
            line[--size] = '\0';
        if (size > 0)
            word[n++] = line;
    }
    if (n > GRADIENT)
        return 1;
    cli_error(
        "%s: %d lines, expected name, charge, multiplicity, cores and 0 or 1 for the gradient",
        path, n);
    return 0;
}

static int whole(const char *path, const char *what, const char *word, long low, long high,
                 long *value)
{
    char *end;
    *value = strtol(word, &end, 10);
    if (*end == '\0' && end != word && *value >= low && *value <= high)
        return 1;
    cli_error("%s: '%s' for the %s: expected a whole number from %ld to %ld", path, word, what, low,
              high);
    return 0;
}

static int read_structure(const char *file, cli_external *x)
{
    const char *files[] = {file};
    cli_stream stream = {.files = files, .n_files = 1, .format = "xyz"};
    cli_item item = {0};
    int ok = 0;
    if (cli_stream_next(&stream, &item) != CLI_NEXT_ITEM)
        cli_error("out of memory");
    else if (item.error)
        cli_error("%s", item.error);
    else
        ok = cli_external_allocate(x, item.frame.n_atoms, 0);
    if (ok) {
        const size_t n = (size_t)x->n_atoms;
        memcpy(x->numbers, item.frame.numbers, n * sizeof *x->numbers);
        memcpy(x->coord, item.frame.coord, 3 * n * sizeof *x->coord);
    }
    cli_stream_close(&stream);
    cli_item_free(&item);
    return ok;
}

/* "job_EXT.xyz" -> "job_EXT.engrad" */
static int output_name(char *out, size_t size, const char *xyz)
{
    const size_t n = strlen(xyz), cut = n > 4 && strcmp(xyz + n - 4, ".xyz") == 0 ? 4 : 0;
    if (snprintf(out, size, "%.*s.engrad", (int)(n - cut), xyz) < (int)size)
        return 1;
    cli_error("%s: the name is too long", xyz);
    return 0;
}

static int compute(const orca_options *o, const char *path, char *const word[N_LINES],
                   cli_external *x)
{
    char out[1024], message[1024];
    long charge, mult, cores, gradient;
    if (!whole(path, "charge", word[CHARGE], -1000, 1000, &charge) ||
        !whole(path, "multiplicity", word[MULT], 1, 1000, &mult) ||
        !whole(path, "number of cores", word[CORES], 1, 1 << 20, &cores) ||
        !whole(path, "gradient", word[GRADIENT], 0, 1, &gradient))
        return CLI_FAILED;
    if (word[POINT_CHARGES]) {
        cli_error("%s: point charges ('%s') cannot be taken into account", path,
                  word[POINT_CHARGES]);
        return CLI_FAILED;
    }
    if (!output_name(out, sizeof out, word[XYZ]) || !read_structure(word[XYZ], x))
        return CLI_FAILED;
    x->charge = (double)charge;
    x->mult = (double)mult;
    x->threads = cores < CLI_MAX_THREADS ? (int)cores : CLI_MAX_THREADS;
    const int status = cli_external_evaluate(x, &o->engine, message, sizeof message);
    if (status != CLI_OK)
        return status;
    const aimnet_system system = {.n_atoms = x->n_atoms, .numbers = x->numbers, .coord = x->coord};
    return cli_engrad_write(out, &system, x->energy, gradient ? x->forces : NULL, 0);
}

static int run(void *options, const char *const *files, int n_files)
{
    const orca_options *o = options;
    char *word[N_LINES] = {NULL};
    cli_external x = {0};
    (void)n_files;
    cli_set_quiet(o->quiet);
    char *text = cli_external_read(files[0]);
    if (text == NULL)
        return CLI_FAILED;
    const int status = split(files[0], text, word) ? compute(o, files[0], word, &x) : CLI_FAILED;
    cli_external_free(&x);
    free(text);
    return status;
}

static const cli_group groups[] = {
    {"Options", args, sizeof args / sizeof args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(orca_options, engine)},
};

const cli_command cli_command_orca_ext = {
    .name = "orca-ext",
    .summary = "external tool of ORCA: energy and gradient for its ExtOpt",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .description =
        "Reads the file that ORCA writes for external programs (BASE_EXT.extinp.tmp) and writes "
        "BASE_EXT.engrad beside the XYZ file BASE_EXT.xyz. In ORCA 6: ! ExtOpt and %method ProgExt "
        "\"aimnet_orca\" end, where "
        "aimnet_orca is a script with the line: exec aimnet orca-ext \"$@\"\n"
        "Options after the file name come from Ext_Params. Charge, multiplicity and cores are "
        "those of ORCA's input unless options say otherwise. Point charges are refused.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples = "aimnet orca-ext job_EXT.extinp.tmp\n",
    .options_size = sizeof(orca_options),
    .run = run,
};

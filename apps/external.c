/* SPDX-License-Identifier: MIT */
/* external.c - what cmd_orca_ext.c and cmd_gaussian_ext.c share (external.h). */
#include "external.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_vib.h"
#include "console.h"

enum { MAX_SIZE = 64 << 20 };

int cli_external_allocate(cli_external *x, int32_t n_atoms, int want_hessian)
{
    const size_t n = (size_t)n_atoms;
    x->n_atoms = n_atoms;
    x->numbers = calloc(n, sizeof *x->numbers);
    x->coord = calloc(6 * n, sizeof *x->coord);
    if (x->coord)
        x->forces = x->coord + 3 * n;
    if (want_hessian) {
        x->hessian = calloc(9 * n * n + 9 * n, sizeof *x->hessian);
        if (x->hessian)
            x->dipole_gradient = x->hessian + 9 * n * n;
    }
    if (x->numbers && x->coord && (x->hessian || !want_hessian))
        return 1;
    cli_error("out of memory");
    return 0;
}

void cli_external_free(cli_external *x)
{
    free(x->numbers);
    free(x->coord);
    free(x->hessian);
    memset(x, 0, sizeof *x);
}

static int evaluate(cli_external *x, const cli_engine *engine, const cli_engine_options *options,
                    char *message, size_t size)
{
    aimnet_system system = {.n_atoms = x->n_atoms,
                            .numbers = x->numbers,
                            .coord = x->coord,
                            .charge = x->charge,
                            .mult = x->mult};
    cli_engine_override(options, &system);
    aimnet_result result = {.forces = x->forces, .dipole = x->dipole};
    const aimnet_status status = aimnet_calc_eval(engine->calc, &system, 1, &result);
    if (status != AIMNET_OK)
        snprintf(message, size, "%s",
                 status == AIMNET_ERR_SOME_FAILED ? result.message : aimnet_last_error());
    else if (x->hessian && aimnet_vib_derivatives(engine->calc, &system, 0.0, x->hessian,
                                                  x->dipole_gradient) != AIMNET_OK)
        snprintf(message, size, "%s", aimnet_last_error());
    cli_warn_lines(result.warnings);
    x->energy = result.energy;
    return message[0] == '\0';
}

int cli_external_evaluate(cli_external *x, const cli_engine_options *options, char *message,
                          size_t size)
{
    cli_engine_options o = *options;
    cli_engine engine = {0};
    message[0] = '\0';
    if (x->hessian && !o.precision.given) /* for vibrations, which need it */
        o.precision = (cli_int){.value = AIMNET_DOUBLE, .given = 1};
    if (x->threads > 0 && !o.threads.given)
        o.threads = (cli_int){.value = x->threads, .given = 1};
    int status = cli_engine_open(&o, &engine);
    if (status != CLI_OK) {
        snprintf(message, size, "%s",
                 status == CLI_USAGE ? "an option is wrong (see standard error)"
                                     : aimnet_last_error());
    } else if (!evaluate(x, &engine, options, message, size)) {
        cli_error("%s", message);
        status = CLI_FAILED;
    }
    cli_engine_close(&engine);
    return status;
}

char *cli_external_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    if (file == NULL) {
        cli_error("%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    size_t used = 0, capacity = 0;
    do {
        capacity = 2 * capacity + 65536;
        char *grown = capacity <= MAX_SIZE ? realloc(text, capacity) : NULL;
        if (grown == NULL) {
            cli_error("%s: more than %d bytes, or out of memory", path, MAX_SIZE / 2);
            free(text);
            fclose(file);
            return NULL;
        }
        text = grown;
        used += fread(text + used, 1, capacity - used - 1, file);
    } while (used == capacity - 1);
    const int bad = ferror(file);
    fclose(file);
    text[used] = '\0';
    if (!bad && memchr(text, '\0', used) == NULL)
        return text;
    cli_error("%s: %s", path, bad ? "cannot be read" : "is not a text file");
    free(text);
    return NULL;
}

char *cli_external_line(char **text)
{
    char *line = *text;
    if (*line == '\0')
        return NULL;
    const size_t size = strcspn(line, "\n");
    *text = line + size + (line[size] == '\n');
    line[size] = '\0';
    if (size > 0 && line[size - 1] == '\r')
        line[size - 1] = '\0';
    return line;
}

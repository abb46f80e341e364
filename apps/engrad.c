/* SPDX-License-Identifier: MIT */
/* engrad.c - the .engrad file of ORCA: number of atoms, energy (hartree), gradient (hartree/bohr),
 * numbers and coordinates (bohr), each block after three comment lines, as ORCA 5 demands for
 * external programs. CREST's method "generic" and many scripts read it. */
#include "engrad.h"

#include <stdio.h>
#include <string.h>

#include "console.h"
#include "outfile.h"

static void block(FILE *file, const char *title)
{
    fprintf(file, "#\n# %s\n#\n", title);
}

static void write_all(FILE *file, const aimnet_system *s, double energy, const double *forces,
                      int coordinates)
{
    block(file, "Number of atoms");
    fprintf(file, " %d\n", (int)s->n_atoms);
    block(file, "The current total energy in Eh");
    fprintf(file, " %.12f\n", energy / CLI_HARTREE);
    if (forces) {
        block(file, "The current gradient in Eh/bohr");
        for (int32_t i = 0; i < 3 * s->n_atoms; i++)
            fprintf(file, " %.12f\n", -forces[i] * CLI_BOHR / CLI_HARTREE);
    }
    if (!coordinates)
        return;
    block(file, "The atomic numbers and current coordinates in Bohr");
    for (int32_t i = 0; i < s->n_atoms; i++)
        fprintf(file, " %3d %18.10f %18.10f %18.10f\n", (int)s->numbers[i],
                s->coord[3 * (size_t)i] / CLI_BOHR, s->coord[3 * (size_t)i + 1] / CLI_BOHR,
                s->coord[3 * (size_t)i + 2] / CLI_BOHR);
}

int cli_engrad_write(const char *path, const aimnet_system *system, double energy,
                     const double *forces, int coordinates)
{
    cli_outfile o;
    if (cli_outfile_open(&o, path) != CLI_OK)
        return CLI_FAILED;
    write_all(o.file, system, energy, forces, coordinates);
    return cli_outfile_close(&o);
}

int cli_replace_extension(char *out, size_t size, const char *path, const char *extension)
{
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".gz") == 0)
        n -= 3;
    const char *slash = strrchr(path, '/');
    const size_t start = slash ? (size_t)(slash - path) + 1 : 0;
    for (size_t k = n; k > start + 1; k--)
        if (path[k - 1] == '.') {
            n = k - 1;
            break;
        }
    return snprintf(out, size, "%.*s%s", (int)n, path, extension) < (int)size;
}

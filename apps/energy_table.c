/* SPDX-License-Identifier: MIT */
/* energy_table.c - results of `aimnet energy` for people: one row per structure, or, when more than
 * the energy was asked for, one block per structure. Fits 80 columns; units stand in the headers;
 * atoms and frames count from 0 as everywhere else. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "console.h"
#include "energy.h"

static const double DEBYE_PER_E_ANGSTROM = 4.80320471; /* CODATA 2018: e * 1e-10 m in debye */

static int decimals(const energy_context *c)
{
    return c->engine->options.precision == AIMNET_DOUBLE ? 9 : 6;
}

static int wants_blocks(const energy_options *o)
{
    return o->forces || o->charges || o->dipole || o->quadrupole || o->stress || o->terms ||
           o->outputs;
}

static const char *formula_of(const energy_record *r, char *text, size_t size)
{
    if (aimnet_formula(r->system.numbers, r->system.n_atoms, text, size) != AIMNET_OK)
        snprintf(text, size, "?");
    return text;
}

static void header(const energy_context *c)
{
    cli_printf("%-*s %6s  %-12s %6s %6s %4s %*s%s\n", c->file_width, "file", "frame", "formula",
               "atoms", "charge", "mult", 16 + decimals(c) - 6, "energy/eV",
               c->is_ensemble ? "   std/eV" : "");
}

void energy_table_start(energy_context *c, const char *const *files, int n_files)
{
    const int limit = c->is_ensemble ? 14 : decimals(c) > 6 ? 20 : 23;
    int width = 4;
    for (int i = 0; i < n_files; i++) {
        const int size = strlen(files[i]) > 99 ? 99 : (int)strlen(files[i]);
        if (size > width)
            width = size;
    }
    c->file_width = width < limit ? width : limit;
    cli_engine_headline(c->engine);
    cli_puts("\n");
    if (!wants_blocks(c->options))
        header(c);
}

static void row(const energy_context *c, const energy_record *r)
{
    char formula[2048];
    const int used = cli_put_name(r->item->file, c->file_width);
    cli_printf("%*s %6lld  ", c->file_width - used, "", (long long)r->item->index);
    if (r->error) {
        cli_puts("failed\n");
        return;
    }
    cli_printf("%-12s %6d %6g %4g %*.*f", formula_of(r, formula, sizeof formula), r->system.n_atoms,
               r->system.charge, r->system.mult, 16 + decimals(c) - 6, decimals(c),
               r->result.energy);
    if (c->is_ensemble)
        cli_printf(" %8.6f", r->result.energy_std);
    cli_puts("\n");
}

static void energy_lines(const energy_context *c, const energy_record *r)
{
    const aimnet_result *result = &r->result;
    const int d = decimals(c);
    cli_printf("  %-12s %18.*f eV", "energy", d, result->energy);
    if (c->is_ensemble)
        cli_printf("   std %.*f eV", d, result->energy_std);
    cli_puts("\n");
    if (!c->options->terms)
        return;
    cli_printf("    %-10s %18.*f\n", "network", d, result->energy_network);
    cli_printf("    %-10s %18.*f\n", "Coulomb", d, result->energy_coulomb);
    cli_printf("    %-10s %18.*f\n", "dispersion", d, result->energy_dispersion);
}

/* Without the sign that a small negative number would keep when it is printed as zero. */
static double rounded(double x, double unit)
{
    return fabs(x) < 0.5 * unit ? 0.0 : x;
}

static double norm3(const double *v)
{
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

static void components(const char *name, const double *v, const char *unit)
{
    cli_printf("  %-12s %11.6f %11.6f %11.6f %s\n", name, rounded(v[0], 1e-6), rounded(v[1], 1e-6),
               rounded(v[2], 1e-6), unit);
}

static void tensors(const aimnet_result *r)
{
    if (r->dipole) {
        char unit[48];
        snprintf(unit, sizeof unit, "e A   |mu| %.4f D", norm3(r->dipole) * DEBYE_PER_E_ANGSTROM);
        components("dipole", r->dipole, unit);
    }
    if (r->quadrupole) {
        components("quadrupole", r->quadrupole, "e A^2 (xx yy zz)");
        components("", r->quadrupole + 3, "      (xy yz zx)");
    }
    if (r->stress) {
        for (int i = 0; i < 3; i++) {
            const double *s = r->stress + 3 * i;
            cli_printf("  %-12s %11.4e %11.4e %11.4e%s\n", i ? "" : "stress", s[0], s[1], s[2],
                       i ? "" : " eV/A^3");
        }
    }
}

static int force_width(const aimnet_result *r)
{
    return r->forces_std ? 11 : 12;
}

static void atom_header(const energy_context *c, const aimnet_result *r)
{
    cli_puts("\n    atom   ");
    if (r->charges)
        cli_printf("%10s", "charge/e");
    if (r->charges_std)
        cli_printf("%8s", "std");
    if (r->spin_charges)
        cli_printf("%9s", "spin/e");
    if (c->options->forces)
        cli_printf("%*s%*s%*s", force_width(r), "Fx eV/A", force_width(r), "Fy eV/A",
                   force_width(r), "Fz eV/A");
    if (r->forces_std)
        cli_printf("%8s", "|std|");
    cli_puts("\n");
}

static void atoms(const energy_context *c, const energy_record *r)
{
    const aimnet_result *result = &r->result;
    const double *f = c->options->forces ? result->forces : NULL;
    double largest = -1.0, sum = 0.0;
    int32_t where = 0;
    atom_header(c, result);
    for (int32_t i = 0; i < r->system.n_atoms; i++) {
        const char *symbol = aimnet_element_symbol(r->system.numbers[i]);
        cli_printf("  %6d %-2s", i, symbol ? symbol : "?");
        if (result->charges)
            cli_printf("%10.5f", rounded(result->charges[i], 1e-5));
        if (result->charges_std)
            cli_printf("%8.5f", result->charges_std[i]);
        if (result->spin_charges)
            cli_printf("%9.5f", rounded(result->spin_charges[i], 1e-5));
        if (f) {
            const double norm = norm3(f + 3 * i);
            for (int d = 0; d < 3; d++)
                cli_printf("%*.6f", force_width(result), rounded(f[3 * i + d], 1e-6));
            sum += norm * norm;
            if (norm > largest) {
                largest = norm;
                where = i;
            }
        }
        if (result->forces_std)
            cli_printf("%8.5f", norm3(result->forces_std + 3 * i));
        cli_puts("\n");
    }
    if (f)
        cli_printf("  largest force %.6f eV/A on atom %d, rms %.6f eV/A\n", largest, where,
                   sqrt(sum / (double)r->system.n_atoms));
}

static void further_outputs(energy_context *c, const energy_record *r)
{
    const char *name;
    const double *values;
    int per_atom, width;
    for (int i = 0; i < aimnet_calc_output_count(c->engine->calc); i++) {
        if (!energy_output(c, r, i, &name, &per_atom, &width, &values))
            continue;
        const int rows = per_atom ? r->system.n_atoms : 1;
        cli_printf("  %s%s", name, per_atom ? " (per atom)\n" : "");
        for (int k = 0; k < rows; k++) {
            cli_printf(per_atom ? "  %6d   " : "  ", k);
            for (int w = 0; w < width; w++)
                cli_printf("%s%14.6f", w && w % 4 == 0 ? "\n           " : " ",
                           values[k * width + w]);
            cli_puts("\n");
        }
    }
}

static void block(energy_context *c, const energy_record *r)
{
    char formula[2048];
    if (c->header_done)
        cli_puts("\n");
    c->header_done = 1;
    cli_put_name(r->item->file, 36);
    cli_printf(", frame %lld", (long long)r->item->index);
    if (r->error) {
        cli_puts(": failed\n");
        return;
    }
    cli_printf(": %s, %d atom%s, charge %g, mult %g\n", formula_of(r, formula, sizeof formula),
               r->system.n_atoms, r->system.n_atoms == 1 ? "" : "s", r->system.charge,
               r->system.mult);
    energy_lines(c, r);
    tensors(&r->result);
    if (c->options->outputs)
        further_outputs(c, r);
    if (c->options->forces || c->options->charges)
        atoms(c, r);
}

void energy_table_record(energy_context *c, const energy_record *r)
{
    if (wants_blocks(c->options))
        block(c, r);
    else
        row(c, r);
}

void energy_table_end(const energy_context *c)
{
    const int64_t n = c->n_done + c->n_failed;
    cli_printf("\n%lld structure%s, %lld atoms", (long long)n, n == 1 ? "" : "s",
               (long long)c->n_atoms);
    if (c->n_failed > 0)
        cli_printf("; %lld failed", (long long)c->n_failed);
    cli_puts("\n");
}

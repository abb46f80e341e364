/* SPDX-License-Identifier: MIT */
/* opt_print.c - `aimnet opt` for people (the steps of a single structure, one row each of several)
 * and as JSON Lines. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "console.h"
#include "json.h"
#include "opt.h"

enum { FILE_WIDTH = 19 };

void opt_print_start(opt_context *c, const char *const *files, int n_files)
{
    int width = 4;
    for (int i = 0; i < n_files; i++) {
        const int size = strlen(files[i]) > 99 ? 99 : (int)strlen(files[i]);
        width = size > width ? size : width;
    }
    c->file_width = width < FILE_WIDTH ? width : FILE_WIDTH;
    if (c->options->json)
        return;
    cli_engine_headline(c->engine);
    cli_printf("%s, largest force below %g eV/A",
               c->criteria.method == AIMNET_OPT_FIRE ? "FIRE" : "L-BFGS", c->criteria.fmax);
    if (c->criteria.ediff > 0.0)
        cli_printf(", energy to %g eV", c->criteria.ediff);
    if (c->criteria.cell != AIMNET_OPT_CELL_FIXED)
        cli_printf(",\n  cell %s, stress below %g eV/A^3",
                   c->criteria.cell == AIMNET_OPT_CELL_FULL ? "full" : "isotropic",
                   c->criteria.smax);
    if (c->criteria.pressure != 0.0)
        cli_printf(", pressure %g GPa", c->options->pressure.value);
    cli_puts("\n\n");
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static const char *formula_of(const aimnet_frame *f, char *text, size_t size)
{
    if (aimnet_formula(f->numbers, f->n_atoms, text, size) != AIMNET_OK)
        snprintf(text, size, "?");
    return text;
}

void opt_print_step(opt_context *c, const opt_entry *e, const aimnet_opt_state *s)
{
    char formula[2048];
    const int cell = c->criteria.cell != AIMNET_OPT_CELL_FIXED;
    if (c->options->json)
        return;
    if (!c->header_done) {
        cli_put_name(e->item.file, 36);
        cli_printf(": %s, %d atom%s, charge %g, mult %g\n\n",
                   formula_of(&e->item.frame, formula, sizeof formula), (int)s->n_atoms,
                   plural(s->n_atoms), s->charge, s->mult);
        cli_printf("%6s %18s %14s %12s %10s%s\n", "step", cell ? "enthalpy/eV" : "energy/eV",
                   "change/eV", "fmax eV/A", "move/A", cell ? "  stress" : "");
    }
    c->header_done = 1;
    cli_printf("%6d %18.6f %14.6f %12.6f %10.4f", s->n_steps, s->enthalpy, s->energy_change,
               s->fmax, s->move);
    if (cell)
        cli_printf(" %8.1e", s->smax);
    cli_puts("\n");
    if (cli_stdout_is_terminal())
        cli_out_flush();
}

static void row(opt_context *c, const opt_entry *e)
{
    char formula[2048];
    const aimnet_opt_state *s = &e->state;
    if (!c->header_done)
        cli_printf("%-*s %5s  %-11s %5s %16s %8s  %s\n", c->file_width, "file", "frame", "formula",
                   "grads", "energy/eV", "fmax", "verdict");
    c->header_done = 1;
    const int used = cli_put_name(e->item.file, c->file_width);
    cli_printf("%*s %5lld  ", c->file_width - used, "", (long long)e->item.index);
    if (s->verdict == AIMNET_OPT_FAILED) {
        cli_puts("failed\n");
        return;
    }
    cli_printf("%-11s %5d %16.6f %8.5f  %s\n", formula_of(&e->item.frame, formula, sizeof formula),
               s->n_evaluations, s->energy, s->fmax, aimnet_opt_verdict_name(s->verdict));
}

static void number(const char *key, double value)
{
    cli_json_key(key);
    cli_json_real(value);
}

static void json_results(opt_context *c, const opt_entry *e)
{
    const aimnet_opt_state *s = &e->state;
    const aimnet_frame *f = &e->item.frame;
    char formula[2048];
    cli_json_key("natoms");
    cli_json_int(f->n_atoms);
    cli_json_key("formula");
    cli_json_text(formula_of(f, formula, sizeof formula));
    number("charge", f->charge);
    number("mult", f->mult);
    cli_engine_json_model(c->engine);
    cli_json_key("verdict");
    cli_json_text(aimnet_opt_verdict_name(s->verdict));
    cli_json_key("converged");
    cli_json_bool(s->verdict == AIMNET_OPT_CONVERGED);
    cli_json_key("steps");
    cli_json_int(s->n_steps);
    cli_json_key("evaluations");
    cli_json_int(s->n_evaluations);
    number("energy", s->energy);
    number("energy_change", s->energy_change);
    number("fmax", s->fmax);
    if (e->result.stress) {
        number("enthalpy", s->enthalpy);
        number("smax", s->smax);
    }
    cli_json_key("positions");
    cli_json_reals(f->coord, (size_t)f->n_atoms, 3);
    if (f->has_cell) {
        cli_json_key("cell");
        cli_json_reals(f->cell, 3, 3);
    }
    cli_json_key("forces");
    cli_json_reals(e->result.forces, (size_t)f->n_atoms, 3);
    cli_json_key("charges");
    cli_json_reals(e->result.charges, (size_t)f->n_atoms, 0);
    cli_json_key("warnings");
    cli_json_open_list();
    cli_json_lines(c->engine->notes);
    cli_json_lines(aimnet_calc_warnings(c->engine->calc));
    cli_json_lines(f->warnings);
    cli_json_lines(e->result.warnings);
    if (e->message[0])
        cli_json_text(e->message);
    cli_json_close_list();
}

static void json(opt_context *c, const opt_entry *e)
{
    cli_json_open();
    cli_json_key("file");
    cli_json_text(e->item.file);
    cli_json_key("frame");
    cli_json_int(e->item.index);
    if (e->state.verdict == AIMNET_OPT_FAILED) {
        cli_json_key("error");
        cli_json_text(e->message);
    } else {
        json_results(c, e);
    }
    cli_json_end();
}

static const char *how_it_ended(aimnet_opt_verdict verdict)
{
    return verdict == AIMNET_OPT_CONVERGED   ? "Converged"
           : verdict == AIMNET_OPT_STALLED   ? "NOT converged (stalled)"
           : verdict == AIMNET_OPT_COLLAPSED ? "NOT converged (collapsed)"
                                             : "NOT converged";
}

void opt_print_entry(opt_context *c, const opt_entry *e)
{
    if (c->options->json)
        json(c, e);
    else if (!c->single)
        row(c, e);
    else if (e->state.verdict != AIMNET_OPT_FAILED)
        cli_printf("\n%s after %d step%s, %d gradient%s; energy %.6f eV\n",
                   how_it_ended(e->state.verdict), e->state.n_steps, plural(e->state.n_steps),
                   e->state.n_evaluations, plural(e->state.n_evaluations), e->state.energy);
}

void opt_print_end(const opt_context *c)
{
    const long long n = c->n_converged + c->n_open + c->n_failed;
    if (c->options->json || c->single)
        return;
    cli_printf("\n%lld structure%s: %lld converged", n, plural(n), (long long)c->n_converged);
    if (c->n_open > 0)
        cli_printf(", %lld NOT converged", (long long)c->n_open);
    if (c->n_failed > 0)
        cli_printf(", %lld failed", (long long)c->n_failed);
    cli_printf("; %lld gradients\n", (long long)c->n_evaluations);
}

/* SPDX-License-Identifier: MIT */
/* energy_json.c - one structure of `aimnet energy --json`: the keys and their order are a stable
 * contract (docs/cli.md). */
#include "energy.h"
#include "json.h"

static void matrix(const char *key, const double *values, int32_t rows, size_t width)
{
    cli_json_key(key);
    cli_json_reals(values, (size_t)rows, width);
}

static void vector(const char *key, const double *values, int32_t n)
{
    cli_json_key(key);
    cli_json_reals(values, (size_t)n, 0);
}

static void real(const char *key, double value)
{
    cli_json_key(key);
    cli_json_real(value);
}

static void text(const char *key, const char *value)
{
    cli_json_key(key);
    cli_json_text(value);
}

static void place(const energy_record *r)
{
    cli_json_open();
    text("file", r->item->file);
    cli_json_key("frame");
    cli_json_int(r->item->index);
}

static void terms(const aimnet_result *r)
{
    cli_json_key("terms");
    cli_json_open();
    real("network", r->energy_network);
    real("coulomb", r->energy_coulomb);
    real("dispersion", r->energy_dispersion);
    cli_json_close();
}

static void outputs(energy_context *c, const energy_record *r)
{
    const char *name;
    const double *values;
    int per_atom, width;
    cli_json_key("model_outputs");
    cli_json_open();
    for (int i = 0; i < aimnet_calc_output_count(c->engine->calc); i++) {
        if (!energy_output(c, r, i, &name, &per_atom, &width, &values))
            continue;
        cli_json_key(name);
        if (per_atom)
            cli_json_reals(values, (size_t)r->system.n_atoms, width > 1 ? (size_t)width : 0);
        else if (width > 1)
            cli_json_reals(values, (size_t)width, 0);
        else
            cli_json_real(values[0]);
    }
    cli_json_close();
}

void energy_json_record(energy_context *c, const energy_record *r)
{
    const aimnet_result *result = &r->result;
    const int32_t n = r->system.n_atoms;
    char formula[2048];
    if (aimnet_formula(r->system.numbers, n, formula, sizeof formula) != AIMNET_OK)
        formula[0] = '\0';
    place(r);
    cli_json_key("natoms");
    cli_json_int(n);
    text("formula", formula);
    real("charge", r->system.charge);
    real("mult", r->system.mult);
    cli_engine_json_model(c->engine);
    cli_engine_json_coulomb(c->engine, result);
    real("energy", result->energy);
    if (result->forces && c->options->forces)
        matrix("forces", result->forces, n, 3);
    if (result->charges)
        vector("charges", result->charges, n);
    if (result->spin_charges)
        vector("spin_charges", result->spin_charges, n);
    if (result->dipole)
        vector("dipole", result->dipole, 3);
    if (result->quadrupole)
        vector("quadrupole", result->quadrupole, 6);
    if (result->stress)
        matrix("stress", result->stress, 3, 3);
    if (result->hessian)
        matrix("hessian", result->hessian, 3 * n, 3 * (size_t)n);
    if (c->options->terms)
        terms(result);
    if (c->options->outputs)
        outputs(c, r);
    if (c->is_ensemble)
        real("energy_std", result->energy_std);
    if (result->forces_std)
        matrix("forces_std", result->forces_std, n, 3);
    if (result->charges_std)
        vector("charges_std", result->charges_std, n);
    cli_json_key("warnings");
    cli_json_open_list();
    cli_json_lines(c->engine->notes);
    cli_json_lines(aimnet_calc_warnings(c->engine->calc));
    cli_json_lines(r->item->frame.warnings);
    cli_json_lines(result->warnings);
    cli_json_close_list();
    cli_json_end();
}

void energy_json_failure(const energy_record *r)
{
    place(r);
    text("error", r->error);
    cli_json_end();
}

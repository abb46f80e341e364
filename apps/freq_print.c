/* SPDX-License-Identifier: MIT */
/* freq_print.c - `aimnet freq` for people and as JSON Lines. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "console.h"
#include "freq.h"
#include "json.h"

static const double KCAL = 23.060548;  /* kcal/mol per eV, CODATA 2018 */
static const double GHZ = 505.3790050; /* rotational constant times moment of inertia, amu A^2 */

static const char *const SHAPES[] = {"atom", "linear", "nonlinear", "crystal"};

static const char *formula_of(const freq_entry *e, char text[2048])
{
    if (aimnet_formula(e->system.numbers, e->system.n_atoms, text, 2048) != AIMNET_OK)
        snprintf(text, 2048, "?");
    return text;
}

static void print_modes(const freq_run *r, const freq_entry *e)
{
    const aimnet_vib_modes *m = e->modes;
    if (m->n_modes == 0)
        return;
    cli_puts("\n");
    cli_printf("%6s %14s %12s %12s", "mode", "wavenumber", "red. mass", "force const");
    cli_puts(m->intensity ? "    intensity\n" : "\n");
    cli_printf("%6s %14s %12s %12s", "", "cm^-1", "amu", "mdyn/A");
    cli_puts(m->intensity ? "       km/mol\n" : "\n");
    for (int32_t k = 0; k < m->n_modes; k++) {
        cli_printf("%6d %14.2f %12.4f %12.4f", (int)k + 1, r->conditions.scale * m->wavenumber[k],
                   m->reduced_mass[k], m->force_constant[k]);
        if (m->intensity)
            cli_printf(" %12.2f", m->intensity[k]);
        cli_puts(m->wavenumber[k] < 0.0 ? "  imaginary\n" : "\n");
    }
}

static void print_energy(const char *name, double ev)
{
    cli_printf("  %-38s %14.6f eV %12.3f kcal/mol\n", name, ev, ev * KCAL);
}

static void print_thermo(const freq_run *r, const freq_entry *e)
{
    const aimnet_thermo *t = &e->thermo;
    const aimnet_thermo_options *o = &r->conditions;
    const double kelvin = o->temperature, energy = e->result.energy;
    const int crystal = e->modes->shape == AIMNET_VIB_CRYSTAL;
    if (crystal)
        cli_printf("\nOscillators of the cell at %g K:\n", kelvin);
    else
        cli_printf("\nIdeal gas at %g K and %g Pa, symmetry number %g, multiplicity %g:\n", kelvin,
                   o->pressure, o->symmetry_number, fmax(e->system.mult, 1.0));
    print_energy("zero-point energy", t->zero_point);
    print_energy("thermal energy (with zero point)", t->internal);
    if (!crystal)
        print_energy("enthalpy correction", t->enthalpy);
    print_energy("T S, harmonic", kelvin * t->entropy);
    print_energy("T S, quasi-harmonic", kelvin * t->entropy_quasi);
    cli_printf("  %-38s %14.6f eV\n", "potential energy", energy);
    if (!crystal)
        cli_printf("  %-38s %14.6f eV\n", "enthalpy H", energy + t->enthalpy);
    cli_printf("  %-38s %14.6f eV\n",
               crystal ? "free energy F, harmonic" : "free energy G, harmonic", energy + t->gibbs);
    cli_printf("  %-38s %14.6f eV\n",
               crystal ? "free energy F, quasi-harmonic" : "free energy G, quasi-harmonic",
               energy + t->gibbs_quasi);
    if (t->n_left_out > 0)
        cli_printf("  without the %d imaginary mode%s\n", (int)t->n_left_out,
                   t->n_left_out == 1 ? "" : "s");
}

static void print_rotations(const aimnet_vib_modes *m)
{
    if (m->shape != AIMNET_VIB_LINEAR && m->shape != AIMNET_VIB_NONLINEAR)
        return;
    cli_puts("rotational constants");
    for (int k = m->shape == AIMNET_VIB_LINEAR ? 2 : 0; k < 3; k++)
        cli_printf(" %.4f", GHZ / m->moment[k]);
    cli_puts(" GHz\n");
}

void freq_print_table(const freq_run *r, const freq_entry *e)
{
    char formula[2048];
    if (r->n_done == 1)
        cli_engine_headline(&r->engine);
    cli_puts("\n");
    cli_put_name(e->item.file, 36);
    cli_printf(" %lld: %s, %d atom%s, %s, energy %.6f eV, largest force %.6f eV/A\n",
               (long long)e->item.index, formula_of(e, formula), (int)e->system.n_atoms,
               e->system.n_atoms == 1 ? "" : "s", SHAPES[e->modes->shape], e->result.energy,
               e->fmax);
    print_rotations(e->modes);
    if (r->conditions.scale != 1.0)
        cli_printf("wavenumbers times %g\n", r->conditions.scale);
    print_modes(r, e);
    print_thermo(r, e);
}

static void number(const char *key, double value)
{
    cli_json_key(key);
    cli_json_real(value);
}

static void list(const char *key, const double *values, size_t n, size_t width)
{
    cli_json_key(key);
    cli_json_reals(values, n, width);
}

static void json_modes(const freq_run *r, const aimnet_vib_modes *m)
{
    cli_json_key("shape");
    cli_json_text(SHAPES[m->shape]);
    number("scale", r->conditions.scale);
    cli_json_key("wavenumbers"); /* scaled */
    cli_json_open_list();
    for (int32_t k = 0; k < m->n_modes; k++)
        cli_json_real(r->conditions.scale * m->wavenumber[k]);
    cli_json_close_list();
    list("reduced_masses", m->reduced_mass, (size_t)m->n_modes, 0);
    list("force_constants", m->force_constant, (size_t)m->n_modes, 0);
    if (m->intensity)
        list("intensities", m->intensity, (size_t)m->n_modes, 0);
    list("modes", m->displacement, (size_t)m->n_modes, 3 * (size_t)m->n_atoms);
    list("moments_of_inertia", m->moment, 3, 0);
    number("rigid_wavenumber", m->rigid_wavenumber);
    cli_json_key("imaginary");
    cli_json_int(m->n_imaginary);
}

static void json_thermo(const freq_run *r, const freq_entry *e)
{
    const aimnet_thermo *t = &e->thermo;
    const double energy = e->result.energy;
    number("temperature", r->conditions.temperature);
    number("pressure", r->conditions.pressure);
    number("symmetry_number", r->conditions.symmetry_number);
    number("zero_point_energy", t->zero_point);
    number("internal_energy", energy + t->internal);
    number("enthalpy", energy + t->enthalpy);
    number("entropy_translation", t->entropy_translation);
    number("entropy_rotation", t->entropy_rotation);
    number("entropy_vibration", t->entropy_vibration);
    number("entropy_electronic", t->entropy_electronic);
    number("entropy", t->entropy);
    number("entropy_quasi", t->entropy_quasi);
    number("gibbs", energy + t->gibbs);
    number("gibbs_quasi", energy + t->gibbs_quasi);
}

static void json_place(const freq_entry *e)
{
    cli_json_open();
    cli_json_key("file");
    cli_json_text(e->item.file);
    cli_json_key("frame");
    cli_json_int(e->item.index);
}

void freq_print_json(const freq_run *r, const freq_entry *e)
{
    char formula[2048];
    json_place(e);
    cli_json_key("natoms");
    cli_json_int(e->system.n_atoms);
    cli_json_key("formula");
    cli_json_text(formula_of(e, formula));
    number("charge", e->system.charge);
    number("mult", fmax(e->system.mult, 1.0));
    cli_engine_json_model(&r->engine);
    cli_engine_json_coulomb(&r->engine, &e->result);
    number("energy", e->result.energy);
    number("fmax", e->fmax);
    json_modes(r, e->modes);
    json_thermo(r, e);
    cli_json_key("warnings");
    cli_json_open_list();
    cli_json_lines(r->engine.notes);
    cli_json_lines(aimnet_calc_warnings(r->engine.calc));
    cli_json_lines(e->item.frame.warnings);
    cli_json_lines(e->result.warnings);
    cli_json_lines(e->doubt);
    cli_json_close_list();
    cli_json_end();
}

void freq_print_json_failure(const freq_entry *e)
{
    json_place(e);
    cli_json_key("error");
    cli_json_text(e->message);
    cli_json_end();
}

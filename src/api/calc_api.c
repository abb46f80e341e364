/* SPDX-License-Identifier: MIT */
/* calc_api.c - the public functions of calculators: arguments are checked here, nothing is
 * computed. */
#include <math.h>
#include <string.h>

#include "backend/isa.h"
#include "base/threads.h"
#include "calc/calc.h"

aimnet_options aimnet_options_default(void)
{
    return (aimnet_options){.struct_size = sizeof(aimnet_options),
                            .device = "cpu",
                            .precision = AIMNET_SINGLE,
                            .nb_threshold = 120,
                            .needs_coulomb = -1,
                            .needs_dispersion = -1,
                            .coulomb = AIMNET_COULOMB_SIMPLE,
                            .coulomb_cutoff = 15.0,
                            .dsf_alpha = 0.2,
                            .d3_cutoff = 15.0,
                            .d3_smoothing = 0.2};
}

static int positive(double x)
{
    return isfinite(x) && x > 0;
}

static aim_status check_override(const char *name, int value)
{
    return value >= -1 && value <= 1
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_ARG, "%s %d: expected -1 (as the model says), 0 or 1", name,
                          value);
}

static aim_status check_options(const aimnet_options *o)
{
    if (o->struct_size < sizeof(aimnet_options))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "options.struct_size is %zu: start from aimnet_options_default()",
                        o->struct_size);
    aim_device_kind kind;
    int card;
    if (aim_device_parse(o->device, &kind, &card))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "device '%s' is unknown: expected cpu, auto, cuda or cuda:N", o->device);
    if (o->precision != AIMNET_SINGLE && o->precision != AIMNET_DOUBLE)
        return AIM_FAIL(AIMNET_ERR_ARG, "precision %d: expected AIMNET_SINGLE or AIMNET_DOUBLE",
                        (int)o->precision);
    if (o->threads < 0 || o->threads > AIM_MAX_THREADS)
        return AIM_FAIL(AIMNET_ERR_ARG, "threads %d: expected 0 (all) to %d", o->threads,
                        AIM_MAX_THREADS);
    if (o->nb_threshold < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "nb_threshold %d: expected 0 or more", o->nb_threshold);
    AIM_TRY(check_override("needs_coulomb", o->needs_coulomb));
    AIM_TRY(check_override("needs_dispersion", o->needs_dispersion));
    if (o->coulomb < AIMNET_COULOMB_SIMPLE || o->coulomb > AIMNET_COULOMB_PME)
        return AIM_FAIL(AIMNET_ERR_ARG, "Coulomb method %d is unknown", (int)o->coulomb);
    if (!(o->ewald_accuracy >= 0 && o->ewald_accuracy < 1))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "ewald_accuracy %g: expected 0 (the method's default) or a number below 1",
                        o->ewald_accuracy);
    if (!positive(o->coulomb_cutoff))
        return AIM_FAIL(AIMNET_ERR_ARG, "coulomb_cutoff %g A: expected a number above 0",
                        o->coulomb_cutoff);
    if (!isfinite(o->dsf_alpha) || o->dsf_alpha < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "dsf_alpha %g 1/A: expected 0 or more", o->dsf_alpha);
    if (!positive(o->d3_cutoff))
        return AIM_FAIL(AIMNET_ERR_ARG, "d3_cutoff %g A: expected a number above 0", o->d3_cutoff);
    if (!(o->d3_smoothing >= 0 && o->d3_smoothing <= 1))
        return AIM_FAIL(AIMNET_ERR_ARG, "d3_smoothing %g: expected a fraction from 0 to 1",
                        o->d3_smoothing);
    for (int k = 0; o->d3_params && k < 4; k++)
        if (!isfinite(o->d3_params[k]) || o->d3_params[k] < 0)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "d3_params[%d] is %g: expected a finite number of 0 or more", k,
                            o->d3_params[k]);
    if (o->batch_atoms < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "batch_atoms %lld: expected 0 or more",
                        (long long)o->batch_atoms);
    return AIMNET_OK;
}

static int needs_d3_table(const aim_calc *c)
{
    for (int k = 0; k < c->n_members; k++) {
        if (c->member[k].dispersion)
            return 1;
        for (int o = 0; o < c->member[k].model->n_outputs; o++)
            if (c->member[k].model->output[o].kind == AIM_OUT_DFTD3)
                return 1;
    }
    return 0;
}

static aim_status build(aim_calc *c, aimnet_model *const *models, const double *d3_params,
                        const char *device)
{
    AIM_TRY(aim_new0(&c->alloc, (size_t)c->n_members, sizeof *c->member, "ensemble", &c->member));
    AIM_TRY(aim_plan_members(c, models, d3_params));
    AIM_TRY(aim_team_create(&c->alloc, c->options.threads, &c->team));
    AIM_TRY(aim_nlist_create(&c->alloc, &c->nlist));
    const int isa = aim_cpu_isa();
    for (int k = 0; k < c->n_members; k++)
        AIM_TRY(c->ops->create(c->member[k].model, &c->alloc, isa, &c->member[k].net));
    if (needs_d3_table(c))
        AIM_TRY(aim_d3_table_create(&c->alloc, &c->d3_table));
    return aim_device_start(c, device);
}

aimnet_status aimnet_calc_create(aimnet_model *const *models, int n_models,
                                 const aimnet_options *options, aimnet_calc **calc)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "calc is NULL: expected where to put the calculator");
    *calc = NULL;
    if (!models || n_models < 1)
        return AIM_FAIL(AIMNET_ERR_ARG, "a calculator needs at least one model");
    const aimnet_options defaults = aimnet_options_default();
    const aimnet_options *o = options ? options : &defaults;
    AIM_TRY(check_options(o));
    if (!models[0])
        return AIM_FAIL(AIMNET_ERR_ARG, "model 0 of the ensemble is NULL");
    aim_calc *c;
    AIM_TRY(aim_new0(&models[0]->alloc, 1, sizeof *c, "calculator", &c));
    c->alloc = models[0]->alloc;
    c->options = *o;
    c->options.device = NULL;
    c->options.d3_params = NULL;
    c->n_members = n_models;
    c->ops = o->precision == AIMNET_DOUBLE ? &aim_net_ops_f64 : &aim_net_ops_f32;
    const aim_status status = build(c, models, o->d3_params, o->device);
    if (status != AIMNET_OK) {
        aimnet_calc_free(c);
        return status;
    }
    *calc = c;
    return AIMNET_OK;
}

void aimnet_calc_free(aimnet_calc *c)
{
    if (!c)
        return;
    const aim_alloc alloc = c->alloc;
    aim_device_stop(c);
    for (int k = 0; c->member && k < c->n_members; k++)
        c->ops->free(c->member[k].net);
    aim_free(&alloc, c->member);
    aim_team_free(c->team);
    aim_nlist_free(c->nlist);
    aim_pairs *pairs[] = {&c->pairs, &c->pairs_coulomb, &c->pairs_d3};
    for (int k = 0; k < 3; k++)
        aim_pairs_free(pairs[k], &alloc);
    aim_clusters_free(&c->clusters_coulomb, &alloc);
    aim_clusters_free(&c->clusters_d3, &alloc);
    aim_d3_table_free(c->d3_table, &alloc);
    aim_arena *arenas[] = {&c->net_arena,    &c->scratch,        &c->flat.arena,
                           &c->values.arena, &c->average.arena,  &c->tan_arena,
                           &c->tangents,     &c->resident_arena, &c->resident_host};
    for (int k = 0; k < 9; k++)
        aim_arena_free(arenas[k], &alloc);
    aim_string_free(&c->warnings, &alloc);
    aim_parameters_free(&c->parameters, &alloc);
    aim_free(&alloc, c->kept_values);
    aim_free(&alloc, c->kept);
    aim_free(&alloc, c->index);
    aim_free(&alloc, c->note);
    aim_free(&alloc, c);
}

static aim_status check_call(const aimnet_calc *calc, const aimnet_system *systems, int n,
                             const void *out)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    if (n < 0 || (n > 0 && (!systems || !out)))
        return AIM_FAIL(AIMNET_ERR_ARG, "%d structures need systems and results", n);
    return AIMNET_OK;
}

aimnet_status aimnet_calc_eval(aimnet_calc *calc, const aimnet_system *systems, int n_systems,
                               aimnet_result *results)
{
    AIM_TRY(check_call(calc, systems, n_systems, results));
    return aim_calc_run(calc, systems, n_systems, results);
}

static aim_status change(aim_calc *c, const aimnet_options *o)
{
    AIM_TRY(check_options(o));
    return aim_plan_settings(c, o);
}

/* The value, or for AIMNET_DEFAULT the default. */
static double value_or(double value, double standard)
{
    return value == AIMNET_DEFAULT ? standard : value;
}

aimnet_status aimnet_calc_set_lrcoulomb_method(aimnet_calc *calc, aimnet_coulomb method,
                                               double cutoff, double dsf_alpha,
                                               double ewald_accuracy)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    const aimnet_options standard = aimnet_options_default();
    aimnet_options o = calc->options;
    o.coulomb = method;
    o.coulomb_cutoff = value_or(cutoff, standard.coulomb_cutoff);
    o.dsf_alpha = value_or(dsf_alpha, standard.dsf_alpha);
    o.ewald_accuracy = value_or(ewald_accuracy, standard.ewald_accuracy);
    return change(calc, &o);
}

aimnet_status aimnet_calc_set_lr_cutoff(aimnet_calc *calc, double cutoff)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    aimnet_options o = calc->options;
    o.coulomb_cutoff = o.d3_cutoff = cutoff;
    return change(calc, &o);
}

aimnet_status aimnet_calc_set_dftd3_cutoff(aimnet_calc *calc, double cutoff, double smoothing)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    const aimnet_options standard = aimnet_options_default();
    aimnet_options o = calc->options;
    o.d3_cutoff = value_or(cutoff, standard.d3_cutoff);
    o.d3_smoothing = value_or(smoothing, standard.d3_smoothing);
    return change(calc, &o);
}

aimnet_status aimnet_calc_memory_estimate(aimnet_calc *calc, const aimnet_system *systems,
                                          int n_systems, int want_forces, size_t *bytes)
{
    AIM_TRY(check_call(calc, systems, n_systems, bytes));
    return aim_calc_estimate(calc, systems, n_systems, want_forces, bytes);
}

int aimnet_calc_output_count(const aimnet_calc *calc)
{
    return calc ? calc->n_extra : 0;
}

aimnet_status aimnet_calc_output_info(const aimnet_calc *calc, int index, const char **name,
                                      int *per_atom, int *width)
{
    if (!calc || index < 0 || index >= calc->n_extra)
        return AIM_FAIL(AIMNET_ERR_ARG, "output %d: the model has %d further outputs", index,
                        aimnet_calc_output_count(calc));
    const aim_extra *e = &calc->extra[index];
    if (name)
        *name = e->name;
    if (per_atom)
        *per_atom = e->per_atom;
    if (width)
        *width = e->width;
    return AIMNET_OK;
}

aimnet_status aimnet_calc_output_get(const aimnet_calc *calc, int index, int system, double *values,
                                     size_t capacity)
{
    const char *name = "";
    AIM_TRY(aimnet_calc_output_info(calc, index, &name, NULL, NULL));
    if (system < 0 || system >= calc->n_kept || !values)
        return AIM_FAIL(AIMNET_ERR_ARG, "structure %d: the last evaluation had %d", system,
                        calc->n_kept);
    const aim_kept *kept = calc->kept + (size_t)system * (size_t)calc->n_extra + (size_t)index;
    if (kept->size == 0)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "structure %d failed and has no output '%s'", system,
                        name);
    if (capacity < kept->size)
        return AIM_FAIL(AIMNET_ERR_OVERFLOW, "output '%s' has %zu values, the buffer %zu", name,
                        kept->size, capacity);
    memcpy(values, calc->kept_values + kept->start, kept->size * sizeof *values);
    return AIMNET_OK;
}

static int any(const aimnet_calc *c, int dispersion)
{
    int found = 0;
    for (int k = 0; c && k < c->n_members; k++)
        found |= dispersion ? c->member[k].dispersion : c->member[k].coulomb;
    return found;
}
int aimnet_calc_has_external_coulomb(const aimnet_calc *calc)
{
    return any(calc, 0);
}
int aimnet_calc_has_external_dftd3(const aimnet_calc *calc)
{
    return any(calc, 1);
}
aimnet_coulomb aimnet_calc_coulomb_method(const aimnet_calc *calc)
{
    return calc ? calc->options.coulomb : AIMNET_COULOMB_SIMPLE;
}
double aimnet_calc_coulomb_cutoff(const aimnet_calc *calc)
{
    return calc && calc->options.coulomb == AIMNET_COULOMB_DSF ? calc->options.coulomb_cutoff
                                                               : INFINITY;
}
double aimnet_calc_dftd3_cutoff(const aimnet_calc *calc)
{
    return calc ? calc->options.d3_cutoff : 0;
}
const char *aimnet_calc_device(const aimnet_calc *calc)
{
    return calc && calc->device.ops ? calc->device.name : "cpu";
}
const char *aimnet_calc_warnings(const aimnet_calc *calc)
{
    return calc && calc->warnings.data ? calc->warnings.data : "";
}

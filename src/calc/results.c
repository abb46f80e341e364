/* SPDX-License-Identifier: MIT */
/* results.c - from averages of a batch to the caller's buffers; padding atoms get zeros. */
#include "calc/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/vec3.h"
#include "calc/blocks.h"

static void zero(double *x, size_t n)
{
    if (x)
        memset(x, 0, n * sizeof *x);
}

void aim_result_clear(aimnet_result *r)
{
    r->status = AIMNET_OK;
    r->energy = r->energy_network = r->energy_coulomb = r->energy_dispersion = r->energy_std = 0;
    r->coulomb_method = AIMNET_COULOMB_SIMPLE;
    r->has_coulomb = r->has_dispersion = 0;
    r->coulomb = (aimnet_coulomb_params){0};
    r->message[0] = r->warnings[0] = 0;
}

void aim_result_fail(aimnet_result *r, aim_status status)
{
    r->status = status;
    snprintf(r->message, sizeof r->message, "%s", aimnet_last_error());
}

static void warn(aimnet_result *r, const char *text)
{
    const size_t used = strlen(r->warnings);
    snprintf(r->warnings + used, sizeof r->warnings - used, "%s%s", used ? "\n" : "", text);
}

static aim_team *team_of(const aim_calc *c)
{
    return aim_team_within(c->team, c->flat.batch.n_systems);
}

/* out = factor * in, rows of numbers by atom */
typedef struct scaling {
    const double *in;
    double factor, *out;
    size_t width;
} scaling;

static void scale_block(void *ctx, int block, size_t first, size_t last)
{
    const scaling *x = ctx;
    (void)block;
    for (size_t k = first * x->width; k < last * x->width; k++)
        x->out[k] = x->factor * x->in[k];
}

/* out[origin][k] = factor * in[atom][k] */
static void scatter(const aim_calc *c, int32_t s, const aimnet_system *system, int width,
                    const double *in, double factor, double *out)
{
    const aim_batch *b = &c->flat.batch;
    if (!out)
        return;
    const size_t n = (size_t)system->n_atoms * (size_t)width;
    if (b->offset[s + 1] - b->offset[s] == system->n_atoms) { /* no padding */
        scaling x = {in + (size_t)b->offset[s] * (size_t)width, factor, out, (size_t)width};
        aim_blocks_run(team_of(c), (size_t)system->n_atoms, scale_block, &x);
        return;
    }
    zero(out, n);
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        for (int k = 0; k < width; k++)
            out[(size_t)b->origin[i] * (size_t)width + (size_t)k] =
                factor * in[(size_t)i * (size_t)width + (size_t)k];
}

static void scatter_deviation(const aim_calc *c, int32_t s, const aimnet_system *system, int width,
                              const double *m2, double *out)
{
    if (!out)
        return;
    if (!m2) { /* one member */
        zero(out, (size_t)system->n_atoms * (size_t)width);
        return;
    }
    scatter(c, s, system, width, m2, 1.0 / c->n_members, out);
    for (size_t k = 0; k < (size_t)system->n_atoms * (size_t)width; k++)
        out[k] = sqrt(out[k]);
}

static int all_finite(const double *x, size_t n)
{
    double part[4] = {0.0}, rest = 0.0; /* sums of zeros, unless one is not: four chains */
    size_t k = 0;
    for (; k + 4 <= n; k += 4)
        for (size_t m = 0; m < 4; m++)
            part[m] += 0.0 * x[k + m];
    for (; k < n; k++)
        rest += 0.0 * x[k];
    return rest + part[0] + part[1] + part[2] + part[3] == 0.0;
}

/* Of every block, the largest force or gradient, and whether all numbers are finite. */
typedef struct survey {
    const double *forces, *q; /* q: looked at as well, or NULL */
    double largest[AIM_BLOCKS];
    size_t atom[AIM_BLOCKS];
    int finite[AIM_BLOCKS];
} survey;

static void survey_block(void *ctx, int block, size_t first, size_t last)
{
    survey *v = ctx;
    double largest = 0.0;
    size_t atom = 0;
    for (size_t i = first; i < last; i++) {
        const double square = aim_dot3(v->forces + 3 * i, v->forces + 3 * i);
        if (square > largest) {
            largest = square;
            atom = i;
        }
    }
    v->largest[block] = sqrt(largest);
    v->atom[block] = atom;
    v->finite[block] = all_finite(v->forces + 3 * first, 3 * (last - first)) &&
                       (!v->q || all_finite(v->q + first, last - first));
}

/* Puts the blocks together in the first; 0: a number is not finite. */
static int run_survey(aim_team *team, size_t n, survey *v)
{
    aim_blocks_run(team, n, survey_block, v);
    for (int k = 1; k < aim_blocks_count(n); k++) {
        v->finite[0] &= v->finite[k];
        if (v->largest[k] > v->largest[0]) {
            v->largest[0] = v->largest[k];
            v->atom[0] = v->atom[k];
        }
    }
    return v->finite[0];
}

/* Forces that occur nowhere in the data of any model: two atoms stand much too close. */
static void warn_if_absurd(double largest, int32_t atom, aimnet_result *r)
{
    char text[160];
    if (largest < AIM_ABSURD_FORCE)
        return;
    snprintf(text, sizeof text,
             "the force on atom %d is %.3g eV/A: the geometry is far outside of what the model "
             "knows, energy and forces mean little",
             (int)atom, largest);
    if (!strstr(r->warnings, text))
        warn(r, text);
}

void aim_warn_of_absurd_forces(aim_team *team, int32_t n_atoms, const double *forces,
                               aimnet_result *r)
{
    survey v = {.forces = forces};
    (void)run_survey(team, (size_t)n_atoms, &v);
    warn_if_absurd(v.largest[0], (int32_t)v.atom[0], r);
}

/* What a device does for every model that it knows, but not for this batch. */
static void warn_of_host(const aim_calc *c, aimnet_result *r)
{
    int waits = 0;
    for (int k = 0; c->device.ops && !c->flat.lists && k < c->n_members; k++)
        waits |= c->member[k].embedded.known && !aim_device_takes_all(c, &c->member[k]);
    if (waits)
        warn(r, "the GPU computed the network only and waited for the host's terms: mesh, waves or "
                "cell are beyond it");
}

void aim_result_method(const aim_calc *c, const aim_range_plan *range, int32_t s, aimnet_result *r)
{
    for (int k = 0; k < c->n_members; k++) {
        r->has_coulomb |= c->member[k].coulomb;
        r->has_dispersion |= c->member[k].dispersion;
    }
    r->coulomb_method = range->method;
    if (r->has_coulomb)
        r->coulomb = aim_calc_coulomb_params(range, &c->flat.batch, s);
    if (range->converted && r->has_coulomb)
        warn(r, "periodic system: Coulomb method simple was replaced by DSF with a cutoff of 15 A "
                "and alpha 0.2");
    warn_of_host(c, r);
}

void aim_result_write(const aim_calc *c, const aim_range_plan *range, int32_t s,
                      const aimnet_system *system, aimnet_result *r)
{
    const aim_average *a = &c->average;
    const aim_batch *b = &c->flat.batch;
    const size_t first = (size_t)b->offset[s], n = (size_t)(b->offset[s + 1] - b->offset[s]);
    survey v = {.forces = a->grad + 3 * first, .q = a->q + first};
    /* a number that overflowed is an error of the structure, not a result */
    if (!run_survey(team_of(c), n, &v) || !isfinite(a->energy[s]) ||
        (r->stress && !all_finite(a->strain + 9 * s, 9)) ||
        (r->dipole && !all_finite(a->dipole + 3 * s, 3)) ||
        (r->quadrupole && !all_finite(a->quadrupole + 6 * s, 6))) {
        const aim_status status = AIM_FAIL(
            AIMNET_ERR_SYSTEM,
            "the result is not finite: the geometry is far outside of what the model knows");
        aim_result_fail(r, status);
        return;
    }
    r->energy = a->energy[s];
    r->energy_network = a->network[s];
    r->energy_coulomb = a->coulomb[s];
    r->energy_dispersion = a->dispersion[s];
    r->energy_std = sqrt(a->energy_m2[s] / c->n_members);
    scatter(c, s, system, 3, a->grad, -1.0, r->forces);
    scatter(c, s, system, 1, a->q, 1.0, r->charges);
    if (c->member[0].model->n_charge == 2)
        scatter(c, s, system, 1, a->spin, 1.0, r->spin_charges);
    if (r->dipole)
        memcpy(r->dipole, a->dipole + 3 * s, 3 * sizeof(double));
    if (r->quadrupole)
        memcpy(r->quadrupole, a->quadrupole + 6 * s, 6 * sizeof(double));
    if (r->stress)
        for (int k = 0; k < 9; k++) /* symmetric up to rounding: both halves are averaged */
            r->stress[k] = 0.5 * (a->strain[9 * s + k] + a->strain[9 * s + k % 3 * 3 + k / 3]) /
                           fabs(aim_det3(system->cell));
    scatter_deviation(c, s, system, 3, a->grad_m2, r->forces_std);
    scatter_deviation(c, s, system, 1, a->q_m2, r->charges_std);
    aim_result_method(c, range, s, r);
    if (r->forces)
        warn_if_absurd(v.largest[0], b->origin[first + v.atom[0]], r);
}

void aim_plain_multipoles(const aim_batch *b, const double *q, double *dipole, double *quadrupole)
{
    for (int32_t s = 0; s < b->n_systems; s++) {
        double *mu = dipole + 3 * s, *theta = quadrupole + 6 * s;
        zero(mu, 3);
        zero(theta, 6);
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
            const double *r = b->coord + 3 * (size_t)i;
            for (int d = 0; d < 3; d++) {
                mu[d] += q[i] * r[d];
                theta[d] += q[i] * r[d] * r[d];
                theta[3 + d] += q[i] * r[d] * r[(d + 1) % 3];
            }
        }
        const double mean = (theta[0] + theta[1] + theta[2]) / 3.0;
        for (int d = 0; d < 3; d++)
            theta[d] -= mean;
    }
}

aim_status aim_extras_start(aim_calc *c, int n)
{
    const size_t need = (size_t)n * (size_t)c->n_extra;
    c->n_kept = 0;
    c->kept_values_used = 0;
    if (need > c->kept_capacity) {
        AIM_TRY(
            aim_grow(&c->alloc, c->kept_capacity, need, sizeof *c->kept, "output index", &c->kept));
        c->kept_capacity = need;
    }
    for (size_t k = 0; k < need; k++)
        c->kept[k] = (aim_kept){0, 0};
    c->n_kept = n;
    return AIMNET_OK;
}

/* Room at the end of kept_values for output e of one system, with zeros. */
static aim_status keep_place(aim_calc *c, const aimnet_system *system, int e, aim_kept *kept)
{
    const aim_extra *x = &c->extra[e];
    const size_t size = (x->per_atom ? (size_t)system->n_atoms : 1) * (size_t)x->width,
                 need = c->kept_values_used + size;
    if (need > c->kept_values_capacity) {
        AIM_TRY(aim_grow(&c->alloc, c->kept_values_capacity, 2 * need, sizeof *c->kept_values,
                         "outputs", &c->kept_values));
        c->kept_values_capacity = 2 * need;
    }
    *kept = (aim_kept){c->kept_values_used, size};
    c->kept_values_used = need;
    zero(c->kept_values + kept->start, size);
    return AIMNET_OK;
}

/* mean += (x - mean)/k of output e of system s */
static void keep_mean(aim_calc *c, int32_t s, int e, const double *value, double *mean, int k)
{
    const aim_batch *b = &c->flat.batch;
    const size_t width = (size_t)c->extra[e].width;
    if (!c->extra[e].per_atom) {
        for (size_t w = 0; w < width; w++)
            mean[w] += (value[(size_t)s * width + w] - mean[w]) / k;
        return;
    }
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        for (size_t w = 0; w < width; w++) {
            double *m = mean + (size_t)b->origin[i] * width + w;
            *m += (value[(size_t)i * width + w] - *m) / k;
        }
}

aim_status aim_extras_keep(aim_calc *c, const aimnet_system *systems, const aim_member *member,
                           int k)
{
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++) {
        const int32_t index = c->flat.index[s];
        for (int e = 0; e < c->n_extra && !c->note[index].wrong; e++) {
            aim_kept *kept = &c->kept[(size_t)index * (size_t)c->n_extra + (size_t)e];
            if (k == 1)
                AIM_TRY(keep_place(c, &systems[index], e, kept));
            keep_mean(c, s, e, c->values.slot[member->extra_slot[e]], c->kept_values + kept->start,
                      k);
        }
    }
    return AIMNET_OK;
}

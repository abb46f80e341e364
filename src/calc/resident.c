/* SPDX-License-Identifier: MIT */
/* resident.c - evaluations whose positions and results are memory of the device.
 *
 * Checks, batches, ranges and jobs are those of every evaluation (eval.c); positions never come to
 * the host, and the few steps from a network's heads to an energy are handed to the device as a
 * recipe. The host's program, averages and results are not run: the device does the same arithmetic
 * in the same order. Models with other outputs, slabs and wires whose extents are not given, and calls in
 * which anything is wrong, are evaluated once more by way of the host, which has the words for it. */
#include "calc/resident.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "calc/device.h"
#include "calc/results.h"

/* An output that adds an energy which the device has among its own. */
static int is_term(const aim_output *o, aim_dev_step *step)
{
    switch (o->kind) {
    case AIM_OUT_SRCOULOMB:
        step->kind = AIM_DEV_STEP_SR;
        return 1;
    case AIM_OUT_LRCOULOMB:
        step->kind = AIM_DEV_STEP_COULOMB;
        return 1;
    case AIM_OUT_D3TS:
    case AIM_OUT_DFTD3:
        step->kind = AIM_DEV_STEP_D3;
        return 1;
    case AIM_OUT_SRREP:
        step->kind = AIM_DEV_STEP_REPULSION;
        return 1;
    default:
        return 0;
    }
}

/* Slots are written once, so the energy's chain of outputs is found from its end. */
static aim_status energy_recipe(const aim_member *member, aim_dev_caller *to)
{
    const aim_model *m = member->model;
    aim_dev_step atom[AIM_DEV_STEPS], system[AIM_DEV_STEPS];
    int slot = m->energy_slot, o = m->n_outputs - 1, n_atom = 0, n_system = 0;
    for (; o >= 0; o--) {
        const aim_output *out = &m->output[o];
        if (out->out != slot)
            continue;
        if (out->kind == AIM_OUT_MLP)
            break;
        const int per_atom = m->slot[slot].kind == AIM_VALUE_ATOM;
        if (n_atom == AIM_DEV_STEPS || n_system >= AIM_DEV_STEPS - 1)
            return AIMNET_ERR_UNSUPPORTED;
        aim_dev_step step = {.table = out->shift};
        if (out->kind == AIM_OUT_ATOMIC_SUM) {
            slot = out->in;
            continue;
        }
        if (out->kind != AIM_OUT_ATOMIC_SHIFT && !is_term(out, &step))
            return AIMNET_ERR_UNSUPPORTED;
        if (out->kind == AIM_OUT_LRCOULOMB && out->subtract_sr)
            system[n_system++] = (aim_dev_step){.kind = AIM_DEV_STEP_SR};
        if (per_atom)
            atom[n_atom++] = step;
        else
            system[n_system++] = step;
        slot = out->kind == AIM_OUT_ATOMIC_SHIFT ? out->in : out->base;
    }
    if (o < 0 || m->slot[slot].width != 1)
        return AIMNET_ERR_UNSUPPORTED;
    to->head = 0;
    for (int k = 0; k < o; k++)
        to->head += m->output[k].kind == AIM_OUT_MLP;
    to->n_atom_steps = n_atom;
    to->n_system_steps = n_system;
    for (int k = 0; k < n_atom; k++)
        to->atom_step[k] = atom[n_atom - 1 - k];
    for (int k = 0; k < n_system; k++)
        to->system_step[k] = system[n_system - 1 - k];
    return AIMNET_OK;
}

void aim_resident_batch(aim_calc *c)
{
    aim_resident *r = c->resident;
    const aim_batch *b = &c->flat.batch;
    for (int32_t i = 0; i < b->n_atoms; i++)
        r->atom[i] = r->first[c->flat.index[b->system[i]]] + b->origin[i];
    r->member = 0;
}

aim_status aim_resident_job(aim_calc *c, const aim_member *member, aim_dev_job *job)
{
    aim_resident *r = c->resident;
    AIM_TRY(energy_recipe(member, &r->caller));
    r->caller.atom = r->atom;
    r->caller.index = c->flat.index;
    r->caller.volume = r->volume;
    r->caller.member = ++r->member;
    r->caller.farthest = AIM_CALC_FARTHEST;
    r->caller.add_coulomb = member->coulomb;
    r->caller.add_sr = member->coulomb && member->subtract_sr;
    r->caller.add_d3 = member->dispersion;
    r->caller.found = 0;
    /* stresses are divided once, by the last member */
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++)
        r->volume[s] = r->member == c->n_members && job->want_strain
                           ? fabs(aim_det3(c->flat.batch.cell + 9 * (size_t)s))
                           : 0.0;
    job->caller = &r->caller;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- by way of the host */

typedef struct host_arrays {
    float *single;
    double *coord, *energy, *forces, *charges, *spin, *stress;
} host_arrays;

static void place_host(const aim_resident *r, aim_arena *arena, host_arrays *h)
{
    const aim_dev_caller *to = &r->caller;
    const size_t n = (size_t)r->n_atoms, systems = (size_t)r->n_systems;
    h->single = aim_take(arena, "coord", to->coord_single ? 3 * n : 0, sizeof(float));
    h->coord = aim_take(arena, "coord", 3 * n, sizeof(double));
    h->energy = aim_take(arena, "energy", systems, sizeof(double));
    h->forces = aim_take(arena, "forces", to->forces ? 3 * n : 0, sizeof(double));
    h->charges = aim_take(arena, "charges", to->charges ? n : 0, sizeof(double));
    h->spin = aim_take(arena, "spin", to->spin ? n : 0, sizeof(double));
    h->stress = aim_take(arena, "stress", to->stress ? 9 * systems : 0, sizeof(double));
}

static aim_status copy(const aim_calc *c, void *to, const void *from, size_t bytes, void *stream)
{
    aim_dev_error e = {0};
    if (bytes == 0)
        return AIMNET_OK;
    return c->device.ops->copy(c->device.index, to, from, bytes, stream, &e) ? aim_device_error(&e)
                                                                             : AIMNET_OK;
}

static aim_status fetch_positions(const aim_calc *c, const aim_resident *r, const host_arrays *h)
{
    const size_t count = 3 * (size_t)r->n_atoms;
    if (!r->caller.coord_single)
        return copy(c, h->coord, r->caller.coord, count * sizeof(double), r->caller.stream);
    AIM_TRY(copy(c, h->single, r->caller.coord_single, count * sizeof(float), r->caller.stream));
    for (size_t k = 0; k < count; k++)
        h->coord[k] = h->single[k];
    return AIMNET_OK;
}

/* Systems [k, end) of an array with so many numbers per system, or from atom to atom. */
static aim_status send(const aim_calc *c, const aim_resident *r, double *to, const double *from,
                       size_t first, size_t last, size_t width)
{
    return to ? copy(c, to + first * width, from + first * width,
                     (last - first) * width * sizeof(double), r->caller.stream)
              : AIMNET_OK;
}

static aim_status send_results(const aim_calc *c, const aim_resident *r, const host_arrays *h)
{
    const aim_dev_caller *to = &r->caller;
    for (int32_t k = 0, end; k < r->n_systems; k = end) {
        for (end = k; end < r->n_systems && r->results[end].status == AIMNET_OK; end++)
            h->energy[end] = r->results[end].energy;
        if (end == k) { /* a structure that failed: its entries stay */
            end++;
            continue;
        }
        const size_t a = (size_t)r->first[k],
                     b = (size_t)(r->first[end - 1] + r->systems[end - 1].n_atoms);
        AIM_TRY(send(c, r, to->energy, h->energy, (size_t)k, (size_t)end, 1));
        AIM_TRY(send(c, r, to->stress, h->stress, (size_t)k, (size_t)end, 9));
        AIM_TRY(send(c, r, to->forces, h->forces, a, b, 3));
        AIM_TRY(send(c, r, to->charges, h->charges, a, b, 1));
        if (c->member[0].model->n_charge == 2)
            AIM_TRY(send(c, r, to->spin, h->spin, a, b, 1));
    }
    return AIMNET_OK;
}

static aim_status run_on_host(aim_calc *c, aim_resident *r)
{
    aim_arena measure = {0};
    host_arrays h;
    place_host(r, &measure, &h);
    AIM_TRY(aim_arena_reserve(&c->resident_host, &c->alloc, measure.used, "arrays of the caller"));
    place_host(r, &c->resident_host, &h);
    AIM_TRY(fetch_positions(c, r, &h));
    for (int32_t k = 0; k < r->n_systems; k++) {
        const size_t first = (size_t)r->first[k];
        r->systems[k].coord = h.coord + 3 * first;
        r->results[k].forces = r->caller.forces ? h.forces + 3 * first : NULL;
        r->results[k].charges = r->caller.charges ? h.charges + first : NULL;
        r->results[k].spin_charges = r->caller.spin ? h.spin + first : NULL;
        r->results[k].stress = r->caller.stress ? h.stress + 9 * (size_t)k : NULL;
    }
    const aim_status status = aim_calc_run(c, r->systems, r->n_systems, r->results);
    if (status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED)
        return status;
    AIM_TRY(send_results(c, r, &h));
    return status;
}

/* ---------------------------------------------------------------- */

/* Padding has zero results, and no place in a batch. */
static aim_status clear_padding(const aim_calc *c, const aim_resident *r)
{
    int padded = 0;
    for (int32_t k = 0; k < r->n_systems; k++)
        for (int32_t i = 0; i < r->systems[k].n_atoms; i++)
            padded |= r->systems[k].numbers[i] == 0;
    struct {
        double *array;
        size_t width;
    } of[] = {{r->caller.forces, 3}, {r->caller.charges, 1}, {r->caller.spin, 1}};
    for (int k = 0; padded && k < 3; k++) {
        aim_dev_error e = {0};
        if (of[k].array && c->device.ops->clear(c->device.index, of[k].array,
                                                (size_t)r->n_atoms * of[k].width * sizeof(double),
                                                r->caller.stream, &e))
            return aim_device_error(&e);
    }
    return AIMNET_OK;
}

aim_status aim_resident_run(aim_calc *c, aim_resident *r)
{
    if (c->member[0].model->n_charge != 2)
        r->caller.spin = NULL; /* as aimnet_calc_eval: untouched */
    for (int32_t k = 0; k < r->n_systems; k++) {
        memset(&r->results[k], 0, sizeof r->results[k]); /* wishes; nothing is written there */
        r->results[k].forces = r->caller.forces;
        r->results[k].stress = r->caller.stress;
    }
    AIM_TRY(clear_padding(c, r));
    c->resident = r;
    const aim_status status = aim_calc_run(c, r->systems, r->n_systems, r->results);
    c->resident = NULL;
    return status == AIMNET_OK ? status : run_on_host(c, r);
}

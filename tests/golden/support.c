/* SPDX-License-Identifier: MIT */
/* support.c - see support.h. */
#include "full_size.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *take(size_t size)
{
    void *p = calloc(size > 0 ? size : 1, 1);
    if (!p)
        fail_msg("out of memory in the test");
    return p;
}

static molecule molecule_new(int32_t n, const int32_t *numbers, const double *coord)
{
    molecule m = {.n = n};
    m.numbers = take((size_t)n * sizeof *m.numbers);
    m.coord = take((size_t)n * 3 * sizeof *m.coord);
    memcpy(m.numbers, numbers, (size_t)n * sizeof *m.numbers);
    memcpy(m.coord, coord, (size_t)n * 3 * sizeof *m.coord);
    return m;
}

molecule molecule_read(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/molecules/%s.xyz", AIM_SOURCE_DIR, name);
    aimnet_reader *reader = NULL;
    aimnet_frame frame = {0};
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, &frame))
        fail_msg("%s: %s", path, aimnet_last_error());
    molecule m = molecule_new(frame.n_atoms, frame.numbers, frame.coord);
    snprintf(m.name, sizeof m.name, "%s", name);
    m.charge = frame.charge;
    m.mult = frame.mult;
    aimnet_frame_free(&frame);
    aimnet_reader_close(reader);
    return m;
}

molecule molecule_copy(const molecule *m)
{
    molecule c = molecule_new(m->n, m->numbers, m->coord);
    memcpy(c.name, m->name, sizeof c.name);
    c.charge = m->charge;
    c.mult = m->mult;
    return c;
}

void molecule_free(molecule *m)
{
    free(m->numbers);
    free(m->coord);
    *m = (molecule){0};
}

aimnet_system molecule_system(const molecule *m)
{
    return (aimnet_system){.n_atoms = m->n,
                           .numbers = m->numbers,
                           .coord = m->coord,
                           .charge = m->charge,
                           .mult = m->mult};
}

evaluation evaluation_create(int32_t n, int spin)
{
    size_t k = (size_t)n;
    evaluation e = {.n = n};
    e.block = take((9 + 9 * k) * sizeof(double));
    e.r.dipole = e.block;
    e.r.quadrupole = e.block + 3;
    e.r.forces = e.block + 9;
    e.r.charges = e.r.forces + 3 * k;
    e.r.spin_charges = spin ? e.r.charges + k : NULL;
    e.r.forces_std = e.r.charges + 2 * k;
    e.r.charges_std = e.r.forces_std + 3 * k;
    return e;
}

void evaluation_free(evaluation *e)
{
    free(e->block);
    *e = (evaluation){0};
}

aimnet_status evaluate(aimnet_calc *calc, const molecule *const *mols, int n, evaluation *out)
{
    aimnet_system *systems = take((size_t)n * sizeof *systems);
    aimnet_result *results = take((size_t)n * sizeof *results);
    for (int i = 0; i < n; i++) {
        systems[i] = molecule_system(mols[i]);
        results[i] = out[i].r;
    }
    aimnet_status status = aimnet_calc_eval(calc, systems, n, results);
    for (int i = 0; i < n; i++)
        out[i].r = results[i];
    free(systems);
    free(results);
    return status;
}

void evaluate_ok(aimnet_calc *calc, const molecule *const *mols, int n, evaluation *out)
{
    aimnet_status status = evaluate(calc, mols, n, out);
    for (int i = 0; i < n; i++)
        if (out[i].r.status)
            fail_msg("%s: %s", mols[i]->name, out[i].r.message);
    if (status)
        fail_msg("%s", aimnet_last_error());
}

int same_bits(const evaluation *a, const evaluation *b)
{
    size_t k = (size_t)a->n;
    return a->n == b->n && memcmp(&a->r.energy, &b->r.energy, sizeof(double)) == 0 &&
           memcmp(&a->r.energy_network, &b->r.energy_network, sizeof(double)) == 0 &&
           memcmp(&a->r.energy_coulomb, &b->r.energy_coulomb, sizeof(double)) == 0 &&
           memcmp(&a->r.energy_dispersion, &b->r.energy_dispersion, sizeof(double)) == 0 &&
           memcmp(a->block, b->block, (9 + 5 * k) * sizeof(double)) == 0;
}

aimnet_model *model_open(const char *path)
{
    char full[512];
    aimnet_model *model = NULL;
    if (path && strcmp(path, "full_size") == 0) {
        size_t size = 0;
        unsigned char *data = full_size_model(AIM_SOURCE_DIR "/tests/golden", &size);
        if (!data || aimnet_model_load_memory(data, size, path, NULL, &model))
            fail_msg("%s", aimnet_last_error());
        free(data);
        return model;
    }
    if (path && strcmp(path, "default") != 0) {
        snprintf(full, sizeof full, "%s/%s", AIM_SOURCE_DIR, path);
        path = full;
    }
    if (aimnet_model_load(path, NULL, &model))
        fail_msg("%s", aimnet_last_error());
    return model;
}

aimnet_calc *calc_open(aimnet_model *model, const aimnet_options *options)
{
    aimnet_calc *calc = NULL;
    aimnet_options own = options ? *options : aimnet_options_default();
    if (getenv("AIMNET_TEST_DEVICE")) /* tests/cuda: the same tests on a GPU */
        own.device = getenv("AIMNET_TEST_DEVICE");
    if (aimnet_calc_create(&model, 1, &own, &calc))
        fail_msg("%s", aimnet_last_error());
    return calc;
}

uint64_t next_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

double next_unit(uint64_t *state)
{
    return (double)(next_u64(state) >> 11) * 0x1p-53;
}

void random_rotation(uint64_t *state, double r[9])
{
    double q[4], norm = 0.0;
    for (int i = 0; i < 4; i++) {
        q[i] = next_unit(state) - 0.5;
        norm += q[i] * q[i];
    }
    for (int i = 0; i < 4; i++)
        q[i] /= sqrt(norm);
    double w = q[0], x = q[1], y = q[2], z = q[3];
    double m[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - z * w),     2 * (x * z + y * w),
                   2 * (x * y + z * w),     1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
                   2 * (x * z - y * w),     2 * (y * z + x * w),     1 - 2 * (x * x + y * y)};
    memcpy(r, m, sizeof m);
}

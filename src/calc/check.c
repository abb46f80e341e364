/* SPDX-License-Identifier: MIT */
/* check.c - whether one structure can be evaluated, and what the user should know about it.
 *
 * Rules: PRODUCT conventions. Errors name the atoms; they belong to the structure, never to the
 * call. Overlap (closer than 0.1 A) is looked for before any list is built, by a sweep along the
 * longest extent, so that a heap of coincident atoms cannot make a list explode; images of periodic
 * systems are checked on the list. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec3.h"
#include "calc/blocks.h"
#include "calc/tangent.h"
#include "data/element.h"

static const double OVERLAP = 0.1; /* A */

static const char *symbol(int32_t z)
{
    const char *s = z > 0 ? aim_element_symbol(z) : NULL;
    return s ? s : "?";
}

AIM_PRINTF(3, 4) static void warn(char *warnings, size_t capacity, const char *format, ...)
{
    const size_t used = strlen(warnings);
    if (used + 2 >= capacity)
        return;
    if (used)
        warnings[used] = '\n';
    va_list list;
    va_start(list, format);
    vsnprintf(warnings + used + (used > 0), capacity - used - (used > 0), format, list);
    va_end(list);
}

/* Whether a structure's atoms can be evaluated, how many are none of padding, and their nuclear
 * charges: of blocks, which add up without rounding. */
typedef struct census {
    const aimnet_system *s;
    const unsigned char *knows;
    struct {
        int wrong;
        int64_t real_atoms, nuclear;
    } block[AIM_BLOCKS];
} census;

static void count_block(void *ctx, int block, size_t first, size_t last)
{
    census *all = ctx;
    const aimnet_system *s = all->s;
    int wrong = 0;
    int64_t real_atoms = 0, nuclear = 0;
    for (size_t i = first; i < last; i++) {
        const int32_t z = s->numbers[i];
        wrong |= z < 0 || z >= AIM_MAX_SPECIES || (z != 0 && !all->knows[z]);
        for (int d = 0; d < 3 && s->coord; d++)
            wrong |= z != 0 && !(fabs(s->coord[3 * i + (size_t)d]) <= AIM_CALC_FARTHEST);
        real_atoms += z != 0;
        nuclear += z;
    }
    all->block[block].wrong = wrong;
    all->block[block].real_atoms = real_atoms;
    all->block[block].nuclear = nuclear;
}

/* 0: some atom is wrong. */
static int count_atoms(const aim_calc *c, const aimnet_system *s, int64_t *real_atoms,
                       int64_t *nuclear)
{
    census all;
    const size_t n = (size_t)s->n_atoms;
    int wrong = 0;
    all.s = s;
    all.knows = c->knows;
    aim_blocks_run(c->team, n, count_block, &all);
    *real_atoms = *nuclear = 0;
    for (int k = 0; k < aim_blocks_count(n); k++) {
        wrong |= all.block[k].wrong;
        *real_atoms += all.block[k].real_atoms;
        *nuclear += all.block[k].nuclear;
    }
    return !wrong;
}

/* The error of the first atom that is wrong. */
static aim_status name_wrong_atom(const aim_calc *c, const aimnet_system *s)
{
    for (int32_t i = 0; i < s->n_atoms; i++) {
        const int32_t z = s->numbers[i];
        if (z == 0)
            continue;
        if (z < 0 || z >= AIM_MAX_SPECIES)
            return AIM_FAIL(AIMNET_ERR_SYSTEM, "atom %d has atomic number %d: expected 1..118",
                            (int)i, (int)z);
        for (int m = 0; m < c->n_members; m++)
            if (!c->member[m].model->implemented[z])
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "atom %d is %s (Z = %d), which model '%s' does not support: choose "
                                "a model that covers it",
                                (int)i, symbol(z), (int)z, c->member[m].model->name);
        for (int d = 0; d < 3 && s->coord; d++) {
            const double x = s->coord[3 * i + d];
            if (!isfinite(x))
                return AIM_FAIL(AIMNET_ERR_SYSTEM, "coordinate %c of atom %d (%s) is not finite",
                                "xyz"[d], (int)i, symbol(z));
            if (fabs(x) > AIM_CALC_FARTHEST)
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "coordinate %c of atom %d (%s) is %g A: expected at most %g",
                                "xyz"[d], (int)i, symbol(z), x, AIM_CALC_FARTHEST);
        }
    }
    return AIM_FAIL(AIMNET_ERR_SYSTEM, "the structure has no atoms");
}

static aim_status check_atoms(const aim_calc *c, const aimnet_system *s, int64_t *real_atoms,
                              int64_t *nuclear)
{
    if (!count_atoms(c, s, real_atoms, nuclear))
        return name_wrong_atom(c, s);
    if (s->lists && *real_atoms > 0 && *real_atoms < s->n_atoms)
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "neighbour lists refer to all %d atoms, but %d of them are padding: leave "
                        "the padding out, or the lists",
                        (int)s->n_atoms, (int)(s->n_atoms - *real_atoms));
    return *real_atoms ? AIMNET_OK : AIM_FAIL(AIMNET_ERR_SYSTEM, "the structure has no atoms");
}

enum { ALL_PAIRS = 128, SHORT_SWEEP = 512 };

static aim_status overlap_error(const aimnet_system *s, int32_t i, int32_t j, double d)
{
    return AIM_FAIL(AIMNET_ERR_SYSTEM,
                    "atoms %d (%s) and %d (%s) overlap: %.3g A apart, expected at least %g",
                    (int)(i < j ? i : j), symbol(s->numbers[i < j ? i : j]), (int)(i < j ? j : i),
                    symbol(s->numbers[i < j ? j : i]), d, OVERLAP);
}

static double pair_distance(const aimnet_system *s, int32_t i, int32_t j)
{
    const double r[3] = {s->coord[3 * i] - s->coord[3 * j],
                         s->coord[3 * i + 1] - s->coord[3 * j + 1],
                         s->coord[3 * i + 2] - s->coord[3 * j + 2]};
    return aim_norm3(r);
}

typedef struct sweep_key {
    double x;
    int32_t atom;
} sweep_key;

static int compare_keys(const void *a, const void *b)
{
    const sweep_key *x = a, *y = b;
    if (x->x != y->x)
        return x->x < y->x ? -1 : 1;
    return x->atom < y->atom ? -1 : x->atom > y->atom;
}

static int longest_axis(const aimnet_system *s)
{
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int32_t i = 0; i < s->n_atoms; i++)
        for (int d = 0; d < 3 && s->numbers[i]; d++) {
            low[d] = fmin(low[d], s->coord[3 * i + d]);
            high[d] = fmax(high[d], s->coord[3 * i + d]);
        }
    int axis = 0;
    for (int d = 1; d < 3; d++)
        if (high[d] - low[d] > high[axis] - low[axis])
            axis = d;
    return axis;
}

static aim_status sweep(const aimnet_system *s, sweep_key *key)
{
    const int axis = longest_axis(s);
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_atoms; i++)
        if (s->numbers[i])
            key[n++] = (sweep_key){s->coord[3 * i + axis], i};
    qsort(key, (size_t)n, sizeof *key, compare_keys);
    for (int32_t a = 0; a < n; a++)
        for (int32_t b = a + 1; b < n && key[b].x - key[a].x < OVERLAP; b++) {
            const double d = pair_distance(s, key[a].atom, key[b].atom);
            if (d < OVERLAP)
                return overlap_error(s, key[a].atom, key[b].atom, d);
        }
    return AIMNET_OK;
}

/* All pairs of a small structure: first whether any is close, in a loop that vectorises. */
static aim_status compare_all(const aimnet_system *s)
{
    double x[ALL_PAIRS], y[ALL_PAIRS], z[ALL_PAIRS];
    int32_t atom[ALL_PAIRS], n = 0;
    for (int32_t i = 0; i < s->n_atoms; i++)
        if (s->numbers[i]) {
            x[n] = s->coord[3 * i];
            y[n] = s->coord[3 * i + 1];
            z[n] = s->coord[3 * i + 2];
            atom[n++] = i;
        }
    for (int32_t i = 0; i < n; i++) {
        double excess = 0.0; /* sum of what no pair may have: zero exactly if all are apart */
        for (int32_t j = i + 1; j < n; j++) {
            const double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
            const double gap = dx * dx + dy * dy + dz * dz - 1.01 * OVERLAP * OVERLAP;
            excess += gap < 0.0 ? 1.0 : 0.0;
        }
        for (int32_t j = i + 1; j < n && excess > 0.0; j++)
            if (pair_distance(s, atom[i], atom[j]) < OVERLAP)
                return overlap_error(s, atom[i], atom[j], pair_distance(s, atom[i], atom[j]));
    }
    return AIMNET_OK;
}

aim_status aim_check_overlap(const aim_calc *c, const aimnet_system *s)
{
    if (s->n_atoms <= ALL_PAIRS)
        return compare_all(s);
    sweep_key few[SHORT_SWEEP], *key;
    if (s->n_atoms <= SHORT_SWEEP)
        return sweep(s, few);
    AIM_TRY(aim_new(&c->alloc, (size_t)s->n_atoms, sizeof *key, "overlap check", &key));
    const aim_status status = sweep(s, key);
    aim_free(&c->alloc, key);
    return status;
}

static aim_status check_charge(const aim_calc *c, const aimnet_system *s, double nuclear,
                               char *warnings, size_t capacity)
{
    if (!isfinite(s->charge) || fabs(s->charge) > nuclear)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "charge %.10g is impossible: the nuclei add up to %g",
                        s->charge, nuclear);
    const double mult = s->mult == 0 ? 1.0 : s->mult, electrons = nuclear - s->charge;
    if (!isfinite(mult) || mult < 1.0)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "multiplicity %g is impossible: expected 1 or more",
                        s->mult);
    const int whole = floor(s->charge) == s->charge;
    const int parity_fits = whole && fmod(electrons - (mult - 1.0), 2.0) == 0.0;
    if (!whole)
        warn(warnings, capacity, "charge %g is not a whole number", s->charge);
    int open_shell = 0, closed_shell = 0;
    for (int m = 0; m < c->n_members; m++) {
        const aim_model *model = c->member[m].model;
        *(model->n_charge == 2 ? &open_shell : &closed_shell) = 1;
        if (model->supports_charged == 0 && s->charge != 0)
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "charge %g: model '%s' (family %s) is for neutral systems only",
                            s->charge, model->name, model->family);
    }
    if (open_shell && ((whole && !parity_fits) || mult - 1.0 > electrons))
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "multiplicity %g does not fit %g electrons: expected %s multiplicity", mult,
                        electrons, fmod(electrons, 2.0) == 0.0 ? "an odd" : "an even");
    if (closed_shell && mult != 1.0)
        warn(warnings, capacity, "multiplicity %g is ignored: the model is for closed shells",
             mult);
    else if (closed_shell && whole && fmod(electrons, 2.0) != 0.0)
        warn(warnings, capacity, "odd number of electrons (%g): the model is for closed shells",
             electrons);
    return AIMNET_OK;
}

/* Who wants sums over wave vectors: Ewald, PME, or AIMNET_COULOMB_SIMPLE if nobody does. */
typedef struct aim_waves_wish {
    int method;
    const char *model; /* that embeds them; NULL: attached, and another method may be chosen */
} aim_waves_wish;

static aim_waves_wish find_waves(const aim_calc *c)
{
    for (int m = 0; m < c->n_members; m++) {
        const aim_model *model = c->member[m].model;
        if (c->member[m].coulomb && aim_calc_has_waves((int)c->options.coulomb))
            return (aim_waves_wish){(int)c->options.coulomb, NULL};
        for (int o = 0; o < model->n_outputs; o++)
            if (model->output[o].kind == AIM_OUT_LRCOULOMB &&
                aim_calc_has_waves(model->output[o].method))
                return (aim_waves_wish){model->output[o].method, model->name};
    }
    return (aim_waves_wish){AIMNET_COULOMB_SIMPLE, NULL};
}

/* Sums over wave vectors know crystals only. */
static aim_status check_waves(const aim_waves_wish *wish, const aimnet_system *s)
{
    if (wish->method == AIMNET_COULOMB_SIMPLE || (s->cell && s->pbc[0] && s->pbc[1] && s->pbc[2]))
        return AIMNET_OK;
    const char *name = wish->method == AIMNET_COULOMB_PME ? "PME" : "Ewald summation";
    if (wish->model)
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "model '%s' embeds %s, which needs a system that is periodic along all "
                        "three axes: use another model for slabs, wires and molecules",
                        wish->model, name);
    return AIM_FAIL(AIMNET_ERR_SYSTEM,
                    "%s needs a system that is periodic along all three axes: use DSF for "
                    "slabs, wires and molecules",
                    name);
}

/* A cell too small for its atoms, whose list would hold every image within the cutoff. No lattice
 * has a longer shortest vector than the triangular one of the same area, and no points lie farther
 * apart than those of the densest packing. Cells without a volume are the list's to name. */
static aim_status check_room(const aimnet_system *s, int64_t n_atoms)
{
    const double *a[3] = {s->cell, s->cell, s->cell};
    double normal[3] = {0.0, 0.0, 0.0}, gap;
    int n = 0;
    for (int v = 0; v < 3; v++)
        if (s->pbc[v])
            a[n++] = s->cell + 3 * v;
    if (n == 2)
        aim_cross3(a[0], a[1], normal);
    if (n == 3)
        gap = cbrt(sqrt(2.0) * fabs(aim_det3(s->cell)) / (double)n_atoms);
    else
        gap = n == 2 ? sqrt(2.0 / sqrt(3.0) * aim_norm3(normal)) : aim_norm3(a[0]);
    if (gap > 0.0 && gap < OVERLAP)
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "the cell is too small: its atoms overlap with their images, %.3g A apart "
                        "or less, expected at least %g",
                        gap, OVERLAP);
    return AIMNET_OK;
}

/* Distance of the lattice planes, lines or points that periodic axis v crosses. */
static double plane_distance(const aimnet_system *s, int v)
{
    const double *a = s->cell + 3 * v, *b = s->cell + 3 * ((v + 1) % 3),
                 *c = s->cell + 3 * ((v + 2) % 3);
    const int by_b = s->pbc[(v + 1) % 3], by_c = s->pbc[(v + 2) % 3];
    double normal[3];
    if (by_b && by_c) {
        aim_cross3(b, c, normal);
        return fabs(aim_det3(s->cell)) / aim_norm3(normal);
    }
    if (!by_b && !by_c)
        return aim_norm3(a);
    aim_cross3(a, by_b ? b : c, normal);
    return aim_norm3(normal) / aim_norm3(by_b ? b : c);
}

/* A card's lists have a byte for the image along each axis. */
static aim_status check_images(const aim_calc *c, const aimnet_system *s)
{
    static const double LEAST_REACH = 15.0, MOST_IMAGES = 125.0;
    double reach = fmax(LEAST_REACH, fmax(c->options.coulomb_cutoff, c->options.d3_cutoff));
    reach = isfinite(reach) ? reach : LEAST_REACH;
    for (int v = 0; c->device.card && !s->lists && v < 3; v++) {
        const double distance = s->pbc[v] ? plane_distance(s, v) : INFINITY;
        if (distance < reach / MOST_IMAGES)
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "the cell is too skewed for a GPU: it repeats every %.3g A along axis "
                            "%c, expected at least %.3g A: use an equivalent cell with shorter "
                            "vectors, or the CPU",
                            distance, "abc"[v], reach / MOST_IMAGES);
    }
    return AIMNET_OK;
}

static aim_status check_cell(const aim_calc *c, const aimnet_system *s, int64_t n_atoms,
                             const aimnet_result *r)
{
    const int periodic = s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
    const aim_waves_wish waves = find_waves(c);
    const int needs_volume = r->stress || aim_calc_has_waves(waves.method);
    AIM_TRY(check_waves(&waves, s));
    if (r->stress && !periodic)
        return AIM_FAIL(
            AIMNET_ERR_SYSTEM,
            "stress needs a periodic cell: give the cell (Lattice in extended XYZ) and pbc");
    if (!periodic)
        return AIMNET_OK;
    double scale = 1.0;
    for (int v = 0; v < 3; v++) {
        const double length = aim_norm3(s->cell + 3 * v);
        if (!isfinite(length))
            return AIM_FAIL(AIMNET_ERR_SYSTEM, "cell vector %c is not finite", "abc"[v]);
        if (length == 0 && (s->pbc[v] || r->stress))
            return AIM_FAIL(AIMNET_ERR_SYSTEM, "cell vector %c is zero, but %s", "abc"[v],
                            s -> pbc[v] ? "its axis is periodic" : "stress needs three");
        scale *= length > 0 ? length : 1.0;
    }
    if (needs_volume && fabs(aim_det3(s->cell)) < 1e-9 * scale)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "the cell is singular: its vectors lie in a plane");
    AIM_TRY(check_room(s, n_atoms));
    AIM_TRY(check_images(c, s));
    for (int m = 0; m < c->n_members; m++)
        for (int o = 0; o < c->member[m].model->n_outputs; o++)
            if (c->member[m].model->output[o].kind == AIM_OUT_LRCOULOMB &&
                c->member[m].model->output[o].method == AIMNET_COULOMB_SIMPLE)
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "model '%s' embeds a Coulomb sum over all pairs, which a periodic "
                                "system does not have",
                                c->member[m].model->name);
    return AIMNET_OK;
}

aim_status aim_check_system(const aim_calc *c, const aimnet_system *s, const aimnet_result *r,
                            char *warnings, size_t capacity)
{
    const int needs_coord = !c->resident;
    if (s->n_atoms < 0 || (s->n_atoms > 0 && (!s->numbers || (needs_coord && !s->coord))))
        return AIM_FAIL(AIMNET_ERR_ARG, "a structure of %d atoms needs numbers and coord",
                        (int)s->n_atoms);
    int64_t real_atoms, nuclear;
    AIM_TRY(check_atoms(c, s, &real_atoms, &nuclear));
    AIM_TRY(check_charge(c, s, (double)nuclear, warnings, capacity));
    AIM_TRY(check_cell(c, s, real_atoms, r));
    const int later = c->resident || (aim_device_defers_overlap(c) && !s->lists);
    return later ? AIMNET_OK : aim_check_overlap(c, s);
}

int aim_check_allocates(const aimnet_system *s)
{
    return s->n_atoms > SHORT_SWEEP;
}

aim_status aim_check_images(const aim_batch *b, const aim_pairs *pairs, int32_t system)
{
    for (int32_t i = b->offset[system]; i < b->offset[system + 1]; i++)
        for (int64_t p = pairs->row[i]; p < pairs->row[i + 1]; p++) {
            double r[3];
            aim_pair_vector(b, pairs, i, p, r);
            const double d = aim_norm3(r);
            if (!(d >= OVERLAP)) {
                const int32_t j = pairs->j[p], *shift = pairs->shift ? pairs->shift[p] : NULL;
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "atoms %d (%s) and %d (%s) overlap%s: %.3g A apart, expected at "
                                "least %g",
                                (int)b->origin[i], symbol(b->numbers[i]), (int)b->origin[j],
                                symbol(b->numbers[j]),
                                shift && (shift[0] || shift[1] || shift[2]) ? " through the cell"
                                                                            : "",
                                d, OVERLAP);
            }
        }
    return AIMNET_OK;
}

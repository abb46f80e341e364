/* SPDX-License-Identifier: MIT */
/* place.c - decides how every system is searched and puts its atoms in search order.
 *
 * All-pairs search (one cell): molecules up to nb_threshold atoms, and wherever an estimate of the
 * work finds it faster. Everything else is sorted into a grid whose cells are as wide as the
 * cutoff, half or a third of it, periodic directions being cut into whole cells of the frame of
 * lattice.h, the others from the lowest to the highest atom. A grid with more cells than atoms is
 * hashed, so that memory and time are O(atoms) for any shape: one molecule in a huge box, or two
 * molecules a kilometre apart.
 *
 * Rounding. The positions as given decide (aim_exact_distance2), the search only proposes; so
 * `slack` bounds by how much a distance may differ between wrapped and given positions, and the
 * search radius is the cutoff plus that. */
#include "nlist/search.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/vec3.h"

enum { ATOMS_PER_TASK = 2048, MAX_CELLS_PER_AXIS = 1 << 20, MOST_PARTS = 4 };

/* Relative times of the search, measured: the distance of an atom to a candidate, sorting a
 * candidate of a group, visiting an atom, and visiting a stretch of cells for a group. Clusters are
 * filtered by each term and several times. */
static const double COST_FILTER = 1.0, COST_SWEEPS = 8.0, COST_SORT = 16.0, COST_VISIT = 6.0,
                    COST_STRETCH = 60.0;
static const double PI = 3.14159265358979323846;

typedef struct extent {
    double low[3], high[3], largest; /* Angstrom; largest |component| */
} extent;

aim_status aim_nlist_reserve(const aim_alloc *alloc, void *block, int64_t *capacity, int64_t need,
                             size_t size, const char *what)
{
    if (need <= *capacity)
        return AIMNET_OK;
    void *old;
    memcpy(&old, block, sizeof old);
    aim_free(alloc, old);
    *capacity = 0;
    AIM_TRY(aim_new(alloc, (size_t)need, size, what, block));
    *capacity = need;
    return AIMNET_OK;
}

static aim_status name_bad_atom(const aim_batch *b, int32_t s)
{
    for (int32_t a = b->offset[s]; a < b->offset[s + 1]; a++)
        for (int d = 0; d < 3; d++)
            if (!(fabs(b->coord[3 * (size_t)a + (size_t)d]) <= AIM_NLIST_FARTHEST))
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "system %d: coordinate %c of atom %d is %g; it must be a number of "
                                "at most %g A "
                                "(wrap the atoms into the cell, or correct the input)",
                                s, "xyz"[d], b -> origin ? b -> origin[a] : a - b -> offset[s],
                                b -> coord[3 * (size_t)a + (size_t)d], AIM_NLIST_FARTHEST);
    return AIM_FAIL(AIMNET_ERR_INTERNAL, "system %d: no bad coordinate found", s);
}

static aim_status survey(const aim_batch *b, int32_t s, extent *e)
{
    const double *x = b->coord + 3 * (size_t)b->offset[s];
    const size_t n = (size_t)(b->offset[s + 1] - b->offset[s]);
    int bad = 0;
    for (int d = 0; d < 3; d++)
        e->low[d] = e->high[d] = n ? x[d] : 0.0;
    for (size_t a = 0; a < n; a++) {
        for (int d = 0; d < 3; d++) {
            const double v = x[3 * a + (size_t)d];
            bad |= !(fabs(v) <= AIM_NLIST_FARTHEST);
            e->low[d] = v < e->low[d] ? v : e->low[d];
            e->high[d] = v > e->high[d] ? v : e->high[d];
        }
    }
    if (bad)
        return name_bad_atom(b, s);
    e->largest = 0.0;
    for (int d = 0; d < 3; d++)
        e->largest = fmax(e->largest, fmax(-e->low[d], e->high[d]));
    return AIMNET_OK;
}

/* How much a distance may change by rounding when atoms are wrapped and images taken. */
static aim_status set_slack(aim_nlist_plan *p, const double *cell, double cutoff, const extent *e,
                            int32_t s)
{
    const aim_lattice *l = &p->lattice;
    double magnitude = 2.0 * e->largest, shift = 0.0;
    for (int d = 0; d < 3; d++) {
        if (!l->periodic[d])
            continue;
        const double wraps = 2.0 * e->largest / l->height[d], images = cutoff / l->height[d];
        if (!(images <= AIM_MAX_REACH - 2))
            return AIM_FAIL(
                AIMNET_ERR_SYSTEM,
                "system %d: a cutoff of %g A reaches over %.3g images of a cell with planes %g A "
                "apart; at most %d are possible: use a larger cell or a smaller cutoff",
                s, cutoff, images, l->height[d], AIM_MAX_REACH - 2);
        const int32_t *u = l->u + 3 * d;
        shift += wraps * fmax(abs(u[0]), fmax(abs(u[1]), abs(u[2])));
        for (int k = 0; k < 3; k++)
            magnitude += (wraps + images + 3.0) * abs(u[k]) * aim_norm3(cell + 3 * k);
    }
    if (!(shift < AIM_NLIST_MOST_SHIFT))
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "system %d: atoms up to %g A from the origin are too many cells away; wrap "
                        "them into the "
                        "cell first",
                        s, e->largest);
    p->slack = 64.0 * DBL_EPSILON * (magnitude + cutoff);
    p->range = cutoff + p->slack;
    return AIMNET_OK;
}

/* Range of the fractional coordinates along the directions that are not periodic. */
static void fraction_extent(const aim_nlist_plan *p, const double *coord, extent *e)
{
    const aim_lattice *l = &p->lattice;
    for (int d = 0; d < 3; d++) {
        if (l->periodic[d]) {
            e->low[d] = 0.0;
            e->high[d] = 1.0;
            continue;
        }
        const double column[3] = {l->inverse[d], l->inverse[3 + d], l->inverse[6 + d]};
        e->low[d] = DBL_MAX;
        e->high[d] = -DBL_MAX;
        for (int32_t a = p->first; a < p->first + p->count; a++) {
            const double f = aim_dot3(coord + 3 * (size_t)a, column);
            e->low[d] = fmin(e->low[d], f);
            e->high[d] = fmax(e->high[d], f);
        }
    }
}

static void set_grid(aim_nlist_plan *p, const extent *e, double width)
{
    const aim_lattice *l = &p->lattice;
    p->n_cells = 1;
    for (int d = 0; d < 3; d++) {
        const double length = (e->high[d] - e->low[d]) * l->height[d];
        const double wanted = floor(length / width) + (l->periodic[d] ? 0.0 : 1.0);
        p->n[d] = (int32_t)fmax(1.0, fmin(wanted, MAX_CELLS_PER_AXIS));
        const double step = l->periodic[d] ? length / p->n[d] : fmax(width, length / p->n[d]);
        p->low[d] = e->low[d];
        p->scale[d] = l->height[d] / step;
        p->reach[d] = (int32_t)fmin(ceil(p->range / step + 1e-6), 2.0 * AIM_MAX_REACH);
        if (!l->periodic[d] && p->reach[d] > p->n[d] - 1)
            p->reach[d] = p->n[d] - 1;
        p->n_cells *= p->n[d];
    }
}

static void set_one_cell(aim_nlist_plan *p)
{
    p->n_cells = 1;
    for (int d = 0; d < 3; d++) {
        p->n[d] = 1;
        p->low[d] = 0.0;
        p->scale[d] = 1.0;
        p->reach[d] =
            p->lattice.periodic[d] ? (int32_t)ceil(p->range / p->lattice.height[d] + 1e-6) : 0;
    }
}

/* Expected time of a search with the cells of the plan, for atoms spread evenly over the volume. */
static double cost_of(const aim_nlist_plan *p, const extent *e, double filter)
{
    const double r = p->range, n = p->count;
    double visited = n, edge = 1.0, stretches = 1.0;
    for (int d = 0; d < 3; d++) {
        const double cells = p->n[d], seen = 2.0 * p->reach[d] + 1.0;
        const double length = (e->high[d] - e->low[d]) * p->lattice.height[d];
        visited *= p->lattice.periodic[d] ? seen / cells : fmin(seen, cells) / cells;
        edge *= fmax(length, 1e-3 * r) / cells;
        stretches *= d < 2 ? seen : 1.0 + floor(seen / cells);
    }
    const double volume = edge * (double)p->n_cells, density = n / volume;
    edge = cbrt(edge);
    const double groups = fmin(n, fmax((double)p->n_cells, ceil(n / AIM_GROUP_ATOMS)));
    const double near = edge * edge * edge + 6.0 * edge * edge * r + 3.0 * PI * edge * r * r +
                        4.0 / 3.0 * PI * r * r * r;
    const double candidates = fmin(visited, density * near);
    return groups * (stretches * COST_STRETCH + visited * COST_VISIT + candidates * COST_SORT) +
           n * candidates * filter;
}

/* The fastest of one cell and cells as wide as the range, half of it, a third of it ... */
static void choose_grid(aim_nlist_plan *p, const extent *e, aim_nlist_algorithm algorithm,
                        double filter)
{
    set_one_cell(p);
    double best = algorithm == AIM_CELL_LIST ? INFINITY : cost_of(p, e, filter);
    int parts = 0;
    for (int k = 1; k <= MOST_PARTS; k++) {
        set_grid(p, e, p->range / k);
        const double cost = cost_of(p, e, filter);
        if (cost < best) {
            best = cost;
            parts = k;
        }
    }
    if (parts > 0)
        set_grid(p, e, p->range / parts);
    p->grid = parts > 0 && (p->n_cells > 1 || algorithm == AIM_CELL_LIST);
    if (!p->grid)
        set_one_cell(p);
}

static void choose_buckets(aim_nlist_plan *p)
{
    int bits = 4;
    p->n_buckets = p->n_cells;
    if (p->n_cells <= 2 * (int64_t)p->count + 64)
        return;
    while ((INT64_C(1) << bits) < 2 * (int64_t)p->count)
        bits++;
    p->n_buckets = INT64_C(1) << bits;
    p->hash_shift = 64 - bits;
}

static aim_status plan_system(aim_nlist *n, int32_t s, int nb_threshold,
                              aim_nlist_algorithm algorithm)
{
    static const int32_t open[3] = {0, 0, 0};
    const aim_batch *b = n->batch;
    aim_nlist_plan *p = n->plan + s;
    extent e;
    p->first = b->offset[s];
    p->count = b->offset[s + 1] - p->first;
    p->grid = 0;
    AIM_TRY(survey(b, s, &e));
    const double *cell = b->cell ? b->cell + 9 * (size_t)s : NULL;
    if (aim_lattice_set(&p->lattice, cell, b->pbc ? b->pbc + 3 * (size_t)s : open) != AIMNET_OK)
        return aim_fail_prefix(AIMNET_ERR_SYSTEM, "system %d", s);
    double cutoff = n->cutoff[n->widest];
    if (!p->lattice.any) /* a cutoff that covers everything, perhaps infinite */
        cutoff = fmin(cutoff, 8.0 * e.largest + 1.0);
    AIM_TRY(set_slack(p, cell, cutoff, &e, s));
    n->any_periodic |= p->lattice.any;
    if (algorithm == AIM_ALL_PAIRS ||
        (algorithm == AIM_ANY && !p->lattice.any && p->count <= nb_threshold)) {
        set_one_cell(p);
        return AIMNET_OK;
    }
    if (p->lattice.any)
        fraction_extent(p, b->coord, &e);
    choose_grid(p, &e, algorithm, n->clusters ? COST_SWEEPS : COST_FILTER);
    n->any_grid |= p->grid;
    choose_buckets(p);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- atoms into slots */

static int64_t bucket_of(const aim_nlist_plan *p, int64_t cell)
{
    return p->n_buckets == p->n_cells
               ? cell
               : (int64_t)(((uint64_t)cell * AIM_HASH_FACTOR) >> p->hash_shift);
}

static int64_t cell_of(const aim_nlist_plan *p, const double fraction[3])
{
    int64_t cell = 0;
    for (int d = 0; d < 3; d++) {
        const double position = (fraction[d] - p->low[d]) * p->scale[d];
        int32_t k = position > 0.0 ? (int32_t)fmin(position, (double)p->n[d]) : 0;
        k = k < p->n[d] ? k : p->n[d] - 1;
        cell = cell * p->n[d] + k;
    }
    return cell;
}

static void find_cells(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    const aim_batch *b = n->batch;
    const int64_t end =
        (task + 1) * ATOMS_PER_TASK < b->n_atoms ? (task + 1) * ATOMS_PER_TASK : b->n_atoms;
    for (int64_t a = task * ATOMS_PER_TASK; a < end; a++) {
        const aim_nlist_plan *p = n->plan + b->system[a];
        double w[3], inside[3], fraction[3];
        if (!p->grid)
            continue;
        if (p->lattice.any)
            aim_lattice_wrap(&p->lattice, b->coord + 3 * a, w, inside, fraction);
        else
            memcpy(fraction, b->coord + 3 * a, sizeof fraction);
        n->cell_of_atom[a] = cell_of(p, fraction);
    }
}

/* Within a bucket that several cells share: by cell, batch order kept. */
static void order_bucket(aim_nlist *n, int32_t *atom, int32_t count)
{
    for (int32_t k = 1; k < count; k++) {
        const int32_t a = atom[k];
        int32_t m = k;
        for (; m > 0 && n->cell_of_atom[atom[m - 1]] > n->cell_of_atom[a]; m--)
            atom[m] = atom[m - 1];
        atom[m] = a;
    }
}

static void sort_system(void *ctx, int64_t s, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    const aim_nlist_plan *p = n->plan + s;
    if (!p->grid)
        return;
    int32_t *atom = n->atom + p->first;
    int32_t *start = n->bucket + p->first_bucket;
    memset(start, 0, (size_t)(p->n_buckets + 1) * sizeof *start);
    for (int32_t a = p->first; a < p->first + p->count; a++)
        start[bucket_of(p, n->cell_of_atom[a]) + 1]++;
    for (int64_t k = 0; k < p->n_buckets; k++)
        start[k + 1] += start[k];
    for (int32_t a = p->first; a < p->first + p->count; a++)
        atom[start[bucket_of(p, n->cell_of_atom[a])]++] = a;
    memmove(start + 1, start, (size_t)p->n_buckets * sizeof *start); /* ends have become starts */
    start[0] = 0;
    if (p->n_buckets != p->n_cells)
        for (int64_t k = 0; k < p->n_buckets; k++)
            order_bucket(n, atom + start[k], start[k + 1] - start[k]);
}

static void fill_slots(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    const aim_batch *b = n->batch;
    const int64_t end =
        (task + 1) * ATOMS_PER_TASK < b->n_atoms ? (task + 1) * ATOMS_PER_TASK : b->n_atoms;
    for (int64_t k = task * ATOMS_PER_TASK; k < end; k++) {
        const aim_nlist_plan *p =
            n->plan + b->system[k]; /* slots of a system are the indices of its atoms */
        const int64_t a = p->grid ? n->atom[k] : k;
        double w[3], inside[3], fraction[3];
        if (p->lattice.any) {
            aim_lattice_wrap(&p->lattice, b->coord + 3 * a, w, inside, fraction);
            for (int e = 0; e < 3; e++)
                n->wrap[k][e] = (int32_t)(w[0] * p->lattice.u[e] + w[1] * p->lattice.u[3 + e] +
                                          w[2] * p->lattice.u[6 + e]);
        } else {
            memcpy(inside, b->coord + 3 * a, sizeof inside);
        }
        n->x[k] = inside[0];
        n->y[k] = inside[1];
        n->z[k] = inside[2];
        if (p->grid)
            n->cell[k] = n->cell_of_atom[a];
    }
}

static aim_status reserve_slots(aim_nlist *n, int64_t need)
{
    int64_t x = n->slot_capacity, y = x, z = x;
    if (need <= n->slot_capacity)
        return AIMNET_OK;
    n->slot_capacity = 0;
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->x, &x, need, sizeof *n->x, "wrapped positions"));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->y, &y, need, sizeof *n->y, "wrapped positions"));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->z, &z, need, sizeof *n->z, "wrapped positions"));
    n->slot_capacity = need;
    return AIMNET_OK;
}

static aim_status reserve_cells(aim_nlist *n, int64_t need)
{
    int64_t cell = n->grid_capacity, of_atom = cell, atom = cell;
    if (need <= n->grid_capacity)
        return AIMNET_OK;
    n->grid_capacity = 0;
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->cell, &cell, need, sizeof *n->cell, "grid cells"));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->cell_of_atom, &of_atom, need, sizeof *n->cell_of_atom,
                              "grid cells of atoms"));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->atom, &atom, need, sizeof *n->atom, "search order"));
    n->grid_capacity = need;
    return AIMNET_OK;
}

static aim_status sort_atoms(aim_nlist *n, int64_t n_tasks)
{
    const aim_batch *b = n->batch;
    int64_t n_buckets = 0;
    for (int32_t s = 0; s < b->n_systems; s++) {
        if (!n->plan[s].grid)
            continue;
        n->plan[s].first_bucket = n_buckets;
        n_buckets += n->plan[s].n_buckets + 1;
    }
    AIM_TRY(reserve_cells(n, b->n_atoms));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->bucket, &n->bucket_capacity, n_buckets,
                              sizeof *n->bucket, "grid"));
    aim_parallel_for(n->team, n_tasks, find_cells, n);
    aim_parallel_for(n->team, b->n_systems, sort_system, n);
    return AIMNET_OK;
}

static aim_status place_atoms(aim_nlist *n)
{
    const int64_t n_atoms = n->batch->n_atoms,
                  n_tasks = (n_atoms + ATOMS_PER_TASK - 1) / ATOMS_PER_TASK;
    AIM_TRY(reserve_slots(n, n_atoms));
    if (n->any_grid)
        AIM_TRY(sort_atoms(n, n_tasks));
    if (n->any_periodic)
        AIM_TRY(aim_nlist_reserve(&n->alloc, &n->wrap, &n->wrap_capacity, n_atoms, sizeof *n->wrap,
                                  "wrapping shifts"));
    aim_parallel_for(n->team, n_tasks, fill_slots, n);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- groups */

static void split_cell(aim_nlist *n, int32_t system, int32_t first, int32_t count)
{
    const int32_t parts = (count + AIM_GROUP_ATOMS - 1) / AIM_GROUP_ATOMS;
    for (int32_t k = 0; k < parts; k++) {
        const int32_t begin = (int32_t)((int64_t)count * k / parts),
                      end = (int32_t)((int64_t)count * (k + 1) / parts);
        n->group[n->n_groups++] = (aim_group){system, first + begin, end - begin};
    }
}

static void make_groups(aim_nlist *n)
{
    n->n_groups = 0;
    for (int32_t s = 0; s < n->batch->n_systems; s++) {
        const aim_nlist_plan *p = n->plan + s;
        const int32_t end = p->first + p->count;
        int32_t first = p->first;
        while (p->grid && first < end) {
            int32_t k = first + 1;
            while (k < end && n->cell[k] == n->cell[first])
                k++;
            split_cell(n, s, first, k - first);
            first = k;
        }
        if (!p->grid)
            split_cell(n, s, first, p->count);
    }
}

aim_status aim_nlist_place(aim_nlist *nlist, int nb_threshold, aim_nlist_algorithm algorithm)
{
    const aim_batch *b = nlist->batch;
    nlist->any_periodic = nlist->any_grid = 0;
    AIM_TRY(aim_nlist_reserve(&nlist->alloc, &nlist->plan, &nlist->plan_capacity, b->n_systems,
                              sizeof *nlist->plan, "search plans"));
    AIM_TRY(aim_nlist_reserve(&nlist->alloc, &nlist->group, &nlist->group_capacity, b->n_atoms,
                              sizeof *nlist->group, "search groups"));
    for (int32_t s = 0; s < b->n_systems; s++)
        AIM_TRY(plan_system(nlist, s, nb_threshold, algorithm));
    AIM_TRY(place_atoms(nlist));
    make_groups(nlist);
    return AIMNET_OK;
}

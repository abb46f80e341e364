/* SPDX-License-Identifier: MIT */
/* nlist_api.c - the public neighbour lists: builders, views of their lists, and the adaptive
 * matrix.
 *
 * Arguments are checked here; the searching is in nlist/. An object owns a team of workers, a
 * builder with its scratch memory and the lists it has made. */
#include "api/nlist_api.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "nlist/matrix.h"
#include "nlist/search.h"

aimnet_nlist_options aimnet_nlist_options_default(void)
{
    return (aimnet_nlist_options){.struct_size = sizeof(aimnet_nlist_options),
                                  .algorithm = AIMNET_NLIST_AUTO,
                                  .nb_threshold = 120};
}

static aim_status take_options(const aimnet_nlist_options *options, aimnet_nlist_options *out)
{
    *out = aimnet_nlist_options_default();
    if (!options)
        return AIMNET_OK;
    if (options->struct_size == 0 || options->struct_size > sizeof *out)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "options.struct_size is %zu: start from aimnet_nlist_options_default()",
                        options->struct_size);
    memcpy(out, options, options->struct_size);
    if (out->threads < 0 || out->threads > AIM_MAX_THREADS)
        return AIM_FAIL(AIMNET_ERR_ARG, "threads %d: expected 0 (all) to %d", out->threads,
                        AIM_MAX_THREADS);
    if (out->algorithm < AIMNET_NLIST_AUTO || out->algorithm > AIMNET_NLIST_CELLS)
        return AIM_FAIL(AIMNET_ERR_ARG, "neighbour list algorithm %d is unknown",
                        (int)out->algorithm);
    if (out->nb_threshold < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "nb_threshold %d: expected 0 or more", out->nb_threshold);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- common to all objects */

aim_status aim_lister_create(aim_lister *l, const aimnet_nlist_options *options)
{
    AIM_TRY(take_options(options, &l->options));
    AIM_TRY(aim_alloc_from(l->options.allocator, &l->alloc));
    l->options.allocator = NULL;
    AIM_TRY(aim_team_create(&l->alloc, l->options.threads, &l->team));
    return aim_nlist_create(&l->alloc, &l->nlist);
}

void aim_lister_free(aim_lister *l)
{
    aim_nlist_free(l->nlist);
    aim_team_free(l->team);
    aim_atoms_free(&l->atoms, &l->alloc);
}

aim_nlist_request aim_lister_request(const aim_lister *l, const double *cutoffs, int n_cutoffs)
{
    return (aim_nlist_request){n_cutoffs, cutoffs, l->options.nb_threshold,
                               (aim_nlist_algorithm)l->options.algorithm, l->options.reverse};
}

/* The allocator that an object of type T is made with, before it exists. */
aim_status aim_lister_alloc(const aimnet_nlist_options *options, aim_alloc *alloc)
{
    aimnet_nlist_options checked;
    AIM_TRY(take_options(options, &checked));
    return aim_alloc_from(checked.allocator, alloc);
}

aimnet_pairs aim_pairs_view(const aim_pairs *l, double cutoff)
{
    return (aimnet_pairs){.n_atoms = l->n_atoms,
                          .max_neighbors = aim_pairs_longest(l),
                          .n_pairs = l->n_pairs,
                          .cutoff = cutoff,
                          .row = l->row,
                          .j = l->j,
                          .shift = l->shift ? l->shift[0] : NULL,
                          .reverse = l->reverse};
}

/* ---------------------------------------------------------------- builder */

struct aimnet_nlist {
    aim_lister base;
    int n_lists;
    double cutoff[AIMNET_MAX_CUTOFFS];
    aim_pairs list[AIMNET_MAX_CUTOFFS];
};

_Static_assert((int)AIMNET_MAX_CUTOFFS == (int)AIM_MAX_CUTOFFS,
               "the public limit is the builder's");

aimnet_status aimnet_nlist_create(const aimnet_nlist_options *options, aimnet_nlist **nlist)
{
    if (!nlist)
        return AIM_FAIL(AIMNET_ERR_ARG, "nlist is NULL: expected where to put the builder");
    *nlist = NULL;
    aim_alloc alloc;
    aimnet_nlist *n;
    AIM_TRY(aim_lister_alloc(options, &alloc));
    AIM_TRY(aim_new0(&alloc, 1, sizeof *n, "a neighbour list builder", &n));
    n->base.alloc = alloc;
    const aim_status status = aim_lister_create(&n->base, options);
    if (status != AIMNET_OK)
        aimnet_nlist_free(n);
    else
        *nlist = n;
    return status;
}

void aimnet_nlist_free(aimnet_nlist *nlist)
{
    if (!nlist)
        return;
    const aim_alloc alloc = nlist->base.alloc;
    for (int c = 0; c < AIMNET_MAX_CUTOFFS; c++)
        aim_pairs_free(&nlist->list[c], &alloc);
    aim_lister_free(&nlist->base);
    aim_free(&alloc, nlist);
}

aimnet_status aimnet_nlist_build(aimnet_nlist *nlist, const aimnet_atoms *atoms,
                                 const double *cutoffs, int n_cutoffs)
{
    if (!nlist || !cutoffs)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", nlist ? "cutoffs" : "nlist");
    aim_lister *l = &nlist->base;
    nlist->n_lists = 0;
    AIM_TRY(aim_atoms_set(&l->atoms, &l->alloc, atoms));
    const aim_nlist_request q = aim_lister_request(l, cutoffs, n_cutoffs);
    AIM_TRY(aim_nlist_build_many(l->nlist, &l->atoms.batch, &q, l->team, nlist->list));
    memcpy(nlist->cutoff, cutoffs, (size_t)n_cutoffs * sizeof *cutoffs);
    nlist->n_lists = n_cutoffs;
    return AIMNET_OK;
}

aimnet_status aimnet_nlist_count(aimnet_nlist *nlist, const aimnet_atoms *atoms, double cutoff,
                                 int64_t *n_pairs, int32_t *max_neighbors)
{
    if (!nlist)
        return AIM_FAIL(AIMNET_ERR_ARG, "nlist is NULL");
    aim_lister *l = &nlist->base;
    nlist->n_lists = 0;
    AIM_TRY(aim_atoms_set(&l->atoms, &l->alloc, atoms));
    const aim_nlist_request q = aim_lister_request(l, &cutoff, 1);
    AIM_TRY(aim_nlist_count(l->nlist, &l->atoms.batch, &q, l->team, nlist->list));
    if (n_pairs)
        *n_pairs = nlist->list[0].n_pairs;
    if (max_neighbors)
        *max_neighbors = aim_pairs_longest(nlist->list);
    return AIMNET_OK;
}

static aim_status check_index(const aimnet_nlist *nlist, int index)
{
    if (!nlist)
        return AIM_FAIL(AIMNET_ERR_ARG, "nlist is NULL");
    if (index < 0 || index >= nlist->n_lists)
        return AIM_FAIL(AIMNET_ERR_ARG, "list %d of %d: build the lists first", index,
                        nlist->n_lists);
    return AIMNET_OK;
}

aimnet_status aimnet_nlist_csr(const aimnet_nlist *nlist, int index, aimnet_pairs *pairs)
{
    AIM_TRY(check_index(nlist, index));
    if (!pairs)
        return AIM_FAIL(AIMNET_ERR_ARG, "pairs is NULL: expected where to put the view");
    *pairs = aim_pairs_view(&nlist->list[index], nlist->cutoff[index]);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- coordinate form */

/* r_ij of the pairs of atom i, for positions and cells that may be newer than the list. */
static void row_vectors(const aim_pairs *l, const double *coord, const double cell[9], int32_t i,
                        double *vector, double *distance)
{
    for (int64_t p = l->row[i]; p < l->row[i + 1]; p++) {
        double r[3];
        for (int d = 0; d < 3; d++)
            r[d] = coord[3 * (size_t)l->j[p] + (size_t)d] - coord[3 * (size_t)i + (size_t)d];
        for (int d = 0; l->shift && d < 3; d++)
            r[d] += l->shift[p][0] * cell[d] + l->shift[p][1] * cell[3 + d] +
                    l->shift[p][2] * cell[6 + d];
        if (vector)
            memcpy(vector + 3 * p, r, sizeof r);
        if (distance)
            distance[p] = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
}

static aim_status write_vectors(const aimnet_nlist *nlist, const aim_pairs *l,
                                const aimnet_atoms *atoms, double *vector, double *distance)
{
    const aim_batch *b = &nlist->base.atoms.batch;
    AIM_TRY(aim_atoms_check(atoms));
    if (atoms->n_atoms != l->n_atoms || (atoms->n_systems ? atoms->n_systems : 1) != b->n_systems)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms in %d systems for a list of %d atoms in %d systems",
                        atoms->n_atoms, atoms->n_systems, l->n_atoms, b->n_systems);
    for (int32_t s = 0; s < b->n_systems; s++) {
        double cell[9];
        int32_t pbc[3];
        aim_atoms_cell(atoms, s, cell, pbc);
        if (memcmp(pbc, b->pbc + 3 * (size_t)s, sizeof pbc) != 0)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "system %d has not the periodic directions that its list was built for",
                            s);
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
            row_vectors(l, atoms->coord, cell, i, vector, distance);
    }
    return AIMNET_OK;
}

aimnet_status aimnet_nlist_coo(const aimnet_nlist *nlist, int index, const aimnet_atoms *atoms,
                               int64_t capacity, int64_t *n_pairs, int32_t *i, int32_t *j,
                               int32_t *shift, double *vector, double *distance)
{
    AIM_TRY(check_index(nlist, index));
    const aim_pairs *l = &nlist->list[index];
    const size_t n = (size_t)l->n_pairs;
    if (n_pairs)
        *n_pairs = l->n_pairs;
    if (capacity < l->n_pairs)
        return AIM_FAIL(AIMNET_ERR_OVERFLOW, "%lld pairs do not fit into a capacity of %lld",
                        (long long)l->n_pairs, (long long)capacity);
    if (vector || distance)
        AIM_TRY(write_vectors(nlist, l, atoms, vector, distance));
    for (int32_t a = 0; i && a < l->n_atoms; a++)
        for (int64_t p = l->row[a]; p < l->row[a + 1]; p++)
            i[p] = a;
    if (j && n)
        memcpy(j, l->j, n * sizeof *j);
    if (shift && n && l->shift)
        memcpy(shift, l->shift[0], n * sizeof *l->shift);
    else if (shift && n)
        memset(shift, 0, n * sizeof *l->shift);
    return AIMNET_OK;
}

aimnet_status aimnet_nlist_matrix(const aimnet_nlist *nlist, int index, int32_t width,
                                  int32_t *nbmat, int32_t *shifts, int32_t *num_neighbors,
                                  int32_t *needed)
{
    AIM_TRY(check_index(nlist, index));
    const aim_pairs *l = &nlist->list[index];
    if (needed)
        *needed = aim_width_fitting(aim_pairs_longest(l));
    if (width <= 0 || width % 16 != 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "width %d: expected a positive multiple of 16", width);
    if (!nbmat)
        return AIM_FAIL(AIMNET_ERR_ARG, "nbmat is NULL: expected room for [%d][%d] indices",
                        l->n_atoms + 1, width);
    return aim_matrix_write(l, width, nbmat, shifts, num_neighbors);
}

/* ---------------------------------------------------------------- adaptive matrix */

struct aimnet_adaptive_list {
    aim_lister base;
    double cutoff;
    int32_t width; /* of the next build */
    int64_t retries;
    aim_pairs list;
    int32_t *nbmat, *shifts, *count;
    int64_t nbmat_capacity, shifts_capacity, count_capacity;
};

static aim_status create_adaptive(aimnet_adaptive_list *l, double cutoff, double density,
                                  const aimnet_nlist_options *options)
{
    if (!(cutoff > 0.0) || !(cutoff < 1e6))
        return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g A: expected a number above 0 (and below 1e6)",
                        cutoff);
    if (!(density >= 0.0) || !isfinite(density))
        return AIM_FAIL(AIMNET_ERR_ARG, "density %g atoms/A^3: expected 0 (default) or more",
                        density);
    l->cutoff = cutoff;
    l->width = aim_width_start(density > 0.0 ? density : 0.2, cutoff);
    return aim_lister_create(&l->base, options);
}

aimnet_status aimnet_adaptive_list_create(double cutoff, double density,
                                          const aimnet_nlist_options *options,
                                          aimnet_adaptive_list **list)
{
    if (!list)
        return AIM_FAIL(AIMNET_ERR_ARG, "list is NULL: expected where to put the list");
    *list = NULL;
    aim_alloc alloc;
    aimnet_adaptive_list *l;
    AIM_TRY(aim_lister_alloc(options, &alloc));
    AIM_TRY(aim_new0(&alloc, 1, sizeof *l, "an adaptive neighbour list", &l));
    l->base.alloc = alloc;
    const aim_status status = create_adaptive(l, cutoff, density, options);
    if (status != AIMNET_OK)
        aimnet_adaptive_list_free(l);
    else
        *list = l;
    return status;
}

void aimnet_adaptive_list_free(aimnet_adaptive_list *list)
{
    if (!list)
        return;
    const aim_alloc alloc = list->base.alloc;
    aim_pairs_free(&list->list, &alloc);
    aim_free(&alloc, list->nbmat);
    aim_free(&alloc, list->shifts);
    aim_free(&alloc, list->count);
    aim_lister_free(&list->base);
    aim_free(&alloc, list);
}

static aim_status write_adaptive(aimnet_adaptive_list *l, int32_t width, int32_t *longest)
{
    const aim_alloc *alloc = &l->base.alloc;
    const int64_t entries = ((int64_t)l->list.n_atoms + 1) * width;
    *longest = aim_pairs_longest(&l->list);
    if (*longest > width) /* known before anything is written */
        return AIMNET_ERR_OVERFLOW;
    AIM_TRY(aim_nlist_reserve(alloc, &l->nbmat, &l->nbmat_capacity, entries, sizeof *l->nbmat,
                              "a neighbour matrix"));
    if (l->list.shift)
        AIM_TRY(aim_nlist_reserve(alloc, &l->shifts, &l->shifts_capacity, entries,
                                  sizeof(aim_shift), "neighbour shifts"));
    AIM_TRY(aim_nlist_reserve(alloc, &l->count, &l->count_capacity, (int64_t)l->list.n_atoms + 1,
                              sizeof *l->count, "numbers of neighbours"));
    return aim_matrix_write(&l->list, width, l->nbmat, l->list.shift ? l->shifts : NULL, l->count);
}

aimnet_status aimnet_adaptive_list_build(aimnet_adaptive_list *list, const aimnet_atoms *atoms,
                                         aimnet_matrix *matrix)
{
    if (!list || !matrix)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", list ? "matrix" : "list");
    aim_lister *l = &list->base;
    int32_t width = list->width, longest;
    int retries = 0;
    AIM_TRY(aim_atoms_set(&l->atoms, &l->alloc, atoms));
    const aim_nlist_request q = aim_lister_request(l, &list->cutoff, 1);
    AIM_TRY(aim_nlist_build_many(l->nlist, &l->atoms.batch, &q, l->team, &list->list));
    aim_status status;
    while ((status = write_adaptive(list, width, &longest)) == AIMNET_ERR_OVERFLOW) {
        width = aim_width_grow(width);
        retries++;
    }
    AIM_TRY(status);
    list->retries += retries;
    list->width = aim_width_settle(width, longest);
    *matrix = (aimnet_matrix){.n_atoms = list->list.n_atoms,
                              .width = width,
                              .max_neighbors = longest,
                              .retries = retries,
                              .nbmat = list->nbmat,
                              .shifts = list->list.shift ? list->shifts : NULL,
                              .num_neighbors = list->count};
    return AIMNET_OK;
}

int32_t aimnet_adaptive_list_width(const aimnet_adaptive_list *list)
{
    return list ? list->width : 0;
}

int64_t aimnet_adaptive_list_retries(const aimnet_adaptive_list *list)
{
    return list ? list->retries : 0;
}

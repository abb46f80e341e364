/* SPDX-License-Identifier: MIT */
/* skin_api.c - the public Verlet list, the check of lists that callers supply, and wrapping.
 * Arguments are checked here; the work is done in nlist/. */
#include <math.h>
#include <string.h>
#include "api/nlist_api.h"
#include "nlist/matrix.h"
#include "nlist/skin.h"
#include "nlist/wrap.h"

struct aimnet_skin_list {
    aim_lister base;
    aim_skin skin;
};

static aim_status create_skin(aimnet_skin_list *l, double cutoff, double skin,
                              const aimnet_nlist_options *options)
{
    if (!(cutoff > 0.0) || !isfinite(cutoff))
        return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g A: expected a number above 0", cutoff);
    if (!(skin >= 0.0) || !isfinite(skin))
        return AIM_FAIL(AIMNET_ERR_ARG, "skin %g A: expected a number of 0 or more", skin);
    aim_skin_init(&l->skin, cutoff, skin);
    AIM_TRY(aim_lister_create(&l->base, options));
    l->skin.nb_threshold = l->base.options.nb_threshold;
    l->skin.want_reverse = l->base.options.reverse;
    l->skin.algorithm = (aim_nlist_algorithm)l->base.options.algorithm;
    return AIMNET_OK;
}

aimnet_status aimnet_skin_list_create(double cutoff, double skin,
                                      const aimnet_nlist_options *options, aimnet_skin_list **list)
{
    if (!list)
        return AIM_FAIL(AIMNET_ERR_ARG, "list is NULL: expected where to put the list");
    *list = NULL;
    aim_alloc alloc;
    aimnet_skin_list *l;
    AIM_TRY(aim_lister_alloc(options, &alloc));
    AIM_TRY(aim_new0(&alloc, 1, sizeof *l, "a skin list", &l));
    l->base.alloc = alloc;
    const aim_status status = create_skin(l, cutoff, skin, options);
    if (status != AIMNET_OK)
        aimnet_skin_list_free(l);
    else
        *list = l;
    return status;
}

void aimnet_skin_list_free(aimnet_skin_list *list)
{
    if (!list)
        return;
    const aim_alloc alloc = list->base.alloc;
    aim_skin_free(&list->skin, &alloc);
    aim_lister_free(&list->base);
    aim_free(&alloc, list);
}

aimnet_status aimnet_skin_list_update(aimnet_skin_list *list, const aimnet_atoms *atoms,
                                      int *rebuilt, aimnet_pairs *pairs)
{
    if (!list || !pairs)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", list ? "pairs" : "list");
    aim_lister *l = &list->base;
    AIM_TRY(aim_atoms_set(&l->atoms, &l->alloc, atoms));
    AIM_TRY(aim_skin_update(&list->skin, &l->alloc, l->nlist, &l->atoms.batch, l->team, rebuilt));
    *pairs = aim_pairs_view(&list->skin.list, list->skin.cutoff);
    return AIMNET_OK;
}

aimnet_status aimnet_skin_list_outdated(aimnet_skin_list *list, const aimnet_atoms *atoms,
                                        int *outdated)
{
    if (!list || !outdated)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", list ? "outdated" : "list");
    AIM_TRY(aim_atoms_set(&list->base.atoms, &list->base.alloc, atoms));
    *outdated = aim_skin_outdated(&list->skin, &list->base.atoms.batch);
    return AIMNET_OK;
}

int64_t aimnet_skin_list_searches(const aimnet_skin_list *list)
{
    return list ? list->skin.searches : 0;
}

/* ---------------------------------------------------------------- lists of the caller */

typedef struct checker {
    aim_lister base;
    aim_pairs given, all;
} checker;

static aim_status check_matrix(checker *c, const aimnet_atoms *atoms, double cutoff,
                               const aim_matrix *matrix, int complete,
                               const aimnet_nlist_options *options)
{
    AIM_TRY(aim_lister_create(&c->base, options));
    aim_lister *l = &c->base;
    AIM_TRY(aim_atoms_set(&l->atoms, &l->alloc, atoms));
    AIM_TRY(aim_pairs_from_matrix(l->nlist, &l->atoms.batch, matrix, "nbmat", INFINITY, 0, l->team,
                                  &c->given));
    if (!complete)
        return AIMNET_OK;
    const aim_nlist_request q = aim_lister_request(l, &cutoff, 1);
    AIM_TRY(aim_nlist_build_many(l->nlist, &l->atoms.batch, &q, l->team, &c->all));
    return aim_pairs_cover(&c->given, &c->all, "nbmat");
}

aimnet_status aimnet_nlist_check(const aimnet_atoms *atoms, double cutoff, const int32_t *nbmat,
                                 int32_t n_rows, int32_t width, const int32_t *shifts, int complete,
                                 const aimnet_nlist_options *options)
{
    if (!(cutoff > 0.0))
        return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g A must be > 0", cutoff);
    if (width < 0 || n_rows < 0 || (!nbmat && width > 0 && n_rows > 0))
        return AIM_FAIL(AIMNET_ERR_ARG, "nbmat%s with %d rows of width %d", nbmat ? "" : " is NULL",
                        n_rows, width);
    checker c = {0};
    const aim_matrix matrix = {n_rows, width, nbmat, shifts};
    AIM_TRY(aim_lister_alloc(options, &c.base.alloc));
    const aim_status status = check_matrix(&c, atoms, cutoff, &matrix, complete, options);
    aim_pairs_free(&c.given, &c.base.alloc);
    aim_pairs_free(&c.all, &c.base.alloc);
    aim_lister_free(&c.base);
    return status;
}

/* ---------------------------------------------------------------- wrapping */

aimnet_status aimnet_wrap(const aimnet_atoms *atoms, double *wrapped, int32_t *shifts)
{
    AIM_TRY(aim_atoms_check(atoms));
    if (!wrapped && atoms->n_atoms > 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "wrapped is NULL: expected room for %d positions",
                        atoms->n_atoms);
    const int32_t n_systems = atoms->n_systems ? atoms->n_systems : 1,
                  size = atoms->n_atoms / n_systems;
    aim_wrapper w;
    int32_t current = -1;
    for (int32_t a = 0; a < atoms->n_atoms; a++) {
        const int32_t s = atoms->mol_idx ? atoms->mol_idx[a] : a / size;
        if (s != current) {
            double cell[9];
            int32_t pbc[3];
            aim_atoms_cell(atoms, s, cell, pbc);
            if (aim_wrapper_set(&w, cell, pbc) != AIMNET_OK)
                return aim_fail_prefix(AIMNET_ERR_SYSTEM, "system %d", s);
            current = s;
        }
        int32_t shift[3];
        double x[3];
        memcpy(x, atoms->coord + 3 * (size_t)a, sizeof x);
        if (aim_wrapper_move(&w, x, wrapped + 3 * (size_t)a, shift) != AIMNET_OK)
            return aim_fail_prefix(AIMNET_ERR_SYSTEM, "system %d, atom %d of all", s, a);
        if (shifts)
            memcpy(shifts + 3 * (size_t)a, shift, sizeof shift);
    }
    return AIMNET_OK;
}

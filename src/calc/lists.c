/* SPDX-License-Identifier: MIT */
/* lists.c - where the pairs of a batch come from: the caller's neighbour matrices, or a search.
 *
 * A matrix is checked entry by entry, cut to the distance that its purpose needs (it may have a
 * skin) and sorted, so that all sums run as over a list that was found here, and results are the
 * same to the bit. That no pair is missing would take the search that the caller wants to save: the
 * list's own cutoff stands for it. */
#include <math.h>

#include "calc/calc.h"
#include "nlist/matrix.h"

static const aimnet_list *given(const aim_calc *c, aim_purpose purpose, const char **name)
{
    static const char *const names[] = {"nbmat", "nbmat_coulomb", "nbmat_dftd3"};
    const aimnet_lists *l = c->flat.lists;
    *name = names[purpose];
    if (!l)
        return NULL;
    const aimnet_list *own = purpose == AIM_FOR_NETWORK   ? &l->network
                             : purpose == AIM_FOR_COULOMB ? &l->coulomb
                                                          : &l->dftd3;
    if (!own->nbmat && purpose != AIM_FOR_NETWORK) {
        own = &l->lr;
        *name = "nbmat_lr";
    }
    return own->nbmat ? own : NULL;
}

static aim_status read_list(aim_calc *c, const aimnet_list *list, const char *name, double cutoff,
                            int want_reverse, aim_pairs *pairs)
{
    const aim_matrix m = {list->n_rows, list->width, list->nbmat, list->shifts};
    if (list->width < 0 || list->n_rows < 0)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "%s has %d rows of width %d", name, (int)list->n_rows,
                        (int)list->width);
    if (!(list->cutoff >= cutoff))
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "%s is complete up to %g A (its cutoff), but pairs up to %g A are needed",
                        name, list->cutoff, cutoff);
    return aim_pairs_from_matrix(c->nlist, &c->flat.batch, &m, name, cutoff, want_reverse, c->team,
                                 pairs);
}

aim_status aim_calc_pairs(aim_calc *c, aim_purpose purpose, double cutoff, int want_reverse,
                          aim_pairs *pairs)
{
    const char *name;
    const aimnet_list *list = given(c, purpose, &name);
    if (list)
        return read_list(c, list, name, cutoff, want_reverse, pairs);
    return aim_nlist_build(c->nlist, &c->flat.batch, cutoff, c->options.nb_threshold, want_reverse,
                           c->team, pairs);
}

int aim_calc_same_source(const aim_calc *c, aim_purpose a, aim_purpose b)
{
    const char *name;
    return given(c, a, &name) == given(c, b, &name);
}

aim_status aim_calc_check_all_pairs(aim_calc *c)
{
    const int64_t n = c->flat.batch.n_atoms;
    for (aim_purpose purpose = AIM_FOR_COULOMB; purpose <= AIM_FOR_D3; purpose++) {
        const char *name;
        const aimnet_list *list = given(c, purpose, &name);
        if (!list)
            continue;
        AIM_TRY(read_list(c, list, name, list->cutoff, 0, &c->pairs_coulomb));
        if (c->pairs_coulomb.n_pairs != n * (n - 1))
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "%s has %lld pairs, but the Coulomb method `simple` sums over all %lld",
                            name, (long long)c->pairs_coulomb.n_pairs, (long long)(n * (n - 1)));
    }
    return AIMNET_OK;
}

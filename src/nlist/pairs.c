/* SPDX-License-Identifier: MIT */
/* pairs.c - the invariants of a neighbour list (nlist.h), checked one by one. Called by tests and
 * for lists that callers supply.
 *
 * The opposite pair is looked up by bisection, since rows are sorted; every message names the pair
 * that is wrong. O(pairs log). */
#include <math.h>
#include <string.h>
#include "nlist/search.h"

static int compare_shift(const int32_t *a, const int32_t *b)
{
    for (int e = 0; e < 3; e++)
        if (a[e] != b[e])
            return a[e] < b[e] ? -1 : 1;
    return 0;
}

static void get_shift(const aim_pairs *l, int64_t p, aim_shift s)
{
    static const aim_shift none = {0, 0, 0};
    memcpy(s, l->shift ? l->shift[p] : none, sizeof none);
}

int64_t aim_pairs_find(const aim_pairs *l, int32_t i, int32_t j, const int32_t *s)
{
    int64_t low = l->row[i], high = l->row[i + 1];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        aim_shift v;
        get_shift(l, middle, v);
        const int order = l->j[middle] != j ? (l->j[middle] < j ? -1 : 1) : compare_shift(v, s);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static aim_status check_order(const aim_pairs *l, const aim_batch *b, int32_t i, int64_t p)
{
    const int32_t j = l->j[p];
    aim_shift s, before;
    get_shift(l, p, s);
    if (j < 0 || j >= l->n_atoms)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "pair %lld of atom %d: neighbour %d of %d atoms",
                        (long long)p, i, j, l->n_atoms);
    if (b->system[j] != b->system[i])
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "pair %lld joins atoms %d and %d of systems %d and %d",
                        (long long)p, i, j, b->system[i], b->system[j]);
    for (int d = 0; d < 3; d++)
        if (s[d] != 0 && !b->pbc[3 * (size_t)b->system[i] + (size_t)d])
            return AIM_FAIL(
                AIMNET_ERR_INTERNAL,
                "pair %lld of atoms %d and %d is shifted by %d along direction %d, which is not "
                "periodic",
                (long long)p, i, j, s[d], d);
    if (i == j && !(s[0] || s[1] || s[2]))
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "pair %lld joins atom %d with itself", (long long)p,
                        i);
    if (p == l->row[i])
        return AIMNET_OK;
    get_shift(l, p - 1, before);
    if (l->j[p - 1] > j || (l->j[p - 1] == j && compare_shift(before, s) >= 0))
        return AIM_FAIL(
            AIMNET_ERR_INTERNAL,
            "row of atom %d is not in ascending order at pair %lld (atom %d, shift %d %d %d)", i,
            (long long)p, j, s[0], s[1], s[2]);
    return AIMNET_OK;
}

static aim_status check_opposite(const aim_pairs *l, const aim_batch *b, int32_t i, int64_t p,
                                 double cutoff)
{
    const int32_t j = l->j[p];
    aim_shift s, back;
    get_shift(l, p, s);
    for (int d = 0; d < 3; d++)
        back[d] = -s[d];
    const int64_t found = aim_pairs_find(l, j, i, back);
    if (found < 0)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "the opposite of pair (%d, %d, %d %d %d) is missing",
                        i, j, s[0], s[1], s[2]);
    if (l->reverse && l->reverse[p] != found)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "the opposite of pair %lld is pair %lld, not %lld",
                        (long long)p, (long long)found, (long long)l->reverse[p]);
    const double d2 = aim_exact_distance2(b, i, j, l->shift ? s : NULL);
    if (!(d2 < cutoff * cutoff))
        return AIM_FAIL(AIMNET_ERR_INTERNAL,
                        "pair (%d, %d, %d %d %d) at %.17g A is not within the cutoff of %.17g A", i,
                        j, s[0], s[1], s[2], sqrt(d2), cutoff);
    return AIMNET_OK;
}

aim_status aim_pairs_check(const aim_pairs *l, const aim_batch *b, double cutoff)
{
    if (l->n_atoms != b->n_atoms || l->row[0] != 0 || l->row[l->n_atoms] != l->n_pairs)
        return AIM_FAIL(
            AIMNET_ERR_INTERNAL,
            "a list of %d atoms and %lld pairs for a batch of %d atoms: rows from %lld to %lld",
            l->n_atoms, (long long)l->n_pairs, b->n_atoms, (long long)l->row[0],
            (long long)l->row[l->n_atoms]);
    for (int32_t i = 0; i < l->n_atoms; i++) {
        if (l->row[i + 1] < l->row[i])
            return AIM_FAIL(AIMNET_ERR_INTERNAL, "row of atom %d has negative length", i);
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++)
            AIM_TRY(check_order(l, b, i, p));
    }
    for (int32_t i = 0; i < l->n_atoms; i++)
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++)
            AIM_TRY(check_opposite(l, b, i, p, cutoff));
    return AIMNET_OK;
}

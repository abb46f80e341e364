/* SPDX-License-Identifier: MIT */
/* matrix.c - neighbour matrices. Writing pads every row to the width and adds the padding row;
 * reading checks what a caller supplies.
 *
 * A supplied matrix may list a row in any order, with padding anywhere. It becomes a sorted list
 * (heap sort per row, so that no row can make it quadratic); then duplicates are neighbours in
 * order, and an opposite pair is found by bisection. Pairs beyond the cutoff are dropped after
 * these checks: a list with a skin is a valid one. */
#include "nlist/matrix.h"

#include <math.h>
#include <string.h>
#include "nlist/search.h"

enum { ALIGN = 16 };
static const double TARGET = 0.75, GROWTH = 1.5, SHRINK_BELOW = 2.0 / 3.0;
static const double PI = 3.14159265358979323846;

int32_t aim_pairs_longest(const aim_pairs *pairs)
{
    int64_t longest = 0;
    for (int32_t i = 0; i < pairs->n_atoms; i++)
        if (pairs->row[i + 1] - pairs->row[i] > longest)
            longest = pairs->row[i + 1] - pairs->row[i];
    return (int32_t)longest; /* a worker's scratch is bounded by INT32_MAX / 2 candidates */
}

static int32_t round_width(double entries)
{
    const double most = INT32_MAX / (2 * ALIGN);
    const double blocks = fmin(ceil(floor(entries) / ALIGN), most);
    return blocks < 1.0 ? ALIGN : (int32_t)blocks * ALIGN;
}

int32_t aim_width_fitting(int32_t longest)
{
    return round_width(longest);
}

int32_t aim_width_start(double density, double cutoff)
{
    return round_width(density * 4.0 / 3.0 * PI * cutoff * cutoff * cutoff);
}

int32_t aim_width_grow(int32_t width)
{
    return round_width(GROWTH * width);
}

int32_t aim_width_settle(int32_t width, int32_t longest)
{
    return longest < SHRINK_BELOW * TARGET * width ? round_width(longest / TARGET) : width;
}

aim_status aim_matrix_write(const aim_pairs *pairs, int32_t width, int32_t *nbmat, int32_t *shifts,
                            int32_t *count)
{
    const int32_t n = pairs->n_atoms, longest = aim_pairs_longest(pairs);
    if (longest > width)
        return AIM_FAIL(AIMNET_ERR_OVERFLOW,
                        "a row of %d neighbours does not fit into a width of %d; %d are needed",
                        longest, width, aim_width_fitting(longest));
    for (int32_t i = 0; i <= n; i++) {
        const int64_t first = i < n ? pairs->row[i] : 0;
        const size_t used = i < n ? (size_t)(pairs->row[i + 1] - first) : 0, all = (size_t)width;
        int32_t *row = nbmat + (size_t)i * all;
        if (used)
            memcpy(row, pairs->j + first, used * sizeof *row);
        for (size_t k = used; k < all; k++)
            row[k] = n;
        if (count && i < n)
            count[i] = (int32_t)used;
        if (!shifts)
            continue;
        int32_t *shift = shifts + 3 * (size_t)i * all;
        const size_t kept = pairs->shift ? used : 0;
        if (kept)
            memcpy(shift, pairs->shift[first], kept * sizeof *pairs->shift);
        memset(shift + 3 * kept, 0, 3 * (all - kept) * sizeof *shift);
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- matrices of the caller */

static int above(const aim_pairs *l, int64_t a, int64_t b)
{
    if (l->j[a] != l->j[b])
        return l->j[a] > l->j[b];
    for (int e = 0; l->shift && e < 3; e++)
        if (l->shift[a][e] != l->shift[b][e])
            return l->shift[a][e] > l->shift[b][e];
    return 0;
}

static void exchange(aim_pairs *l, int64_t a, int64_t b)
{
    const int32_t j = l->j[a];
    l->j[a] = l->j[b];
    l->j[b] = j;
    if (l->shift) {
        aim_shift s;
        memcpy(s, l->shift[a], sizeof s);
        memcpy(l->shift[a], l->shift[b], sizeof s);
        memcpy(l->shift[b], s, sizeof s);
    }
}

static void sift(aim_pairs *l, int64_t base, int64_t root, int64_t n)
{
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && above(l, base + child + 1, base + child))
            child++;
        if (!above(l, base + child, base + root))
            return;
        exchange(l, base + root, base + child);
    }
}

static void sort_row(aim_pairs *l, int64_t base, int64_t n)
{
    int64_t k = 1;
    while (k < n && !above(l, base + k - 1, base + k))
        k++;
    if (k >= n)
        return; /* as the library writes them */
    for (int64_t root = n / 2; root-- > 0;)
        sift(l, base, root, n);
    while (--n > 0) {
        exchange(l, base, base + n);
        sift(l, base, 0, n);
    }
}

static aim_status check_entry(const aim_batch *b, const aim_matrix *m, const char *name, int32_t i,
                              int32_t k)
{
    static const int32_t none[3] = {0, 0, 0};
    const size_t at = (size_t)i * (size_t)m->width + (size_t)k;
    const int32_t j = m->nbmat[at], *s = m->shifts ? m->shifts + 3 * at : none;
    if (j < 0 || j > b->n_atoms)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s[%d][%d] is %d; it must be an atom from 0 to %d, or %d for padding",
                        name, i, k, j, b->n_atoms - 1, b->n_atoms);
    const int padding = j == b->n_atoms;
    if (!padding && i == b->n_atoms)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s[%d][%d] is %d; the last row must hold padding (%d) only", name, i, k, j,
                        b->n_atoms);
    if (!padding && b->system[j] != b->system[i])
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s[%d][%d]: atoms %d and %d belong to the different systems %d and %d",
                        name, i, k, i, j, b->system[i], b->system[j]);
    for (int d = 0; d < 3; d++)
        if (s[d] == INT32_MIN ||
            (s[d] != 0 && (padding || !b->pbc[3 * (size_t)b->system[i] + (size_t)d])))
            return AIM_FAIL(AIMNET_ERR_ARG, "%s[%d][%d] has a shift of %d along direction %d, %s",
                            name, i, k, s[d], d,
                            s[d] == INT32_MIN ? "whose opposite does not exist"
                            : padding         ? "but it is padding"
                                              : "which is not periodic in its system");
    if (j == i && !padding && !(s[0] || s[1] || s[2]))
        return AIM_FAIL(AIMNET_ERR_ARG, "%s[%d][%d]: atom %d is its own neighbour without a shift",
                        name, i, k, i);
    return AIMNET_OK;
}

/* Checks entry by entry and copies the pairs into the rows. */
static aim_status copy_rows(const aim_batch *b, const aim_matrix *m, const char *name, aim_pairs *l)
{
    int64_t p = 0;
    for (int32_t i = 0; i < b->n_atoms; i++) {
        l->row[i] = p;
        for (int32_t k = 0; k < m->width; k++) {
            const size_t at = (size_t)i * (size_t)m->width + (size_t)k;
            if (m->nbmat[at] == b->n_atoms)
                continue;
            l->j[p] = m->nbmat[at];
            if (l->shift)
                for (int e = 0; e < 3; e++)
                    l->shift[p][e] = m->shifts ? m->shifts[3 * at + (size_t)e] : 0;
            p++;
        }
        sort_row(l, l->row[i], p - l->row[i]);
        for (int64_t q = l->row[i] + 1; q < p; q++)
            if (!above(l, q, q - 1))
                return AIM_FAIL(AIMNET_ERR_ARG,
                                "%s: atom %d is twice a neighbour of atom %d with the same shift",
                                name, l->j[q], i);
    }
    l->row[b->n_atoms] = p;
    l->n_atoms = b->n_atoms;
    l->n_pairs = p;
    return AIMNET_OK;
}

static aim_status check_opposites(const aim_pairs *l, const char *name)
{
    for (int32_t i = 0; i < l->n_atoms; i++)
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++) {
            aim_shift back = {0, 0, 0};
            for (int e = 0; l->shift && e < 3; e++)
                back[e] = -l->shift[p][e];
            if (aim_pairs_find(l, l->j[p], i, back) < 0)
                return AIM_FAIL(
                    AIMNET_ERR_ARG,
                    "%s lists atom %d as a neighbour of atom %d (shift %d %d %d), but not the "
                    "opposite; a full list is needed",
                    name, l->j[p], i, -back[0], -back[1], -back[2]);
        }
    return AIMNET_OK;
}

/* Drops pairs at or beyond the cutoff, in place. */
static void drop_far(const aim_batch *b, aim_pairs *l, double cutoff)
{
    int64_t kept = 0, p = 0;
    for (int32_t i = 0; i < l->n_atoms; i++) {
        for (const int64_t end = l->row[i + 1]; p < end; p++) {
            if (!(aim_exact_distance2(b, i, l->j[p], l->shift ? l->shift[p] : NULL) <
                  cutoff * cutoff))
                continue;
            l->j[kept] = l->j[p];
            if (l->shift && kept != p)
                memcpy(l->shift[kept], l->shift[p], sizeof l->shift[p]);
            kept++;
        }
        l->row[i + 1] = kept;
    }
    l->n_pairs = kept;
}

static aim_status read_matrix(aim_nlist *nlist, const aim_batch *b, const aim_matrix *m,
                              const char *name, double cutoff, int want_reverse, aim_team *team,
                              aim_pairs *l)
{
    int64_t n_pairs = 0;
    int any_periodic = 0;
    if (m->n_rows != b->n_atoms && m->n_rows != b->n_atoms + 1)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s has %d rows; %d atoms need %d, or %d with the padding row", name,
                        m->n_rows, b->n_atoms, b->n_atoms, b->n_atoms + 1);
    for (int32_t i = 0; i < m->n_rows; i++)
        for (int32_t k = 0; k < m->width; k++) {
            AIM_TRY(check_entry(b, m, name, i, k));
            n_pairs += m->nbmat[(size_t)i * (size_t)m->width + (size_t)k] != b->n_atoms;
        }
    for (int32_t s = 0; s < b->n_systems; s++)
        any_periodic |= aim_batch_periodic(b, s);
    AIM_TRY(aim_pairs_reserve(l, &nlist->alloc, b->n_atoms, n_pairs, any_periodic, want_reverse));
    AIM_TRY(copy_rows(b, m, name, l));
    AIM_TRY(check_opposites(l, name));
    drop_far(b, l, cutoff);
    return want_reverse ? aim_nlist_reverse(nlist, b, l, team) : AIMNET_OK;
}

aim_status aim_pairs_from_matrix(aim_nlist *nlist, const aim_batch *batch, const aim_matrix *matrix,
                                 const char *name, double cutoff, int want_reverse, aim_team *team,
                                 aim_pairs *pairs)
{
    const aim_status status =
        read_matrix(nlist, batch, matrix, name, cutoff, want_reverse, team, pairs);
    if (status != AIMNET_OK)
        pairs->n_atoms = 0, pairs->n_pairs = 0;
    return status;
}

aim_status aim_pairs_cover(const aim_pairs *pairs, const aim_pairs *all, const char *name)
{
    static const aim_shift none = {0, 0, 0};
    for (int32_t i = 0; i < all->n_atoms; i++)
        for (int64_t p = all->row[i]; p < all->row[i + 1]; p++) {
            const int32_t *s = all->shift ? all->shift[p] : none;
            if (aim_pairs_find(pairs, i, all->j[p], s) < 0)
                return AIM_FAIL(
                    AIMNET_ERR_ARG,
                    "%s lacks atom %d (shift %d %d %d) as a neighbour of atom %d, although it is "
                    "within the cutoff",
                    name, all->j[p], s[0], s[1], s[2], i);
        }
    return AIMNET_OK;
}

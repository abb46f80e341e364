/* SPDX-License-Identifier: MIT */
/* rows_cpu.c - gathers the neighbours of one atom from a pair list into rows, or filters them from a
 * tile of candidates, and gathers their properties.
 *
 * Gathering is bound by the loads of scattered atoms: a tile pays for them once for all home atoms of
 * a cluster, filtering streams. With AVX-512 eight pairs are taken at once: three permutations turn
 * their shifts into vectors, and each group of neighbours (element) takes its own by compression, in
 * the order of the list; AVX2 compresses with a table of permutations. */
#include "backend/cpu/term_cpu.h"

#if defined(__AVX512F__)

typedef struct shifts {
    __m512d x, y, z;
} shifts;

/* 8 (or the first `left`) shifts of three integers each */
AIM_INLINE shifts load_shifts(const int32_t (*shift)[3], int64_t left)
{
    static const int32_t pick[3][16] = {
        {0, 3, 6, 9, 12, 15, 18, 21}, {1, 4, 7, 10, 13, 16, 19, 22}, {2, 5, 8, 11, 14, 17, 20, 23}};
    const uint32_t ints = left >= 8 ? 0xffffff : (1u << (3 * left)) - 1;
    const __m512i low = _mm512_maskz_loadu_epi32((__mmask16)(ints & 0xffff), shift[0]),
                  high = _mm512_maskz_loadu_epi32((__mmask16)(ints >> 16), shift[0] + 16);
    __m512d v[3];
    for (int d = 0; d < 3; d++) {
        const __m512i index = _mm512_loadu_si512(pick[d]);
        v[d] =
            _mm512_cvtepi32_pd(_mm512_castsi512_si256(_mm512_permutex2var_epi32(low, index, high)));
    }
    return (shifts){v[0], v[1], v[2]};
}

/* S of pairs p .. p + 7 in terms of the wrapped positions */
AIM_INLINE shifts rewrap(const aim_row_pairs *l, shifts s, __m512i at, __mmask8 in)
{
    __m512d *v[3] = {&s.x, &s.y, &s.z};
    for (int d = 0; l->wrap && d < 3; d++) {
        const __m256i w = _mm512_mask_i64gather_epi32(_mm256_setzero_si256(), in, at,
                                                      l->wrap[0] + d, sizeof(int32_t));
        *v[d] = _mm512_add_pd(
            *v[d], _mm512_cvtepi32_pd(_mm256_sub_epi32(w, _mm256_set1_epi32(l->own_wrap[d]))));
    }
    return s;
}

/* Writes those of eight neighbours that are meant to element k and behind. */
AIM_INLINE void append(const aim_row_columns *to, int64_t k, __mmask8 mine, const __m512d r[3],
                       __m512i slot)
{
    _mm512_storeu_pd(to->x + k, _mm512_maskz_compress_pd(mine, r[0]));
    _mm512_storeu_pd(to->y + k, _mm512_maskz_compress_pd(mine, r[1]));
    _mm512_storeu_pd(to->z + k, _mm512_maskz_compress_pd(mine, r[2]));
    _mm512_storeu_si512(to->id + k, _mm512_maskz_compress_epi64(mine, slot));
}

AIM_INLINE __m512d squared(const __m512d r[3])
{
    return _mm512_fmadd_pd(r[0], r[0], _mm512_fmadd_pd(r[1], r[1], _mm512_mul_pd(r[2], r[2])));
}

void AIM_CPU_NAMED(aim_row_gather)(const aim_row_pairs *l, const aim_row_columns *to,
                                   int64_t *count)
{
    const __m512d zero = _mm512_setzero_pd();
    for (int64_t p = 0; p < l->n; p += 8) {
        const int64_t left = l->n - p;
        const __mmask8 in = (__mmask8)(left >= 8 ? 0xffu : (1u << left) - 1u);
        const __m256i j32 = _mm256_maskz_loadu_epi32(in, l->j + p);
        const __m512i j = _mm512_cvtepi32_epi64(j32),
                      at = _mm512_add_epi64(_mm512_slli_epi64(j, 1), j),
                      slot = _mm512_mask_i64gather_epi64(_mm512_set1_epi64(-1), in, j, l->slot, 8);
        __m512d r[3];
        for (int d = 0; d < 3; d++)
            r[d] = _mm512_mask_i64gather_pd(zero, in, at, l->coord + d, 8);
        if (l->shift) {
            const shifts s = rewrap(l, load_shifts(l->shift + p, left), at, in);
            for (int d = 0; d < 3; d++) {
                r[d] = _mm512_fmadd_pd(s.x, _mm512_set1_pd(l->cell[d]), r[d]);
                r[d] = _mm512_fmadd_pd(s.y, _mm512_set1_pd(l->cell[3 + d]), r[d]);
                r[d] = _mm512_fmadd_pd(s.z, _mm512_set1_pd(l->cell[6 + d]), r[d]);
            }
        }
        for (int d = 0; d < 3; d++)
            r[d] = _mm512_sub_pd(r[d], _mm512_set1_pd(l->origin[d]));
        const __mmask8 near =
            _mm512_mask_cmp_pd_mask(in, squared(r), _mm512_set1_pd(l->reach2), _CMP_LT_OQ);
        for (int g = 0; g < l->n_groups; g++) {
            const __mmask8 mine = _mm512_mask_cmplt_epi64_mask(
                _mm512_mask_cmpge_epi64_mask(near, slot, _mm512_set1_epi64(l->group[g])), slot,
                _mm512_set1_epi64(l->group[g + 1]));
            append(to, to->begin[g] + count[g], mine, r, slot);
            count[g] += __builtin_popcount(mine);
        }
    }
}

int64_t AIM_CPU_NAMED(aim_row_filter)(aim_row_sieve *sieve, const aim_row_columns *to, int64_t n,
                                      int64_t limit)
{
    const aim_row_columns out = *to;
    const double *x = sieve->x, *y = sieve->y, *z = sieve->z;
    const int64_t *id = sieve->id, end = sieve->end;
    const __m512d reach2 = _mm512_set1_pd(sieve->reach2), ox = _mm512_set1_pd(sieve->origin[0]),
                  oy = _mm512_set1_pd(sieve->origin[1]), oz = _mm512_set1_pd(sieve->origin[2]),
                  zero = _mm512_setzero_pd();
    int64_t k = sieve->next;
    for (; k < end && n < limit; k += 8) {
        const __m512d r[3] = {_mm512_sub_pd(_mm512_loadu_pd(x + k), ox),
                              _mm512_sub_pd(_mm512_loadu_pd(y + k), oy),
                              _mm512_sub_pd(_mm512_loadu_pd(z + k), oz)};
        const __m512d d2 = squared(r);
        const __mmask8 near = _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(d2, zero, _CMP_GT_OQ), d2,
                                                      reach2, _CMP_LT_OQ);
        append(&out, n, near, r, _mm512_loadu_si512(id + k));
        n += __builtin_popcount(near);
    }
    sieve->next = k;
    return n;
}

void AIM_CPU_NAMED(aim_row_property)(const double *property, const int64_t *slot, int64_t n,
                                     double *out)
{
    for (int64_t k = 0; k < n; k += 8) {
        const __mmask8 in = (__mmask8)(n - k >= 8 ? 0xffu : (1u << (n - k)) - 1u);
        const __m512i at = _mm512_maskz_loadu_epi64(in, slot + k);
        _mm512_storeu_pd(out + k,
                         _mm512_mask_i64gather_pd(_mm512_setzero_pd(), in, at, property, 8));
    }
}

#else

/* Contracted or not, but never one way here and the other there. */
AIM_INLINE double madd(double a, double b, double c)
{
#if defined(__FMA__)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

static int group_of(const aim_row_pairs *l, int64_t slot)
{
    int g = 0;
    while (slot >= l->group[g + 1])
        g++;
    return g;
}

void AIM_CPU_NAMED(aim_row_gather)(const aim_row_pairs *l, const aim_row_columns *to,
                                   int64_t *count)
{
    for (int64_t p = 0; p < l->n; p++) {
        const double *x = l->coord + 3 * (size_t)l->j[p], *h = l->cell, *o = l->origin;
        double a = x[0], b = x[1], c = x[2];
        if (l->shift) {
            int32_t s[3] = {l->shift[p][0], l->shift[p][1], l->shift[p][2]};
            for (int d = 0; l->wrap && d < 3; d++)
                s[d] += l->wrap[l->j[p]][d] - l->own_wrap[d];
            const double t = s[0], u = s[1], v = s[2];
            a = madd(v, h[6], madd(u, h[3], madd(t, h[0], a)));
            b = madd(v, h[7], madd(u, h[4], madd(t, h[1], b)));
            c = madd(v, h[8], madd(u, h[5], madd(t, h[2], c)));
        }
        a -= o[0];
        b -= o[1];
        c -= o[2];
        if (!(madd(a, a, madd(b, b, c * c)) < l->reach2))
            continue;
        const int64_t slot = l->slot[l->j[p]];
        const int g = l->n_groups == 1 ? 0 : group_of(l, slot);
        const size_t k = (size_t)(to->begin[g] + count[g]++);
        to->x[k] = a;
        to->y[k] = b;
        to->z[k] = c;
        to->id[k] = slot;
    }
}

#if defined(__AVX2__)

/* Permutations of the eight halves that move the doubles of a mask to the front. */
static const int32_t FRONT[16][8] = {
    {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {2, 3, 0, 1, 4, 5, 6, 7},
    {0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 0, 1, 2, 3, 6, 7}, {0, 1, 4, 5, 2, 3, 6, 7},
    {2, 3, 4, 5, 0, 1, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {6, 7, 0, 1, 2, 3, 4, 5},
    {0, 1, 6, 7, 2, 3, 4, 5}, {2, 3, 6, 7, 0, 1, 4, 5}, {0, 1, 2, 3, 6, 7, 4, 5},
    {4, 5, 6, 7, 0, 1, 2, 3}, {0, 1, 4, 5, 6, 7, 2, 3}, {2, 3, 4, 5, 6, 7, 0, 1},
    {0, 1, 2, 3, 4, 5, 6, 7}};

AIM_INLINE void store_front(double *to, __m256d v, __m256i order)
{
    _mm256_storeu_ps((float *)(void *)to, _mm256_permutevar8x32_ps(_mm256_castpd_ps(v), order));
}

int64_t AIM_CPU_NAMED(aim_row_filter)(aim_row_sieve *sieve, const aim_row_columns *to, int64_t n,
                                      int64_t limit)
{
    const double *from[3] = {sieve->x, sieve->y, sieve->z};
    double *out[3] = {to->x, to->y, to->z};
    const int64_t *id = sieve->id, end = sieve->end;
    int64_t *out_id = to->id, k = sieve->next;
    __m256d r[3];
    for (; k < end && n < limit; k += 4) {
        for (int d = 0; d < 3; d++)
            r[d] = _mm256_sub_pd(_mm256_loadu_pd(from[d] + k), _mm256_set1_pd(sieve->origin[d]));
        const __m256d d2 =
            _mm256_fmadd_pd(r[0], r[0], _mm256_fmadd_pd(r[1], r[1], _mm256_mul_pd(r[2], r[2])));
        const int near = _mm256_movemask_pd(
            _mm256_and_pd(_mm256_cmp_pd(d2, _mm256_setzero_pd(), _CMP_GT_OQ),
                          _mm256_cmp_pd(d2, _mm256_set1_pd(sieve->reach2), _CMP_LT_OQ)));
        const __m256i order = _mm256_loadu_si256((const __m256i *)(const void *)FRONT[near]);
        for (int d = 0; d < 3; d++)
            store_front(out[d] + n, r[d], order);
        store_front(
            (double *)(void *)(out_id + n),
            _mm256_castsi256_pd(_mm256_loadu_si256((const __m256i *)(const void *)(id + k))),
            order);
        n += __builtin_popcount((unsigned)near);
    }
    sieve->next = k;
    return n;
}

#else

int64_t AIM_CPU_NAMED(aim_row_filter)(aim_row_sieve *sieve, const aim_row_columns *to, int64_t n,
                                      int64_t limit)
{
    int64_t k = sieve->next;
    for (; k < sieve->end && n < limit; k++) {
        const double a = sieve->x[k] - sieve->origin[0], b = sieve->y[k] - sieve->origin[1],
                     c = sieve->z[k] - sieve->origin[2], d2 = madd(a, a, madd(b, b, c * c));
        to->x[n] = a;
        to->y[n] = b;
        to->z[n] = c;
        to->id[n] = sieve->id[k];
        n += d2 > 0.0 && d2 < sieve->reach2;
    }
    sieve->next = k;
    return n;
}

#endif

void AIM_CPU_NAMED(aim_row_property)(const double *property, const int64_t *slot, int64_t n,
                                     double *out)
{
    for (int64_t k = 0; k < n; k++)
        out[k] = property[slot[k]];
    for (int64_t k = n; k % AIM_MESH_LANES; k++)
        out[k] = 0.0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* select.h - packs what passes a test to the front of arrays, for the search of neighbours; included by
 * nlist/walk.h alone, which exists once per instruction set.
 *
 * Vectors are packed by compression (AVX-512) or, four elements at a time, by a table of
 * permutations (AVX2), and stored whole: up to 16 elements behind the last one are
 * overwritten. Distances have the operations and the order of
 * squared_distances. */
#ifndef AIM_BACKEND_SELECT_H
#define AIM_BACKEND_SELECT_H

#include <stdint.h>

#include "base/attr.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef struct aim_points {
    const float *x, *y, *z;
} aim_points;

/* Where selected points go. */
typedef struct aim_selected {
    float *x, *y, *z;
    int32_t *slot, *run;
} aim_selected;

/* d2[k] = |q_k - r|^2 */
static void squared_distances(const aim_points *q, int64_t n, const float r[3],
                              float *AIM_RESTRICT d2)
{
    const float *AIM_RESTRICT x = q->x, *AIM_RESTRICT y = q->y, *AIM_RESTRICT z = q->z;
    const float rx = r[0], ry = r[1], rz = r[2];
    for (int64_t k = 0; k < n; k++) {
        const float dx = x[k] - rx, dy = y[k] - ry, dz = z[k] - rz;
        d2[k] = dx * dx + dy * dy + dz * dz;
    }
}

#if defined(__AVX512F__)

static __mmask16 first_of_16(int64_t left)
{
    return (__mmask16)(left >= 16 ? 0xffffu : (1u << left) - 1u);
}

static __m512i sixteen_from(int32_t first)
{
    return _mm512_add_epi32(_mm512_set1_epi32(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8,
                                                                        9, 10, 11, 12, 13, 14, 15));
}

/* hit = the k with d2[k] = |q_k - r|^2 < limit, ascending; returns how many. */
static int64_t select_below(const aim_points *q, int64_t n, const float r[3], float limit,
                            float *AIM_RESTRICT d2, int32_t *AIM_RESTRICT hit)
{
    const __m512 x = _mm512_set1_ps(r[0]), y = _mm512_set1_ps(r[1]), z = _mm512_set1_ps(r[2]),
                 most = _mm512_set1_ps(limit);
    int64_t m = 0;
    for (int64_t k = 0; k < n; k += 16) {
        const __mmask16 in = first_of_16(n - k);
        const __m512 dx = _mm512_sub_ps(_mm512_maskz_loadu_ps(in, q->x + k), x),
                     dy = _mm512_sub_ps(_mm512_maskz_loadu_ps(in, q->y + k), y),
                     dz = _mm512_sub_ps(_mm512_maskz_loadu_ps(in, q->z + k), z);
        const __m512 d = _mm512_add_ps(_mm512_add_ps(_mm512_mul_ps(dx, dx), _mm512_mul_ps(dy, dy)),
                                       _mm512_mul_ps(dz, dz));
        const __mmask16 below = _mm512_mask_cmp_ps_mask(in, d, most, _CMP_LT_OQ);
        _mm512_mask_storeu_ps(d2 + k, in, d);
        _mm512_storeu_si512(hit + m, _mm512_maskz_compress_epi32(below, sixteen_from((int32_t)k)));
        m += __builtin_popcount(below);
    }
    return m;
}

/* Appends those of n positions that are near, as slots first, first + 1, ... of the run, to the m
 * that `out` holds; returns the new m. */
static int64_t append_near(const aim_points *p, const int32_t *near, int32_t n, int32_t first,
                           int32_t run, const aim_selected *out, int64_t m)
{
    for (int32_t k = 0; k < n; k += 16) {
        const __mmask16 in = first_of_16(n - k);
        const __m512i flag = _mm512_maskz_loadu_epi32(in, near + k);
        const __mmask16 take = _mm512_test_epi32_mask(flag, flag);
        _mm512_storeu_ps(out->x + m, _mm512_maskz_compress_ps(take, _mm512_loadu_ps(p->x + k)));
        _mm512_storeu_ps(out->y + m, _mm512_maskz_compress_ps(take, _mm512_loadu_ps(p->y + k)));
        _mm512_storeu_ps(out->z + m, _mm512_maskz_compress_ps(take, _mm512_loadu_ps(p->z + k)));
        _mm512_storeu_si512(out->slot + m,
                            _mm512_maskz_compress_epi32(take, sixteen_from(first + k)));
        _mm512_storeu_si512(out->run + m, _mm512_set1_epi32(run));
        m += __builtin_popcount(take);
    }
    return m;
}

#elif defined(__AVX2__)

/* Places of the set bits of a mask of four. */
static const int32_t FRONT[16][4] = {{0},    {0},       {1},       {0, 1},      {2},    {0, 2},
                                     {1, 2}, {0, 1, 2}, {3},       {0, 3},      {1, 3}, {0, 1, 3},
                                     {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};

static __m128i front_of(int mask)
{
    return _mm_loadu_si128((const __m128i *)(const void *)FRONT[mask]);
}

static void store_places(int32_t *to, int32_t first, int mask)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi32(_mm_set1_epi32(first), front_of(mask)));
}

static int64_t select_below(const aim_points *q, int64_t n, const float r[3], float limit,
                            float *AIM_RESTRICT d2, int32_t *AIM_RESTRICT hit)
{
    const __m256 x = _mm256_set1_ps(r[0]), y = _mm256_set1_ps(r[1]), z = _mm256_set1_ps(r[2]),
                 most = _mm256_set1_ps(limit);
    int64_t m = 0, k = 0;
    for (; k + 8 <= n; k += 8) {
        const __m256 dx = _mm256_sub_ps(_mm256_loadu_ps(q->x + k), x),
                     dy = _mm256_sub_ps(_mm256_loadu_ps(q->y + k), y),
                     dz = _mm256_sub_ps(_mm256_loadu_ps(q->z + k), z);
        const __m256 d = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(dx, dx), _mm256_mul_ps(dy, dy)),
                                       _mm256_mul_ps(dz, dz));
        const int below = _mm256_movemask_ps(_mm256_cmp_ps(d, most, _CMP_LT_OQ));
        _mm256_storeu_ps(d2 + k, d);
        store_places(hit + m, (int32_t)k, below & 15);
        m += __builtin_popcount((unsigned)below & 15u);
        store_places(hit + m, (int32_t)k + 4, below >> 4);
        m += __builtin_popcount((unsigned)below >> 4);
    }
    for (; k < n; k++) {
        const float dx = q->x[k] - r[0], dy = q->y[k] - r[1], dz = q->z[k] - r[2];
        d2[k] = dx * dx + dy * dy + dz * dz;
        hit[m] = (int32_t)k;
        m += d2[k] < limit;
    }
    return m;
}

static void store_front(float *to, const float *from, __m128i order)
{
    _mm_storeu_ps(to, _mm_permutevar_ps(_mm_loadu_ps(from), order));
}

/* Arrays of a chunk have room for whole vectors. */
static int64_t append_near(const aim_points *p, const int32_t *near, int32_t n, int32_t first,
                           int32_t run, const aim_selected *out, int64_t m)
{
    for (int32_t k = 0; k < n; k += 4) {
        const __m128i flag = _mm_loadu_si128((const __m128i *)(const void *)(near + k));
        const int in = n - k >= 4 ? 15 : (1 << (n - k)) - 1,
                  take = in & ~_mm_movemask_ps(
                                  _mm_castsi128_ps(_mm_cmpeq_epi32(flag, _mm_setzero_si128())));
        const __m128i order = front_of(take);
        store_front(out->x + m, p->x + k, order);
        store_front(out->y + m, p->y + k, order);
        store_front(out->z + m, p->z + k, order);
        store_places(out->slot + m, first + k, take);
        _mm_storeu_si128((__m128i *)(void *)(out->run + m), _mm_set1_epi32(run));
        m += __builtin_popcount((unsigned)take);
    }
    return m;
}

#else

static int64_t select_below(const aim_points *q, int64_t n, const float r[3], float limit,
                            float *AIM_RESTRICT d2, int32_t *AIM_RESTRICT hit)
{
    int64_t m = 0;
    squared_distances(q, n, r, d2);
    for (int64_t k = 0; k < n; k++) {
        hit[m] = (int32_t)k;
        m += d2[k] < limit;
    }
    return m;
}

static int64_t append_near(const aim_points *p, const int32_t *near, int32_t n, int32_t first,
                           int32_t run, const aim_selected *out, int64_t m)
{
    for (int32_t k = 0; k < n; k++) {
        out->x[m] = p->x[k];
        out->y[m] = p->y[k];
        out->z[m] = p->z[k];
        out->slot[m] = first + k;
        out->run[m] = run;
        m += near[k];
    }
    return m;
}

#endif

#endif

/* SPDX-License-Identifier: MIT */
/* rows_cpu.c - gathers the neighbours of one atom from a pair list into rows, and their properties.
 *
 * Both are bound by the loads of scattered atoms. With AVX-512 eight pairs are taken at once: three
 * permutations turn their shifts into vectors, and each group of neighbours (element) takes its own
 * by compression, in the order of the list. */
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
            r[d] = _mm512_sub_pd(_mm512_mask_i64gather_pd(zero, in, at, l->coord + d, 8),
                                 _mm512_set1_pd(l->origin[d]));
        if (l->shift) {
            const shifts s = load_shifts(l->shift + p, left);
            for (int d = 0; d < 3; d++) {
                r[d] = _mm512_fmadd_pd(s.x, _mm512_set1_pd(l->cell[d]), r[d]);
                r[d] = _mm512_fmadd_pd(s.y, _mm512_set1_pd(l->cell[3 + d]), r[d]);
                r[d] = _mm512_fmadd_pd(s.z, _mm512_set1_pd(l->cell[6 + d]), r[d]);
            }
        }
        const __m512d d2 =
            _mm512_fmadd_pd(r[0], r[0], _mm512_fmadd_pd(r[1], r[1], _mm512_mul_pd(r[2], r[2])));
        const __mmask8 near =
            _mm512_mask_cmp_pd_mask(in, d2, _mm512_set1_pd(l->reach2), _CMP_LT_OQ);
        for (int d = 0; d < 3; d++)
            r[d] = _mm512_mul_pd(r[d], _mm512_set1_pd(l->unit));
        for (int g = 0; g < l->n_groups; g++) {
            const __mmask8 mine = _mm512_mask_cmplt_epi64_mask(
                _mm512_mask_cmpge_epi64_mask(near, slot, _mm512_set1_epi64(l->group[g])), slot,
                _mm512_set1_epi64(l->group[g + 1]));
            const size_t k = (size_t)g * to->stride + (size_t)count[g];
            _mm512_storeu_pd(to->x + k, _mm512_maskz_compress_pd(mine, r[0]));
            _mm512_storeu_pd(to->y + k, _mm512_maskz_compress_pd(mine, r[1]));
            _mm512_storeu_pd(to->z + k, _mm512_maskz_compress_pd(mine, r[2]));
            _mm512_storeu_si512(to->id + k, _mm512_maskz_compress_epi64(mine, slot));
            count[g] += __builtin_popcount(mine);
        }
    }
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
        const double *x = l->coord + 3 * (size_t)l->j[p], *h = l->cell;
        double a = x[0] - l->origin[0], b = x[1] - l->origin[1], c = x[2] - l->origin[2];
        if (l->shift) {
            const double s = l->shift[p][0], t = l->shift[p][1], u = l->shift[p][2];
            a += s * h[0] + t * h[3] + u * h[6];
            b += s * h[1] + t * h[4] + u * h[7];
            c += s * h[2] + t * h[5] + u * h[8];
        }
        if (!(a * a + b * b + c * c < l->reach2))
            continue;
        const int64_t slot = l->slot[l->j[p]];
        const int g = l->n_groups == 1 ? 0 : group_of(l, slot);
        const size_t k = (size_t)g * to->stride + (size_t)count[g]++;
        to->x[k] = a * l->unit;
        to->y[k] = b * l->unit;
        to->z[k] = c * l->unit;
        to->id[k] = slot;
    }
}

void AIM_CPU_NAMED(aim_row_property)(const double *property, const int64_t *slot, int64_t n,
                                     double *out)
{
    for (int64_t k = 0; k < n; k++)
        out[k] = property[slot[k]];
    for (int64_t k = n; k % AIM_MESH_LANES; k++)
        out[k] = 0.0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* linear_cpu.c - dense layers: y = gelu(x W^T + b) and its backward product, on weights packed into
 * panels.
 *
 * A panel holds AIM_PANEL = 2 VL output columns, k after k: panel[k][column]. The inner kernel
 * keeps TILE rows times one panel in registers (6 x 2 vectors on AVX2, 12 x 2 on AVX-512) and walks
 * k sequentially through one chunk of AIM_K_CHUNK; chunk sums are added in order. Every output
 * element is thus the same expression for any number of rows: edge tiles have a third or two thirds
 * of the rows, repeat their last one and drop the copies. Loop order panel, chunk, tile: the chunk of the panel (16 kB in float) stays in
 * the first-level cache for all tiles of the range, the rows of x in the second level if the caller
 * hands out ranges of some 50 rows. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/vmath.h"

#if defined(__AVX512F__)
enum { TILE = 12, STEP = 4 };
#else
enum { TILE = 6, STEP = 2 };
#endif
enum { K_BLOCK = 8 * AIM_K_CHUNK };
/* steps of k between a prefetch and its use: weights of small batches stream from the last level */
enum { AHEAD = 32 };

void AIM_KERNEL_FN(pack)(const real *w, size_t k_stride, size_t c_stride, int n_k, int n_c,
                         real *out)
{
    for (int c0 = 0; c0 < n_c; c0 += AIM_PANEL)
        for (int k = 0; k < n_k; k++)
            for (int c = 0; c < AIM_PANEL; c++)
                *out++ = w[(size_t)k * k_stride + (size_t)(c0 + c) * c_stride];
}

/* acc[r] = sum over n steps of k, sequentially: `tile` rows times one panel. */
AIM_INLINE void tile_chunk(const real *const row[TILE], int tile, const real *AIM_RESTRICT panel,
                           int k0, int n, vreal acc[TILE][2])
{
#pragma GCC unroll 12
    for (int r = 0; r < tile; r++)
        acc[r][0] = acc[r][1] = (vreal){0};
#pragma GCC unroll 4
    for (int k = k0; k < k0 + n; k++) {
        const vreal b0 = vload(panel + (size_t)k * AIM_PANEL),
                    b1 = vload(panel + (size_t)k * AIM_PANEL + VL);
        __builtin_prefetch(panel + (size_t)(k + AHEAD) * AIM_PANEL);
#pragma GCC unroll 12
        for (int r = 0; r < tile; r++) {
            const vreal a = vset(row[r][k]);
            acc[r][0] += a * b0;
            acc[r][1] += a * b1;
        }
    }
}

/* y[r][0..PANEL) = (or +=) sum of the chunks of n_k steps, for `tile` rows (a constant) of which
 * n_rows are stored. */
AIM_INLINE void tile_product(const real *AIM_RESTRICT x, size_t ldx, const real *AIM_RESTRICT panel,
                             int n_k, int tile, int n_rows, int add, real *AIM_RESTRICT y,
                             size_t ldy)
{
    const real *row[TILE];
    vreal sum[TILE][2], acc[TILE][2];
    for (int r = 0; r < tile; r++) {
        const size_t from = (size_t)(r < n_rows ? r : n_rows - 1);
        row[r] = x + from * ldx;
        sum[r][0] = add ? vload(y + from * ldy) : (vreal){0};
        sum[r][1] = add ? vload(y + from * ldy + VL) : (vreal){0};
    }
    for (int k0 = 0; k0 < n_k; k0 += AIM_K_CHUNK) {
        tile_chunk(row, tile, panel, k0, n_k - k0 < AIM_K_CHUNK ? n_k - k0 : AIM_K_CHUNK, acc);
#pragma GCC unroll 12
        for (int r = 0; r < tile; r++) {
            sum[r][0] += acc[r][0];
            sum[r][1] += acc[r][1];
        }
    }
    for (int r = 0; r < n_rows && r < tile; r++) {
        vstore(y + (size_t)r * ldy, sum[r][0]);
        vstore(y + (size_t)r * ldy + VL, sum[r][1]);
    }
}

/* The same for at most two thirds of a tile. */
static void edge_product(const real *x, size_t ldx, const real *panel, int n_k, int n_rows, int add,
                         real *y, size_t ldy)
{
    if (n_rows <= STEP)
        tile_product(x, ldx, panel, n_k, STEP, n_rows, add, y, ldy);
    else
        tile_product(x, ldx, panel, n_k, 2 * STEP, n_rows, add, y, ldy);
}

/* One panel of columns for all rows [first, last), in blocks of k whose part of the panel stays in
 * the first-level cache. */
static void panel_product(const real *x, size_t ldx, const real *panel, int n_k, int64_t first,
                          int64_t last, real *y, size_t ldy)
{
    for (int k0 = 0; k0 < n_k; k0 += K_BLOCK) {
        const int n = n_k - k0 < K_BLOCK ? n_k - k0 : K_BLOCK;
        const real *b = panel + (size_t)k0 * AIM_PANEL;
        int64_t r = first;
        for (; r + 2 * STEP < last; r += TILE)
            tile_product(x + (size_t)r * ldx + k0, ldx, b, n, TILE,
                         (int)(last - r < TILE ? last - r : TILE), k0 > 0, y + (size_t)r * ldy,
                         ldy);
        if (r < last)
            edge_product(x + (size_t)r * ldx + k0, ldx, b, n, (int)(last - r), k0 > 0,
                         y + (size_t)r * ldy, ldy);
    }
}

static void bias_and_gelu(const aim_linear_args *a, int64_t first, int64_t last, int c)
{
    for (int64_t r = first; r < last; r++) {
        const real *bias = a->bias + (a->bias_row ? (size_t)a->bias_row[r] * a->ldbias : 0) + c;
        real *y = a->y + (size_t)r * a->ldy + c;
        real *slope = a->slope ? a->slope + (size_t)r * a->ldslope + c : NULL;
        real *curve = a->curve ? a->curve + (size_t)r * a->ldslope + c : NULL;
        for (int v = 0; v < AIM_PANEL; v += VL) {
            vreal z = vload(y + v) + vload(bias + v), d = vset(R(1.0)), second = {0};
            if (a->gelu)
                z = vgelu(z, &d, &second);
            vstore(y + v, z);
            if (a->gelu && slope)
                vstore(slope + v, d);
            if (a->gelu && curve)
                vstore(curve + v, second);
        }
    }
}

void AIM_KERNEL_FN(linear_fwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    for (int c = 0; c < a->n_out; c += AIM_PANEL) {
        panel_product(a->x, a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in, first, last,
                      a->y + c, a->ldy);
        bias_and_gelu(a, first, last, c);
    }
}

void AIM_KERNEL_FN(linear_bwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    if (a->slope)
        for (int64_t r = first; r < last; r++)
            for (int c = 0; c < a->n_out; c += VL) {
                real *y = a->y + (size_t)r * a->ldy + c;
                if (a->curve) {
                    real *curve = a->curve + (size_t)r * a->ldslope + c;
                    vstore(curve, vload(curve) * vload(y));
                }
                vstore(y, vload(y) * vload(a->slope + (size_t)r * a->ldslope + c));
            }
    for (int c = 0; c < a->n_in; c += AIM_PANEL)
        panel_product(a->y, a->ldy, a->w + (size_t)c * (size_t)a->n_out, a->n_out, first, last,
                      a->gx + c, a->ldgx);
}

void AIM_KERNEL_FN(linear_out)(const aim_linear_out_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++)
        for (int c = 0; c < a->n_out; c++) {
            const real *x = a->x + (size_t)r * a->ldx, *w = a->w + (size_t)c * (size_t)a->n_in;
            double part[4] = {(double)a->bias[c]};
            for (int k = 0; k < a->n_in; k++)
                part[k % 4] += (double)x[k] * (double)w[k];
            a->out[r * a->n_out + c] = (part[0] + part[1]) + (part[2] + part[3]);
        }
}

static void forward_rows(const aim_linear_tan_args *a, int64_t first, int64_t last)
{
    for (int c = 0; c < a->n_out; c += AIM_PANEL) {
        panel_product(a->x, a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in, first, last,
                      a->y + c, a->ldy);
        for (int64_t r = first; r < last; r++) {
            real *y = a->y + (size_t)r * a->ldy + c;
            if (a->tz)
                memcpy(a->tz + (size_t)r * a->ldtz + c, y, AIM_PANEL * sizeof *y);
            const real *slope = a->slope ? a->slope + (size_t)(r % a->n) * a->ldslope + c : NULL;
            for (int v = 0; slope && v < AIM_PANEL; v += VL)
                vstore(y + v, vload(y + v) * vload(slope + v));
        }
    }
}

static int is_zero(const real *x, int n)
{
    enum { WORDS = AIM_VBYTES / (int)sizeof(uint64_t) };
    int k = 0;
    while (k + VL <= n) {
        const int end = n - k < 4 * VL ? n / VL * VL : k + 4 * VL;
        vint any = {0};
        for (; k < end; k += VL)
            any |= vload(x + k) != vset(R(0.0));
        uint64_t word[WORDS], bits = 0;
        memcpy(word, &any, sizeof any);
        for (int w = 0; w < WORDS; w++)
            bits |= word[w];
        if (bits)
            return 0;
    }
    for (; k < n; k++)
        if (x[k] != R(0.0))
            return 0;
    return 1;
}

/* What the product of a row of zeros is, signs included. */
static void zero_row(const aim_linear_tan_args *a, int64_t r)
{
    real *y = a->y + (size_t)r * a->ldy;
    const real *slope = a->slope ? a->slope + (size_t)(r % a->n) * a->ldslope : NULL;
    memset(y, 0, (size_t)a->n_out * sizeof *y);
    if (a->tz)
        memset(a->tz + (size_t)r * a->ldtz, 0, (size_t)a->n_out * sizeof *a->tz);
    for (int c = 0; slope && c < a->n_out; c += VL)
        vstore(y + c, vload(y + c) * vload(slope + c));
}

/* Rows of zeros, which most are in the first pass where one atom moves, need no product; stretches of
 * others end where a tile's smallest part would be zeros. */
void AIM_KERNEL_FN(linear_fwd_tan)(const aim_linear_tan_args *a, int64_t first, int64_t last)
{
    int64_t begin = first,
            end = first; /* stretch in the making, behind its last row with numbers */
    for (int64_t r = first; r < last; r++) {
        if (!is_zero(a->x + (size_t)r * a->ldx, a->n_in)) {
            end = r + 1;
            continue;
        }
        if (r - end + 1 < STEP && end > begin)
            continue;
        forward_rows(a, begin, end);
        for (int64_t z = end; z <= r; z++)
            zero_row(a, z);
        begin = end = r + 1;
    }
    forward_rows(a, begin, end);
    for (int64_t z = end; z < last; z++)
        zero_row(a, z);
}

void AIM_KERNEL_FN(linear_bwd_tan)(const aim_linear_tan_args *a, int64_t first, int64_t last)
{
    if (a->slope)
        for (int64_t r = first; r < last; r++) {
            const size_t at = (size_t)(r % a->n) * a->ldslope;
            const real *tz = a->tz + (size_t)r * a->ldtz;
            real *y = a->y + (size_t)r * a->ldy;
            for (int c = 0; c < a->n_out; c += VL)
                vstore(y + c, vload(y + c) * vload(a->slope + at + c) +
                                  vload(a->bend + at + c) * vload(tz + c));
        }
    for (int c = 0; c < a->n_in; c += AIM_PANEL)
        panel_product(a->y, a->ldy, a->w + (size_t)c * (size_t)a->n_out, a->n_out, first, last,
                      a->gx + c, a->ldgx);
}

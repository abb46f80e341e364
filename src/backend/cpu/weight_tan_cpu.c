/* SPDX-License-Identifier: MIT */
/* weight_tan_cpu.c - gradients by weights: products over the rows of a batch.
 *
 *     gw[o][k] += sum_r tgz[r][o] x[r][k] + gz[r][o] tx[r][k]
 *
 * ROW_BLOCK rows of one panel of x and tx are copied next to each other (their rows are kilobytes
 * apart) and stay in the first-level cache for all outputs. OUTPUTS x 2 vectors of k stay in
 * registers for AIM_K_CHUNK rows; chunks are added in order in the working precision up to ROW_BLOCK
 * rows, blocks of rows in order in double. So an element is one expression, whatever part of the
 * outputs a worker has. */
#include "backend/cpu/cpu.h"

#if defined(__AVX512F__)
enum { OUTPUTS = 8 };
#else
enum { OUTPUTS = 4 };
#endif
enum { ROW_BLOCK = 4 * AIM_K_CHUNK };

/* x and tx of a row in the four vectors of its panel */
typedef struct panel_rows {
    vreal row[ROW_BLOCK][4];
} panel_rows;

static void copy_panel(const aim_weight_tan_args *a, size_t k, int64_t r0, int64_t r1,
                       panel_rows *to)
{
    for (int64_t r = r0; r < r1; r++) {
        const real *x = a->x + (size_t)r * a->ldx + k, *tx = a->tx + (size_t)r * a->ldx + k;
        vreal *row = to->row[r - r0];
        row[0] = vload(x);
        row[1] = vload(x + VL);
        row[2] = vload(tx);
        row[3] = vload(tx + VL);
    }
}

/* acc[o] = sum over the n_rows rows of p; gz, tgz: first output of the first row */
AIM_INLINE void chunk(const vreal (*p)[4], const real *gz, const real *tgz, size_t ldz, int n,
                      int64_t n_rows, vreal acc[OUTPUTS][2])
{
#pragma GCC unroll 8
    for (int t = 0; t < n; t++)
        acc[t][0] = acc[t][1] = (vreal){0};
    for (int64_t r = 0; r < n_rows; r++, gz += ldz, tgz += ldz) {
        const vreal x0 = p[r][0], x1 = p[r][1], t0 = p[r][2], t1 = p[r][3];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            const vreal z = vset(gz[t]), tz = vset(tgz[t]);
            acc[t][0] += tz * x0;
            acc[t][1] += tz * x1;
            acc[t][0] += z * t0;
            acc[t][1] += z * t1;
        }
    }
}

AIM_INLINE void tile(const aim_weight_tan_args *a, const panel_rows *p, int64_t o, int k, int n,
                     int64_t r0, int64_t r1)
{
    vreal sum[OUTPUTS][2] = {{{0}}}, acc[OUTPUTS][2];
    for (int64_t r = r0; r < r1; r += AIM_K_CHUNK) {
        const size_t at = (size_t)r * a->ldz + (size_t)o;
        chunk(p->row + (r - r0), a->gz + at, a->tgz + at, a->ldz, n,
              r + AIM_K_CHUNK < r1 ? AIM_K_CHUNK : r1 - r, acc);
        for (int t = 0; t < n; t++)
            for (int v = 0; v < 2; v++)
                sum[t][v] += acc[t][v];
    }
    for (int t = 0; t < n; t++) {
        real lane[2 * VL];
        vstore(lane, sum[t][0]);
        vstore(lane + VL, sum[t][1]);
        double *gw = a->gw + (o + t) * a->n_in + k;
        for (int c = 0; c < AIM_PANEL; c++)
            gw[c] += (double)lane[c];
    }
}

void AIM_KERNEL_FN(linear_weight_tan)(const aim_weight_tan_args *a, int64_t first, int64_t last)
{
    panel_rows panel;
    for (int64_t r0 = 0; r0 < a->rows; r0 += ROW_BLOCK) {
        const int64_t r1 = r0 + ROW_BLOCK < a->rows ? r0 + ROW_BLOCK : a->rows;
        for (int k = 0; k < a->n_in; k += AIM_PANEL) {
            int64_t o = first;
            copy_panel(a, (size_t)k, r0, r1, &panel);
            for (; o + OUTPUTS <= last; o += OUTPUTS)
                tile(a, &panel, o, k, OUTPUTS, r0, r1);
            for (; o < last; o++)
                tile(a, &panel, o, k, 1, r0, r1);
        }
    }
    for (int64_t o = first; a->gb && o < last; o++) {
        double sum = 0;
        for (size_t r = 0; r < (size_t)a->rows; r++)
            sum += (double)a->tgz[r * a->ldz + (size_t)o];
        a->gb[o] += sum;
    }
}

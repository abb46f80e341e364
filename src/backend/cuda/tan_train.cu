/* SPDX-License-Identifier: MIT */
/* tan_train.cu - the gradient of the sum of all seeds by every number of the network (net/weights.c),
 * after a sweep of one direction that kept inputs and adjoints of all layers:
 *
 *     W: tgz x^T + gz tx^T,   b: sum tgz,   combinations: tgv S + gv tS,   embedding: sum of adjoints
 *
 * Sums over atoms are cut into slices that depend on their number alone; a slice is added in float over
 * 32 atoms at a time, then in double, the slices one after the other. */
#include "backend/cuda/tangent.h"

enum { TILE = 64, DEPTH = 16, TILE_THREADS = 128, COLUMNS = 128, COMBINE = 256 };

static int slices_of(int rows, int each, int most)
{
    const int n = (rows + each - 1) / each;
    return n < 1 ? 1 : n > most ? most : n;
}

/* ---------------------------------------------------------------- weights */

template <typename real> struct product {
    int rows, n_out, n_in, ldx, ldz;
    const real *x, *tx, *gz, *tgz;
    double *out; /* [slices][n_out][n_in] */
};

template <typename real>
static __device__ __forceinline__ void load_tile(real (*to)[TILE + 4], const real *from, int ld,
                                                 int first, int last, int col, int cols)
{
    for (int t = threadIdx.x; t < DEPTH * TILE; t += TILE_THREADS) {
        const int r = t / TILE, c = t % TILE;
        to[r][c] = first + r < last && col + c < cols ? from[(size_t)(first + r) * ld + col + c]
                                                      : (real)0;
    }
}

template <typename real>
__global__ void __launch_bounds__(TILE_THREADS) multiply_rows(const product<real> p)
{
    __shared__ real z[DEPTH][TILE + 4], x[DEPTH][TILE + 4];
    const int i0 = blockIdx.x * TILE, o0 = blockIdx.y * TILE, ti = threadIdx.x % 16 * 4,
              to = threadIdx.x / 16 * 8;
    const int each = ((p.rows + (int)gridDim.z - 1) / (int)gridDim.z + DEPTH - 1) / DEPTH * DEPTH,
              from = blockIdx.z * each, end = min(from + each, p.rows);
    double total[8][4] = {};
    for (int half = 0; half < 2; half++) {
        const real *gz = half ? p.gz : p.tgz, *gx = half ? p.tx : p.x;
        for (int r0 = from; r0 < end; r0 += 2 * DEPTH) {
            real sum[8][4] = {};
            for (int step = 0; step < 2; step++) {
                load_tile(z, gz, p.ldz, r0 + step * DEPTH, end, o0, p.n_out);
                load_tile(x, gx, p.ldx, r0 + step * DEPTH, end, i0, p.n_in);
                __syncthreads();
#pragma unroll
                for (int r = 0; r < DEPTH; r++) {
                    real a[8], b[4];
#pragma unroll
                    for (int m = 0; m < 8; m++)
                        a[m] = z[r][to + m];
#pragma unroll
                    for (int n = 0; n < 4; n++)
                        b[n] = x[r][ti + n];
#pragma unroll
                    for (int m = 0; m < 8; m++)
#pragma unroll
                        for (int n = 0; n < 4; n++)
                            sum[m][n] += a[m] * b[n];
                }
                __syncthreads();
            }
#pragma unroll
            for (int m = 0; m < 8; m++)
#pragma unroll
                for (int n = 0; n < 4; n++)
                    total[m][n] += (double)sum[m][n];
        }
    }
    double *out = p.out + (size_t)blockIdx.z * p.n_out * p.n_in;
    for (int m = 0; m < 8; m++)
        for (int n = 0; n < 4; n++)
            if (o0 + to + m < p.n_out && i0 + ti + n < p.n_in)
                out[(size_t)(o0 + to + m) * p.n_in + i0 + ti + n] = total[m][n];
}

/* out[row_of[block]] += the slices' sums; [slices][blocks][width] */
__global__ void add_slices(int slices, int blocks, int width, const double *part,
                           const int *row_of, double *out)
{
    const size_t k = blockIdx.x * (size_t)blockDim.x + threadIdx.x,
                 count = (size_t)blocks * width;
    if (k >= count)
        return;
    double sum = 0;
    for (int s = 0; s < slices; s++)
        sum += part[s * count + k];
    const size_t row = row_of ? (size_t)row_of[k / width] : k / width;
    out[row * width + k % width] += sum;
}

static void add_up(cudaStream_t stream, int slices, int blocks, int width, const double *part,
                   const int *row_of, double *out)
{
    const size_t count = (size_t)blocks * (size_t)width;
    add_slices<<<(unsigned)((count + 255) / 256), 256, 0, stream>>>(slices, blocks, width, part,
                                                                   row_of, out);
}

/* ---------------------------------------------------------------- sums of columns */

/* part[slice][kind][column], of all rows where kind is NULL */
template <typename real>
__global__ void __launch_bounds__(COLUMNS)
    sum_columns(int rows, const real *x, int ld, int cols, const int *kind, double *part)
{
    const int c = blockIdx.x * COLUMNS + threadIdx.x, slices = gridDim.y,
              each = (rows + slices - 1) / slices, from = blockIdx.y * each,
              to = min(from + each, rows);
    if (c >= cols)
        return;
    double sum = 0;
    for (int r = from; r < to; r++)
        if (!kind || kind[r] == (int)blockIdx.z)
            sum += (double)x[(size_t)r * ld + c];
    part[((size_t)blockIdx.y * gridDim.z + blockIdx.z) * cols + c] = sum;
}

template <typename real>
static void column_sums(cudaStream_t stream, const cu_kept<real> *k, const real *x, int ld,
                        int cols, int by_kind, double *part, double *out)
{
    const int slices = slices_of(k->n, 64, 64), kinds = by_kind ? k->kinds : 1;
    const dim3 grid((cols + COLUMNS - 1) / COLUMNS, slices, kinds);
    sum_columns<<<grid, COLUMNS, 0, stream>>>(k->n, x, ld, cols, by_kind ? k->kind : (int *)NULL,
                                              part);
    add_up(stream, slices, kinds, cols, part, by_kind ? k->kind_species : (int *)NULL, out);
}

/* ---------------------------------------------------------------- combinations */

template <typename real> struct combinations {
    int n, nf, gp, ncomb, hp, ldx, col;
    const real *s, *ts, *v, *tv, *gx, *tgx; /* gx: rows of adjoints, xv at column col */
    double *out;                            /* [slices][nf][gp][hp] */
};

template <typename real>
__global__ void __launch_bounds__(COMBINE) combine(const combinations<real> c)
{
    const int f = blockIdx.x, columns = c.nf * c.gp,
              each = (c.n + (int)gridDim.y - 1) / (int)gridDim.y, from = blockIdx.y * each,
              to = min(from + each, c.n);
    for (int k = threadIdx.x; k < c.gp * c.hp; k += COMBINE) {
        const int g = k / c.hp, h = k % c.hp;
        double sum = 0;
        for (int i = from; i < to && h < c.ncomb; i++) {
            const size_t x = (size_t)i * c.ldx + c.col + f * c.ncomb + h;
            const real gxv = c.gx[x], tgxv = c.tgx[x];
#pragma unroll
            for (int d = 0; d < 3; d++) {
                const size_t v = (((size_t)i * c.nf + f) * 3 + d) * c.hp + h,
                             s = ((size_t)i * 4 + d + 1) * columns + f * c.gp + g;
                sum += (double)((c.tv[v] * gxv + c.v[v] * tgxv) * c.s[s] +
                                c.v[v] * gxv * c.ts[s]);
            }
        }
        c.out[(((size_t)blockIdx.y * c.nf + f) * c.gp + g) * c.hp + h] = 2.0 * sum;
    }
}

/* ---------------------------------------------------------------- everything */

template <typename real>
static double *mlp_gradient(cudaStream_t stream, const cu_mlp *m, const cu_acts<real> *a,
                            const cu_tan_acts<real> *ta, const cu_kept<real> *k, double *part,
                            double *out)
{
    for (int l = 0; l < m->n_layers; l++) {
        const cu_layer *layer = &m->layer[l];
        product<real> p = {};
        p.rows = k->n;
        p.n_out = layer->n_out;
        p.n_in = layer->n_in;
        p.ldx = layer->ld_in;
        p.ldz = layer->ld_out;
        p.x = a->x[l];
        p.tx = ta->x[l];
        p.gz = a->gz[l];
        p.tgz = ta->gz[l];
        p.out = part;
        const int slices = slices_of(k->n, 512, CU_WEIGHT_SLICES);
        const dim3 grid((p.n_in + TILE - 1) / TILE, (p.n_out + TILE - 1) / TILE, slices);
        multiply_rows<<<grid, TILE_THREADS, 0, stream>>>(p);
        add_up(stream, slices, p.n_out, p.n_in, part, NULL, out);
        out += (size_t)p.n_out * (size_t)p.n_in;
        column_sums(stream, k, p.tgz, p.ldz, p.n_out, 0, part, out);
        out += p.n_out;
    }
    return out;
}

template <typename real>
static double *conv_gradient(cudaStream_t stream, const cu_net *net, const cu_kept<real> *k,
                             const cu_tans<real> *t, int plain, double *part, double *out)
{
    const aim_dev_conv *conv = plain ? &net->d.conv_q : &net->d.conv_a;
    const int slices = slices_of(k->n, 32, 64), size = net->d.gp * conv->hp;
    for (int p = plain; p < net->d.n_pass; p++) {
        combinations<real> c = {};
        c.n = k->n;
        c.nf = conv->nf;
        c.gp = net->d.gp;
        c.ncomb = conv->ncomb;
        c.hp = conv->hp;
        c.ldx = net->mlp[p].layer[0].ld_in;
        c.col = plain ? net->d.columns[p].qv : net->d.columns[p].xv;
        c.s = plain ? t->sq[p] : t->s[p];
        c.ts = plain ? t->tsq[p] : t->ts[p];
        c.v = plain ? k->vq[p] : k->v[p];
        c.tv = plain ? t->tvq[p] : t->tv[p];
        c.gx = k->pass[p].gx;
        c.tgx = t->pass[p].gx;
        c.out = part;
        combine<<<dim3(conv->nf, slices), COMBINE, 0, stream>>>(c);
        add_up(stream, slices, conv->nf, size, part, NULL, out);
    }
    return out + (size_t)conv->nf * (size_t)size;
}

template <typename real>
void cu_gradient(cu_state *s, cu_net *net, const cu_kept<real> *k, const cu_tans<real> *t)
{
    cudaStream_t stream = net->device->stream;
    const aim_dev_net *d = &net->d;
    double *out = t->gradient;
    for (int p = 0; p < d->n_pass; p++)
        out = mlp_gradient(stream, &net->mlp[p], &k->pass[p], &t->pass[p], k, t->part, out);
    for (int h = 0; h < d->n_heads; h++) {
        if (k->ghead[h])
            out = mlp_gradient(stream, &net->head[h], &k->head[h], &t->head[h], k, t->part, out);
        else
            for (int l = 0; l < net->head[h].n_layers; l++)
                out += (size_t)net->head[h].layer[l].n_out * (net->head[h].layer[l].n_in + 1);
    }
    const cu_layer *first = &net->mlp[0].layer[0];
    column_sums(stream, k, (const real *)t->pass[0].gz[0], first->ld_out, first->n_out, 1, t->part,
                out);
    out += (size_t)d->n_species * (size_t)first->n_out;
    out = conv_gradient(stream, net, k, t, 0, t->part, out);
    out = conv_gradient(stream, net, k, t, 1, t->part, out);
    column_sums(stream, k, (const real *)t->tga0, d->fa, d->fa, 1, t->part, out);
    column_sums(stream, k, (const real *)t->tga[1], d->fa, d->fa, 1, t->part, out);
    cu_check(s, "the gradient by the parameters");
}

#define INSTANCE(real)                                                                             \
    template void cu_gradient(cu_state *, cu_net *, const cu_kept<real> *, const cu_tans<real> *)
INSTANCE(float);
INSTANCE(double);

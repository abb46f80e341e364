/* SPDX-License-Identifier: MIT */
/* tan_train.cu - the gradient of the sum of all seeds by every number of the network (net/weights.c),
 * after a sweep of one direction that kept inputs and adjoints of all layers:
 *
 *     W: tgz x^T + gz tx^T,   b: sum tgz,   combinations: tgv S + gv tS,   embedding: sum of adjoints
 *
 * Sums over atoms are cut into slices that depend on their number alone; the slices are added in
 * double, one after the other. */
#include "backend/cuda/tangent.h"

enum { CHUNK = 32, TILE = 64, DEPTH = 16, TILE_THREADS = 128, COLUMNS = 128, COMBINE = 256 };

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

/* Rows of slice blockIdx.z: whole chunks. */
template <typename real>
static __device__ __forceinline__ void slice_of(const product<real> &p, int *from, int *end)
{
    const int each = ((p.rows + (int)gridDim.z - 1) / (int)gridDim.z + CHUNK - 1) / CHUNK * CHUNK;
    *from = blockIdx.z * each;
    *end = min(*from + each, p.rows);
}

/* ---- single precision: tensor cores, operands of two halves of 11 bits each, three products of four.
 * Chunks of 32 rows are summed by them and then added in float. */

enum { OUT = 128, IN = 128, LD = 128 + 8, THREADS = 256 };

struct tiles {
    float z[CHUNK][LD], x[CHUNK][LD];
};

static __device__ __forceinline__ void copy_tile(float (*to)[LD], const float *from, int ld, int row,
                                                 int end, int col)
{
#if __CUDA_ARCH__ >= 800
    for (int t = threadIdx.x; t < CHUNK * (OUT / 4); t += THREADS) {
        const int r = t / (OUT / 4), c = t % (OUT / 4) * 4,
                  bytes = row + r < end && col + c < ld ? 16 : 0; /* else zeros */
        const float *at = bytes ? from + (size_t)(row + r) * ld + col + c : from;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                         (unsigned)__cvta_generic_to_shared(&to[r][c])),
                     "l"(at), "r"(bytes));
    }
#endif
}

/* x = high + low, both exact for the matrix units up to 2^-22 of x */
static __device__ __forceinline__ void split(float x, unsigned *high, unsigned *low)
{
#if __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(*high) : "f"(x));
    *low = __float_as_uint(x - __uint_as_float(*high));
#endif
}

static __device__ __forceinline__ void multiply_add(float c[4], const unsigned a[4],
                                                    const unsigned b[2])
{
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/* One chunk of a warp's 64 outputs and 32 inputs. */
static __device__ __forceinline__ void multiply_chunk(const tiles &t, int out, int in,
                                                      float sum[4][4][4])
{
    const int g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;
#pragma unroll
    for (int k = 0; k < CHUNK; k += 8) {
        unsigned ah[4][4], al[4][4];
#pragma unroll
        for (int m = 0; m < 4; m++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                split(t.z[k + q + e / 2 * 4][out + 16 * m + g + e % 2 * 8], &ah[m][e], &al[m][e]);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            unsigned bh[2], bl[2];
#pragma unroll
            for (int e = 0; e < 2; e++)
                split(t.x[k + q + e * 4][in + 8 * n + g], &bh[e], &bl[e]);
#pragma unroll
            for (int m = 0; m < 4; m++) {
                multiply_add(sum[m][n], al[m], bh);
                multiply_add(sum[m][n], ah[m], bl);
                multiply_add(sum[m][n], ah[m], bh);
            }
        }
    }
}

static __device__ __forceinline__ void load_chunk(const product<float> &p, int chunk, int each,
                                                  int from, int end, tiles *t)
{
    const int half = chunk >= each, row = from + (half ? chunk - each : chunk) * CHUNK;
    copy_tile(t->z, half ? p.gz : p.tgz, p.ldz, row, end, blockIdx.y * OUT);
    copy_tile(t->x, half ? p.tx : p.x, p.ldx, row, end, blockIdx.x * IN);
    asm volatile("cp.async.commit_group;");
}

__global__ void __launch_bounds__(THREADS) multiply_rows(const product<float> p)
{
    extern __shared__ __align__(16) unsigned char memory[];
    tiles *stage = (tiles *)memory; /* [2] */
    const int warp = threadIdx.x / 32, out = warp / 4 * 64, in = warp % 4 * 32;
    int from, end;
    slice_of(p, &from, &end);
    const int each = (end - from + CHUNK - 1) / CHUNK;
    float total[4][4][4] = {};
    if (each > 0)
        load_chunk(p, 0, each, from, end, &stage[0]);
    for (int c = 0; c < 2 * each; c++) {
        if (c + 1 < 2 * each) {
            load_chunk(p, c + 1, each, from, end, &stage[(c + 1) % 2]);
            asm volatile("cp.async.wait_group 1;");
        } else {
            asm volatile("cp.async.wait_group 0;");
        }
        __syncthreads();
        float sum[4][4][4] = {};
        multiply_chunk(stage[c % 2], out, in, sum);
#pragma unroll
        for (int m = 0; m < 64; m++)
            total[m / 16][m / 4 % 4][m % 4] += sum[m / 16][m / 4 % 4][m % 4];
        __syncthreads();
    }
    double *to = p.out + (size_t)blockIdx.z * p.n_out * p.n_in;
#pragma unroll
    for (int m = 0; m < 64; m++) {
        const int e = m % 4, o = blockIdx.y * OUT + out + m / 16 * 16 + threadIdx.x % 32 / 4 + e / 2 * 8,
                  i = blockIdx.x * IN + in + m / 4 % 4 * 8 + threadIdx.x % 4 * 2 + e % 2;
        if (o < p.n_out && i < p.n_in)
            to[(size_t)o * p.n_in + i] = (double)total[m / 16][m / 4 % 4][e];
    }
}

static void launch_product(cudaStream_t stream, const product<float> &p, int slices)
{
    const dim3 grid((p.n_in + IN - 1) / IN, (p.n_out + OUT - 1) / OUT, slices);
    multiply_rows<<<grid, THREADS, 2 * sizeof(tiles), stream>>>(p);
}

/* ---- double precision */

static __device__ __forceinline__ void load_tile(double (*to)[TILE + 4], const double *from, int ld,
                                                 int first, int last, int col, int cols)
{
    for (int t = threadIdx.x; t < DEPTH * TILE; t += TILE_THREADS) {
        const int r = t / TILE, c = t % TILE;
        to[r][c] = first + r < last && col + c < cols ? from[(size_t)(first + r) * ld + col + c]
                                                      : 0.0;
    }
}

__global__ void __launch_bounds__(TILE_THREADS) multiply_doubles(const product<double> p)
{
    __shared__ double z[DEPTH][TILE + 4], x[DEPTH][TILE + 4];
    const int i0 = blockIdx.x * TILE, o0 = blockIdx.y * TILE, ti = threadIdx.x % 16 * 4,
              to = threadIdx.x / 16 * 8;
    int from, end;
    slice_of(p, &from, &end);
    double sum[8][4] = {};
    for (int half = 0; half < 2; half++)
        for (int r0 = from; r0 < end; r0 += DEPTH) {
            load_tile(z, half ? p.gz : p.tgz, p.ldz, r0, end, o0, p.n_out);
            load_tile(x, half ? p.tx : p.x, p.ldx, r0, end, i0, p.n_in);
            __syncthreads();
#pragma unroll
            for (int r = 0; r < DEPTH; r++)
#pragma unroll
                for (int m = 0; m < 8; m++)
#pragma unroll
                    for (int n = 0; n < 4; n++)
                        sum[m][n] += z[r][to + m] * x[r][ti + n];
            __syncthreads();
        }
    double *out = p.out + (size_t)blockIdx.z * p.n_out * p.n_in;
    for (int m = 0; m < 8; m++)
        for (int n = 0; n < 4; n++)
            if (o0 + to + m < p.n_out && i0 + ti + n < p.n_in)
                out[(size_t)(o0 + to + m) * p.n_in + i0 + ti + n] = sum[m][n];
}

static void launch_product(cudaStream_t stream, const product<double> &p, int slices)
{
    const dim3 grid((p.n_in + TILE - 1) / TILE, (p.n_out + TILE - 1) / TILE, slices);
    multiply_doubles<<<grid, TILE_THREADS, 0, stream>>>(p);
}

void cu_gradient_prepare(cu_state *s)
{
    cudaFuncSetAttribute(multiply_rows, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         (int)(2 * sizeof(tiles)));
    cu_check(s, "the shared memory of gradients");
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
        launch_product(stream, p, slices);
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
    const int slices = slices_of(k->n, 32, CU_COMBINE_SLICES), size = net->d.gp * conv->hp;
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

/* The embedding's part of the first layer from the sums B of tgz over the atoms of each element: its
 * columns sum_z B_z e_z^T, and B_z^T times these columns for the embedding. */
template <typename real>
__global__ void fold_columns(int n_species, int n_out, int fa, const double *by_species,
                             const real *embedding, double *out)
{
    const int c = blockIdx.x * blockDim.x + threadIdx.x, o = blockIdx.y;
    if (c >= fa)
        return;
    double sum = 0;
    for (int z = 0; z < n_species; z++)
        sum += by_species[(size_t)z * n_out + o] * (double)embedding[(size_t)z * fa + c];
    out[(size_t)o * fa + c] = sum;
}

__global__ void fold_embedding(int n_out, int fa, const double *by_species, const float *folded,
                               double *out)
{
    const int c = blockIdx.x * blockDim.x + threadIdx.x, z = blockIdx.y;
    if (c >= fa)
        return;
    double sum = 0;
    for (int o = 0; o < n_out; o++)
        sum += by_species[(size_t)z * n_out + o] * (double)folded[(size_t)o * fa + c];
    out[(size_t)z * fa + c] += sum;
}

template <typename real>
__global__ void put_in_places(size_t count, const int *from, const double *parts, real *out)
{
    const size_t k = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (k < count)
        out[k] = from[k] >= 0 ? (real)parts[from[k]] : (real)0;
}

template <typename real>
void cu_gradient(cu_state *s, cu_net *net, const cu_kept<real> *k, const cu_tans<real> *t)
{
    cudaStream_t stream = net->device->stream;
    const aim_dev_net *d = &net->d;
    double *out = t->parts;
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
                t->by_species);
    const dim3 columns((d->fa + 127) / 128, first->n_out);
    fold_columns<<<columns, 128, 0, stream>>>(d->n_species, first->n_out, d->fa, t->by_species,
                                              (const real *)d->embedding, out);
    out += (size_t)first->n_out * (size_t)d->fa;
    out = conv_gradient(stream, net, k, t, 0, t->part, out);
    out = conv_gradient(stream, net, k, t, 1, t->part, out);
    column_sums(stream, k, (const real *)t->tga0, d->fa, d->fa, 1, t->part, out);
    column_sums(stream, k, (const real *)t->tga[1], d->fa, d->fa, 1, t->part, out);
    fold_embedding<<<dim3(columns.x, d->n_species), 128, 0, stream>>>(
        first->n_out, d->fa, t->by_species, net->folded, out);
    put_in_places<<<(unsigned)((t->gradient_size + 255) / 256), 256, 0, stream>>>(
        t->gradient_size, net->places, t->parts, t->gradient);
    cu_check(s, "the gradient by the parameters");
}

#define INSTANCE(real)                                                                             \
    template void cu_gradient(cu_state *, cu_net *, const cu_kept<real> *, const cu_tans<real> *)
INSTANCE(float);
INSTANCE(double);

/* SPDX-License-Identifier: MIT */
/* tan_train.cu - the gradient of the sum of all seeds by every number of the network (net/weights.c),
 * after a sweep of one direction that kept inputs and adjoints of all layers:
 *
 *     W: tgz x^T + gz tx^T,   b: sum tgz,   combinations: tgv S + gv tS,   embedding: sum of adjoints
 *
 * Sums over atoms are cut into slices that depend on their number alone; the slices are added in
 * double, one after the other, where the gradient is put together. */
#include "backend/cuda/gemm.h"
#include "backend/cuda/tan_train.h"

enum { CHUNK = CU_WEIGHT_CHUNK, TILE = 64, DEPTH = 16, TILE_THREADS = 128 };

int cu_weight_slices(int n)
{
    return cu_slices_of(n, 384, CU_WEIGHT_SLICES);
}

/* ---------------------------------------------------------------- weights */

template <typename real> struct product {
    int rows, slices;
    cu_product<real> of;
    size_t size;
    real *part;
};

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
    copy_tile(t->z, half ? p.of.gz : p.of.tgz, p.of.ldz, row, end, blockIdx.y * OUT);
    copy_tile(t->x, half ? p.of.tx : p.of.x, p.of.ldx, row, end, blockIdx.x * IN);
    asm volatile("cp.async.commit_group;");
}

__global__ void __launch_bounds__(THREADS) multiply_rows(const product<float> p)
{
    extern __shared__ __align__(16) unsigned char memory[];
    tiles *stage = (tiles *)memory; /* [2] */
    const int warp = threadIdx.x / 32, out = warp / 4 * 64, in = warp % 4 * 32;
    int from, end;
    cu_slice(p.rows, p.slices, blockIdx.z, &from, &end);
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
    float *to = p.part + (size_t)blockIdx.z * p.size + p.of.out;
#pragma unroll
    for (int m = 0; m < 64; m++) {
        const int e = m % 4, o = blockIdx.y * OUT + out + m / 16 * 16 + threadIdx.x % 32 / 4 + e / 2 * 8,
                  i = blockIdx.x * IN + in + m / 4 % 4 * 8 + threadIdx.x % 4 * 2 + e % 2;
        if (o < p.of.n_out && i < p.of.n_in)
            to[(size_t)o * p.of.n_in + i] = total[m / 16][m / 4 % 4][e];
    }
}

static void launch_product(cudaStream_t stream, const product<float> &p)
{
    const dim3 grid((p.of.n_in + IN - 1) / IN, (p.of.n_out + OUT - 1) / OUT, p.slices);
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
    cu_slice(p.rows, p.slices, blockIdx.z, &from, &end);
    double sum[8][4] = {};
    for (int half = 0; half < 2; half++)
        for (int r0 = from; r0 < end; r0 += DEPTH) {
            load_tile(z, half ? p.of.gz : p.of.tgz, p.of.ldz, r0, end, o0, p.of.n_out);
            load_tile(x, half ? p.of.tx : p.of.x, p.of.ldx, r0, end, i0, p.of.n_in);
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
    double *out = p.part + (size_t)blockIdx.z * p.size + p.of.out;
    for (int m = 0; m < 8; m++)
        for (int n = 0; n < 4; n++)
            if (o0 + to + m < p.of.n_out && i0 + ti + n < p.of.n_in)
                out[(size_t)(o0 + to + m) * p.of.n_in + i0 + ti + n] = sum[m][n];
}

static void launch_product(cudaStream_t stream, const product<double> &p)
{
    const dim3 grid((p.of.n_in + TILE - 1) / TILE, (p.of.n_out + TILE - 1) / TILE, p.slices);
    multiply_doubles<<<grid, TILE_THREADS, 0, stream>>>(p);
}

void cu_gradient_prepare(cu_state *s)
{
    cudaFuncSetAttribute(multiply_rows, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         (int)(2 * sizeof(tiles)));
    cu_weights_prepare();
    cu_check(s, "the shared memory of gradients");
}

/* All products of a list; it is empty then. */
template <typename real> static void launch_each(cudaStream_t stream, cu_products<real> *p)
{
    for (int k = 0; k < p->count; k++)
        launch_product(stream, product<real>{p->rows, p->slices, p->of[k], p->size, p->part});
    p->count = 0;
}
static void launch_products(cudaStream_t stream, const cu_device *d, cu_products<float> *p)
{
    if (!d->warpgroups) {
        launch_each(stream, p);
        return;
    }
    cu_weights_wide(stream, d->processors, p);
    p->count = 0;
}
static void launch_products(cudaStream_t stream, const cu_device *, cu_products<double> *p)
{
    launch_each(stream, p);
}

/* ---------------------------------------------------------------- sums of columns */

enum { COLUMNS = 32, ROWS = 32, COLUMN_LISTS = 40 };

/* by_kind: out[species][cols] += for the rows of each kind, else out[cols]; more: added as well, or NULL */
template <typename real> struct column_list {
    const real *x, *more;
    int ld, cols, by_kind, first; /* first: blocks of those before */
    double *out;
};

template <typename real> struct columns {
    int count, rows, kinds, blocks;
    const int *kind, *kind_species;
    column_list<real> of[COLUMN_LISTS];
};

/* A warp takes every 32nd row, then the warps' sums are added in their order. */
template <typename real>
__global__ void __launch_bounds__(COLUMNS *ROWS)
    sum_columns(const __grid_constant__ columns<real> all)
{
    __shared__ double part[ROWS][COLUMNS];
    const int lane = threadIdx.x % COLUMNS, warp = threadIdx.x / COLUMNS;
    int l = 0;
    while (l + 1 < all.count && all.of[l + 1].first <= (int)blockIdx.x)
        l++;
    const column_list<real> &c = all.of[l];
    const int side = (c.cols + COLUMNS - 1) / COLUMNS, own = (int)blockIdx.x - c.first,
              kind = own / side, col = own % side * COLUMNS + lane;
    double sum = 0;
    if (col < c.cols && !c.by_kind) {
#pragma unroll 8
        for (int r = warp; r < all.rows; r += ROWS)
            sum += (double)c.x[(size_t)r * c.ld + col];
    } else if (col < c.cols) {
#pragma unroll 8
        for (int r = warp; r < all.rows; r += ROWS) { /* every row is read: none waits for its kind */
            const bool own_kind = all.kind[r] == kind;
            const real x = c.x[(size_t)r * c.ld + col],
                       more = c.more ? c.more[(size_t)r * c.ld + col] : (real)0;
            sum += own_kind ? (double)x : 0.0;
            sum += own_kind ? (double)more : 0.0;
        }
    }
    part[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || col >= c.cols)
        return;
    sum = 0;
    for (int k = 0; k < ROWS; k++)
        sum += part[k][lane];
    if (c.by_kind)
        c.out[(size_t)all.kind_species[kind] * c.cols + col] += sum;
    else
        c.out[col] = sum;
}

template <typename real> static void launch_columns(cudaStream_t stream, columns<real> *c)
{
    if (c->blocks > 0)
        sum_columns<<<c->blocks, COLUMNS * ROWS, 0, stream>>>(*c);
    c->count = c->blocks = 0;
}

template <typename real>
static void add_columns(cudaStream_t stream, columns<real> *c, const real *x, const real *more,
                        int ld, int cols, int by_kind, double *out)
{
    if (c->count == COLUMN_LISTS)
        launch_columns(stream, c);
    c->of[c->count++] = column_list<real>{x, more, ld, cols, by_kind, c->blocks, out};
    c->blocks += (cols + COLUMNS - 1) / COLUMNS * (by_kind ? c->kinds : 1);
}

/* ---------------------------------------------------------------- everything */

/* Products and biases of one MLP go into the lists; those of a head without an adjoint are zero. */
template <typename real>
static void mlp_gradient(cudaStream_t stream, const cu_device *d, const cu_mlp *m,
                            const cu_acts<real> *a, const cu_tan_acts<real> *ta,
                            const cu_tans<real> *t, int live, cu_products<real> *list,
                            columns<real> *biases, double *out)
{
    for (int l = 0; l < m->n_layers; l++) {
        const cu_layer *layer = &m->layer[l];
        const size_t size = (size_t)layer->n_out * (size_t)layer->n_in,
                     at = (size_t)(out - t->parts);
        if (!live) {
            cudaMemset2DAsync(list->part + at, list->size * sizeof(real), 0, size * sizeof(real),
                              list->slices, stream);
            cudaMemsetAsync(out + size, 0, layer->n_out * sizeof *out, stream);
        } else {
            if (list->count == CU_PRODUCTS)
                launch_products(stream, d, list);
            list->of[list->count++] = cu_product<real>{
                layer->n_out, layer->n_in,  layer->ld_in, layer->ld_out, a->x[l], ta->x[l],
                a->gz[l],     ta->gz[l],    a->xmax[l],   ta->xmax[l],   a->gzmax[l],
                ta->gzmax[l], at};
            add_columns(stream, biases, (const real *)ta->gz[l], (const real *)NULL, layer->ld_out,
                        layer->n_out, 0, out + size);
        }
        out += size + (size_t)layer->n_out;
    }
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

/* Each of eight warps takes every eighth row, then theirs in order. */
__global__ void __launch_bounds__(CU_OUTPUTS *CU_SUMMERS)
    fold_embedding(int n_out, int fa, const double *by_species, const float *folded, double *out)
{
    __shared__ double sums[CU_SUMMERS][CU_OUTPUTS];
    const int c = blockIdx.x * CU_OUTPUTS + threadIdx.x % CU_OUTPUTS, z = blockIdx.y,
              warp = threadIdx.x / CU_OUTPUTS;
    double sum = 0;
    for (int o = warp; o < n_out && c < fa; o += CU_SUMMERS)
        sum += by_species[(size_t)z * n_out + o] * (double)folded[(size_t)o * fa + c];
    sums[warp][threadIdx.x % CU_OUTPUTS] = sum;
    __syncthreads();
    if (warp > 0 || c >= fa)
        return;
    sum = 0;
    for (int m = 0; m < CU_SUMMERS; m++)
        sum += sums[m][threadIdx.x];
    out[(size_t)z * fa + c] = sum;
}

/* Weights have their slices, at place -2 - from; lost: what the matrix units truncate of them. */
template <typename real>
__global__ void put_in_places(size_t count, const int *from, const double *parts, int slices,
                              size_t size, const real *weights, double lost, size_t first, real *out)
{
    const size_t k = first + blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (k >= count)
        return;
    const int place = from[k];
    double sum = place >= 0 ? parts[place] : 0.0;
#pragma unroll 4
    for (int s = 0; s < slices && place < -1; s++)
        sum += (double)weights[s * size + (size_t)(-2 - place)];
    out[k] = (real)(place < -1 ? fma(sum, lost, sum) : sum);
}

__global__ void mark_weights(size_t count, int first, int last, int *place)
{
    const size_t k = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (k < count && place[k] >= first && place[k] < last)
        place[k] = -2 - place[k];
}

/* The MLP of a pass or, behind these, of a head: their gradients stand in this order. */
static const cu_mlp *mlp_of(const cu_net *net, int m)
{
    return m < net->d.n_pass ? &net->mlp[m] : &net->head[m - net->d.n_pass];
}

static size_t numbers_of(const cu_mlp *m)
{
    size_t n = 0;
    for (int l = 0; l < m->n_layers; l++)
        n += (size_t)m->layer[l].n_out * (size_t)(m->layer[l].n_in + 1);
    return n;
}

void cu_mark_weights(cudaStream_t stream, const cu_net *net, size_t count, int *place)
{
    size_t at = 0;
    for (int m = 0; m < net->d.n_pass + net->d.n_heads; m++) {
        const cu_mlp *mlp = mlp_of(net, m);
        for (int l = 0; l < mlp->n_layers; l++) {
            const cu_layer *layer = &mlp->layer[l];
            const size_t size = (size_t)layer->n_out * (size_t)layer->n_in;
            mark_weights<<<(unsigned)((count + 255) / 256), 256, 0, stream>>>(
                count, (int)at, (int)(at + size), place);
            at += size + (size_t)layer->n_out;
        }
    }
}

/* The stage after which a number of the sums is there: folded columns with the layers of the first
 * pass, combinations and the embedding last. */
static int stage_of(const cu_net *net, size_t from)
{
    const size_t folded = (size_t)net->mlp[0].layer[0].n_out * (size_t)net->d.fa;
    size_t at = 0;
    for (int m = 0; m < net->d.n_pass + net->d.n_heads; m++) {
        at += numbers_of(mlp_of(net, m));
        if (from < at)
            return m < net->d.n_pass ? net->d.n_pass - 1 - m : 0;
    }
    return from < at + folded ? net->d.n_pass - 1 : net->d.n_pass;
}

void cu_find_stages(cu_net *net, const aim_dev_places *p)
{
    for (int part = 0; part < CU_PARTS; part++) {
        int last = 0;
        for (size_t k = cu_part_start(p->count, part); k < cu_part_start(p->count, part + 1); k++) {
            const int stage = p->from[k] < 0 ? 0 : stage_of(net, (size_t)p->from[k]);
            last = stage > last ? stage : last;
        }
        net->part_stage[part] = last;
    }
}

/* Puts the parts together that are complete by now, and sends them, in the second stream. */
template <typename real>
static void send_parts(cu_state *s, cu_net *net, const cu_tans<real> *t, int slices, int stage)
{
    cu_device *d = net->device;
    for (int part = 0, end; part < CU_PARTS; part = end) {
        const size_t first = cu_part_start(t->gradient_size, part);
        for (end = part; end < CU_PARTS && net->part_stage[end] == stage; end++)
            ;
        if (end == part) {
            end++;
            continue;
        }
        const size_t last = cu_part_start(t->gradient_size, end);
        if (last > first)
            put_in_places<<<(unsigned)((last - first + 255) / 256), 256, 0, d->side>>>(
                last, net->places, t->parts, slices, t->parts_size, (const real *)t->weights,
                d->warpgroups && !net->d.is_double ? CU_LOST : 0.0, first, t->gradient);
        for (int k = part; k < end; k++) {
            real *from = t->gradient + cu_part_start(t->gradient_size, k);
            const size_t bytes = (cu_part_start(t->gradient_size, k + 1) -
                                  cu_part_start(t->gradient_size, k)) * sizeof *from;
            cu_check_call(s, cudaMemcpyAsync((char *)d->out + ((char *)from - t->out_base), from,
                                             bytes, cudaMemcpyDeviceToHost, d->side),
                          "copying results");
            cu_check_call(s, cudaEventRecord(d->arrived[k], d->side), "an event");
        }
    }
}

/* The embedding of a gradient, the last of the numbers. */
template <typename real> static double *embedding_of(const cu_net *net, const cu_tans<real> *t)
{
    return t->parts + t->parts_size - (size_t)net->d.n_species * (size_t)net->d.fa;
}

/* Sums of the first layer's adjoints by element, in one launch with what is in the list; its columns of the
 * embedding, and what the embedding has through them. */
template <typename real>
static void fold_first_layer(cudaStream_t stream, const cu_net *net, const cu_tans<real> *t,
                             columns<real> *sums, double *folded)
{
    const aim_dev_net *d = &net->d;
    const cu_layer *first = &net->mlp[0].layer[0];
    add_columns(stream, sums, (const real *)t->pass[0].gz[0], (const real *)NULL, first->ld_out,
                first->n_out, 1, t->by_species);
    launch_columns(stream, sums);
    fold_columns<<<dim3((d->fa + 127) / 128, first->n_out), 128, 0, stream>>>(
        d->n_species, first->n_out, d->fa, t->by_species, (const real *)d->embedding, folded);
    fold_embedding<<<dim3((d->fa + CU_OUTPUTS - 1) / CU_OUTPUTS, d->n_species), CU_OUTPUTS * CU_SUMMERS, 0,
                     stream>>>(first->n_out, d->fa, t->by_species, net->folded, embedding_of(net, t));
}

/* What is left when all convolutions are done: the embedding as a feature, and beside it the combinations,
 * which follow the folded columns. */
template <typename real>
static void finish_gradient(cu_state *s, const cu_net *net, const cu_kept<real> *k,
                            const cu_tans<real> *t, columns<real> *sums, double *folded)
{
    cu_device *dev = net->device;
    const int fa = net->d.fa;
    add_columns(dev->side, sums, (const real *)t->tga0, (const real *)t->tga[1], fa, fa, 1,
                embedding_of(net, t));
    launch_columns(dev->side, sums);
    cu_combine(dev->stream, net, k, t, folded + (size_t)net->mlp[0].layer[0].n_out * (size_t)fa);
    cu_fork_side(s, dev, dev->stream);
}

static size_t numbers_of_all(const cu_net *net)
{
    size_t n = 0;
    for (int m = 0; m < net->d.n_pass + net->d.n_heads; m++)
        n += numbers_of(mlp_of(net, m));
    return n;
}

template <typename real>
void cu_gradient(cu_state *s, cu_net *net, const cu_kept<real> *k, const cu_tans<real> *t, int stage)
{
    cu_device *dev = net->device;
    const aim_dev_net *d = &net->d;
    const int own = d->n_pass - 1 - stage; /* -1: no pass */
    double *out = t->parts;
    cu_products<real> products = {};
    products.rows = k->n;
    products.slices = cu_weight_slices(k->n);
    products.size = t->parts_size;
    products.part = t->weights;
    columns<real> sums = {0, k->n, k->kinds, 0, k->kind, k->kind_species};
    double *const folded = out + numbers_of_all(net);
    cu_fork_side(s, dev, dev->stream);
    if (own < 0)
        finish_gradient(s, net, k, t, &sums, folded);
    for (int p = 0; p < d->n_pass; p++) {
        if (p == own)
            mlp_gradient(dev->side, dev, &net->mlp[p], &k->pass[p], &t->pass[p], t, 1, &products,
                         &sums, out);
        out += numbers_of(&net->mlp[p]);
    }
    for (int h = 0; h < d->n_heads; h++) {
        if (stage == 0)
            mlp_gradient(dev->side, dev, &net->head[h], &k->head[h], &t->head[h], t,
                         k->ghead[h] != NULL, &products, &sums, out);
        out += numbers_of(&net->head[h]);
    }
    if (own == 0) { /* before the last convolutions, so that numbers travel beside these */
        fold_first_layer(dev->side, net, t, &sums, folded);
        launch_products(dev->stream, dev, &products);
        cu_fork_side(s, dev, dev->stream);
    } else { /* sums first: products leave room for nothing beside them */
        launch_columns(dev->side, &sums);
        launch_products(dev->side, dev, &products);
    }
    send_parts(s, net, t, products.slices, stage);
    cu_check(s, "the gradient by the parameters");
}

#define INSTANCE(real)                                                                             \
    template void cu_gradient(cu_state *, cu_net *, const cu_kept<real> *, const cu_tans<real> *, int)
INSTANCE(float);
INSTANCE(double);

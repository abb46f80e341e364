/* SPDX-License-Identifier: MIT */
/* op.cu - the sparse convolution conv_sv_2d_sp on arrays of the caller, in his stream (formulas:
 * aimnet_ops.h). A block is an atom, a thread one or more of its columns; the gradient by the
 * features is gathered over the slots that name the atom, in the order of the matrix, for which
 * `create` turns the matrix around once. So no element is added to by two threads. */
#include "backend/cuda/module.h"
#include "backend/cuda/sums.h"

enum { THREADS = 256 };

typedef struct cu_op {
    int card, n, m;
    int *row, *slot; /* [n + 1], [n m]: slots that name an atom, ascending */
    void *block;
} cu_op;

static_assert(sizeof(cu_op) <= AIM_DEV_OP_SIZE, "room for an operator");

/* ---------------------------------------------------------------- the matrix, turned around */

__global__ void count_slots(int slots, int n, const int *idx, int *row, int *bad)
{
    const int k = blockIdx.x * THREADS + threadIdx.x;
    if (k >= slots)
        return;
    if (idx[k] < 0)
        atomicOr(bad, 1);
    else if (idx[k] < n)
        atomicAdd(row + idx[k] + 1, 1);
}

/* row[k] becomes the sum of the counts before; one block. */
__global__ void __launch_bounds__(1024) add_rows_up(int n, int *row)
{
    cu_running_sum(n, row);
}

__global__ void drop_slots(int slots, int n, const int *idx, const int *row, int *fill, int *raw)
{
    const int k = blockIdx.x * THREADS + threadIdx.x;
    if (k < slots && idx[k] >= 0 && idx[k] < n)
        raw[row[idx[k]] + atomicAdd(fill + idx[k], 1)] = k;
}

/* One warp per atom. */
__global__ void sort_slots(int n, const int *row, const int *raw, int *slot)
{
    const int j = (blockIdx.x * THREADS + threadIdx.x) / 32;
    if (j >= n)
        return;
    for (int k = row[j] + threadIdx.x % 32; k < row[j + 1]; k += 32) {
        int at = row[j];
        for (int other = row[j]; other < row[j + 1]; other++)
            at += raw[other] < raw[k];
        slot[at] = raw[k];
    }
}

static int blocks_of(size_t count)
{
    return (int)((count + THREADS - 1) / THREADS);
}

static int turn_around(cu_op *op, const int32_t *idx, cudaStream_t stream, aim_dev_error *e)
{
    const size_t n = (size_t)op->n, slots = n * (size_t)op->m, rows = n + 1;
    const size_t bytes = (rows + n + 1 + 2 * slots) * sizeof(int);
    int bad = 0;
    if (cudaMalloc(&op->block, bytes) != cudaSuccess) {
        op->block = NULL;
        (void)cudaGetLastError();
        return cu_fail(e, ERR_MEMORY, "the GPU has no memory left for the operator's lists%s%s", "",
                       "");
    }
    op->row = (int *)op->block;
    int *fill = op->row + rows, *flag = fill + n, *raw = flag + 1;
    op->slot = raw + slots;
    CU_TRY(e, cudaMemsetAsync(op->row, 0, (rows + n + 1) * sizeof(int), stream), "an operator");
    if (slots) {
        count_slots<<<blocks_of(slots), THREADS, 0, stream>>>((int)slots, op->n, idx, op->row,
                                                              flag);
        add_rows_up<<<1, 1024, 0, stream>>>(op->n, op->row);
        drop_slots<<<blocks_of(slots), THREADS, 0, stream>>>((int)slots, op->n, idx, op->row, fill,
                                                             raw);
        sort_slots<<<blocks_of(32 * n), THREADS, 0, stream>>>(op->n, op->row, raw, op->slot);
    }
    CU_TRY(e, cudaGetLastError(), "an operator");
    CU_TRY(e, cudaMemcpyAsync(&bad, flag, sizeof bad, cudaMemcpyDeviceToHost, stream),
           "an operator");
    CU_TRY(e, cudaStreamSynchronize(stream), "an operator");
    return bad ? cu_fail(e, ERR_ARG, "idx has a negative index%s%s", "", "") : 0;
}

void cu_op_free(void *object)
{
    cu_op *op = (cu_op *)object;
    const on_card here(op->card);
    cudaFree(op->block);
    (void)cudaGetLastError();
}

int cu_op_create(void *object, int card, const int32_t *idx, int n, int m, void *stream,
                 aim_dev_error *e)
{
    cu_op *op = (cu_op *)object;
    int cards;
    aim_dev_card found;
    e->status = 0;
    if (cu_look(card, &cards, &found, e))
        return e->status;
    const on_card here(card);
    CU_TRY(e, here.code, "starting");
    op->card = card;
    op->n = n;
    op->m = m;
    if (turn_around(op, idx, (cudaStream_t)stream, e))
        cu_op_free(op);
    return e->status;
}

/* ---------------------------------------------------------------- kernels */

template <typename real> struct op_args {
    int n, m, channels, shifts, add;
    const int *idx, *row, *slot;
    const real *x, *f, *g;
    real *out;
};

/* out[i][c][d] (+)= sum over the slots of x[j][c] f[i][m][g][d] */
template <typename real> __global__ void __launch_bounds__(THREADS) op_forward(op_args<real> a)
{
    const int i = blockIdx.x, columns = a.channels * a.shifts;
    for (int c = threadIdx.x; c < columns; c += THREADS) {
        vec4<real> *out = (vec4<real> *)a.out + (size_t)i * columns + c, sum = {};
        if (a.add)
            sum = *out;
        for (int k = 0; k < a.m; k++) {
            const size_t slot = (size_t)i * a.m + k;
            const int j = a.idx[slot];
            if (j >= a.n)
                continue;
            const real x = a.x[(size_t)j * columns + c];
            const vec4<real> f = ((const vec4<real> *)a.f)[slot * a.shifts + c % a.shifts];
            sum.x += x * f.x, sum.y += x * f.y, sum.z += x * f.z, sum.w += x * f.w;
        }
        *out = sum;
    }
}

/* out[j][c] = sum over the slots that name j, and over d; row n is the padding's: 0 */
template <typename real> __global__ void __launch_bounds__(THREADS) op_back_x(op_args<real> a)
{
    const int j = blockIdx.x, columns = a.channels * a.shifts;
    for (int c = threadIdx.x; c < columns; c += THREADS) {
        real sum = 0;
        for (int k = j < a.n ? a.row[j] : 0; j < a.n && k < a.row[j + 1]; k++) {
            const int slot = a.slot[k];
            const vec4<real> g = ((const vec4<real> *)a.g)[(size_t)(slot / a.m) * columns + c],
                             f = ((const vec4<real> *)a.f)[(size_t)slot * a.shifts + c % a.shifts];
            sum += g.x * f.x + g.y * f.y + g.z * f.z + g.w * f.w;
        }
        a.out[(size_t)j * columns + c] = sum;
    }
}

/* out[i][m][g][d] = sum over the channels of x[j][c] g_out[i][c][d]; 0 in padding */
template <typename real> __global__ void __launch_bounds__(THREADS) op_back_f(op_args<real> a)
{
    const int i = blockIdx.x, columns = a.channels * a.shifts;
    for (int t = threadIdx.x; t < a.m * a.shifts; t += THREADS) {
        const int k = t / a.shifts, s = t % a.shifts, j = a.idx[(size_t)i * a.m + k];
        vec4<real> sum = {};
        for (int c = s; j < a.n && c < columns; c += a.shifts) {
            const real x = a.x[(size_t)j * columns + c];
            const vec4<real> g = ((const vec4<real> *)a.g)[(size_t)i * columns + c];
            sum.x += x * g.x, sum.y += x * g.y, sum.z += x * g.z, sum.w += x * g.w;
        }
        ((vec4<real> *)a.out)[(size_t)i * a.m * a.shifts + t] = sum;
    }
}

template <typename real> static void launch(const cu_op *op, const aim_dev_op *o)
{
    op_args<real> a = {};
    a.n = op->n;
    a.m = op->m;
    a.channels = o->channels;
    a.shifts = o->shifts;
    a.add = o->add;
    a.idx = o->idx;
    a.row = op->row;
    a.slot = op->slot;
    a.x = (const real *)o->x;
    a.f = (const real *)o->f;
    a.g = (const real *)o->g;
    a.out = (real *)o->out;
    const cudaStream_t stream = (cudaStream_t)o->stream;
    if (o->kind == AIM_DEV_OP_FORWARD)
        op_forward<<<op->n, THREADS, 0, stream>>>(a);
    else if (o->kind == AIM_DEV_OP_BACK_X)
        op_back_x<<<op->n + 1, THREADS, 0, stream>>>(a);
    else
        op_back_f<<<op->n, THREADS, 0, stream>>>(a);
}

int cu_op_run(void *object, const aim_dev_op *o, aim_dev_error *e)
{
    const cu_op *op = (const cu_op *)object;
    const on_card here(op->card);
    e->status = 0;
    if (op->n == 0 && o->kind != AIM_DEV_OP_BACK_X)
        return 0;
    if (o->is_double)
        launch<double>(op, o);
    else
        launch<float>(op, o);
    CU_TRY(e, cudaGetLastError(), "an operator");
    return 0;
}

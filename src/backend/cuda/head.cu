/* SPDX-License-Identifier: MIT */
/* head.cu - the last layers of heads, in double, and what joins the heads' adjoints. */
#include "backend/cuda/gemm.h"

/* One warp per element; the sum is in double, it carries an atom's whole energy. */
template <typename real> __global__ void head_forward(const cu_head_out<real> h)
{
    cu_wait();
    const int item = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (item >= h.rows * h.n_out)
        return;
    const int row = item / h.n_out, c = item % h.n_out;
    double sum = 0;
    for (int k = lane; k < h.n_in; k += 32)
        sum += (double)h.x[(size_t)row * h.ldx + k] * (double)h.w[(size_t)c * h.n_in + k];
    sum = cu_warp_sum(sum) + (double)h.bias[c];
    if (lane)
        return;
    if (h.gelu) {
        double slope;
        sum = (double)(real)cu_gelu(sum, &slope);
        if (h.slope)
            h.slope[(size_t)row * h.ldslope + c] = (real)slope;
    }
    h.out[h.order ? (size_t)h.order[row] * h.n_out + c : (size_t)item] = sum;
}

enum { COLUMNS = 4 /* of a lane at once: their loads do not wait for stores */ };

/* One warp per row. */
template <typename real> __global__ void head_backward(const cu_head_out<real> h)
{
    cu_wait();
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= h.rows)
        return;
    unsigned bits = 0;
    const int columns = cu_round_up(h.n_in, CU_CHUNK);
    const double *own = h.g + (size_t)(h.order ? h.order[row] : row) * h.ldg;
    for (int first = lane; first < columns; first += 32 * COLUMNS) {
        real sum[COLUMNS] = {}, slope[COLUMNS];
#pragma unroll
        for (int m = 0; m < COLUMNS; m++) {
            const int k = first + 32 * m;
            slope[m] = h.slope_below && k < columns
                           ? h.slope_below[(size_t)row * h.ldslope_below + k]
                           : (real)1;
        }
        for (int c = 0; c < h.n_out; c++) {
            real g = (real)own[c];
            if (h.gelu)
                g *= h.slope[(size_t)row * h.ldslope + c];
#pragma unroll
            for (int m = 0; m < COLUMNS; m++)
                if (first + 32 * m < h.n_in)
                    sum[m] += g * h.w[(size_t)c * h.n_in + first + 32 * m];
        }
#pragma unroll
        for (int m = 0; m < COLUMNS; m++)
            if (first + 32 * m < columns) {
                sum[m] *= slope[m];
                h.gx[(size_t)row * h.ldgx + first + 32 * m] = sum[m];
                bits = max(bits, cu_bits(sum[m]));
            }
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && h.gxmax)
        h.gxmax[row] = bits;
}

template <typename real>
void cu_head_forward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h)
{
    cu_launch(s, stream, (h->rows * h->n_out + 7) / 8, 256, 0, head_forward<real>, *h);
    cu_check(s, "the end of a head");
}
template <typename real>
void cu_head_backward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h)
{
    cu_launch(s, stream, (h->rows + 7) / 8, 256, 0, head_backward<real>, *h);
    cu_check(s, "the adjoint of a head");
}

template <typename real> struct parts {
    real *part[AIM_DEV_HEADS];
};

template <typename real>
__global__ void combine(int rows, int ld, int n, const parts<real> p, const real *slope,
                        int ldslope, real *y, int ldy, unsigned *ymax)
{
    cu_wait();
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows)
        return;
    unsigned bits = 0;
    for (int k = lane; k < ld; k += 32) {
        real sum = 0;
        for (int h = 0; h < n; h++)
            sum += p.part[h][(size_t)row * ld + k];
        if (slope)
            sum *= slope[(size_t)row * ldslope + k];
        y[(size_t)row * ldy + k] = sum;
        bits = max(bits, cu_bits(sum));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && ymax)
        ymax[row] = bits;
}

template <typename real>
void cu_combine(cu_state *s, cudaStream_t stream, int rows, int ld, int n, real *const *part,
                const real *slope, int ldslope, real *y, int ldy, unsigned *ymax)
{
    parts<real> p;
    for (int k = 0; k < n; k++)
        p.part[k] = part[k];
    cu_launch(s, stream, (rows + 7) / 8, 256, 0, combine<real>, rows, ld, n, p, slope, ldslope, y,
              ldy, ymax);
    cu_check(s, "the sum of the heads' adjoints");
}

template void cu_head_forward(cu_state *, cudaStream_t, const cu_head_out<float> *);
template void cu_head_forward(cu_state *, cudaStream_t, const cu_head_out<double> *);
template void cu_head_backward(cu_state *, cudaStream_t, const cu_head_out<float> *);
template void cu_head_backward(cu_state *, cudaStream_t, const cu_head_out<double> *);
template void cu_combine(cu_state *, cudaStream_t, int, int, int, float *const *, const float *,
                         int, float *, int, unsigned *);
template void cu_combine(cu_state *, cudaStream_t, int, int, int, double *const *, const double *,
                         int, double *, int, unsigned *);

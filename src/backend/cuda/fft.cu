/* SPDX-License-Identifier: MIT */
/* fft.cu - Fourier transforms of lines whose length is a product of 2, 3 and 5 (Stockham, radices 4,
 * 2, 3, 5, as on the CPU). A block takes a few neighbouring lines to shared memory, so that strided
 * axes are read in whole sectors; every twiddle comes from a table of turns that are evaluated, not
 * multiplied up. Two rows of real numbers a, b are one line a + ib, whose waves give theirs:
 *
 *     A(k) = (X(k) + X*(-k)) / 2,    B(k) = (X(k) - X*(-k)) / 2i
 *
 * Our own, because one more library would have to be found where the module runs, and
 * these passes already run at the speed of memory. */
#include "backend/cuda/waves.h"

enum {
    THREADS = 256,
    SHARED = 96 * 1024 /* two copies of 3,072 points */,
    MOST_LINES = 8,
    MAX_STAGES = 24
};

typedef struct stages {
    int n, radix[MAX_STAGES];
    unsigned reciprocal[MAX_STAGES]; /* 2^32 / (product of the radices before), rounded up */
    int width; /* lines of a block: a power of two, so that a thread has one */
} stages;

static __device__ __forceinline__ double2 add(double2 a, double2 b)
{
    return make_double2(a.x + b.x, a.y + b.y);
}
static __device__ __forceinline__ double2 sub(double2 a, double2 b)
{
    return make_double2(a.x - b.x, a.y - b.y);
}
static __device__ __forceinline__ double2 mul(double2 a, double2 b)
{
    return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
/* a times -i (sign -1) or i */
static __device__ __forceinline__ double2 turn90(double2 a, double sign)
{
    return make_double2(-sign * a.y, sign * a.x);
}

/* x[u] = sum_t x[t] exp(sign 2 pi i t u / R) */
template <int R> static __device__ __forceinline__ void butterfly(double2 x[R], double sign);
template <> __device__ __forceinline__ void butterfly<2>(double2 x[2], double)
{
    const double2 a = x[0], b = x[1];
    x[0] = add(a, b);
    x[1] = sub(a, b);
}
template <> __device__ __forceinline__ void butterfly<3>(double2 x[3], double sign)
{
    const double2 s = add(x[1], x[2]), d = turn90(sub(x[1], x[2]), sign * 0.86602540378443864676),
                  m = make_double2(x[0].x - 0.5 * s.x, x[0].y - 0.5 * s.y);
    x[0] = add(x[0], s);
    x[1] = add(m, d);
    x[2] = sub(m, d);
}
template <> __device__ __forceinline__ void butterfly<4>(double2 x[4], double sign)
{
    const double2 a = add(x[0], x[2]), b = sub(x[0], x[2]), c = add(x[1], x[3]),
                  d = turn90(sub(x[1], x[3]), sign);
    x[0] = add(a, c);
    x[1] = add(b, d);
    x[2] = sub(a, c);
    x[3] = sub(b, d);
}
template <> __device__ __forceinline__ void butterfly<5>(double2 x[5], double sign)
{
    const double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410,
                 s1 = sign * 0.95105651629515357212, s2 = sign * 0.58778525229247312917;
    const double2 a = add(x[1], x[4]), b = add(x[2], x[3]), c = sub(x[1], x[4]),
                  d = sub(x[2], x[3]),
                  p = make_double2(x[0].x + c1 * a.x + c2 * b.x, x[0].y + c1 * a.y + c2 * b.y),
                  q = make_double2(x[0].x + c2 * a.x + c1 * b.x, x[0].y + c2 * a.y + c1 * b.y),
                  r = turn90(make_double2(s1 * c.x + s2 * d.x, s1 * c.y + s2 * d.y), 1.0),
                  t = turn90(make_double2(s2 * c.x - s1 * d.x, s2 * c.y - s1 * d.y), 1.0);
    x[0] = add(x[0], add(a, b));
    x[1] = add(p, r);
    x[2] = add(q, t);
    x[3] = sub(q, t);
    x[4] = sub(p, r);
}

/* Places of its line that a thread begins with, and goes on by. */
static __device__ __forceinline__ int first_place(const stages &s)
{
    return (int)threadIdx.x / s.width;
}
static __device__ __forceinline__ int next_place(const stages &s)
{
    return THREADS / s.width;
}

/* One stage of all lines of the block; l = product of the radices before. */
template <int R>
static __device__ __forceinline__ void stage(const stages &s, const double2 *x, double2 *y,
                                             const double2 *turn, int l, unsigned reciprocal,
                                             double sign)
{
    const int n = s.n, width = s.width, m = n / (l * R), line = (int)threadIdx.x % width;
    for (int k = first_place(s); k < n / R; k += next_place(s)) {
        const int p = l == 1 ? k : (int)__umulhi((unsigned)k, reciprocal), q = k - p * l;
        double2 a[R];
#pragma unroll
        for (int u = 0; u < R; u++)
            a[u] = x[(q + l * (p + m * u)) * width + line];
        butterfly<R>(a, sign);
#pragma unroll
        for (int u = 0; u < R; u++) {
            if (u > 0) {
                double2 w = turn[p * u * l];
                w.y *= -sign; /* the table turns by -1 */
                a[u] = mul(a[u], w);
            }
            y[(q + l * (R * p + u)) * width + line] = a[u];
        }
    }
    __syncthreads();
}

/* All stages of lines that are in x; where the result is. */
static __device__ __forceinline__ double2 *run_stages(const stages &s, double2 *x,
                                                      const double2 *turn, double sign)
{
    double2 *y = x + (size_t)s.n * s.width;
    __syncthreads();
    for (int k = 0, done = 1; s.radix[k]; done *= s.radix[k++]) {
        if (s.radix[k] == 4)
            stage<4>(s, x, y, turn, done, s.reciprocal[k], sign);
        else if (s.radix[k] == 2)
            stage<2>(s, x, y, turn, done, s.reciprocal[k], sign);
        else if (s.radix[k] == 3)
            stage<3>(s, x, y, turn, done, s.reciprocal[k], sign);
        else
            stage<5>(s, x, y, turn, done, s.reciprocal[k], sign);
        double2 *swap = x;
        x = y;
        y = swap;
    }
    return x;
}

/* Threads whose line is behind the last one carry zeros. */
__global__ void __launch_bounds__(THREADS) transform(const cu_lines l, const stages s, double sign)
{
    extern __shared__ double2 buffer[];
    const int line = (int)threadIdx.x % s.width, at = blockIdx.x * s.width + line,
              own = at < l.lines;
    double2 *data = l.data + (size_t)(at / l.inner) * s.n * l.inner + at % l.inner;
    for (int i = first_place(s); i < s.n; i += next_place(s))
        buffer[i * s.width + line] = own ? data[(size_t)i * l.inner] : make_double2(0.0, 0.0);
    const double2 *x = run_stages(s, buffer, l.turn, sign);
    for (int i = first_place(s); i < s.n && own; i += next_place(s))
        data[(size_t)i * l.inner] = x[i * s.width + line];
}

/* The two rows of one mesh that a thread's line has: a, and b if there is one. */
struct row_pair {
    double2 *a, *b;
    int line, waves;
};
static __device__ __forceinline__ row_pair find_pair(const cu_lines &l, const stages &s, int pairs)
{
    const int line = (int)threadIdx.x % s.width, at = blockIdx.x * s.width + line,
              each = (l.lines + 1) / 2, mesh = at / each, row = 2 * (at - mesh * each),
              waves = s.n / 2 + 1;
    row_pair p = {NULL, NULL, line, waves};
    if (at < pairs)
        p.a = l.data + ((size_t)mesh * l.lines + row) * waves;
    if (at < pairs && row + 1 < l.lines)
        p.b = p.a + waves;
    return p;
}

__global__ void __launch_bounds__(THREADS)
    rows_to_waves(const cu_lines l, const stages s, int pairs)
{
    extern __shared__ double2 buffer[];
    const row_pair p = find_pair(l, s, pairs);
    const double *a = (const double *)p.a, *b = (const double *)p.b;
    for (int i = first_place(s); i < s.n; i += next_place(s))
        buffer[i * s.width + p.line] = make_double2(a ? a[i] : 0.0, b ? b[i] : 0.0);
    const double2 *x = run_stages(s, buffer, l.turn, -1.0);
    for (int k = first_place(s); k < p.waves && p.a; k += next_place(s)) {
        const double2 u = x[k * s.width + p.line], v = x[(k ? s.n - k : 0) * s.width + p.line];
        p.a[k] = make_double2(0.5 * (u.x + v.x), 0.5 * (u.y - v.y));
        if (p.b)
            p.b[k] = make_double2(0.5 * (u.y + v.y), 0.5 * (v.x - u.x));
    }
}

__global__ void __launch_bounds__(THREADS)
    waves_to_rows(const cu_lines l, const stages s, int pairs)
{
    extern __shared__ double2 buffer[];
    const row_pair p = find_pair(l, s, pairs);
    const double2 none = make_double2(0.0, 0.0);
    for (int k = first_place(s); k < p.waves; k += next_place(s)) {
        const double2 a = p.a ? p.a[k] : none, b = p.b ? p.b[k] : none;
        buffer[k * s.width + p.line] = make_double2(a.x - b.y, a.y + b.x);
        if (k && 2 * k != s.n)
            buffer[(s.n - k) * s.width + p.line] = make_double2(a.x + b.y, b.x - a.y);
    }
    const double2 *x = run_stages(s, buffer, l.turn, 1.0);
    double *a = (double *)p.a, *b = (double *)p.b;
    for (int i = first_place(s); i < s.n && a; i += next_place(s)) {
        a[i] = x[i * s.width + p.line].x;
        if (b)
            b[i] = x[i * s.width + p.line].y;
    }
}

static stages make_stages(int n)
{
    static const int radix[] = {4, 2, 3, 5};
    stages p = {};
    int left = n, k = 0;
    p.n = n;
    for (int r = 0; r < 4; r++)
        for (; left % radix[r] == 0; left /= radix[r]) {
            p.reciprocal[k] = (unsigned)(((1ull << 32) * (unsigned)left + n - 1) / n);
            p.radix[k++] = radix[r];
        }
    for (p.width = MOST_LINES; p.width > 1; p.width /= 2)
        if (2 * (int)sizeof(double2) * n * p.width <= SHARED)
            break;
    return p;
}
static size_t stage_bytes(const stages &p)
{
    return 2 * (size_t)p.width * (size_t)p.n * sizeof(double2);
}

void cu_fft(cu_state *s, cudaStream_t stream, const cu_lines *l, int sign)
{
    const stages p = make_stages(l->n);
    transform<<<(l->lines + p.width - 1) / p.width, THREADS, stage_bytes(p), stream>>>(
        *l, p, (double)sign);
    cu_check(s, "a Fourier transform");
}

void cu_fft_rows(cu_state *s, cudaStream_t stream, const cu_lines *l, int meshes, int sign)
{
    const stages p = make_stages(l->n);
    const int pairs = (l->lines + 1) / 2 * meshes, blocks = (pairs + p.width - 1) / p.width;
    (sign < 0 ? rows_to_waves : waves_to_rows)<<<blocks, THREADS, stage_bytes(p), stream>>>(*l, p,
                                                                                            pairs);
    cu_check(s, "a Fourier transform of real rows");
}

__global__ void fill_turn(int n, double2 *turn)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n) {
        double sine, cosine;
        sincospi(2.0 * k / n, &sine, &cosine);
        turn[k] = make_double2(cosine, -sine);
    }
}
void cu_fft_turn(cu_state *s, cudaStream_t stream, int n, double2 *turn)
{
    fill_turn<<<(n + 255) / 256, 256, 0, stream>>>(n, turn);
    cu_check(s, "the twiddles of a Fourier transform");
}

void cu_fft_prepare(cu_state *s)
{
    cudaFuncSetAttribute(transform, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED);
    cudaFuncSetAttribute(rows_to_waves, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED);
    cudaFuncSetAttribute(waves_to_rows, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED);
    cu_check(s, "the shared memory of Fourier transforms");
}

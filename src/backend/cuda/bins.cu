/* SPDX-License-Identifier: MIT */
/* bins.cu - the caller's atoms sorted into bins as wide as the cutoff: along periodic directions of the
 * frame of nlist/lattice.h, along others from the first to the last atom. Everything that depends on
 * positions - extents, grids, bins, and how far rounding may move a distance - is worked out on the
 * card, so that a list needs one wait only, for its longest row. The order within a bin is left to
 * chance: rows are sorted in the end. */
#include <cfloat>
#include <math.h>

#include "backend/cuda/matrix.h"

enum { THREADS = 256, SCAN = CU_SCAN };

/* Numbers in the order of these integers. */
static __device__ unsigned long long order_bits(double x)
{
    const unsigned long long b = (unsigned long long)__double_as_longlong(x);
    return b >> 63 ? ~b : b | 1ull << 63;
}

static __device__ double from_order_bits(unsigned long long b)
{
    return __longlong_as_double((long long)(b >> 63 ? b & ~(1ull << 63) : ~b));
}

static __device__ int system_of(const list_work &w, int i)
{
    int low = 0, high = w.systems - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (w.system[middle].first <= i)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

__global__ void start_plans(const list_work w)
{
    const int s = blockIdx.x * THREADS + threadIdx.x;
    if (s >= w.systems)
        return;
    for (int d = 0; d < 3; d++) {
        w.plan[s].low[d] = ~0ull;
        w.plan[s].high[d] = 0;
    }
    w.plan[s].largest = 0;
}

/* Wraps an atom as aim_lattice_wrap does. */
static __device__ void wrap_atom(const aim_dev_list_system &y, const double x[3], double f[3],
                                 double whole[3], double inside[3])
{
    for (int d = 0; d < 3; d++)
        inside[d] = x[d];
    whole[0] = whole[1] = whole[2] = 0;
    for (int round = 0; round < 2; round++) {
        for (int d = 0; d < 3; d++) {
            f[d] = inside[0] * y.inverse[d] + inside[1] * y.inverse[3 + d] +
                   inside[2] * y.inverse[6 + d];
            const double step = y.periodic[d] ? floor(f[d]) : 0.0;
            whole[d] += step;
            f[d] -= step;
        }
        for (int d = 0; d < 3; d++)
            inside[d] = x[d] - (whole[0] * y.frame[d] + whole[1] * y.frame[3 + d] +
                                whole[2] * y.frame[6 + d]);
    }
}

/* Largest (smallest for low) of a value over the lanes of a warp that share a system. */
static __device__ void note_extreme(unsigned long long *to, unsigned long long x, int high,
                                    int together)
{
    if (!together) {
        high ? atomicMax(to, x) : atomicMin(to, x);
        return;
    }
    for (int d = 16; d > 0; d >>= 1) {
        const unsigned long long other = __shfl_xor_sync(0xffffffffu, x, d);
        x = high ? max(x, other) : min(x, other);
    }
    if (threadIdx.x % 32 == 0)
        high ? atomicMax(to, x) : atomicMin(to, x);
}

__global__ void __launch_bounds__(THREADS) survey_atoms(const list_work w)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, s = system_of(w, min(i, w.n - 1)),
              of_warp = __shfl_sync(0xffffffffu, s, 0),
              together = __all_sync(0xffffffffu, i < w.n && s == of_warp);
    if (i >= w.n)
        return;
    const aim_dev_list_system &y = w.system[s];
    double x[3], f[3], whole[3], inside[3], largest = 0;
    for (int d = 0; d < 3; d++) {
        x[d] = w.coord[3 * (size_t)i + d];
        if (!(fabs(x[d]) <= w.farthest)) {
            atomicOr(w.report + 1, 1);
            x[d] = 0;
        }
        largest = fmax(largest, fabs(x[d]));
    }
    wrap_atom(y, x, f, whole, inside);
    for (int d = 0; d < 3; d++) {
        w.fraction[3 * (size_t)i + d] = f[d];
        w.inside[3 * (size_t)i + d] = (float)inside[d];
        w.wrap[3 * (size_t)i + d] = (int)fmin(fmax(whole[d], -1e9), 1e9);
    }
    for (int d = 0; d < 3; d++)
        if (!y.periodic[d]) {
            note_extreme(&w.plan[s].low[d], order_bits(f[d]), 0, together);
            note_extreme(&w.plan[s].high[d], order_bits(f[d]), 1, together);
        }
    note_extreme(&w.plan[s].largest, (unsigned long long)__double_as_longlong(largest), 1,
                 together);
}

/* How far rounding may move a distance between positions as given and wrapped ones: set_slack of
 * nlist/place.c. Negative: that function refuses the system. */
static __device__ double slack_of(const list_work &w, const aim_dev_list_system &y, double largest)
{
    double magnitude = 2.0 * largest, shift = 0;
    for (int d = 0; d < 3; d++) {
        if (!y.periodic[d])
            continue;
        const double wraps = 2.0 * largest / y.height[d], images = w.cutoff / y.height[d];
        if (!(images <= w.most_reach - 2))
            return -1;
        int most = 0;
        for (int k = 0; k < 3; k++) {
            const int u = abs(y.u[3 * d + k]);
            const double *h = y.cell + 3 * k;
            most = max(most, u);
            if (u)
                magnitude += (wraps + images + 3.0) * u *
                             sqrt(h[0] * h[0] + h[1] * h[1] + h[2] * h[2]);
        }
        shift += wraps * most;
    }
    return shift < w.most_shift ? 64.0 * DBL_EPSILON * (magnitude + fmin(w.cutoff, 1e12)) : -1;
}

/* The same for positions in single precision inside the frame, and their images. */
static __device__ double slack_of_floats(const list_work &w, const aim_dev_list_system &y,
                                         double largest)
{
    double magnitude = y.periodic[0] && y.periodic[1] && y.periodic[2] ? 0.0 : largest;
    for (int d = 0; d < 3; d++) {
        const double *h = y.frame + 3 * d;
        if (y.periodic[d])
            magnitude += (w.cutoff / y.height[d] + 3.0) * (fabs(h[0]) + fabs(h[1]) + fabs(h[2]));
    }
    return 16.0 * FLT_EPSILON * (magnitude + fmin(w.cutoff, 1e12));
}

static __device__ int right_angles(const double *h)
{
    int right = 1;
    for (int a = 0; a < 3; a++) {
        const double *x = h + 3 * a, *y = h + 3 * ((a + 1) % 3);
        right &= x[0] * y[0] + x[1] * y[1] + x[2] * y[2] == 0.0;
    }
    return right;
}

__global__ void make_plans(const list_work w)
{
    const int s = blockIdx.x * THREADS + threadIdx.x;
    if (s >= w.systems || w.system[s].count == 0)
        return;
    const aim_dev_list_system &y = w.system[s];
    list_plan &p = w.plan[s];
    const double largest = __longlong_as_double((long long)p.largest),
                 slack = slack_of(w, y, largest);
    if (slack < 0)
        atomicOr(w.report + 1, 1);
    const double range = w.cutoff + fmax(slack, 0.0), most = 2.0 * y.count + 8;
    double extent[3], size = 1;
    for (int d = 0; d < 3; d++) {
        p.start[d] = y.periodic[d] ? 0.0 : from_order_bits(p.low[d]);
        extent[d] = y.periodic[d] ? 1.0 : from_order_bits(p.high[d]) - p.start[d];
        p.n[d] = (int)fmax(1.0, fmin(1048576.0, floor(extent[d] * y.height[d] / range)));
        size *= p.n[d];
    }
    while (size > most) { /* not many more bins than atoms: halve the longest row */
        int d = p.n[1] > p.n[0] ? 1 : 0;
        d = p.n[2] > p.n[d] ? 2 : d;
        size /= p.n[d];
        p.n[d] = (p.n[d] + 1) / 2;
        size *= p.n[d];
    }
    for (int d = 0; d < 3; d++) {
        const double width = extent[d] * y.height[d] / p.n[d];
        p.width[d] = width;
        p.scale[d] = extent[d] > 0 ? p.n[d] / extent[d] : 0.0;
        p.reach[d] = !y.periodic[d] && p.n[d] == 1
                         ? 0
                         : (int)fmin(1048576.0, ceil(range / width * (1.0 + 1e-9)));
        if (slack < 0)
            p.reach[d] = 0;
    }
    p.once = 1;
    for (int d = 0; d < 3; d++)
        p.once &= !y.periodic[d] || y.height[d] > 2.0 * range;
    const double floats = slack_of_floats(w, y, largest), proposed = range + floats,
                 certain = fmax(0.0, w.cutoff - fmax(slack, 0.0) - floats);
    p.certain2 = (float)fmin(certain * certain * (1.0 - 1e-6), (double)FLT_MAX);
    p.range = range;
    p.right = right_angles(y.frame);
    p.plain = 1;
    for (int k = 0; k < 9; k++)
        p.plain &= y.u[k] == (k % 4 == 0 && y.periodic[k / 3]);
    p.reach2 = w.cutoff * w.cutoff;
    p.proposed2 = (float)fmin(proposed * proposed * (1.0 + 1e-6), (double)FLT_MAX);
}

__global__ void __launch_bounds__(THREADS) bin_atoms(const list_work w)
{
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= w.n)
        return;
    const int s = system_of(w, i);
    const list_plan &p = w.plan[s];
    int b[3];
    for (int d = 0; d < 3; d++)
        b[d] = min(max((int)((w.fraction[3 * (size_t)i + d] - p.start[d]) * p.scale[d]), 0),
                   p.n[d] - 1);
    w.bin[i] = first_bin(w, s) + (b[2] * p.n[1] + b[1]) * p.n[0] + b[0];
    atomicAdd(w.start + w.bin[i] + 1, 1); /* a count: no order */
}

/* start[k + 1] becomes the sum of the counts up to k: within blocks, of blocks, together. */
template <int STEP> __global__ void __launch_bounds__(SCAN) add_up(const list_work w)
{
    __shared__ int part[SCAN];
    const int t = threadIdx.x, blocks = (w.bins + SCAN - 1) / SCAN;
    int carry = 0;
    for (int base = 0; base < (STEP == 1 ? blocks : 1); base += SCAN) {
        int *x = STEP == 1 ? w.sum + base : w.start + 1 + (size_t)blockIdx.x * SCAN;
        const int left = STEP == 1 ? blocks - base : w.bins - (int)blockIdx.x * SCAN;
        if (STEP == 2) {
            if (blockIdx.x > 0 && t < left)
                x[t] += w.sum[blockIdx.x - 1];
            continue;
        }
        part[t] = t < left ? x[t] : 0;
        __syncthreads();
        for (int d = 1; d < SCAN; d <<= 1) {
            const int other = t >= d ? part[t - d] : 0;
            __syncthreads();
            part[t] += other;
            __syncthreads();
        }
        if (t < left)
            x[t] = carry + part[t];
        if (STEP == 0 && t == SCAN - 1)
            w.sum[blockIdx.x] = part[t];
        carry += part[SCAN - 1];
        __syncthreads();
    }
}

__global__ void __launch_bounds__(THREADS) place_atoms(const list_work w)
{
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= w.n)
        return;
    const int place = w.start[w.bin[i]] + atomicAdd(w.fill + w.bin[i], 1);
    w.order[place] = i;
    w.home[place] = system_of(w, i);
    for (int d = 0; d < 3; d++)
        w.pos[(size_t)d * w.n + place] = w.inside[3 * (size_t)i + d];
}

void cu_list_bins(const list_work *w, cudaStream_t stream)
{
    const int atoms = (w->n + THREADS - 1) / THREADS, systems = (w->systems + THREADS - 1) / THREADS,
              scans = (w->bins + SCAN - 1) / SCAN;
    start_plans<<<systems, THREADS, 0, stream>>>(*w);
    survey_atoms<<<atoms, THREADS, 0, stream>>>(*w);
    make_plans<<<systems, THREADS, 0, stream>>>(*w);
    bin_atoms<<<atoms, THREADS, 0, stream>>>(*w);
    add_up<0><<<scans, SCAN, 0, stream>>>(*w);
    add_up<1><<<1, SCAN, 0, stream>>>(*w);
    add_up<2><<<scans, SCAN, 0, stream>>>(*w);
    place_atoms<<<atoms, THREADS, 0, stream>>>(*w);
}

/* SPDX-License-Identifier: MIT */
/* tan_combine.cu - gradient by the combinations of the convolutions, tgv S + gv tS summed over atoms: a part
 * of the gradient by the weights (tan_train.cu). */
#include "backend/cuda/tan_train.h"

enum { ATOMS = 8, TOGETHER = 6 };

/* Of one kind of features; col: where xv stands in a row of the pass's input. */
template <typename real> struct combined {
    int nf, ncomb, hp, first_pass;
    size_t out; /* where it begins in a slice */
    int col[AIM_DEV_PASSES];
    const real *s[AIM_DEV_PASSES], *ts[AIM_DEV_PASSES], *v[AIM_DEV_PASSES], *tv[AIM_DEV_PASSES];
};

template <typename real> struct combinations {
    int n, gp, passes;
    size_t size; /* of a slice */
    int ldx[AIM_DEV_PASSES];
    const real *gx[AIM_DEV_PASSES], *tgx[AIM_DEV_PASSES]; /* adjoints of the passes' inputs */
    combined<real> of[2];                                 /* of features, of charges */
    double *out;                                          /* [slices][nf][gp][hp], twice */
};

/* A chunk of atoms of one feature: what multiplies S and tS, and these; rows of atoms and components. */
template <typename real> struct chunk {
    real *p, *q, *s, *ts;
};

template <typename real>
static __device__ void load_chunk(const combinations<real> &c, const combined<real> &k, int pass,
                                  int f, int first, int atoms, const chunk<real> &to)
{
    const int h = threadIdx.x % k.hp, own = threadIdx.x / k.hp, step = blockDim.x / k.hp,
              g = threadIdx.x % c.gp, g_own = threadIdx.x / c.gp, g_step = blockDim.x / c.gp,
              rows = 3 * atoms, row = cu_vector_row(k.ncomb), least = step < g_step ? step : g_step;
    const bool used = h < k.ncomb;
    for (int base = 0; base < rows; base += TOGETHER * least) {
        real gx[TOGETHER], tgx[TOGETHER], v[TOGETHER], tv[TOGETHER], s[TOGETHER], ts[TOGETHER];
#pragma unroll
        for (int m = 0; m < TOGETHER; m++) { /* all are under way before the first is needed */
            const int r = min(base + own + m * step, rows - 1),
                      gr = min(base + g_own + m * g_step, rows - 1);
            const size_t i = (size_t)(first + r / 3), d = (size_t)(r % 3),
                         at = ((i * k.nf + f) * 3 + d) * k.hp + h,
                         at_v = ((i * 3 + d) * k.nf + f) * row + (used ? h : 0),
                         x = i * c.ldx[pass] + k.col[pass] + f * k.ncomb + (used ? h : 0),
                         to_s = (((size_t)(first + gr / 3) * 4 + gr % 3 + 1) * k.nf + f) * c.gp + g;
            gx[m] = c.gx[pass][x];
            tgx[m] = c.tgx[pass][x];
            v[m] = k.v[pass][at_v];
            tv[m] = k.tv[pass][at];
            s[m] = k.s[pass][to_s];
            ts[m] = k.ts[pass][to_s];
        }
#pragma unroll
        for (int m = 0; m < TOGETHER; m++) {
            const int r = base + own + m * step, gr = base + g_own + m * g_step;
            if (r < rows && r < base + TOGETHER * least && own < step) {
                to.p[r * k.hp + h] = used ? tv[m] * gx[m] + v[m] * tgx[m] : (real)0;
                to.q[r * k.hp + h] = used ? v[m] * gx[m] : (real)0;
            }
            if (gr < rows && gr < base + TOGETHER * least && g_own < g_step) {
                to.s[gr * c.gp + g] = s[m];
                to.ts[gr * c.gp + g] = ts[m];
            }
        }
    }
}

/* A block: one feature of one slice of atoms, all passes; a thread: four radial functions of one
 * combination. */
template <typename real> __global__ void combine(const __grid_constant__ combinations<real> c)
{
    extern __shared__ __align__(32) unsigned char shared[];
    const int charges = (int)blockIdx.x >= c.of[0].nf, f = (int)blockIdx.x - charges * c.of[0].nf,
              each = (c.n + (int)gridDim.y - 1) / (int)gridDim.y, from = blockIdx.y * each,
              end = min(from + each, c.n);
    const combined<real> &k = c.of[charges];
    const int h = threadIdx.x % k.hp, g = threadIdx.x / k.hp * 4;
    real *memory = (real *)shared;
    const chunk<real> own = {memory + 6 * ATOMS * c.gp,
                             memory + 6 * ATOMS * c.gp + 3 * ATOMS * k.hp, memory,
                             memory + 3 * ATOMS * c.gp};
    double sum[4] = {};
    for (int pass = k.first_pass; pass < c.passes; pass++)
        for (int first = from; first < end; first += ATOMS) {
            const int atoms = min((int)ATOMS, end - first);
            __syncthreads();
            load_chunk(c, k, pass, f, first, atoms, own);
            __syncthreads();
            for (int i = 0; i < atoms && g < c.gp; i++) {
                real part[4] = {};
#pragma unroll
                for (int d = 0; d < 3; d++) {
                    const int row = 3 * i + d;
                    const real p = own.p[row * k.hp + h], q = own.q[row * k.hp + h];
                    const vec4<real> s = *(const vec4<real> *)(own.s + row * c.gp + g),
                                     ts = *(const vec4<real> *)(own.ts + row * c.gp + g);
                    part[0] += p * s.x + q * ts.x;
                    part[1] += p * s.y + q * ts.y;
                    part[2] += p * s.z + q * ts.z;
                    part[3] += p * s.w + q * ts.w;
                }
#pragma unroll
                for (int m = 0; m < 4; m++)
                    sum[m] += (double)part[m];
            }
        }
    double *out = c.out + blockIdx.y * c.size + k.out;
    for (int m = 0; m < 4 && g < c.gp; m++)
        out[((size_t)f * c.gp + g + m) * k.hp + h] = 2.0 * sum[m];
}

/* out[k] = sum over slices: each of eight warps takes every eighth, then theirs in order. */
__global__ void __launch_bounds__(CU_OUTPUTS *CU_SUMMERS)
    add_slices(int slices, size_t count, const double *part, double *out)
{
    __shared__ double sums[CU_SUMMERS][CU_OUTPUTS];
    const size_t k = blockIdx.x * (size_t)CU_OUTPUTS + threadIdx.x % CU_OUTPUTS;
    const int warp = threadIdx.x / CU_OUTPUTS;
    double sum = 0;
#pragma unroll 8
    for (int s = warp; s < slices; s += CU_SUMMERS)
        sum += k < count ? part[s * count + k] : 0.0;
    sums[warp][threadIdx.x % CU_OUTPUTS] = sum;
    __syncthreads();
    if (warp > 0 || k >= count)
        return;
    sum = 0;
    for (int m = 0; m < CU_SUMMERS; m++)
        sum += sums[m][threadIdx.x];
    out[k] = sum;
}

template <typename real>
static void set_combined(const cu_net *net, const cu_kept<real> *k, const cu_tans<real> *t,
                         int charges, combined<real> *c)
{
    const aim_dev_conv *conv = charges ? &net->d.conv_q : &net->d.conv_a;
    c->nf = conv->nf;
    c->ncomb = conv->ncomb;
    c->hp = conv->hp;
    c->first_pass = charges;
    for (int p = charges; p < net->d.n_pass; p++) {
        c->col[p] = charges ? net->d.columns[p].qv : net->d.columns[p].xv;
        c->s[p] = charges ? k->sq[p] : k->s[p];
        c->ts[p] = charges ? t->tsq[p] : t->ts[p];
        c->v[p] = charges ? k->vq[p] : k->v[p];
        c->tv[p] = charges ? t->tvq[p] : t->tv[p];
    }
}

/* Both kinds stand one after the other. */
template <typename real>
void cu_combine(cudaStream_t stream, const cu_net *net, const cu_kept<real> *k,
                const cu_tans<real> *t, double *out)
{
    combinations<real> c = {};
    c.n = k->n;
    c.gp = net->d.gp;
    c.passes = net->d.n_pass;
    for (int p = 0; p < c.passes; p++) {
        c.ldx[p] = net->mlp[p].layer[0].ld_in;
        c.gx[p] = k->pass[p].gx;
        c.tgx[p] = t->pass[p].gx;
    }
    for (int m = 0; m < 2; m++) {
        set_combined(net, k, t, m, &c.of[m]);
        c.of[m].out = c.size;
        c.size += (size_t)(c.of[m].nf * c.gp * c.of[m].hp);
    }
    c.out = t->part;
    const int hp = c.of[0].hp > c.of[1].hp ? c.of[0].hp : c.of[1].hp, units = c.gp / 4 * hp,
              slices = cu_slices_of(k->n, 32, CU_COMBINE_SLICES);
    const size_t bytes = (size_t)(6 * ATOMS * (c.gp + hp)) * sizeof(real);
    combine<<<dim3(c.of[0].nf + c.of[1].nf, slices), (units + 31) / 32 * 32, bytes, stream>>>(c);
    add_slices<<<(unsigned)((c.size + CU_OUTPUTS - 1) / CU_OUTPUTS), CU_OUTPUTS * CU_SUMMERS, 0,
                 stream>>>(slices, c.size, t->part, out);
}

template void cu_combine<float>(cudaStream_t, const cu_net *, const cu_kept<float> *,
                                const cu_tans<float> *, double *);
template void cu_combine<double>(cudaStream_t, const cu_net *, const cu_kept<double> *,
                                 const cu_tans<double> *, double *);

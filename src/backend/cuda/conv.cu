/* SPDX-License-Identifier: MIT */
/* conv.cu - the AIMNet2 convolution and its adjoint (equations: kernels.def, docs/math/conv.md).
 *
 *     S_i[f][d][g] = sum_j a_j[f][g] gs_ij[g] w_d,  w = (1, u);   xs = S_0;  v = agh S_d;  xv = sum_d v^2
 *
 * A block is an atom: 64 threads own four neighbouring columns (f, g) each and walk the neighbours;
 * a further warp does the same for the charges. Radial functions of a batch of neighbours are made
 * in shared memory when they are needed, nothing of a pair but direction and distance is stored.
 *
 * Backward, an atom gathers everything from its neighbours' adjoints gS_j: dE/da_i, and both halves
 * of the force that the pair (i, j) and its opposite put on i, which have the same radial functions
 * and the opposite direction. The force is linear in the columns, so threads add their shares over
 * all neighbours first and among themselves once, at the end.
 *
 * The usual sizes in float have kernels in which neighbouring atoms share rows of the first-level cache,
 * and others for few atoms (conv16.cu). */
#include "backend/cuda/conv16.h"

enum { EMBED_WARPS = 4 };

template <typename real> static __device__ __forceinline__ real half_cos(real x, real *slope);
template <> __device__ __forceinline__ float half_cos(float x, float *slope)
{
    float s, c;
    sincospif(x, &s, &c);
    *slope = -1.57079632679489661923f * s;
    return 0.5f * (c + 1.0f);
}
template <> __device__ __forceinline__ double half_cos(double x, double *slope)
{
    double s, c;
    sincospi(x, &s, &c);
    *slope = -1.57079632679489661923 * s;
    return 0.5 * (c + 1.0);
}
/* A batch of neighbours in shared memory. */
template <typename real> struct batch {
    vec4<real> u[BATCH];
    real fc[BATCH], dfc[BATCH];
    int j[BATCH];
    real *gs, *dgs; /* [BATCH][gp] */
};

template <typename real>
static __device__ __forceinline__ void load_batch(const cu_conv<real> &c, batch<real> *b, int i,
                                                  int first, int n, int slopes)
{
    if ((int)threadIdx.x < n) {
        const size_t p = (size_t)i * c.capacity + first + threadIdx.x;
        const vec4<real> u = c.u[p];
        real slope;
        b->u[threadIdx.x] = u;
        b->j[threadIdx.x] = c.j[p];
        b->fc[threadIdx.x] = half_cos(u.w / c.rc, &slope);
        b->dfc[threadIdx.x] = slope / c.rc;
    }
    __syncthreads();
    for (int t = threadIdx.x; t < n * c.gp; t += blockDim.x) {
        const int k = t / c.gp, g = t % c.gp;
        const real x = b->u[k].w - c.shifts[g],
                   e = g < c.nshifts ? exp(-c.eta * x * x) : (real)0;
        b->gs[t] = e * b->fc[k];
        if (slopes)
            b->dgs[t] = e * (b->dfc[k] - (real)2 * c.eta * x * b->fc[k]);
    }
    __syncthreads();
}

template <typename real>
static __device__ __forceinline__ vec4<real> neighbour(const real *a, int features, int columns,
                                                       int nf, int gp, int row, int col)
{
    if (features == CU_PLAIN) {
        const real x = a[(size_t)row * nf + col / gp];
        return vec4<real>{x, x, x, x};
    }
    return *(const vec4<real> *)(a + (size_t)row * columns + col);
}

template <typename real>
static __device__ __forceinline__ void add_product(vec4<real> *s, const vec4<real> &t, real w)
{
    s->x += t.x * w;
    s->y += t.y * w;
    s->z += t.z * w;
    s->w += t.w * w;
}

template <typename real>
static __device__ __forceinline__ vec4<real> multiply(const vec4<real> &a, const vec4<real> &b)
{
    return vec4<real>{a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}

/* sum over the groups of the third warp */
template <typename real>
static __device__ __forceinline__ real sum_groups(real x, int columns, int stride)
{
    for (int d = columns; d < columns * stride; d <<= 1)
        x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

template <typename real>
static __device__ __forceinline__ void sum_groups4(vec4<real> *x, int columns, int stride)
{
    x->x = sum_groups(x->x, columns, stride);
    x->y = sum_groups(x->y, columns, stride);
    x->z = sum_groups(x->z, columns, stride);
    x->w = sum_groups(x->w, columns, stride);
}

/* Scalars and projected vectors of one kind of features from S in shared memory, [4][nf * gp]. */
template <typename real>
static __device__ __forceinline__ unsigned project(const real *s, int nf, int gp, int ncomb, int hp,
                                                   const real *agh, real *xs, real *xv, real *v)
{
    unsigned bits = 0;
    const int columns = nf * gp;
    for (int k = threadIdx.x; k < columns; k += blockDim.x) {
        xs[k] = s[k];
        bits = max(bits, cu_bits(s[k]));
    }
    const int row = cu_vector_row(ncomb);
    for (int k = threadIdx.x; k < nf * row / 4; k += blockDim.x) {
        const int f = k / (row / 4), h = k % (row / 4) * 4;
        vec4<real> p[3] = {};
#pragma unroll 4
        for (int g = 0; g < gp; g++) {
            const vec4<real> w = *(const vec4<real> *)(agh + (f * gp + g) * hp + h);
#pragma unroll
            for (int d = 0; d < 3; d++)
                add_product(&p[d], w, s[(d + 1) * columns + f * gp + g]);
        }
        real square[4] = {};
#pragma unroll
        for (int d = 0; d < 3; d++) {
            *(vec4<real> *)(v + (d * nf + f) * row + h) = p[d];
            square[0] += p[d].x * p[d].x;
            square[1] += p[d].y * p[d].y;
            square[2] += p[d].z * p[d].z;
            square[3] += p[d].w * p[d].w;
        }
#pragma unroll
        for (int m = 0; m < 4; m++)
            if (h + m < ncomb) {
                xv[f * ncomb + h + m] = square[m];
                bits = max(bits, cu_bits(square[m]));
            }
    }
    return bits;
}

template <typename real>
static __device__ __forceinline__ void convolve(const batch<real> &b, const cu_conv<real> &c,
                                                const share &w, const real *a, int features, int nf,
                                                int n, vec4<real> s[4])
{
    const int columns = nf * c.gp, g0 = w.col % c.gp;
#pragma unroll 4
    for (int k = w.start; k < n; k += w.stride) {
        const int row = features == CU_EMBED ? c.species[b.j[k]] : b.j[k];
        const vec4<real> t = multiply(neighbour(a, features, columns, nf, c.gp, row, w.col),
                                      *(const vec4<real> *)(b.gs + k * c.gp + g0));
        const vec4<real> u = b.u[k];
        s[0].x += t.x, s[0].y += t.y, s[0].z += t.z, s[0].w += t.w;
        add_product(&s[1], t, u.x);
        add_product(&s[2], t, u.y);
        add_product(&s[3], t, u.z);
    }
}

template <typename real, int FIXED>
__global__ void __launch_bounds__(BLOCK) conv_forward(cu_conv<real> c)
{
    cu_wait();
    fix_sizes<real, FIXED>(&c);
    extern __shared__ __align__(32) unsigned char shared[];
    __shared__ batch<real> b;
    __shared__ unsigned warp_bits[BLOCK / 32];
    const int i = c.first + blockIdx.x, columns = c.nf * c.gp, n = c.count[i];
    real *gs = (real *)shared, *s_all = gs + BATCH * c.gp, *sq_all = s_all + 4 * columns;
    if (threadIdx.x == 0)
        b.gs = gs;
    const share w = charge_share(c);
    vec4<real> sq[4] = {};
    for (int base = 0; base < columns; base += 4 * MAIN) {
        const share m = main_share(c, base);
        vec4<real> s[4] = {};
        for (int first = 0; first < n; first += BATCH) {
            const int m_n = min(BATCH, n - first);
            __syncthreads();
            load_batch(c, &b, i, first, m_n, 0);
            if (m.active)
                convolve(b, c, m, c.a, c.features, c.nf, m_n, s);
            if (w.active && base == 0)
                convolve(b, c, w, c.q, CU_PLAIN, c.nc, m_n, sq);
        }
#pragma unroll
        for (int d = 0; d < 4; d++)
            if (m.active)
                *(vec4<real> *)(s_all + d * columns + m.col) = s[d];
    }
    if (threadIdx.x >= MAIN && c.charges)
#pragma unroll
        for (int d = 0; d < 4; d++) {
            sum_groups4(&sq[d], c.nc * c.gp / 4, w.stride);
            if (w.active && w.start == 0)
                *(vec4<real> *)(sq_all + d * c.nc * c.gp + w.col) = sq[d];
        }
    __syncthreads();
    real *x = c.x + (size_t)i * c.ldx;
    unsigned bits = project(s_all, c.nf, c.gp, c.ncomb, c.hp, c.agh, x + c.col.xs, x + c.col.xv,
                            c.v + cu_vectors(i, c.nf, c.ncomb));
    if (c.charges) {
        bits = max(bits,
                   project(sq_all, c.nc, c.gp, c.q_ncomb, c.q_hp, c.q_agh, x + c.col.qs,
                           x + c.col.qv, c.vq + cu_vectors(i, c.nc, c.q_ncomb)));
        for (int k = threadIdx.x; k < c.fa; k += blockDim.x) {
            const real value = c.a[(size_t)i * c.fa + k];
            x[c.col.a + k] = value;
            bits = max(bits, cu_bits(value));
        }
        if ((int)threadIdx.x < c.nc) {
            const real value = c.q[(size_t)i * c.nc + threadIdx.x];
            x[c.col.q + threadIdx.x] = value;
            bits = max(bits, cu_bits(value));
        }
    }
    for (int k = c.col.total + threadIdx.x; k < c.ldx; k += blockDim.x)
        x[k] = 0;
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        warp_bits[threadIdx.x / 32] = bits;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int k = 1; k < BLOCK / 32; k++)
            bits = max(bits, warp_bits[k]);
        if (c.xmax)
            c.xmax[i] = bits;
    }
}

template <typename real> static int is_fixed(const cu_conv<real> *c)
{
    return c->nf == 16 && c->gp == 16 && c->nshifts == 16 && c->hp == 16 && c->q_hp == 16 &&
           c->fa == 256;
}

template <typename real>
void cu_conv_forward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c)
{
    const size_t bytes =
        ((size_t)BATCH * c->gp + 4 * (size_t)c->gp * (c->nf + c->nc)) * sizeof(real);
    if (cu_conv16_fits(c))
        cu_conv16_forward(s, stream, (const cu_conv<float> *)c);
    else if (is_fixed(c))
        cu_launch(s, stream, c->n, BLOCK, bytes, conv_forward<real, 1>, *c);
    else
        cu_launch(s, stream, c->n, BLOCK, bytes, conv_forward<real, 0>, *c);
    cu_check(s, "the convolution");
}

/* ---------------------------------------------------------------- backward: projection */

/* gS[d][f * gp + g] of one kind of features, to shared and to global memory */
template <typename real>
static __device__ __forceinline__ void
project_back(real *w, int nf, int gp, int ncomb, int hp, const real *agh, const real *gxs,
             const real *gxv, const real *v, real *out, real *copy)
{
    const int columns = nf * gp;
    for (int k = threadIdx.x; k < nf * 3 * hp; k += blockDim.x) {
        const int h = k % hp, d = k / hp % 3, f = k / (3 * hp);
        w[k] = h < ncomb ? (real)2 * v[(d * nf + f) * cu_vector_row(ncomb) + h] * gxv[f * ncomb + h]
                         : (real)0;
    }
    __syncthreads();
    for (int k = threadIdx.x; k < columns; k += blockDim.x) {
        const int f = k / gp;
        real sum[3] = {0, 0, 0};
        const real *row = agh + (size_t)k * hp, *wf = w + f * 3 * hp;
        for (int h = 0; h < hp; h += 4) {
            const vec4<real> p = *(const vec4<real> *)(row + h);
            for (int d = 0; d < 3; d++) {
                const vec4<real> y = *(const vec4<real> *)(wf + d * hp + h);
                sum[d] += p.x * y.x + p.y * y.y + p.z * y.z + p.w * y.w;
            }
        }
        if (out)
            out[k] = gxs[k];
        if (copy)
            copy[k] = gxs[k];
        for (int d = 0; d < 3; d++) {
            if (out)
                out[(d + 1) * columns + k] = sum[d];
            if (copy)
                copy[(d + 1) * columns + k] = sum[d];
        }
    }
    __syncthreads();
}

template <typename real, int FIXED>
__global__ void __launch_bounds__(128) project_backward(cu_conv<real> c)
{
    cu_wait();
    fix_sizes<real, FIXED>(&c);
    extern __shared__ __align__(32) unsigned char shared[];
    const int i = c.first + blockIdx.x, columns = c.nf * c.gp;
    real *w = (real *)shared, *s = w + (c.nf + c.nc) * 3 * max(c.hp, c.q_hp);
    const real *gx = c.gx + (size_t)i * c.ldx;
    project_back(w, c.nf, c.gp, c.ncomb, c.hp, c.agh, gx + c.col.xs, gx + c.col.xv,
                 c.v + cu_vectors(i, c.nf, c.ncomb),
                 c.s_adj ? c.s_adj + (size_t)i * 4 * columns : (real *)NULL,
                 c.features == CU_EMBED ? s : (real *)NULL);
    if (c.features == CU_EMBED)
        /* what an atom of each element would receive: sum over the channels of its embedding */
        for (int t = threadIdx.x; t < c.kinds * 4 * c.gp; t += blockDim.x) {
            const int g = t % c.gp, d = t / c.gp % 4, z = t / (4 * c.gp);
            const real *e = c.a + (size_t)c.kind_species[z] * columns;
            real sum = 0;
            for (int f = 0; f < c.nf; f++)
                sum += e[f * c.gp + g] * s[d * columns + f * c.gp + g];
            c.e_adj[((size_t)i * c.kinds * 4 + t / c.gp) * c.gp + g] = sum;
        }
    if (!c.charges)
        return;
    project_back(w, c.nc, c.gp, c.q_ncomb, c.q_hp, c.q_agh, gx + c.col.qs, gx + c.col.qv,
                 c.vq + cu_vectors(i, c.nc, c.q_ncomb),
                 c.sq_adj + (size_t)i * 4 * c.nc * c.gp, (real *)NULL);
    for (int k = threadIdx.x; k < c.fa; k += blockDim.x)
        c.ga[(size_t)i * c.fa + k] =
            gx[c.col.a + k] + (c.ga_later ? c.ga_later[(size_t)i * c.fa + k] : (real)0);
    if ((int)threadIdx.x < c.nc)
        c.gq[(size_t)i * c.nc + threadIdx.x] += gx[c.col.q + threadIdx.x];
}

template <typename real>
void cu_project_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c)
{
    const size_t hp = (size_t)(c->hp > c->q_hp ? c->hp : c->q_hp),
                 bytes =
                     ((size_t)(c->nf + c->nc) * 3 * hp + 4 * (size_t)c->nf * c->gp) * sizeof(real);
    if (cu_conv16_fits(c))
        cu_conv16_project_backward(s, stream, (const cu_conv<float> *)c);
    else if (is_fixed(c))
        cu_launch(s, stream, c->n, 128, bytes, project_backward<real, 1>, *c);
    else
        cu_launch(s, stream, c->n, 128, bytes, project_backward<real, 0>, *c);
    cu_check(s, "the adjoint of the projection");
}

/* ---------------------------------------------------------------- backward: pairs and features */

template <typename real> struct own_columns {
    vec4<real> a, s[4]; /* features and adjoints of the atom */
};

template <typename real, int FEATURES>
static __device__ __forceinline__ void
back_columns(const batch<real> &b, const cu_conv<real> &c, const share &w, const real *a,
             const real *s_adj, int nf, int n, const own_columns<real> &own, vec4<real> *ga,
             pull<real> *force)
{
    const int columns = nf * c.gp, g0 = w.col % c.gp;
#pragma unroll 2
    for (int k = w.start; k < n; k += w.stride) {
        const int j = b.j[k];
        const real *sj = s_adj + (size_t)j * 4 * columns + w.col;
        const vec4<real> aj = neighbour(a, FEATURES, columns, nf, c.gp, j, w.col),
                         s0 = *(const vec4<real> *)sj, s1 = *(const vec4<real> *)(sj + columns),
                         s2 = *(const vec4<real> *)(sj + 2 * columns),
                         s3 = *(const vec4<real> *)(sj + 3 * columns), u = b.u[k],
                         gs = *(const vec4<real> *)(b.gs + k * c.gp + g0),
                         dgs = *(const vec4<real> *)(b.dgs + k * c.gp + g0);
        real gd = 0, gu[3] = {0, 0, 0};
#define COLUMN(m)                                                                                  \
    do {                                                                                           \
        const real t0 = aj.m * own.s[0].m + own.a.m * s0.m,                                        \
                   t1 = own.a.m * s1.m - aj.m * own.s[1].m,                                        \
                   t2 = own.a.m * s2.m - aj.m * own.s[2].m,                                        \
                   t3 = own.a.m * s3.m - aj.m * own.s[3].m;                                        \
        gd += dgs.m * (t0 - (u.x * t1 + u.y * t2 + u.z * t3));                                     \
        gu[0] += gs.m * t1;                                                                        \
        gu[1] += gs.m * t2;                                                                        \
        gu[2] += gs.m * t3;                                                                        \
        ga->m += gs.m * (s0.m - (u.x * s1.m + u.y * s2.m + u.z * s3.m));                           \
    } while (0)
        COLUMN(x);
        COLUMN(y);
        COLUMN(z);
        COLUMN(w);
#undef COLUMN
        add_pull(force, u, gd, gu, c.want_strain);
    }
}

template <typename real>
static __device__ __forceinline__ own_columns<real> load_own(const cu_conv<real> &c, const share &w,
                                                             const real *a, int features,
                                                             const real *s_adj, int nf, int i)
{
    own_columns<real> o = {};
    if (w.active) {
        const int columns = nf * c.gp;
        o.a = neighbour(a, features, columns, nf, c.gp, i, w.col);
        for (int d = 0; d < 4; d++)
            o.s[d] = *(const vec4<real> *)(s_adj + ((size_t)i * 4 + d) * columns + w.col);
    }
    return o;
}

/* Forces of all threads of a block onto its atom, in double. */
template <typename real, int WARPS>
static __device__ __forceinline__ void finish_pull(const pull<real> &p, double (*part)[12], int i,
                                                   int strain, double *grad, double *virial)
{
    const int warp = threadIdx.x / 32;
#pragma unroll
    for (int d = 0; d < 12; d++) {
        if (d >= 3 && !strain)
            break;
        const double sum = cu_warp_sum((double)(d < 3 ? p.f[d] : p.w[d - 3]));
        if (threadIdx.x % 32 == 0)
            part[warp][d] = sum;
    }
    __syncthreads();
    const int d = threadIdx.x;
    if (d < (strain ? 12 : 3)) {
        double sum = part[0][d];
        for (int k = 1; k < WARPS; k++)
            sum += part[k][d];
        if (d < 3)
            grad[3 * (size_t)i + d] += sum;
        else
            virial[9 * (size_t)i + d - 3] -= 0.5 * sum;
    }
}

template <typename real, int FEATURES, int FIXED>
__global__ void __launch_bounds__(BLOCK) conv_backward(cu_conv<real> c)
{
    cu_wait();
    fix_sizes<real, FIXED>(&c);
    extern __shared__ __align__(32) unsigned char shared[];
    __shared__ batch<real> b;
    __shared__ double part[BLOCK / 32][12];
    const int i = c.first + blockIdx.x, columns = c.nf * c.gp, n = c.count[i];
    real *gs = (real *)shared, *dgs = gs + BATCH * c.gp, *ga_all = dgs + BATCH * c.gp,
         *gq_all = ga_all + columns;
    if (threadIdx.x == 0) {
        b.gs = gs;
        b.dgs = dgs;
    }
    const share w = charge_share(c);
    const own_columns<real> own_q = load_own(c, w, c.q, CU_PLAIN, c.sq_adj, c.nc, i);
    vec4<real> gq = {};
    pull<real> force = {};
    for (int base = 0; base < columns; base += 4 * MAIN) {
        const share m = main_share(c, base);
        const own_columns<real> own = load_own(c, m, c.a, FEATURES, c.s_adj, c.nf, i);
        vec4<real> ga = {};
        for (int first = 0; first < n; first += BATCH) {
            const int m_n = min(BATCH, n - first);
            __syncthreads();
            load_batch(c, &b, i, first, m_n, 1);
            if (m.active)
                back_columns<real, FEATURES>(b, c, m, c.a, c.s_adj, c.nf, m_n, own, &ga, &force);
            if (w.active && base == 0)
                back_columns<real, CU_PLAIN>(b, c, w, c.q, c.sq_adj, c.nc, m_n, own_q, &gq, &force);
        }
        if (m.active)
            *(vec4<real> *)(ga_all + m.col) = ga;
    }
    if (threadIdx.x >= MAIN && c.charges) {
        sum_groups4(&gq, c.nc * c.gp / 4, w.stride);
        if (w.active && w.start == 0)
            *(vec4<real> *)(gq_all + w.col) = gq;
    }
    finish_pull<real, BLOCK / 32>(force, part, i, c.want_strain, c.grad, c.virial);
    if (c.ga) {
        if (FEATURES == CU_FULL) {
            for (int k = threadIdx.x; k < columns; k += blockDim.x)
                c.ga[(size_t)i * c.fa + k] += ga_all[k];
        } else if ((int)threadIdx.x < c.nf) {
            real sum = 0;
            for (int g = 0; g < c.gp; g++)
                sum += ga_all[threadIdx.x * c.gp + g];
            c.ga[(size_t)i * c.fa + threadIdx.x] += sum;
        }
    }
    if (c.charges && (int)threadIdx.x < c.nc) {
        real sum = 0;
        for (int g = 0; g < c.gp; g++)
            sum += gq_all[threadIdx.x * c.gp + g];
        c.gq[(size_t)i * c.nc + threadIdx.x] += sum;
    }
}

template <typename real>
void cu_conv_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c)
{
    const size_t bytes =
        ((size_t)2 * BATCH * c->gp + (size_t)c->gp * (c->nf + c->nc)) * sizeof(real);
    if (cu_conv16_fits(c))
        cu_conv16_backward(s, stream, (const cu_conv<float> *)c);
    else if (c->features == CU_FULL && is_fixed(c))
        cu_launch(s, stream, c->n, BLOCK, bytes, conv_backward<real, CU_FULL, 1>, *c);
    else if (c->features == CU_FULL)
        cu_launch(s, stream, c->n, BLOCK, bytes, conv_backward<real, CU_FULL, 0>, *c);
    else
        cu_launch(s, stream, c->n, BLOCK, bytes, conv_backward<real, CU_PLAIN, 0>, *c);
    cu_check(s, "the adjoint of the convolution");
}

/* Pass 0: the neighbours' features are embeddings, and project_backward has summed over channels
 * for every element. An atom, a block; 16 lanes per neighbour. */
template <typename real, int FIXED>
__global__ void __launch_bounds__(32 * EMBED_WARPS) embed_backward(cu_conv<real> c)
{
    cu_wait();
    fix_sizes<real, FIXED>(&c);
    __shared__ double part[EMBED_WARPS][12];
    const int i = c.first + blockIdx.x, lane = threadIdx.x % 32, n = c.count[i], mine = c.kind[i];
    const size_t row = (size_t)c.kinds * 4 * c.gp;
    pull<real> force = {};
    for (int k = threadIdx.x / 16; k < n; k += 2 * EMBED_WARPS) {
        const size_t p = (size_t)i * c.capacity + k;
        const vec4<real> u = c.u[p];
        const int j = c.j[p];
        const real *ei = c.e_adj + i * row + (size_t)c.kind[j] * 4 * c.gp,
                   *ej = c.e_adj + j * row + (size_t)mine * 4 * c.gp;
        real slope, gd = 0, gu[3] = {0, 0, 0};
        const real fc = half_cos(u.w / c.rc, &slope), dfc = slope / c.rc;
        for (int g = lane % 16; g < c.nshifts; g += 16) {
            const real x = u.w - c.shifts[g], e = exp(-c.eta * x * x), gs = e * fc,
                       dgs = e * (dfc - (real)2 * c.eta * x * fc);
            const real t0 = ei[g] + ej[g], t1 = ej[c.gp + g] - ei[c.gp + g],
                       t2 = ej[2 * c.gp + g] - ei[2 * c.gp + g],
                       t3 = ej[3 * c.gp + g] - ei[3 * c.gp + g];
            gd += dgs * (t0 - (u.x * t1 + u.y * t2 + u.z * t3));
            gu[0] += gs * t1;
            gu[1] += gs * t2;
            gu[2] += gs * t3;
        }
        add_pull(&force, u, gd, gu, c.want_strain);
    }
    finish_pull<real, EMBED_WARPS>(force, part, i, c.want_strain, c.grad, c.virial);
}

template <typename real>
void cu_embed_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c)
{
    if (cu_conv16_fits(c))
        cu_conv16_first_backward(s, stream, (const cu_conv<float> *)c);
    else
        cu_launch(s, stream, c->n, 32 * EMBED_WARPS, 0,
                  is_fixed(c) ? embed_backward<real, 1> : embed_backward<real, 0>, *c);
    cu_check(s, "the adjoint of the first convolution");
}

#define INSTANCE(real)                                                                             \
    template void cu_conv_forward(cu_state *, cudaStream_t, const cu_conv<real> *);                \
    template void cu_project_backward(cu_state *, cudaStream_t, const cu_conv<real> *);            \
    template void cu_conv_backward(cu_state *, cudaStream_t, const cu_conv<real> *);               \
    template void cu_embed_backward(cu_state *, cudaStream_t, const cu_conv<real> *)
INSTANCE(float);
INSTANCE(double);

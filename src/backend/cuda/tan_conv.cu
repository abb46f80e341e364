/* SPDX-License-Identifier: MIT */
/* tan_conv.cu - tangents of the convolution and of its adjoint (docs/math/tangents.md), in the
 * gathering form of conv.cu.
 *
 * A pair moves by tr = tx_j - tx_i + r W, td = u.tr, tu = (tr - u td)/d. Forward,
 *
 *     tS_0 = sum ta_j gs + a_j dgs td,   tS_d = sum (ta_j gs + a_j dgs td) u_d + a_j gs tu_d.
 *
 * Backward, dE/da of an atom is differentiated as it stands. The force of a pair is a linear function of
 * sums over columns; here its tangent through those of a and S, formed like the force itself, and
 * in tan_pair.cu the part that comes from the motion of the pair.
 */
#include "backend/cuda/columns.h"
#include "backend/cuda/conv16.h"
#include "backend/cuda/tan_pair.h"

/* So many atoms of BLOCK threads each make a block of the adjoint's tangent in float, with the usual sizes
 * and without forces: they read mostly the same neighbours. The threads of one wait for each other alone. */
template <typename real> static constexpr int TOGETHER = USUAL<real> ? 4 : 1;

template <int ATOMS> static __device__ __forceinline__ void wait_for_atom(void)
{
    if (ATOMS > 1)
        meet(threadIdx.y + 1, BLOCK);
    else
        __syncthreads();
}
template <int ATOMS> static __device__ __forceinline__ int atom_of_block(void)
{
    return ATOMS > 1 ? (int)threadIdx.y : 0;
}

/* A batch of neighbours in shared memory. */
template <typename real> struct batch {
    vec4<real> u[BATCH], tu[BATCH];
    int j[BATCH];
};

template <typename real, int ATOMS>
static __device__ void load_batch(const cu_conv_tan<real> &c, batch<real> *b, real *gs, real *dgs,
                                  int dir, int i, int first, int n)
{
    wait_for_atom<ATOMS>();
    if ((int)threadIdx.x < n) {
        const size_t p = (size_t)i * c.of.capacity + first + threadIdx.x;
        const vec4<real> u = c.of.u[p];
        b->u[threadIdx.x] = u;
        b->j[threadIdx.x] = c.of.j[p];
        b->tu[threadIdx.x] = pair_tangent(c, dir, i, c.of.j[p], u);
    }
    wait_for_atom<ATOMS>();
    for (int t = threadIdx.x; t < n * c.of.gp; t += blockDim.x) {
        const radial<real> r = radial_of(c.of, t % c.of.gp, b->u[t / c.of.gp].w);
        gs[t] = r.v;
        dgs[t] = r.d1;
    }
    wait_for_atom<ATOMS>();
}

template <typename real>
static __device__ __forceinline__ vec4<real> features_of(const real *a, int features, int columns,
                                                         int nf, int gp, size_t row, int col)
{
    if (features == CU_PLAIN) {
        const real x = a[row * nf + col / gp];
        return vec4<real>{x, x, x, x};
    }
    return *(const vec4<real> *)(a + row * columns + col);
}

/* sum over the groups of the third warp */
template <typename real>
static __device__ __forceinline__ void sum_groups(vec4<real> *x, int columns, int stride)
{
    for (int d = columns; d < columns * stride; d <<= 1) {
        x->x += __shfl_xor_sync(0xffffffffu, x->x, d);
        x->y += __shfl_xor_sync(0xffffffffu, x->y, d);
        x->z += __shfl_xor_sync(0xffffffffu, x->z, d);
        x->w += __shfl_xor_sync(0xffffffffu, x->w, d);
    }
}

#define EACH(statement)                                                                            \
    do {                                                                                           \
        statement(x);                                                                              \
        statement(y);                                                                              \
        statement(z);                                                                              \
        statement(w);                                                                              \
    } while (0)

/* ---------------------------------------------------------------- forward */

/* Of one kind of features: tS, and S that is to KEEP. */
template <typename real, int KEEP>
static __device__ __forceinline__ void
convolve(const batch<real> &b, const real *gs_all, const real *dgs_all, const cu_conv<real> &c,
         const share &w, const real *a, const real *ta, size_t base_row, int features, int nf,
         int n, vec4<real> s[4], vec4<real> kept[4])
{
    const int columns = nf * c.gp, g0 = w.col % c.gp;
#pragma unroll 2
    for (int k = w.start; k < n; k += w.stride) {
        const int j = b.j[k];
        const vec4<real> aj = features_of(a, features, columns, nf, c.gp,
                                          features == CU_EMBED ? c.species[j] : j, w.col),
                         gs = *(const vec4<real> *)(gs_all + k * c.gp + g0),
                         dgs = *(const vec4<real> *)(dgs_all + k * c.gp + g0), u = b.u[k],
                         tu = b.tu[k];
        vec4<real> taj = {};
        if (features != CU_EMBED && ta)
            taj = features_of(ta, features, columns, nf, c.gp, base_row + j, w.col);
#define COLUMN(m)                                                                                  \
    do {                                                                                           \
        const real p = aj.m * gs.m, t = taj.m * gs.m + aj.m * dgs.m * tu.w;                        \
        s[0].m += t;                                                                               \
        s[1].m += t * u.x + p * tu.x;                                                              \
        s[2].m += t * u.y + p * tu.y;                                                              \
        s[3].m += t * u.z + p * tu.z;                                                              \
        if (KEEP) {                                                                                \
            kept[0].m += p;                                                                        \
            kept[1].m += p * u.x;                                                                  \
            kept[2].m += p * u.y;                                                                  \
            kept[3].m += p * u.z;                                                                  \
        }                                                                                          \
    } while (0)
        EACH(COLUMN);
#undef COLUMN
    }
}

/* Four columns of S or tS, to be read by the block or by other kernels. */
template <typename real>
static __device__ __forceinline__ void store_sums(real *to, int columns, int col, const vec4<real> s[4])
{
#pragma unroll
    for (int d = 0; d < 4; d++)
        *(vec4<real> *)(to + d * columns + col) = s[d];
}

/* The same over all neighbours of an atom, of the features and of the charges. shared: of the radial
 * functions. What is to KEEP goes to c.s and c.sq. */
template <typename real, int KEEP>
static __device__ void convolve_all(const cu_conv_tan<real> &c, real *shared, int dir, int i,
                                    real *s_all, real *sq_all)
{
    __shared__ batch<real> b;
    const cu_conv<real> &of = c.of;
    const int columns = of.nf * of.gp, n = of.count[i];
    const size_t base_row = (size_t)dir * of.n;
    real *gs = shared, *dgs = gs + BATCH * of.gp;
    const share w = charge_share(of);
    vec4<real> sq[4] = {}, kept_q[4] = {};
    for (int base = 0; base < columns; base += 4 * MAIN) {
        const share m = main_share(of, base);
        vec4<real> s[4] = {}, kept[4] = {};
        for (int first = 0; first < n; first += BATCH) {
            const int m_n = min(BATCH, n - first);
            load_batch<real, 1>(c, &b, gs, dgs, dir, i, first, m_n);
            if (m.active)
                convolve<real, KEEP>(b, gs, dgs, of, m, of.a, c.ta, base_row, of.features, of.nf,
                                     m_n, s, kept);
            if (w.active && base == 0)
                convolve<real, KEEP>(b, gs, dgs, of, w, of.q, c.tq, base_row, (int)CU_PLAIN, of.nc,
                                     m_n, sq, kept_q);
        }
        if (m.active)
            store_sums(s_all, columns, m.col, s);
        if (KEEP && m.active)
            store_sums(c.s + (size_t)i * 4 * columns, columns, m.col, kept);
    }
    if (threadIdx.x < MAIN || !of.charges)
        return;
    const int q_columns = of.nc * of.gp;
    for (int d = 0; d < 4; d++) {
        sum_groups(&sq[d], q_columns / 4, w.stride);
        if (KEEP)
            sum_groups(&kept_q[d], q_columns / 4, w.stride);
    }
    if (!w.active || w.start > 0)
        return;
    store_sums(sq_all, q_columns, w.col, sq);
    if (KEEP)
        store_sums(c.sq + (size_t)i * 4 * q_columns, q_columns, w.col, kept_q);
}

/* tS_0 and 2 v.tv of one kind of features into the row; tv kept. */
template <typename real>
static __device__ unsigned project(const real *s, int nf, int gp, int ncomb, int hp,
                                   const real *agh, const real *v, real *txs, real *txv, real *tv)
{
    unsigned bits = 0;
    const int columns = nf * gp;
    for (int k = threadIdx.x; k < columns; k += blockDim.x) {
        txs[k] = s[k];
        bits = max(bits, cu_bits(s[k]));
    }
    for (int k = threadIdx.x; k < nf * hp; k += blockDim.x) {
        const int f = k / hp, h = k % hp;
        real p[3] = {0, 0, 0}, twice = 0;
        for (int g = 0; g < gp; g++) {
            const real w = agh[(f * gp + g) * hp + h];
#pragma unroll
            for (int d = 0; d < 3; d++)
                p[d] += w * s[(d + 1) * columns + f * gp + g];
        }
#pragma unroll
        for (int d = 0; d < 3; d++) {
            tv[(f * 3 + d) * hp + h] = p[d];
            if (h < ncomb)
                twice += (real)2 * v[(d * nf + f) * cu_vector_row(ncomb) + h] * p[d];
        }
        if (h < ncomb) {
            txv[f * ncomb + h] = twice;
            bits = max(bits, cu_bits(twice));
        }
    }
    return bits;
}

template <typename real, int KEEP, int KNOWN>
__global__ void __launch_bounds__(BLOCK) conv_tan_forward(const cu_conv_tan<real> args)
{
    extern __shared__ __align__(32) unsigned char shared[];
    __shared__ unsigned warp_bits[BLOCK / 32];
    cu_wait();
    cu_conv_tan<real> c = args;
    fix_sizes<real, KNOWN>(&c.of);
    const cu_conv<real> &of = c.of;
    const int dir = blockIdx.x / of.n, i = blockIdx.x % of.n, columns = of.nf * of.gp;
    const size_t row = blockIdx.x;
    real *s_all = (real *)shared + 2 * BATCH * of.gp, *sq_all = s_all + 4 * columns;
    convolve_all<real, KEEP>(c, (real *)shared, dir, i, s_all, sq_all);
    __syncthreads();
    for (int k = threadIdx.x; KEEP && k < 4 * columns; k += blockDim.x)
        c.ts[row * 4 * columns + k] = s_all[k];
    for (int k = threadIdx.x; KEEP && of.charges && k < 4 * of.nc * of.gp; k += blockDim.x)
        c.tsq[row * 4 * of.nc * of.gp + k] = sq_all[k];
    real *x = c.tx + row * of.ldx;
    const size_t width = (size_t)of.nf * 3 * of.hp, qwidth = (size_t)of.nc * 3 * of.q_hp;
    unsigned bits = project(s_all, of.nf, of.gp, of.ncomb, of.hp, of.agh,
                            of.v + cu_vectors(i, of.nf, of.ncomb), x + of.col.xs,
                            x + of.col.xv, c.tv + row * width);
    if (of.charges) {
        bits = max(bits, project(sq_all, of.nc, of.gp, of.q_ncomb, of.q_hp, of.q_agh,
                                 of.vq + cu_vectors(i, of.nc, of.q_ncomb),
                                 x + of.col.qs, x + of.col.qv, c.tvq + row * qwidth));
        for (int k = threadIdx.x; k < of.fa; k += blockDim.x) {
            const real value = c.ta[row * of.fa + k];
            x[of.col.a + k] = value;
            bits = max(bits, cu_bits(value));
        }
        if ((int)threadIdx.x < of.nc) {
            const real value = c.tq[row * of.nc + threadIdx.x];
            x[of.col.q + threadIdx.x] = value;
            bits = max(bits, cu_bits(value));
        }
    }
    for (int k = of.col.total + threadIdx.x; k < of.ldx; k += blockDim.x)
        x[k] = 0;
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        warp_bits[threadIdx.x / 32] = bits;
    __syncthreads();
    if (threadIdx.x == 0)
        c.txmax[row] = max(max(warp_bits[0], warp_bits[1]), warp_bits[2]);
}

template <typename real, int KEEP>
static void launch_forward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    const cu_conv<real> &of = c->of;
    const size_t bytes =
        ((size_t)2 * BATCH * of.gp + 4 * (size_t)of.gp * (of.nf + of.nc)) * sizeof(real);
    cu_launch(s, stream, c->n_dir * of.n, BLOCK, bytes,
              cu_conv16_fits(&of) ? conv_tan_forward<real, KEEP, USUAL<real>>
                                  : conv_tan_forward<real, KEEP, 0>,
              *c);
    cu_check(s, "the tangent of the convolution");
}

template <typename real>
void cu_conv_tan_forward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    if (c->ts)
        launch_forward<real, 1>(s, stream, c);
    else
        launch_forward<real, 0>(s, stream, c);
}

/* ---------------------------------------------------------------- backward: pairs and features */

/* a, ta (of FEATURES), S, tS of an atom's row in four columns */
template <typename real> struct own_columns {
    vec4<real> a, ta, s[4], ts[4];
};

template <typename real, int FEATURES>
static __device__ __forceinline__ own_columns<real>
load_columns(const cu_conv<real> &c, int col, const real *a, const real *ta, int features,
             const real *s_adj, const real *ts_adj, int nf, int i, size_t row)
{
    own_columns<real> o = {};
    const int columns = nf * c.gp;
    if (FEATURES) {
        o.a = features_of(a, features, columns, nf, c.gp, features == CU_EMBED ? c.species[i] : i,
                          col);
        if (features != CU_EMBED && ta)
            o.ta = features_of(ta, features, columns, nf, c.gp, row, col);
    }
#pragma unroll
    for (int d = 0; d < 4; d++) {
        o.s[d] = *(const vec4<real> *)(s_adj + ((size_t)i * 4 + d) * columns + col);
        o.ts[d] = *(const vec4<real> *)(ts_adj + (row * 4 + d) * columns + col);
    }
    return o;
}

/* FORCES: besides the tangent of dE/da that of the pair's force. */
template <typename real, int FORCES>
static __device__ __forceinline__ void
back_columns(const batch<real> &b, const real *gs_all, const real *dgs_all, const cu_conv<real> &c,
             const share &w, const real *a, const real *ta, int features, const real *s_adj,
             const real *ts_adj, int nf, size_t base_row, int n, const own_columns<real> &o,
             int strain, vec4<real> *ga, pull<real> *force)
{
    const int g0 = w.col % c.gp;
#pragma unroll 1
    for (int k = w.start; k < n; k += w.stride) {
        const int j = b.j[k];
        const own_columns<real> t = load_columns<real, FORCES>(c, w.col, a, ta, features, s_adj,
                                                               ts_adj, nf, j, base_row + j);
        const vec4<real> u = b.u[k], tu = b.tu[k],
                         gs = *(const vec4<real> *)(gs_all + k * c.gp + g0),
                         dgs = *(const vec4<real> *)(dgs_all + k * c.gp + g0);
        real gd = 0, gu[3] = {0, 0, 0};
#define FORCE(m)                                                                                   \
    do {                                                                                           \
        const real t0 = t.ta.m * o.s[0].m + t.a.m * o.ts[0].m + o.ta.m * t.s[0].m +                \
                        o.a.m * t.ts[0].m,                                                         \
                   t1 = o.ta.m * t.s[1].m + o.a.m * t.ts[1].m - t.ta.m * o.s[1].m -                \
                        t.a.m * o.ts[1].m,                                                         \
                   t2 = o.ta.m * t.s[2].m + o.a.m * t.ts[2].m - t.ta.m * o.s[2].m -                \
                        t.a.m * o.ts[2].m,                                                         \
                   t3 = o.ta.m * t.s[3].m + o.a.m * t.ts[3].m - t.ta.m * o.s[3].m -                \
                        t.a.m * o.ts[3].m;                                                         \
        gd += dgs.m * (t0 - (u.x * t1 + u.y * t2 + u.z * t3));                                     \
        gu[0] += gs.m * t1;                                                                        \
        gu[1] += gs.m * t2;                                                                        \
        gu[2] += gs.m * t3;                                                                        \
    } while (0)
#define FEATURE(m)                                                                                 \
    ga->m += gs.m * (t.ts[0].m - (u.x * t.ts[1].m + u.y * t.ts[2].m + u.z * t.ts[3].m) -           \
                     (tu.x * t.s[1].m + tu.y * t.s[2].m + tu.z * t.s[3].m)) +                      \
             dgs.m * tu.w * (t.s[0].m - (u.x * t.s[1].m + u.y * t.s[2].m + u.z * t.s[3].m))
        if (FORCES)
            EACH(FORCE);
        EACH(FEATURE);
#undef FEATURE
#undef FORCE
        if (FORCES)
            add_pull(force, u, gd, gu, strain);
    }
}

template <typename real>
static __device__ void finish_pull(const pull<real> &p, double (*part)[12], size_t row, int strain,
                                   double *grad, double *virial)
{
    for (int d = 0; d < 12; d++) {
        if (d >= 3 && !strain)
            break;
        const double sum = cu_warp_sum((double)(d < 3 ? p.f[d] : p.w[d - 3]));
        if (threadIdx.x % 32 == 0)
            part[threadIdx.x / 32][d] = sum;
    }
    __syncthreads();
    const int d = threadIdx.x;
    if (d >= (strain ? 12 : 3))
        return;
    const double sum = part[0][d] + part[1][d] + part[2][d];
    if (d < 3)
        grad[3 * row + d] += sum;
    else
        virial[9 * row + d - 3] -= 0.5 * sum;
}

/* Shared memory of an atom. */
template <typename real>
static __host__ __device__ __forceinline__ size_t backward_bytes(const cu_conv<real> &of)
{
    return ((size_t)2 * BATCH * of.gp + (size_t)of.gp * (of.nf + of.nc)) * sizeof(real);
}

/* Blocks that a processor has room for; 0: as the compiler likes. */
template <typename real, int FORCES, int ATOMS>
static constexpr int BLOCKS = ATOMS > 1 ? 8 / ATOMS : FORCES && sizeof(real) == sizeof(float) ? 4 : 0;

template <typename real, int FORCES, int KNOWN, int ATOMS>
__global__ void __launch_bounds__(BLOCK *ATOMS, BLOCKS<real, FORCES, ATOMS>)
    conv_tan_backward(const cu_conv_tan<real> args)
{
    extern __shared__ __align__(32) unsigned char shared[];
    __shared__ batch<real> all[ATOMS];
    __shared__ double part[FORCES ? BLOCK / 32 : 1][12];
    cu_wait();
    cu_conv_tan<real> c = args;
    fix_sizes<real, KNOWN>(&c.of);
    const cu_conv<real> &of = c.of;
    const int own_atom = atom_of_block<ATOMS>(), place = blockIdx.x * ATOMS + own_atom,
              dir = place / of.n, i = place % of.n;
    if (dir >= c.n_dir)
        return;
    batch<real> &b = all[own_atom];
    const int columns = of.nf * of.gp, n = of.count[i], strain = c.tvirial != NULL;
    const size_t row = place, base_row = (size_t)dir * of.n;
    real *gs = (real *)(shared + own_atom * backward_bytes(of)), *dgs = gs + BATCH * of.gp, *ga_all = dgs + BATCH * of.gp,
         *gq_all = ga_all + columns;
    const share w = charge_share(of);
    own_columns<real> own_q = {};
    if (FORCES && w.active)
        own_q = load_columns<real, 1>(of, w.col, of.q, c.tq, (int)CU_PLAIN, of.sq_adj, c.tsq_adj,
                                      of.nc, i, row);
    vec4<real> gq = {};
    pull<real> force = {};
    for (int base = 0; base < columns; base += 4 * MAIN) {
        const share m = main_share(of, base);
        own_columns<real> own = {};
        if (FORCES && m.active)
            own = load_columns<real, 1>(of, m.col, of.a, c.ta, of.features, of.s_adj, c.ts_adj,
                                        of.nf, i, row);
        vec4<real> ga = {};
        for (int first = 0; first < n; first += BATCH) {
            const int m_n = min(BATCH, n - first);
            load_batch<real, ATOMS>(c, &b, gs, dgs, dir, i, first, m_n);
            if (m.active)
                back_columns<real, FORCES>(b, gs, dgs, of, m, of.a, c.ta, of.features, of.s_adj,
                                           c.ts_adj, of.nf, base_row, m_n, own, strain, &ga,
                                           &force);
            if (w.active && base == 0)
                back_columns<real, FORCES>(b, gs, dgs, of, w, of.q, c.tq, (int)CU_PLAIN, of.sq_adj,
                                           c.tsq_adj, of.nc, base_row, m_n, own_q, strain, &gq,
                                           &force);
        }
        if (m.active)
            *(vec4<real> *)(ga_all + m.col) = ga;
    }
    if (threadIdx.x >= MAIN && of.charges) {
        sum_groups(&gq, of.nc * of.gp / 4, w.stride);
        if (w.active && w.start == 0)
            *(vec4<real> *)(gq_all + w.col) = gq;
    }
    if (FORCES)
        finish_pull(force, part, row, strain, c.tgrad, c.tvirial);
    else
        wait_for_atom<ATOMS>();
    if (c.tga) {
        if (of.features != CU_PLAIN) {
            for (int k = threadIdx.x; k < columns; k += blockDim.x)
                c.tga[row * of.fa + k] += ga_all[k];
        } else if ((int)threadIdx.x < of.nf) {
            real sum = 0;
            for (int g = 0; g < of.gp; g++)
                sum += ga_all[threadIdx.x * of.gp + g];
            c.tga[row * of.fa + threadIdx.x] += sum;
        }
    }
    if (of.charges && (int)threadIdx.x < of.nc) {
        real sum = 0;
        for (int g = 0; g < of.gp; g++)
            sum += gq_all[threadIdx.x * of.gp + g];
        c.tgq[row * of.nc + threadIdx.x] += sum;
    }
}

/* atoms: of a block, which takes `bytes` for each */
template <typename real>
static void launch_backward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c, int atoms,
                            size_t bytes, void (*kernel)(cu_conv_tan<real>))
{
    cu_launch(s, stream, (c->n_dir * c->of.n + atoms - 1) / atoms, dim3(BLOCK, atoms), atoms * bytes,
              kernel, *c);
}

template <typename real>
void cu_conv_tan_backward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    const size_t bytes = backward_bytes(c->of);
    if (c->tgrad) /* with fewer registers */
        launch_backward(s, stream, c, 1, bytes, conv_tan_backward<real, 1, 0, 1>);
    else if (cu_conv16_fits(&c->of))
        launch_backward(s, stream, c, TOGETHER<real>, bytes,
                        conv_tan_backward<real, 0, USUAL<real>, TOGETHER<real>>);
    else
        launch_backward(s, stream, c, 1, bytes, conv_tan_backward<real, 0, 0, 1>);
    cu_check(s, "the tangent of the convolution's adjoint");
}

#define INSTANCE(real)                                                                             \
    template void cu_conv_tan_forward(cu_state *, cudaStream_t, const cu_conv_tan<real> *);        \
    template void cu_conv_tan_backward(cu_state *, cudaStream_t, const cu_conv_tan<real> *)
INSTANCE(float);
INSTANCE(double);

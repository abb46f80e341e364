/* SPDX-License-Identifier: MIT */
/* tan_project.cu - tangent of the projection's adjoint: from those of a pass's input to those of the
 * environments, v = sum_g A S and x = v.v,
 *
 *     dE/dv = 2 v gx,   its tangent w = 2 (tv gx + v tgx),   tangent of dE/dS = A w. */
#include "backend/cuda/columns.h"
#include "backend/cuda/conv16.h"
#include "backend/cuda/tangent.h"

/* One of the usual columns for each thread, of at most so many atoms, which share what it has of the
 * combinations. */
enum { PROJECT_BLOCK = 256, PROJECT_ATOMS = 4, PROJECT_BYTES = 48 << 10 };

/* w = 2 (tv gv + v tgv), [atoms][nf][3][hp], as tv is */
template <typename real>
static __device__ __forceinline__ void
weigh(real *__restrict__ w, int atoms, int nf, int ncomb, int hp, const real *__restrict__ v,
      const real *__restrict__ tv, const real *__restrict__ gxv, const real *__restrict__ tgxv, int ldx)
{
    const int width = nf * 3 * hp, row = cu_vector_row(ncomb);
#pragma unroll 3
    for (int k = threadIdx.x; k < atoms * width; k += PROJECT_BLOCK) { /* all loads under way at once */
        const int h = k % hp, d = k / hp % 3, f = k % width / (3 * hp), atom = k / width,
                  x = atom * ldx + f * ncomb + h, at = ((atom * 3 + d) * nf + f) * row + h;
        w[k] = h < ncomb ? (real)2 * (tv[k] * gxv[x] + v[at] * tgxv[x]) : (real)0;
    }
}

template <typename real>
static __device__ __forceinline__ void project_back(const real *w, int atoms, int nf, int gp, int hp,
                                                    const real *agh, const real *tgxs, int ldx,
                                                    real *out)
{
    const int columns = nf * gp;
    for (int k = threadIdx.x; k < columns; k += PROJECT_BLOCK) {
        const real *own = agh + (size_t)k * hp, *wf = w + k / gp * 3 * hp;
        real sum[PROJECT_ATOMS][3] = {};
#pragma unroll 3
        for (int h = 0; h < hp; h += 4) {
            const vec4<real> p = *(const vec4<real> *)(own + h);
#pragma unroll
            for (int r = 0; r < PROJECT_ATOMS; r++)
#pragma unroll
                for (int d = 0; d < 3 && r < atoms; d++) {
                    const vec4<real> y = *(const vec4<real> *)(wf + (r * nf * 3 + d) * hp + h);
                    sum[r][d] += p.x * y.x + p.y * y.y + p.z * y.z + p.w * y.w;
                }
        }
#pragma unroll
        for (int r = 0; r < PROJECT_ATOMS; r++)
            if (r < atoms) {
                real *to = out + (size_t)r * 4 * columns + k;
                to[0] = tgxs[(size_t)r * ldx + k];
                for (int d = 0; d < 3; d++)
                    to[(d + 1) * columns] = sum[r][d];
            }
    }
}

/* The adjoints of features and charges that the input has as they are. */
template <typename real>
static __device__ __forceinline__ void pass_on(const cu_conv_tan<real> &c, size_t row, int atoms,
                                               const real *tgx)
{
    const cu_conv<real> &of = c.of;
    for (int k = threadIdx.x; k < atoms * of.fa; k += blockDim.x)
        c.tga[row * of.fa + k] = tgx[k / of.fa * of.ldx + of.col.a + k % of.fa] +
                                 (c.tga_later ? c.tga_later[row * of.fa + k] : (real)0);
    if ((int)threadIdx.x < atoms * of.nc)
        c.tgq[row * of.nc + threadIdx.x] +=
            tgx[threadIdx.x / of.nc * of.ldx + of.col.q + threadIdx.x % of.nc];
}

template <typename real, int KNOWN>
__global__ void __launch_bounds__(PROJECT_BLOCK) conv_tan_project(const cu_conv_tan<real> args, int each)
{
    extern __shared__ __align__(32) unsigned char shared[];
    cu_wait();
    cu_conv_tan<real> c = args;
    fix_sizes<real, KNOWN>(&c.of);
    const cu_conv<real> &of = c.of;
    const int groups = (of.n + each - 1) / each, dir = blockIdx.x / groups,
              i = blockIdx.x % groups * each, atoms = min(each, of.n - i);
    const size_t row = (size_t)dir * of.n + i, width = (size_t)of.nf * 3 * of.hp,
                 qwidth = (size_t)of.nc * 3 * of.q_hp,
                 vectors = cu_vectors(1, of.nf, of.ncomb), q_vectors = cu_vectors(1, of.nc, of.q_ncomb);
    const real *gx = of.gx + (size_t)i * of.ldx, *tgx = c.tx + row * of.ldx;
    real *w = (real *)shared, *wq = w + each * width;
    weigh(w, atoms, of.nf, of.ncomb, of.hp, of.v + i * vectors, c.tv + row * width, gx + of.col.xv,
          tgx + of.col.xv, of.ldx);
    if (of.charges) {
        weigh(wq, atoms, of.nc, of.q_ncomb, of.q_hp, of.vq + i * q_vectors, c.tvq + row * qwidth,
              gx + of.col.qv, tgx + of.col.qv, of.ldx);
        pass_on(c, row, atoms, tgx);
    }
    __syncthreads();
    project_back(w, atoms, of.nf, of.gp, of.hp, of.agh, tgx + of.col.xs, of.ldx,
                 c.ts_adj + row * 4 * of.nf * of.gp);
    if (of.charges)
        project_back(wq, atoms, of.nc, of.gp, of.q_hp, of.q_agh, tgx + of.col.qs, of.ldx,
                     c.tsq_adj + row * 4 * of.nc * of.gp);
}

template <typename real>
void cu_conv_tan_project(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    const cu_conv<real> &of = c->of;
    const size_t w =
        3 * (size_t)(of.nf * of.hp + (of.charges ? of.nc * of.q_hp : 0)) * sizeof(real);
    const int each = PROJECT_ATOMS * w > PROJECT_BYTES ? 1 : PROJECT_ATOMS;
    cu_launch(s, stream, c->n_dir * ((of.n + each - 1) / each), PROJECT_BLOCK, each * w,
              cu_conv16_fits(&of) ? conv_tan_project<real, USUAL<real>> : conv_tan_project<real, 0>,
              *c, each);
    cu_check(s, "the tangent of the projection's adjoint");
}

template void cu_conv_tan_project(cu_state *, cudaStream_t, const cu_conv_tan<float> *);
template void cu_conv_tan_project(cu_state *, cudaStream_t, const cu_conv_tan<double> *);

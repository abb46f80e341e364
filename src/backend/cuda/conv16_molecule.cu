/* SPDX-License-Identifier: MIT */
/* conv16_molecule.cu - the adjoint of a pass's projection and convolution in float for the usual sizes where
 * a molecule's adjoints of sums, 4 kB an atom, find room in the shared memory of a block: they are made there
 * (conv16_unproject.h) and gathered there (conv16_gather.h), and the forces of the pairs, none of which
 * leaves the molecule, follow at the end. All sums have the order they have by atoms. */
#include "backend/cuda/conv16_gather.h"
#include "backend/cuda/conv16_unproject.h"

enum {
    WARPS = 8,
    TOGETHER = 2, /* blocks of a processor */
    MOST_ATOMS = 24,
    ROW = 4 * COLUMNS,
    LEAST_ATOMS = 22, /* on average: with smaller ones, warps have nothing to do in the last turn */
    ROWS_BYTES = MOST_ATOMS * ROW * (int)sizeof(float),
    OTHER_BYTES = WARPS * (int)sizeof(neighbours<BATCH8, 1>) + 1024 /* and what a block costs */
};

/* The adjoints of atom i's sums; its vectors pass through the place where these will stand. */
static __device__ __forceinline__ void unproject_atom(const cu_conv<float> &c, float *row, int i)
{
    const float *gx = c.gx + (size_t)i * c.ldx;
    const int column = threadIdx.x % 32 * 4;
    weigh_features(c, gx, row, i, 0, NF);
    float4 s[2][4];
#pragma unroll
    for (int h = 0; h < 2; h++)
        unproject_half(c, gx, row, h, s[h]);
    unproject_charges(c, gx, row, i);
    __syncwarp();
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)(row + d * COLUMNS + h * HALF + column) = s[h][d];
}

/* A block, a molecule. */
__global__ void __launch_bounds__(32 * WARPS, TOGETHER)
    molecule_backward(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    extern __shared__ __align__(16) float rows[];
    __shared__ neighbours<BATCH8, 1> spaces[WARPS];
    /* from the last one to the first: what was written last is read first */
    const int molecule = gridDim.x - 1 - blockIdx.x, zero = c.offset[molecule],
              end = c.offset[molecule + 1], warp = threadIdx.x / 32, column = threadIdx.x % 32 * 4;
    const charge_lane l = charge_share(c.nc);
#pragma unroll 1
    for (int i = zero + warp; i < end; i += WARPS)
        unproject_atom(c, rows + (i - zero) * ROW, i);
    __syncthreads();
#pragma unroll 1
    for (int i = zero + warp; i < end; i += WARPS) {
        const float *gx = c.gx + (size_t)i * c.ldx;
        float4 a[2], ga[2] = {}, own[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            a[h] = load4(c.a + (size_t)i * COLUMNS + h * HALF + column);
            own[h] = own_adjoint(c, gx, i, h);
        }
        const float gq =
            gather_atom(c, &spaces[warp], rows, zero, l, i, c.count[i], a, ga);
#pragma unroll
        for (int h = 0; h < 2; h++)
            *(float4 *)(c.ga + (size_t)i * COLUMNS + h * HALF + column) = make_float4(
                own[h].x + ga[h].x, own[h].y + ga[h].y, own[h].z + ga[h].z, own[h].w + ga[h].w);
        leave_charges(c, l, i, gq);
    }
    __syncthreads();
#pragma unroll 1
    for (int i = zero + warp; i < end; i += WARPS)
        pull_atom<0>(c, i);
}

void cu_conv_prepare(void)
{
    /* a card that has less does without: cu_conv_by_molecules() */
    (void)cudaFuncSetAttribute(molecule_backward, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               ROWS_BYTES);
    (void)cudaFuncSetAttribute(molecule_backward, cudaFuncAttributePreferredSharedMemoryCarveout,
                               cudaSharedmemCarveoutMaxShared);
    (void)cudaGetLastError();
}

int cu_conv_by_molecules(const cu_net *net, const aim_dev_job *job)
{
    if (!cu_conv_looks_back(&net->d) || job->crystal || job->row || job->n_atoms < FEW ||
        job->n_atoms < LEAST_ATOMS * job->n_systems || 4 * net->capacity > ROW ||
        job->want_strain || net->device->processor_bytes < TOGETHER * (ROWS_BYTES + OTHER_BYTES))
        return 0;
    return job->largest <= MOST_ATOMS ? job->largest : 0;
}

void cu_conv16_backward_molecules(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    cu_launch(s, stream, c->systems, 32 * WARPS, (size_t)c->largest * ROW * sizeof(float),
              molecule_backward, *c);
}

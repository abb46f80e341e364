/* SPDX-License-Identifier: MIT */
/* paths.cu - optimisations on a card (backend/device_path.h): one block moves one structure, by the
 * same lines as the host (backend/opt/moves.h). What the host needs is written to page-locked memory
 * by the kernel itself: there is one launch to put positions down, one to move, and one wait. */
#include "backend/cuda/module.h"
#include "backend/cuda/pairs.h"
#include "backend/cuda/terms.h"
#include "backend/opt/open.h"

/* Threads that move a structure, by the number of its variables alone. */
enum { FEW = 128, SOME = 256, MANY = 1024, MEDIUM = 256, LARGE = 6000 };

static __host__ __device__ int threads_for(int n_var)
{
    return n_var < MEDIUM ? FEW : n_var < LARGE ? SOME : MANY;
}

typedef struct cu_paths {
    int card;
    cudaStream_t stream;
    char *pinned;
    size_t size;
} cu_paths;

static_assert(sizeof(cu_paths) <= AIM_DEV_PATHS_SIZE, "room for paths");

int cu_paths_create(void *object, int card, void **stream, aim_dev_error *e)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(card);
    e->status = 0;
    CU_TRY(e, here.code, "starting");
    p->card = card;
    CU_TRY(e, cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking), "starting");
    *stream = p->stream;
    return 0;
}

void cu_paths_free(void *object)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(p->card);
    cudaStreamDestroy(p->stream);
    cudaFreeHost(p->pinned);
    (void)cudaGetLastError();
}

/* From memory that is not page-locked: the driver has copied it when the call returns. */
int cu_paths_send(void *object, void *to, const void *from, size_t bytes, aim_dev_error *e)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(p->card);
    e->status = 0;
    CU_TRY(e, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, p->stream),
           "an optimisation");
    return 0;
}

static size_t align(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

int cu_paths_room(void *object, aim_dev_moves *m, aim_dev_error *e)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(p->card);
    const size_t moves = align((size_t)m->n * sizeof *m->move),
                 moved = align((size_t)m->n * sizeof *m->moved),
                 size = moves + moved + 7 * (size_t)m->n_atoms * sizeof(double);
    e->status = 0;
    if (size > p->size) {
        cudaFreeHost(p->pinned);
        p->pinned = NULL;
        p->size = 0;
        if (cudaMallocHost((void **)&p->pinned, size + size / 8) != cudaSuccess) {
            (void)cudaGetLastError();
            return cu_fail(e, ERR_MEMORY, "no page-locked memory for the optimisations%s%s", "",
                           "");
        }
        p->size = size + size / 8;
    }
    m->move = (aim_dev_move *)p->pinned;
    m->moved = (const aim_dev_moved *)(p->pinned + moves);
    m->ended = (const double *)(p->pinned + moves + moved);
    return 0;
}

__global__ void __launch_bounds__(SOME) put_down(const aim_dev_moves m)
{
    const aim_dev_move move = m.move[blockIdx.x];
    const aim_variables *v = &move.path->v;
    double *to = m.coord + 3 * (size_t)move.first;
    for (int i = threadIdx.x; i < 3 * v->n_atoms; i += SOME)
        to[i] = v->x[i];
}

/* What the host reads. */
static __device__ void report(const aim_dev_moves &m, const aim_path *p, int first,
                              const aim_path_state *now)
{
    aim_dev_moved *to = (aim_dev_moved *)m.moved + blockIdx.x;
    const aim_point *here = &p->point[now->here];
    double extent[3];
    aim_open_extents(p->v.periodic, p->v.cell, p->v.x, (size_t)p->v.n_atoms, extent);
    const int known = now->n_steps > 0 || now->verdict != AIMNET_OPT_FAILED;
    if (threadIdx.x == 0)
        to->now = *now;
    for (int k = threadIdx.x; k < 3; k += blockDim.x)
        to->next_extent[k] = extent[k];
    for (int k = threadIdx.x; k < 9; k += blockDim.x) {
        to->next_cell[k] = p->v.cell[k];
        to->cell[k] = here->cell[k];
        to->stress[k] = here->stress[k];
    }
    const int n = known && now->verdict != AIMNET_OPT_RUNNING ? 7 * p->v.n_atoms : 0;
    double *ended = (double *)m.ended + 7 * (size_t)first;
    for (int k = threadIdx.x; k < n; k += blockDim.x) /* one slot: coord, forces, charges */
        ended[k] = here->coord[k];
}

template <int SIZE>
__global__ void __launch_bounds__(SIZE, SIZE < MANY ? 512 / SIZE : 1)
    move_paths(const aim_dev_moves m)
{
    const aim_dev_move move = m.move[blockIdx.x];
    if (threads_for(move.n_var) != SIZE)
        return;
    aim_path *p = move.path;
    aim_path_state now = p->now;
    aim_outcome o;
    o.good = move.good;
    o.energy = m.energy[blockIdx.x];
    o.forces = m.forces + 3 * (size_t)move.first;
    o.charges = m.charges + move.first;
    o.stress = m.stress ? m.stress + 9 * (size_t)blockIdx.x : NULL;
    crew_sync(); /* everyone has read p->now */
    aim_path_move(p, &now, &o);
    crew_sync();
    if (threadIdx.x == 0)
        p->now = now;
    report(m, p, move.first, &now);
}

int cu_paths_place(void *object, const aim_dev_moves *m, aim_dev_error *e)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(p->card);
    e->status = 0;
    put_down<<<m->n, SOME, 0, p->stream>>>(*m);
    CU_TRY(e, cudaGetLastError(), "an optimisation");
    return 0;
}

int cu_paths_move(void *object, const aim_dev_moves *m, aim_dev_error *e)
{
    cu_paths *p = (cu_paths *)object;
    const on_card here(p->card);
    e->status = 0;
    int few = 0, some = 0, many = 0;
    for (int k = 0; k < m->n; k++) {
        const int threads = threads_for(m->move[k].n_var);
        few |= threads == FEW;
        some |= threads == SOME;
        many |= threads == MANY;
    }
    if (few)
        move_paths<FEW><<<m->n, FEW, 0, p->stream>>>(*m);
    if (some)
        move_paths<SOME><<<m->n, SOME, 0, p->stream>>>(*m);
    if (many)
        move_paths<MANY><<<m->n, MANY, 0, p->stream>>>(*m);
    CU_TRY(e, cudaGetLastError(), "an optimisation");
    CU_TRY(e, cudaStreamSynchronize(p->stream), "an optimisation");
    return 0;
}

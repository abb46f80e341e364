/* SPDX-License-Identifier: MIT */
/* caller.cu - an evaluation between arrays of the caller on the card: positions are brought in before
 * the first kernel, results handed out after the last one, by the caller's numbers of atoms and
 * systems.
 *
 * Results are those of the host's program (calc/program.c, calc/average.c, calc/results.c) to the
 * bit: sums run atom after atom, products and sums are not contracted. The sum over the network's
 * atomic energies, one thread after all, runs beside the backward half in the second stream where
 * there are many. Nothing
 * is handed out while a row of the list is too short or something was found that is an error. */
#include <string.h>

#include "backend/cuda/caller.h"
#include "backend/cuda/module.h"

enum { THREADS = 256, FOUND_POSITION = 2, FOUND_RESULT = 4 };

__global__ void __launch_bounds__(THREADS) bring_in(int n, const cu_caller *c, const int *atom,
                                                    double *coord, int *found)
{
    cu_wait();
    const int k = blockIdx.x * THREADS + threadIdx.x;
    if (k >= 3 * n)
        return;
    const size_t from = 3 * (size_t)atom[k / 3] + k % 3;
    double x = c->coord_single ? (double)c->coord_single[from] : c->coord[from];
    if (!(fabs(x) <= c->farthest)) {
        atomicOr(found, FOUND_POSITION);
        x = 0.0;
    }
    coord[k] = x;
}

/* The sum over a block's atoms of f(atom), in their order, in thread 0. */
template <typename F> static __device__ double sum_in_order(int first, int last, F f)
{
    __shared__ double part[THREADS];
    double sum = 0;
    for (int base = first; base < last; base += THREADS) {
        const int i = base + (int)threadIdx.x, count = min(THREADS, last - base);
        __syncthreads();
        part[threadIdx.x] = i < last ? f(i) : 0.0;
        __syncthreads();
        for (int k = 0; threadIdx.x == 0 && k < count; k++)
            sum += part[k];
    }
    return sum;
}

struct handed {
    int n, systems, capacity, kinds;
    const cu_caller *caller;
    const int *atom, *index, *offset, *kind;
    const double *head, *table;
    double *sum; /* [systems][1 + AIM_DEV_STEPS]: of the network, of the table of each step */
    const double *volume, *e_coulomb, *e_sr, *e_d3, *e_rep, *e_rep_atom, *grad, *q, *spin, *strain;
    const int *longest;
    int *found;
};

/* By a whole block; thread 0 writes. */
static __device__ void sum_system(const handed &h, int s)
{
    const cu_caller *c = h.caller;
    const int first = h.offset[s], last = h.offset[s + 1];
    double *sum = h.sum + (size_t)s * (1 + AIM_DEV_STEPS);
    const double network = sum_in_order(first, last, [&](int i) {
        double x = h.head[i];
        for (int t = 0; t < c->n_atom_steps; t++)
            x += c->atom_step[t] == AIM_DEV_STEP_TABLE ? h.table[t * h.kinds + h.kind[i]]
                                                       : h.e_rep_atom[i];
        return x;
    });
    if (threadIdx.x == 0)
        sum[0] = network;
    for (int t = 0; t < c->n_system_steps; t++) {
        if (c->system_step[t] != AIM_DEV_STEP_TABLE)
            continue;
        const double *own = h.table + (AIM_DEV_STEPS + t) * h.kinds,
                     step = sum_in_order(first, last, [&](int i) { return own[h.kind[i]]; });
        if (threadIdx.x == 0)
            sum[1 + t] = step;
    }
}

__global__ void __launch_bounds__(THREADS) sum_network(const handed h)
{
    cu_wait();
    sum_system(h, blockIdx.x);
}

static __device__ int may_hand_out(const handed &h)
{
    return *h.longest <= h.capacity && !(*h.found & ~FOUND_RESULT);
}

/* The mean over the members so far; `before` is that of the others. */
static __device__ double mean_of(double before, double x, int member)
{
    return member == 1 ? x : before + (x - before) / member;
}

static __device__ void hand_atom(const handed &h, int i)
{
    const cu_caller *c = h.caller;
    const size_t to = (size_t)h.atom[i];
    int good = isfinite(h.q[i]);
    for (int d = 0; h.grad && d < 3; d++) {
        const double x = 0.0 + h.grad[3 * (size_t)i + d];
        good &= isfinite(x);
        if (c->forces) {
            double *f = c->forces + 3 * to + d;
            *f = -1.0 * mean_of(c->member == 1 ? 0.0 : -*f, x, c->member);
        }
    }
    if (c->charges)
        c->charges[to] = mean_of(c->member == 1 ? 0.0 : c->charges[to], h.q[i], c->member);
    if (c->spin)
        c->spin[to] = mean_of(c->member == 1 ? 0.0 : c->spin[to], h.spin[i], c->member);
    if (!good)
        atomicOr(h.found, FOUND_RESULT);
}

/* stress = (strain + its transpose) / 2 V; until the last member the array has the strain's mean. */
static __device__ void hand_stress(const handed &h, int s, double *to)
{
    double w[9];
    const int member = h.caller->member;
    for (int k = 0; k < 9; k++)
        w[k] = mean_of(member == 1 ? 0.0 : to[k], 0.0 + h.strain[9 * (size_t)s + k], member);
    for (int k = 0; k < 9; k++)
        to[k] = h.volume[s] > 0 ? __dmul_rn(0.5, __dadd_rn(w[k], w[k % 3 * 3 + k / 3])) / h.volume[s]
                                : w[k];
}

/* What a step adds to the energy of a system. */
static __device__ double step_of(const handed &h, const double *sum, int s, int t)
{
    switch (h.caller->system_step[t]) {
    case AIM_DEV_STEP_SR:
        return h.e_sr[s];
    case AIM_DEV_STEP_COULOMB:
        return h.e_coulomb[s];
    case AIM_DEV_STEP_D3:
        return h.e_d3[s];
    case AIM_DEV_STEP_REPULSION:
        return h.e_rep[s];
    default:
        return sum[1 + t];
    }
}

static __device__ void hand_system(const handed &h, int s)
{
    const cu_caller *c = h.caller;
    const size_t to = (size_t)h.index[s];
    const double *sum = h.sum + (size_t)s * (1 + AIM_DEV_STEPS);
    double network = sum[0];
    for (int t = 0; t < c->n_system_steps; t++)
        network += step_of(h, sum, s, t);
    const double coulomb = c->add_coulomb ? h.e_coulomb[s] : 0.0,
                 energy = network + (c->add_sr ? coulomb + h.e_sr[s] : coulomb) +
                          (c->add_d3 ? h.e_d3[s] : 0.0);
    if (!isfinite(energy))
        atomicOr(h.found, FOUND_RESULT);
    if (c->energy)
        c->energy[to] = mean_of(c->member == 1 ? 0.0 : c->energy[to], energy, c->member);
    if (c->stress && h.strain)
        hand_stress(h, s, c->stress + 9 * to);
}

/* Blocks of atoms, then blocks of systems. SUM: a block is a system, whose sums are formed here. */
template <int SUM> __global__ void __launch_bounds__(THREADS) hand_out(const handed h)
{
    cu_wait();
    const int of_atoms = (h.n + THREADS - 1) / THREADS, block = (int)blockIdx.x - of_atoms,
              i = (int)blockIdx.x * THREADS + (int)threadIdx.x,
              s = SUM ? block : block * THREADS + (int)threadIdx.x;
    if (!may_hand_out(h))
        return;
    if (block < 0) {
        if (i < h.n)
            hand_atom(h, i);
        return;
    }
    if (SUM)
        sum_system(h, s);
    if (s < h.systems && (!SUM || threadIdx.x == 0))
        hand_system(h, s);
}

template <typename real>
void cu_bring_in(cu_state *s, cudaStream_t stream, const cu_work<real> *w)
{
    bring_in<<<(3 * w->n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(
        w->n, w->caller, w->caller_atom, w->coord, w->overlap);
    cu_check(s, "bringing positions in");
}

template <typename real> static handed hand_args(const cu_work<real> *w)
{
    handed h = {};
    h.n = w->n;
    h.systems = w->systems;
    h.capacity = w->capacity;
    h.kinds = w->kinds;
    h.caller = w->caller;
    h.atom = w->caller_atom;
    h.index = w->caller_index;
    h.offset = w->offset;
    h.kind = w->kind;
    h.head = w->caller_head;
    h.table = w->caller_table;
    h.sum = w->caller_sum;
    h.volume = w->caller_volume;
    h.e_coulomb = w->e_coulomb;
    h.e_sr = w->e_sr;
    h.e_d3 = w->e_d3;
    h.e_rep = w->e_rep;
    h.e_rep_atom = w->e_rep_atom;
    h.grad = w->grad;
    h.q = w->q;
    h.spin = w->spin;
    h.strain = w->strain;
    h.longest = w->longest;
    h.found = w->overlap;
    return h;
}

template <typename real>
void cu_sum_network(cu_state *s, cudaStream_t stream, const cu_work<real> *w)
{
    sum_network<<<w->systems, THREADS, 0, stream>>>(hand_args(w));
    cu_check(s, "summing energies");
}

template <typename real>
void cu_hand_out(cu_state *s, cudaStream_t stream, const cu_work<real> *w)
{
    const int atoms = (w->n + THREADS - 1) / THREADS;
    if (cu_sums_beside(w))
        hand_out<0><<<atoms + (w->systems + THREADS - 1) / THREADS, THREADS, 0, stream>>>(
            hand_args(w));
    else
        hand_out<1><<<atoms + w->systems, THREADS, 0, stream>>>(hand_args(w));
    cu_check(s, "handing results out");
}

static void fill_step(const aim_dev_step *step, int there, int n_kinds, const int32_t *number,
                      double *table)
{
    for (int z = 0; z < n_kinds && there && step->kind == AIM_DEV_STEP_TABLE; z++)
        table[z] = step->table[number[z]];
}

template <typename real>
void cu_fill_caller(const cu_net *net, const aim_dev_job *job, int n_kinds, const int32_t *number,
                    const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const aim_dev_caller *from = job->caller;
    const size_t systems = (size_t)job->n_systems;
    cu_caller c = {};
    c.coord = from->coord;
    c.coord_single = from->coord_single;
    c.energy = from->energy;
    c.forces = from->forces;
    c.charges = from->charges;
    c.spin = from->spin;
    c.stress = from->stress;
    c.farthest = from->farthest;
    c.member = from->member;
    c.n_atom_steps = from->n_atom_steps;
    c.n_system_steps = from->n_system_steps;
    c.add_coulomb = from->add_coulomb;
    c.add_sr = from->add_sr;
    c.add_d3 = from->add_d3;
    double *table = CU_PINNED(d->in, w->in_base, w->caller_table);
    for (int t = 0; t < AIM_DEV_STEPS; t++) {
        c.atom_step[t] = from->atom_step[t].kind;
        c.system_step[t] = from->system_step[t].kind;
        fill_step(&from->atom_step[t], t < c.n_atom_steps, n_kinds, number, table + t * n_kinds);
        fill_step(&from->system_step[t], t < c.n_system_steps, n_kinds, number,
                  table + (AIM_DEV_STEPS + t) * n_kinds);
    }
    *CU_PINNED(d->in, w->in_base, w->caller) = c;
    memcpy(CU_PINNED(d->in, w->in_base, w->caller_atom), from->atom,
           (size_t)job->n_atoms * sizeof(int32_t));
    memcpy(CU_PINNED(d->in, w->in_base, w->caller_index), from->index, systems * sizeof(int32_t));
    memcpy(CU_PINNED(d->in, w->in_base, w->caller_volume), from->volume, systems * sizeof(double));
}

int cu_follow(cu_net *net, const aim_dev_job *job, aim_dev_error *e)
{
    cu_device *d = net->device;
    if (!job->caller)
        return 0;
    const cudaStream_t stream = (cudaStream_t)job->caller->stream;
    CU_TRY(e, cudaEventRecord(d->fork, stream), "the caller's stream");
    CU_TRY(e, cudaStreamWaitEvent(d->stream, d->fork, 0), "the caller's stream");
    return 0;
}

#define INSTANCE(real)                                                                             \
    template void cu_bring_in(cu_state *, cudaStream_t, const cu_work<real> *);                    \
    template void cu_sum_network(cu_state *, cudaStream_t, const cu_work<real> *);                 \
    template void cu_hand_out(cu_state *, cudaStream_t, const cu_work<real> *);                    \
    template void cu_fill_caller(const cu_net *, const aim_dev_job *, int, const int32_t *,        \
                                 const cu_work<real> *)
INSTANCE(float);
INSTANCE(double);

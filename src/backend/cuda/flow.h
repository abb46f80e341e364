/* SPDX-License-Identifier: MIT */
/* flow.h - the state of one evaluation while its kernels go into the queue: shared by the order of
 * everything (flow.cu) and one pass of the network (pass.cu).
 *
 * Crystals whose activations do not fit go in slabs, runs of places (cells.h): list, activations and
 * what heads have exist for the atoms of one slab at a time; positions, features, charges and adjoints
 * for all. The list is made again whenever a slab is entered, and a slab's activations by a second
 * forward pass before its backward one, unless what that takes of them has been kept (cu_kept_slab). Kernels count rows as atoms, from pointers that lie where
 * row 0 of all would be; so an atom's sums are the same expressions in any slab, to the bit. */
#ifndef AIM_CUDA_FLOW_H
#define AIM_CUDA_FLOW_H

#include "backend/cuda/cuda.h"

template <typename real> struct cu_flow {
    cu_state *s;
    cu_net *net;
    const aim_dev_job *job;
    const cu_work<real> *w;
    cudaStream_t stream;
    int slot;
    int beside;   /* terms go into the second stream, beside the last pass */
    int apart;    /* the first stream has to join the second before it needs what is there */
    int first, n; /* atoms of the current slab, or all */
};

/* Where cu_join() waits. */
template <typename real> static inline void cu_end_side(cu_flow<real> *f)
{
    cu_device *dev = f->net->device;
    cu_check_call(f->s, cudaEventRecord(dev->join, dev->side), "an event");
    f->apart = 1;
}

/* The first stream goes on when what the second has been given has ended (the event `join`). */
template <typename real> static inline void cu_join(cu_flow<real> *f)
{
    cu_check_call(f->s, cudaStreamWaitEvent(f->stream, f->net->device->join, 0), "an event");
    f->s->joined = 1;
    f->apart = 0;
}

/* What is put into the second stream from here on comes after what is in the first by now. */
template <typename real> static inline void cu_fork(cu_flow<real> *f)
{
    cu_fork_side(f->s, f->net->device, f->stream);
}

/* Whether nothing waits for what comes early before the end: of molecules. A box of 20,736 atoms was 1 % slower so. */
template <typename real> static inline int cu_early_apart(const cu_work<real> *w)
{
    return w->out_early && w->largest;
}

/* Of an array of all atoms, the row where the slab begins. */
template <typename real, typename T>
static inline T *slab_row(const cu_flow<real> *f, T *all, size_t width)
{
    return all ? all + (size_t)f->first * width : NULL;
}

/* Of an array of the slab's rows, where row 0 of all atoms would be. */
template <typename real, typename T>
static inline T *from_zero(const cu_flow<real> *f, T *rows, size_t width)
{
    return rows ? (T *)((uintptr_t)rows - (size_t)f->first * width * sizeof *rows) : NULL;
}

template <typename real> cu_charges<real> cu_charge_args(const cu_flow<real> *f, int p);

/* The terms in the second stream, once the charges are there: the last pass leaves these as they are. */
template <typename real> void cu_terms_beside(cu_flow<real> *f);

/* Tells the host that the evaluation is about to end. */
template <typename real> void cu_tell_ending(cu_flow<real> *f);

/* Pass p of the slab's atoms; without slabs, of all but the last also the charges; of the last one, heads as well. again: for its backward half, what it
 * puts out is there. */
template <typename real> void cu_pass_forward(cu_flow<real> *f, int p, int again);
/* From the adjoints of what pass p has put out (without slabs, from those of charges and features) to those of the environments of the slab's atoms; */
template <typename real> void cu_pass_backward(cu_flow<real> *f, int p);
/* then, from those of all atoms, to forces and features of n of the slab's, from its number `first` on. */
template <typename real> void cu_pass_gather(cu_flow<real> *f, int p, int first, int n);

#endif

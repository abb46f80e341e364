/* SPDX-License-Identifier: MIT */
/* molecules.h - lists and terms of batches of small molecules (molecules.cu, nlist.cu). */
#ifndef AIM_BACKEND_CUDA_MOLECULES_H
#define AIM_BACKEND_CUDA_MOLECULES_H

#include "backend/cuda/cuda.h"

enum {
    CU_MOLECULE_ATOMS = 96, /* a batch goes by molecules up to so many atoms of each, */
    CU_MOLECULE_KINDS = 10  /* and so many elements */
};

/* Atoms of the largest of a batch's molecules, where lists and terms go by molecules; else 0. */
int cu_by_molecules(const cu_net *net, const aim_dev_job *job, int kinds);
/* Systems of such a batch whose gradients come before those of the others: three quarters. 0: none. */
int cu_some_systems(const aim_dev_job *job, int largest);
void cu_molecules_prepare(int processor_bytes);
/* cu_d3 and cu_pair_terms of such a batch. */
void cu_d3_of_molecules(cu_state *s, cudaStream_t stream, const struct cu_terms *t);
void cu_pairs_of_molecules(cu_state *s, cudaStream_t stream, const struct cu_terms *t,
                           const aim_dsf *dsf);

#endif

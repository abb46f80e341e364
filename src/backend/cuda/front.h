/* SPDX-License-Identifier: MIT */
/* front.h - what surrounds a dense layer where rows are few (few.cu): the rows of a product made of what
 * is there instead of by a kernel in front of it, and a convolution that makes its charges. A kernel less is
 * two microseconds less, of which a small molecule has some 150. */
#ifndef AIM_BACKEND_CUDA_FRONT_H
#define AIM_BACKEND_CUDA_FRONT_H

#include "backend/cuda/cuda.h"

/* The adjoint of what a pass has put out: rows [ga | gy | 0] * slope; gy is there or, with has_charges, made by
 * cu_charge_backward. */
template <typename real> struct cu_pass_front {
    int fa, nc;
    const real *ga, *gy, *slope;
    int ldslope;
    int has_charges;
    cu_charges<real> charges; /* of all atoms, which are the rows */
};

/* Whether the charges are of one system, which one block sums up: then those who take them can. */
template <typename real> static inline int cu_alone(const cu_charges<real> *c)
{
    return c->systems == 1 && c->wide == 1;
}
/* n rows of it, with their maxima (charge.cu). */
template <typename real>
void cu_pass_adjoint(cu_state *s, cudaStream_t stream, int n, const cu_pass_front<real> *front, real *out,
                     int ld, unsigned *max);
/* y = front's rows times a matrix; x and xmax of g: room for the rows where they are not few. */
template <typename real>
void cu_multiply_pass(cu_state *s, cudaStream_t stream, const cu_gemm<real> *g,
                      const cu_pass_front<real> *front);
/* The same with the adjoint of a head's last layer (cu_head_backward). */
template <typename real>
void cu_multiply_head(cu_state *s, cudaStream_t stream, const cu_gemm<real> *g,
                      const cu_head_out<real> *head);
/* Whether cu_conv_forward_charges takes this: few atoms of one system. */
template <typename real>
int cu_conv_makes_charges(const cu_conv<real> *c, const cu_charges<real> *charges);
/* cu_charge_forward, which gives the charges that the convolution takes, then cu_conv_forward. */
template <typename real>
void cu_conv_forward_charges(cu_state *s, cudaStream_t stream, const cu_conv<real> *c,
                             const cu_charges<real> *charges);

#endif

/* SPDX-License-Identifier: MIT */
/* fft.h - plans of the Fourier transforms in backend/mesh_kernels.h. */
#ifndef AIM_TERM_FFT_H
#define AIM_TERM_FFT_H

#include "backend/mesh_kernels.h"

/* The smallest length >= n that has no prime factor above 5. */
int aim_fft_size(int n);
/* Plan of a length that aim_fft_size gave; twiddles: room for 2 n numbers, which the plan keeps. */
aim_fft_plan aim_fft_make(int n, double *twiddles);

#endif

/* SPDX-License-Identifier: MIT */
/* kernel_test.h - the modes of test_kernels in one precision. Every function returns the number of
 * failures and prints one line per failure. */
#ifndef AIM_TESTS_KERNEL_KERNEL_TEST_H
#define AIM_TESTS_KERNEL_KERNEL_TEST_H

/* Every kernel of this instruction set against ref: values, independence of the range, nothing
 * written outside of it. */
int kt_check_f32(int isa);
int kt_check_f64(int isa);
/* Adjoints against finite differences of the forward kernels, in double. */
int kt_grad_f64(int isa);
/* Prints GFLOP/s and ns per pair of every kernel. */
int kt_perf_f32(int isa);
int kt_perf_f64(int isa);

#endif

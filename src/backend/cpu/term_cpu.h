/* SPDX-License-Identifier: MIT */
/* term_cpu.h - the term kernels of one instruction set, collected in term_table_cpu.c. */
#ifndef AIM_BACKEND_CPU_TERM_CPU_H
#define AIM_BACKEND_CPU_TERM_CPU_H

#include "backend/cpu/pair.h"

void AIM_CPU_NAMED(aim_coulomb_simple)(const aim_row *row, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_coulomb_dsf)(const aim_row *row, const aim_dsf *dsf, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_coulomb_sr)(const aim_row *row, double rc, aim_envelope envelope,
                                   aim_row_sum *sum);
void AIM_CPU_NAMED(aim_srrep)(const aim_row *row, double repa, double rc, aim_envelope envelope,
                              aim_row_sum *sum);
double AIM_CPU_NAMED(aim_d3_count)(const aim_row *row, const aim_d3_span *span, int n_spans);
void AIM_CPU_NAMED(aim_d3_count_dsf)(const aim_row *row, const aim_d3_span *span, int n_spans,
                                     const aim_dsf *dsf, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_d3_energy)(const aim_row *row, const aim_d3_block *block, int n_blocks,
                                  const aim_d3_range *range, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_d3_count_grad)(const aim_row *row, const aim_d3_span *span, int n_spans,
                                      double c, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_d3ts)(const aim_row *row, const double own[4], double s8, double a1,
                             double a2, const aim_d3_range *range, aim_row_sum *sum);
void AIM_CPU_NAMED(aim_ewald_structure)(const aim_ewald_phases *phases, const aim_ewald_rod *rod,
                                        double *re, double *im);
void AIM_CPU_NAMED(aim_ewald_potential)(const aim_ewald_phases *phases, const aim_ewald_rod *rods,
                                        int64_t n_rods, const double *fre, const double *fim,
                                        int32_t atom, double sum[4]);
void AIM_CPU_NAMED(aim_ewald_structure_tan)(const aim_ewald_phases *phases, const double *tq,
                                            const double *theta, const aim_ewald_rod *rod,
                                            double *re, double *im);
void AIM_CPU_NAMED(aim_ewald_curvature)(const aim_ewald_phases *phases, const aim_ewald_rod *rods,
                                        int64_t n_rods, const double *fre, const double *fim,
                                        int32_t atom, double sum[6]);
void AIM_CPU_NAMED(aim_pair_tan)(const aim_row *row, const aim_tan_chunk *chunk,
                                 const aim_tan_direction *direction, double *sum);
double AIM_CPU_NAMED(aim_tan_coulomb)(const aim_row *row, const aim_dsf *dsf, double k, double q,
                                      aim_tan_chunk *chunk);
double AIM_CPU_NAMED(aim_tan_count)(const aim_row *row, double rcov, aim_tan_chunk *chunk);
void AIM_CPU_NAMED(aim_tan_count_grad)(const aim_row *row, double rcov, double g,
                                       aim_tan_chunk *chunk);
double AIM_CPU_NAMED(aim_tan_damped)(const aim_row *row, const aim_d3_tan_block *block,
                                     const aim_d3_range *range, aim_tan_chunk *chunk);
void AIM_CPU_NAMED(aim_row_gather)(const aim_row_pairs *pairs, const aim_row_columns *to,
                                   int64_t *count);
int64_t AIM_CPU_NAMED(aim_row_filter)(aim_row_sieve *sieve, const aim_row_columns *to, int64_t n,
                                      int64_t limit);
void AIM_CPU_NAMED(aim_row_property)(const double *property, const int64_t *slot, int64_t n,
                                     double *out);
void AIM_CPU_NAMED(aim_mesh_splines)(int order, int padded, const double *t, int n, double *w,
                                     double *dw);
void AIM_CPU_NAMED(aim_mesh_spread)(int order, int padded, double c, const double *wy,
                                    const double *wz, double *plane, size_t stride);
void AIM_CPU_NAMED(aim_mesh_interpolate)(const aim_mesh_tile *tile, const double *mesh,
                                         double sum[4]);
void AIM_CPU_NAMED(aim_mesh_convolve)(const aim_mesh_waves *waves, int m1, int m2, double *re,
                                      double *im, double *work, double sum[7]);
void AIM_CPU_NAMED(aim_fft_rows)(const aim_fft_plan *plan, const double *x, size_t stride,
                                 int n_rows, double *re, double *im, size_t out_stride,
                                 double *work);
void AIM_CPU_NAMED(aim_fft_rows_inverse)(const aim_fft_plan *plan, const double *re,
                                         const double *im, size_t stride, int n_rows, double *x,
                                         size_t out_stride, double *work);
void AIM_CPU_NAMED(aim_fft_columns)(const aim_fft_plan *plan, int inverse, const double *re,
                                    const double *im, size_t stride, int columns, double *out_re,
                                    double *out_im, size_t out_stride, double *work);

#endif

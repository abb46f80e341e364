/* SPDX-License-Identifier: MIT */
/* scan_avx2.c - scan.c for x86-64 with AVX2, compiled with that option; nlist.c chooses when it
 * runs. Contraction to fused multiply-adds stays off in both (sources.cmake): they must decide
 * alike. */
#define AIM_SCAN_NAME aim_scan_avx2
#include "nlist/scan.c"

/* SPDX-License-Identifier: MIT */
/* scan_avx512.c - scan.c for x86-64 with AVX-512; see scan_avx2.c. */
#define AIM_SCAN_NAME aim_scan_avx512
#include "nlist/scan.c"

/* SPDX-License-Identifier: MIT */
/* scan_avx2.c - the passes of scan_body.h for x86-64 with AVX2; chosen at run time by nlist.c.
 * Contraction to fused multiply-adds stays off (sources.cmake): both variants must decide alike. */
#include "nlist/scan_body.h"

const aim_scan *aim_scan_avx2(void)
{
    static const aim_scan scan = {count_task, fill_task};
    return &scan;
}

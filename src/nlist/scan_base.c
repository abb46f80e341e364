/* SPDX-License-Identifier: MIT */
/* scan_base.c - the passes of scan_body.h for the processor that the library is built for.
 * Contraction to fused multiply-adds stays off (sources.cmake): both variants must decide alike. */
#include "nlist/scan_body.h"

const aim_scan *aim_scan_base(void)
{
    static const aim_scan scan = {count_task, fill_task};
    return &scan;
}

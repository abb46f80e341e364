/* SPDX-License-Identifier: MIT */
/* isa.c - detection of the instruction set, and the environment variable that lowers it (for tests
 * and for comparing results). */
#include "backend/isa.h"

#include <stdlib.h>
#include <string.h>

static int detected_isa(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return AIM_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return AIM_ISA_AVX2;
#endif
    return AIM_ISA_BASE;
}

const char *aim_cpu_isa_name(int isa)
{
    static const char *const names[] = {"ref", "base", "avx2", "avx512"};
    return names[isa + 1];
}

int aim_cpu_isa(void)
{
    const int best = detected_isa();
    const char *wish = getenv("AIM_ISA");
    if (wish)
        for (int isa = AIM_ISA_REF; isa < best; isa++)
            if (strcmp(wish, aim_cpu_isa_name(isa)) == 0)
                return isa;
    return best;
}

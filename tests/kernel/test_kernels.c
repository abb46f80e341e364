/* SPDX-License-Identifier: MIT */
/* test_kernels.c - all kernels of kernels.def on every instruction set of this machine.
 *
 *     test_kernels check          every table against the reference kernels, both precisions
 *     test_kernels grad           adjoints against finite differences, in double
 *     test_kernels perf [ISA]     speed; nothing is asserted */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* unsetenv */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/isa.h"
#include "kernel_test.h"

typedef struct mode {
    const char *name;
    int lowest; /* first instruction set that it runs on */
    int (*single)(int isa);
    int (*twofold)(int isa);
} mode;

static const mode MODES[] = {
    {"check", AIM_ISA_BASE, kt_check_f32, kt_check_f64},
    {"grad", AIM_ISA_REF, NULL, kt_grad_f64},
    {"perf", AIM_ISA_BASE, kt_perf_f32, kt_perf_f64},
};

int main(int argc, char **argv)
{
    unsetenv("AIM_ISA");
    const int best = aim_cpu_isa();
    const char *wanted = argc > 2 ? argv[2] : NULL;
    for (size_t m = 0; argc > 1 && m < sizeof MODES / sizeof *MODES; m++) {
        if (strcmp(argv[1], MODES[m].name) != 0)
            continue;
        int failures = 0;
        for (int isa = MODES[m].lowest; isa <= best; isa++) {
            if (wanted && strcmp(wanted, aim_cpu_isa_name(isa)) != 0)
                continue;
            failures += MODES[m].single ? MODES[m].single(isa) : 0;
            failures += MODES[m].twofold(isa);
        }
        printf("%d failures; widest instruction set here: %s\n", failures, aim_cpu_isa_name(best));
        return failures != 0;
    }
    fprintf(stderr, "usage: test_kernels check|grad|perf [base|avx2|avx512]\n");
    return 2;
}

/* SPDX-License-Identifier: MIT */
/* cases_charge.c - problems for charge equilibration: systems of 0 to 41 atoms, one and two
 * channels (compiled once per precision). */
#include <stdio.h>

#include "problem.h"

static const int SYSTEM_ATOMS[] = {3, 1, 0, 7, 2, 41, 13};
enum {
    SYSTEMS = 7,
    SIZES = 2 * 2 * 4
}; /* channels 1, 2; with and without old charges; 0, 1, 4 or 7 systems */

static void build(kt_problem *p, int size, int backward)
{
    const int perf = size == KT_PERF, channels = perf ? 1 : 1 + size % 2,
              old = perf || size / 2 % 2;
    const int systems = perf ? SYSTEMS : (int[]){0, 1, 4, SYSTEMS}[size / 4];
    aim_charge_args *a = &p->args.charge;
    int32_t *offset = AIM_NAMED(kt_block)(p, (size_t)systems + 1, sizeof *offset);
    int64_t *span = AIM_NAMED(kt_block)(p, (size_t)systems + 1, sizeof *span);
    double *mult = AIM_NAMED(kt_doubles)(p, (size_t)systems);
    for (int s = 0; s < systems; s++) {
        offset[s + 1] = offset[s] + (perf ? 1000 : SYSTEM_ATOMS[s]);
        span[s + 1] = offset[s + 1];
        mult[s] = 1 + s % 3;
    }
    const size_t n = (size_t)offset[systems], c = (size_t)channels;
    *a = (aim_charge_args){.offset = offset,
                           .n_channels = channels,
                           .charge = AIM_NAMED(kt_doubles)(p, (size_t)systems),
                           .mult = mult,
                           .epsilon = 1e-6,
                           .ldy = 2 * c + 1,
                           .ldq_old = c + 2,
                           .ldq = c + 1,
                           .ldgy = 2 * c + 3};
    a->y = AIM_NAMED(kt_reals)(p, n * a->ldy);
    a->q_old = old ? AIM_NAMED(kt_reals)(p, n * a->ldq_old) : NULL;
    p->n = systems;
    if (backward) {
        a->gq = AIM_NAMED(kt_reals)(p, n * c);
        a->gy = AIM_NAMED(kt_reals)(p, n * a->ldgy);
        AIM_NAMED(kt_add_output)(p, "gy", a->gy, sizeof(real), span, a->ldgy, 0);
        if (old) {
            a->gq_old = AIM_NAMED(kt_reals)(p, n * c);
            AIM_NAMED(kt_add_output)(p, "gq_old", a->gq_old, sizeof(real), span, c, 0);
        }
    } else {
        a->q = AIM_NAMED(kt_reals)(p, n * a->ldq);
        AIM_NAMED(kt_add_output)(p, "q", a->q, sizeof(real), span, a->ldq, 0);
    }
    p->flops = 10.0 * (double)(n * c);
    snprintf(p->label, sizeof p->label, "systems %d channels %d%s", systems, channels,
             old ? " old charges" : "");
}

static void build_fwd(kt_problem *p, int size)
{
    build(p, size, 0);
}
static void build_bwd(kt_problem *p, int size)
{
    build(p, size, 1);
}

const kt_case AIM_NAMED(kt_charge_cases)[] = {
    {"charge_eq_fwd", SIZES, build_fwd},
    {"charge_eq_bwd", SIZES, build_bwd},
    {NULL, 0, NULL},
};

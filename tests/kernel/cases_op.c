/* SPDX-License-Identifier: MIT */
/* cases_op.c - problems for the public sparse convolution: full, partly filled and empty rows, any
 * number of channels and shifts (compiled once per precision). */
#include <stdio.h>
#include <string.h>

#include "problem.h"

typedef struct op_size {
    int n, slots, channels, shifts, fill; /* fill: percent of the slots that are used */
} op_size;

static const op_size LISTED[] = {
    {0, 3, 2, 2, 50},     {1, 4, 16, 16, 0},    {1, 4, 3, 5, 100}, {5, 0, 4, 4, 0},
    {13, 70, 16, 16, 60}, {23, 9, 17, 16, 100}, {7, 19, 1, 1, 80}, {7, 12, 2, 16, 50},
};
enum { LISTED_SIZES = (int)(sizeof LISTED / sizeof *LISTED), SIZES = LISTED_SIZES + 17 };

static op_size size_of(int size)
{
    if (size == KT_PERF)
        return (op_size){1000, 64, 16, 16, 90};
    if (size < LISTED_SIZES)
        return LISTED[size];
    const int k = size - LISTED_SIZES;
    return (op_size){3 + k % 11, 5 + k, 1 + k, 17 - k, 70};
}

/* Random lists in both directions; a slot is left out with the given probability. */
static void random_lists(kt_problem *p, aim_conv_op_args *a, op_size s)
{
    const size_t n = (size_t)s.n, all = n * (size_t)s.slots;
    int64_t *row = AIM_NAMED(kt_block)(p, n + 1, sizeof *row),
            *reverse_row = AIM_NAMED(kt_block)(p, n + 2, sizeof *row);
    int64_t *slot = AIM_NAMED(kt_block)(p, all, sizeof *slot),
            *reverse = AIM_NAMED(kt_block)(p, all, sizeof *slot);
    int32_t *j = AIM_NAMED(kt_block)(p, all, sizeof *j);
    int64_t used = 0, reversed = 0;
    for (int64_t k = 0; k < (int64_t)all; k++) {
        if (AIM_NAMED(kt_below)(p, 100) < s.fill) {
            slot[used] = k;
            j[used++] = AIM_NAMED(kt_below)(p, s.n);
        }
        row[k / s.slots + 1] = used;
    }
    for (int i = 0; i < s.n; i++) {
        for (int64_t e = 0; e < used; e++)
            if (j[e] == i)
                reverse[reversed++] = slot[e];
        reverse_row[i + 1] = reversed;
    }
    *a = (aim_conv_op_args){.row = row,
                            .j = j,
                            .slot = slot,
                            .reverse_row = reverse_row,
                            .reverse = reverse,
                            .n_slots = s.slots,
                            .n_channels = s.channels,
                            .n_shifts = s.shifts};
    p->pairs = (double)used;
}

static aim_conv_op_args *build(kt_problem *p, int size)
{
    const op_size s = size_of(size);
    aim_conv_op_args *a = &p->args.conv_op;
    random_lists(p, a, s);
    const size_t features = (size_t)s.n * (size_t)(s.channels * s.shifts),
                 factors = (size_t)s.n * (size_t)(s.slots * s.shifts) * 4;
    a->x = AIM_NAMED(kt_reals)(p, features);
    a->g = AIM_NAMED(kt_reals)(p, factors);
    a->gout = AIM_NAMED(kt_reals)(p, 4 * features);
    a->out = AIM_NAMED(kt_reals)(p, 4 * features);
    a->gx = AIM_NAMED(kt_reals)(p, features);
    a->gg = AIM_NAMED(kt_reals)(p, factors);
    a->add = size % 2 == 1;
    p->n = s.n;
    p->terms = 4.0 * s.slots + s.channels;
    p->flops = 8.0 * p->pairs * s.channels * s.shifts;
    snprintf(p->label, sizeof p->label, "N %d M %d A %d G %d%s", s.n, s.slots, s.channels, s.shifts,
             a->add ? " add" : "");
    return a;
}

static void build_fwd(kt_problem *p, int size)
{
    const aim_conv_op_args *a = build(p, size);
    AIM_NAMED(kt_add_output)
    (p, "out", a->out, sizeof(real), NULL, (size_t)(a->n_channels * a->n_shifts * 4), 0);
}

static void build_bwd_x(kt_problem *p, int size)
{
    const aim_conv_op_args *a = build(p, size);
    AIM_NAMED(kt_add_output)
    (p, "gx", a->gx, sizeof(real), NULL, (size_t)(a->n_channels * a->n_shifts), 0);
}

static void build_bwd_g(kt_problem *p, int size)
{
    const aim_conv_op_args *a = build(p, size);
    AIM_NAMED(kt_add_output)
    (p, "gg", a->gg, sizeof(real), NULL, (size_t)a->n_slots * (size_t)(a->n_shifts * 4), 0);
}

const kt_case AIM_NAMED(kt_op_cases)[] = {
    {"conv_op_fwd", SIZES, build_fwd},
    {"conv_op_bwd_x", SIZES, build_bwd_x},
    {"conv_op_bwd_g", SIZES, build_bwd_g},
    {NULL, 0, NULL},
};

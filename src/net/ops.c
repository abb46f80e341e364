/* SPDX-License-Identifier: MIT */
/* ops.c - the table of functions behind which one precision of the network stands (compiled twice).
 * */
#include "net/net_impl.h"

static size_t workspace(const void *object, int32_t n_atoms, int64_t n_pairs, int64_t max_row,
                        int workers, int want_grad)
{
    aim_arena measure = {0};
    net_acts acts;
    AIM_NAMED(aim_net_layout)
    (object, (net_sizes){n_atoms, n_pairs, max_row, workers, want_grad}, &measure, &acts);
    return measure.overflow ? SIZE_MAX : measure.used;
}

static size_t tangent_workspace(const void *object, int32_t n_atoms, int64_t n_pairs,
                                int64_t max_row, int workers, int want_grad, int n_dir)
{
    aim_arena measure = {0};
    net_tans tans;
    AIM_NAMED(aim_net_tan_layout)
    (object, (net_sizes){n_atoms, n_pairs, max_row, workers, want_grad}, n_dir, &measure, &tans);
    return measure.overflow ? SIZE_MAX : measure.used;
}

const aim_net_ops AIM_NAMED(aim_net_ops) = {
    .create = AIM_NAMED(aim_net_create),
    .free = AIM_NAMED(aim_net_free),
    .workspace = workspace,
    .forward = AIM_NAMED(aim_net_forward),
    .backward = AIM_NAMED(aim_net_backward),
    .describe = AIM_NAMED(aim_net_describe),
    .tangent_workspace = tangent_workspace,
    .tangent_forward = AIM_NAMED(aim_net_tangent_forward),
    .tangent_backward = AIM_NAMED(aim_net_tangent_backward),
    .parameters = AIM_NAMED(aim_net_parameters),
    .places = AIM_NAMED(aim_net_places),
};

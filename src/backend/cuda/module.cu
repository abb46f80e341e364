/* SPDX-License-Identifier: MIT */
/* module.cu - the table of functions behind the seam. */
#include "backend/cuda/module.h"

static const aim_device_ops OPS = {AIM_DEV_ABI, sizeof(cu_device), sizeof(cu_net), cu_open,
                                   cu_close,    cu_desk,           cu_describe,    cu_net_create,
                                   cu_net_free,
                                   cu_run,      cu_workspace,      cu_sweep,       cu_sweep_bytes,
                                   cu_look,     cu_op_create,      cu_op_free,     cu_op_run,
                                   cu_take,     cu_give,           cu_copy,        cu_clear,
                                   cu_can_wait, cu_locate,         cu_list_create, cu_list_free,
                                   cu_list_search, cu_paths_create, cu_paths_free,
                                   cu_paths_send,
                                   cu_paths_room, cu_paths_place, cu_paths_move};

extern "C" __attribute__((visibility("default"))) const aim_device_ops *
aimnet_device_module(int abi)
{
    return abi == AIM_DEV_ABI ? &OPS : NULL;
}

/* SPDX-License-Identifier: MIT */
/* layout.c - sizes and offsets of the public structures as the compiler sees them, one line each:
 * "structure size" and "structure.member offset". test_layout.py compares them with its own. */
#include <stdio.h>

#include "aimnet_cuda.h"
#include "aimnet_deriv.h"
#include "aimnet_model.h"
#include "aimnet_nlist.h"
#include "aimnet_opt.h"

#define SIZE(type)           printf(#type " %zu\n", sizeof(type))
#define OFFSET(type, member) printf(#type "." #member " %zu\n", offsetof(type, member))

int main(void)
{
    SIZE(aimnet_options);
    OFFSET(aimnet_options, precision);
    OFFSET(aimnet_options, coulomb);
    OFFSET(aimnet_options, ewald_accuracy);
    OFFSET(aimnet_options, d3_params);
    OFFSET(aimnet_options, batch_atoms);
    SIZE(aimnet_system);
    OFFSET(aimnet_system, pbc);
    OFFSET(aimnet_system, mult);
    OFFSET(aimnet_system, lists);
    SIZE(aimnet_list);
    OFFSET(aimnet_list, n_rows);
    OFFSET(aimnet_list, cutoff);
    SIZE(aimnet_lists);
    OFFSET(aimnet_lists, dftd3);
    SIZE(aimnet_hvp);
    OFFSET(aimnet_hvp, strain);
    OFFSET(aimnet_hvp, dipole);
    SIZE(aimnet_load_options);
    OFFSET(aimnet_load_options, member);
    SIZE(aimnet_fetch_options);
    OFFSET(aimnet_fetch_options, max_bytes);
    OFFSET(aimnet_fetch_options, progress);
    SIZE(aimnet_result);
    OFFSET(aimnet_result, energy_std);
    OFFSET(aimnet_result, forces);
    OFFSET(aimnet_result, hessian);
    OFFSET(aimnet_result, coulomb_method);
    OFFSET(aimnet_result, message);
    OFFSET(aimnet_result, warnings);
    OFFSET(aimnet_result, coulomb);
    SIZE(aimnet_coulomb_params);
    OFFSET(aimnet_coulomb_params, mesh);
    SIZE(aimnet_model_info);
    OFFSET(aimnet_model_info, species);
    OFFSET(aimnet_model_info, coulomb_sr_envelope);
    OFFSET(aimnet_model_info, d3_a2);
    SIZE(aimnet_build_info);
    OFFSET(aimnet_build_info, processors);
    SIZE(aimnet_atoms);
    OFFSET(aimnet_atoms, cell);
    OFFSET(aimnet_atoms, pbc);
    SIZE(aimnet_nlist_options);
    OFFSET(aimnet_nlist_options, reverse);
    SIZE(aimnet_opt_options);
    OFFSET(aimnet_opt_options, fixed_axes);
    OFFSET(aimnet_opt_options, memory);
    SIZE(aimnet_opt_state);
    OFFSET(aimnet_opt_state, energy);
    OFFSET(aimnet_opt_state, stress);
    OFFSET(aimnet_opt_state, n_evaluations);
    OFFSET(aimnet_opt_state, warnings);
    SIZE(aimnet_cuda_systems);
    OFFSET(aimnet_cuda_systems, coord_single);
    OFFSET(aimnet_cuda_systems, numbers);
    OFFSET(aimnet_cuda_systems, mult);
    SIZE(aimnet_cuda_results);
    OFFSET(aimnet_cuda_results, spin_charges);
    OFFSET(aimnet_cuda_results, info);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* outsider.c - the smallest useful program: the energy of water with the model that is linked into
 * the library. */
#include <aimnet.h>
#include <aimnet_io.h>
#include <stdio.h>

int main(void)
{
    static const int32_t numbers[] = {8, 1, 1};
    static const double coord[] = {0.0, 0.0, 0.1173, 0.0, 0.7572, -0.4692, 0.0, -0.7572, -0.4692};
    double forces[9];
    const aimnet_system water = {.n_atoms = 3, .numbers = numbers, .coord = coord};
    aimnet_result result = {.forces = forces};
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_status status = aimnet_model_load(NULL, NULL, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, NULL, &calc);
    if (status == AIMNET_OK)
        status = aimnet_calc_eval(calc, &water, 1, &result);
    if (status == AIMNET_OK)
        printf("%s %s: %.6f eV\n", aimnet_version(), aimnet_element_symbol(8), result.energy);
    else
        printf("%s: %s\n", aimnet_status_name(status),
               result.message[0] ? result.message : aimnet_last_error());
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status != AIMNET_OK;
}

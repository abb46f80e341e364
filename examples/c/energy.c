/* SPDX-License-Identifier: MIT */
/* energy.c - energy, forces and charges of one molecule.
 *
 *     cc energy.c $(pkg-config --cflags --libs aimnet) -o energy && ./energy */
#include <aimnet.h>
#include <stdio.h>

int main(void)
{
    static const int32_t numbers[] = {8, 1, 1};
    static const double coord[] = {0.0, 0.0, 0.0, 0.76, 0.58, 0.1, -0.70, 0.60, 0.2};
    const aimnet_system water = {.n_atoms = 3, .numbers = numbers, .coord = coord};
    double forces[9], charges[3];
    aimnet_result result = {.forces = forces, .charges = charges}; /* a pointer asks for a result */
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    int failed = aimnet_model_load(NULL, NULL, &model) != AIMNET_OK || /* NULL: built in */
                 aimnet_calc_create(&model, 1, NULL, &calc) != AIMNET_OK ||
                 aimnet_calc_eval(calc, &water, 1, &result) != AIMNET_OK;
    if (failed) {
        fprintf(stderr, "%s\n", result.message[0] ? result.message : aimnet_last_error());
    } else {
        printf("energy %.4f eV\n", result.energy);
        for (int i = 0; i < 3; i++)
            printf("atom %d: charge %7.4f e, force %7.4f %7.4f %7.4f eV/A\n", i, charges[i],
                   forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return failed;
}

/* SPDX-License-Identifier: MIT */
/* crystal.c - one crystal with four treatments of the long range, by one calculator that changes its
 * settings between calls.
 *
 *     ./crystal ice.xyz */
#include <aimnet_io.h>
#include <stdio.h>

static aimnet_status evaluate(aimnet_calc *calc, const aimnet_system *crystal, const char *what)
{
    double stress[9];
    aimnet_result result = {.stress = stress};
    const aimnet_status status = aimnet_calc_eval(calc, crystal, 1, &result);
    if (status != AIMNET_OK)
        fprintf(stderr, "%s\n", result.message);
    else
        printf("%-10s %12.4f eV, pressure %7.4f eV/A^3\n", what, result.energy,
               -(stress[0] + stress[4] + stress[8]) / 3.0);
    return status;
}

int main(int argc, char **argv)
{
    aimnet_reader *reader = NULL;
    aimnet_frame frame = {0};
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_status status = aimnet_reader_open(argc > 1 ? argv[1] : "ice.xyz", NULL, &reader);
    if (status == AIMNET_OK)
        status = aimnet_reader_next(reader, &frame);
    aimnet_reader_close(reader);
    if (status == AIMNET_OK)
        status = aimnet_model_load(NULL, NULL, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, NULL, &calc);
    const aimnet_system crystal = aimnet_frame_system(&frame);
    if (status == AIMNET_OK) /* simple: DSF within 15 A for crystals */
        status = evaluate(calc, &crystal, "default");
    if (status == AIMNET_OK)
        status = aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_EWALD, AIMNET_DEFAULT,
                                                  AIMNET_DEFAULT, 1e-6);
    if (status == AIMNET_OK)
        status = evaluate(calc, &crystal, "Ewald");
    if (status == AIMNET_OK)
        status = aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_PME, AIMNET_DEFAULT,
                                                  AIMNET_DEFAULT, AIMNET_DEFAULT);
    if (status == AIMNET_OK)
        status = evaluate(calc, &crystal, "PME");
    if (status == AIMNET_OK)
        status = aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, AIMNET_DEFAULT,
                                                  AIMNET_DEFAULT, AIMNET_DEFAULT);
    if (status == AIMNET_OK)
        status = aimnet_calc_set_lr_cutoff(calc, 10.0); /* DSF and D3 */
    if (status == AIMNET_OK)
        status = evaluate(calc, &crystal, "10 A");
    if (status != AIMNET_OK)
        fprintf(stderr, "%s\n", aimnet_last_error());
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    aimnet_frame_free(&frame);
    return status != AIMNET_OK;
}

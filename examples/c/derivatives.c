/* SPDX-License-Identifier: MIT */
/* derivatives.c - second derivatives of water: a Hessian-vector product, and the gradient of a
 * training loss by all parameters. */
#include <aimnet_deriv.h>
#include <stdio.h>
#include <stdlib.h>

static const int32_t numbers[] = {8, 1, 1};
static const double coord[] = {0.0, 0.0, 0.0, 0.8, 0.6, 0.0, -0.8, 0.6, 0.0};
static const double up[] = {0, 0, 0, 0, 0, 1, 0, 0, 1}; /* both hydrogen atoms out of the plane */
static const double forces[9] = {0};

static aimnet_status product(aimnet_calc *calc, const aimnet_system *water)
{
    double hv[9], dipole[3];
    const aimnet_hvp job = {.n_directions = 1, .v = up, .hv = hv, .dipole = dipole};
    aimnet_status status = aimnet_calc_hvp(calc, water, &job);
    if (status == AIMNET_OK)
        printf("H v: %.2f %.2f %.2f eV/A^2, d(dipole): %.2f e\n", hv[2], hv[5], hv[8], dipole[2]);
    return status;
}

static aimnet_status loss(aimnet_calc *calc, const aimnet_system *water)
{
    int64_t n = 0;
    double value = 0.0, square = 0.0;
    const aimnet_target target = {.energy = -138.0, .forces = forces};
    const aimnet_loss_weights weights = {.energy = 1.0, .forces = 0.2};
    aimnet_status status = aimnet_calc_parameter_count(calc, NULL, &n);
    double *gradient = calloc((size_t)n, sizeof *gradient);
    if (status == AIMNET_OK && gradient)
        status = aimnet_calc_loss(calc, water, &target, 1, &weights, &value, NULL, gradient);
    for (int64_t k = 0; gradient && k < n; k++)
        square += gradient[k] * gradient[k];
    printf("loss %.4f of %lld parameters, |gradient|^2 %.3f\n", value, (long long)n, square);
    free(gradient);
    return status;
}

int main(void)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    const aimnet_system water = {.n_atoms = 3, .numbers = numbers, .coord = coord};
    aimnet_status status = aimnet_model_load(NULL, NULL, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, NULL, &calc);
    if (status == AIMNET_OK)
        status = product(calc, &water);
    if (status == AIMNET_OK)
        status = loss(calc, &water);
    if (status != AIMNET_OK)
        fprintf(stderr, "%s\n", aimnet_last_error());
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status != AIMNET_OK;
}

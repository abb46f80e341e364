/* SPDX-License-Identifier: MIT */
/* optimise.c - two molecules on their way to their minima, evaluated together. */
#include <aimnet_opt.h>
#include <stdio.h>

static const int32_t numbers[] = {8, 1, 1, 6, 8, 1, 1};
static const double coord[] = {0.0,  0.0, 0.0, 0.8, 0.6, 0.0,  -0.8, 0.6, 0.0,  0.0, 0.0,
                               -0.5, 0.0, 0.0, 0.7, 0.0, 0.95, -1.1, 0.0, -0.9, -1.1};

static int optimise(aimnet_calc *calc)
{
    const aimnet_system systems[2] = {{.n_atoms = 3, .numbers = numbers, .coord = coord},
                                      {.n_atoms = 4, .numbers = numbers + 3, .coord = coord + 9}};
    aimnet_opt_options options = aimnet_opt_options_default();
    aimnet_opt *opt = NULL;
    int slot[2], n_running = 1, n_good = 0;
    aimnet_opt_set_level(&options, AIMNET_OPT_NORMAL);
    aimnet_status status = aimnet_opt_create(calc, &options, &opt);
    for (int k = 0; k < 2 && status == AIMNET_OK; k++)
        status = aimnet_opt_add(opt, &systems[k], NULL, &slot[k]); /* NULL: no frozen atoms */
    while (status == AIMNET_OK && n_running > 0)
        status = aimnet_opt_advance(opt, &n_running); /* one step of all that still run */
    for (int k = 0; k < 2 && status == AIMNET_OK; k++) {
        aimnet_opt_state s;
        status = aimnet_opt_get(opt, slot[k], &s);
        printf("%s: %.3f eV\n", aimnet_opt_verdict_name(s.verdict), s.energy);
        n_good += s.verdict == AIMNET_OPT_CONVERGED;
    }
    if (status != AIMNET_OK)
        fprintf(stderr, "%s\n", aimnet_last_error());
    aimnet_opt_free(opt);
    return n_good == 2;
}

int main(void)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    int good = 0;
    if (aimnet_model_load(NULL, NULL, &model) == AIMNET_OK &&
        aimnet_calc_create(&model, 1, NULL, &calc) == AIMNET_OK)
        good = optimise(calc);
    else
        fprintf(stderr, "%s\n", aimnet_last_error());
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return !good;
}

/* SPDX-License-Identifier: MIT */
/* deriv_api.c - the public functions of second derivatives: arguments are checked here. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calc/tangent.h"
#include "io/npy.h"

aimnet_status aimnet_calc_hvp_batch(aimnet_calc *calc, const aimnet_system *systems, int n_systems,
                                    const aimnet_hvp *jobs)
{
    if (!calc || n_systems < 0 || (n_systems > 0 && (!systems || !jobs)))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "products of %d structures need a calculator, structures and jobs",
                        n_systems);
    for (int k = 0; k < n_systems; k++)
        if (jobs[k].n_directions < 0)
            return AIM_FAIL(AIMNET_ERR_ARG, "%d directions: expected 0 or more",
                            jobs[k].n_directions);
    return aim_hvp(calc, systems, n_systems, jobs);
}

aimnet_status aimnet_calc_hvp(aimnet_calc *calc, const aimnet_system *system, const aimnet_hvp *job)
{
    return aimnet_calc_hvp_batch(calc, system, 1, job);
}

aimnet_status aimnet_calc_hessian_rows(aimnet_calc *calc, const aimnet_system *system,
                                       aimnet_rows_fn fn, void *user)
{
    if (!calc || !system || !fn)
        return AIM_FAIL(AIMNET_ERR_ARG, "rows need a calculator, a structure and a function");
    return aim_hessian_rows(calc, system, fn, user);
}

/* A file that rows go to; a failure keeps its message while the rows are stopped. */
typedef struct rows_file {
    aim_outfile out;
    aim_status status;
    char message[AIMNET_MESSAGE_SIZE];
} rows_file;

static int write_rows(void *user, int64_t first, int64_t n_rows, int64_t n_columns,
                      const double *rows)
{
    rows_file *f = user;
    (void)first;
    f->status = aim_outfile_write(&f->out, rows, (size_t)(n_rows * n_columns) * sizeof *rows);
    if (f->status != AIMNET_OK)
        snprintf(f->message, sizeof f->message, "%s", aimnet_last_error());
    return f->status != AIMNET_OK;
}

aimnet_status aimnet_calc_hessian_save(aimnet_calc *calc, const aimnet_system *system,
                                       const char *path)
{
    if (!calc || !system || !path)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "a file of rows needs a calculator, a structure and a path");
    rows_file f = {.status = AIMNET_OK};
    const int64_t n = 3 * (int64_t)system->n_atoms;
    AIM_TRY(aim_npy_begin(&f.out, &calc->alloc, path, n, n));
    aim_status status = aim_hessian_rows(calc, system, write_rows, &f);
    if (f.status != AIMNET_OK)
        status = AIM_FAIL(f.status, "%s", f.message);
    if (status == AIMNET_OK)
        status = aim_outfile_commit(&f.out);
    aim_outfile_close(&f.out);
    return status;
}

static aim_status list_parameters(aimnet_calc *calc)
{
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    if (calc->n_members != 1)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "an ensemble of %d models has no single vector of parameters",
                        calc->n_members);
    return calc->parameters.item
               ? AIMNET_OK
               : aim_parameters_create(calc->member[0].model, &calc->alloc, &calc->parameters);
}

aimnet_status aimnet_calc_parameter_count(aimnet_calc *calc, int *n_tensors, int64_t *n_numbers)
{
    AIM_TRY(list_parameters(calc));
    if (n_tensors)
        *n_tensors = calc->parameters.n;
    if (n_numbers)
        *n_numbers = calc->parameters.count;
    return AIMNET_OK;
}

aimnet_status aimnet_calc_parameter(aimnet_calc *calc, int index, aimnet_parameter *parameter)
{
    AIM_TRY(list_parameters(calc));
    if (index < 0 || index >= calc->parameters.n || !parameter)
        return AIM_FAIL(AIMNET_ERR_ARG, "parameter %d: the model has %d", index,
                        calc->parameters.n);
    const aim_parameter *p = &calc->parameters.item[index];
    *parameter = (aimnet_parameter){
        .name = p->name, .ndim = p->ndim, .offset = p->offset, .count = p->count};
    memcpy(parameter->shape, p->shape, sizeof parameter->shape);
    return AIMNET_OK;
}

static aim_status check_weights(const aimnet_loss_weights *w)
{
    const double all[] = {w->energy, w->forces, w->charges, w->spin_charges, w->dipole, w->stress};
    double sum = 0;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        if (!(all[k] >= 0) || !isfinite(all[k]))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "weight %zu of the loss is %g: expected a finite number of 0 or more",
                            k, all[k]);
        sum += all[k];
    }
    return sum > 0 ? AIMNET_OK : AIM_FAIL(AIMNET_ERR_ARG, "all weights of the loss are 0");
}

aimnet_status aimnet_calc_loss(aimnet_calc *calc, const aimnet_system *systems,
                               const aimnet_target *targets, int n_systems,
                               const aimnet_loss_weights *weights, double *loss,
                               aimnet_loss_weights *parts, double *gradient)
{
    aimnet_loss_weights own;
    AIM_TRY(list_parameters(calc));
    if (n_systems < 1 || !systems || !targets || !weights || !loss)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "a loss of %d structures needs systems, targets, weights and a result",
                        n_systems);
    AIM_TRY(check_weights(weights));
    if (!parts)
        parts = &own;
    AIM_TRY(aim_loss(calc, systems, targets, n_systems, weights, parts, gradient));
    *loss = parts->energy + parts->forces + parts->charges + parts->spin_charges + parts->dipole +
            parts->stress;
    return AIMNET_OK;
}

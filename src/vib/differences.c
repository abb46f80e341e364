/* SPDX-License-Identifier: MIT */
/* differences.c - the Hessian as central differences of forces, and the derivative of the charge
 * dipole on the way:
 *
 *     H_kl = -(F_l(x_k + h) - F_l(x_k - h))/2h,   d mu/dx_k = (mu(x_k + h) - mu(x_k - h))/2h
 *
 * All displaced structures of a block are one batch. The error is h^2/6 times a fourth derivative:
 * 6e-4 eV/A^2 in the double bonds of CO2 with h = 0.0005 A; rounding in double precision is far
 * below. A displacement may cross one of the small steps of D3's weights (docs/math/d3.md). */
#include <string.h>

#include "vib/vib.h"

enum { BLOCK_ATOMS = 4096 };

typedef struct block {
    int32_t n_columns;                /* coordinates of one batch */
    double *coord, *forces, *charges; /* [2 n_columns][n_atoms][3], [..][3], [..] */
    aimnet_system *system;
    aimnet_result *result;
    double *memory;
} block;

static aim_status make_block(const aim_calc *c, const aimnet_system *s, block *b)
{
    const size_t n = (size_t)s->n_atoms;
    *b = (block){.n_columns = s->n_atoms < BLOCK_ATOMS / 2 ? BLOCK_ATOMS / 2 / s->n_atoms : 1};
    if (b->n_columns > 3 * s->n_atoms)
        b->n_columns = 3 * s->n_atoms;
    const size_t copies = 2 * (size_t)b->n_columns;
    AIM_TRY(
        aim_new0(&c->alloc, copies * 7 * n, sizeof(double), "displaced structures", &b->memory));
    AIM_TRY(aim_new0(&c->alloc, copies, sizeof *b->system, "displaced structures", &b->system));
    AIM_TRY(aim_new0(&c->alloc, copies, sizeof *b->result, "displaced structures", &b->result));
    b->coord = b->memory;
    b->forces = b->coord + 3 * copies * n;
    b->charges = b->forces + 3 * copies * n;
    for (size_t k = 0; k < copies; k++) {
        b->system[k] = *s;
        b->system[k].coord = b->coord + 3 * n * k;
        b->result[k].forces = b->forces + 3 * n * k;
        b->result[k].charges = b->charges + n * k;
    }
    return AIMNET_OK;
}

static void free_block(const aim_calc *c, block *b)
{
    aim_free(&c->alloc, b->memory);
    aim_free(&c->alloc, b->system);
    aim_free(&c->alloc, b->result);
}

static void use_column(const block *b, const aimnet_system *s, size_t at, size_t column, double h,
                       double *hessian, double *dipole_gradient)
{
    const size_t n = (size_t)s->n_atoms;
    const double *up = b->forces + 6 * n * at, *down = up + 3 * n;
    for (size_t l = 0; l < 3 * n; l++)
        hessian[column * 3 * n + l] = -(up[l] - down[l]) / (2.0 * h);
    if (!dipole_gradient)
        return;
    for (size_t d = 0; d < 3; d++) {
        double change = 0.0;
        for (size_t i = 0; i < n; i++)
            change += b->charges[2 * n * at + i] * b->coord[6 * n * at + 3 * i + d] -
                      b->charges[(2 * at + 1) * n + i] * b->coord[(6 * at + 3) * n + 3 * i + d];
        dipole_gradient[3 * column + d] = change / (2.0 * h);
    }
}

static aim_status run_block(aim_calc *c, const aimnet_system *s, block *b, size_t first,
                            size_t n_columns, double h, double *hessian, double *dipole_gradient)
{
    const size_t n = 3 * (size_t)s->n_atoms;
    for (size_t k = 0; k < 2 * n_columns; k++) {
        memcpy(b->coord + n * k, s->coord, n * sizeof *b->coord);
        b->coord[n * k + first + k / 2] += k % 2 == 0 ? h : -h;
    }
    const aim_status status = aim_calc_run(c, b->system, (int)(2 * n_columns), b->result);
    for (size_t k = 0; status == AIMNET_ERR_SOME_FAILED && k < 2 * n_columns; k++)
        if (b->result[k].status != AIMNET_OK)
            return AIM_FAIL(b->result[k].status, "%s", b->result[k].message);
    AIM_TRY(status);
    for (size_t k = 0; k < n_columns; k++)
        use_column(b, s, k, first + k, h, hessian, dipole_gradient);
    return AIMNET_OK;
}

void aim_vib_symmetrise(size_t n, double *hessian)
{
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < k; l++)
            hessian[k * n + l] = hessian[l * n + k] =
                0.5 * (hessian[k * n + l] + hessian[l * n + k]);
}

aim_status aim_vib_differences(aim_calc *c, const aimnet_system *s, double h, double *hessian,
                               double *dipole_gradient)
{
    const size_t n = 3 * (size_t)s->n_atoms;
    block b;
    aim_status status = make_block(c, s, &b);
    for (size_t first = 0; status == AIMNET_OK && first < n; first += (size_t)b.n_columns) {
        const size_t left = n - first,
                     take = left < (size_t)b.n_columns ? left : (size_t)b.n_columns;
        status = run_block(c, s, &b, first, take, h, hessian, dipole_gradient);
    }
    free_block(c, &b);
    if (status == AIMNET_OK)
        aim_vib_symmetrise(n, hessian);
    return status;
}

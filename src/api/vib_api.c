/* SPDX-License-Identifier: MIT */
/* vib_api.c - the public functions of aimnet_vib.h: arguments are checked here, the work is done in
 * vib/ and io/npy.c. */
#include "aimnet_vib.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "calc/tangent.h"
#include "data/element.h"
#include "io/npy.h"
#include "vib/vib.h"

enum { MAX_ATOMS = 10000 };            /* 3 n_atoms squared doubles are 7 GB */
static const double LEAST_STEP = 1e-6; /* A; below, differences are rounding noise */

static aim_status check_size(int32_t n_atoms)
{
    return n_atoms >= 1 && n_atoms <= MAX_ATOMS
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_ARG, "%d atoms: a dense Hessian is for 1 to %d", (int)n_atoms,
                          (int)MAX_ATOMS);
}

aimnet_status aimnet_vib_derivatives(aimnet_calc *calc, const aimnet_system *system, double step,
                                     double *hessian, double *dipole_gradient)
{
    if (!calc || !system || (!hessian && !dipole_gradient))
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL",
                        !calc     ? "the calculator"
                        : !system ? "system"
                                  : "hessian");
    AIM_TRY(check_size(system->n_atoms));
    if (!system->numbers || !system->coord)
        return AIM_FAIL(AIMNET_ERR_ARG, "the system has no %s",
                        system->numbers ? "coordinates" : "atomic numbers");
    if (step != 0.0 && !(step >= LEAST_STEP && step <= 0.1))
        return AIM_FAIL(AIMNET_ERR_ARG, "step %g: expected 0 (analytic) or %g to 0.1 Angstrom",
                        step, LEAST_STEP);
    if (!hessian)
        return aim_dipole_gradient(calc, system, dipole_gradient);
    return step > 0.0 ? aim_vib_differences(calc, system, step, hessian, dipole_gradient)
                      : aim_vib_analytic(calc, system, hessian, dipole_gradient);
}

static aim_status check_finite(const char *what, const double *x, size_t n)
{
    for (size_t k = 0; x && k < n; k++)
        if (!isfinite(x[k]))
            return AIM_FAIL(AIMNET_ERR_ARG, "number %zu of %s is not finite", k, what);
    return AIMNET_OK;
}

static aim_status check_input(const aimnet_vib_input *in)
{
    AIM_TRY(check_size(in->n_atoms));
    if (!in->coord || !in->hessian || !in->numbers)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL",
                        !in->coord     ? "coord"
                        : !in->hessian ? "hessian"
                                       : "numbers");
    const size_t n = 3 * (size_t)in->n_atoms;
    AIM_TRY(check_finite("the coordinates", in->coord, n));
    AIM_TRY(check_finite("the Hessian", in->hessian, n * n));
    AIM_TRY(check_finite("the dipole's derivative", in->dipole_gradient, 3 * n));
    for (size_t i = 0; i < n / 3; i++) {
        if (in->masses ? !(in->masses[i] > 0.0 && isfinite(in->masses[i]))
                       : !(aim_element_mass(in->numbers[i]) > 0.0))
            return AIM_FAIL(AIMNET_ERR_ARG, "atom %zu (atomic number %d) has no mass above 0", i,
                            (int)in->numbers[i]);
    }
    return AIMNET_OK;
}

aimnet_status aimnet_vib_analyze(const aimnet_vib_input *input, const aimnet_allocator *allocator,
                                 aimnet_vib **vib)
{
    if (!vib)
        return AIM_FAIL(AIMNET_ERR_ARG, "vib is NULL: expected where to put the analysis");
    *vib = NULL;
    if (!input)
        return AIM_FAIL(AIMNET_ERR_ARG, "input is NULL");
    aim_alloc alloc;
    AIM_TRY(aim_alloc_from(allocator, &alloc));
    AIM_TRY(check_input(input));
    aimnet_vib_input in = *input;
    double *masses = NULL;
    if (!in.masses) {
        AIM_TRY(aim_new(&alloc, (size_t)in.n_atoms, sizeof *masses, "masses", &masses));
        for (int32_t i = 0; i < in.n_atoms; i++)
            masses[i] = aim_element_mass(in.numbers[i]);
        in.masses = masses;
    }
    const aim_status status = aim_vib_analyze(&alloc, &in, vib);
    aim_free(&alloc, masses);
    return status;
}

const aimnet_vib_modes *aimnet_vib_get_modes(const aimnet_vib *vib)
{
    return vib ? &vib->modes : NULL;
}

void aimnet_vib_free(aimnet_vib *vib)
{
    aim_vib_free(vib);
}

aimnet_thermo_options aimnet_thermo_options_default(void)
{
    const aimnet_thermo_options o = {.struct_size = sizeof o,
                                     .temperature = 298.15,
                                     .pressure = 101325.0,
                                     .symmetry_number = 1.0,
                                     .mult = 1.0,
                                     .scale = 1.0,
                                     .rotor_cutoff = 100.0};
    return o;
}

static aim_status check_positive(const char *name, double x)
{
    return isfinite(x) && x > 0.0
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_ARG, "%s %g: expected a number above 0", name, x);
}

aimnet_status aimnet_vib_thermo(const aimnet_vib *vib, const aimnet_thermo_options *options,
                                aimnet_thermo *thermo)
{
    if (!vib || !thermo)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", vib ? "thermo" : "vib");
    const aimnet_thermo_options defaults = aimnet_thermo_options_default();
    const aimnet_thermo_options *o = options ? options : &defaults;
    if (o->struct_size < sizeof *o)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "options.struct_size is %zu: start from aimnet_thermo_options_default()",
                        o->struct_size);
    AIM_TRY(check_positive("the temperature", o->temperature));
    AIM_TRY(check_positive("the pressure", o->pressure));
    AIM_TRY(check_positive("the symmetry number", o->symmetry_number));
    AIM_TRY(check_positive("the multiplicity", o->mult));
    AIM_TRY(check_positive("the scaling factor", o->scale));
    if (!(o->rotor_cutoff >= 0.0 && isfinite(o->rotor_cutoff)))
        return AIM_FAIL(AIMNET_ERR_ARG, "the rotor cutoff %g: expected 0 or more cm^-1",
                        o->rotor_cutoff);
    aim_vib_thermo(&vib->modes, o, thermo);
    return AIMNET_OK;
}

aimnet_status aimnet_matrix_save(const char *path, const double *values, int64_t rows,
                                 int64_t columns)
{
    if (!path || !values)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", path ? "values" : "path");
    if (rows < 0 || columns < 0 || (columns > 0 && rows > INT64_MAX / 16 / columns))
        return AIM_FAIL(AIMNET_ERR_ARG, "a matrix of %" PRId64 " x %" PRId64 " numbers", rows,
                        columns);
    const aim_alloc alloc = aim_alloc_default();
    aim_outfile out;
    AIM_TRY(aim_npy_begin(&out, &alloc, path, rows, columns));
    aim_status status =
        aim_outfile_write(&out, values, (size_t)rows * (size_t)columns * sizeof *values);
    if (status == AIMNET_OK)
        status = aim_outfile_commit(&out);
    aim_outfile_close(&out);
    return status;
}

static int has_shape(const aim_npy *a, int64_t rows, int64_t columns)
{
    const int64_t *s = a->shape;
    return (a->n_dims == 2 && s[0] == rows && s[1] == columns) ||
           (a->n_dims == 4 && s[1] == 3 && s[3] == 3 && rows % 3 == 0 && columns % 3 == 0 &&
            s[0] == rows / 3 && s[2] == columns / 3);
}

aimnet_status aimnet_matrix_load(const char *path, double *values, int64_t rows, int64_t columns)
{
    if (!path || !values)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", path ? "values" : "path");
    const aim_alloc alloc = aim_alloc_default();
    aim_npy a;
    AIM_TRY(aim_npy_read(&alloc, path, &a));
    aim_status status = AIMNET_OK;
    if (has_shape(&a, rows, columns))
        memcpy(values, a.data, a.count * sizeof *values);
    else
        status = AIM_FAIL(AIMNET_ERR_FORMAT,
                          "%s: %zu numbers in %d dimensions: expected a matrix of %" PRId64
                          " x %" PRId64,
                          path, a.count, a.n_dims, rows, columns);
    aim_free(&alloc, a.data);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* modes.c - normal modes of a Hessian (docs/math/vibrations.md).
 *
 *     H' = M^-1/2 H M^-1/2,   eigenvalues omega^2 of P H' P,   P = 1 - sum b b^T
 *
 * b are the orthonormal rigid motions: three translations and rotations about the principal axes,
 * which are orthogonal to each other already (E. B. Wilson, J. C. Decius, P. C. Cross, Molecular
 * Vibrations, 1955). A linear molecule has no rotation about its axis. A large multiple of b b^T is
 * added, so that the rigid motions come out on top of the spectrum, whatever their own values: that
 * cannot be confused with soft modes, as picking the eigenvalues nearest to zero can. */
#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "vib/eigen.h"
#include "vib/vib.h"

static const double LINEAR =
    1e-4;                         /* ratio of moments of inertia below which a molecule is linear */
static const double POINT = 1e-8; /* amu A^2: all atoms in one place */
enum { MAX_RIGID = 6 };

typedef struct analysis {
    const aimnet_vib_input *in;
    size_t n; /* 3 n_atoms */
    aimnet_vib_modes *m;
    double *h;     /* [n][n] mass-weighted, then eigenvectors */
    double *value; /* [n] */
    double *rigid; /* [MAX_RIGID][n] */
    double *root;  /* [n] 1/sqrt(mass) */
} analysis;

/* Mass, centre and principal axes; the shape. */
static aim_status find_shape(analysis *a, double centre[3], double axes[9])
{
    const aimnet_vib_input *in = a->in;
    double inertia[9] = {0}, r[3];
    aimnet_vib_modes *m = a->m;
    centre[0] = centre[1] = centre[2] = 0.0;
    for (int32_t i = 0; i < in->n_atoms; i++) {
        m->mass += in->masses[i];
        for (int d = 0; d < 3; d++)
            centre[d] += in->masses[i] * in->coord[3 * (size_t)i + (size_t)d];
    }
    for (int d = 0; d < 3; d++)
        centre[d] /= m->mass;
    for (int32_t i = 0; i < in->n_atoms; i++) {
        for (int d = 0; d < 3; d++)
            r[d] = in->coord[3 * (size_t)i + (size_t)d] - centre[d];
        for (int x = 0; x < 9; x++)
            inertia[x] +=
                in->masses[i] * ((x % 4 == 0 ? aim_dot3(r, r) : 0.0) - r[x / 3] * r[x % 3]);
    }
    aim_eigen3(inertia, m->moment, axes);
    m->moment[0] = fmax(m->moment[0], 0.0);
    m->shape = in->periodic                                               ? AIMNET_VIB_CRYSTAL
               : in->n_atoms == 1                                         ? AIMNET_VIB_ATOM
               : in->n_atoms == 2 || m->moment[0] < LINEAR * m->moment[2] ? AIMNET_VIB_LINEAR
                                                                          : AIMNET_VIB_NONLINEAR;
    m->n_removed = m->shape == AIMNET_VIB_LINEAR ? 5 : m->shape == AIMNET_VIB_NONLINEAR ? 6 : 3;
    if (m->n_removed > 3 && m->moment[2] < POINT)
        return AIM_FAIL(AIMNET_ERR_ARG, "all atoms stand in one place: there are no vibrations");
    return AIMNET_OK;
}

/* Translations, then rotations about the axes with the larger moments. */
static void set_rigid(const analysis *a, const double centre[3], const double axes[9])
{
    for (size_t i = 0; i < a->n / 3; i++) {
        const double root = sqrt(a->in->masses[i]);
        double r[3], turned[3];
        for (size_t d = 0; d < 3; d++) {
            r[d] = a->in->coord[3 * i + d] - centre[d];
            for (size_t k = 0; k < 3; k++)
                a->rigid[k * a->n + 3 * i + d] = k == d ? root / sqrt(a->m->mass) : 0.0;
        }
        for (int k = 3; k < a->m->n_removed; k++) {
            const int axis = 5 - k;
            aim_cross3(axes + 3 * axis, r, turned);
            for (size_t d = 0; d < 3; d++)
                a->rigid[(size_t)k * a->n + 3 * i + d] =
                    root * turned[d] / sqrt(a->m->moment[axis]);
        }
    }
}

static void mass_weight(const analysis *a)
{
    const double *h = a->in->hessian;
    const size_t n = a->n;
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l <= k; l++) {
            a->m->asymmetry = fmax(a->m->asymmetry, fabs(h[k * n + l] - h[l * n + k]));
            a->h[k * n + l] = a->h[l * n + k] =
                0.5 * (h[k * n + l] + h[l * n + k]) * a->root[k] * a->root[l];
        }
}

static double wavenumber_of(double eigenvalue)
{
    /* sqrt(eV/(A^2 amu)) in 1/s, then 1/(2 pi c) in 1/cm */
    const double unit = sqrt(AIM_SI_E / AIM_SI_AMU) * 1e10 / (2.0 * AIM_SI_PI * AIM_SI_C * 100.0);
    return copysign(unit * sqrt(fabs(eigenvalue)), eigenvalue);
}

/* P H P + shift b b^T with one rigid motion b: H - b y^T - y b^T + (b y + shift) b b^T, y = H b. */
static void project(const analysis *a, const double *b, double shift, double *y)
{
    const size_t n = a->n;
    double by = 0.0;
    for (size_t k = 0; k < n; k++) {
        y[k] = 0.0;
        for (size_t l = 0; l < n; l++)
            y[k] += a->h[k * n + l] * b[l];
        by += b[k] * y[k];
    }
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < n; l++)
            a->h[k * n + l] += (by + shift) * b[k] * b[l] - b[k] * y[l] - y[k] * b[l];
}

/* More than any eigenvalue: rows' sums bound them. */
static double bound(const analysis *a)
{
    double largest = 0.0;
    for (size_t k = 0; k < a->n; k++) {
        double sum = 0.0;
        for (size_t l = 0; l < a->n; l++)
            sum += fabs(a->h[k * a->n + l]);
        largest = fmax(largest, sum);
    }
    return 2.0 * largest + 1.0;
}

static void remove_rigid(const analysis *a)
{
    const double shift = bound(a);
    double largest = 0.0;
    for (int k = 0; k < a->m->n_removed; k++) {
        const double *b = a->rigid + (size_t)k * a->n;
        double bhb = 0.0;
        for (size_t i = 0; i < a->n; i++)
            for (size_t j = 0; j < a->n; j++)
                bhb += b[i] * a->h[i * a->n + j] * b[j];
        if (fabs(bhb) > fabs(largest))
            largest = bhb;
    }
    a->m->rigid_wavenumber = wavenumber_of(largest);
    for (int k = 0; k < a->m->n_removed; k++)
        project(a, a->rigid + (size_t)k * a->n, shift, a->value);
}

/* Unit vector along the mode, its largest component positive. */
static double set_displacement(const analysis *a, size_t mode, double *x)
{
    double norm = 0.0, largest = 0.0;
    for (size_t k = 0; k < a->n; k++) {
        x[k] = a->h[mode * a->n + k] * a->root[k];
        norm += x[k] * x[k];
        if (fabs(x[k]) > fabs(largest) * (1.0 + 1e-6))
            largest = x[k];
    }
    const double f = copysign(1.0 / sqrt(norm), largest);
    for (size_t k = 0; k < a->n; k++)
        x[k] *= f;
    return 1.0 / norm;
}

/* N_A/(12 epsilon0 c^2) |d mu/d Q|^2 in km/mol, Q the mass-weighted coordinate. */
static double intensity(const analysis *a, const double *x, double reduced_mass)
{
    const double unit = AIM_SI_NA * AIM_SI_E * AIM_SI_E /
                        (12.0 * AIM_SI_EPSILON * AIM_SI_C * AIM_SI_C * AIM_SI_AMU) / 1000.0;
    double mu[3] = {0};
    for (size_t k = 0; k < a->n; k++)
        for (size_t d = 0; d < 3; d++)
            mu[d] += x[k] * a->in->dipole_gradient[3 * k + d];
    return unit * aim_dot3(mu, mu) / reduced_mass;
}

static void set_modes(const analysis *a, double *out)
{
    const size_t n = (size_t)a->m->n_modes;
    double *wavenumber = out, *energy = out + n, *mass = out + 2 * n, *force = out + 3 * n,
           *ir = out + 4 * n, *x = out + 5 * n;
    for (size_t k = 0; k < n; k++) {
        wavenumber[k] = wavenumber_of(a->value[k]);
        energy[k] = wavenumber[k] * 100.0 * AIM_SI_H * AIM_SI_C / AIM_SI_E;
        mass[k] = set_displacement(a, k, x + k * a->n);
        /* eV/A^2 = 16.02 N/m = 0.1602 mdyn/A */
        force[k] = a->value[k] * mass[k] * AIM_SI_E * 1e18;
        ir[k] = a->in->dipole_gradient ? intensity(a, x + k * a->n, mass[k]) : 0.0;
        a->m->n_imaginary += wavenumber[k] < 0.0;
    }
    a->m->wavenumber = wavenumber;
    a->m->energy = energy;
    a->m->reduced_mass = mass;
    a->m->force_constant = force;
    a->m->intensity = a->in->dipole_gradient ? ir : NULL;
    a->m->displacement = x;
}

static aim_status analyze(analysis *a, const aim_alloc *alloc)
{
    double centre[3], axes[9];
    for (size_t k = 0; k < a->n; k++)
        a->root[k] = 1.0 / sqrt(a->in->masses[k / 3]);
    AIM_TRY(find_shape(a, centre, axes));
    a->m->n_modes = (int32_t)a->n - a->m->n_removed;
    set_rigid(a, centre, axes);
    mass_weight(a);
    remove_rigid(a);
    return aim_eigen_symmetric(alloc, (int)a->n, a->h, a->value);
}

aim_status aim_vib_analyze(const aim_alloc *alloc, const aimnet_vib_input *in, aimnet_vib **out)
{
    aimnet_vib *v;
    double *work = NULL;
    *out = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *v, "an analysis of vibrations", &v));
    v->alloc = *alloc;
    v->modes.n_atoms = in->n_atoms;
    analysis a = {.in = in, .n = 3 * (size_t)in->n_atoms, .m = &v->modes};
    aim_status status =
        aim_new0(alloc, a.n * (a.n + 2 + MAX_RIGID), sizeof *work, "mass-weighted Hessian", &work);
    if (status == AIMNET_OK) {
        a.h = work;
        a.value = work + a.n * a.n;
        a.root = a.value + a.n;
        a.rigid = a.root + a.n;
        status = analyze(&a, alloc);
    }
    if (status == AIMNET_OK)
        status = aim_new0(alloc, (size_t)v->modes.n_modes * (a.n + 5) + 1, sizeof *v->block,
                          "normal modes", &v->block);
    if (status == AIMNET_OK)
        set_modes(&a, v->block);
    aim_free(alloc, work);
    if (status != AIMNET_OK) {
        aim_vib_free(v);
        return status;
    }
    *out = v;
    return AIMNET_OK;
}

void aim_vib_free(aimnet_vib *v)
{
    if (!v)
        return;
    const aim_alloc alloc = v->alloc;
    aim_free(&alloc, v->block);
    aim_free(&alloc, v);
}

/* SPDX-License-Identifier: MIT */
/* aimnet_vib.h - harmonic vibrations and thermochemistry from a Hessian. Units and conventions as in
 * aimnet.h; the constants here are CODATA 2018, masses are standard atomic weights (those of ASE).
 *
 *     aimnet_vib_derivatives(calc, &system, 0.0, hessian, dipole_gradient);   // or your own
 *     aimnet_vib_analyze(&input, NULL, &vib);
 *     const aimnet_vib_modes *m = aimnet_vib_get_modes(vib);
 *     aimnet_vib_thermo(vib, NULL, &thermo);
 *     aimnet_vib_free(vib);
 *
 * Eigenvalues are found by LAPACK, which is loaded on demand (liblapack.so.3 or libopenblas.so.0).
 */
#ifndef AIMNET_VIB_H
#define AIMNET_VIB_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Second derivatives of the energy, symmetrised, and the derivative of the charge dipole, in the
 * calculator's precision (double is worth it).
 * step: 0 for analytic derivatives; otherwise central differences of 6 n forces with this
 * displacement of 1e-6 to 0.1 Angstrom (0.0005 leaves errors of 1e-3 eV/A^2 in stiff bonds).
 * hessian: [3 n][3 n] eV/A^2, or NULL: only the dipole's gradient is computed, which takes three
 * products' time whatever n is. dipole_gradient: [3 n][3] e, d(sum q r)/dx, or NULL. Of a crystal it
 * depends on which images of its atoms stand in the cell. Errors: ARG, SYSTEM, MEMORY. */
AIMNET_API aimnet_status aimnet_vib_derivatives(aimnet_calc *calc, const aimnet_system *system,
                                                double step, double *hessian,
                                                double *dipole_gradient);

/* What an analysis needs; zero-initialise. */
typedef struct aimnet_vib_input {
    int32_t n_atoms;
    const int32_t *numbers;        /* [n_atoms] 1..118 */
    const double *coord;           /* [n_atoms][3] Angstrom */
    const double *masses;          /* [n_atoms] amu, or NULL: standard atomic weights */
    const double *hessian;         /* [3 n][3 n] eV/A^2; its symmetric part is used */
    const double *dipole_gradient; /* [3 n][3] e, or NULL: no intensities */
    int periodic; /* 1: a crystal, at the Gamma point: only translations are projected out */
} aimnet_vib_input;

typedef enum aimnet_vib_shape {
    AIMNET_VIB_ATOM = 0,
    AIMNET_VIB_LINEAR = 1, /* smallest moment of inertia below 1e-4 of the largest */
    AIMNET_VIB_NONLINEAR = 2,
    AIMNET_VIB_CRYSTAL = 3
} aimnet_vib_shape;

/* Modes in ascending order; imaginary ones come first, as negative numbers. */
typedef struct aimnet_vib_modes {
    aimnet_vib_shape shape;
    int32_t n_atoms, n_modes;
    int32_t n_removed; /* translations and rotations projected out: 3, 5 or 6 */
    int32_t n_imaginary;
    const double *wavenumber;     /* [n_modes] cm^-1 */
    const double *energy;         /* [n_modes] quantum h nu, eV; negative for imaginary modes */
    const double *reduced_mass;   /* [n_modes] amu */
    const double *force_constant; /* [n_modes] mdyn/A */
    const double *intensity;      /* [n_modes] infrared, km/mol, or NULL */
    const double *displacement;   /* [n_modes][n_atoms][3] Cartesian, of unit length */
    /* the projected-out motions before projection: zero for an exact Hessian at a stationary point
     */
    double rigid_wavenumber; /* cm^-1 of the largest of them */
    double asymmetry;        /* largest |H - H^T|, eV/A^2 */
    double mass;             /* amu */
    double moment[3];        /* principal moments of inertia, ascending, amu A^2 */
} aimnet_vib_modes;

typedef struct aimnet_vib aimnet_vib;
/* allocator: NULL for malloc/free. *vib is NULL on failure. Errors: ARG, MEMORY, UNSUPPORTED (no
 * LAPACK). */
AIMNET_API aimnet_status aimnet_vib_analyze(const aimnet_vib_input *input,
                                            const aimnet_allocator *allocator, aimnet_vib **vib);
/* Lives as long as vib. */
AIMNET_API const aimnet_vib_modes *aimnet_vib_get_modes(const aimnet_vib *vib);
AIMNET_API void aimnet_vib_free(aimnet_vib *vib); /* NULL is fine */

/* Fill with aimnet_thermo_options_default() and change what you need. */
typedef struct aimnet_thermo_options {
    size_t struct_size;
    double temperature;     /* K, default 298.15 */
    double pressure;        /* Pa, default 101325 */
    double symmetry_number; /* of rotation, default 1 */
    double mult;            /* spin multiplicity, default 1 */
    double scale;           /* factor on all wavenumbers, default 1 */
    /* cm^-1, default 100: where the quasi-harmonic entropy goes over from rotor to oscillator */
    double rotor_cutoff;
} aimnet_thermo_options;
AIMNET_API aimnet_thermo_options aimnet_thermo_options_default(void);

/* Ideal gas, rigid rotor and harmonic oscillators; for crystals the oscillators alone. Energies in
 * eV and relative to the potential energy, entropies in eV/K. Imaginary modes are left out. */
typedef struct aimnet_thermo {
    int32_t n_left_out; /* imaginary modes */
    double zero_point;
    double energy_translation, energy_rotation;
    double energy_vibration; /* thermal part, without the zero-point energy */
    double internal;         /* U - E = zero point + the three */
    double enthalpy;         /* H - E = U - E + k T (crystals: U - E) */
    double entropy_translation, entropy_rotation, entropy_vibration, entropy_electronic, entropy;
    double gibbs; /* G - E = H - E - T S */
    /* low modes as hindered rotors: S. Grimme, Chem. Eur. J. 18, 9955 (2012),
     * doi:10.1002/chem.201200497 */
    double entropy_vibration_quasi, entropy_quasi, gibbs_quasi;
} aimnet_thermo;
/* options: NULL for the defaults. Errors: ARG. */
AIMNET_API aimnet_status aimnet_vib_thermo(const aimnet_vib *vib,
                                           const aimnet_thermo_options *options,
                                           aimnet_thermo *thermo);

/* A rows x columns matrix as a NumPy file of float64; the file appears complete or not at all. */
AIMNET_API aimnet_status aimnet_matrix_save(const char *path, const double *values, int64_t rows,
                                            int64_t columns);
/* Reads rows * columns numbers of a NumPy file, float64 or float32, of the shape (rows, columns) or
 * (rows/3, 3, columns/3, 3). Errors: FILE, FORMAT, MEMORY. */
AIMNET_API aimnet_status aimnet_matrix_load(const char *path, double *values, int64_t rows,
                                            int64_t columns);

#ifdef __cplusplus
}
#endif
#endif

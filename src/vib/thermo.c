/* SPDX-License-Identifier: MIT */
/* thermo.c - thermochemistry of an ideal gas of rigid rotors and harmonic oscillators
 * (docs/math/vibrations.md; D. A. McQuarrie, Statistical Mechanics, 1976).
 *
 *     S_trans = k [ln((2 pi m k T/h^2)^(3/2) k T/p) + 5/2]
 *     S_rot   = k [ln(sqrt(pi I1 I2 I3) (8 pi^2 k T/h^2)^(3/2)/sigma) + 3/2],  linear:
 *               k [ln(8 pi^2 I k T/(sigma h^2)) + 1]
 *     S_vib   = k sum x/(e^x - 1) - ln(1 - e^-x),  x = h nu/k T
 *
 * Quasi-harmonic entropy (S. Grimme, doi:10.1002/chem.201200497): each oscillator's goes over to
 * that of a free rotor with moment mu' = mu B/(mu + B), mu = h/(8 pi^2 nu), B = 1e-44 kg m^2 below
 * the cutoff, with the weight 1/(1 + (cutoff/nu)^4). Energies stay harmonic, as in the paper. */
#include <math.h>
#include <string.h>

#include "vib/vib.h"

static const double ROTOR_MOMENT = 1e-44; /* kg m^2, B of the paper */
static const double AMU_A2 = AIM_SI_AMU * 1e-20;
static const double BOLTZMANN = AIM_SI_K / AIM_SI_E; /* eV/K */

static double translation(const aimnet_vib_modes *m, double temperature, double pressure)
{
    const double kt = AIM_SI_K * temperature,
                 wave = 2.0 * AIM_SI_PI * m->mass * AIM_SI_AMU * kt / (AIM_SI_H * AIM_SI_H);
    return BOLTZMANN * (1.5 * log(wave) + log(kt / pressure) + 2.5);
}

static double rotation(const aimnet_vib_modes *m, double temperature, double symmetry)
{
    const double unit = 8.0 * AIM_SI_PI * AIM_SI_PI * AIM_SI_K * temperature / AIM_SI_H / AIM_SI_H *
                        AMU_A2; /* per moment of inertia */
    if (m->shape == AIMNET_VIB_LINEAR)
        return BOLTZMANN * (log(unit * m->moment[2] / symmetry) + 1.0);
    if (m->shape == AIMNET_VIB_NONLINEAR)
        return BOLTZMANN * (0.5 * log(AIM_SI_PI) + 0.5 * log(unit * m->moment[0]) +
                            0.5 * log(unit * m->moment[1]) + 0.5 * log(unit * m->moment[2]) -
                            log(symmetry) + 1.5);
    return 0.0;
}

static double oscillator(double x)
{
    return BOLTZMANN * (x / expm1(x) - log(-expm1(-x)));
}

static double rotor(double wavenumber, double temperature)
{
    const double nu = AIM_SI_C * 100.0 * wavenumber,
                 mu = AIM_SI_H / (8.0 * AIM_SI_PI * AIM_SI_PI * nu),
                 moment = mu * ROTOR_MOMENT / (mu + ROTOR_MOMENT);
    const double pi3 = AIM_SI_PI * AIM_SI_PI * AIM_SI_PI;
    return BOLTZMANN *
           (0.5 + 0.5 * log(8.0 * pi3 * moment * AIM_SI_K * temperature / AIM_SI_H / AIM_SI_H));
}

static void vibration(const aimnet_vib_modes *m, const aimnet_thermo_options *o, aimnet_thermo *t)
{
    for (int32_t k = 0; k < m->n_modes; k++) {
        const double energy = o->scale * m->energy[k], wavenumber = o->scale * m->wavenumber[k];
        if (!(energy > 0.0)) {
            t->n_left_out++;
            continue;
        }
        const double x = energy / (BOLTZMANN * o->temperature), s = oscillator(x);
        const double weight = 1.0 / (1.0 + pow(o->rotor_cutoff / wavenumber, 4.0));
        t->zero_point += 0.5 * energy;
        t->energy_vibration += energy / expm1(x);
        t->entropy_vibration += s;
        t->entropy_vibration_quasi +=
            weight * s + (1.0 - weight) * rotor(wavenumber, o->temperature);
    }
}

void aim_vib_thermo(const aimnet_vib_modes *m, const aimnet_thermo_options *o, aimnet_thermo *t)
{
    const double kt = BOLTZMANN * o->temperature;
    memset(t, 0, sizeof *t);
    vibration(m, o, t);
    t->entropy_electronic = BOLTZMANN * log(o->mult);
    if (m->shape != AIMNET_VIB_CRYSTAL) {
        t->energy_translation = 1.5 * kt;
        t->energy_rotation = m->shape == AIMNET_VIB_NONLINEAR ? 1.5 * kt
                             : m->shape == AIMNET_VIB_LINEAR  ? kt
                                                              : 0.0;
        t->entropy_translation = translation(m, o->temperature, o->pressure);
        t->entropy_rotation = rotation(m, o->temperature, o->symmetry_number);
    }
    t->internal = t->zero_point + t->energy_translation + t->energy_rotation + t->energy_vibration;
    t->enthalpy = t->internal + (m->shape == AIMNET_VIB_CRYSTAL ? 0.0 : kt);
    const double rest = t->entropy_translation + t->entropy_rotation + t->entropy_electronic;
    t->entropy = rest + t->entropy_vibration;
    t->entropy_quasi = rest + t->entropy_vibration_quasi;
    t->gibbs = t->enthalpy - o->temperature * t->entropy;
    t->gibbs_quasi = t->enthalpy - o->temperature * t->entropy_quasi;
}

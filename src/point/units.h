/* SPDX-License-Identifier: MIT */
/* units.h - the constants that give models their meaning: values of the reference implementation
 * (ase.units of CODATA 2014), not newer ones. Energies eV, lengths Angstrom, charges e everywhere;
 * D3 works in hartree and bohr inside and converts at its borders. */
#ifndef AIM_POINT_UNITS_H
#define AIM_POINT_UNITS_H

#define AIM_HARTREE   27.211386024367243       /* eV */
#define AIM_BOHR      0.5291772105638411       /* Angstrom */
#define AIM_BOHR_INV  (1.0 / AIM_BOHR)         /* 1/Angstrom */
#define AIM_COULOMB_K (AIM_HARTREE * AIM_BOHR) /* e^2/(4 pi eps0), eV Angstrom */
#define AIM_PI        3.14159265358979323846
#define AIM_SQRT_PI   1.77245385090551602730

#endif

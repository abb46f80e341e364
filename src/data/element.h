/* SPDX-License-Identifier: MIT */
/* element.h - chemical symbols, atomic numbers, atomic weights and formulas. */
#ifndef AIM_DATA_ELEMENT_H
#define AIM_DATA_ELEMENT_H

#include "base/status.h"

enum { AIM_ELEMENT_LAST = 118 };

/* "H".."Og" of 1..118, else NULL. */
const char *aim_element_symbol(int number);
/* Atomic number of a symbol in any case ("D" and "T" are hydrogen); 0 if unknown. text needs no
 * NUL. */
int aim_element_from_symbol(const char *text, size_t size);
/* The same, and also decimal atomic numbers such as "6". */
int aim_element_from_text(const char *text, size_t size);
/* amu; 0 if unknown */
double aim_element_mass(int number);
/* Formula in Hill order, always NUL-terminated; number 0 (padding) is left out. ARG for other
 * numbers, OVERFLOW if cut. */
AIM_NODISCARD aim_status aim_formula(const int32_t *numbers, int32_t n_atoms, char *text,
                                     size_t capacity);

#endif

/* SPDX-License-Identifier: MIT */
/* d3_data.h - the compact form of the shipped D3 data (d3_table.c, generated) that
 * aim_d3_table_create expands. */
#ifndef AIM_TERM_D3_DATA_H
#define AIM_TERM_D3_DATA_H

#include <stdint.h>

enum { AIM_D3_ELEMENTS = 95, AIM_D3_REFS = 254 };

/* C6 of references r and 0 .. r as one string per r: integers in units of 1e-4 hartree bohr^6, each
 * of four digits to the base 89, highest first, or of five after the mark '~'. Digits are the
 * characters from '#' to '}' without '?' and the backslash. */
enum { AIM_D3_BASE = 89 };

extern const unsigned char aim_d3_n_refs[AIM_D3_ELEMENTS]; /* references of each element */
extern const float aim_d3_rcov[AIM_D3_ELEMENTS];           /* bohr, scaled by 4/3 */
extern const float aim_d3_r4r2[AIM_D3_ELEMENTS];
extern const float aim_d3_cn[AIM_D3_REFS];
extern const char *const aim_d3_c6[AIM_D3_REFS];

#endif

/* SPDX-License-Identifier: MIT */
/* real.h - the working precision of the files that are compiled twice (backend kernels, net, the
 * evaluating half of calc).
 *
 * AIM_REAL_DOUBLE (0 or 1, set by the build) chooses `real`; literals go through R(x); every
 * external name of such a file goes through AIM_NAMED(name), which appends _f32 or _f64, so that
 * both live in one library. */
#ifndef AIM_BACKEND_REAL_H
#define AIM_BACKEND_REAL_H

#ifndef AIM_REAL_DOUBLE
#error "this header belongs to files that are compiled once per precision"
#endif

#if AIM_REAL_DOUBLE
typedef double real;
#define R(x)            x
#define AIM_NAMED(name) name##_f64
#else
typedef float real;
#define R(x)            x##f
#define AIM_NAMED(name) name##_f32
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* support.h - what the golden and the property tests share: molecules of tests/golden/molecules,
 * evaluations with all their buffers, and a seeded generator. Everything goes through the public
 * API; a helper that fails ends the test by cmocka's fail_msg. */
#ifndef AIM_TEST_GOLDEN_SUPPORT_H
#define AIM_TEST_GOLDEN_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "aimnet.h"
#include "aimnet_io.h"

typedef struct molecule {
    char name[64];
    int32_t n;
    int32_t *numbers; /* [n] */
    double *coord;    /* [n][3] */
    double charge, mult;
} molecule;

molecule molecule_read(const char *name);
molecule molecule_copy(const molecule *m);
void molecule_free(molecule *m);
aimnet_system molecule_system(const molecule *m);

/* Results with buffers for everything a molecule can ask for; spin charges only where `spin`. */
typedef struct evaluation {
    int32_t n;
    aimnet_result r;
    double *block;
} evaluation;

evaluation evaluation_create(int32_t n, int spin);
void evaluation_free(evaluation *e);
/* Evaluates the molecules in one call; the call's own status is returned, each structure's is in
 * its result. */
aimnet_status evaluate(aimnet_calc *calc, const molecule *const *mols, int n, evaluation *out);
/* The same, and every structure has to succeed. */
void evaluate_ok(aimnet_calc *calc, const molecule *const *mols, int n, evaluation *out);
/* 1 if energy, terms, forces, charges, dipole, quadrupole (and spin charges) have the same bits. */
int same_bits(const evaluation *a, const evaluation *b);

/* NULL or "default": the model linked into the library; "full_size": that of full_size.h;
 * otherwise a path relative to the repository. */
aimnet_model *model_open(const char *path);
aimnet_calc *calc_open(aimnet_model *model, const aimnet_options *options);

/* splitmix64: the same numbers on every machine. */
uint64_t next_u64(uint64_t *state);
double next_unit(uint64_t *state); /* [0, 1) */
void random_rotation(uint64_t *state, double r[9]);

#endif

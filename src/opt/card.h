/* SPDX-License-Identifier: MIT */
/* card.h - the structures of a pool that move on the calculator's card: positions, forces and the
 * optimiser's memory stay there; to the host come the numbers that a table shows, and the arrays of
 * structures that have ended. */
#ifndef AIM_OPT_CARD_H
#define AIM_OPT_CARD_H

#include "calc/resident.h"
#include "opt/card_memory.h"
#include "opt/job.h"

typedef struct aim_card {
    aim_alloc alloc;
    aim_calc *calc;
    double paths[AIM_DEV_PATHS_SIZE / sizeof(double)]; /* of the module */
    void *stream;
    aim_card_memory memory;
    /* of one evaluation: arrays on the card for so many atoms and systems */
    void *arrays;
    size_t atoms, systems;
    double *coord, *forces, *charges, *energy, *stress;
    int32_t *first, *atom;   /* host: [systems], [atoms] */
    double *volume, *extent; /* host: [systems], [systems][3] */
} aim_card;

/* Whether structures can move on the calculator's device: it computes everything of all models. */
int aim_card_serves(const aim_calc *calc);
/* *card is NULL on failure. */
AIM_NODISCARD aim_status aim_card_open(aim_calc *calc, aim_card **card);
void aim_card_close(aim_card *card); /* NULL is fine */
/* For jobs that were created for a card. */
AIM_NODISCARD aim_status aim_card_add(aim_card *card, aim_job *job);
void aim_card_remove(aim_card *card, aim_job *job);
/* One evaluation and one move of n jobs; systems and results: [n] scratch. */
AIM_NODISCARD aim_status aim_card_advance(aim_card *card, aim_job **jobs, int n,
                                          aimnet_system *systems, aimnet_result *results);
/* Brings the arrays of the current point to the host. */
AIM_NODISCARD aim_status aim_card_show(aim_card *card, aim_job *job);

#endif

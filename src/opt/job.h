/* SPDX-License-Identifier: MIT */
/* job.h - the optimisation of one structure as a state machine: it says where it wants to be
 * evaluated, gets the results, and decides (backend/opt/moves.h). On the host it moves itself
 * (pool.c); of a path on a card (card.c) it holds the numbers, and the arrays of the current point
 * where somebody has asked for them. */
#ifndef AIM_OPT_JOB_H
#define AIM_OPT_JOB_H

#include "backend/opt/path.h"
#include "base/arena.h"
#include "opt/variables.h"

typedef struct aim_job {
    aim_alloc alloc;
    aim_arena arena;
    aim_path path;
    int single; /* precision */
    double charge, mult;
    int has_frozen;
    /* of a path on a card: its block there, and where in it the path is; NULL: it is the one above */
    void *card_block;
    size_t card_bytes;
    aim_path *on_card;
    double extent[3];  /* of a slab or wire, where it is to be evaluated (backend/opt/open.h) */
    double *results;   /* [7 n_atoms] coord, forces, charges of its current point, */
    int results_known; /* if they have been brought to the host */
    char message[AIMNET_MESSAGE_SIZE], warnings[AIMNET_MESSAGE_SIZE];
} aim_job;

/* on_card: the job only holds what its path on a card needs (see aim_job_image). *job is NULL on
 * failure. */
AIM_NODISCARD aim_status aim_job_create(const aim_alloc *alloc, const aimnet_system *system,
                                        const uint8_t *frozen, const aimnet_opt_options *options,
                                        aimnet_precision precision, int on_card, aim_job **job);
void aim_job_free(aim_job *job);
/* What to evaluate, and the buffers to put it into (NULL: not wanted); both point into the job. */
void aim_job_ask(aim_job *job, aimnet_system *system, aimnet_result *result);
/* Takes the results and moves. */
void aim_job_tell(aim_job *job, const aimnet_result *result);

/* Bytes of the block of a path on a card. */
size_t aim_job_card_bytes(const aim_job *job);
/* The first part of that block at its address, on the host; the rest needs no contents. */
const void *aim_job_image(aim_job *job, void *block, size_t *bytes);
/* Where coordinates, forces and charges of the current point are on the card. */
const double *aim_job_results(const aim_job *job);
/* After a move on a card: the numbers are there. `result` as in aim_job_tell. */
void aim_job_moved(aim_job *job, const aimnet_result *result);

#endif

/* SPDX-License-Identifier: MIT */
/* parameters.h - the trainable numbers of a model as one flat vector: which tensors, where.
 *
 * Order: embedding, combinations of conv_a and conv_q, MLPs of the passes, heads and atomic shifts
 * in the order of the outputs. Trainable is what the reference trains: the AEV constants, the
 * repulsion and the dispersion parameters are not. */
#ifndef AIM_MODEL_PARAMETERS_H
#define AIM_MODEL_PARAMETERS_H

#include "model/model.h"

enum { AIM_PARAMETER_NAME = 208 };

typedef struct aim_parameter {
    char name[AIM_PARAMETER_NAME]; /* of the tensor in the file */
    const void *values;            /* the array of the model that it is */
    int ndim;
    int64_t shape[3], offset, count; /* of its elements in the flat vector */
} aim_parameter;

typedef struct aim_parameters {
    int n;
    int64_t count;
    aim_parameter *item;
} aim_parameters;

AIM_NODISCARD aim_status aim_parameters_create(const aim_model *m, const aim_alloc *alloc,
                                               aim_parameters *list);
void aim_parameters_free(aim_parameters *list, const aim_alloc *alloc);
/* Offset of the parameter whose values these are. */
int64_t aim_parameters_offset(const aim_parameters *list, const void *values);

#endif

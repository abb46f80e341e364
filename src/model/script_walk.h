/* SPDX-License-Identifier: MIT */
/* script_walk.h - private to script.c and script_outputs.c: objects of TorchScript, their classes
 * and attributes. */
#ifndef AIM_MODEL_SCRIPT_WALK_H
#define AIM_MODEL_SCRIPT_WALK_H

#include "model/script.h"

enum { AIM_SCRIPT_PATH = 160, AIM_SCRIPT_CLASS = 96 };

typedef struct aim_script_walk {
    const aim_alloc *alloc;
    aim_torch *archive;
    const aim_pickle *pickle;
    aim_script *out;
    /* what the outputs contain */
    int has_coulomb, has_d3ts;
    aim_ref dftd3; /* its attributes, or AIM_NO_REF */
} aim_script_walk;

/* An object: where it stands ("mlps.0"), and its dictionary of attributes. */
typedef struct aim_script_object {
    char path[AIM_SCRIPT_PATH];
    char class_name[AIM_SCRIPT_CLASS]; /* without "__torch__." and manglings */
    aim_ref attributes;
} aim_script_object;

AIM_NODISCARD aim_status aim_script_refuse(const aim_script_object *o, const char *what);

/* The attribute `name` of `up` as an object of the class (NULL: any), whose attributes must be
 * those in `attributes`: names separated by blanks, with '?' behind those that may be absent;
 * NULL: any. */
AIM_NODISCARD aim_status aim_script_child(const aim_script_walk *w, const aim_script_object *up,
                                          const char *name, const char *class_name,
                                          const char *attributes, aim_script_object *child);
AIM_NODISCARD aim_status aim_script_check(const aim_script_walk *w, const aim_script_object *o,
                                          const char *attributes);

/* The next attribute that is not of TorchScript's own ("training", ...); its name is copied. Start
 * with aim_pickle_items(pickle, o->attributes). Returns 0 at the end. */
int aim_script_next(const aim_script_walk *w, aim_items *it, char name[AIM_SCRIPT_CLASS]);

/* Attributes of a type. Errors: MODEL. */
AIM_NODISCARD aim_status aim_script_int(const aim_script_walk *w, const aim_script_object *o,
                                        const char *name, int64_t *value);
AIM_NODISCARD aim_status aim_script_bool(const aim_script_walk *w, const aim_script_object *o,
                                         const char *name, int *value);
AIM_NODISCARD aim_status aim_script_float(const aim_script_walk *w, const aim_script_object *o,
                                          const char *name, double *value);
/* Letters, digits, '_': at most AIM_SCRIPT_CLASS - 1. */
AIM_NODISCARD aim_status aim_script_word(const aim_script_walk *w, const aim_script_object *o,
                                         const char *name, char value[AIM_SCRIPT_CLASS]);

/* Adds the tensor to those of the model, as "<path>.<name>"; *tensor receives a copy, or NULL. */
AIM_NODISCARD aim_status aim_script_tensor(const aim_script_walk *w, const aim_script_object *o,
                                           const char *name, aim_tensor *tensor);
/* The same for one number. */
AIM_NODISCARD aim_status aim_script_scalar(const aim_script_walk *w, const aim_script_object *o,
                                           const char *name, double *value);

/* An MLP: a Sequential of Linear and GELU in turn. */
enum { AIM_SCRIPT_LAYERS = 16 };
typedef struct aim_script_mlp {
    int n_layers, bias, last_linear;
    int64_t n_in, width[AIM_SCRIPT_LAYERS];
} aim_script_mlp;
AIM_NODISCARD aim_status aim_script_read_mlp(const aim_script_walk *w, const aim_script_object *up,
                                             const char *name, aim_script_mlp *mlp);

/* Appends to the YAML, unless that has failed before (w->out->yaml_status, asked at the end). */
void aim_script_yaml(const aim_script_walk *w, const char *format, ...) AIM_PRINTF(2, 3);
/* "name: value" with all digits. */
void aim_script_yaml_number(const aim_script_walk *w, const char *name, double value);
/* Reads the output modules and appends them to the YAML. */
AIM_NODISCARD aim_status aim_script_outputs(aim_script_walk *w, const aim_script_object *model);

#endif

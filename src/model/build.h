/* SPDX-License-Identifier: MIT */
/* build.h - private to src/model: the steps from an opened file to a model, and what they share.
 *
 * Order: metadata (from the pickle), architecture (from the YAML; every tensor it needs is bound on
 * the way, with its shape), then all bound tensors are converted into one block of weights. What
 * was not bound is an extra tensor. */
#ifndef AIM_MODEL_BUILD_H
#define AIM_MODEL_BUILD_H

#include "base/arena.h"
#include "base/text.h"
#include "io/pt_write.h"
#include "model/args.h"
#include "model/content.h"
#include "model/model.h"

typedef enum aim_into {
    AIM_INTO_FLOATS,  /* place: const float ** */
    AIM_INTO_DOUBLES, /* place: const double ** */
    AIM_INTO_SCALAR   /* place: double * */
} aim_into;

enum { AIM_BIND_DIMS = 4, AIM_NAME_SIZE = 192, AIM_EMBED_ROWS = 64 };

typedef struct aim_binding {
    aim_tensor tensor; /* a copy, or a view of the file's tensor */
    aim_into into;
    void *place;
    int per_element; /* first dimension is the atomic number: rows of other elements may be NaN */
    int stored64;    /* the reference keeps this one in float64; all others are float32 there */
    void *block;     /* where the values go */
} aim_binding;

typedef struct aim_builder {
    aim_model *m;
    struct aim_model_origin *origin;
    aim_content file;
    aim_yaml yaml;
    aim_binding *binding;
    size_t n_bindings, binding_capacity;
    unsigned char *used; /* [file.n_tensors] */
    struct {
        double rc, eta;
        const float *shifts;
    } vector_basis; /* the basis of vector features, which must equal the scalar one */
} aim_builder;

/* What is expected of a tensor. -1 in shape[0]: any number of rows from the largest implemented
 * element + 1 to AIM_MAX_SPECIES. */
typedef struct aim_expected {
    const char *name;
    aim_into into;
    void *place;
    int per_element, stored64;
    int ndim;
    int64_t shape[AIM_BIND_DIMS];
    int *rows; /* NULL, or receives shape[0] */
} aim_expected;

/* Whether parts that are about to be written make a model. */
AIM_NODISCARD aim_status aim_model_check_parts(const aim_alloc *a, const aim_model_parts *parts,
                                               const char *name);

/* A name of the metadata as this file spells it, or NULL. */
const char *aim_metadata_field(aim_slice name);
AIM_NODISCARD aim_status aim_metadata_read(aim_builder *b);
/* Checks between metadata and outputs, after both were read. */
AIM_NODISCARD aim_status aim_metadata_check(aim_builder *b);
AIM_NODISCARD aim_status aim_network_read(aim_builder *b);
/* After aim_bind_finish: the numbers of the AEV. */
AIM_NODISCARD aim_status aim_network_check(const aim_builder *b);
/* node: the "outputs" of the YAML, a mapping or a list */
AIM_NODISCARD aim_status aim_outputs_read(aim_builder *b, const aim_where *where, int node);

/* Options of the reference's MLP; hidden: a YAML list, null or AIM_YAML_NONE */
typedef struct aim_mlp_spec {
    int64_t n_in;
    int n_out, hidden, bias, last_linear;
} aim_mlp_spec;
/* Shapes the MLP and binds "<prefix>.0.weight", "<prefix>.0.bias", "<prefix>.2.weight", ... */
AIM_NODISCARD aim_status aim_mlp_read(aim_builder *b, const aim_where *where,
                                      const aim_mlp_spec *spec, const char *prefix, aim_mlp *mlp);

AIM_NODISCARD aim_status aim_bind(aim_builder *b, const aim_expected *expected);
/* The file's tensor of that name, which counts as used from now on; NULL: there is none. */
const aim_tensor *aim_bind_find(aim_builder *b, const char *name);
/* The tables of a DFTD3 module: out->d3. */
AIM_NODISCARD aim_status aim_d3_read(aim_builder *b, const char *prefix, aim_output *out);
/* Every tensor used? Then converts all of them. */
AIM_NODISCARD aim_status aim_bind_finish(aim_builder *b);

#endif

/* SPDX-License-Identifier: MIT */
/* aimnet_model.h - looking into a loaded model: tensors, metadata, architecture, provenance.
 *
 *     aimnet_model *model;
 *     char *text;
 *     aimnet_model_load("model.pt", NULL, &model);
 *     aimnet_model_describe(model, AIMNET_DESCRIBE_TREE, &text);
 *     puts(text);
 *     aimnet_model_text_free(model, text);
 *
 * A model is immutable: everything here may be called from any thread at any time between loading
 * and freeing. */
#ifndef AIMNET_MODEL_H
#define AIMNET_MODEL_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a file is read, where the path alone does not say it. */
typedef struct aimnet_load_options {
    size_t struct_size; /* set by aimnet_load_options_default() */
    /* the description that belongs to the weights: config.json of safetensors. NULL (default): the
     * one beside them */
    const char *config;
    int member; /* of a directory with an ensemble: ensemble_<member>.safetensors; default 0 */
} aimnet_load_options;
AIMNET_API aimnet_load_options aimnet_load_options_default(void);
/* aimnet_model_load with options (NULL: the defaults). The format is recognised by content, never
 * by name:
 *   - a v2 model file of PyTorch (.pt);
 *   - TorchScript (.jpt) of aimnet 0.0.1: its objects are read as data, its code is never run, and it
 *     is evaluated as that release did (D3 over all pairs with clamped coordination numbers, Coulomb
 *     that cannot be switched);
 *   - a file of safetensors with its description beside it: NAME.json, else config.json;
 *   - a directory in the layout of Hugging Face: config.json and ensemble_0.safetensors, ...
 * Only the names given or fixed names beside them are opened; nothing in a file is followed as a
 * path or executed. Errors: as aimnet_model_load, and ARG. */
AIMNET_API aimnet_status aimnet_model_load_with(const char *path,
                                                const aimnet_load_options *options,
                                                const aimnet_allocator *allocator,
                                                aimnet_model **model);

typedef enum aimnet_file_format {
    AIMNET_FILE_PT = 0,         /* a v2 model file, which the Python package loads */
    AIMNET_FILE_SAFETENSORS = 1 /* weights, and a description in JSON beside them */
} aimnet_file_format;
/* Writes a model in another format, or a copy: all metadata and tensors exactly as its file has
 * them (which is read once more). path: a file, for PT also "-" (standard output); for SAFETENSORS
 * a name ending in ".safetensors", beside which NAME.json is written, or a directory (which exists,
 * or whose name ends in '/'), which gets config.json and ensemble_<member>.safetensors. Every file
 * is replaced when the new one is complete, or stays as it was. Errors: ARG, FILE, MEMORY, MODEL
 * for metadata that the format cannot hold. */
AIMNET_API aimnet_status aimnet_model_save(const aimnet_model *model, const char *path,
                                           aimnet_file_format format, int member);

/* One tensor as the file holds it. Strings belong to the model. */
typedef struct aimnet_tensor_info {
    const char *name;  /* "mlps.0.0.weight", ... */
    const char *dtype; /* "float32", "float64", "float16", "bfloat16", ... */
    int ndim;
    int64_t shape[8]; /* [ndim] */
    int64_t bytes;
    int used; /* 0: tolerated in the file but not part of the model */
} aimnet_tensor_info;
AIMNET_API int aimnet_model_tensor_count(const aimnet_model *model);
/* index: 0 .. count - 1, in file order. Errors: ARG. */
AIMNET_API aimnet_status aimnet_model_tensor(const aimnet_model *model, int index,
                                             aimnet_tensor_info *info);

/* SHA-256 of the file's bytes in hexadecimal. A model loaded from a path is read once more for it
 * (hashing takes longer than loading, so it is done only when asked for). Errors: FILE if the file
 * is gone or has another size now, MEMORY. */
AIMNET_API aimnet_status aimnet_model_sha256(const aimnet_model *model, char hex[65]);
/* Size of the file in bytes. */
AIMNET_API int64_t aimnet_model_file_size(const aimnet_model *model);

typedef enum aimnet_describe {
    AIMNET_DESCRIBE_TREE =
        0, /* for people: metadata, elements, what is attached and why, architecture */
    AIMNET_DESCRIBE_TREE_TENSORS = 1, /* the same and a table of the tensors */
    AIMNET_DESCRIBE_JSON = 2,         /* one JSON object on one line, see below */
    AIMNET_DESCRIBE_METADATA = 3,     /* the JSON value of "metadata" alone */
    AIMNET_DESCRIBE_YAML = 4          /* model_yaml as in the file */
} aimnet_describe;
/* Text in UTF-8, to be released by aimnet_model_text_free. The JSON object has the keys
 *   "name", "format", "size", "sha256" (null if the file can no longer be read), "parameters",
 *   "metadata": the fields of the file's metadata,
 *   "architecture": {"class", "nfeature", "d2features", "ncomb_v", "num_charge_channels",
 * "aim_size", "aev": {...}, "passes": [[layer widths], ...], "outputs": [{"name", "class",
 * "key_in", "key_out", ...}, ...]}, "tensors": [{"name", "dtype", "shape", "bytes", "used"}, ...],
 *   "elements": [{"number", "symbol"}, ...],
 *   "attaches": [{"part": "coulomb" | "dispersion", "attached", "why"}, ...],
 *   "ignored": [names of entries of the file that have no meaning here].
 * Errors: ARG, MEMORY. *text is NULL on failure. */
AIMNET_API aimnet_status aimnet_model_describe(const aimnet_model *model, aimnet_describe what,
                                               char **text);
AIMNET_API void aimnet_model_text_free(const aimnet_model *model, char *text);

#ifdef __cplusplus
}
#endif
#endif

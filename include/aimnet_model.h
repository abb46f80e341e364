/* SPDX-License-Identifier: MIT */
/* aimnet_model.h - looking into a loaded model: tensors, metadata, architecture, provenance; and
 * where models come from: registry, download, cache.
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
    /* the description that belongs to the weights: config.json of safetensors, the YAML of a training
     * checkpoint. NULL (default): the config.json beside them */
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
 *   - the weights of a training run (a bare state_dict), with options->config: evaluated with the
 *     long-range modules that the YAML puts into the model;
 *   - a directory in the layout of Hugging Face: config.json and ensemble_0.safetensors, ...; if
 *     config.json names a family and has no model_yaml, a model of the registry describes the
 *     weights, which must be in the cache (the error says which).
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

/* What a model file is made of. */
typedef struct aimnet_export_options {
    size_t struct_size; /* set by aimnet_export_options_default() */
    /* the weights: a training checkpoint, TorchScript of aimnet 0.0.1, or a v2 file */
    const char *weights;
    const char
        *config;     /* YAML of the training; may be NULL for TorchScript, which says it itself */
    const char *sae; /* YAML {atomic number: energy of the atom in eV}, added to the atomic shifts;
                        elements without are masked. NULL: the elements of the weights */
    int needs_coulomb,
        needs_dispersion;      /* -1 (default): as found in the YAML; 0 or 1 override it */
    aimnet_file_format format; /* default PT */
    int member;                /* SAFETENSORS into a directory: ensemble_<member> */
} aimnet_export_options;
AIMNET_API aimnet_export_options aimnet_export_options_default(void);
/* Makes a model file of the weights and the YAML of a training: long-range modules are taken out
 * and asked for in the metadata (SRCoulomb takes the place of LRCoulomb), the energies of the atoms
 * are added to the shifts in float64, elements without one are masked, tables that the YAML names as
 * ptfile are stored. The result is checked as a file is when it is read; then it replaces `path`,
 * named as for aimnet_model_save. Errors: ARG for overrides that contradict the model, FILE, FORMAT,
 * MODEL, MEMORY. */
AIMNET_API aimnet_status aimnet_model_export(const aimnet_export_options *options,
                                             const aimnet_allocator *allocator, const char *path);

/* What two models' files say differently, one line each: "- " before what only `first` has, "+ "
 * before what only `second` has (fields of the metadata, lines of the YAML, tensors of another name,
 * type or shape), "~ " before tensors with other values. *text is empty if they say the same; the
 * files are read once more. Release it with aimnet_model_text_free(first, *text). Errors: ARG, FILE,
 * MEMORY. */
AIMNET_API aimnet_status aimnet_model_diff(const aimnet_model *first, const aimnet_model *second,
                                           char **text);

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
 *   "name", "format", "size", "sha256" (null if the file can no longer be read),
 *   "described_by" (the registry's file where config.json leaves the architecture to it, else null),
 *   "parameters",
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

/* ---------------------------------------------------------------- published models
 *
 * Wherever a model is loaded by name, the name means, in this order:
 *     "default"                    the model that is linked into the library
 *     "./x.pt", "../x", "/x"       a file or a directory
 *     "aimnet2", "aimnet2-nse_3"   a published model by name or alias, from the cache
 *     "x.pt"                       a file or directory that exists
 *     "owner/name[@revision]"      a repository of Hugging Face, from the cache
 * "NAME:K" is member K of the family, repository or directory; "NAME:all", all of them, is for
 * aimnet_model_members. Loading never uses the network: what is missing is reported with its
 * address, its digest and the place where it belongs. What comes from the cache is compared with
 * its SHA-256 each time.
 *
 * Environment: AIMNET_CACHE_DIR, else XDG_CACHE_HOME/aimnet, else ~/.cache/aimnet is the cache;
 * AIMNET_MIRROR (https://...) replaces the host of the registry's addresses; HF_ENDPOINT and
 * HF_TOKEN are those of Hugging Face; SSL_CERT_FILE names the trusted certificates. */

typedef struct aimnet_registry aimnet_registry;
/* Strings belong to the registry. */
typedef struct aimnet_registry_entry {
    const char *name, *family, *about;
    int member;         /* of the family, from 0 */
    const char *file;   /* in the cache */
    const char *url;    /* before AIMNET_MIRROR */
    const char *sha256; /* "": none was published */
} aimnet_registry_entry;
/* The registry that is built in. Errors: MEMORY. */
AIMNET_API aimnet_status aimnet_registry_open(const aimnet_allocator *allocator,
                                              aimnet_registry **registry);
AIMNET_API void aimnet_registry_close(aimnet_registry *registry);
AIMNET_API int aimnet_registry_count(const aimnet_registry *registry);
AIMNET_API aimnet_status aimnet_registry_get(const aimnet_registry *registry, int index,
                                             aimnet_registry_entry *entry);
/* Index of a name or alias; -1: there is none. */
AIMNET_API int aimnet_registry_find(const aimnet_registry *registry, const char *name);
/* Alias number `index` and the entry that it stands for; NULL behind the last one. */
AIMNET_API const char *aimnet_registry_alias(const aimnet_registry *registry, int index,
                                             int *entry);

/* Fill with aimnet_fetch_options_default() and change what you need. */
typedef struct aimnet_fetch_options {
    size_t struct_size;
    int allow_unverified; /* 1: models without a published digest; the digest seen is pinned */
    const char *revision; /* of repositories; NULL: what the name says, else "main" */
    const char *token;    /* of Hugging Face; NULL: HF_TOKEN */
    int64_t max_bytes;    /* largest file that is accepted, default 256 MiB */
    int retries;          /* after failures that may pass, default 3 */
    double retry_seconds; /* before the first of them, default 1; doubled each time */
    double stall_seconds; /* without a byte: a failure; default 30, at least 1 */
    /* NULL, or called often; done and total in bytes, total -1 if unknown, done -1 while another
     * process is downloading the same file. Returns nonzero to stop. */
    int (*progress)(void *user, const char *what, int64_t done, int64_t total);
    void *user;
} aimnet_fetch_options;
AIMNET_API aimnet_fetch_options aimnet_fetch_options_default(void);
/* Makes sure that a model is in the cache: downloads (HTTPS only) what is missing or damaged, to be
 * used with aimnet_model_load(name). path (may be NULL, else path_size bytes) receives the file, or
 * the directory of a repository. Not more than one thread at a time may call this with libcurl
 * before 7.84. Errors: UNSUPPORTED without libcurl, FILE, INTERRUPTED, ARG, OVERFLOW, MEMORY. */
AIMNET_API aimnet_status aimnet_model_fetch(const char *name, const aimnet_fetch_options *options,
                                            char *path, size_t path_size);
/* Where aimnet_model_load(name) reads; nothing is downloaded. Errors: FILE if it is not there. */
AIMNET_API aimnet_status aimnet_model_locate(const char *name, char *path, size_t path_size);
/* How many models NAME:all stands for, 1 for other names; NAME:0, NAME:1, ... are they. options:
 * NULL, or a repository's description is downloaded if needed and asked. */
AIMNET_API aimnet_status aimnet_model_members(const char *name, const aimnet_fetch_options *options,
                                              int *count);

/* The cache's path. Errors: FILE if there is none, OVERFLOW. */
AIMNET_API aimnet_status aimnet_cache_dir(char *path, size_t path_size);
/* Removes downloaded models and unfinished downloads, nothing else; each (NULL: nobody) is told
 * every path. dry_run 1: only tells. Errors: FILE for what cannot be removed. */
AIMNET_API aimnet_status aimnet_cache_clear(int dry_run, void (*each)(void *user, const char *path),
                                            void *user);

#ifdef __cplusplus
}
#endif
#endif

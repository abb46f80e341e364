/* SPDX-License-Identifier: MIT */
/* aimnet.h - AIMNet2 neural-network interatomic potentials: models, calculators, systems, results.
 *
 * Units: energy eV, length Angstrom, charge elementary charge e, force eV/A, stress eV/A^3,
 * dipole e A, quadrupole e A^2.
 * Cells are row vectors:   cell[9] = { ax, ay, az,  bx, by, bz,  cx, cy, cz }.
 * Coordinates are flat:    coord[3 * n_atoms] = { x0, y0, z0,  x1, y1, z1, ... }.
 *
 * A session in five calls:
 *     aimnet_model *model;  aimnet_calc *calc;
 *     aimnet_model_load(NULL, NULL, &model);                // NULL: the built-in model
 *     aimnet_calc_create(&model, 1, NULL, &calc);           // NULL: default options
 *     aimnet_calc_eval(calc, systems, n_systems, results);  // energies, forces, charges, ...
 *     aimnet_calc_free(calc);  aimnet_model_free(model);
 *
 * Errors: every function that can fail returns a status; aimnet_last_error() has the message of
 * this thread's most recent failure: what is wrong, where, and what to do. The library never
 * prints, exits or aborts.
 *
 * Threads: a model is immutable after loading and may be shared by any number of threads and
 * calculators. A calculator is used by one thread at a time (it starts its own workers); different
 * calculators are independent. There is no global state.
 */
#ifndef AIMNET_H
#define AIMNET_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#if defined(AIMNET_BUILD)
#define AIMNET_API __declspec(dllexport)
#else
#define AIMNET_API
#endif
#else
#define AIMNET_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define AIMNET_VERSION_MAJOR 0
#define AIMNET_VERSION_MINOR 1
#define AIMNET_VERSION_PATCH 0

/* Status codes, spaced by topic. 0 is success. */
typedef enum aimnet_status {
    AIMNET_OK = 0,
    AIMNET_ERR_ARG = 10,         /* an argument is out of its documented range */
    AIMNET_ERR_SYSTEM = 11,      /* a structure cannot be evaluated (see its message) */
    AIMNET_ERR_SOME_FAILED = 12, /* a batch call finished, but at least one structure failed */
    AIMNET_ERR_UNSUPPORTED = 13, /* a valid request that this build or model cannot serve */
    AIMNET_ERR_OVERFLOW =
        14, /* a caller's buffer is too small; the needed size is in the message or output */
    AIMNET_ERR_FILE = 20,        /* a file cannot be opened, read or written */
    AIMNET_ERR_FORMAT = 21,      /* a file's content is malformed */
    AIMNET_ERR_END = 22,         /* no further frame in a structure stream (not a failure) */
    AIMNET_ERR_MODEL = 30,       /* a model file is well formed but not a usable AIMNet2 model */
    AIMNET_ERR_MEMORY = 40,      /* an allocation failed */
    AIMNET_ERR_DEVICE = 50,      /* the compute device is missing or failed */
    AIMNET_ERR_INTERRUPTED = 60, /* a callback asked to stop */
    AIMNET_ERR_INTERNAL = 90     /* a broken invariant of the library: please report it */
} aimnet_status;

/* Message of this thread's most recent failure; never NULL; valid until this thread's next failing
 * call. */
AIMNET_API const char *aimnet_last_error(void);
/* Short English name of a status code, for example "argument"; never NULL. */
AIMNET_API const char *aimnet_status_name(aimnet_status status);
/* "MAJOR.MINOR.PATCH" of the library in use. */
AIMNET_API const char *aimnet_version(void);

/* What the library in use is and runs on; the strings are static. */
typedef struct aimnet_build_info {
    const char *version;  /* as aimnet_version() */
    const char *compiler; /* "gcc 12.2.0", ... */
    /* instruction set chosen for the CPU kernels on this processor: "base", "avx2", "avx512" */
    const char *isa;
    int processors; /* available to this process: what options.threads = 0 means */
} aimnet_build_info;
AIMNET_API aimnet_build_info aimnet_build(void);

/* Memory hooks. alloc returns a block of `size` bytes aligned to 16 or NULL; free takes NULL. Both
 * may be called from any thread. */
typedef struct aimnet_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block);
    void *user;
} aimnet_allocator;

/* ---------------------------------------------------------------- models */

typedef struct aimnet_model aimnet_model;

/* Loads a model: a path to a file, the name of a published model that is in the cache
 * (aimnet_model.h), or NULL (or "default") for the model that is linked into the library.
 * allocator: NULL for malloc/free; it is copied and used for everything the model (and its
 * calculators) own. Errors: FILE, FORMAT (not a valid container), MODEL (refused content), MEMORY.
 * *model is NULL on failure. */
AIMNET_API aimnet_status aimnet_model_load(const char *path, const aimnet_allocator *allocator,
                                           aimnet_model **model);
/* The same from bytes in memory; `name` is used in messages. The bytes are not referenced after the
 * call. */
AIMNET_API aimnet_status aimnet_model_load_memory(const void *bytes, size_t size, const char *name,
                                                  const aimnet_allocator *allocator,
                                                  aimnet_model **model);
/* Frees a model; no calculator made from it may be alive. NULL is fine. */
AIMNET_API void aimnet_model_free(aimnet_model *model);

typedef enum aimnet_coulomb_mode {
    AIMNET_COULOMB_MODE_NONE,
    AIMNET_COULOMB_MODE_SR_EMBEDDED,
    AIMNET_COULOMB_MODE_FULL_EMBEDDED
} aimnet_coulomb_mode;

/* What a model is and what it wants attached. Strings and arrays belong to the model. */
typedef struct aimnet_model_info {
    const char *name;                    /* path as given, or "default" */
    const char *format;                  /* "v2-pt", ... */
    const char *family;                  /* "" when the file does not declare one */
    double cutoff;                       /* of the network, Angstrom */
    int num_charge_channels;             /* 1 closed shell, 2 open shell (takes a multiplicity) */
    int n_species;                       /* implemented elements ... */
    const int32_t *species;              /* ... ascending atomic numbers */
    int64_t n_parameters;                /* trained numbers */
    int needs_coulomb, needs_dispersion; /* attached externally by default */
    int has_embedded_coulomb,
        has_embedded_dispersion; /* long-range modules inside the model's own outputs */
    int supports_charged;        /* 1 yes, 0 no, -1 not declared */
    aimnet_coulomb_mode coulomb_mode;
    double coulomb_sr_rc;              /* Angstrom; 0 without an embedded short-range part */
    const char *coulomb_sr_envelope;   /* "exp", "cosine" or "" */
    double d3_s6, d3_s8, d3_a1, d3_a2; /* a2 in bohr; all 0 without d3_params */
} aimnet_model_info;
AIMNET_API aimnet_status aimnet_model_get_info(const aimnet_model *model, aimnet_model_info *info);

/* ---------------------------------------------------------------- calculators */

typedef struct aimnet_calc aimnet_calc;

typedef enum aimnet_precision { AIMNET_SINGLE = 0, AIMNET_DOUBLE = 1 } aimnet_precision;
typedef enum aimnet_coulomb {
    AIMNET_COULOMB_SIMPLE,
    AIMNET_COULOMB_DSF,
    AIMNET_COULOMB_EWALD,
    AIMNET_COULOMB_PME
} aimnet_coulomb;

/* Fill with aimnet_options_default() and change what you need. */
typedef struct aimnet_options {
    /* set by aimnet_options_default(); lets old programs run with newer libraries */
    size_t struct_size;
    /* "cpu" (default), "cuda" or "cuda:N" (card N; DEVICE if that is not possible), or "auto": a GPU
     * if there is one that can be used, else the CPU */
    const char *device;
    /* network arithmetic; energies, coordinates and long-range sums are always double */
    aimnet_precision precision;
    int threads; /* 0: one per available processor */
    /* non-periodic systems up to this many atoms build their list from all pairs (default 120) */
    int nb_threshold;
    int needs_coulomb;      /* -1 (default): as the model's metadata says; 0 or 1 override it */
    int needs_dispersion;   /* likewise */
    aimnet_coulomb coulomb; /* default SIMPLE */
    double coulomb_cutoff;  /* DSF, Angstrom, default 15 */
    double dsf_alpha;       /* 1/Angstrom, default 0.2 */
    double ewald_accuracy;  /* 0 (default): 1e-8 for Ewald, 1e-6 for PME */
    double d3_cutoff;       /* Angstrom, default 15 */
    /* width of the switching window as a fraction of the cutoff, default 0.2; 0: none */
    double d3_smoothing;
    const double *d3_params; /* NULL: the model's; else {s6, s8, a1, a2} copied at creation */
    int mixed_families;      /* 1: allow an ensemble of models of different families */
    /* most atoms evaluated together (at least one system); 0: chosen by the library */
    int64_t batch_atoms;
    /* GPU: 1: launches every kernel by itself; 0 (default): batches whose shape repeats are recorded as
     * a CUDA graph and replayed, with the same results; with Ewald or PME sums while cells stay, up to
     * 256 systems; not in slabs, whose kernels take far longer than launching them */
    int no_graph;
    /* GPU, single precision: 1: products of a network's layers from operands of 11 bits (those of TF32;
     * sums in float) instead of float32 accuracy: errors in docs/numerics.md;
     * 0 (default): float32 accuracy. ARG without a GPU or in double precision */
    int fast;
    /* GPU: most bytes of its memory for the arrays of an evaluation; 0 (default): what is free. Crystals
     * whose activations do not fit are computed in slabs, with the same results, the faster the more
     * there is, and take all but a sixteenth of it if they can; what does not fit at all is a MEMORY error */
    size_t device_memory;
} aimnet_options;
AIMNET_API aimnet_options aimnet_options_default(void);

/* Creates a calculator for one model or an ensemble of n_models (mean and population standard
 * deviation are reported). The models must outlive the calculator. options: NULL for the defaults.
 * Errors: ARG, MODEL, MEMORY, DEVICE, UNSUPPORTED. */
AIMNET_API aimnet_status aimnet_calc_create(aimnet_model *const *models, int n_models,
                                            const aimnet_options *options, aimnet_calc **calc);
AIMNET_API void aimnet_calc_free(aimnet_calc *calc);

/* Changes of a calculator, as if it had been created with other options; nothing changes on
 * failure (ARG, MEMORY, UNSUPPORTED). AIMNET_DEFAULT for a number: the default of aimnet_options.
 * A method that a model cannot take (none or an embedded Coulomb) is noted in
 * aimnet_calc_warnings(). */
#define AIMNET_DEFAULT (-1.0)
/* cutoff and dsf_alpha: of DSF; ewald_accuracy: of Ewald and PME; the others ignore them. */
AIMNET_API aimnet_status aimnet_calc_set_lrcoulomb_method(aimnet_calc *calc, aimnet_coulomb method,
                                                          double cutoff, double dsf_alpha,
                                                          double ewald_accuracy);
/* Both cutoffs: DSF's (which shifts energy and force to zero there; other Coulomb methods have
 * none) and that of D3, whose switching window goes with it. */
AIMNET_API aimnet_status aimnet_calc_set_lr_cutoff(aimnet_calc *calc, double cutoff);
/* smoothing: width of the switching window as a fraction of the cutoff; 0: none. */
AIMNET_API aimnet_status aimnet_calc_set_dftd3_cutoff(aimnet_calc *calc, double cutoff,
                                                      double smoothing);

/* A neighbour matrix from elsewhere, in the form of aimnet_nlist.h: nbmat[n_rows][width] of
 * neighbours in any order with n_atoms as padding, n_rows = n_atoms or n_atoms + 1;
 * shifts[n_rows][width][3] or NULL (no shifts); every pair and its opposite. Pairs beyond `cutoff`
 * are allowed (a skin), pairs within it must all be there: that is the caller's word, which
 * aimnet_nlist_check() verifies. nbmat NULL: not given. */
typedef struct aimnet_list {
    const int32_t *nbmat, *shifts;
    int32_t n_rows, width;
    double cutoff; /* Angstrom; INFINITY: all pairs */
} aimnet_list;

/* Lists of a structure, which then need not be found; results are the same to the bit. Those that
 * are not given are found as usual. `lr` serves Coulomb and D3 where their own list is missing; a
 * list that is too short for its purpose, or breaks a rule, is that structure's error. */
typedef struct aimnet_lists {
    aimnet_list network;            /* nbmat: of the network and the short-range terms */
    aimnet_list lr, coulomb, dftd3; /* nbmat_lr, nbmat_coulomb, nbmat_dftd3 */
} aimnet_lists;

/* One structure. Everything is borrowed for the duration of the call and never changed. */
typedef struct aimnet_system {
    int32_t n_atoms;
    /* [n_atoms] atomic numbers; 0 is padding: it has no effect and gets zero results */
    const int32_t *numbers;
    const double *coord; /* [n_atoms][3] Angstrom */
    const double *cell;  /* [3][3] row vectors, or NULL */
    int pbc[3];          /* periodic axes; ignored without a cell */
    double charge;       /* total charge, e */
    double mult;         /* spin multiplicity 2S+1; 0 means 1 */
    /* neighbours of the caller, or NULL; not for structures with padding */
    const aimnet_lists *lists;
} aimnet_system;

enum { AIMNET_MESSAGE_SIZE = 512 };

/* Parameters that a Coulomb energy was computed with; 0 where its method has none. Those of Ewald
 * and PME follow from the accuracy and the crystal. */
typedef struct aimnet_coulomb_params {
    double accuracy; /* Ewald, PME */
    double alpha;    /* DSF, Ewald, PME: damping or splitting, 1/Angstrom */
    double cutoff;   /* the same: of the pairs in real space, Angstrom */
    double k_cutoff; /* Ewald: longest wave vector, 1/Angstrom */
    int order;       /* PME: of the splines */
    int mesh[3];     /* PME: points along the vectors of the reduced cell */
} aimnet_coulomb_params;

/* Results of one structure. A pointer that is not NULL asks for that quantity; the caller owns all
 * buffers. Zero-initialise, set the pointers, call. `status` and `message` say why a structure
 * failed; nothing else is written then. */
typedef struct aimnet_result {
    aimnet_status status;
    double energy;            /* always computed */
    double energy_network;    /* with everything embedded in the model */
    double energy_coulomb;    /* external Coulomb; 0 if none */
    double energy_dispersion; /* external D3; 0 if none: the three add up to energy */
    double energy_std;        /* population standard deviation over the ensemble; 0 for one model */
    double *forces;           /* [n_atoms][3] */
    double *charges;          /* [n_atoms] */
    double *spin_charges; /* [n_atoms]; models with two charge channels only, untouched otherwise */
    double *dipole; /* [3]  sum q r, with the origin of the model's Dipole output if it has one */
    double *quadrupole;  /* [6]  xx yy zz (without their mean) xy yz zx */
    double *stress;      /* [3][3] (1/V) dE/dstrain; periodic systems */
    double *forces_std;  /* [n_atoms][3] ensembles */
    double *charges_std; /* [n_atoms] ensembles */
    /* [3 n_atoms][3 n_atoms] d2E/dr dr, eV/A^2, exactly symmetric; rows in blocks and products with
     * vectors: aimnet_deriv.h */
    double *hessian;
    /* how it was computed */
    aimnet_coulomb coulomb_method;      /* method used for the external Coulomb energy */
    int has_coulomb, has_dispersion;    /* whether an external part was added */
    char message[AIMNET_MESSAGE_SIZE];  /* why the structure failed, or "" */
    char warnings[AIMNET_MESSAGE_SIZE]; /* lines separated by '\n', or "" */
    aimnet_coulomb_params coulomb;      /* of the external Coulomb energy */
} aimnet_result;

/* Evaluates n_systems structures together. A structure's results do not depend, bit for bit, on the
 * others in the call, on their order, on the number of threads or on earlier calls. Returns OK if
 * all succeeded, SOME_FAILED if at least one structure failed (its result says why; the others are
 * valid), or another code if the call as a whole failed. */
AIMNET_API aimnet_status aimnet_calc_eval(aimnet_calc *calc, const aimnet_system *systems,
                                          int n_systems, aimnet_result *results);

/* Named further outputs of the model (for example "e_rep"), of an ensemble those that every member
 * has: count, names and widths; then values (means over the ensemble) of the last evaluation's
 * system `system`. per_atom: 1 = [n_atoms][width], 0 = [width]. */
AIMNET_API int aimnet_calc_output_count(const aimnet_calc *calc);
AIMNET_API aimnet_status aimnet_calc_output_info(const aimnet_calc *calc, int index,
                                                 const char **name, int *per_atom, int *width);
AIMNET_API aimnet_status aimnet_calc_output_get(const aimnet_calc *calc, int index, int system,
                                                double *values, size_t capacity);

/* Bytes that aimnet_calc_eval would hold at its peak for these systems, weights excluded; of a
 * calculator with a GPU those on the GPU. Computes nothing else. */
AIMNET_API aimnet_status aimnet_calc_memory_estimate(aimnet_calc *calc,
                                                     const aimnet_system *systems, int n_systems,
                                                     int want_forces, size_t *bytes);

/* What the calculator adds outside the model, and how; see also aimnet_result for what a periodic
 * system really got. */
AIMNET_API int aimnet_calc_has_external_coulomb(const aimnet_calc *calc);
AIMNET_API int aimnet_calc_has_external_dftd3(const aimnet_calc *calc);
AIMNET_API aimnet_coulomb aimnet_calc_coulomb_method(const aimnet_calc *calc);
/* Of DSF; infinite for methods without a cutoff. */
AIMNET_API double aimnet_calc_coulomb_cutoff(const aimnet_calc *calc);
AIMNET_API double aimnet_calc_dftd3_cutoff(const aimnet_calc *calc);
/* "cpu", or the name of the GPU in use. */
AIMNET_API const char *aimnet_calc_device(const aimnet_calc *calc);
/* Notes about the combination of models and options ('\n'-separated), or "". */
AIMNET_API const char *aimnet_calc_warnings(const aimnet_calc *calc);

#ifdef __cplusplus
}
#endif
#endif

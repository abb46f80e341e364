/* SPDX-License-Identifier: MIT */
/* model.h - a validated model: hyper-parameters, metadata, an ordered program of outputs, and
 * weights as plain arrays.
 *
 * Everything that evaluates (net, term, calc) reads this struct and nothing of files; everything
 * that reads files ends here. Weights keep the values of the file: float32 stays float32 (widened
 * exactly for double precision), atomic shifts are float64. Immutable after load. Refused by
 * aim_model_build with a message: unknown classes or arguments, wrong shapes, missing or extra
 * tensors, NaN or infinite weights (rows of elements that are not implemented excepted: these are
 * zeroed), rc_v or nshifts_v that differ from the scalar ones. */
#ifndef AIM_MODEL_MODEL_H
#define AIM_MODEL_MODEL_H

#include "base/alloc.h"
#include "point/envelope.h"

enum { AIM_MAX_LAYERS = 16, AIM_MAX_PASSES = 16, AIM_MAX_OUTPUTS = 64, AIM_MAX_SPECIES = 128 };

/* y = act(x W^T + b), act = exact GELU, or none */
typedef struct aim_linear {
    int n_in, n_out;
    const float *weight; /* [n_out][n_in] */
    const float *bias;   /* [n_out]; NULL: none */
    int gelu;            /* followed by GELU */
} aim_linear;

typedef struct aim_mlp {
    int n_layers;
    aim_linear layer[AIM_MAX_LAYERS];
} aim_mlp;

/* The keys that outputs read and write are resolved to value slots when the model is built: a key
 * written twice gets a new slot, so an output's `in` and `out` never alias and the backward pass is
 * the program in reverse. */
typedef enum aim_value_kind {
    AIM_VALUE_ATOM,  /* [n_atoms][width] */
    AIM_VALUE_SYSTEM /* [n_systems][width] */
} aim_value_kind;
enum { AIM_SLOT_AIM = 0, AIM_SLOT_CHARGES = 1, AIM_SLOT_SPIN_CHARGES = 2, AIM_SLOT_FIRST_FREE = 3 };
typedef struct aim_slot {
    char key[64]; /* data key of the reference: "energy", "charges", "dipole", ... */
    aim_value_kind kind;
    int width;
} aim_slot;

typedef enum aim_output_kind {
    AIM_OUT_MLP,          /* Output: out[atom][n_out] = mlp(in = AIM) */
    AIM_OUT_ATOMIC_SHIFT, /* out = in + shift[Z]; with reduce_sum the shifts are summed per system
                             first */
    AIM_OUT_ATOMIC_SUM,   /* out[system] = sum over atoms of in */
    AIM_OUT_DIPOLE,     /* out[system][3] = sum q r (centred at the mass centre if center_coord) */
    AIM_OUT_QUADRUPOLE, /* out[system][6] */
    AIM_OUT_SRCOULOMB,  /* out[system] = in - E_sr(charges) */
    AIM_OUT_SRREP,      /* out = in + E_rep */
    AIM_OUT_DISP_PARAM, /* out[atom][2] = disp_param0[Z] * exp(clamp(in, -4, 4)) */
    AIM_OUT_D3TS,       /* out[system] = in + E(disp_param) */
    AIM_OUT_LRCOULOMB,  /* out[system] = in + E_full(charges) - (subtract_sr ? E_sr : 0) */
    AIM_OUT_DFTD3       /* out[system] = in + E_D3 */
} aim_output_kind;

/* D3 reference data of a file, in the layout of term's aim_d3_table: element z has the references
 * first[z] .. first[z + 1] - 1. */
typedef struct aim_d3_data {
    int n_elements, n_refs;
    const double *rcov, *r4r2; /* [n_elements] bohr */
    const int32_t *first;      /* [n_elements + 1] */
    const double *cn;          /* [n_refs] */
    const double *c6;          /* [n_refs][n_refs] hartree bohr^6, symmetric */
    const double *cn_max;      /* [n_elements] of TorchScript models, which clamp coordination
                                    numbers; else NULL */
} aim_d3_data;

typedef struct aim_output {
    char name[64]; /* key of the module in the YAML */
    aim_output_kind kind;
    int in;      /* slot of key_in (charges, disp_param, energy ...); -1: none */
    int base;    /* slot of the old value of key_out that this output adds to; -1: key_out did not
                    exist */
    int out;     /* slot written */
    aim_mlp mlp; /* MLP */
    const double *shift; /* ATOMIC_SHIFT: [n_table] float64 */
    int n_table;         /* rows of shift / params / disp_param0 / r4r2 */
    int reduce_sum;      /* ATOMIC_SHIFT, SRREP */
    int center_coord;    /* DIPOLE, QUADRUPOLE */
    const double *table; /* mass [n], SRREP params [n][2], DISP_PARAM [n][2], D3TS r4r2 [n] */
    double rc;           /* SRCOULOMB, SRREP, LRCOULOMB: float32 value of the file, widened */
    double yaml_rc;      /* SRCOULOMB: of the YAML, which only has to agree with the metadata */
    aim_envelope envelope;
    int subtract_sr; /* LRCOULOMB */
    int method;      /* LRCOULOMB: aimnet_coulomb */
    double dsf_alpha, dsf_rc, ewald_accuracy;
    double s6, s8, a1, a2;    /* D3TS, DFTD3 */
    double cutoff, smoothing; /* DFTD3: Angstrom, fraction */
    aim_d3_data *d3;          /* DFTD3: the file's own tables, owned by the model */
} aim_output;

typedef struct aim_conv {
    int n_channels;   /* nfeature, or charge channels */
    int ncomb;        /* ncomb_v */
    const float *agh; /* [n_channels][nshifts][ncomb] */
} aim_conv;

struct aimnet_model {
    aim_alloc alloc;
    /* provenance */
    char *name;       /* path or "default" */
    char format[16];  /* "v2-pt", ... */
    char *yaml;       /* model_yaml as in the file */
    size_t file_size; /* the file's SHA-256 is computed when asked for: aim_model_sha256 */
    /* metadata (reference: ModelMetadata) */
    double cutoff;
    int needs_coulomb, needs_dispersion, has_embedded_lr, has_embedded_d3ts;
    int coulomb_mode;             /* aimnet_coulomb_mode */
    double coulomb_sr_rc;         /* 0: absent */
    char coulomb_sr_envelope[16]; /* "" absent */
    int all_pairs; /* embedded long-range parts run over all pairs (TorchScript models) */
    int has_d3_params;
    double d3_s6, d3_s8, d3_a1, d3_a2;
    int n_species;
    int32_t species[AIM_MAX_SPECIES];
    unsigned char implemented[AIM_MAX_SPECIES]; /* [Z] */
    char *family;                               /* "" when absent */
    int supports_charged;                       /* 1, 0, -1 */
    /* network */
    double charge_epsilon; /* in the denominator of the charge equilibration: 1e-6 */
    int nfeature, nshifts, ncomb_v, d2features, n_charge, n_pass, aim_size;
    int n_embed;      /* rows of the embedding (64) */
    const float *afv; /* [n_embed][nfeature * nshifts] with d2features, else [n_embed][nfeature] */
    double rc, eta;   /* float32 values of the file, widened */
    const float *shifts; /* [nshifts] */
    aim_conv conv_a, conv_q;
    aim_mlp mlp[AIM_MAX_PASSES];
    /* outputs */
    int n_outputs, n_slots, energy_slot; /* slot of the final "energy" (AIM_VALUE_SYSTEM); -1 is
                                            refused by the builder */
    aim_output output[AIM_MAX_OUTPUTS];
    aim_slot slot[AIM_SLOT_FIRST_FREE + AIM_MAX_OUTPUTS];
    int64_t n_parameters;
    void *weights; /* the one block behind all const arrays above, 64-byte aligned inside */
    void
        *origin; /* struct aim_model_origin: tensors with names, dtypes and shapes for inspection */
};
typedef struct aimnet_model aim_model;

/* What a model is read from. */
typedef struct aim_model_bytes {
    const unsigned char *bytes; /* the file with the weights */
    size_t size;
    const unsigned char *config; /* the description beside it; NULL: none */
    size_t config_size;
    const char *config_name;   /* for messages */
    const unsigned char *base; /* a v2 file that describes the weights where config.json does not;
                                  NULL: none */
    size_t base_size;
    const char *base_name; /* for messages */
} aim_model_bytes;

/* bytes of a model file -> model; nothing of the bytes is referenced afterwards. name: for messages
 * and info. Errors: FORMAT, MODEL, MEMORY. *model is NULL on failure. */
AIM_NODISCARD aim_status aim_model_build(const aim_alloc *a, const aim_model_bytes *in,
                                         const char *name, aim_model **model);
void aim_model_free(aim_model *model);

#endif

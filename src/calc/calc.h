/* SPDX-License-Identifier: MIT */
/* calc.h - a calculator: models with their packed networks, what is attached to them, and
 * workspaces that grow and are reused.
 *
 * plan.c decides once what every member of the ensemble needs; check.c judges one structure;
 * batch.c makes flat batches of those that pass; program.c runs a model's outputs forward and
 * backward; eval.c joins network, program and external terms and writes results. */
#ifndef AIM_CALC_CALC_H
#define AIM_CALC_CALC_H

#include "base/text.h"
#include "net/net.h"
#include "term/term.h"

enum { AIM_MAX_SLOTS = AIM_SLOT_FIRST_FREE + AIM_MAX_OUTPUTS };

/* Terms among the outputs that a device computes, by number; -1: none. dispersion: D3 or D3TS. */
typedef struct aim_embedded {
    int known; /* and there is no other */
    int sr, coulomb, dispersion, repulsion;
} aim_embedded;

/* One model of the ensemble. */
typedef struct aim_member {
    const aim_model *model;
    void *net;
    void *device_net;      /* the same on the calculator's device; NULL: computes on the CPU */
    int device_sweeps;     /* the device also computes its tangents */
    aim_embedded embedded; /* with a device */
    size_t device_gradient, device_folded; /* numbers of its sums, and of aim_dev_places.folded */
    int coulomb,
        subtract_sr; /* external Coulomb; minus its short-range part when the model embeds none */
    double sr_rc;
    aim_envelope sr_envelope;
    int dispersion;
    aim_d3_params d3;
    unsigned char live[AIM_MAX_SLOTS]; /* slot contributes to the energy */
    int dipole_slot, quadrupole_slot;  /* -1: the model has no such output */
    int extra_slot[AIM_MAX_OUTPUTS];   /* of the calculator's further outputs */
} aim_member;

/* Neighbours of one range: pairs where the caller gives them or second derivatives need them, else
 * clusters; neither: all pairs. */
typedef struct aim_range_list {
    const aim_pairs *pairs;
    const aim_clusters *clusters;
    double reach; /* pairs that count are closer; 0: all */
} aim_range_list;

/* Coulomb method and lists of one batch: they depend on whether its systems are periodic. */
typedef struct aim_range_plan {
    aimnet_coulomb method;
    double coulomb_cutoff, dsf_alpha; /* DSF */
    double ewald_accuracy;            /* Ewald, PME */
    int converted;                    /* `simple` became DSF because the system is periodic */
    aim_range_list coulomb, d3;
    double d3_reach; /* pairs that count for D3 are closer; INFINITY: all */
} aim_range_plan;

/* A named further output that every member has, kept (as the mean) after an evaluation. */
typedef struct aim_extra {
    char name[64];
    int per_atom, width;
} aim_extra;

/* Where one output of one system stands in kept_values; size 0: the system failed. */
typedef struct aim_kept {
    size_t start, size;
} aim_kept;

/* What a call has seen of a structure of the caller's, which are far apart in memory and are read once:
 * batches are chosen and laid out by these. */
typedef struct aim_note {
    int32_t places, atoms; /* with padding and without */
    unsigned char wrong, periodic, lists;
    unsigned char large; /* aim_check_allocates */
    unsigned char ahead; /* its atoms stand where aim_flatten_ahead has made room */
    unsigned char wants; /* AIM_WANTS_ bits */
} aim_note;

enum { AIM_WANTS_GRAD = 1, AIM_WANTS_STRAIN = 2, AIM_WANTS_HESSIAN = 4, AIM_WANTS_MULTIPOLES = 8 };

/* Elements as bits. */
enum { AIM_ELEMENT_WORDS = (AIM_MAX_SPECIES + 63) / 64 };
typedef _Atomic uint64_t aim_elements[AIM_ELEMENT_WORDS];

/* Flat batch with its own storage. */
typedef struct aim_flat {
    aim_batch batch;
    /* for a device: the elements of the batch, and the number of each atom's among them */
    aim_dev_kinds kinds;
    const int32_t *kind;       /* [n_atoms]; NULL: no device */
    int32_t *index;            /* [n_systems] the caller's number of each system */
    int32_t largest;           /* atoms of the largest system */
    const aimnet_lists *lists; /* the caller's; a system that has them is a batch of its own */
    /* of a device, with slabs or wires: [n_systems][9] cells that are periodic along all axes */
    double *closed;
    int closes;
    int32_t ahead; /* structures that aim_flatten_ahead has made room for */
    aim_arena arena;
} aim_flat;

/* Everything one member computes for one batch; all in double. */
typedef struct aim_values {
    double *slot[AIM_MAX_SLOTS];    /* values */
    double *adjoint[AIM_MAX_SLOTS]; /* of per-atom slots */
    double *q, *spin, *gq, *gspin;
    double *grad, *strain;
    double *coulomb, *dispersion,
        *scrap; /* [n_systems] external energies; energies nobody asked for */
    /* energies from a device of terms among the outputs: [n_systems]; [n_atoms] */
    double *embedded_coulomb, *embedded_dispersion, *repulsion, *repulsion_atom;
    aim_arena arena;
} aim_values;

/* Ensemble averages of one batch (Welford: mean and sum of squared deviations). */
typedef struct aim_average {
    double *energy, *energy_m2, *network, *coulomb, *dispersion, *dipole,
        *quadrupole; /* per system */
    double *grad, *grad_m2, *q, *q_m2, *spin, *strain;
    aim_arena arena;
} aim_average;

struct aimnet_calc {
    aim_alloc alloc;
    aimnet_options options; /* resolved; pointers cleared */
    int n_members;
    aim_member *member;
    const aim_net_ops *ops;
    aim_team *team;
    aim_nlist *nlist;
    aim_pairs pairs, pairs_coulomb, pairs_d3;
    aim_clusters clusters_coulomb, clusters_d3;
    aim_d3_table *d3_table;
    aim_arena net_arena, scratch;
    aim_arena tan_arena, tangents; /* of the network, of everything else */
    aim_parameters parameters;     /* of the only member; empty until asked for */
    aim_dev_places places;         /* of these on a device; likewise */
    aim_flat flat;
    aim_values values;
    aim_average average;
    aim_string warnings;
    /* further outputs of the last evaluation */
    int n_extra;
    aim_extra extra[AIM_MAX_OUTPUTS];
    int n_kept;     /* systems of the last evaluation */
    aim_kept *kept; /* [n_kept][n_extra] */
    double *kept_values;
    size_t kept_capacity, kept_values_capacity, kept_values_used;
    /* of the current call's structures, kept from call to call: those of the batch being chosen; notes
     * on all; how many of these are right (counted when all are noted: workers that share a counter
     * wait for it longer than they check), and their elements */
    int32_t *index;
    aim_note *note;
    size_t index_capacity;
    int32_t noted;
    aim_elements elements;
    unsigned char knows[AIM_MAX_SPECIES]; /* [Z] whether every model does */
    aim_device device;                    /* ops NULL: none */
    /* What the host has to do that no evaluation waits for: called once while the device is at the first
     * member's, or before it. fn NULL: nothing, or it has been done */
    struct {
        aim_status (*fn)(void *arg);
        void *arg;
        aim_status status;
    } meanwhile;
    /* May be called when all of the first systems of the batch is there, in `values`, while the device is at the
     * others, for which rest(of) waits (aim_dev_job). fn NULL: nothing */
    struct {
        void (*fn)(void *arg, int32_t systems, int (*rest)(void *of), void *of);
        void *arg;
        int added; /* the member's numbers are in the average */
    } some;
    /* what the current call wants on the host although there is a device: terms and lists; the
     * network as well */
    int host_terms, host_network;
    struct aim_resident *resident; /* the current call's arrays on the device; NULL: none */
    aim_arena resident_arena, resident_host; /* for calls between such arrays; by way of the host */
    int given; /* a device has computed the energies of the terms, with their gradients: `scrap` has
                  the short-range Coulomb energies, values.embedded_coulomb and so on the others */
};
typedef struct aimnet_calc aim_calc;

/* Angstrom: beyond, coordinates lose the digits that forces need */
#define AIM_CALC_FARTHEST   1e8
#define AIM_CALC_DSF_CUTOFF 15.0 /* Angstrom, of simple Coulomb that became DSF */

/* plan.c */
AIM_NODISCARD aim_status aim_plan_members(aim_calc *c, aimnet_model *const *models,
                                          const double d3_override[4]);
/* Methods, cutoffs and their notes; nothing changes on failure. options may be c->options. */
AIM_NODISCARD aim_status aim_plan_settings(aim_calc *c, const aimnet_options *options);
/* check.c: OK, or the reason in the thread's message; warnings (lines) are written to `warnings`.
 * */
AIM_NODISCARD aim_status aim_check_system(const aim_calc *c, const aimnet_system *s,
                                          const aimnet_result *r, char *warnings, size_t capacity);
int aim_check_allocates(const aimnet_system *s); /* else several may be checked at the same time */
/* Whether atoms are too close: part of the above, unless a device computes meanwhile. */
AIM_NODISCARD aim_status aim_check_overlap(const aim_calc *c, const aimnet_system *s);
AIM_NODISCARD aim_status aim_check_images(const aim_batch *b, const aim_pairs *pairs,
                                          int32_t system);
/* batch.c: fn(arg, k) for k in [0, n), structures, which workers share where there are many */
void aim_each_system(aim_team *team, int32_t n, void (*fn)(void *arg, int32_t k), void *arg);
/* Who shares the atoms of one of n structures: nobody where workers share these. */
aim_team *aim_team_within(aim_team *team, int32_t n);
/* Forgets all notes; notes structure k, which is right (several may be noted at the same time), but
 * does not count it. */
void aim_notes_begin(aim_calc *c);
void aim_note_system(aim_calc *c, const aimnet_system *s, int32_t k);
/* Makes room in c->flat for all of a call's structures, as if they were one batch of molecules without padding,
 * where that is likely; then each may be put there as soon as it is noted, while its numbers are in the processor's
 * cache. The batch is made anew if things are otherwise. */
void aim_flatten_ahead(aim_calc *c, const aimnet_system *systems, int32_t n);
void aim_flatten_one(aim_calc *c, const aimnet_system *s, int32_t k);
/* Flattens systems[index[0..n)], which are noted, into c->flat */
AIM_NODISCARD aim_status aim_flatten(aim_calc *c, const aimnet_system *systems,
                                     const int32_t *index, int32_t n);
/* close.c: fills `closed`, where that is possible. */
void aim_close_cells(const aim_calc *c, aim_flat *f);
/* The same for runs of neighbouring structures of one kind (periodic or not; those with lists of
 * the caller alone). Reserve for all n once; the message of a bad structure names it if there are
 * several. */
int aim_is_periodic(const aimnet_system *s);
AIM_NODISCARD aim_status aim_run_reserve(aim_calc *c, int32_t n);
/* Structures from `first` on that go together: as many as the option batch_atoms, or `most` if that
 * is 0, allows. */
int32_t aim_run_length(const aim_calc *c, const aimnet_system *systems, int32_t first, int32_t n,
                       int64_t most);
/* Makes first .. first + n - 1 the current batch, with the network's list unless a device sweeps and
 * nobody wants to know which of several crystals is wrong. */
AIM_NODISCARD aim_status aim_run_open(aim_calc *c, const aimnet_system *systems, int32_t first,
                                      int32_t n);
/* lists.c: the list for a purpose, of the caller or found */
typedef enum aim_purpose { AIM_FOR_NETWORK, AIM_FOR_COULOMB, AIM_FOR_D3 } aim_purpose;
AIM_NODISCARD aim_status aim_calc_pairs(aim_calc *c, aim_purpose purpose, double cutoff,
                                        int want_reverse, aim_pairs *pairs);
/* Whether two purposes have the same list when their cutoffs are the same. */
int aim_calc_same_source(const aim_calc *c, aim_purpose a, aim_purpose b);
/* Sums over all pairs need no list; those given for them must still hold all pairs. */
AIM_NODISCARD aim_status aim_calc_check_all_pairs(aim_calc *c);
/* program.c */
/* clear: what belongs to atoms and the strain are cleared; strain: the strain, in any case. */
void aim_values_layout(const aim_model *m, const aim_batch *b, int clear, int strain,
                       aim_arena *arena, aim_values *v);
AIM_NODISCARD aim_status aim_program_forward(aim_calc *c, const aim_member *member,
                                             const aim_range_plan *range, int want_grad);
/* Of outputs first .. last - 1 only; of the outputs before the first that needs more than the network. */
AIM_NODISCARD aim_status aim_program_some(aim_calc *c, const aim_member *member,
                                          const aim_range_plan *range, int want_grad, int first,
                                          int last);
int aim_program_of_network(const aim_model *m);
void aim_program_backward(const aim_member *member, const aim_batch *b, aim_values *v);
/* The same where adjoints do not depend on values: one number by slot, for all its atoms. */
void aim_program_backward_alike(const aim_member *member, double adjoint[AIM_MAX_SLOTS]);
aim_term_io aim_calc_term_io(aim_calc *c, const aim_range_list *list, double *energy, int live);
aim_term_io aim_calc_charge_io(aim_calc *c, const aim_range_list *list, const double *q, double *gq,
                               double *energy, int live);
static inline aim_range_list aim_calc_near(const aim_calc *c) /* the network's list */
{
    return (aim_range_list){.pairs = &c->pairs};
}
/* coulomb.c: the chosen method, or the short-range part */
AIM_NODISCARD aim_status aim_calc_coulomb(aim_calc *c, const aim_range_plan *range, const double *q,
                                          double *gq, int live, double *energy);
int aim_calc_has_waves(int method);                /* Ewald or PME */
double aim_calc_accuracy(const aimnet_options *o); /* of Ewald or PME, its default resolved */
/* What the method uses for a system, and the largest real-space cutoff of a batch. */
aimnet_coulomb_params aim_calc_coulomb_params(const aim_range_plan *range, const aim_batch *b,
                                              int32_t s);
double aim_calc_real_cutoff(const aim_batch *b, aimnet_coulomb method, double accuracy);
/* Real-space cutoff of a lattice sum for this structure; 0 without one. */
double aim_calc_reach(const aim_calc *c, const aimnet_system *s);
/* device.c */
typedef struct aim_wishes {
    int grad, strain, hessian; /* grad: 0, 1, AIM_NET_KEEP or AIM_NET_TRAIN */
    int multipoles;
    const struct aim_tangents *ahead; /* of AIM_NET_TRAIN, or NULL: a device may begin with these */
} aim_wishes;
/* Opens the device of the options and copies the members' networks to it. */
AIM_NODISCARD aim_status aim_device_start(aim_calc *c, const char *device);
void aim_device_stop(aim_calc *c);
/* Whether the device computes the whole of this member for the current batch: lists, terms, all. */
int aim_device_takes_all(const aim_calc *c, const aim_member *member);
/* Whether that evaluates as a whole, too: all values are assigned then. */
int aim_device_assigns(const aim_calc *c, const aim_member *member, aim_wishes want);
/* And its second derivatives; those of every member. */
int aim_device_sweeps_all(const aim_calc *c, const aim_member *member);
int aim_device_sweeps_batch(const aim_calc *c);
/* Whether overlapping atoms of a structure without lists are looked for while, or by what, a device
 * computes. */
int aim_device_defers_overlap(const aim_calc *c);
/* Does what c->meanwhile says, once. */
void aim_do_meanwhile(aim_calc *c);
AIM_NODISCARD aim_status aim_device_member(aim_calc *c, const aim_member *member,
                                           const aim_range_plan *range, aim_wishes want);
/* Whether the device computes this member's network in the current call. */
int aim_device_computes(const aim_calc *c, const aim_member *member);
/* *peak: at least the bytes on the device for the current batch. */
AIM_NODISCARD aim_status aim_device_estimate(aim_calc *c, aim_wishes want, size_t *peak);
/* Atoms of a batch that suit the device. */
int64_t aim_device_batch(const aim_calc *c);
/* batch.c: most atoms of a batch; structures [*next, n) that are noted, of one kind, up to so many: their number, and what
 * is wanted of any. One with lists of the caller is alone. */
int64_t aim_batch_limit(const aim_calc *c);
int32_t aim_choose_batch(const aim_calc *c, const aimnet_system *systems, int n, int periodic,
                         int32_t *next, int32_t *index, aim_wishes *want);
/* eval.c */
/* Terms outside the model, into c->values. */
AIM_NODISCARD aim_status aim_calc_external(aim_calc *c, const aim_member *member,
                                           const aim_range_plan *range, int want_grad);
AIM_NODISCARD aim_status aim_calc_run(aim_calc *c, const aimnet_system *systems, int n,
                                      aimnet_result *results);
AIM_NODISCARD aim_status aim_calc_estimate(aim_calc *c, const aimnet_system *systems, int n,
                                           int want_forces, size_t *bytes);

#endif

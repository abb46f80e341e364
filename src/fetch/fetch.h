/* SPDX-License-Identifier: MIT */
/* fetch.h - from a model's name to its place in the cache, with or without a download; and what the
 * registry says about a model's family. */
#ifndef AIM_FETCH_FETCH_H
#define AIM_FETCH_FETCH_H

#include "fetch/cache.h"
#include "fetch/download.h"
#include "fetch/name.h"
#include "io/names.h"
#include "model/model.h"

typedef struct aim_fetch {
    const aim_alloc *alloc;
    const aim_registry *reg;
    int allow_unverified; /* accept what no digest was published for, and pin what is seen */
    const char *token, *revision;
    int64_t max_bytes;
    int retries;
    double wait_seconds, stall_seconds;
    aim_progress progress;
    void *user;
} aim_fetch;

/* Where the files of a name are. */
typedef struct aim_place {
    aim_string path; /* a file, or a folder of safetensors */
    int member;      /* of a folder */
    int family;      /* of the registry, or -1 */
    char digest[65]; /* what the weights must have, or "" */
} aim_place;
void aim_place_free(aim_place *p, const aim_alloc *a);

/* The place of one model; nothing is downloaded. member: used where the name does not say it.
 * Errors: FILE with what to fetch and where to put it, ARG for a member that does not exist and for
 * ":all". A PATH is not opened. */
AIM_NODISCARD aim_status aim_place_find(const aim_alloc *a, const aim_registry *reg,
                                        const aim_model_name *n, int member, aim_place *p);
/* Downloads what is missing or damaged of one model (the member in the name, else 0). */
AIM_NODISCARD aim_status aim_place_fetch(const aim_fetch *f, const aim_model_name *n, aim_place *p);
/* The file of the registry that describes the weights at `place`, where their config.json (text,
 * named `config_name` in messages) leaves that to the registry; base->path is empty where it does
 * not. Errors: FORMAT, MODEL; FILE as aim_place_find. */
AIM_NODISCARD aim_status aim_place_describer(const aim_alloc *a, const aim_registry *reg,
                                             const aim_model_name *n, const aim_place *place,
                                             aim_slice text, const char *config_name,
                                             aim_place *base);
/* How many models NAME:all is. Of repositories and folders those that are there; with `f` a
 * repository's description is downloaded and asked. */
AIM_NODISCARD aim_status aim_count_members(const aim_alloc *a, const aim_registry *reg,
                                           const aim_fetch *f, const aim_model_name *n, int *count);

/* Applies what the registry says about the family (number, or -1: the one that the model names) to
 * a loaded model. Errors: MODEL where the two contradict each other. */
AIM_NODISCARD aim_status aim_family_apply(const aim_registry *reg, int family, aim_model *m);

#endif

/* SPDX-License-Identifier: MIT */
/* name.h - what a user's word for a model means.
 *
 *     default                      the built-in model
 *     ./x.pt  ../x  /x             a file or folder, whatever else has that name
 *     aimnet2  aimnet2-nse_3       the registry: a model or alias
 *     x.pt                         a file or folder that exists
 *     owner/name[@revision]        a repository of Hugging Face
 *     WORD:K  WORD:all             member K of the family, repository or folder; all of them */
#ifndef AIM_FETCH_NAME_H
#define AIM_FETCH_NAME_H

#include "fetch/registry.h"

typedef enum aim_name_kind {
    AIM_NAME_BUILTIN,
    AIM_NAME_REGISTRY,
    AIM_NAME_HUB,
    AIM_NAME_PATH
} aim_name_kind;

enum { AIM_MEMBER_NONE = -1, AIM_MEMBER_ALL = -2, AIM_MAX_MEMBERS = 64 };

typedef struct aim_model_name {
    aim_name_kind kind;
    const char *text;
    size_t size;          /* of the text without ":K"; HUB: of "owner/name" */
    int member;           /* K, AIM_MEMBER_NONE or AIM_MEMBER_ALL */
    int model;            /* REGISTRY: the model that the word stands for */
    const char *revision; /* HUB: behind '@', `revision_size` bytes; NULL: not said */
    size_t revision_size;
} aim_model_name;

/* Always finds a meaning: what is nothing else is a PATH. */
aim_model_name aim_model_name_of(const aim_registry *reg, const char *text);

/* The listed name or alias that is most like the text, or NULL. */
const char *aim_name_suggestion(const aim_registry *reg, const char *text);

#endif

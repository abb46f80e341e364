/* SPDX-License-Identifier: MIT */
/* hub.h - repositories of Hugging Face in the cache. Private to src/fetch. */
#ifndef AIM_FETCH_HUB_H
#define AIM_FETCH_HUB_H

#include "fetch/fetch.h"

/* Folder of the repository in the cache. revision: used where the name has none; NULL: "main". */
AIM_NODISCARD aim_status aim_hub_folder(const aim_alloc *a, const aim_model_name *n,
                                        const char *revision, aim_string *folder);
AIM_NODISCARD aim_status aim_hub_url(const aim_alloc *a, const aim_model_name *n,
                                     const char *revision, const char *file, aim_string *url);
/* Downloads what is missing: config.json, and the weights of a member (-1: only the description). */
AIM_NODISCARD aim_status aim_hub_fetch(const aim_fetch *f, const aim_model_name *n, int member,
                                       const char *folder);
/* The model of the registry that describes a member where config.json (text, named `name` in
 * messages) leaves that to the registry: member_names[member], else member of the family that
 * family_name, or else the repository's name (size bytes), says. *model -1: config.json describes
 * itself. Errors: FORMAT, MODEL, MEMORY. */
AIM_NODISCARD aim_status aim_hub_describer(const aim_alloc *a, const aim_registry *reg,
                                           aim_slice text, const char *name, aim_slice repository,
                                           int member, int *model);
/* Number of members that a folder's config.json promises. */
AIM_NODISCARD aim_status aim_hub_promised(const aim_alloc *a, const char *folder, int *count);

#endif

/* SPDX-License-Identifier: MIT */
/* json_tree.h - a JSON document as the tree of values that pickles have, so that one reader serves
 * the metadata of every file format. */
#ifndef AIM_IO_JSON_TREE_H
#define AIM_IO_JSON_TREE_H

#include "io/pickle_write.h"

/* The document must be an object of at most 4 MiB whose keys are distinct at every level (512 per
 * object). *bytes (freed by the caller after the tree) holds the strings. name: for messages.
 * Errors: FORMAT, MEMORY. Both are empty after a failure. */
AIM_NODISCARD aim_status aim_json_tree(const aim_alloc *a, aim_slice text, const char *name,
                                       aim_pickle *tree, aim_string *bytes);

#endif

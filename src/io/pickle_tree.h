/* SPDX-License-Identifier: MIT */
/* pickle_tree.h - how the values of a pickle lie in memory: private to pickle.c, which builds them,
 * and pickle_tree.c, which reads them.
 *
 * Values are numbered nodes of 16 bytes. A container's items are cells in a singly linked list, so
 * that a value can be an item of several containers, which the memo of a pickle allows. */
#ifndef AIM_IO_PICKLE_TREE_H
#define AIM_IO_PICKLE_TREE_H

#include "io/pickle.h"

#define AIM_NO_CELL UINT32_MAX

struct aim_pickle_node {
    unsigned char kind;
    uint32_t count; /* items, or bytes of a string */
    union {
        int64_t i;
        double f;
        uint64_t text; /* offset in the pickle */
        struct {
            uint32_t first, last;
        } list;
    } u;
};

struct aim_pickle_cell {
    aim_ref value;
    uint32_t next;
};

#endif

/* SPDX-License-Identifier: MIT */
/* comment.h - the second line of an (extended) XYZ frame as key=value pairs. */
#ifndef AIM_IO_COMMENT_H
#define AIM_IO_COMMENT_H

#include "base/alloc.h"
#include "io/scan.h"

typedef struct aim_pair {
    aim_span key, value; /* without quotes and escapes; also NUL-terminated */
    int has_value;       /* 0: a bare key, which means "true" */
} aim_pair;

typedef struct aim_comment {
    aim_pair *pairs;
    size_t n_pairs;
    int extended; /* surely meant as extended XYZ: has Properties or Lattice, or consists of
                     key=value pairs only */
    char *text;   /* of the pairs */
    size_t text_capacity, pairs_capacity;
} aim_comment;

/* Never fails on content: any text is some list of pairs. c is zero-initialised or from an earlier
 * call. */
AIM_NODISCARD aim_status aim_comment_parse(aim_comment *c, const aim_alloc *alloc, aim_span line);
void aim_comment_free(aim_comment *c, const aim_alloc *alloc);
/* The last pair with this very key that has a value, or NULL. */
const aim_pair *aim_comment_find(const aim_comment *c, const char *key);

/* Splits a value at white space and commas; numbers only. Returns how many there are, -1 if one of
 * them is not a number or there are more than capacity. */
int aim_value_doubles(aim_span value, double *x, int capacity);
/* One word for all axes or one for each: T F true false True False TRUE FALSE or numbers; 1 on
 * success. */
int aim_value_flags(aim_span value, int flags[3]);

#endif

/* SPDX-License-Identifier: MIT */
/* pickle_write.h - plain values as a pickle of protocol 2, the form that torch.save and pickle.c
 * know.
 *
 *     aim_pickle_out out = {.alloc = a};
 *     aim_put_begin(&out);
 *     aim_put_open(&out, AIM_PICKLE_DICT);
 *     aim_put_text(&out, "cutoff");  aim_put_float(&out, 5.0);
 *     aim_put_close(&out, AIM_PICKLE_DICT);
 *     AIM_TRY(aim_put_end(&out));                    // the status of everything above
 *
 * After a failure nothing more is written and the status stays. */
#ifndef AIM_IO_PICKLE_WRITE_H
#define AIM_IO_PICKLE_WRITE_H

#include "base/text.h"
#include "io/pickle.h"

typedef struct aim_pickle_out {
    const aim_alloc *alloc;
    aim_string bytes;
    aim_status status;
} aim_pickle_out;

void aim_put_begin(aim_pickle_out *out);
AIM_NODISCARD aim_status aim_put_end(aim_pickle_out *out);

void aim_put_none(aim_pickle_out *out);
void aim_put_bool(aim_pickle_out *out, int value);
void aim_put_int(aim_pickle_out *out, int64_t value);
void aim_put_float(aim_pickle_out *out, double value);
void aim_put_text(aim_pickle_out *out, const char *text);
void aim_put_slice(aim_pickle_out *out, aim_slice text); /* UTF-8 */
void aim_put_global(aim_pickle_out *out, const char *module, const char *name);
void aim_put_op(aim_pickle_out *out, int opcode);

/* DICT (keys and values), LIST, TUPLE: what is put between the two. */
void aim_put_open(aim_pickle_out *out, aim_pickle_kind kind);
void aim_put_close(aim_pickle_out *out, aim_pickle_kind kind);

/* A value of a tree: None, booleans, numbers, strings, and tuples, lists and dicts of such. Errors:
 * MODEL for other kinds, for more than 16 levels, and for more than 16 MiB altogether. */
void aim_put_value(aim_pickle_out *out, const aim_pickle *tree, aim_ref value);
/* Whether aim_put_value can write it. */
int aim_pickle_is_plain(const aim_pickle *tree, aim_ref value);

#endif

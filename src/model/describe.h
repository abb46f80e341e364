/* SPDX-License-Identifier: MIT */
/* describe.h - a model in words: the pieces that the text and the JSON form share; private to
 * src/model and src/api. */
#ifndef AIM_MODEL_DESCRIBE_H
#define AIM_MODEL_DESCRIBE_H

#include "aimnet_model.h"
#include "base/text.h"
#include "model/model.h"
#include "model/origin.h"

/* Where a description is written. After a failure nothing more is written and `status` keeps it. */
typedef struct aim_writer {
    aim_string text;
    const aim_alloc *alloc;
    aim_status status;
} aim_writer;
void aim_write(aim_writer *w, const char *format, ...) AIM_PRINTF(2, 3);
/* A number with the digits that it needs as a double, or as a float32 where `single`; never locale
 * dependent. */
void aim_write_number(aim_writer *w, double value, int single);

/* Name of an output's class without its package, its options as `name=value` text pieces, and its
 * keys. */
const char *aim_output_class(const aim_output *out);
const char *aim_output_key_in(const aim_model *m, const aim_output *out); /* NULL: reads no key */
const char *aim_output_key_out(const aim_model *m, const aim_output *out);

/* One option of an output module. */
typedef struct aim_option {
    const char *name;
    const char *text; /* NULL: the number */
    double number;
    int is_flag;   /* number is a truth value */
    int is_single; /* number is a float32 */
} aim_option;
enum { AIM_MAX_OPTIONS = 12 };
int aim_output_options(const aim_output *out, aim_option options[AIM_MAX_OPTIONS]);

/* What a calculator adds to the model by itself, and why. */
typedef struct aim_attachment {
    const char *part;
    int attached;
    const char *why;
} aim_attachment;
enum { AIM_ATTACHMENTS = 2 };
void aim_model_attachments(const aim_model *m, aim_attachment out[AIM_ATTACHMENTS]);

const char *aim_coulomb_mode_name(int mode);

void aim_describe_json(aim_writer *w, const aim_model *m, const char *sha256);
void aim_describe_metadata(aim_writer *w, const aim_model *m);

#endif

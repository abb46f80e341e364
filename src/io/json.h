/* SPDX-License-Identifier: MIT */
/* json.h - a strict JSON reader that hands out one token after the other and allocates nothing.
 *
 *     aim_json j = aim_json_of(text, "config.json");
 *     do AIM_TRY(aim_json_next(&j)); while (j.kind != AIM_JSON_END);
 *
 * Accepted is RFC 8259: one value, UTF-8, at most 32 levels; numbers are decimal, integers fit in
 * 64 bits, doubles are finite. That keys are distinct is checked by whoever keeps them. */
#ifndef AIM_IO_JSON_H
#define AIM_IO_JSON_H

#include "io/names.h"

typedef enum aim_json_kind {
    AIM_JSON_END,
    AIM_JSON_OBJECT, /* "{" ... */
    AIM_JSON_OBJECT_END,
    AIM_JSON_LIST, /* "[" ... */
    AIM_JSON_LIST_END,
    AIM_JSON_KEY, /* text; its colon has been read */
    AIM_JSON_TEXT,
    AIM_JSON_INT,
    AIM_JSON_REAL,
    AIM_JSON_BOOL, /* i = 0 or 1 */
    AIM_JSON_NULL
} aim_json_kind;

enum { AIM_JSON_DEPTH = 32 };

typedef struct aim_json {
    aim_slice text;
    const char *name; /* of the document, for messages */
    size_t at;        /* of the next character */
    int depth, state;
    unsigned char is_object[AIM_JSON_DEPTH];
    /* the current token */
    aim_json_kind kind;
    size_t start;
    aim_slice value; /* KEY, TEXT: between the quotes; escapes as they stand */
    int escaped;     /* KEY, TEXT: there are escapes */
    int64_t i;
    double f; /* REAL; INT as well */
} aim_json;

aim_json aim_json_of(aim_slice text, const char *name);
/* Errors: FORMAT with the position. */
AIM_NODISCARD aim_status aim_json_next(aim_json *j);
/* A failure at the current token. */
AIM_NODISCARD aim_status aim_json_wrong(const aim_json *j, const char *what);
/* The characters that the current KEY or TEXT means: at most value.size bytes. Returns how many. */
size_t aim_json_unescape(const aim_json *j, char *out);

#endif

/* SPDX-License-Identifier: MIT */
/* cif_token.h - the words of a CIF file, across lines. */
#ifndef AIM_IO_CIF_TOKEN_H
#define AIM_IO_CIF_TOKEN_H

#include "aimnet_io.h"
#include "base/text.h"
#include "io/lines.h"
#include "io/scan.h"

typedef enum aim_cif_kind {
    AIM_CIF_END,
    AIM_CIF_DATA, /* text: the block's name, without data_ */
    AIM_CIF_LOOP,
    AIM_CIF_TAG, /* text: with the underscore */
    AIM_CIF_VALUE,
    AIM_CIF_RESERVED, /* save_, global_, stop_: text is the whole word */
} aim_cif_kind;

typedef struct aim_cif_token {
    aim_cif_kind kind;
    aim_span text; /* valid until the next token; of a text field at most AIM_CIF_TEXT_MAX bytes */
    int quoted;    /* a value in quotes or a text field: '?' and '.' mean themselves */
    int64_t line;  /* on which it begins */
} aim_cif_token;

enum { AIM_CIF_TEXT_MAX = 4096 };

/* What is left of the current line; part of the reader, because blocks may share a line. */
typedef struct aim_cif_state {
    aim_span rest;
    int64_t line;
    int has_line;    /* rest is valid */
    aim_string text; /* of the last text field */
} aim_cif_state;

/* A FORMAT error names the line; the next call goes on behind the faulty word or line. */
AIM_NODISCARD aim_status aim_cif_next_token(aimnet_reader *reader, aim_cif_token *token);

#endif

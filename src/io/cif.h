/* SPDX-License-Identifier: MIT */
/* cif.h - one data block of a CIF file as it is read, before its symmetry is applied. */
#ifndef AIM_IO_CIF_H
#define AIM_IO_CIF_H

#include "io/reader.h"
#include "io/symmetry.h"

/* Fractional coordinates beyond this are taken for a mistake. */
#define AIM_CIF_FRACTION_MAX 1e3

/* What is looked at. The fields from AIM_CIF_LABEL on belong to an atom. */
typedef enum aim_cif_field {
    AIM_CIF_IGNORED = -1,
    AIM_CIF_CELL = 0,     /* six of them */
    AIM_CIF_MATRIX = 6,   /* nine: fractional to Cartesian, columns are the cell vectors */
    AIM_CIF_SYMOP = 15,   /* _symmetry_equiv_pos_as_xyz */
    AIM_CIF_SYMOP_NEW,    /* _space_group_symop_operation_xyz */
    AIM_CIF_GROUP_NUMBER, /* a number ... */
    AIM_CIF_GROUP_NAME,   /* ... or name of the space group */
    AIM_CIF_FORMULA,
    AIM_CIF_TYPE, /* of the list of elements */
    AIM_CIF_MACROMOLECULE,
    AIM_CIF_MODULATED,
    AIM_CIF_MAGNETIC,
    AIM_CIF_LABEL,
    AIM_CIF_SYMBOL,
    AIM_CIF_FRACT,                     /* three */
    AIM_CIF_CARTN = AIM_CIF_FRACT + 3, /* three */
    AIM_CIF_OCCUPANCY = AIM_CIF_CARTN + 3,
    AIM_CIF_CALCULATED,
    AIM_CIF_N_FIELDS
} aim_cif_field;

/* A tag, with the underscore, in any case. */
aim_cif_field aim_cif_field_of(aim_span tag);

enum { AIM_CIF_VALUE_SIZE = 128 };
typedef struct aim_cif_value {
    char text[AIM_CIF_VALUE_SIZE];
    unsigned char size;
    char present;  /* the tag was there */
    char known;    /* and its value is neither ? nor . */
    char too_long; /* and cut */
} aim_cif_value;

typedef struct aim_cif_row {
    aim_cif_value field[AIM_CIF_N_FIELDS];
} aim_cif_row;

typedef struct aim_cif_site {
    double x[3]; /* fractional, or Cartesian */
    int64_t line;
    int number; /* atomic number; 0: only the label says it, and that is ambiguous: */
    int candidates[2];
    int cartesian;  /* x is Cartesian */
    int special;    /* on a symmetry element */
    char label[20]; /* for messages */
} aim_cif_site;

typedef struct aim_cif_block {
    aim_operation operation[AIM_MAX_OPERATIONS];
    int n_operations;
    aim_cif_field operation_tag; /* of the first list: a second one repeats it */
    int has_atoms;               /* there are tags of atoms */
    aim_cif_site *site;
    size_t n_sites, capacity;
    unsigned char elements[128]; /* 1: named by the formula or the list of elements */
    int64_t n_absent;            /* sites of occupancy zero, and dummies */
    aim_cif_row single;          /* tags outside loops */
    int64_t line;                /* of data_ */
} aim_cif_block;

/* A value as a number, without its uncertainty in brackets. `what` is for the message. */
AIM_NODISCARD aim_status aim_cif_number(const aim_cif_value *v, const char *what, double *x);
/* Adds what a row of a loop says; messages without the place. */
AIM_NODISCARD aim_status aim_cif_add_row(aim_cif_block *b, const aim_alloc *alloc,
                                         const aim_cif_row *row, int64_t line);
/* Cell, operations and sites become the frame's atoms. */
AIM_NODISCARD aim_status aim_cif_expand(aimnet_reader *r, aim_cif_block *b, aimnet_frame *f);

#endif

/* SPDX-License-Identifier: MIT */
/* aimnet_io.h - structure files: streams of frames in, frames with results out. Units and
 * conventions as in aimnet.h.
 *
 * Readers are streams: a file larger than memory is read frame by frame. A malformed frame is an
 * error for that frame; where the format lets the reader find the start of the next frame, reading
 * goes on there. Files are untrusted: sizes are checked before use. */
#ifndef AIMNET_IO_H
#define AIMNET_IO_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One structure as a file gave it. Everything belongs to the frame and lives until it is read into
 * again or freed. */
typedef struct aimnet_frame {
    int32_t n_atoms;
    int32_t *numbers; /* [n_atoms] 1..118 */
    double *coord;    /* [n_atoms][3] Angstrom */
    int has_cell;
    double cell[9]; /* row vectors */
    int pbc[3];
    int has_charge, has_mult; /* whether the file gave them */
    double charge, mult;      /* defaults 0 and 1 */
    /* comment line or title as written, without the newline; never NULL after a successful read */
    char *title;
    /* what deserves attention in this frame, lines separated by '\n', or ""; lives as title does */
    char *warnings;
    int64_t index; /* zero-based number of the frame in its file */
    int64_t line;  /* line on which it starts, one-based */
    void *priv;    /* of the reader */
} aimnet_frame;

typedef struct aimnet_reader aimnet_reader;

/* Opens a structure file: "-" is standard input. format: NULL to detect by content and name, or
 * "xyz", "sdf", "pdb", "cif", "poscar". Errors: FILE, FORMAT (nothing recognised), MEMORY. */
AIMNET_API aimnet_status aimnet_reader_open(const char *path, const char *format,
                                            aimnet_reader **reader);
/* The same over bytes in memory, which must stay valid. `name` is used in messages. */
AIMNET_API aimnet_status aimnet_reader_open_memory(const void *bytes, size_t size, const char *name,
                                                   const char *format, aimnet_reader **reader);
/* Reads the next frame into *frame (zero-initialised or from an earlier read). OK; END after the
 * last frame; FORMAT for a bad frame with the message "NAME:LINE: what is wrong and what was
 * expected": call again to go on with the next frame, END follows if there is no way to
 * resynchronise. */
AIMNET_API aimnet_status aimnet_reader_next(aimnet_reader *reader, aimnet_frame *frame);
/* Bytes consumed and total size (-1 for a pipe), for progress displays. */
AIMNET_API void aimnet_reader_progress(const aimnet_reader *reader, int64_t *done, int64_t *total);
AIMNET_API const char *aimnet_reader_format(const aimnet_reader *reader);
AIMNET_API void aimnet_reader_close(aimnet_reader *reader);
AIMNET_API void aimnet_frame_free(aimnet_frame *frame);
/* A system that borrows the frame's arrays. */
AIMNET_API aimnet_system aimnet_frame_system(const aimnet_frame *frame);

typedef struct aimnet_writer aimnet_writer;
/* Extended XYZ with results: species, pos, and, where the result has them, forces, charges and
 * spin_charges; energy, charge, mult, dipole, stress in the comment line. A path that ends in .cif,
 * or in .vasp, POSCAR or CONTCAR, gets that format instead: crystals only, energy and stress as
 * comments of CIF, no results in POSCAR. The file is written under a temporary name beside `path` and renamed by aimnet_writer_close(). */
AIMNET_API aimnet_status aimnet_writer_open(const char *path, aimnet_writer **writer);
/* The same at the end of a file that is there already or not: every frame is in the file as soon as
 * aimnet_writer_frame returns, so that what a killed program wrote can be read. For trajectories. */
AIMNET_API aimnet_status aimnet_writer_append(const char *path, aimnet_writer **writer);
AIMNET_API aimnet_status aimnet_writer_frame(aimnet_writer *writer, const aimnet_frame *frame,
                                             const aimnet_result *result);
/* Whether the writer's format takes such a structure, as aimnet_writer_frame would say it; nothing is
 * written. For programs that compute for long before they have something to write: structures that
 * have passed count, so that a format which holds one structure does not take a second one. */
AIMNET_API aimnet_status aimnet_writer_check(aimnet_writer *writer, const aimnet_frame *frame);
/* commit 1: flush and rename into place; 0: discard. The writer is freed in every case. */
AIMNET_API aimnet_status aimnet_writer_close(aimnet_writer *writer, int commit);

/* Chemical symbol of an atomic number 1..118, else NULL; and back (any case; "D" and "T" are 1;
 * numbers as text), 0 if unknown. */
AIMNET_API const char *aimnet_element_symbol(int number);
AIMNET_API int aimnet_element_number(const char *symbol);
AIMNET_API double aimnet_element_mass(int number); /* standard atomic weight, amu; 0 if unknown */
/* Hill-order formula of a structure, for example "C8H10N4O2"; written into `text` and always
 * terminated. */
AIMNET_API aimnet_status aimnet_formula(const int32_t *numbers, int32_t n_atoms, char *text,
                                        size_t capacity);

#ifdef __cplusplus
}
#endif
#endif

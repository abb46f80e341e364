/* SPDX-License-Identifier: MIT */
/* fuzz_structure.c - the structure readers and the writer on arbitrary bytes.
 *
 * The format is detected, or it is that of the target (AIM_FUZZ_FORMAT). An input of one line is also
 * parsed as a comment line. Whatever is read must be consistent (finite numbers, elements of the
 * table, sizes that fit), must survive being written as extended XYZ, and must be read back bit by
 * bit; a crystal also as POSCAR (bit by bit) and as CIF (the same atoms in a cell of the same size).
 * Memory is bounded by the input: by 192 images of each atom for CIF, whose shortest line of an
 * atom has 8 bytes. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_io.h"
#include "base/vec3.h"
#include "io/comment.h"
#include "io/reader.h"
#include "io/writer.h"

enum {
    MAX_FRAMES = 64,
    MEMORY_FACTOR = 64,
    CIF_FACTOR = 2 * 192 * 24 / 8,
    PACKED_FACTOR = 8192,
    MEMORY_BASE = 1 << 20
};

/* The targets fuzz_xyz, fuzz_sdf, ... are this file with AIM_FUZZ_FORMAT. */
#ifdef AIM_FUZZ_FORMAT
static const char *const one_format = AIM_FUZZ_FORMAT;
#else
static const char *const one_format = NULL;
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* writers.def */
aim_status aim_cif_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result);
aim_status aim_poscar_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result);

static void demand(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

/* Counts what is asked for and refuses what no honest reader needs. */
typedef struct budget {
    size_t limit, largest;
} budget;

static void *limited_alloc(void *user, size_t size)
{
    budget *b = user;
    if (size > b->largest)
        b->largest = size;
    demand(size <= b->limit, "memory is bounded by the input");
    return malloc(size);
}

static void limited_free(void *user, void *block)
{
    (void)user;
    free(block);
}

static void check_frame(const aimnet_frame *f)
{
    demand(f->n_atoms >= 0, "n_atoms");
    for (int32_t i = 0; i < f->n_atoms; i++)
        demand(f->numbers[i] >= 1 && f->numbers[i] <= 118, "atomic numbers");
    for (size_t k = 0; k < 3 * (size_t)f->n_atoms; k++)
        demand(isfinite(f->coord[k]), "finite coordinates");
    for (int k = 0; k < 9; k++)
        demand(isfinite(f->cell[k]), "finite cell");
    demand(f->has_cell || (!f->pbc[0] && !f->pbc[1] && !f->pbc[2]), "periodic axes need a cell");
    demand(isfinite(f->charge) && f->mult >= 1.0 && f->mult == floor(f->mult),
           "charge and multiplicity");
    demand(f->title && !strchr(f->title, '\n') && f->warnings, "title and warnings");
}

static void check_same(const aimnet_frame *a, const aimnet_frame *b)
{
    const size_t n = (size_t)a->n_atoms;
    demand(a->n_atoms == b->n_atoms, "atoms survive");
    demand(n == 0 || !memcmp(a->numbers, b->numbers, n * sizeof *a->numbers), "numbers survive");
    demand(n == 0 || !memcmp(a->coord, b->coord, 3 * n * sizeof *a->coord),
           "coordinates survive bit by bit");
    demand(a->has_cell == b->has_cell && !memcmp(a->cell, b->cell, sizeof a->cell),
           "the cell survives");
    demand(!memcmp(a->pbc, b->pbc, sizeof a->pbc), "pbc survives");
    demand(a->charge == b->charge && a->mult == b->mult, "charge and multiplicity survive");
}

/* The writer's text of a frame, without a file. */
aim_status aim_xyz_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *r);

/* Writes the frame into memory and reads it again, twice. */
static void check_round_trip(const aim_alloc *alloc, const aimnet_frame *frame, int depth)
{
    char name[] = "fuzz";
    aimnet_writer writer = {.alloc = *alloc, .file.path = name};
    aimnet_reader *reader;
    aimnet_frame again = {0}, more = {0};
    demand(aim_xyz_put(&writer, frame, NULL) == AIMNET_OK, "the writer writes what was read");
    demand(aim_reader_open_memory(alloc, (const uint8_t *)writer.text.data, writer.text.size, name,
                                  NULL, &reader) == AIMNET_OK,
           "what was written opens");
    if (aim_reader_next(reader, &again) != AIMNET_OK) {
        fprintf(stderr, "%s\n", aimnet_last_error());
        demand(0, "what was written is read");
    }
    check_frame(&again);
    check_same(frame, &again);
    demand(aim_reader_next(reader, &more) == AIMNET_ERR_END, "one structure was written");
    aim_reader_close(reader);
    aim_string_free(&writer.text, alloc);
    aim_comment_free(&writer.comment, alloc);
    if (depth > 0)
        check_round_trip(alloc, &again, depth - 1);
    aim_frame_free(&more);
    aim_frame_free(&again);
}

/* What a writer made, read from memory. POSCAR and CIF refuse what they cannot hold (other
 * periodicities, singular cells, numbers beyond their digits), with a message. */
static void check_other_format(const aim_alloc *alloc, const aimnet_frame *frame,
                               const char *format,
                               aim_status (*put)(aimnet_writer *writer, const aimnet_frame *frame,
                                                 const aimnet_result *result))
{
    static char name[] = "again";
    aimnet_writer w = {.alloc = *alloc, .file = {.path = name}};
    aimnet_reader *reader;
    aimnet_frame again = {0};
    const aim_status status = put(&w, frame, NULL);
    demand(status == AIMNET_OK || status == AIMNET_ERR_ARG, "a writer refuses arguments only");
    if (status == AIMNET_OK) {
        demand(aim_reader_open_memory(alloc, w.text.data, w.text.size, "again", format, &reader) ==
                   AIMNET_OK,
               "what was written opens");
        if (aim_reader_next(reader, &again) != AIMNET_OK) {
            fprintf(stderr, "%s\n%.*s\n", aimnet_last_error(), (int)w.text.size, w.text.data);
            demand(0, "what was written is read");
        }
        check_frame(&again);
        const size_t n = (size_t)frame->n_atoms;
        demand(again.n_atoms == frame->n_atoms &&
                   !memcmp(again.numbers, frame->numbers, n * sizeof *frame->numbers),
               "the atoms survive");
        demand(again.has_cell && again.pbc[0] && again.pbc[1] && again.pbc[2], "a crystal");
        if (strcmp(format, "poscar") == 0)
            demand(!memcmp(again.coord, frame->coord, 3 * n * sizeof *frame->coord) &&
                       !memcmp(again.cell, frame->cell, sizeof frame->cell),
                   "POSCAR keeps every bit");
        for (int v = 0; v < 9; v += 3) {
            const double a = aim_norm3(frame->cell + v), b = aim_norm3(again.cell + v);
            demand(fabs(a - b) <= 1e-9 * a, "the vectors keep their lengths");
        }
        aim_reader_close(reader);
    }
    aim_frame_free(&again);
    aim_string_free(&w.text, alloc);
    aim_comment_free(&w.comment, alloc);
}

static void check_all_formats(const aim_alloc *alloc, const aimnet_frame *frame, int depth)
{
    check_round_trip(alloc, frame, depth);
    check_other_format(alloc, frame, "poscar", aim_poscar_put);
    check_other_format(alloc, frame, "cif", aim_cif_put);
}

static void run_reader(const aim_alloc *alloc, const uint8_t *data, size_t size, const char *format)
{
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    if (aim_reader_open_memory(alloc, data, size, "fuzz", format, &reader) != AIMNET_OK)
        return;
    for (int i = 0; i < MAX_FRAMES; i++) {
        const aimnet_status status = aim_reader_next(reader, &frame);
        if (status == AIMNET_ERR_END)
            break;
        demand(status == AIMNET_OK || status == AIMNET_ERR_FORMAT, "the only failure is FORMAT");
        if (status != AIMNET_OK)
            continue;
        check_frame(&frame);
        if (frame.n_atoms <= 64)
            check_all_formats(alloc, &frame, i == 0);
    }
    aim_frame_free(&frame);
    aim_reader_close(reader);
}

static int may_be_cif(void)
{
    return strcmp(one_format ? one_format : "cif", "cif") == 0;
}

static void run_comment(const aim_alloc *alloc, const uint8_t *data, size_t size)
{
    aim_comment c = {0};
    double x[9];
    int flags[3];
    char *line =
        malloc(size + 1); /* exactly as large as the text and the one readable byte behind it */
    demand(line != NULL, "memory");
    if (size > 0)
        memcpy(line, data, size);
    line[size] = '\n';
    demand(aim_comment_parse(&c, alloc, (aim_span){line, size}) == AIMNET_OK,
           "any text is a comment");
    for (size_t i = 0; i < c.n_pairs; i++) {
        demand(c.pairs[i].key.text[c.pairs[i].key.size] == '\0', "keys end in NUL");
        demand(c.pairs[i].value.text[c.pairs[i].value.size] == '\0', "values end in NUL");
        (void)aim_value_doubles(c.pairs[i].value, x, 9);
        (void)aim_value_flags(c.pairs[i].value, flags);
    }
    aim_comment_free(&c, alloc);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int packed = size > 1 && data[0] == 0x1F && data[1] == 0x8B;
    budget b = {.limit = MEMORY_BASE + (packed         ? PACKED_FACTOR
                                        : may_be_cif() ? CIF_FACTOR
                                                       : MEMORY_FACTOR) *
                                           size};
    const aim_alloc alloc = {limited_alloc, limited_free, &b};
    if (size == 0)
        return 0;
    run_reader(&alloc, data, size, one_format);
    if (!one_format && !memchr(data, '\n', size))
        run_comment(&alloc, data, size);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* fuzz_structure.c - the structure readers and the writer on arbitrary bytes.
 *
 * The first byte chooses the format (detected, xyz, sdf, pdb, cif, poscar) or that the comment
 * parser alone gets the rest as one comment line. Whatever is read must be
 * consistent (finite numbers, elements of the table, sizes that fit), must survive being written as
 * extended XYZ, and must be read back bit by bit. Memory is bounded by the input: by 192 images of
 * each atom for CIF, whose shortest line of an atom has 8 bytes. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aimnet_io.h"
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

/* The targets fuzz_xyz, fuzz_sdf, ... are this file with AIM_FUZZ_FORMAT; the first byte has no
 * meaning there. */
#ifdef AIM_FUZZ_FORMAT
static const char *const one_format = AIM_FUZZ_FORMAT;
#else
static const char *const one_format = NULL;
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

/* Writes the frame to a file in memory and reads it again, twice. */
static void check_round_trip(const aim_alloc *alloc, const aimnet_frame *frame, int depth)
{
    char path[64];
    aimnet_writer *writer;
    aimnet_reader *reader;
    aimnet_frame again = {0};
    const int fd = memfd_create("frame", 0);
    demand(fd >= 0, "a file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int saved = dup(STDOUT_FILENO); /* "-" is the way to write without a temporary file */
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    demand(aim_writer_open(alloc, "-", &writer) == AIMNET_OK, "the writer opens");
    demand(aim_writer_frame(writer, frame, NULL) == AIMNET_OK, "the writer writes what was read");
    demand(aim_writer_close(writer, 1) == AIMNET_OK, "the writer closes");
    dup2(saved, STDOUT_FILENO);
    close(saved);
    lseek(fd, 0, SEEK_SET);
    demand(aim_reader_open(alloc, path, NULL, &reader) == AIMNET_OK, "what was written opens");
    if (aim_reader_next(reader, &again) != AIMNET_OK) {
        fprintf(stderr, "%s\n", aimnet_last_error());
        demand(0, "what was written is read");
    }
    check_frame(&again);
    check_same(frame, &again);
    aimnet_frame *last = &again;
    aimnet_frame more = {0};
    demand(aim_reader_next(reader, &more) == AIMNET_ERR_END, "one structure was written");
    aim_reader_close(reader);
    close(fd);
    if (depth > 0)
        check_round_trip(alloc, last, depth - 1);
    aim_frame_free(&more);
    aim_frame_free(&again);
}

/* Writing and reading again costs a hundred times as much as reading: targets of one format do it
 * for every 16th input, chosen by its bytes so that replays do the same. */
static int writes_too(const uint8_t *data, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return one_format == NULL || sum / 64 % 16 == 0;
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
        if (frame.n_atoms <= 64 && writes_too(data, size))
            check_round_trip(alloc, &frame, i == 0);
    }
    aim_frame_free(&frame);
    aim_reader_close(reader);
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
    static const char *const formats[] = {NULL, "xyz", "sdf", "pdb", NULL, "cif", "poscar"};
    if (size == 0)
        return 0;
    const int packed = size > 2 && data[1] == 0x1F && data[2] == 0x8B;
    const int choice = data[0] % 7, cif = choice == 0 || choice == 5 || one_format;
    const size_t factor = packed ? PACKED_FACTOR : cif ? CIF_FACTOR : MEMORY_FACTOR;
    budget b = {.limit = MEMORY_BASE + factor * size};
    const aim_alloc alloc = {limited_alloc, limited_free, &b};
    if (one_format)
        run_reader(&alloc, data + 1, size - 1, one_format);
    else if (choice == 4)
        run_comment(&alloc, data + 1, size - 1);
    else
        run_reader(&alloc, data + 1, size - 1, formats[choice]);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* io_api.c - the public functions of aimnet_io.h: argument checks, then the readers and writers of
 * src/io. */
#include "aimnet_io.h"

#include "data/element.h"
#include "io/reader.h"
#include "io/writer.h"

aimnet_status aimnet_reader_open(const char *path, const char *format, aimnet_reader **reader)
{
    if (!reader)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_reader_open: reader is NULL");
    *reader = NULL;
    if (!path)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_reader_open: path is NULL; \"-\" is standard input");
    const aim_alloc alloc = aim_alloc_default();
    return aim_reader_open(&alloc, path, format, reader);
}

aimnet_status aimnet_reader_open_memory(const void *bytes, size_t size, const char *name,
                                        const char *format, aimnet_reader **reader)
{
    if (!reader)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_reader_open_memory: reader is NULL");
    *reader = NULL;
    if (!bytes && size > 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_reader_open_memory: bytes is NULL, but size is %zu",
                        size);
    const aim_alloc alloc = aim_alloc_default();
    return aim_reader_open_memory(&alloc, bytes, size, name ? name : "(memory)", format, reader);
}

aimnet_status aimnet_reader_next(aimnet_reader *reader, aimnet_frame *frame)
{
    if (!reader || !frame)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_reader_next: %s is NULL",
                        reader ? "frame" : "reader");
    return aim_reader_next(reader, frame);
}

void aimnet_reader_progress(const aimnet_reader *reader, int64_t *done, int64_t *total)
{
    if (done)
        *done = reader ? aim_lines_consumed(&reader->lines) : 0;
    if (total)
        *total = reader ? reader->lines.source.size : -1;
}

const char *aimnet_reader_format(const aimnet_reader *reader)
{
    return reader ? reader->type->name : "";
}

void aimnet_reader_close(aimnet_reader *reader)
{
    aim_reader_close(reader);
}

void aimnet_frame_free(aimnet_frame *frame)
{
    aim_frame_free(frame);
}

aimnet_system aimnet_frame_system(const aimnet_frame *frame)
{
    aimnet_system s = {0};
    if (!frame)
        return s;
    const int periodic = frame->pbc[0] || frame->pbc[1] || frame->pbc[2];
    s.n_atoms = frame->n_atoms;
    s.numbers = frame->numbers;
    s.coord = frame->coord;
    s.cell = frame->has_cell && periodic ? frame->cell : NULL;
    for (int d = 0; d < 3 && s.cell; d++)
        s.pbc[d] = frame->pbc[d];
    s.charge = frame->charge;
    s.mult = frame->mult;
    return s;
}

aimnet_status aimnet_writer_open(const char *path, aimnet_writer **writer)
{
    if (!writer)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_writer_open: writer is NULL");
    *writer = NULL;
    if (!path)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_writer_open: path is NULL; \"-\" is standard output");
    const aim_alloc alloc = aim_alloc_default();
    return aim_writer_open(&alloc, path, writer);
}

aimnet_status aimnet_writer_append(const char *path, aimnet_writer **writer)
{
    if (!writer)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_writer_append: writer is NULL");
    *writer = NULL;
    if (!path)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_writer_append: path is NULL");
    const aim_alloc alloc = aim_alloc_default();
    return aim_writer_append(&alloc, path, writer);
}

static aim_status check_frame(const aimnet_writer *writer, const aimnet_frame *frame,
                              const char *function)
{
    if (!writer || !frame)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: %s is NULL", function, writer ? "frame" : "writer");
    if (frame->n_atoms < 0 || (frame->n_atoms > 0 && (!frame->numbers || !frame->coord)))
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: %d atoms without numbers or coordinates", function,
                        (int)frame->n_atoms);
    return AIMNET_OK;
}

aimnet_status aimnet_writer_frame(aimnet_writer *writer, const aimnet_frame *frame,
                                  const aimnet_result *result)
{
    AIM_TRY(check_frame(writer, frame, "aimnet_writer_frame"));
    return aim_writer_frame(writer, frame, result);
}

aimnet_status aimnet_writer_check(aimnet_writer *writer, const aimnet_frame *frame)
{
    AIM_TRY(check_frame(writer, frame, "aimnet_writer_check"));
    return aim_writer_check(writer, frame);
}

aimnet_status aimnet_writer_close(aimnet_writer *writer, int commit)
{
    return aim_writer_close(writer, commit);
}

const char *aimnet_element_symbol(int number)
{
    return aim_element_symbol(number);
}

int aimnet_element_number(const char *symbol)
{
    size_t size = 0;
    while (symbol && size < 4 && symbol[size])
        size++;
    return aim_element_from_text(symbol, size);
}

double aimnet_element_mass(int number)
{
    return aim_element_mass(number);
}

aimnet_status aimnet_formula(const int32_t *numbers, int32_t n_atoms, char *text, size_t capacity)
{
    if (!text || n_atoms < 0 || (!numbers && n_atoms > 0))
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_formula: %s",
                        !text         ? "text is NULL"
                        : n_atoms < 0 ? "n_atoms is negative"
                                      : "numbers is NULL");
    return aim_formula(numbers, n_atoms, text, capacity);
}

/* SPDX-License-Identifier: MIT */
/* fuzz_ipi.c - any bytes as what an i-PI server sends to `aimnet ipi` (apps/ipi_client.c).
 *
 * The wire is replaced: messages come from the input, answers are only counted, shared memory is a
 * block filled with the input. Byte 0 of the input says what the client was started with (1: a
 * cell, 2: shared memory, 4: no extras; bits 3 to 7: number of atoms - 1), byte 1 when results are
 * ready: bit k for the k-th message (of eight in turn). As in cmd_ipi.c an answer is made only of
 * structures that are pending. */
#include "guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipi.h"

#include "console.h"

enum { MAX_MESSAGES = 64 };

static struct {
    const uint8_t *data;
    size_t size, at, sent;
} wire;

/* ---------------------------------------------------------------- in the place of ipi_wire.c */

ipi_status ipi_read(int fd, void *bytes, size_t size)
{
    (void)fd;
    const size_t left = wire.size - wire.at, n = size < left ? size : left;
    memcpy(bytes, wire.data + wire.at, n);
    wire.at += n;
    return n == size ? IPI_OK : n == 0 ? IPI_CLOSED : IPI_ERROR;
}

ipi_status ipi_write(int fd, const void *bytes, size_t size)
{
    (void)fd;
    unsigned sum = 0; /* every byte of an answer is read, so that the sanitizer sees it */
    for (size_t i = 0; i < size; i++)
        sum += ((const uint8_t *)bytes)[i];
    wire.sent += size + (sum == UINT32_MAX);
    return IPI_OK;
}

void ipi_close(int fd)
{
    (void)fd;
}

ipi_status ipi_attach(const char *name, size_t size, void **memory)
{
    demand(strlen(name) < 256, "names of segments are short");
    if (name[0] == 'x' || size > (1u << 24)) /* the server has no such segment */
        return IPI_ERROR;
    *memory = calloc(size ? size : 1, 1);
    demand(*memory != NULL, "memory");
    memcpy(*memory, wire.data, size < wire.size ? size : wire.size);
    return IPI_OK;
}

void ipi_detach(void *memory, size_t size)
{
    (void)size;
    free(memory);
}

/* ---------------------------------------------------------------- in the place of console.c */

void cli_error(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    demand(vsnprintf(text, sizeof text, format, arguments) >= 0, "messages are formatted");
    va_end(arguments);
}

/* ---------------------------------------------------------------- a session */

static void answer(ipi_client *c)
{
    const size_t n = (size_t)c->template->n_atoms, b = (size_t)c->batch;
    demand(c->batch == c->allocated, "what is pending has its arrays");
    for (size_t i = 0; i < 3 * n * b; i++)
        c->forces[i] = c->coord[i];
    for (size_t i = 0; i < n * b; i++)
        c->charges[i] = (double)i;
    for (size_t i = 0; i < 9 * b; i++)
        c->stress[i] = c->cell[i];
    for (size_t i = 0; i < b; i++)
        c->energy[i] = -1.0;
    demand(ipi_client_answer(c) == IPI_OK, "results are sent");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const ipi_template template = {.n_atoms = 1 + (data[0] >> 3),
                                   .periodic = data[0] & 1,
                                   .shared = data[0] >> 1 & 1,
                                   .extras = !(data[0] & 4)};
    ipi_client client;
    wire.data = data;
    wire.size = size;
    wire.at = 2;
    wire.sent = 0;
    ipi_client_init(&client, &template, -1);
    for (int k = 0; k < MAX_MESSAGES && ipi_client_message(&client) == IPI_OK; k++)
        if (client.state == IPI_PENDING && data[1] >> k % 8 & 1)
            answer(&client);
    ipi_client_free(&client);
    return 0;
}

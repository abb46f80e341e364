/* SPDX-License-Identifier: MIT */
/* ipi_client.c - the client side of i-PI's protocol (V. Kapil et al., Comput. Phys. Commun. 236
 * (2019) 214, doi:10.1016/j.cpc.2018.09.020; messages as in i-PI 3.3's interfaces/sockets.py). ASE's
 * SocketIOCalculator speaks the same.
 *
 *     STATUS                                   -> NEEDINIT | READY | HAVEDATA
 *     INIT      int32 bead, int32 n, n bytes   (text; "batch_size:N" switches to N structures)
 *     POSDATA   9 h, 9 h^-1, int32 n_atoms, 3 n_atoms positions     (float64; columns of h are a, b, c)
 *     GETFORCE  -> FORCEREADY  energy, int32 n_atoms, forces, 9 virial, int32 n, n bytes of JSON
 *     EXIT
 *
 * With batches: POSDATA  int32 n_atoms, N (h, h^-1), N positions; FORCEREADY  N energies, int32
 * n_atoms, N forces, N virials, N (int32, bytes). With shared memory: POSDATA  int32 n_atoms and,
 * the first time, six names (int32 length, bytes) of segments; FORCEREADY only the JSON part.
 *
 * A server may send POSDATA and GETFORCE in one piece and never ask for the status between, and ASE
 * hangs up without EXIT. So questions about structures that are still pending are remembered and
 * answered when the results are there. Sizes on the wire are checked against the structure that the
 * user gave before anything is allocated or read. */
#include "ipi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "engrad.h"
#include "shortest.h"

enum { POS, H, INVERSE, POTENTIAL, FORCES, VIRIAL, MAX_NAME = 255 };

#define PASS(call)                                                                                 \
    do {                                                                                           \
        const ipi_status pass_ = (call);                                                           \
        if (pass_ != IPI_OK)                                                                       \
            return pass_ == IPI_CLOSED ? cut_off() : pass_;                                        \
    } while (0)

/* The server closed the connection where a message had to go on. */
static ipi_status cut_off(void)
{
    cli_error("the server hung up in the middle of a message");
    return IPI_ERROR;
}

static ipi_status no_memory(void)
{
    cli_error("out of memory");
    return IPI_ERROR;
}

void ipi_client_init(ipi_client *c, const ipi_template *template, int fd)
{
    memset(c, 0, sizeof *c);
    c->template = template;
    c->fd = fd;
    c->batch = 1;
    c->state = IPI_NEEDS_INIT;
}

static void free_arrays(ipi_client *c)
{
    free(c->coord);
    free(c->buffer);
    for (int k = 0; k < IPI_SEGMENTS; k++) {
        ipi_detach(c->segment[k], c->segment_size[k]);
        c->segment[k] = NULL;
    }
    c->coord = NULL;
    c->buffer = NULL;
    c->buffer_size = 0;
    c->allocated = 0;
}

void ipi_client_free(ipi_client *c)
{
    free_arrays(c);
    ipi_close(c->fd);
    c->fd = -1;
}

/* Arrays of `batch` structures, in one block. */
static ipi_status allocate(ipi_client *c)
{
    const size_t n = (size_t)c->template->n_atoms, b = (size_t)c->batch;
    if (c->allocated == c->batch)
        return IPI_OK;
    free_arrays(c);
    const size_t per_structure = 3 * n + 9 + 3 * n + 9 + n + 1;
    if (b > SIZE_MAX / sizeof(double) / per_structure)
        return no_memory();
    c->coord = calloc(b * per_structure, sizeof *c->coord);
    if (c->coord == NULL)
        return no_memory();
    c->cell = c->coord + 3 * n * b;
    c->forces = c->cell + 9 * b;
    c->stress = c->forces + 3 * n * b;
    c->charges = c->stress + 9 * b;
    c->energy = c->charges + n * b;
    c->allocated = c->batch;
    return IPI_OK;
}

static ipi_status reserve(ipi_client *c, size_t size)
{
    if (size <= c->buffer_size)
        return IPI_OK;
    unsigned char *grown = realloc(c->buffer, size);
    if (grown == NULL)
        return no_memory();
    c->buffer = grown;
    c->buffer_size = size;
    return IPI_OK;
}

/* ---------------------------------------------------------------- questions */

static ipi_status send_word(ipi_client *c, const char *word)
{
    char header[IPI_HEADER + 1];
    snprintf(header, sizeof header, "%-12s", word);
    return ipi_write(c->fd, header, IPI_HEADER);
}

static ipi_status send_status(ipi_client *c)
{
    static const char *const words[] = {"NEEDINIT", "READY", "READY", "HAVEDATA"};
    return send_word(c, words[c->state]);
}

/* The number after "batch_size:" in an INIT string, or 1. */
static ipi_status set_batch(ipi_client *c, const char *text)
{
    static const char key[] = "batch_size:";
    const char *at = strstr(text, key);
    const long batch = at ? strtol(at + sizeof key - 1, NULL, 10) : 1;
    if (batch < 1 || batch > IPI_MAX_BATCH) {
        cli_error("the server asks for batches of %ld structures: expected 1 to %d", batch,
                  IPI_MAX_BATCH);
        return IPI_ERROR;
    }
    c->batch = (int)batch;
    return IPI_OK;
}

static ipi_status on_init(ipi_client *c)
{
    int32_t numbers[2];
    PASS(ipi_read(c->fd, numbers, sizeof numbers));
    if (numbers[1] < 0 || numbers[1] > IPI_MAX_INIT) {
        cli_error("the server sends an INIT string of %d bytes: expected 0 to %d", numbers[1],
                  IPI_MAX_INIT);
        return IPI_ERROR;
    }
    PASS(reserve(c, (size_t)numbers[1] + 1));
    if (numbers[1] > 0)
        PASS(ipi_read(c->fd, c->buffer, (size_t)numbers[1]));
    c->buffer[numbers[1]] = '\0';
    PASS(set_batch(c, (const char *)c->buffer));
    c->state = IPI_READY;
    return IPI_OK;
}

/* ---------------------------------------------------------------- structures */

static ipi_status check_atoms(const ipi_client *c, int32_t n)
{
    if (n == c->template->n_atoms)
        return IPI_OK;
    cli_error("the server sends %d atoms, but the structure file has %d", n, c->template->n_atoms);
    return IPI_ERROR;
}

/* h has the cell vectors as columns. */
static void take_cell(ipi_client *c, int k, const double *h)
{
    for (int v = 0; v < 3; v++)
        for (int d = 0; d < 3; d++)
            c->cell[9 * k + 3 * v + d] = h[3 * d + v] * CLI_BOHR;
}

static void take_positions(ipi_client *c, const double *x)
{
    const size_t n = 3 * (size_t)c->template->n_atoms * (size_t)c->batch;
    for (size_t i = 0; i < n; i++)
        c->coord[i] = x[i] * CLI_BOHR;
}

static ipi_status read_doubles(ipi_client *c, size_t n, const double **values)
{
    PASS(reserve(c, n * sizeof(double)));
    PASS(ipi_read(c->fd, c->buffer, n * sizeof(double)));
    *values = (const double *)(const void *)c->buffer;
    return IPI_OK;
}

static ipi_status read_one(ipi_client *c)
{
    const double *x;
    int32_t n;
    PASS(read_doubles(c, 18, &x));
    take_cell(c, 0, x);
    PASS(ipi_read(c->fd, &n, sizeof n));
    PASS(check_atoms(c, n));
    PASS(read_doubles(c, 3 * (size_t)n, &x));
    take_positions(c, x);
    return IPI_OK;
}

static ipi_status read_batch(ipi_client *c)
{
    const double *x;
    int32_t n;
    PASS(ipi_read(c->fd, &n, sizeof n));
    PASS(check_atoms(c, n));
    PASS(read_doubles(c, 18 * (size_t)c->batch, &x));
    for (int k = 0; k < c->batch; k++)
        take_cell(c, k, x + 18 * (size_t)k);
    PASS(read_doubles(c, 3 * (size_t)n * (size_t)c->batch, &x));
    take_positions(c, x);
    return IPI_OK;
}

static ipi_status attach_segments(ipi_client *c)
{
    const size_t b = (size_t)c->batch, n3 = 3 * (size_t)c->template->n_atoms;
    const size_t numbers[IPI_SEGMENTS] = {b * n3, 9 * b, 9 * b, b, b * n3, 9 * b};
    for (int k = 0; k < IPI_SEGMENTS; k++) {
        char name[MAX_NAME + 1];
        int32_t size;
        PASS(ipi_read(c->fd, &size, sizeof size));
        if (size < 1 || size > MAX_NAME) {
            cli_error("the server sends a name of %d bytes for shared memory: expected 1 to %d",
                      size, MAX_NAME);
            return IPI_ERROR;
        }
        PASS(ipi_read(c->fd, name, (size_t)size));
        name[size] = '\0';
        c->segment_size[k] = numbers[k] * sizeof(double);
        PASS(ipi_attach(name, c->segment_size[k], &c->segment[k]));
    }
    return IPI_OK;
}

static ipi_status read_shared(ipi_client *c)
{
    int32_t n;
    PASS(ipi_read(c->fd, &n, sizeof n));
    PASS(check_atoms(c, n));
    if (c->segment[POS] == NULL)
        PASS(attach_segments(c));
    for (int k = 0; k < c->batch; k++)
        take_cell(c, k, (const double *)c->segment[H] + 9 * (size_t)k);
    take_positions(c, c->segment[POS]);
    return IPI_OK;
}

static ipi_status on_positions(ipi_client *c)
{
    if (c->state == IPI_PENDING) {
        cli_error("the server sends new positions before it has asked for the forces of the last");
        return IPI_ERROR;
    }
    PASS(allocate(c));
    PASS(c->template->shared ? read_shared(c) : c->batch > 1 ? read_batch(c) : read_one(c));
    c->state = IPI_PENDING;
    return IPI_OK;
}

/* ---------------------------------------------------------------- results */

/* Bytes of a message, growing. */
typedef struct message {
    ipi_client *c;
    size_t used;
    int failed;
} message;

static void put(message *m, const void *bytes, size_t size)
{
    if (m->failed)
        return;
    if (m->used + size > m->c->buffer_size && reserve(m->c, 2 * (m->used + size) + 256) != IPI_OK) {
        m->failed = 1;
        return;
    }
    memcpy(m->c->buffer + m->used, bytes, size);
    m->used += size;
}

static void put_text(message *m, const char *text)
{
    put(m, text, strlen(text));
}

static void put_list(message *m, const char *key, const double *x, size_t n)
{
    put_text(m, key);
    for (size_t i = 0; i < n; i++) {
        char number[32];
        put(m, i ? "," : "[", 1);
        put(m, number, cli_shortest(number, x[i]));
    }
    put_text(m, "]");
}

/* {"dipole":[...],"charges":[...]} in e bohr and e, or one blank (ASE wants at least a byte),
 * preceded by its length. */
static void put_extras(message *m, int k)
{
    const ipi_client *c = m->c;
    const size_t n = (size_t)c->template->n_atoms, start = m->used;
    int32_t length = 0;
    put(m, &length, sizeof length);
    if (c->template->extras) {
        const double *q = c->charges + n * (size_t)k, *x = c->coord + 3 * n * (size_t)k;
        double dipole[3] = {0.0, 0.0, 0.0};
        for (size_t i = 0; i < n; i++)
            for (int d = 0; d < 3; d++)
                dipole[d] += q[i] * x[3 * i + (size_t)d] / CLI_BOHR;
        put_list(m, "{\"dipole\":", dipole, 3);
        put_list(m, ",\"charges\":", q, n);
        put_text(m, "}");
    } else {
        put_text(m, " ");
    }
    length = (int32_t)(m->used - start - sizeof length);
    if (!m->failed)
        memcpy(m->c->buffer + start, &length, sizeof length);
}

/* Results in atomic units, into the message or into shared memory. */
static void put_scaled(message *m, int segment, const double *x, size_t n, double factor)
{
    double *shared = m->c->template->shared ? m->c->segment[segment] : NULL;
    for (size_t i = 0; i < n; i++) {
        const double value = x[i] * factor;
        if (shared)
            shared[i] = value;
        else
            put(m, &value, sizeof value);
    }
}

/* virial = -V stress; a structure without a cell has none. */
static void put_virials(message *m)
{
    ipi_client *c = m->c;
    for (int k = 0; k < c->batch; k++) {
        const double *h = c->cell + 9 * (size_t)k;
        const double volume =
            fabs(h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
                 h[2] * (h[3] * h[7] - h[4] * h[6]));
        for (int d = 0; d < 9; d++)
            c->stress[9 * (size_t)k + (size_t)d] *= c->template->periodic ? -volume : 0.0;
    }
    put_scaled(m, VIRIAL, c->stress, 9 * (size_t)c->batch, 1.0 / CLI_HARTREE);
}

static ipi_status send_forces(ipi_client *c)
{
    message m = {.c = c};
    const size_t b = (size_t)c->batch, n3 = 3 * (size_t)c->template->n_atoms;
    put_text(&m, "FORCEREADY  ");
    put_scaled(&m, POTENTIAL, c->energy, b, 1.0 / CLI_HARTREE);
    if (!c->template->shared)
        put(&m, &c->template->n_atoms, sizeof c->template->n_atoms);
    put_scaled(&m, FORCES, c->forces, b * n3, CLI_BOHR / CLI_HARTREE);
    put_virials(&m);
    for (int k = 0; k < c->batch; k++)
        put_extras(&m, k);
    if (m.failed)
        return IPI_ERROR;
    c->state = IPI_READY;
    return ipi_write(c->fd, c->buffer, m.used);
}

static ipi_status on_get_force(ipi_client *c)
{
    if (c->state == IPI_PENDING) {
        c->owes_forces = 1;
        return IPI_OK;
    }
    if (c->state == IPI_HAS_DATA)
        return send_forces(c);
    cli_error("the server asks for forces before it has sent positions");
    return IPI_ERROR;
}

ipi_status ipi_client_answer(ipi_client *c)
{
    c->state = IPI_HAS_DATA;
    if (c->owes_status) {
        c->owes_status = 0;
        const ipi_status status = send_status(c);
        if (status != IPI_OK)
            return status;
    }
    if (!c->owes_forces)
        return IPI_OK;
    c->owes_forces = 0;
    return send_forces(c);
}

/* ---------------------------------------------------------------- messages */

static int is_word(const char header[IPI_HEADER], const char *word)
{
    char padded[IPI_HEADER + 1];
    snprintf(padded, sizeof padded, "%-12s", word);
    return memcmp(header, padded, IPI_HEADER) == 0;
}

ipi_status ipi_client_message(ipi_client *c)
{
    char header[IPI_HEADER];
    const ipi_status status = ipi_read(c->fd, header, sizeof header);
    if (status != IPI_OK)
        return status; /* hanging up between two messages is the usual end */
    c->heard = 1;
    if (is_word(header, "STATUS")) {
        c->owes_status = c->state == IPI_PENDING;
        return c->owes_status ? IPI_OK : send_status(c);
    }
    if (is_word(header, "INIT"))
        return on_init(c);
    if (is_word(header, "POSDATA"))
        return on_positions(c);
    if (is_word(header, "GETFORCE"))
        return on_get_force(c);
    if (is_word(header, "EXIT"))
        return IPI_CLOSED;
    cli_error("the server sends '%.12s': no message of the i-PI protocol", header);
    return IPI_ERROR;
}

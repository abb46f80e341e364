/* SPDX-License-Identifier: MIT */
/* ipi.h - a connection that speaks the socket protocol of i-PI, as a client: bytes in and out
 * (ipi_wire.c), messages and their order (ipi_client.c). Numbers on the wire are little-endian, in
 * atomic units. */
#ifndef CLI_IPI_H
#define CLI_IPI_H

#include <stddef.h>
#include <stdint.h>

#include "aimnet.h"

enum {
    IPI_HEADER = 12,        /* bytes: a word in capitals, padded with blanks */
    IPI_MAX_BATCH = 65536,  /* structures in one message */
    IPI_MAX_INIT = 1 << 20, /* bytes of an INIT string */
    IPI_SEGMENTS = 6
};

typedef enum ipi_status { IPI_OK, IPI_CLOSED, IPI_ERROR, IPI_INTERRUPTED } ipi_status;

/* ---------------------------------------------------------------- ipi_wire.c */

/* Connects to a UNIX socket (unix_name not NULL: a name after /tmp/ipi_, or a path) or to a TCP
 * port, trying again for `wait` seconds. Prints what fails. */
ipi_status ipi_connect(const char *unix_name, const char *host, int port, double wait, int *fd);
/* Exactly `size` bytes. CLOSED if the other side has closed before the first of them. */
ipi_status ipi_read(int fd, void *bytes, size_t size);
ipi_status ipi_write(int fd, const void *bytes, size_t size);
void ipi_close(int fd);
/* Waits until one of the descriptors can be read; *n_ready 0: `milliseconds` (-1: for ever) have
 * passed. ready[i] says which. */
ipi_status ipi_wait(const int *fds, int n, int milliseconds, int *ready, int *n_ready);
/* Attaches a segment of shared memory that the server has made; at least `size` bytes. */
ipi_status ipi_attach(const char *name, size_t size, void **memory);
void ipi_detach(void *memory, size_t size);

/* ---------------------------------------------------------------- ipi_client.c */

/* What stays the same from message to message. */
typedef struct ipi_template {
    int32_t n_atoms;
    int periodic; /* the cell on the wire counts */
    int shared;   /* arrays travel through shared memory */
    int extras;   /* charges and dipole follow the forces, as JSON */
} ipi_template;

typedef enum ipi_state { IPI_NEEDS_INIT, IPI_READY, IPI_PENDING, IPI_HAS_DATA } ipi_state;

typedef struct ipi_client {
    const ipi_template *template;
    int fd;
    ipi_state state;
    int heard; /* the server has sent something: it has accepted the connection */
    int owes_status, owes_forces; /* asked for while the structures were still pending */
    int batch;                    /* structures in one message */
    int allocated;                /* for this many */
    /* of the structures received and of their results, in eV and Angstrom */
    double *coord;   /* [batch][n_atoms][3] */
    double *cell;    /* [batch][3][3] */
    double *forces;  /* [batch][n_atoms][3] */
    double *stress;  /* [batch][3][3] */
    double *charges; /* [batch][n_atoms] */
    double *energy;  /* [batch] */
    /* scratch for messages */
    unsigned char *buffer;
    size_t buffer_size;
    void *segment[IPI_SEGMENTS]; /* positions, h, inverse of h, potential, forces, virial */
    size_t segment_size[IPI_SEGMENTS];
} ipi_client;

void ipi_client_init(ipi_client *client, const ipi_template *template, int fd);
void ipi_client_free(ipi_client *client);
/* Reads and handles one message. CLOSED at the end (EXIT, or the server has hung up). */
ipi_status ipi_client_message(ipi_client *client);
/* The results are there: answers what was asked for meanwhile. */
ipi_status ipi_client_answer(ipi_client *client);

#endif

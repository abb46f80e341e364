/* SPDX-License-Identifier: MIT */
/* cmd_ipi.c - `aimnet ipi STRUCTURE`: computes forces for i-PI, or for ASE's SocketIOCalculator,
 * which drives the dynamics. The file says which atoms there are; positions and cells come through
 * the socket (ipi_client.c). Several connections are served together: what has arrived on any of
 * them is evaluated in one batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "engine.h"
#include "ipi.h"
#include "stream.h"

typedef struct ipi_options {
    const char *address, *unix_name;
    cli_int port, connections;
    cli_real wait;
    int shared, no_extras, quiet;
    cli_int format;
    cli_engine_options engine;
} ipi_options;

enum { MAX_CONNECTIONS = 256, GATHER_MS = 1, QUIET_MS = 200, DEFAULT_PORT = 31415 };
static const double DEFAULT_WAIT = 10.0; /* seconds */

#define AT(member) .offset = offsetof(ipi_options, member)
static const cli_arg args[] = {
    {.name = "address",
     .letter = 'a',
     .kind = CLI_TEXT,
     .meta = "HOST",
     AT(address),
     .help = "host of the server (default localhost)"},
    {.name = "port",
     .letter = 'p',
     .kind = CLI_INT,
     .meta = "N",
     AT(port),
     .min = 1,
     .max = 65535,
     .help = "its TCP port (default 31415, as in i-PI and ASE)"},
    {.name = "unix",
     .letter = 'u',
     .kind = CLI_TEXT,
     .meta = "NAME",
     AT(unix_name),
     .help = "a UNIX socket instead: /tmp/ipi_NAME, or a path"},
    {.name = "shm",
     .kind = CLI_FLAG,
     AT(shared),
     .help = "the server's mode is \"shm\": arrays travel through shared memory"},
    {.name = "connections",
     .letter = 'n',
     .kind = CLI_INT,
     .meta = "N",
     AT(connections),
     .min = 1,
     .max = MAX_CONNECTIONS,
     .help = "connect N times and evaluate together what arrives together (default 1); servers "
             "that send batches need only one"},
    {.name = "wait",
     .kind = CLI_REAL,
     .meta = "S",
     AT(wait),
     .max = 1e9,
     .help = "how long to wait for the server, seconds (default 10)"},
    {.name = "no-extras",
     .kind = CLI_FLAG,
     AT(no_extras),
     .help = "do not send charges and dipole (JSON, in e and e bohr) with the forces"},
    CLI_FORMAT_ARG(ipi_options),
    CLI_QUIET_ARG(ipi_options, "no warnings, no summary"),
};

typedef struct ipi_session {
    const ipi_options *options;
    cli_engine *engine;
    const cli_item *item;
    aimnet_system system; /* atoms, charge and periodicity of the file */
    ipi_template template;
    ipi_client client[MAX_CONNECTIONS];
    int n_clients, n_opened;
    aimnet_system *systems; /* [capacity] of one evaluation */
    aimnet_result *results;
    int capacity;
    int64_t n_structures, n_batches;
    double seconds; /* spent computing */
} ipi_session;

/* ---------------------------------------------------------------- evaluation */

static int reserve(ipi_session *s, int n)
{
    if (n <= s->capacity)
        return 1;
    free(s->systems);
    free(s->results);
    s->systems = calloc((size_t)n, sizeof *s->systems);
    s->results = calloc((size_t)n, sizeof *s->results);
    s->capacity = s->systems && s->results ? n : 0;
    return s->capacity > 0;
}

static void add_structures(ipi_session *s, const ipi_client *c, int *n)
{
    const size_t atoms = (size_t)s->template.n_atoms;
    for (int k = 0; k < c->batch; k++, ++*n) {
        aimnet_system *system = &s->systems[*n];
        aimnet_result *result = &s->results[*n];
        *system = s->system;
        system->coord = c->coord + 3 * atoms * (size_t)k;
        system->cell = s->template.periodic ? c->cell + 9 * (size_t)k : NULL;
        memset(result, 0, sizeof *result);
        result->forces = c->forces + 3 * atoms * (size_t)k;
        result->charges = c->charges + atoms * (size_t)k;
        result->stress = s->template.periodic ? c->stress + 9 * (size_t)k : NULL;
    }
}

static int all_good(const ipi_session *s, int n)
{
    for (int k = 0; k < n; k++) {
        if (s->results[k].status != AIMNET_OK) {
            cli_error("structure %d of the batch: %s", k, s->results[k].message);
            return 0;
        }
        if (!isfinite(s->results[k].energy)) {
            cli_error("structure %d of the batch: the energy is not a finite number", k);
            return 0;
        }
        cli_warn_of(s->item, s->results[k].warnings);
    }
    return 1;
}

/* Evaluates everything that is pending, and answers. */
static ipi_status evaluate(ipi_session *s)
{
    int n = 0, total = 0;
    for (int i = 0; i < s->n_clients; i++)
        total += s->client[i].state == IPI_PENDING ? s->client[i].batch : 0;
    if (!reserve(s, total)) {
        cli_error("out of memory");
        return IPI_ERROR;
    }
    for (int i = 0; i < s->n_clients; i++)
        if (s->client[i].state == IPI_PENDING)
            add_structures(s, &s->client[i], &n);
    const double start = cli_seconds();
    const aimnet_status status = aimnet_calc_eval(s->engine->calc, s->systems, n, s->results);
    s->seconds += cli_seconds() - start;
    if (status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED) {
        cli_error("%s", aimnet_last_error());
        return IPI_ERROR;
    }
    if (!all_good(s, n))
        return IPI_ERROR;
    s->n_structures += n;
    s->n_batches++;
    n = 0;
    for (int i = 0; i < s->n_clients; i++) {
        ipi_client *c = &s->client[i];
        if (c->state != IPI_PENDING)
            continue;
        for (int k = 0; k < c->batch; k++)
            c->energy[k] = s->results[n++].energy;
        const ipi_status sent = ipi_client_answer(c);
        if (sent != IPI_OK)
            return sent;
    }
    return IPI_OK;
}

/* ---------------------------------------------------------------- connections */

static int count_pending(const ipi_session *s)
{
    int n = 0;
    for (int i = 0; i < s->n_clients; i++)
        n += s->client[i].state == IPI_PENDING;
    return n;
}

static void drop(ipi_session *s, int i)
{
    ipi_client_free(&s->client[i]);
    s->client[i] = s->client[--s->n_clients];
}

/* Messages of all connections that have some; one that the server has closed is given up. */
static ipi_status handle_ready(ipi_session *s, const int *ready)
{
    for (int i = s->n_clients - 1; i >= 0; i--) {
        const ipi_status status = ready[i] ? ipi_client_message(&s->client[i]) : IPI_OK;
        if (status == IPI_CLOSED)
            drop(s, i);
        else if (status != IPI_OK)
            return status;
    }
    return IPI_OK;
}

static ipi_status connect_next(ipi_session *s)
{
    const ipi_options *o = s->options;
    int fd = -1;
    const ipi_status status = ipi_connect(o->unix_name, o->address ? o->address : "localhost",
                                          o->port.given ? (int)o->port.value : DEFAULT_PORT,
                                          o->wait.given ? o->wait.value : DEFAULT_WAIT, &fd);
    if (status != IPI_OK)
        return status;
    ipi_client_init(&s->client[s->n_clients++], &s->template, fd);
    s->n_opened++;
    return IPI_OK;
}

/* Whether to connect once more. A server accepts one connection at a time and talks to it before it
 * accepts the next, and it queues only a few: wait until the last one has been heard, or for a
 * moment if this server is of another kind. */
static int wants_connection(const ipi_session *s, int was_quiet)
{
    const int wanted = s->options->connections.given ? (int)s->options->connections.value : 1;
    if (s->n_opened >= wanted || (s->n_opened > 0 && s->n_clients == 0))
        return 0;
    return s->n_clients == 0 || was_quiet || s->client[s->n_clients - 1].heard;
}

/* Computes as soon as every connection has something pending, or nothing more came for a moment. */
static ipi_status serve(ipi_session *s)
{
    const int wanted = s->options->connections.given ? (int)s->options->connections.value : 1;
    ipi_status status = IPI_OK;
    int was_quiet = 0;
    while (status == IPI_OK && (s->n_clients > 0 || s->n_opened == 0)) {
        int fds[MAX_CONNECTIONS], ready[MAX_CONNECTIONS], n_ready = 0;
        if (wants_connection(s, was_quiet)) {
            was_quiet = 0;
            status = connect_next(s);
            continue;
        }
        const int pending = count_pending(s);
        if (pending == s->n_clients) {
            status = evaluate(s);
            continue;
        }
        for (int i = 0; i < s->n_clients; i++)
            fds[i] = s->client[i].fd;
        const int patience = pending ? GATHER_MS : s->n_opened < wanted ? QUIET_MS : -1;
        status = ipi_wait(fds, s->n_clients, patience, ready, &n_ready);
        was_quiet = n_ready == 0;
        if (status == IPI_OK && n_ready > 0)
            status = handle_ready(s, ready);
        else if (status == IPI_OK && pending)
            status = evaluate(s);
    }
    return status == IPI_CLOSED ? IPI_OK : status;
}

/* ---------------------------------------------------------------- command */

static int run_session(ipi_session *s, const cli_item *item)
{
    s->item = item;
    s->system = aimnet_frame_system(&item->frame);
    cli_engine_override(&s->options->engine, &s->system);
    s->template = (ipi_template){.n_atoms = s->system.n_atoms,
                                 .periodic = s->system.cell != NULL,
                                 .shared = s->options->shared,
                                 .extras = !s->options->no_extras};
    const ipi_status status = serve(s);
    for (int i = 0; i < s->n_clients; i++)
        ipi_client_free(&s->client[i]);
    if (!s->options->quiet && s->n_batches > 0)
        cli_note("%lld structures in %lld batches, %.2f s of computing", (long long)s->n_structures,
                 (long long)s->n_batches, s->seconds);
    free(s->systems);
    free(s->results);
    return status == IPI_OK ? CLI_OK : status == IPI_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}

static int run(void *options, const char *const *files, int n_files)
{
    const ipi_options *o = options;
    cli_engine engine = {0};
    cli_item item = {0};
    cli_stream stream = {.files = files, .n_files = n_files, .format = cli_format_name(&o->format)};
    if (o->unix_name && (o->address || o->port.given)) {
        cli_error("--unix is another way than --address and --port: give one of them");
        return CLI_USAGE;
    }
    if (o->shared && !o->unix_name) {
        cli_error("--shm needs the UNIX socket of the server: add --unix NAME");
        return CLI_USAGE;
    }
    cli_set_quiet(o->quiet);
    cli_catch_interrupts();
    int status = CLI_FAILED;
    const cli_next next = cli_stream_next(&stream, &item);
    if (next != CLI_NEXT_ITEM || item.error) {
        cli_error("%s", next == CLI_NEXT_ITEM ? item.error : "out of memory");
    } else if (item.frame.n_atoms == 0) {
        cli_error("%s:%lld: the structure has no atoms", item.file, (long long)item.frame.line);
    } else {
        cli_warn_of(&item, item.frame.warnings);
        status = cli_engine_open(&o->engine, &engine);
    }
    ipi_session *session = status == CLI_OK ? calloc(1, sizeof *session) : NULL;
    if (session) {
        session->options = o;
        session->engine = &engine;
        status = run_session(session, &item);
    }
    free(session);
    cli_engine_close(&engine);
    cli_stream_close(&stream);
    cli_item_free(&item);
    return status;
}

static const cli_group groups[] = {
    {"Server", args, sizeof args / sizeof args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(ipi_options, engine)},
};

const cli_command cli_command_ipi = {
    .name = "ipi",
    .summary = "computes forces for i-PI or ASE through a socket",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .description =
        "Connects to a server that speaks the protocol of i-PI and computes energies, forces and "
        "virials of what it sends. The first structure of FILE says which atoms there are, in the "
        "server's order, their charge and multiplicity, and whether the server's cell counts (the "
        "structure has one) or not.\n"
        "Batches of structures (\"batch_size\" of i-PI 3.3) and shared memory (mode \"shm\") are "
        "understood. The command ends when the server does.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples = "aimnet ipi --unix water water.xyz\tserver at /tmp/ipi_water\n"
                "aimnet ipi --address node7 --port 31415 water.xyz\n"
                "aimnet ipi --unix beads --connections 8 water.xyz\teight beads in one batch\n",
    .options_size = sizeof(ipi_options),
    .run = run,
};

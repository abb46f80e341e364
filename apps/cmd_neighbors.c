/* SPDX-License-Identifier: MIT */
/* cmd_neighbors.c - `aimnet neighbors --cutoff R FILE...`: the full list of pairs of every
 * structure, for people who debug models.
 *
 * A pair [i, j, S, d] means d = |x_j + S cell - x_i| < R for the positions as given, i != j or S !=
 * 0, counted from 0, sorted by (i, j, S); both (i, j, S) and (j, i, -S) are listed. */
#include <math.h>
#include <string.h>

#include "aimnet_io.h"
#include "aimnet_nlist.h"
#include "commands.h"
#include "console.h"
#include "json.h"
#include "progress.h"
#include "stream.h"

typedef struct neighbors_options {
    cli_real cutoff;
    int json, quiet;
    cli_int format, threads;
} neighbors_options;

#define AT(member) .offset = offsetof(neighbors_options, member)
static const cli_arg args[] = {
    {.name = "cutoff",
     .letter = 'r',
     .kind = CLI_REAL,
     .meta = "R",
     AT(cutoff),
     .max = INFINITY,
     .above_min = 1,
     .help = "pairs closer than R, Angstrom (needed)"},
    CLI_JSON_ARG(neighbors_options, "JSON Lines: one object per structure"),
    CLI_FORMAT_ARG(neighbors_options),
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .meta = "N",
     AT(threads),
     .min = 1,
     .max = CLI_MAX_THREADS,
     .help = "worker threads (default: one per processor); results do not depend on it"},
    CLI_QUIET_ARG(neighbors_options, "no progress bar, no warnings"),
};

/* The i-th row's p-th pair as numbers. */
typedef struct pair {
    int32_t i, j, shift[3];
    double distance;
} pair;

static pair pair_at(const aimnet_atoms *atoms, const aimnet_pairs *list, int32_t i, int64_t p)
{
    pair result = {.i = i, .j = list->j[p]};
    double r[3], sum = 0.0;
    for (int d = 0; d < 3; d++)
        r[d] = atoms->coord[3 * result.j + d] - atoms->coord[3 * i + d];
    for (int s = 0; s < 3 && list->shift; s++) {
        result.shift[s] = list->shift[3 * p + s];
        for (int d = 0; d < 3; d++)
            r[d] += result.shift[s] * atoms->cell[3 * s + d];
    }
    for (int d = 0; d < 3; d++)
        sum += r[d] * r[d];
    result.distance = sqrt(sum);
    return result;
}

static void json_pairs(const cli_item *item, const aimnet_atoms *atoms, const aimnet_pairs *list)
{
    cli_json_open();
    cli_json_key("file");
    cli_json_text(item->file);
    cli_json_key("frame");
    cli_json_int(item->index);
    cli_json_key("cutoff");
    cli_json_real(list->cutoff);
    cli_json_key("pairs");
    cli_json_open_list();
    for (int32_t i = 0; i < list->n_atoms; i++) {
        for (int64_t p = list->row[i]; p < list->row[i + 1]; p++) {
            const pair q = pair_at(atoms, list, i, p);
            cli_json_open_list();
            cli_json_int(q.i);
            cli_json_int(q.j);
            cli_json_open_list();
            for (int d = 0; d < 3; d++)
                cli_json_int(q.shift[d]);
            cli_json_close_list();
            cli_json_real(q.distance);
            cli_json_close_list();
        }
    }
    cli_json_close_list();
    cli_json_end();
}

static void table_pairs(const cli_item *item, const aimnet_atoms *atoms, const aimnet_pairs *list,
                        int first)
{
    const int32_t *z = item->frame.numbers;
    cli_puts(first ? "" : "\n");
    cli_put_name(item->file, 40);
    cli_printf(", frame %lld: %d atoms, %lld pairs within %g A\n", (long long)item->index,
               list->n_atoms, (long long)list->n_pairs, list->cutoff);
    cli_puts("\n       i          j        Sx  Sy  Sz      distance/A\n");
    for (int32_t i = 0; i < list->n_atoms; i++) {
        for (int64_t p = list->row[i]; p < list->row[i + 1]; p++) {
            const pair q = pair_at(atoms, list, i, p);
            cli_printf("%8d %-2s %7d %-2s %6d %3d %3d %15.6f\n", q.i, aimnet_element_symbol(z[q.i]),
                       q.j, aimnet_element_symbol(z[q.j]), q.shift[0], q.shift[1], q.shift[2],
                       q.distance);
        }
    }
}

static void failure(const neighbors_options *o, const cli_item *item, const char *message)
{
    cli_error("%s", message);
    if (!o->json)
        return;
    cli_json_open();
    cli_json_key("file");
    cli_json_text(item->file);
    cli_json_key("frame");
    cli_json_int(item->index);
    cli_json_key("error");
    cli_json_text(message);
    cli_json_end();
}

/* One structure: returns 1 if it could be done. */
static int list_structure(const neighbors_options *o, aimnet_nlist *nlist, const cli_item *item,
                          int first)
{
    const aimnet_frame *f = &item->frame;
    const int32_t pbc[3] = {f->pbc[0], f->pbc[1], f->pbc[2]};
    const int periodic = f->has_cell && (pbc[0] || pbc[1] || pbc[2]);
    const aimnet_atoms atoms = {.n_atoms = f->n_atoms,
                                .coord = f->coord,
                                .n_cells = periodic,
                                .cell = f->cell,
                                .n_pbc = periodic,
                                .pbc = pbc};
    aimnet_pairs list;
    if (item->error) {
        failure(o, item, item->error);
        return 0;
    }
    if (aimnet_nlist_build(nlist, &atoms, &o->cutoff.value, 1) != AIMNET_OK ||
        aimnet_nlist_csr(nlist, 0, &list) != AIMNET_OK) {
        char message[CLI_MESSAGE_SIZE];
        cli_place_message(message, item, aimnet_last_error());
        failure(o, item, message);
        return 0;
    }
    cli_warn_of(item, f->warnings);
    if (o->json)
        json_pairs(item, &atoms, &list);
    else
        table_pairs(item, &atoms, &list, first);
    return 1;
}

static int list_all(const neighbors_options *o, cli_stream *stream, aimnet_nlist *nlist)
{
    cli_item item = {0};
    cli_progress progress;
    int status = CLI_OK, first = 1;
    cli_progress_start(&progress, o->quiet);
    for (;;) {
        const cli_next next = cli_stream_next(stream, &item);
        if (cli_interrupted()) {
            status = CLI_INTERRUPTED;
            break;
        }
        if (next == CLI_NEXT_MEMORY)
            cli_error("out of memory");
        if (next == CLI_NEXT_MEMORY)
            status = CLI_FAILED;
        if (next != CLI_NEXT_ITEM)
            break;
        if (!list_structure(o, nlist, &item, first))
            status = CLI_FAILED;
        first = 0;
        if (!cli_out_flush()) {
            status = CLI_FAILED;
            break;
        }
        cli_progress_update(&progress, cli_stream_fraction(stream), stream->n_read, "structures");
    }
    cli_progress_end(&progress);
    cli_item_free(&item);
    return status;
}

static int run(void *options, const char *const *files, int n_files)
{
    const neighbors_options *o = options;
    aimnet_nlist_options nlist_options = aimnet_nlist_options_default();
    cli_stream stream = {.files = files, .n_files = n_files, .format = cli_format_name(&o->format)};
    aimnet_nlist *nlist = NULL;
    if (!o->cutoff.given) {
        cli_error("neighbors needs --cutoff R: pairs closer than R Angstrom are listed");
        return CLI_USAGE;
    }
    cli_set_quiet(o->quiet);
    cli_catch_interrupts();
    nlist_options.threads = (int)o->threads.value;
    if (aimnet_nlist_create(&nlist_options, &nlist) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    const int status = list_all(o, &stream, nlist);
    cli_stream_close(&stream);
    aimnet_nlist_free(nlist);
    return status;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_neighbors = {
    .name = "neighbors",
    .summary = "pairs of atoms within a cutoff",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = 1 << 30,
    .description = "Lists all ordered pairs (i, j, S) of atoms with |x_j + S cell - x_i| < R for "
                   "the positions as given, where S are three "
                   "integers, 0 along directions that are not periodic. Atoms count from 0; pairs "
                   "are sorted by i, j, S. This is the list "
                   "that models work on.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet neighbors --cutoff 5 molecule.xyz\n"
                "aimnet neighbors --cutoff 5 --json crystal.xyz | jq '.pairs | length'\n",
    .options_size = sizeof(neighbors_options),
    .run = run,
};

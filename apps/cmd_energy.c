/* SPDX-License-Identifier: MIT */
/* cmd_energy.c - `aimnet energy [options] FILE...`: streams the structures of all files in batches
 * through one calculator and prints results in input order, as a table (energy_table.c) or JSON
 * Lines (energy_json.c), and as extended XYZ with -o.
 *
 * A structure that fails costs nothing but itself. An interrupt or a full disk ends the run between
 * two batches; the file of -o appears under its name only when everything was written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "energy.h"
#include "engrad.h"
#include "progress.h"

enum { BATCH_ITEMS = 1024, ENGRAD_NAME = 1024 };

#define AT(member) .offset = offsetof(energy_options, member)
static const cli_arg quantity_args[] = {
    {.name = "forces", .letter = 'f', .kind = CLI_FLAG, AT(forces), .help = "forces, eV/A"},
    {.name = "charges",
     .kind = CLI_FLAG,
     AT(charges),
     .help = "atomic charges, e; with spin charges where the model has them"},
    {.name = "dipole",
     .kind = CLI_FLAG,
     AT(dipole),
     .help = "dipole moment, e A; origin as the model's Dipole output says, otherwise sum q r"},
    {.name = "quadrupole",
     .kind = CLI_FLAG,
     AT(quadrupole),
     .help = "quadrupole moment, e A^2: xx, yy, zz without their mean, xy, yz, zx"},
    {.name = "stress",
     .kind = CLI_FLAG,
     AT(stress),
     .help = "stress (dE/dstrain)/V, eV/A^3, of structures with a cell"},
    {.name = "hessian",
     .kind = CLI_FLAG,
     AT(hessian),
     .help = "second derivatives, eV/A^2; in JSON only"},
    {.name = "terms",
     .kind = CLI_FLAG,
     AT(terms),
     .help = "energy of the network (with what is embedded in the model), of Coulomb and of "
             "dispersion, eV"},
    {.name = "outputs",
     .kind = CLI_FLAG,
     AT(outputs),
     .help = "all further outputs of the model, by name"},
};
static const cli_arg io_args[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(output),
     .help = "also write extended XYZ with the results asked for; crystals as CIF or POSCAR if the "
             "name ends so (.cif, .vasp)"},
    CLI_JSON_ARG(energy_options, "JSON Lines: one object per structure"),
    {.name = "engrad",
     .kind = CLI_FLAG,
     AT(engrad),
     .help = "write energy and gradient in ORCA's format beside the input, with the extension "
             ".engrad; one structure per file"},
    CLI_FORMAT_ARG(energy_options),
    CLI_QUIET_ARG(energy_options, "no progress bar, no warnings"),
};

/* Buffers of one batch's results, cut from one block. */
typedef struct workspace {
    energy_record *records;
    aimnet_system *systems;
    aimnet_result *results;
    int capacity;
    double *numbers;
    size_t numbers_size;
} workspace;

static int reserve_records(workspace *w, int n)
{
    if (n <= w->capacity)
        return 1;
    free(w->records);
    free(w->systems);
    free(w->results);
    w->records = calloc((size_t)n, sizeof *w->records);
    w->systems = calloc((size_t)n, sizeof *w->systems);
    w->results = calloc((size_t)n, sizeof *w->results);
    w->capacity = n;
    return w->records && w->systems && w->results;
}

static int reserve_numbers(double **numbers, size_t *size, size_t n)
{
    if (n <= *size)
        return 1;
    free(*numbers);
    *numbers = malloc(n * sizeof **numbers);
    *size = *numbers ? n : 0;
    return *numbers != NULL;
}

static void workspace_free(workspace *w)
{
    free(w->records);
    free(w->systems);
    free(w->results);
    free(w->numbers);
    memset(w, 0, sizeof *w);
}

/* The next n numbers of the block. */
static double *take(double **at, int wanted, size_t n)
{
    double *block = *at;
    if (!wanted)
        return NULL;
    *at += n;
    return block;
}

static int wants_forces(const energy_options *o)
{
    return o->forces || o->engrad;
}

static size_t hessian_size(int32_t n_atoms)
{
    return 9 * (size_t)n_atoms * (size_t)n_atoms;
}

static void fail_record(energy_record *r, const char *message)
{
    cli_place_message(r->message, r->item, message);
    r->error = r->message;
}

/* What keeps --engrad from naming its file, or NULL. */
static const char *engrad_problem(const cli_item *item)
{
    char path[ENGRAD_NAME];
    if (item->index > 0)
        return "--engrad writes one structure per file, but this one has several";
    if (strcmp(item->file, "-") == 0)
        return "--engrad needs an input file with a name";
    return cli_replace_extension(path, sizeof path, item->file, ".engrad")
               ? NULL
               : "--engrad: the name of the file is too long";
}

/* Gives every readable item of the batch, which the writer can write, a system and a result with the
 * buffers that were asked for. Returns their number, or -1 when memory is short. */
static int prepare(const energy_context *c, workspace *w, const cli_batch *batch,
                   aimnet_writer *writer)
{
    const energy_options *o = c->options;
    const size_t per_atom = (size_t)(3 * wants_forces(o) + o->charges * (1 + c->has_spin) +
                                     c->is_ensemble * (3 * wants_forces(o) + o->charges));
    const size_t per_system = (size_t)(3 * o->dipole + 6 * o->quadrupole + 9 * o->stress);
    size_t total = per_atom * (size_t)batch->n_atoms + per_system * (size_t)batch->n;
    for (int i = 0; o->hessian && i < batch->n; i++)
        total += batch->items[i].error ? 0 : hessian_size(batch->items[i].frame.n_atoms);
    if (!reserve_records(w, batch->n) ||
        (total > 0 && !reserve_numbers(&w->numbers, &w->numbers_size, total)))
        return -1;
    double *at = w->numbers;
    int n = 0;
    for (int i = 0; i < batch->n; i++) {
        energy_record *r = &w->records[i];
        aimnet_result *result = &r->result;
        r->item = &batch->items[i];
        r->error = r->item->error;
        memset(result, 0, sizeof *result);
        if (!r->error && writer &&
            aimnet_writer_check(writer, &r->item->frame) != AIMNET_OK) /* not after all the work */
            fail_record(r, aimnet_last_error());
        const char *problem = o->engrad && !r->error ? engrad_problem(r->item) : NULL;
        if (problem)
            fail_record(r, problem);
        if (r->error)
            continue;
        r->system = aimnet_frame_system(&r->item->frame);
        cli_engine_override(&o->engine, &r->system);
        r->index = n;
        const size_t atoms = (size_t)r->system.n_atoms;
        result->forces = take(&at, wants_forces(o), 3 * atoms);
        result->charges = take(&at, o->charges, atoms);
        result->spin_charges = take(&at, o->charges && c->has_spin, atoms);
        result->forces_std = take(&at, wants_forces(o) && c->is_ensemble, 3 * atoms);
        result->charges_std = take(&at, o->charges && c->is_ensemble, atoms);
        result->dipole = take(&at, o->dipole, 3);
        result->quadrupole = take(&at, o->quadrupole, 6);
        result->stress = take(&at, o->stress, 9);
        result->hessian = take(&at, o->hessian, hessian_size(r->system.n_atoms));
        w->systems[n] = r->system;
        w->results[n] = *result;
        n++;
    }
    return n;
}

static void finish_record(energy_record *r, const aimnet_result *result)
{
    r->result = *result;
    if (result->status != AIMNET_OK)
        fail_record(r, result->message);
    else if (!isfinite(result->energy))
        fail_record(r, "the energy is not a finite number: check the structure and the model");
}

int energy_output(energy_context *c, const energy_record *r, int index, const char **name,
                  int *per_atom, int *width, const double **values)
{
    aimnet_calc *calc = c->engine->calc;
    if (aimnet_calc_output_info(calc, index, name, per_atom, width) != AIMNET_OK)
        return 0;
    const size_t n = (size_t)*width * (*per_atom ? (size_t)r->system.n_atoms : 1);
    if (!reserve_numbers(&c->scratch, &c->scratch_size, n) ||
        aimnet_calc_output_get(calc, index, r->index, c->scratch, c->scratch_size) != AIMNET_OK)
        return 0;
    *values = c->scratch;
    return 1;
}

static int write_engrad(const energy_record *r)
{
    char path[ENGRAD_NAME];
    return cli_replace_extension(path, sizeof path, r->item->file, ".engrad") &&
           cli_engrad_write(path, &r->system, r->result.energy, r->result.forces, 1) == CLI_OK;
}

/* Prints one record and hands it to the writer; returns 0 when the run has to end. */
static int deliver(energy_context *c, energy_record *r, aimnet_writer *writer)
{
    if (r->error) {
        cli_error("%s", r->error);
        c->n_failed++;
    } else {
        cli_warn_of(r->item, r->item->frame.warnings);
        cli_warn_of(r->item, r->result.warnings);
        c->n_done++;
        c->n_atoms += r->system.n_atoms;
    }
    if (!c->options->json)
        energy_table_record(c, r);
    else if (r->error)
        energy_json_failure(r);
    else
        energy_json_record(c, r);
    if (c->options->engrad && !r->error && !write_engrad(r))
        return 0;
    if (writer && !r->error) {
        aimnet_frame frame = r->item->frame;
        frame.charge = r->system.charge;
        frame.mult = r->system.mult;
        if (aimnet_writer_frame(writer, &frame, &r->result) != AIMNET_OK) {
            cli_error("%s", aimnet_last_error());
            return 0;
        }
    }
    return !cli_out_failed();
}

/* Evaluates records[0..n_records-1], n of which have systems. If the call as a whole fails (out of
 * memory, for example) they are tried one by one, so that a giant does not cost the others. */
static int evaluate(energy_context *c, workspace *w, int n_records, int n, aimnet_writer *writer)
{
    const aimnet_status status =
        n > 0 ? aimnet_calc_eval(c->engine->calc, w->systems, n, w->results) : AIMNET_OK;
    const int whole = status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED;
    for (int i = 0; i < n_records; i++) {
        energy_record *r = &w->records[i];
        if (!r->error && !whole) {
            finish_record(r, &w->results[r->index]);
        } else if (!r->error) {
            aimnet_result *result = &w->results[r->index];
            const aimnet_system *system = &w->systems[r->index];
            const aimnet_status alone = aimnet_calc_eval(c->engine->calc, system, 1, result);
            r->index = 0;
            if (alone == AIMNET_OK || alone == AIMNET_ERR_SOME_FAILED)
                finish_record(r, result);
            else
                fail_record(r, aimnet_last_error());
        }
        if (!deliver(c, r, writer))
            return 0;
    }
    return 1;
}

/* All batches; returns an exit status. */
static int run_batches(energy_context *c, cli_stream *stream, aimnet_writer *writer)
{
    const int64_t limit = cli_engine_batch_atoms(&c->options->engine, c->engine);
    cli_batch batch = {0};
    workspace w = {0};
    cli_progress progress;
    int status = CLI_OK;
    cli_progress_start(&progress, c->options->quiet);
    while (status == CLI_OK) {
        int n = -1;
        if (cli_batch_read(&batch, stream, limit, BATCH_ITEMS))
            n = prepare(c, &w, &batch, writer);
        if (cli_interrupted()) {
            status = CLI_INTERRUPTED;
        } else if (n < 0) {
            cli_error("out of memory");
            status = CLI_FAILED;
        } else if (batch.n == 0) {
            break;
        } else if (!evaluate(c, &w, batch.n, n, writer) || !cli_out_flush()) {
            status = CLI_FAILED;
        }
        cli_progress_update(&progress, cli_stream_fraction(stream), c->n_done + c->n_failed,
                            "structures");
    }
    cli_progress_end(&progress);
    workspace_free(&w);
    cli_batch_free(&batch);
    return status;
}

static int compute(energy_context *c, const char *const *files, int n_files)
{
    const energy_options *o = c->options;
    cli_stream stream = {.files = files, .n_files = n_files, .format = cli_format_name(&o->format)};
    aimnet_writer *writer = NULL;
    if (o->output && aimnet_writer_open(o->output, &writer) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    if (!o->json)
        energy_table_start(c, files, n_files);
    int status = run_batches(c, &stream, writer);
    cli_stream_close(&stream);
    if (status == CLI_OK && !o->json)
        energy_table_end(c);
    if (status == CLI_OK && !cli_out_flush())
        status = CLI_FAILED;
    const int keep = status == CLI_OK && (c->n_done > 0 || c->n_failed == 0);
    if (writer && aimnet_writer_close(writer, keep) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        status = CLI_FAILED;
    }
    const long long n = (long long)(c->n_done + c->n_failed);
    if (status == CLI_INTERRUPTED)
        cli_error("interrupted after %lld structure%s", n, n == 1 ? "" : "s");
    return status == CLI_OK && c->n_failed > 0 ? CLI_FAILED : status;
}

static int run(void *options, const char *const *files, int n_files)
{
    const energy_options *o = options;
    cli_engine engine;
    if (o->output && strcmp(o->output, "-") == 0) {
        cli_error("-o needs a file name; standard output carries the table or --json");
        return CLI_USAGE;
    }
    if (o->hessian && !o->json) {
        cli_error("--hessian prints a matrix for programs: add --json");
        return CLI_USAGE;
    }
    cli_set_quiet(o->quiet);
    cli_catch_interrupts();
    int status = cli_engine_open(&o->engine, &engine);
    if (status == CLI_OK) {
        energy_context context = {.options = o, .engine = &engine};
        context.has_spin = engine.info.num_charge_channels == 2;
        context.is_ensemble = engine.n_models > 1;
        status = compute(&context, files, n_files);
        free(context.scratch);
    }
    cli_engine_close(&engine);
    return status;
}

static const cli_group groups[] = {
    {"What to compute", quantity_args, sizeof quantity_args / sizeof quantity_args[0], 0},
    {"Input and output", io_args, sizeof io_args / sizeof io_args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(energy_options, engine)},
};

const cli_command cli_command_energy = {
    .name = "energy",
    .summary = "energies, forces, charges and more of structures",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = 1 << 30,
    .description = "Computes the energy of every structure in the files ('-' is standard input), "
                   "and what else is asked for, and prints a "
                   "table or, with --json, one JSON object per structure. A structure that cannot "
                   "be computed is reported; "
                   "the others are computed all the same.\n"
                   "Without --model the model that is built into the program is used.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples =
        "aimnet energy --forces --charges molecule.xyz\n"
        "aimnet energy --json conformers.sdf | jq .energy\tenergies in eV, one per line\n"
        "aimnet energy --charge -1 --forces -o forces.xyz trajectory.xyz\tforces as extended XYZ\n"
        "aimnet energy -m a.pt -m b.pt molecules.xyz\tan ensemble: mean and standard deviation\n",
    .options_size = sizeof(energy_options),
    .run = run,
};

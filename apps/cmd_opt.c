/* SPDX-License-Identifier: MIT */
/* cmd_opt.c - `aimnet opt [options] FILE...`: optimises the structures of all files, many at once
 * (opt_run.c), and prints them in input order (opt_print.c). */
#include <math.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "opt.h"

static const double GPA = 1.0 / 160.21766208; /* eV/A^3 per GPa, CODATA 2014 */
static const double FINE_FMAX = 0.005;        /* eV/A: below, single precision is too coarse */

#define AT(member) .offset = offsetof(opt_options, member)
static const cli_arg method_args[] = {
    {.name = "level",
     .letter = 'l',
     .kind = CLI_CHOICE,
     .meta = "LEVEL",
     AT(level),
     .choices = "loose|normal|tight",
     .help = "criteria: loose (largest force 0.05 eV/A, last change of the energy 1e-3 eV, stress "
             "5e-4 eV/A^3), normal (0.02, 1e-4, 2e-4; default) or tight (0.001, 1e-6, 1e-5; in "
             "double precision)"},
    {.name = "fmax",
     .kind = CLI_REAL,
     .meta = "F",
     AT(fmax),
     .max = INFINITY,
     .above_min = 1,
     .help = "largest force on a free atom, eV/A, instead of the level's; without --ediff, "
             "changes of the energy are not looked at. Below 0.005 double precision is used"},
    {.name = "ediff",
     .kind = CLI_REAL,
     .meta = "E",
     AT(ediff),
     .max = INFINITY,
     .help = "largest change of the energy in the last step, eV; 0: not asked for"},
    {.name = "smax",
     .kind = CLI_REAL,
     .meta = "S",
     AT(smax),
     .max = INFINITY,
     .above_min = 1,
     .help = "largest component of the stress, pressure taken off, eV/A^3"},
    {.name = "steps",
     .letter = 'n',
     .kind = CLI_INT,
     .meta = "N",
     AT(steps),
     .min = 0,
     .max = 1e9,
     .help = "most evaluations after the first, per structure (default 1000)"},
    {.name = "method",
     .kind = CLI_CHOICE,
     .meta = "METHOD",
     AT(method),
     .choices = "lbfgs|fire",
     .help = "lbfgs (quasi-Newton from a model Hessian; default) or fire (damped dynamics)"},
    {.name = "max-move",
     .kind = CLI_REAL,
     .meta = "R",
     AT(max_move),
     .max = INFINITY,
     .above_min = 1,
     .help = "largest displacement of an atom in one step, Angstrom (default 0.2)"},
    {.name = "host-steps",
     .kind = CLI_FLAG,
     AT(host_steps),
     .help = "with a GPU: move the structures on the host, with positions and forces between the "
             "two at every step, instead of keeping the whole loop on the GPU"},
    {.name = "freeze",
     .kind = CLI_TEXT,
     .meta = "LIST",
     AT(freeze),
     .help = "atoms that keep their place: numbers from 0, ranges and elements, for example "
             "0-5,9,Si; with a relaxing cell they keep their fractional coordinates"},
};
static const cli_arg cell_args[] = {
    {.name = "cell",
     .kind = CLI_CHOICE,
     .meta = "MODE",
     AT(cell),
     .choices = "fixed|full|isotropic",
     .help = "the cell: fixed (default), full (lengths and angles) or isotropic (one factor)"},
    {.name = "fix-axes",
     .kind = CLI_TEXT,
     .meta = "AXES",
     AT(fix_axes),
     .help = "Cartesian axes without strain, for example z for a slab or xy"},
    {.name = "pressure",
     .kind = CLI_REAL,
     .meta = "P",
     AT(pressure),
     .help = "pressure on the cell, GPa (default 0)"},
};
static const cli_arg io_args[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(output),
     .help = "write the final structures as extended XYZ, with energy, forces and charges, in the "
             "order and with the comments of the input; crystals as CIF or POSCAR if the name ends "
             "so (.cif, .vasp)"},
    {.name = "trajectory",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(trajectory),
     .help = "append every step as extended XYZ; opt_structure and opt_step in the comment say "
             "which"},
    {.name = "restart",
     .kind = CLI_FLAG,
     AT(restart),
     .help = "go on from the last step of every structure in the file of --trajectory"},
    CLI_JSON_ARG(opt_options, "JSON Lines: one object per structure, final coordinates included"),
    CLI_FORMAT_ARG(opt_options),
    CLI_QUIET_ARG(opt_options, "no progress bar, no warnings"),
};

static int fixed_axes(const char *text, int fixed[3])
{
    for (const char *c = text; c && *c; c++) {
        if (*c < 'x' || *c > 'z') {
            cli_error("--fix-axes takes some of the letters x, y and z, not '%s'", text);
            return 0;
        }
        fixed[*c - 'x'] = 1;
    }
    return 1;
}

static int fill_criteria(const opt_options *o, aimnet_opt_options *c)
{
    *c = aimnet_opt_options_default();
    if (o->level.given && aimnet_opt_set_level(c, (aimnet_opt_level)o->level.value) != AIMNET_OK)
        return 0;
    c->method = (aimnet_opt_method)o->method.value;
    c->cell = (aimnet_opt_cell)o->cell.value;
    if (o->fmax.given) {
        c->fmax = o->fmax.value;
        c->ediff = 0.0;
    }
    if (o->ediff.given)
        c->ediff = o->ediff.value;
    if (o->smax.given)
        c->smax = o->smax.value;
    if (o->steps.given)
        c->max_steps = (int)o->steps.value;
    if (o->max_move.given)
        c->max_move = o->max_move.value;
    c->pressure = o->pressure.value * GPA;
    c->on_host = o->host_steps;
    return fixed_axes(o->fix_axes, c->fixed_axes);
}

static int check_usage(const opt_options *o)
{
    const char *missing = o->pressure.given ? "--pressure"
                          : o->fix_axes     ? "--fix-axes"
                          : o->smax.given   ? "--smax"
                                            : NULL;
    if (o->output && strcmp(o->output, "-") == 0)
        cli_error("-o needs a file name; standard output carries the table or --json");
    else if (o->output && o->trajectory && strcmp(o->output, o->trajectory) == 0)
        cli_error("-o and --trajectory name the same file, %s", o->output);
    else if (missing && o->cell.value == AIMNET_OPT_CELL_FIXED)
        cli_error("%s needs a cell that relaxes: add --cell full or --cell isotropic", missing);
    else if (o->restart && !o->trajectory)
        cli_error("--restart needs the file to go on from: add --trajectory FILE");
    else
        return 1;
    return 0;
}

static int open_files(opt_context *c)
{
    const opt_options *o = c->options;
    if (o->restart && opt_read_trajectory(c, o->trajectory) != CLI_OK)
        return CLI_FAILED;
    if ((o->output && aimnet_writer_open(o->output, &c->output) != AIMNET_OK) ||
        (o->trajectory && aimnet_writer_append(o->trajectory, &c->trajectory) != AIMNET_OK) ||
        aimnet_opt_create(c->engine->calc, &c->criteria, &c->pool) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int close_files(opt_context *c, int status)
{
    const int keep = c->completed && (c->n_converged + c->n_open > 0 || c->n_failed == 0);
    if (c->trajectory && aimnet_writer_close(c->trajectory, 1) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        status = CLI_FAILED;
    }
    if (c->output && aimnet_writer_close(c->output, keep) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        status = CLI_FAILED;
    }
    return status;
}

static int run(void *options, const char *const *files, int n_files)
{
    opt_options *o = options;
    cli_engine engine = {0};
    opt_context c = {.options = o, .engine = &engine};
    if (!check_usage(o) || !fill_criteria(o, &c.criteria))
        return CLI_USAGE;
    cli_set_quiet(o->quiet);
    cli_catch_interrupts();
    if (c.criteria.fmax < FINE_FMAX && !o->engine.precision.given)
        o->engine.precision = (cli_int){.value = AIMNET_DOUBLE, .given = 1};
    else if (c.criteria.fmax < FINE_FMAX && o->engine.precision.value == AIMNET_SINGLE)
        cli_warning("the criteria are close to the rounding noise of single precision");
    int status = cli_engine_open(&o->engine, &engine);
    if (status == CLI_OK)
        status = open_files(&c);
    if (status == CLI_OK) {
        c.stream =
            (cli_stream){.files = files, .n_files = n_files, .format = cli_format_name(&o->format)};
        opt_print_start(&c, files, n_files);
        status = opt_run(&c);
        cli_stream_close(&c.stream);
    }
    status = close_files(&c, status);
    opt_free(&c);
    cli_engine_close(&engine);
    return status;
}

static const cli_group groups[] = {
    {"Optimisation", method_args, sizeof method_args / sizeof method_args[0], 0},
    {"Cell", cell_args, sizeof cell_args / sizeof cell_args[0], 0},
    {"Input and output", io_args, sizeof io_args / sizeof io_args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(opt_options, engine)},
};

const cli_command cli_command_opt = {
    .name = "opt",
    .summary = "optimises structures, with or without their cells",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = 1 << 30,
    .description =
        "Moves the atoms of every structure to the nearest minimum of the energy. Many structures "
        "are optimised at once; each leaves the batch when it has converged, and the next one "
        "takes its place. The path of a structure does not depend on the others.\n"
        "The exit status is 0 when all have converged, 3 when one has not, 1 when one cannot be "
        "computed.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples =
        "aimnet opt molecule.xyz -o optimised.xyz\n"
        "aimnet opt --level tight --json conformers.sdf | jq .energy\n"
        "aimnet opt --cell full --pressure 1 crystal.xyz -o relaxed.xyz\tat 1 GPa\n"
        "aimnet opt --freeze Si --trajectory steps.xyz slab.xyz\n"
        "aimnet opt --trajectory steps.xyz --restart slab.xyz\tgo on after an interruption\n",
    .options_size = sizeof(opt_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* cmd_freq.c - `aimnet freq [options] FILE...`: harmonic vibrations and thermochemistry of every
 * structure, one after another. The Hessian is computed or read from a file; the energy and forces
 * at the geometry are computed in any case, because they tell whether it is a stationary point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "freq.h"

static const double STATIONARY = 0.02; /* eV/A: largest force without a warning */
static const double RIGID = 50.0;      /* cm^-1 */

#define AT(member) .offset = offsetof(freq_options, member)
static const cli_arg thermo_args[] = {
    {.name = "temperature",
     .letter = 't',
     .kind = CLI_REAL,
     .meta = "T",
     AT(temperature),
     .max = INFINITY,
     .above_min = 1,
     .help = "kelvin (default 298.15)"},
    {.name = "pressure",
     .kind = CLI_REAL,
     .meta = "P",
     AT(pressure),
     .max = INFINITY,
     .above_min = 1,
     .help = "pascal (default 101325)"},
    {.name = "symmetry-number",
     .kind = CLI_REAL,
     .meta = "N",
     AT(symmetry_number),
     .min = 1,
     .max = INFINITY,
     .help = "of the rotations: 2 for water, 3 for ammonia, 12 for methane (default 1)"},
    {.name = "scale",
     .kind = CLI_REAL,
     .meta = "F",
     AT(scale),
     .max = INFINITY,
     .above_min = 1,
     .help = "factor on all wavenumbers, in the table, the spectrum and the thermochemistry "
             "(default 1)"},
    {.name = "rotor-cutoff",
     .kind = CLI_REAL,
     .meta = "W",
     AT(rotor_cutoff),
     .min = 0,
     .max = INFINITY,
     .help = "where the quasi-harmonic entropy goes over to rotors, cm^-1 (default 100)"},
};
static const cli_arg hessian_args[] = {
    {.name = "read-hessian",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(read_hessian),
     .help = "take the Hessian, eV/A^2, from a .npy file of shape (3N, 3N) or (N, 3, N, 3); energy "
             "and intensities are still the model's"},
    {.name = "write-hessian",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(write_hessian),
     .help = "write the Hessian as .npy, (3N, 3N), eV/A^2"},
    {.name = "step",
     .kind = CLI_REAL,
     .meta = "H",
     AT(step),
     .min = 1e-5,
     .max = 0.1,
     .help = "take the Hessian from central differences of forces with this displacement, "
             "Angstrom, instead of exact derivatives; 0.0005 is a good value in double precision"},
};
static const cli_arg io_args[] = {
    {.name = "molden",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(molden),
     .help = "write geometry, modes and intensities in the Molden format"},
    {.name = "animate",
     .kind = CLI_TEXT,
     .meta = "PREFIX",
     AT(animate),
     .help = "write every mode as a moving picture, PREFIX001.xyz, PREFIX002.xyz, ..."},
    {.name = "svg",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(svg),
     .help = "draw the infrared spectrum, Lorentzian lines 16 cm^-1 wide"},
    CLI_JSON_ARG(freq_options, "JSON Lines"),
    CLI_FORMAT_ARG(freq_options),
    CLI_QUIET_ARG(freq_options, "no warnings"),
};

static void fill_conditions(const freq_options *o, aimnet_thermo_options *t)
{
    *t = aimnet_thermo_options_default();
    if (o->temperature.given)
        t->temperature = o->temperature.value;
    if (o->pressure.given)
        t->pressure = o->pressure.value;
    if (o->symmetry_number.given)
        t->symmetry_number = o->symmetry_number.value;
    if (o->scale.given)
        t->scale = o->scale.value;
    if (o->rotor_cutoff.given)
        t->rotor_cutoff = o->rotor_cutoff.value;
}

static int is_periodic(const aimnet_system *s)
{
    return s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
}

static int fail(freq_entry *e, const char *what)
{
    cli_place_message(e->message, &e->item, what);
    cli_error("%s", e->message);
    return CLI_FAILED;
}

static int fail_last(freq_entry *e)
{
    return fail(e, aimnet_last_error());
}

static int allocate(freq_entry *e)
{
    const size_t n = 3 * (size_t)e->system.n_atoms;
    if (n > (1 << 20)) /* keeps n * n within range; the library has its own, lower limit */
        return 0;
    e->memory = calloc(n * (n + 5), sizeof *e->memory);
    if (!e->memory)
        return 0;
    e->hessian = e->memory;
    e->dipole_gradient = e->hessian + n * n;
    e->result.forces = e->dipole_gradient + 3 * n;
    e->result.charges = e->result.forces + n;
    return 1;
}

static int evaluate(freq_run *r, freq_entry *e)
{
    const aimnet_status status = aimnet_calc_eval(r->engine.calc, &e->system, 1, &e->result);
    if (status == AIMNET_ERR_SOME_FAILED)
        return fail(e, e->result.message);
    if (status != AIMNET_OK)
        return fail_last(e);
    for (int32_t i = 0; i < e->system.n_atoms; i++) {
        const double *f = e->result.forces + 3 * (size_t)i;
        e->fmax = fmax(e->fmax, sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]));
    }
    return CLI_OK;
}

static int get_hessian(freq_run *r, freq_entry *e)
{
    const freq_options *o = r->options;
    const int64_t n = 3 * (int64_t)e->system.n_atoms;
    aimnet_status status = AIMNET_OK;
    if (is_periodic(&e->system)) /* sum q r depends on the images chosen */
        e->dipole_gradient = NULL;
    if (o->read_hessian)
        status = aimnet_matrix_load(o->read_hessian, e->hessian, n, n);
    if (status == AIMNET_OK && (!o->read_hessian || e->dipole_gradient))
        status = aimnet_vib_derivatives(r->engine.calc, &e->system, o->step.value,
                                        o->read_hessian ? NULL : e->hessian, e->dipole_gradient);
    if (status == AIMNET_OK && o->write_hessian)
        status = aimnet_matrix_save(o->write_hessian, e->hessian, n, n);
    return status == AIMNET_OK ? CLI_OK : fail_last(e);
}

static void warn(freq_entry *e)
{
    char message[CLI_MESSAGE_SIZE];
    cli_warn_of(&e->item, e->item.frame.warnings);
    cli_warn_of(&e->item, e->result.warnings);
    if (e->fmax > STATIONARY)
        snprintf(e->doubt, sizeof e->doubt,
                 "the largest force is %.4f eV/A: no stationary point, optimise with `aimnet opt "
                 "--level tight` first",
                 e->fmax);
    else if (fabs(e->modes->rigid_wavenumber) > RIGID)
        snprintf(e->doubt, sizeof e->doubt,
                 "the Hessian has %.0f cm^-1 for a motion of the whole structure: it does not "
                 "belong to this geometry",
                 e->modes->rigid_wavenumber);
    if (e->doubt[0]) {
        cli_place_message(message, &e->item, e->doubt);
        cli_warning("%s", message);
    }
}

/* What fails is printed where it fails. */
static int write_files(const freq_run *r, freq_entry *e)
{
    const freq_options *o = r->options;
    int status = CLI_OK;
    if (o->molden)
        status = freq_write_molden(o->molden, e);
    if (status == CLI_OK && o->animate)
        status = freq_write_animations(o->animate, e);
    if (status == CLI_OK && o->svg)
        status = freq_write_svg(o->svg, r, e);
    if (status != CLI_OK)
        cli_place_message(e->message, &e->item, "its files could not be written");
    return status;
}

static int analyze(freq_run *r, freq_entry *e)
{
    const aimnet_vib_input input = {.n_atoms = e->system.n_atoms,
                                    .numbers = e->system.numbers,
                                    .coord = e->system.coord,
                                    .hessian = e->hessian,
                                    .dipole_gradient = e->dipole_gradient,
                                    .periodic = is_periodic(&e->system)};
    if (aimnet_vib_analyze(&input, NULL, &e->vib) != AIMNET_OK)
        return fail_last(e);
    e->modes = aimnet_vib_get_modes(e->vib);
    aimnet_thermo_options conditions = r->conditions;
    conditions.mult = e->system.mult > 0.0 ? e->system.mult : 1.0;
    if (aimnet_vib_thermo(e->vib, &conditions, &e->thermo) != AIMNET_OK)
        return fail_last(e);
    if (!isfinite(e->thermo.gibbs) || !isfinite(e->thermo.gibbs_quasi))
        return fail(e, "the free energy is not a finite number: check temperature, pressure, scale "
                       "and the Hessian");
    warn(e);
    return CLI_OK;
}

static int has_files(const freq_options *o)
{
    return o->molden || o->animate || o->svg || o->read_hessian || o->write_hessian;
}

/* Steps of one structure, each only if those before went well. */
static int do_structure(freq_run *r, freq_entry *e)
{
    if (e->item.error) {
        snprintf(e->message, sizeof e->message, "%s", e->item.error);
        cli_error("%s", e->message);
        return CLI_FAILED;
    }
    if (r->n_done++ > 0 && has_files(r->options))
        return fail(e, "a second structure, but the files of --molden, --animate, --svg, "
                       "--read-hessian and --write-hessian are for one");
    e->system = aimnet_frame_system(&e->item.frame);
    cli_engine_override(&r->options->engine, &e->system);
    if (!allocate(e))
        return fail(e, "not enough memory for its Hessian");
    int status = evaluate(r, e);
    if (status == CLI_OK)
        status = get_hessian(r, e);
    if (status == CLI_OK)
        status = analyze(r, e);
    if (status == CLI_OK)
        status = write_files(r, e);
    return status;
}

static void print(const freq_run *r, const freq_entry *e, int status)
{
    if (status != CLI_OK && r->options->json)
        freq_print_json_failure(e);
    else if (status == CLI_OK && r->options->json)
        freq_print_json(r, e);
    else if (status == CLI_OK)
        freq_print_table(r, e);
}

static void free_entry(freq_entry *e)
{
    aimnet_vib_free(e->vib);
    free(e->memory);
    const cli_item item = e->item; /* its arrays are used again */
    *e = (freq_entry){.item = item};
}

static int do_all(freq_run *r, cli_stream *stream)
{
    freq_entry e = {0};
    int status = CLI_OK;
    while (!cli_interrupted() && !cli_out_failed()) {
        const cli_next next = cli_stream_next(stream, &e.item);
        if (next == CLI_NEXT_END || cli_interrupted())
            break;
        if (next == CLI_NEXT_MEMORY) {
            cli_error("memory ran out");
            status = CLI_FAILED;
            break;
        }
        const int done = do_structure(r, &e);
        if (done != CLI_OK)
            status = CLI_FAILED;
        print(r, &e, done);
        free_entry(&e);
        cli_out_flush();
    }
    cli_item_free(&e.item);
    if (!cli_interrupted())
        return status;
    cli_error("interrupted");
    return CLI_INTERRUPTED;
}

static int run(void *options, const char *const *files, int n_files)
{
    freq_options *o = options;
    freq_run r = {.options = o};
    cli_set_quiet(o->quiet);
    cli_catch_interrupts();
    fill_conditions(o, &r.conditions);
    if (!o->engine.precision.given)
        o->engine.precision = (cli_int){.value = AIMNET_DOUBLE, .given = 1};
    else if (o->engine.precision.value == AIMNET_SINGLE && !o->read_hessian)
        cli_warning("single precision: wavenumbers below 100 cm^-1 are noisy");
    int status = cli_engine_open(&o->engine, &r.engine);
    if (status == CLI_OK) {
        cli_stream stream = {
            .files = files, .n_files = n_files, .format = cli_format_name(&o->format)};
        status = do_all(&r, &stream);
        cli_stream_close(&stream);
    }
    cli_engine_close(&r.engine);
    return status;
}

static const cli_group groups[] = {
    {"Thermochemistry", thermo_args, sizeof thermo_args / sizeof thermo_args[0], 0},
    {"Hessian", hessian_args, sizeof hessian_args / sizeof hessian_args[0], 0},
    {"Input and output", io_args, sizeof io_args / sizeof io_args[0], 0},
    {"Model and method", cli_engine_args, CLI_N_ENGINE_ARGS, offsetof(freq_options, engine)},
};

const cli_command cli_command_freq = {
    .name = "freq",
    .summary = "vibrations, infrared spectrum and thermochemistry",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = 1 << 30,
    .description =
        "Harmonic wavenumbers with translations and rotations projected out (imaginary ones are "
        "negative), reduced masses, infrared intensities of the charge dipole, and the "
        "thermochemistry of the ideal gas (rigid rotor, harmonic oscillator; entropies also "
        "quasi-harmonic after Grimme). Computed in double precision by default.\n"
        "The geometry should be a minimum: `aimnet opt --level tight` finds it.",
    .groups = groups,
    .n_groups = sizeof groups / sizeof groups[0],
    .examples = "aimnet freq optimised.xyz\n"
                "aimnet freq --symmetry-number 2 -t 350 water.xyz\n"
                "aimnet freq --svg spectrum.svg --molden modes.molden optimised.xyz\n"
                "aimnet freq --write-hessian h.npy a.xyz\n"
                "aimnet freq --read-hessian h.npy -t 400 a.xyz\twithout computing it again\n"
                "aimnet freq --json *.xyz | jq .gibbs\n",
    .options_size = sizeof(freq_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* engine.c - from options to a calculator, and back to words about it (engine.h).
 *
 * Options that cannot have an effect (a cutoff for a Coulomb method without one) are notes: one
 * line on standard error, and a warning in every JSON object. Which external parts exist in the end
 * is the calculator's answer, not a guess made here. */
#include "engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aimnet_model.h"
#include "console.h"
#include "json.h"

/* Enough work for every thread; more would only take memory. */
enum { ATOMS_PER_THREAD = 512, BATCH_MIN = 1024, BATCH_MAX = 16384 };

#define AT(member) .offset = offsetof(cli_engine_options, member)

const cli_arg cli_engine_args[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_LIST,
     .meta = "NAME|PATH",
     AT(model),
     .help = "model: a file, a published name (aimnet2; NAME:all is its ensemble) or OWNER/NAME "
             "from the cache, or 'default', the built-in one; several are an ensemble"},
    {.name = "config",
     .kind = CLI_TEXT,
     .meta = "YAML",
     AT(config),
     .help = "definition of the models, where --model gives weights of a training"},
    {.name = "device",
     .kind = CLI_TEXT,
     .meta = "DEVICE",
     AT(device),
     .help = "where to compute: cpu (default), cuda or cuda:N (a GPU), auto (a GPU if one "
             "can be used)"},
    {.name = "no-graph",
     .kind = CLI_FLAG,
     AT(no_graph),
     .help = "on a GPU, do not record batches whose shape repeats as CUDA graphs; results are the "
             "same"},
    {.name = "device-memory",
     .kind = CLI_REAL,
     .meta = "GB",
     AT(device_memory),
     .max = 1e6,
     .above_min = 1,
     .help = "most memory of a GPU for an evaluation (default: what is free); large crystals are "
             "then computed in slabs, with the same results"},
    {.name = "fast",
     .kind = CLI_FLAG,
     AT(fast),
     .help = "on a GPU in single precision, layers with operands of 11 bits (as "
             "TF32)"},
    {.name = "precision",
     .kind = CLI_CHOICE,
     .meta = "P",
     AT(precision),
     .choices = "single|double",
     .help = "arithmetic of the network: single (default) or double"},
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .meta = "N",
     AT(threads),
     .min = 1,
     .max = CLI_MAX_THREADS,
     .help = "worker threads (default: one per processor); results do not depend on it"},
    {.name = "batch-atoms",
     .kind = CLI_INT,
     .meta = "N",
     AT(batch_atoms),
     .min = 1,
     .max = 1e9,
     .help = "most atoms evaluated together, at least one structure (default 512 per thread, from "
             "1024 to 16384; 16384 on a GPU); results do not depend on it"},
    {.name = "charge",
     .letter = 'c',
     .kind = CLI_REAL,
     .meta = "Q",
     AT(charge),
     .help = "total charge of every structure, instead of the file's"},
    {.name = "mult",
     .kind = CLI_INT,
     .meta = "M",
     AT(mult),
     .min = 1,
     .max = 1e6,
     .help = "spin multiplicity of every structure, instead of the file's"},
    {.name = "coulomb",
     .kind = CLI_CHOICE,
     .meta = "METHOD",
     AT(coulomb),
     .choices = "simple|dsf|ewald|pme",
     .help = "long-range Coulomb: simple (all pairs; default), dsf (damped and shifted), ewald or "
             "pme (crystals; pme for large cells)"},
    {.name = "coulomb-cutoff",
     .kind = CLI_REAL,
     .meta = "R",
     AT(coulomb_cutoff),
     .max = INFINITY,
     .above_min = 1,
     .help = "cutoff of dsf, Angstrom (default 15)"},
    {.name = "dsf-alpha",
     .kind = CLI_REAL,
     .meta = "X",
     AT(dsf_alpha),
     .max = INFINITY,
     .help = "damping of dsf, 1/Angstrom (default 0.2)"},
    {.name = "ewald-accuracy",
     .kind = CLI_REAL,
     .meta = "X",
     AT(ewald_accuracy),
     .max = 0.5,
     .above_min = 1,
     .help = "accuracy of ewald (default 1e-8) and pme (default 1e-6)"},
    {.name = "d3-cutoff",
     .kind = CLI_REAL,
     .meta = "R",
     AT(d3_cutoff),
     .max = INFINITY,
     .above_min = 1,
     .help = "cutoff of the dispersion energy, Angstrom (default 15)"},
    {.name = "d3-smoothing",
     .kind = CLI_REAL,
     .meta = "F",
     AT(d3_smoothing),
     .max = 1,
     .help = "part of the dispersion cutoff over which the energy is switched off (default 0.2; 0: "
             "none)"},
    {.name = "lr-cutoff",
     .kind = CLI_REAL,
     .meta = "R",
     AT(lr_cutoff),
     .max = INFINITY,
     .above_min = 1,
     .help = "both cutoffs, dsf and dispersion; the specific options win"},
    {.name = "no-coulomb",
     .kind = CLI_FLAG,
     AT(no_coulomb),
     .help = "no long-range Coulomb energy outside the model"},
    {.name = "no-dispersion",
     .kind = CLI_FLAG,
     AT(no_dispersion),
     .help = "no dispersion energy outside the model"},
    {.name = "mixed-families",
     .kind = CLI_FLAG,
     AT(mixed_families),
     .help = "allow models of different families in one ensemble"},
};

static void note(cli_engine *e, const char *text)
{
    const size_t used = strlen(e->notes);
    snprintf(e->notes + used, sizeof e->notes - used, "%s%s", used ? "\n" : "", text);
    cli_warning("%s", text);
}

static void fill_options(const cli_engine_options *o, cli_engine *e)
{
    aimnet_options *a = &e->options;
    *a = aimnet_options_default();
    a->device = o->device ? o->device : "cpu";
    a->precision = o->precision.value == 1 ? AIMNET_DOUBLE : AIMNET_SINGLE;
    a->threads = (int)o->threads.value;
    a->coulomb = (aimnet_coulomb)o->coulomb.value; /* the choices stand in the order of the enum */
    if (o->ewald_accuracy.given)
        a->ewald_accuracy = o->ewald_accuracy.value;
    if (o->lr_cutoff.given)
        a->coulomb_cutoff = a->d3_cutoff = o->lr_cutoff.value;
    if (o->coulomb_cutoff.given)
        a->coulomb_cutoff = o->coulomb_cutoff.value;
    if (o->d3_cutoff.given)
        a->d3_cutoff = o->d3_cutoff.value;
    if (o->dsf_alpha.given)
        a->dsf_alpha = o->dsf_alpha.value;
    if (o->d3_smoothing.given)
        a->d3_smoothing = o->d3_smoothing.value;
    if (o->no_coulomb)
        a->needs_coulomb = 0;
    if (o->no_dispersion)
        a->needs_dispersion = 0;
    a->mixed_families = o->mixed_families;
    a->no_graph = o->no_graph;
    a->fast = o->fast;
    a->batch_atoms = o->batch_atoms.value;
    a->device_memory = (size_t)(o->device_memory.value * 1e9);
}

static void note_if(cli_engine *e, int given, const char *option, const char *why)
{
    char text[200];
    if (!given)
        return;
    snprintf(text, sizeof text, "%s has no effect: %s", option, why);
    note(e, text);
}

/* Options that change nothing, now that the calculator has said what it adds. */
static void note_options_without_effect(const cli_engine_options *o, cli_engine *e)
{
    static const char no_coulomb[] = "no Coulomb energy is added to this model";
    static const char no_cutoff[] = "it belongs to --coulomb dsf";
    static const char no_dispersion[] = "no dispersion energy is added to this model";
    const int has_coulomb = aimnet_calc_has_external_coulomb(e->calc);
    const int has_dispersion = aimnet_calc_has_external_dftd3(e->calc);
    const aimnet_coulomb method = aimnet_calc_coulomb_method(e->calc);
    const int dsf = has_coulomb && method == AIMNET_COULOMB_DSF;
    if (!has_coulomb || (method != AIMNET_COULOMB_EWALD && method != AIMNET_COULOMB_PME))
        note_if(e, o->ewald_accuracy.given, "--ewald-accuracy", "no Ewald sum is in use");
    if (!has_coulomb && o->coulomb.value == 0) /* otherwise the library says so */
        note_if(e, o->coulomb.given, "--coulomb", no_coulomb);
    if (!dsf) {
        note_if(e, o->coulomb_cutoff.given, "--coulomb-cutoff", no_cutoff);
        note_if(e, o->dsf_alpha.given, "--dsf-alpha", no_cutoff);
    }
    if (!dsf && has_dispersion)
        note_if(e, o->lr_cutoff.given, "--lr-cutoff on Coulomb", no_cutoff);
    if (!dsf && !has_dispersion)
        note_if(e, o->lr_cutoff.given, "--lr-cutoff", "nothing with a cutoff is in use");
    if (!has_dispersion) {
        note_if(e, o->d3_cutoff.given, "--d3-cutoff", no_dispersion);
        note_if(e, o->d3_smoothing.given, "--d3-smoothing", no_dispersion);
    }
}

void cli_warn_lines(const char *lines)
{
    while (*lines) {
        const int size = (int)strcspn(lines, "\n");
        cli_warning("%.*s", size, lines);
        lines += size + (lines[size] == '\n');
    }
}

static int load_one(cli_engine *e, const char *name, const char *config)
{
    aimnet_load_options how = aimnet_load_options_default();
    if (e->n_models == CLI_LIST_SIZE) {
        cli_error("--model: more than %d models", CLI_LIST_SIZE);
        return CLI_USAGE;
    }
    how.config = config;
    if (aimnet_model_load_with(name, &how, NULL, &e->models[e->n_models]) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    e->n_models++;
    return CLI_OK;
}

/* A model, or the members of "NAME:all". */
static int load_name(cli_engine *e, const char *name, const char *config)
{
    char member[4200];
    int n = 1, status = CLI_OK;
    const size_t size = strlen(name);
    if (size <= 4 || size > 4096 || strcmp(name + size - 4, ":all") != 0)
        return load_one(e, name, config);
    if (aimnet_model_members(name, NULL, &n) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    for (int k = 0; k < n && status == CLI_OK; k++) {
        snprintf(member, sizeof member, "%.*s:%d", (int)size - 4, name, k);
        status = load_one(e, member, config);
    }
    return status;
}

static int is_device(const char *word)
{
    static const char card[] = "cuda:";
    const char *number = word + sizeof card - 1;
    if (strncmp(word, card, sizeof card - 1) == 0)
        return *number && strspn(number, "0123456789") == strlen(number) && strlen(number) <= 3;
    return strcmp(word, "cpu") == 0 || strcmp(word, "auto") == 0 || strcmp(word, "cuda") == 0;
}

/* Options that cannot be meant, whatever the models are. */
static int check_usage(const cli_engine_options *o)
{
    if (o->device && !is_device(o->device))
        cli_error("--device takes cpu, auto, cuda or cuda:N, not '%s'", o->device);
    else if (o->fast && o->precision.value == AIMNET_DOUBLE)
        cli_error("--fast is for single precision: add --precision single, or leave it out");
    else if (o->fast && (!o->device || strcmp(o->device, "cpu") == 0))
        cli_error("--fast is for a GPU: add --device cuda, or leave it out");
    else
        return 1;
    return 0;
}

int cli_engine_open(const cli_engine_options *o, cli_engine *e)
{
    memset(e, 0, sizeof *e);
    if (!check_usage(o))
        return CLI_USAGE;
    int status = o->model.n > 0 ? CLI_OK : load_one(e, "default", o->config);
    for (int i = 0; i < o->model.n && status == CLI_OK; i++)
        status = load_name(e, o->model.item[i], o->config);
    if (status != CLI_OK)
        return status;
    fill_options(o, e);
    if (aimnet_model_get_info(e->models[0], &e->info) != AIMNET_OK ||
        aimnet_calc_create(e->models, e->n_models, &e->options, &e->calc) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    note_options_without_effect(o, e);
    cli_warn_lines(aimnet_calc_warnings(e->calc));
    return CLI_OK;
}

void cli_engine_close(cli_engine *e)
{
    aimnet_calc_free(e->calc);
    for (int i = 0; i < e->n_models; i++)
        aimnet_model_free(e->models[i]);
    memset(e, 0, sizeof *e);
}

int64_t cli_engine_batch_atoms(const cli_engine_options *o, const cli_engine *e)
{
    const int64_t threads = o->threads.given ? o->threads.value : aimnet_build().processors;
    const int64_t atoms = ATOMS_PER_THREAD * threads;
    if (o->batch_atoms.given)
        return o->batch_atoms.value;
    if (strcmp(aimnet_calc_device(e->calc), "cpu") != 0)
        return BATCH_MAX;
    return atoms < BATCH_MIN ? BATCH_MIN : atoms > BATCH_MAX ? BATCH_MAX : atoms;
}

void cli_engine_override(const cli_engine_options *o, aimnet_system *system)
{
    if (o->charge.given)
        system->charge = o->charge.value;
    if (o->mult.given)
        system->mult = (double)o->mult.value;
}

static const char *model_name(const cli_engine *e, int i)
{
    aimnet_model_info info;
    return aimnet_model_get_info(e->models[i], &info) == AIMNET_OK ? info.name : "?";
}

static double ewald_accuracy(const cli_engine *e)
{
    return e->options.ewald_accuracy > 0              ? e->options.ewald_accuracy
           : e->options.coulomb == AIMNET_COULOMB_PME ? 1e-6
                                                      : 1e-8;
}

/* Prints ", text" or a new line before it when it no longer fits. */
static void headline_part(const char *text, int *column)
{
    const int size = (int)strlen(text);
    if (*column > 0 && *column + 2 + size > 80) {
        cli_puts(",\n  ");
        *column = 2;
    } else if (*column > 0) {
        cli_puts(", ");
        *column += 2;
    }
    cli_puts(text);
    *column += size;
}

void cli_engine_headline(const cli_engine *e)
{
    const int coulomb = aimnet_calc_has_external_coulomb(e->calc);
    char text[256];
    int column = 0;
    for (int i = 0; i < e->n_models; i++) {
        if (e->n_models == 1)
            snprintf(text, sizeof text, "Model %s", model_name(e, i));
        else if (i == 0)
            snprintf(text, sizeof text, "Ensemble of %d models: %s", e->n_models, model_name(e, i));
        else
            snprintf(text, sizeof text, "%s", model_name(e, i));
        headline_part(text, &column);
    }
    if (coulomb && aimnet_calc_coulomb_method(e->calc) == AIMNET_COULOMB_DSF)
        snprintf(text, sizeof text, "Coulomb dsf within %g A (alpha %g/A)",
                 aimnet_calc_coulomb_cutoff(e->calc), e->options.dsf_alpha);
    else if (coulomb && aimnet_calc_coulomb_method(e->calc) == AIMNET_COULOMB_EWALD)
        snprintf(text, sizeof text, "Coulomb ewald (accuracy %g)", ewald_accuracy(e));
    else if (coulomb && aimnet_calc_coulomb_method(e->calc) == AIMNET_COULOMB_PME)
        snprintf(text, sizeof text, "Coulomb pme (accuracy %g)", ewald_accuracy(e));
    else if (coulomb)
        snprintf(text, sizeof text, "Coulomb simple");
    else
        snprintf(text, sizeof text,
                 e->info.has_embedded_coulomb ? "Coulomb in the model" : "no long-range Coulomb");
    headline_part(text, &column);
    if (aimnet_calc_has_external_dftd3(e->calc))
        snprintf(text, sizeof text, "D3(BJ) within %g A", aimnet_calc_dftd3_cutoff(e->calc));
    else
        snprintf(text, sizeof text,
                 e->info.has_embedded_dispersion ? "dispersion in the model" : "no dispersion");
    headline_part(text, &column);
    headline_part(e->options.precision == AIMNET_DOUBLE ? "double precision" : "single precision",
                  &column);
    cli_puts("\n");
}

void cli_engine_json_model(const cli_engine *e)
{
    cli_json_key("model");
    if (e->n_models == 1) {
        cli_json_text(model_name(e, 0));
        return;
    }
    cli_json_open_list();
    for (int i = 0; i < e->n_models; i++)
        cli_json_text(model_name(e, i));
    cli_json_close_list();
}

static void real(const char *key, double value)
{
    cli_json_key(key);
    cli_json_real(value);
}

void cli_engine_json_coulomb(const cli_engine *e, const aimnet_result *result)
{
    const aimnet_coulomb_params *p = &result->coulomb;
    cli_json_key("coulomb");
    cli_json_open();
    cli_json_key("method");
    if (!result->has_coulomb) {
        cli_json_text(e->info.has_embedded_coulomb ? "embedded" : "none");
    } else if (result->coulomb_method == AIMNET_COULOMB_DSF) {
        cli_json_text("dsf");
        real("cutoff", p->cutoff);
        real("alpha", p->alpha);
    } else if (result->coulomb_method == AIMNET_COULOMB_EWALD) {
        cli_json_text("ewald");
        real("accuracy", p->accuracy);
        real("alpha", p->alpha);
        real("cutoff", p->cutoff);
        real("k_cutoff", p->k_cutoff);
    } else if (result->coulomb_method == AIMNET_COULOMB_PME) {
        cli_json_text("pme");
        real("accuracy", p->accuracy);
        real("alpha", p->alpha);
        real("cutoff", p->cutoff);
        cli_json_key("order");
        cli_json_int(p->order);
        cli_json_key("mesh");
        cli_json_open_list();
        for (int d = 0; d < 3; d++)
            cli_json_int(p->mesh[d]);
        cli_json_close_list();
    } else {
        cli_json_text("simple");
    }
    cli_json_close();
}

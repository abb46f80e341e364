/* SPDX-License-Identifier: MIT */
/* cmd_export.c - `aimnet export WEIGHTS OUT --model YAML --sae YAML`: what a training left becomes a
 * model file. Arguments are those of the reference's command. */
#include <string.h>

#include "aimnet_model.h"
#include "commands.h"
#include "console.h"
#include "model_files.h"

typedef struct export_options {
    const char *model, *sae;
    int needs_coulomb, no_coulomb, needs_dispersion, no_dispersion, quiet;
} export_options;

#define AT(x) .offset = offsetof(export_options, x)
static const cli_arg args[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_TEXT,
     .meta = "YAML",
     AT(model),
     .help = "definition of the model that was trained (needed)"},
    {.name = "sae",
     .letter = 's',
     .kind = CLI_TEXT,
     .meta = "YAML",
     AT(sae),
     .help = "energies of the atoms, eV, by atomic number (needed): added to the shifts; elements "
             "without one are masked"},
    {.name = "needs-coulomb",
     .kind = CLI_FLAG,
     AT(needs_coulomb),
     .help = "ask for the external Coulomb energy, whatever the definition says"},
    {.name = "no-coulomb",
     .kind = CLI_FLAG,
     AT(no_coulomb),
     .help = "do not ask for it; refused where the model has a short-range part"},
    {.name = "needs-dispersion",
     .kind = CLI_FLAG,
     AT(needs_dispersion),
     .help = "ask for the external dispersion energy; the definition must have its parameters"},
    {.name = "no-dispersion", .kind = CLI_FLAG, AT(no_dispersion), .help = "do not ask for it"},
    {.name = "model-import-path",
     .kind = CLI_TEXT,
     .meta = "PATH",
     .refused =
         "there is no Python here to import from: output modules are a closed set of classes"},
    CLI_QUIET_ARG(export_options, "print nothing"),
};

static int choice(int yes, int no)
{
    return yes ? 1 : no ? 0 : -1;
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const export_options *o = options;
    aimnet_export_options e = aimnet_export_options_default();
    (void)n_operands;
    if (!o->model || !o->sae) {
        cli_error("export: --%s is needed", o->model ? "sae" : "model");
        return CLI_USAGE;
    }
    if ((o->needs_coulomb && o->no_coulomb) || (o->needs_dispersion && o->no_dispersion)) {
        cli_error("export: give one of --needs-%s and --no-%s",
                  o->needs_coulomb && o->no_coulomb ? "coulomb" : "dispersion",
                  o->needs_coulomb && o->no_coulomb ? "coulomb" : "dispersion");
        return CLI_USAGE;
    }
    e.weights = operands[0];
    e.config = o->model;
    e.sae = o->sae;
    e.needs_coulomb = choice(o->needs_coulomb, o->no_coulomb);
    e.needs_dispersion = choice(o->needs_dispersion, o->no_dispersion);
    e.format = cli_format_of(operands[1]);
    if (aimnet_model_export(&e, NULL, operands[1]) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    return o->quiet ? CLI_OK : cli_report_model(operands[1], 0);
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_export = {
    .name = "export",
    .summary = "weights of a training as a model file",
    .operands = "WEIGHTS OUT",
    .min_operands = 2,
    .max_operands = 2,
    .description =
        "Makes a model file of WEIGHTS, the state_dict that a training saved, and the definition "
        "of the model. Long-range modules are taken out of the outputs and asked for in the "
        "metadata; SRCoulomb takes the place of LRCoulomb; the energies of the atoms are added to "
        "the shifts in double precision; elements without one are masked; the table that DispParam "
        "names as ptfile is stored. The result is checked as a file is when it is read, and then "
        "replaces OUT. The Python package loads it.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet export weights.pt model.pt --model aimnet2.yaml --sae atoms.sae\n",
    .options_size = sizeof(export_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* cmd_convert.c - `aimnet convert IN [YAML] OUT`: a model in another file format; TorchScript of old
 * releases with its long-range parts taken out. */
#include <string.h>

#include "aimnet_model.h"
#include "commands.h"
#include "console.h"
#include "model_files.h"

typedef struct convert_options {
    cli_int member, into;
    int quiet;
} convert_options;

#define AT(x) .offset = offsetof(convert_options, x)
static const cli_arg args[] = {
    {.name = "member",
     .kind = CLI_INT,
     .meta = "N",
     AT(member),
     .min = 0,
     .max = 9999,
     .help = "read ensemble_N.safetensors of a directory (default 0)"},
    {.name = "into",
     .kind = CLI_INT,
     .meta = "N",
     AT(into),
     .min = 0,
     .max = 9999,
     .help = "write ensemble_N.safetensors of a directory (default 0)"},
    CLI_QUIET_ARG(convert_options, "print nothing"),
};

/* Exact copy of what the file holds. */
static aimnet_status copy(const convert_options *o, const aimnet_model *model, const char *to)
{
    return aimnet_model_save(model, to, cli_format_of(to), (int)o->into.value);
}

static aimnet_status externalize(const convert_options *o, const char *from, const char *yaml,
                                 const char *to)
{
    aimnet_export_options e = aimnet_export_options_default();
    e.weights = from;
    e.config = yaml;
    e.format = cli_format_of(to);
    e.member = (int)o->into.value;
    return aimnet_model_export(&e, NULL, to);
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const convert_options *o = options;
    const char *to = operands[n_operands - 1];
    aimnet_load_options how = aimnet_load_options_default();
    aimnet_model_info info;
    aimnet_model *model = NULL;
    if (o->into.value > 0 && !cli_is_folder(to)) {
        cli_error("--into is for a directory: '%s' is none (a '/' at its end would make it one)",
                  to);
        return CLI_USAGE;
    }
    if (o->member.value > 0 && n_operands == 3) {
        cli_error("--member is for a directory that describes itself: leave it or YAML out");
        return CLI_USAGE;
    }
    how.member = (int)o->member.value;
    aimnet_status status = AIMNET_OK;
    if (n_operands == 3) {
        status = externalize(o, operands[0], operands[1], to);
    } else {
        status = aimnet_model_load_with(operands[0], &how, NULL, &model);
        if (status == AIMNET_OK)
            status = aimnet_model_get_info(model, &info);
        if (status == AIMNET_OK && strcmp(info.format, "torchscript") == 0)
            status = externalize(o, operands[0], NULL, to);
        else if (status == AIMNET_OK)
            status = copy(o, model, to);
    }
    aimnet_model_free(model);
    if (status != AIMNET_OK)
        cli_error("%s", aimnet_last_error());
    if (status != AIMNET_OK || o->quiet)
        return status == AIMNET_OK ? CLI_OK : CLI_FAILED;
    how.member = (int)o->into.value;
    return cli_report_model(to, how.member);
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_convert = {
    .name = "convert",
    .summary = "a model file in another format",
    .operands = "IN [YAML] OUT",
    .min_operands = 2,
    .max_operands = 3,
    .description =
        "Writes the model IN (a file, a directory, or 'default') as OUT, with all metadata and "
        "tensors exactly as they are. The format of IN is recognised by its content; that of OUT "
        "by its name: NAME.safetensors is a file of safetensors with its description NAME.json "
        "beside it, a directory (or a name ending in '/', which is made) gets config.json and "
        "ensemble_0.safetensors as on Hugging Face, everything else is a v2 .pt file, which the "
        "Python package loads. An existing OUT is replaced when the new one is complete.\n"
        "TorchScript (.jpt) of old releases becomes a model whose Coulomb and dispersion energies "
        "are external, as in newer files: they are then computed by today's rules. YAML is its "
        "definition; without it the one that the archive itself says is used.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet convert model.pt model/\tthe layout of Hugging Face\n"
                "aimnet convert --member 2 model/ model_2.pt\n"
                "aimnet convert old.jpt aimnet2.yaml new.pt\n",
    .options_size = sizeof(convert_options),
    .run = run,
};

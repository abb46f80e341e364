/* SPDX-License-Identifier: MIT */
/* cmd_convert.c - `aimnet convert IN OUT`: a model in another file format. */
#include <string.h>
#include <sys/stat.h>

#include "aimnet_model.h"
#include "commands.h"
#include "console.h"

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
    {.name = "quiet", .letter = 'q', .kind = CLI_FLAG, AT(quiet), .help = "print nothing"},
};

/* A directory, or a name that says so. */
static aimnet_file_format format_of(const char *path)
{
    static const char suffix[] = ".safetensors";
    struct stat info;
    const size_t n = strlen(path), stem = sizeof suffix - 1;
    const int is_folder =
        (n > 0 && path[n - 1] == '/') || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    const int is_named = n > stem && strcmp(path + n - stem, suffix) == 0;
    return is_folder || is_named ? AIMNET_FILE_SAFETENSORS : AIMNET_FILE_PT;
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const convert_options *o = options;
    const char *to = operands[n_operands - 1];
    aimnet_load_options how = aimnet_load_options_default();
    aimnet_model_info info;
    aimnet_model *model = NULL;
    int status = CLI_FAILED;
    how.member = (int)o->member.value;
    if (aimnet_model_load_with(operands[0], &how, NULL, &model) != AIMNET_OK ||
        aimnet_model_get_info(model, &info) != AIMNET_OK ||
        aimnet_model_save(model, to, format_of(to), (int)o->into.value) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
    } else {
        status = CLI_OK;
        if (!o->quiet && strcmp(to, "-") != 0)
            cli_printf("%s (%s) -> %s (%s)\n", operands[0], info.format, to,
                       format_of(to) == AIMNET_FILE_PT ? "v2-pt" : "safetensors");
    }
    aimnet_model_free(model);
    return status;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_convert = {
    .name = "convert",
    .summary = "a model file in another format",
    .operands = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .description =
        "Writes the model IN (a file, a directory, or 'default') as OUT, with all metadata and "
        "tensors exactly as they are. The format of IN is recognised by its content; that of OUT "
        "by its name: NAME.safetensors is a file of safetensors with its description NAME.json "
        "beside it, a directory (or a name ending in '/', which is made) gets config.json and "
        "ensemble_0.safetensors as on Hugging Face, everything else is a v2 .pt file, which the "
        "Python package loads. An existing OUT is replaced when the new one is complete.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet convert model.pt model/\tthe layout of Hugging Face\n"
                "aimnet convert --member 2 model/ model_2.pt\n",
    .options_size = sizeof(convert_options),
    .run = run,
};

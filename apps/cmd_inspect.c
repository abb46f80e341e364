/* SPDX-License-Identifier: MIT */
/* cmd_inspect.c - `aimnet inspect MODEL`: what a model file contains, without computing anything.
 * All words come from aimnet_model_describe; control characters of the file never reach the
 * terminal. */
#include <string.h>

#include "aimnet_model.h"
#include "commands.h"
#include "console.h"

typedef struct inspect_options {
    int json, tensors, yaml;
    const char *config, *diff;
    cli_int member;
} inspect_options;

#define AT(member) .offset = offsetof(inspect_options, member)
static const cli_arg args[] = {
    {.name = "tensors", .kind = CLI_FLAG, AT(tensors), .help = "also a table of all tensors"},
    CLI_JSON_ARG(inspect_options, "everything, tensors included, as one JSON object"),
    {.name = "yaml",
     .kind = CLI_FLAG,
     AT(yaml),
     .help = "only the architecture, in YAML as in the file"},
    {.name = "diff",
     .kind = CLI_TEXT,
     .meta = "OTHER",
     AT(diff),
     .help = "only what the model OTHER says differently: metadata, YAML, tensors; status 1 if "
             "there is a difference"},
    {.name = "config",
     .kind = CLI_TEXT,
     .meta = "FILE",
     AT(config),
     .help = "description that belongs to MODEL: the YAML of a training checkpoint, or the "
             "config.json of safetensors"},
    {.name = "member",
     .kind = CLI_INT,
     .meta = "N",
     AT(member),
     .min = 0,
     .max = 9999,
     .help = "ensemble_N.safetensors of a directory (default 0)"},
};

static void print_safely(char *text)
{
    for (char *c = text; *c; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
    }
    const size_t size = strlen(text);
    cli_out(text, size);
    if (size > 0 && text[size - 1] != '\n')
        cli_puts("\n");
}

/* Prints the differences; a model that cannot be loaded is a failure, too. */
static int print_diff(const aimnet_model *model, const char *other_path)
{
    aimnet_model *other = NULL;
    char *text = NULL;
    int status = CLI_FAILED;
    if (aimnet_model_load(other_path, NULL, &other) != AIMNET_OK ||
        aimnet_model_diff(model, other, &text) != AIMNET_OK)
        cli_error("%s", aimnet_last_error());
    else if (text[0] == '\0')
        status = CLI_OK;
    else
        print_safely(text);
    if (text)
        aimnet_model_text_free(model, text);
    aimnet_model_free(other);
    return status;
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const inspect_options *o = options;
    const char *path = operands[0];
    aimnet_model *model = NULL;
    char *text = NULL;
    int status = CLI_FAILED;
    (void)n_operands;
    if (o->json + o->tensors + o->yaml + (o->diff != NULL) > 1) {
        cli_error("inspect: give one of --json, --tensors, --yaml and --diff");
        return CLI_USAGE;
    }
    const aimnet_describe what = o->json      ? AIMNET_DESCRIBE_JSON
                                 : o->yaml    ? AIMNET_DESCRIBE_YAML
                                 : o->tensors ? AIMNET_DESCRIBE_TREE_TENSORS
                                              : AIMNET_DESCRIBE_TREE;
    aimnet_load_options how = aimnet_load_options_default();
    how.config = o->config;
    how.member = (int)o->member.value;
    const aimnet_status loaded = aimnet_model_load_with(path, &how, NULL, &model);
    if (loaded == AIMNET_OK && o->diff) {
        status = print_diff(model, o->diff);
    } else if (loaded != AIMNET_OK || aimnet_model_describe(model, what, &text) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
    } else {
        print_safely(text);
        status = CLI_OK;
    }
    if (text)
        aimnet_model_text_free(model, text);
    aimnet_model_free(model);
    return status;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_inspect = {
    .name = "inspect",
    .summary = "what a model file contains: elements, architecture, tensors",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .description =
        "Prints what a model file contains and what a calculator attaches to it: "
        "metadata, elements, architecture "
        "and, if asked for, tensors. MODEL is a file, a directory, the name of a model in "
        "the cache, or 'default' for the model that is built into the program.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet inspect default\naimnet inspect --json model.pt | jq .metadata\n"
                "aimnet inspect old.pt --diff new.pt\n",
    .options_size = sizeof(inspect_options),
    .run = run,
};

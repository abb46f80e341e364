/* SPDX-License-Identifier: MIT */
/* cmd_info.c - `aimnet info`: what this program is, what it found on this machine, and which model
 * it uses when none is named. */
#include <stdio.h>

#include "aimnet_cuda.h"
#include "aimnet_io.h"
#include "aimnet_model.h"
#include "commands.h"
#include "console.h"
#include "json.h"

typedef struct info_options {
    int json;
} info_options;

static const cli_arg args[] = {
    CLI_JSON_ARG(info_options, "the same as one JSON object"),
};

static void elements(const aimnet_model_info *m)
{
    for (int i = 0; i < m->n_species; i++)
        cli_printf("%s%s", i ? " " : "", aimnet_element_symbol(m->species[i]));
}

/* One line per card, or why there is none. */
static void print_cards(void)
{
    int n = 0;
    aimnet_cuda_card card;
    if (aimnet_cuda_count(&n) != AIMNET_OK)
        cli_printf("               no cuda: %s\n", aimnet_last_error());
    for (int k = 0; k < n; k++)
        if (aimnet_cuda_get_card(k, &card) == AIMNET_OK)
            cli_printf("               cuda:%d, %s, compute capability %d.%d, %.1f GB (%.1f free), "
                       "driver for "
                       "CUDA %d.%d, module of CUDA %d.%d\n",
                       k, card.name, card.major, card.minor, (double)card.memory * 1e-9,
                       (double)card.available * 1e-9, card.driver / 1000, card.driver % 1000 / 10,
                       card.runtime / 1000, card.runtime % 1000 / 10);
        else
            cli_printf("               cuda:%d: %s\n", k, aimnet_last_error());
}

static void print_text(const aimnet_build_info *b, const aimnet_model_info *m)
{
    char cache[4096];
    cli_printf("aimnet         %s\n", b->version);
    cli_printf("built with     %s\n", b->compiler);
    cli_printf("devices        cpu\n");
    print_cards();
    cli_printf("instructions   %s\n", b->isa);
    cli_printf("threads        %d\n", b->processors);
    cli_printf("models         v2 .pt, safetensors and .jpt files, 'default' (built in), names\n");
    cli_printf("model cache    %s\n",
               aimnet_cache_dir(cache, sizeof cache) == AIMNET_OK ? cache : "none");
    cli_printf("\ndefault model  %s, %lld parameters, cutoff %g A\n", m->format,
               (long long)m->n_parameters, m->cutoff);
    cli_printf("elements       ");
    elements(m);
    cli_printf("\ncharges        %s\n", m->num_charge_channels == 2
                                            ? "open shell: takes a multiplicity"
                                            : "closed shell: takes no multiplicity");
    cli_printf("attached       %s%s%s\n", m->needs_coulomb ? "Coulomb" : "",
               m->needs_coulomb && m->needs_dispersion ? ", " : "",
               m->needs_dispersion ? "D3(BJ) dispersion" : (m->needs_coulomb ? "" : "nothing"));
}

static void text_pair(const char *key, const char *value)
{
    cli_json_key(key);
    cli_json_text(value);
}

static void json_int(const char *key, long long value)
{
    cli_json_key(key);
    cli_json_int(value);
}

static void json_cards(void)
{
    int n = 0;
    aimnet_cuda_card card;
    if (aimnet_cuda_count(&n) != AIMNET_OK)
        text_pair("no_cuda", aimnet_last_error());
    cli_json_key("cuda");
    cli_json_open_list();
    for (int k = 0; k < n; k++) {
        if (aimnet_cuda_get_card(k, &card) != AIMNET_OK)
            continue;
        cli_json_open();
        text_pair("name", card.name);
        json_int("major", card.major);
        json_int("minor", card.minor);
        json_int("memory", (long long)card.memory);
        json_int("available", (long long)card.available);
        json_int("driver", card.driver);
        json_int("runtime", card.runtime);
        cli_json_close();
    }
    cli_json_close_list();
}

static void print_json(const aimnet_build_info *b, const aimnet_model_info *m)
{
    char cache[4096];
    cli_json_open();
    text_pair("version", b->version);
    text_pair("compiler", b->compiler);
    cli_json_key("devices");
    cli_json_open_list();
    cli_json_text("cpu");
    cli_json_close_list();
    json_cards();
    text_pair("isa", b->isa);
    cli_json_key("threads");
    cli_json_int(b->processors);
    cli_json_key("cache");
    if (aimnet_cache_dir(cache, sizeof cache) == AIMNET_OK)
        cli_json_text(cache);
    else
        cli_json_text("");
    cli_json_key("default_model");
    cli_json_open();
    text_pair("format", m->format);
    cli_json_key("parameters");
    cli_json_int(m->n_parameters);
    cli_json_key("cutoff");
    cli_json_real(m->cutoff);
    cli_json_key("elements");
    cli_json_open_list();
    for (int i = 0; i < m->n_species; i++)
        cli_json_text(aimnet_element_symbol(m->species[i]));
    cli_json_close_list();
    cli_json_key("num_charge_channels");
    cli_json_int(m->num_charge_channels);
    cli_json_key("needs_coulomb");
    cli_json_bool(m->needs_coulomb);
    cli_json_key("needs_dispersion");
    cli_json_bool(m->needs_dispersion);
    cli_json_close();
    cli_json_end();
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const info_options *o = options;
    const aimnet_build_info build = aimnet_build();
    aimnet_model *model = NULL;
    aimnet_model_info info;
    (void)operands;
    (void)n_operands;
    if (aimnet_model_load(NULL, NULL, &model) != AIMNET_OK ||
        aimnet_model_get_info(model, &info) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        aimnet_model_free(model);
        return CLI_FAILED;
    }
    if (o->json)
        print_json(&build, &info);
    else
        print_text(&build, &info);
    aimnet_model_free(model);
    return CLI_OK;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_info = {
    .name = "info",
    .summary = "version, instruction set, threads, default model",
    .operands = "",
    .min_operands = 0,
    .max_operands = 0,
    .description = "Prints the version, how the program was built, the instruction set and the "
                   "number of threads that it uses on "
                   "this machine, where models are looked for, and what the built-in model is.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet info\n",
    .options_size = sizeof(info_options),
    .run = run,
};

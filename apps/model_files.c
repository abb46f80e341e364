/* SPDX-License-Identifier: MIT */
/* model_files.c - names of model files, and the line that is printed when one was written. */
#include "model_files.h"

#include <string.h>
#include <sys/stat.h>

#include "console.h"

int cli_is_folder(const char *path)
{
    struct stat info;
    const size_t n = strlen(path);
    return (n > 0 && path[n - 1] == '/') || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

aimnet_file_format cli_format_of(const char *path)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(path), stem = sizeof suffix - 1;
    const int is_named = n > stem && strcmp(path + n - stem, suffix) == 0;
    return cli_is_folder(path) || is_named ? AIMNET_FILE_SAFETENSORS : AIMNET_FILE_PT;
}

int cli_report_model(const char *path, int member)
{
    aimnet_load_options how = aimnet_load_options_default();
    aimnet_model *model = NULL;
    aimnet_model_info info;
    if (strcmp(path, "-") == 0)
        return CLI_OK;
    how.member = member;
    if (aimnet_model_load_with(path, &how, NULL, &model) != AIMNET_OK ||
        aimnet_model_get_info(model, &info) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        aimnet_model_free(model);
        return CLI_FAILED;
    }
    cli_printf("%s: %s, %lld parameters, %d elements; attached at run time: %s%s%s\n", path,
               info.format, (long long)info.n_parameters, info.n_species,
               info.needs_coulomb ? "Coulomb" : "",
               info.needs_coulomb && info.needs_dispersion ? ", " : "",
               info.needs_dispersion ? "D3(BJ)"
               : info.needs_coulomb  ? ""
                                     : "nothing");
    aimnet_model_free(model);
    return CLI_OK;
}

/* SPDX-License-Identifier: MIT */
/* cmd_download.c - `aimnet download NAME...`: published models into the cache, one line "NAME: PATH"
 * for each that is there afterwards. A name that fails does not keep the others from coming. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "aimnet_model.h"
#include "commands.h"
#include "console.h"
#include "progress.h"

typedef struct download_options {
    int all, list, allow_unverified, quiet;
    const char *revision;
    cli_int retries;
    cli_real timeout;
} download_options;

#define AT(member) .offset = offsetof(download_options, member)
static const cli_arg args[] = {
    {.name = "all",
     .kind = CLI_FLAG,
     AT(all),
     .help = "every model that a digest was published for (212 MB)"},
    {.name = "list",
     .letter = 'l',
     .kind = CLI_FLAG,
     AT(list),
     .help = "only list the published models, their other names, and what is in the cache"},
    {.name = "allow-unverified",
     .kind = CLI_FLAG,
     AT(allow_unverified),
     .help = "also models without a published digest (wb97m_cpcms_v2_*): the digest that is seen "
             "is pinned, and the file compared with it from then on"},
    {.name = "revision",
     .kind = CLI_TEXT,
     .meta = "REV",
     AT(revision),
     .help = "branch, tag or commit of OWNER/NAME (default: what stands behind @, else main)"},
    {.name = "retries",
     .kind = CLI_INT,
     .meta = "N",
     AT(retries),
     .max = 100,
     .help = "further attempts after failures that may pass (default 3)"},
    {.name = "timeout",
     .kind = CLI_REAL,
     .meta = "S",
     AT(timeout),
     .min = 1,
     .max = 86400,
     .help = "seconds without a byte that are a failure (default 30)"},
    CLI_QUIET_ARG(download_options, "no progress, no notes"),
};

enum { PATH_SIZE = 4096, NAME_SIZE = 256 };

/* ---------------------------------------------------------------- the list */

static int is_cached(const char *folder, const char *file)
{
    char path[PATH_SIZE];
    struct stat info;
    const int n = snprintf(path, sizeof path, "%s/%s", folder, file);
    return n > 0 && n < (int)sizeof path && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static int list(const aimnet_registry *registry)
{
    char folder[PATH_SIZE] = "";
    const int known = aimnet_cache_dir(folder, sizeof folder) == AIMNET_OK;
    int entry;
    const char *alias;
    cli_printf("cache: %s\n\n", known ? folder : "none");
    for (int i = 0; i < aimnet_registry_count(registry); i++) {
        aimnet_registry_entry e;
        if (aimnet_registry_get(registry, i, &e) != AIMNET_OK)
            return CLI_FAILED;
        cli_printf("%-24s %-7s %s%s\n", e.name, known && is_cached(folder, e.file) ? "cached" : "-",
                   e.about, e.sha256[0] ? "" : " (no published digest)");
    }
    cli_puts("\nother names\n");
    for (int i = 0; (alias = aimnet_registry_alias(registry, i, &entry)) != NULL; i++) {
        aimnet_registry_entry e;
        if (aimnet_registry_get(registry, entry, &e) != AIMNET_OK)
            return CLI_FAILED;
        cli_printf("%-24s %s\n", alias, e.name);
    }
    cli_puts("\nNAME:K is member K of NAME's family, NAME:all the whole ensemble.\n");
    return CLI_OK;
}

/* ---------------------------------------------------------------- one model after the other */

static int on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    char text[NAME_SIZE];
    if (done < 0)
        snprintf(text, sizeof text, "kB of %.100s: another process is downloading it", what);
    else
        snprintf(text, sizeof text, "kB of %.100s", what);
    cli_progress_update(user, total > 0 ? (double)done / (double)total : -1.0,
                        done < 0 ? 0 : done / 1000, text);
    return cli_interrupted();
}

static aimnet_status fetch(const char *name, const char *shown, aimnet_fetch_options *o, int quiet)
{
    char path[PATH_SIZE];
    cli_progress progress;
    cli_progress_start(&progress, quiet);
    o->progress = on_progress;
    o->user = &progress;
    const aimnet_status status = aimnet_model_fetch(name, o, path, sizeof path);
    cli_progress_end(&progress);
    if (status == AIMNET_OK)
        cli_printf("%s: %s\n", shown, path);
    else
        cli_error("%s", aimnet_last_error());
    cli_out_flush();
    return status;
}

/* A name, or all members of NAME:all. Returns how many failed; -1 after an interruption. */
static int fetch_name(const char *name, aimnet_fetch_options *o, int quiet)
{
    char member[NAME_SIZE];
    int n = 1, failed = 0;
    if (aimnet_model_members(name, o, &n) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return 1;
    }
    const size_t size = strlen(name);
    const int all = size > 4 && strcmp(name + size - 4, ":all") == 0;
    for (int k = 0; k < n; k++) {
        if (all)
            snprintf(member, sizeof member, "%.*s:%d", (int)(size < 200 ? size - 4 : 200), name, k);
        const char *word = all ? member : name;
        const aimnet_status status = fetch(word, word, o, quiet);
        if (status == AIMNET_ERR_INTERRUPTED)
            return -1;
        failed += status != AIMNET_OK;
    }
    return failed;
}

static int fetch_all(const aimnet_registry *registry, aimnet_fetch_options *o, int quiet)
{
    int failed = 0;
    for (int i = 0; i < aimnet_registry_count(registry); i++) {
        aimnet_registry_entry e;
        if (aimnet_registry_get(registry, i, &e) != AIMNET_OK ||
            (e.sha256[0] == '\0' && !o->allow_unverified))
            continue;
        const aimnet_status status = fetch(e.name, e.name, o, quiet);
        if (status == AIMNET_ERR_INTERRUPTED)
            return -1;
        failed += status != AIMNET_OK;
    }
    return failed;
}

static int run_with(const download_options *o, const char *const *operands, int n_operands,
                    const aimnet_registry *registry)
{
    aimnet_fetch_options options = aimnet_fetch_options_default();
    int failed = 0;
    if (o->list)
        return list(registry);
    options.allow_unverified = o->allow_unverified;
    options.revision = o->revision;
    if (o->retries.given)
        options.retries = (int)o->retries.value;
    if (o->timeout.given)
        options.stall_seconds = o->timeout.value;
    cli_catch_interrupts();
    if (o->all)
        failed = fetch_all(registry, &options, o->quiet);
    for (int i = 0; i < n_operands && failed >= 0; i++) {
        const int more = fetch_name(operands[i], &options, o->quiet);
        failed = more < 0 ? -1 : failed + more;
    }
    if (failed < 0)
        return CLI_INTERRUPTED;
    return failed > 0 ? CLI_FAILED : CLI_OK;
}

static int run(void *options, const char *const *operands, int n_operands)
{
    const download_options *o = options;
    aimnet_registry *registry;
    if (o->all + o->list + (n_operands > 0) != 1) {
        cli_error("download: give names of models, or --all, or --list");
        return CLI_USAGE;
    }
    cli_set_quiet(o->quiet);
    if (aimnet_registry_open(NULL, &registry) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    const int status = run_with(o, operands, n_operands, registry);
    aimnet_registry_close(registry);
    return status;
}

static const cli_group groups[] = {{"Options", args, sizeof args / sizeof args[0], 0}};

const cli_command cli_command_download = {
    .name = "download",
    .summary = "published models into the cache",
    .operands = "NAME...",
    .min_operands = 0,
    .max_operands = 1000,
    .description =
        "Fetches models into the cache, from where --model NAME takes them, and prints 'NAME: "
        "PATH' for each. NAME is a published model or alias (aimnet2, aimnet2-nse_3), NAME:K "
        "member K of its family, NAME:all the ensemble, or OWNER/NAME[@REVISION] a repository of "
        "Hugging Face (and with it the published model that describes it, where its config.json "
        "leaves that to the registry). What is there and right is not fetched again.\n"
        "A file gets its name when its SHA-256 is the published one. Only HTTPS is used. An "
        "interrupted download is continued by the next one; several processes may download at the "
        "same time.\n"
        "Models are never downloaded without this command: on a machine without network, put the "
        "files into the folder that --list names first; a model that is not there is reported with "
        "the name and address of its file.",
    .groups = groups,
    .n_groups = 1,
    .examples = "aimnet download aimnet2\naimnet download aimnet2-nse:all\tthe four members\n"
                "aimnet download --list\nAIMNET_CACHE_DIR=/scratch/models aimnet download --all\n",
    .options_size = sizeof(download_options),
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* save.c - one or two files, each written to a temporary name and renamed when all of it is there.
 *
 * Of the two files of the safetensors form both are complete before the first is renamed; the
 * description goes first, so that weights never stand beside a description of others for longer
 * than the two renames take. */
#include "model/save.h"

#include <stdio.h>
#include <string.h>

#include "io/bytes.h"
#include "io/json_write.h"
#include "io/safetensors_write.h"

static aim_status write_pt(const aim_alloc *a, const aim_model_parts *parts, const char *path)
{
    aim_outfile out;
    AIM_TRY(aim_outfile_open(&out, a, path));
    aim_status status = aim_pt_write(a, &out, parts);
    if (status == AIMNET_OK)
        status = aim_outfile_commit(&out);
    aim_outfile_close(&out);
    return status;
}

/* ---------------------------------------------------------------- safetensors */

static aim_status name_files(const aim_alloc *a, const char *path, int member, aim_string *weights,
                             aim_string *config)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(path), stem = sizeof suffix - 1;
    if (n > 0 && (path[n - 1] == '/' || aim_path_is_directory(path))) {
        const char *slash = path[n - 1] == '/' ? "" : "/";
        AIM_TRY(aim_path_make_directory(path));
        AIM_TRY(aim_string_printf(config, a, "%s%sconfig.json", path, slash));
        return aim_string_printf(weights, a, "%s%sensemble_%d%s", path, slash, member, suffix);
    }
    if (n <= stem || strcmp(path + n - stem, suffix) != 0)
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "%s: the name of a file of safetensors must end in '.safetensors', and that "
            "of a directory in '/'",
            path);
    AIM_TRY(aim_string_printf(weights, a, "%s", path));
    return aim_string_printf(config, a, "%.*s.json", (int)(n - stem), path);
}

static aim_status write_both(const aim_alloc *a, const aim_model_parts *x, aim_outfile *weights,
                             aim_outfile *config)
{
    aim_string text = {0};
    aim_status status = aim_json_write(a, x->tree, x->metadata, "state_dict", &text);
    if (status == AIMNET_OK)
        status = aim_outfile_write(config, text.data, text.size);
    aim_string_free(&text, a);
    AIM_TRY(status);
    AIM_TRY(aim_safetensors_write(a, weights, x->tensor, x->n_tensors));
    AIM_TRY(aim_outfile_commit(config));
    return aim_outfile_commit(weights);
}

static aim_status write_safetensors(const aim_alloc *a, const aim_model_parts *parts,
                                    const aim_string names[2])
{
    aim_outfile weights, config;
    AIM_TRY(aim_outfile_open(&weights, a, names[0].data));
    aim_status status = aim_outfile_open(&config, a, names[1].data);
    if (status == AIMNET_OK) {
        status = write_both(a, parts, &weights, &config);
        aim_outfile_close(&config);
    }
    aim_outfile_close(&weights);
    return status;
}

aim_status aim_model_write(const aim_alloc *a, const aim_model_parts *parts, const char *path,
                           aimnet_file_format format, int member)
{
    aim_string names[2] = {{0}, {0}};
    if (format == AIMNET_FILE_PT)
        return write_pt(a, parts, path);
    aim_status status = name_files(a, path, member, &names[0], &names[1]);
    if (status == AIMNET_OK)
        status = write_safetensors(a, parts, names);
    aim_string_free(&names[0], a);
    aim_string_free(&names[1], a);
    return status;
}

static int is_short_range(aim_slice field)
{
    return aim_slice_is(field, "coulomb_sr_rc") || aim_slice_is(field, "coulomb_sr_envelope");
}

aim_status aim_metadata_complete(const aim_model *m, const aim_content *content,
                                 aim_pickle_out *out, aim_pickle *tree)
{
    const aim_pickle *p = content->tree;
    *out = (aim_pickle_out){.alloc = &m->alloc};
    *tree = (aim_pickle){.root = AIM_NO_REF};
    aim_put_begin(out);
    aim_put_open(out, AIM_PICKLE_DICT);
    for (aim_items it = aim_pickle_items(p, content->metadata); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_slice key = aim_pickle_text(p, it.value);
        aim_pickle_next(p, &it);
        if (is_short_range(key))
            continue;
        aim_put_slice(out, key);
        aim_put_value(out, p, it.value);
    }
    aim_put_text(out, "coulomb_sr_rc");
    aim_put_float(out, m->coulomb_sr_rc);
    aim_put_text(out, "coulomb_sr_envelope");
    aim_put_text(out, m->coulomb_sr_envelope);
    aim_put_close(out, AIM_PICKLE_DICT);
    AIM_TRY(aim_put_end(out));
    return aim_pickle_parse(&m->alloc, (const unsigned char *)out->bytes.data, out->bytes.size,
                            tree);
}

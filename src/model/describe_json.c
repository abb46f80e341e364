/* SPDX-License-Identifier: MIT */
/* describe_json.c - a model as one JSON object on one line; the keys are documented in
 * aimnet_model.h. */
#include <stdio.h>
#include <string.h>

#include "data/element.h"
#include "model/describe.h"

/* UTF-8 text with quotes. */
static void write_text(aim_writer *w, const char *text)
{
    aim_write(w, "\"");
    while (*text) {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\' &&
               text[plain] != 0x7f)
            plain++;
        if (plain > 0 && w->status == AIMNET_OK)
            w->status = aim_string_append(&w->text, w->alloc, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        aim_write(w, "\\u%04x", (unsigned)(unsigned char)*text++);
    }
    aim_write(w, "\"");
}

static void write_text_or_null(aim_writer *w, const char *text)
{
    if (text && text[0])
        write_text(w, text);
    else
        aim_write(w, "null");
}

static const char *truth(int value)
{
    return value ? "true" : "false";
}

void aim_describe_metadata(aim_writer *w, const aim_model *m)
{
    aim_write(w, "{\"format_version\": 2, \"cutoff\": ");
    aim_write_number(w, m->cutoff, 0);
    aim_write(w,
              ", \"needs_coulomb\": %s, \"needs_dispersion\": %s, \"coulomb_mode\": \"%s\", "
              "\"coulomb_sr_rc\": ",
              truth(m->needs_coulomb), truth(m->needs_dispersion),
              aim_coulomb_mode_name(m->coulomb_mode));
    if (m->coulomb_sr_rc > 0.0)
        aim_write_number(w, m->coulomb_sr_rc, 0);
    else
        aim_write(w, "null");
    aim_write(w, ", \"coulomb_sr_envelope\": ");
    write_text_or_null(w, m->coulomb_sr_envelope);
    aim_write(w, ", \"d3_params\": ");
    if (m->has_d3_params) {
        const double values[] = {m->d3_s6, m->d3_s8, m->d3_a1, m->d3_a2};
        static const char *const names[] = {"{\"s6\": ", ", \"s8\": ", ", \"a1\": ", ", \"a2\": "};
        for (int i = 0; i < 4; i++) {
            aim_write(w, "%s", names[i]);
            aim_write_number(w, values[i], 0);
        }
        aim_write(w, "}");
    } else {
        aim_write(w, "null");
    }
    aim_write(w, ", \"has_embedded_lr\": %s, \"has_embedded_d3ts\": %s, \"implemented_species\": [",
              truth(m->has_embedded_lr), truth(m->has_embedded_d3ts));
    for (int i = 0; i < m->n_species; i++)
        aim_write(w, i ? ", %d" : "%d", (int)m->species[i]);
    aim_write(w, "], \"family\": ");
    write_text_or_null(w, m->family);
    aim_write(w, ", \"supports_charged_systems\": %s}",
              m->supports_charged < 0 ? "null" : truth(m->supports_charged));
}

static void write_widths(aim_writer *w, const aim_mlp *mlp)
{
    aim_write(w, "[%d", mlp->layer[0].n_in);
    for (int i = 0; i < mlp->n_layers; i++)
        aim_write(w, ", %d", mlp->layer[i].n_out);
    aim_write(w, "]");
}

static void write_output(aim_writer *w, const aim_model *m, const aim_output *out)
{
    aim_option options[AIM_MAX_OPTIONS];
    aim_write(w, "{\"name\": ");
    write_text(w, out->name);
    aim_write(w, ", \"class\": \"%s\", \"key_in\": ", aim_output_class(out));
    write_text_or_null(w, aim_output_key_in(m, out));
    aim_write(w, ", \"key_out\": ");
    write_text(w, aim_output_key_out(m, out));
    const int n = aim_output_options(out, options);
    for (int i = 0; i < n; i++) {
        aim_write(w, ", \"%s\": ", options[i].name);
        if (options[i].is_flag)
            aim_write(w, "%s", truth(options[i].number != 0.0));
        else if (options[i].text)
            write_text(w, options[i].text);
        else
            aim_write_number(w, options[i].number, options[i].is_single);
    }
    if (out->kind == AIM_OUT_MLP) {
        aim_write(w, ", \"layers\": ");
        write_widths(w, &out->mlp);
    }
    aim_write(w, "}");
}

static void write_architecture(aim_writer *w, const aim_model *m)
{
    aim_write(w,
              "{\"class\": \"AIMNet2\", \"nfeature\": %d, \"d2features\": %s, \"ncomb_v\": %d, "
              "\"num_charge_channels\": %d, "
              "\"aim_size\": %d, \"aev\": {\"rc_s\": ",
              m->nfeature, truth(m->d2features), m->ncomb_v, m->n_charge, m->aim_size);
    aim_write_number(w, m->rc, 1);
    aim_write(w, ", \"nshifts_s\": %d, \"eta_s\": ", m->nshifts);
    aim_write_number(w, m->eta, 1);
    aim_write(w, ", \"shifts_s\": [");
    for (int i = 0; i < m->nshifts; i++) {
        aim_write(w, i ? ", " : "");
        aim_write_number(w, (double)m->shifts[i], 1);
    }
    aim_write(w, "]}, \"passes\": [");
    for (int i = 0; i < m->n_pass; i++) {
        aim_write(w, i ? ", " : "");
        write_widths(w, &m->mlp[i]);
    }
    aim_write(w, "], \"outputs\": [");
    for (int i = 0; i < m->n_outputs; i++) {
        aim_write(w, i ? ", " : "");
        write_output(w, m, &m->output[i]);
    }
    aim_write(w, "]}");
}

static void write_tensors(aim_writer *w, const struct aim_model_origin *o)
{
    aim_write(w, "[");
    for (int i = 0; i < o->n_tensors; i++) {
        const aimnet_tensor_info *t = &o->tensor[i];
        aim_write(w, i ? ", {\"name\": " : "{\"name\": ");
        write_text(w, t->name);
        aim_write(w, ", \"dtype\": \"%s\", \"shape\": [", t->dtype);
        for (int d = 0; d < t->ndim; d++)
            aim_write(w, d ? ", %lld" : "%lld", (long long)t->shape[d]);
        aim_write(w, "], \"bytes\": %lld, \"used\": %s}", (long long)t->bytes, truth(t->used));
    }
    aim_write(w, "]");
}

static void write_ignored(aim_writer *w, const char *names)
{
    char name[128];
    for (int first = 1; names && *names; first = 0) {
        const size_t n = strcspn(names, "\n");
        snprintf(name, sizeof name, "%.*s", (int)n, names);
        aim_write(w, first ? "" : ", ");
        write_text(w, name);
        names += n + 1;
    }
}

void aim_describe_json(aim_writer *w, const aim_model *m, const char *sha256)
{
    const struct aim_model_origin *o = m->origin;
    aim_attachment parts[AIM_ATTACHMENTS];
    aim_model_attachments(m, parts);
    aim_write(w, "{\"name\": ");
    write_text(w, m->name);
    aim_write(w, ", \"format\": \"%s\", \"size\": %zu, \"sha256\": ", m->format, m->file_size);
    write_text_or_null(w, sha256);
    aim_write(w, ", \"described_by\": ");
    write_text_or_null(w, o->base_path);
    aim_write(w, ", \"parameters\": %lld, \"metadata\": ", (long long)m->n_parameters);
    aim_describe_metadata(w, m);
    aim_write(w, ", \"architecture\": ");
    write_architecture(w, m);
    aim_write(w, ", \"tensors\": ");
    write_tensors(w, o);
    aim_write(w, ", \"elements\": [");
    for (int i = 0; i < m->n_species; i++)
        aim_write(w, "%s{\"number\": %d, \"symbol\": \"%s\"}", i ? ", " : "", (int)m->species[i],
                  aim_element_symbol((int)m->species[i]));
    aim_write(w, "], \"attaches\": [");
    for (int i = 0; i < AIM_ATTACHMENTS; i++)
        aim_write(w, "%s{\"part\": \"%s\", \"attached\": %s, \"why\": \"%s\"}", i ? ", " : "",
                  parts[i].part, truth(parts[i].attached), parts[i].why);
    aim_write(w, "], \"ignored\": [");
    write_ignored(w, o->ignored.data);
    aim_write(w, "]}");
}

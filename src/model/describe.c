/* SPDX-License-Identifier: MIT */
/* describe.c - a model in words for people: what it is, what is attached to it and why, its network
 * and outputs, its tensors.
 *
 * Text from the file is printed with control and non-ASCII characters replaced, so that it cannot
 * command a terminal. */
#include "model/describe.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/element.h"
#include "io/names.h"

void aim_write(aim_writer *w, const char *format, ...)
{
    char line[512];
    va_list arguments;
    if (w->status != AIMNET_OK)
        return;
    va_start(arguments, format);
    const int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n > 0)
        w->status = aim_string_append(&w->text, w->alloc, line,
                                      (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* The decimal number of fewest digits that is the same float32. */
static double shortest_single(double value)
{
    if (value == 0.0 || !isfinite(value))
        return value;
    const double first = 5.0 - floor(log10(fabs(value))); /* decimals of six significant digits */
    for (int more = 0; more < 4; more++) {
        const double scale = pow(10.0, first + more), rounded = round(value * scale) / scale;
        if ((float)rounded == (float)value)
            return rounded;
    }
    return value;
}

void aim_write_number(aim_writer *w, double value, int single)
{
    char text[32];
    aim_format_double(text, single ? shortest_single(value) : value);
    aim_write(w, "%s", text);
}

/* ---------------------------------------------------------------- facts */

const char *aim_output_class(const aim_output *out)
{
    static const char *const names[] = {"Output",     "AtomicShift", "AtomicSum", "Dipole",
                                        "Quadrupole", "SRCoulomb",   "SRRep",     "DispParam",
                                        "D3TS",       "LRCoulomb",   "DFTD3"};
    return names[out->kind];
}

const char *aim_output_key_in(const aim_model *m, const aim_output *out)
{
    return out->in < 0 ? NULL : m->slot[out->in].key;
}

const char *aim_output_key_out(const aim_model *m, const aim_output *out)
{
    return m->slot[out->out].key;
}

static int flag(aim_option *o, const char *name, int value)
{
    *o = (aim_option){.name = name, .number = value, .is_flag = 1};
    return 1;
}

static int number(aim_option *o, const char *name, double value)
{
    *o = (aim_option){.name = name, .number = value};
    return 1;
}

static int word(aim_option *o, const char *name, const char *text)
{
    *o = (aim_option){.name = name, .text = text};
    return 1;
}

static int damping_options(const aim_output *out, aim_option *o)
{
    int n = number(o, "s6", out->s6);
    n += number(o + n, "s8", out->s8);
    n += number(o + n, "a1", out->a1);
    return n + number(o + n, "a2", out->a2);
}

static int lrcoulomb_options(const aim_output *out, aim_option *o)
{
    static const char *const methods[] = {"simple", "dsf", "ewald", "pme"};
    int n = word(o, "method", methods[out->method]);
    n += flag(o + n, "subtract_sr", out->subtract_sr);
    if (out->method == AIMNET_COULOMB_DSF) {
        n += number(o + n, "dsf_alpha", out->dsf_alpha);
        n += number(o + n, "dsf_rc", out->dsf_rc);
    } else if (out->method != AIMNET_COULOMB_SIMPLE) {
        n += number(o + n, "ewald_accuracy", out->ewald_accuracy);
    }
    return n;
}

int aim_output_options(const aim_output *out, aim_option options[AIM_MAX_OPTIONS])
{
    static const char *const envelopes[] = {"exp", "cosine", "none"};
    aim_option *o = options;
    int n = 0;
    if (out->kind == AIM_OUT_ATOMIC_SHIFT || out->kind == AIM_OUT_SRREP)
        n += flag(o + n, "reduce_sum", out->reduce_sum);
    if (out->kind == AIM_OUT_DIPOLE || out->kind == AIM_OUT_QUADRUPOLE)
        n += flag(o + n, "center_coord", out->center_coord);
    if (out->kind == AIM_OUT_LRCOULOMB)
        n += lrcoulomb_options(out, o + n);
    if (out->kind == AIM_OUT_SRCOULOMB || out->kind == AIM_OUT_SRREP ||
        (out->kind == AIM_OUT_LRCOULOMB && out->subtract_sr)) {
        n += number(o + n, "rc", out->rc);
        o[n - 1].is_single = 1;
        n += word(o + n, "envelope", envelopes[out->envelope]);
    }
    if (out->kind == AIM_OUT_D3TS || out->kind == AIM_OUT_DFTD3)
        n += damping_options(out, o + n);
    if (out->kind == AIM_OUT_DFTD3) {
        n += number(o + n, "cutoff", out->cutoff);
        n += number(o + n, "smoothing_fraction", out->smoothing);
    }
    return n;
}

const char *aim_coulomb_mode_name(int mode)
{
    static const char *const names[] = {"none", "sr_embedded", "full_embedded"};
    return names[mode];
}

static const char *why_coulomb(const aim_model *m)
{
    if (m->coulomb_mode == AIMNET_COULOMB_MODE_SR_EMBEDDED)
        return "the model subtracts a short-range part (sr_embedded), so the full Coulomb energy "
               "of its charges is added";
    if (m->needs_coulomb)
        return "the metadata ask for it (needs_coulomb)";
    if (m->coulomb_mode == AIMNET_COULOMB_MODE_FULL_EMBEDDED)
        return "the model contains its Coulomb energy (full_embedded)";
    return "the model was trained without a Coulomb energy";
}

static const char *why_dispersion(const aim_model *m)
{
    if (m->needs_dispersion)
        return "the metadata ask for D3(BJ) with their d3_params (needs_dispersion)";
    if (m->has_embedded_d3ts)
        return "the model contains its dispersion energy (D3TS)";
    for (int i = 0; i < m->n_outputs; i++)
        if (m->output[i].kind == AIM_OUT_DFTD3)
            return "the model contains its dispersion energy (DFTD3)";
    return "the metadata do not ask for it";
}

void aim_model_attachments(const aim_model *m, aim_attachment out[AIM_ATTACHMENTS])
{
    out[0] = (aim_attachment){"coulomb", m->needs_coulomb, why_coulomb(m)};
    out[1] = (aim_attachment){"dispersion", m->needs_dispersion, why_dispersion(m)};
}

/* ---------------------------------------------------------------- text */

static void write_labelled(aim_writer *w, const char *label, double value, const char *unit)
{
    aim_write(w, "%s", label);
    aim_write_number(w, value, 1);
    aim_write(w, "%s", unit);
}

static aim_slice base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    path = slash ? slash + 1 : path;
    return (aim_slice){path, strlen(path)};
}

static void write_heading(aim_writer *w, const aim_model *m, const char *sha256)
{
    char shown[AIM_SHOWN_SIZE];
    aim_write(w, "%s\n", aim_shown(shown, (aim_slice){m->name, strlen(m->name)}));
    aim_write(w, "  format       %s, %zu bytes, %lld parameters\n", m->format, m->file_size,
              (long long)m->n_parameters);
    if (sha256[0])
        aim_write(w, "  sha256       %s\n", sha256);
    const struct aim_model_origin *o = m->origin;
    if (o->base_path)
        aim_write(w, "  description  %s of the registry, for config.json has none\n",
                  aim_shown(shown, base_name(o->base_path)));
    if (m->family[0])
        aim_write(w, "  family       %s\n",
                  aim_shown(shown, (aim_slice){m->family, strlen(m->family)}));
    aim_write(w, "  elements    ");
    for (int i = 0; i < m->n_species; i++)
        aim_write(w, " %s", aim_element_symbol((int)m->species[i]));
    aim_write(w, "\n  charges      %s%s\n",
              m->n_charge == 1 ? "one channel (closed shell)"
                               : "two channels (open shell, takes a multiplicity)",
              m->supports_charged == 0 ? "; neutral systems only" : "");
    aim_write(w, "  coulomb      %s", aim_coulomb_mode_name(m->coulomb_mode));
    if (m->coulomb_sr_rc > 0.0) {
        write_labelled(w, " (rc ", m->coulomb_sr_rc, " A, ");
        aim_write(w, "%s)", m->coulomb_sr_envelope);
    }
    aim_write(w, "\n");
    if (m->has_d3_params) {
        write_labelled(w, "  D3(BJ)       s6 ", m->d3_s6, "");
        write_labelled(w, ", s8 ", m->d3_s8, "");
        write_labelled(w, ", a1 ", m->d3_a1, "");
        write_labelled(w, ", a2 ", m->d3_a2, " bohr\n");
    }
}

static void write_attachments(aim_writer *w, const aim_model *m)
{
    aim_attachment parts[AIM_ATTACHMENTS];
    aim_model_attachments(m, parts);
    aim_write(w, "attached at run time\n");
    for (int i = 0; i < AIM_ATTACHMENTS; i++)
        aim_write(w, "  %-12s %s: %s\n", parts[i].part, parts[i].attached ? "yes" : "no",
                  parts[i].why);
}

static void write_mlp(aim_writer *w, const aim_mlp *mlp)
{
    aim_write(w, "%d", mlp->layer[0].n_in);
    for (int i = 0; i < mlp->n_layers; i++)
        aim_write(w, " -> %d%s", mlp->layer[i].n_out, mlp->layer[i].gelu ? " gelu" : "");
    aim_write(w, "\n");
}

static void write_network(aim_writer *w, const aim_model *m)
{
    aim_write(w, "network AIMNet2\n");
    aim_write(w, "  AEV          %d Gaussians", m->nshifts);
    write_labelled(w, " to ", m->rc, " A, ");
    write_labelled(w, "eta ", m->eta, ", ");
    write_labelled(w, "centres ", (double)m->shifts[0], " to ");
    write_labelled(w, "", (double)m->shifts[m->nshifts - 1], " A\n");
    aim_write(w, "  features     %d%s, %d vector combinations\n", m->nfeature,
              m->d2features ? " per Gaussian (d2features)" : "", m->ncomb_v);
    for (int i = 0; i < m->n_pass; i++) {
        aim_write(w, "  pass %-7d ", i + 1);
        write_mlp(w, &m->mlp[i]);
    }
}

static void write_option(aim_writer *w, const aim_option *o)
{
    aim_write(w, "  %s=", o->name);
    if (o->is_flag)
        aim_write(w, o->number != 0.0 ? "true" : "false");
    else if (o->text)
        aim_write(w, "%s", o->text);
    else
        aim_write_number(w, o->number, o->is_single);
}

static void write_output(aim_writer *w, const aim_model *m, const aim_output *out)
{
    aim_option options[AIM_MAX_OPTIONS];
    const char *key_in = aim_output_key_in(m, out);
    aim_write(w, "  %-12s %s  %s%s%s", out->name, aim_output_class(out), key_in ? key_in : "",
              key_in ? " -> " : "-> ", aim_output_key_out(m, out));
    const int n = aim_output_options(out, options);
    for (int i = 0; i < n; i++)
        write_option(w, &options[i]);
    aim_write(w, "%s", out->kind == AIM_OUT_MLP ? "  " : "\n");
    if (out->kind == AIM_OUT_MLP)
        write_mlp(w, &out->mlp);
}

static void write_tensors(aim_writer *w, const struct aim_model_origin *o)
{
    aim_write(w, "tensors\n");
    for (int i = 0; i < o->n_tensors; i++) {
        const aimnet_tensor_info *t = &o->tensor[i];
        aim_write(w, "  %-40s %-9s [", t->name, t->dtype);
        for (int d = 0; d < t->ndim; d++)
            aim_write(w, d ? ", %lld" : "%lld", (long long)t->shape[d]);
        aim_write(w, "] %lld bytes%s\n", (long long)t->bytes, t->used ? "" : ", not used");
    }
}

static void describe_tree(aim_writer *w, const aim_model *m, int with_tensors, const char *sha256)
{
    write_heading(w, m, sha256);
    write_attachments(w, m);
    write_network(w, m);
    aim_write(w, "outputs, in order\n");
    for (int i = 0; i < m->n_outputs; i++)
        write_output(w, m, &m->output[i]);
    if (with_tensors)
        write_tensors(w, m->origin);
}

aim_status aim_model_describe(const aim_model *m, aimnet_describe what, const char *sha256,
                              aim_string *out)
{
    aim_writer w = {.alloc = &m->alloc};
    switch (what) {
    case AIMNET_DESCRIBE_TREE:
    case AIMNET_DESCRIBE_TREE_TENSORS:
        describe_tree(&w, m, what == AIMNET_DESCRIBE_TREE_TENSORS, sha256);
        break;
    case AIMNET_DESCRIBE_JSON:
        aim_describe_json(&w, m, sha256);
        break;
    case AIMNET_DESCRIBE_METADATA:
        aim_describe_metadata(&w, m);
        break;
    case AIMNET_DESCRIBE_YAML:
        w.status = aim_string_append(&w.text, w.alloc, m->yaml, strlen(m->yaml));
        break;
    default:
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_describe: %d is not one of aimnet_describe",
                        (int)what);
    }
    if (w.status != AIMNET_OK)
        aim_string_free(&w.text, w.alloc);
    *out = w.text;
    return w.status;
}

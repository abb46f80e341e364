/* SPDX-License-Identifier: MIT */
/* metadata.c - the fields beside state_dict in a v2 file, and the rules that they have to keep.
 *
 * Types and rules are those of the reference's validation in its strict ("canonical") form:
 *     cutoff finite > 0; format_version 2; flags are booleans; implemented_species positive
 * integers sr_embedded   needs coulomb_sr_rc <= cutoff, coulomb_sr_envelope, has_embedded_lr and
 * needs_coulomb full_embedded needs has_embedded_lr and excludes needs_coulomb;  has_embedded_d3ts
 * needs has_embedded_lr needs_dispersion needs d3_params with s8, a1, a2 and excludes
 * has_embedded_d3ts and further, against counting an interaction twice: what needs_* asks for must
 * not stand among the outputs already. */
#include <math.h>
#include <string.h>

#include "model/build.h"
#include "model/origin.h"

static aim_status wrong(const char *field, const char *expected)
{
    return AIM_FAIL(AIMNET_ERR_MODEL, "metadata '%s' must be %s", field, expected);
}

/* The field's value; AIM_NO_REF when it is absent or None. */
static aim_ref field(const aim_builder *b, const char *name)
{
    const aim_ref value = aim_pickle_get(b->file.tree, b->file.metadata, name);
    if (value == AIM_NO_REF || aim_pickle_kind_of(b->file.tree, value) == AIM_PICKLE_NONE)
        return AIM_NO_REF;
    return value;
}

static int is_number(const aim_pickle *p, aim_ref value, double *number)
{
    const aim_pickle_kind kind = aim_pickle_kind_of(p, value);
    *number = kind == AIM_PICKLE_INT     ? (double)aim_pickle_int(p, value)
              : kind == AIM_PICKLE_FLOAT ? aim_pickle_float(p, value)
                                         : NAN;
    return isfinite(*number);
}

/* Absent fields leave *value. A boolean may not be None, except where `nullable`. */
static aim_status read_flag(const aim_builder *b, const char *name, int nullable, int *value)
{
    const aim_pickle *p = b->file.tree;
    const aim_ref ref = aim_pickle_get(p, b->file.metadata, name);
    if (ref == AIM_NO_REF || (nullable && aim_pickle_kind_of(p, ref) == AIM_PICKLE_NONE))
        return AIMNET_OK;
    if (aim_pickle_kind_of(p, ref) != AIM_PICKLE_BOOL)
        return wrong(name, nullable ? "a boolean or None" : "a boolean");
    *value = (int)aim_pickle_int(p, ref);
    return AIMNET_OK;
}

static aim_status read_positive(const aim_builder *b, const char *name, double *value)
{
    const aim_ref ref = field(b, name);
    if (ref != AIM_NO_REF && (!is_number(b->file.tree, ref, value) || *value <= 0.0))
        return wrong(name, "a finite positive number");
    return AIMNET_OK;
}

static aim_status read_text(const aim_builder *b, const char *name, aim_slice *text)
{
    const aim_ref ref = field(b, name);
    if (ref != AIM_NO_REF && aim_pickle_kind_of(b->file.tree, ref) != AIM_PICKLE_STRING)
        return wrong(name, "a string");
    *text = ref == AIM_NO_REF ? (aim_slice){"", 0} : aim_pickle_text(b->file.tree, ref);
    if (memchr(text->text, '\0', text->size))
        return wrong(name, "a string without NUL characters");
    return AIMNET_OK;
}

static aim_status copy_text(const aim_builder *b, const char *name, char **copy)
{
    aim_slice text = {"", 0};
    AIM_TRY(read_text(b, name, &text));
    AIM_TRY(aim_new(&b->m->alloc, text.size + 1, 1, name, copy));
    memcpy(*copy, text.text, text.size);
    (*copy)[text.size] = '\0';
    return AIMNET_OK;
}

static aim_status read_coulomb(aim_builder *b)
{
    static const char *const modes[] = {"none", "sr_embedded",
                                        "full_embedded"}; /* in the order of aimnet_coulomb_mode */
    aim_slice mode = {"", 0}, envelope = {"", 0};
    aim_model *m = b->m;
    if (field(b, "coulomb_mode") == AIM_NO_REF &&
        aim_pickle_get(b->file.tree, b->file.metadata, "coulomb_mode") != AIM_NO_REF)
        return wrong("coulomb_mode", "'none', 'sr_embedded' or 'full_embedded'");
    AIM_TRY(read_text(b, "coulomb_mode", &mode));
    m->coulomb_mode = mode.size == 0 && field(b, "coulomb_mode") == AIM_NO_REF ? 0 : -1;
    for (int i = 0; i < 3; i++)
        if (aim_slice_is(mode, modes[i]))
            m->coulomb_mode = i;
    if (m->coulomb_mode < 0)
        return wrong("coulomb_mode", "'none', 'sr_embedded' or 'full_embedded'");
    AIM_TRY(read_positive(b, "coulomb_sr_rc", &m->coulomb_sr_rc));
    AIM_TRY(read_text(b, "coulomb_sr_envelope", &envelope));
    if (field(b, "coulomb_sr_envelope") != AIM_NO_REF && !aim_slice_is(envelope, "exp") &&
        !aim_slice_is(envelope, "cosine"))
        return wrong("coulomb_sr_envelope", "'exp' or 'cosine'");
    memcpy(m->coulomb_sr_envelope, envelope.text, envelope.size);
    return AIMNET_OK;
}

static aim_status read_dispersion(aim_builder *b)
{
    aim_model *m = b->m;
    const aim_pickle *p = b->file.tree;
    static const char *const names[] = {"s6", "s8", "a1", "a2"};
    double *const values[] = {&m->d3_s6, &m->d3_s8, &m->d3_a1, &m->d3_a2};
    const aim_ref dict = field(b, "d3_params");
    if (dict == AIM_NO_REF)
        return AIMNET_OK;
    if (aim_pickle_kind_of(p, dict) != AIM_PICKLE_DICT || aim_pickle_count(p, dict) > 64)
        return wrong("d3_params", "a dictionary of s6, s8, a1 and a2");
    m->has_d3_params = 1;
    m->d3_s6 = 1.0;
    for (int i = 0; i < 4; i++) {
        const aim_ref value = aim_pickle_get(p, dict, names[i]);
        if (value == AIM_NO_REF && i > 0 && m->needs_dispersion)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "metadata 'd3_params' has no '%s', which needs_dispersion needs",
                            names[i]);
        if (value == AIM_NO_REF && i > 0)
            m->has_d3_params = 0;
        if (value != AIM_NO_REF && (!is_number(p, value, values[i]) || *values[i] < 0.0))
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "metadata 'd3_params': %s must be a finite number that is not negative",
                            names[i]);
    }
    if (m->has_d3_params && m->d3_a1 == 0.0 && m->d3_a2 == 0.0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "metadata 'd3_params': a1 and a2 are both 0, which leaves 1/r^6 undamped");
    return AIMNET_OK;
}

static aim_status read_species(aim_builder *b)
{
    aim_model *m = b->m;
    const aim_pickle *p = b->file.tree;
    const aim_ref list = aim_pickle_get(p, b->file.metadata, "implemented_species");
    if (list == AIM_NO_REF || aim_pickle_kind_of(p, list) != AIM_PICKLE_LIST ||
        aim_pickle_count(p, list) == 0)
        return wrong("implemented_species", "a list of the atomic numbers that the model knows");
    for (aim_items it = aim_pickle_items(p, list); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const int64_t z =
            aim_pickle_kind_of(p, it.value) == AIM_PICKLE_INT ? aim_pickle_int(p, it.value) : 0;
        if (z < 1 || z >= m->n_embed)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "metadata 'implemented_species' must hold integers from 1 to %d",
                            m->n_embed - 1);
        m->implemented[z] = 1;
    }
    for (int z = 1; z < AIM_MAX_SPECIES; z++)
        if (m->implemented[z])
            m->species[m->n_species++] = z;
    return AIMNET_OK;
}

static const char *const known_fields[] = {"format_version",
                                           "model_yaml",
                                           "state_dict",
                                           "cutoff",
                                           "needs_coulomb",
                                           "needs_dispersion",
                                           "coulomb_mode",
                                           "coulomb_sr_rc",
                                           "coulomb_sr_envelope",
                                           "d3_params",
                                           "has_embedded_lr",
                                           "has_embedded_d3ts",
                                           "implemented_species",
                                           "family",
                                           "supports_charged_systems"};
enum { N_KNOWN = sizeof known_fields / sizeof *known_fields, MAX_FIELDS = 256 };

static size_t find_field(aim_slice name)
{
    size_t k = 0;
    while (k < N_KNOWN && !aim_slice_is(name, known_fields[k]))
        k++;
    return k;
}

const char *aim_metadata_field(aim_slice name)
{
    const size_t k = find_field(name);
    return k < N_KNOWN ? known_fields[k] : NULL;
}

/* Every known field at most once; the names of the others are kept for inspection. */
static aim_status check_fields(aim_builder *b)
{
    const aim_pickle *p = b->file.tree;
    int seen[N_KNOWN] = {0};
    char shown[AIM_SHOWN_SIZE];
    if (aim_pickle_count(p, b->file.metadata) > 2 * MAX_FIELDS)
        return AIM_FAIL(AIMNET_ERR_MODEL, "the file's dictionary has more than %d fields",
                        MAX_FIELDS);
    for (aim_items it = aim_pickle_items(p, b->file.metadata); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_slice name = aim_pickle_text(p, it.value);
        aim_pickle_next(p, &it);
        const size_t k = find_field(name);
        if (k == N_KNOWN)
            AIM_TRY(aim_string_printf(&b->origin->ignored, &b->m->alloc, "%s\n",
                                      aim_shown(shown, name)));
        else if (seen[k]++)
            return AIM_FAIL(AIMNET_ERR_MODEL, "metadata '%s' occurs twice", known_fields[k]);
    }
    return AIMNET_OK;
}

aim_status aim_metadata_read(aim_builder *b)
{
    aim_model *m = b->m;
    AIM_TRY(check_fields(b));
    const aim_ref version = aim_pickle_get(b->file.tree, b->file.metadata, "format_version");
    if (version != AIM_NO_REF && (aim_pickle_kind_of(b->file.tree, version) != AIM_PICKLE_INT ||
                                  aim_pickle_int(b->file.tree, version) != 2))
        return wrong("format_version", "the integer 2");
    AIM_TRY(copy_text(b, "model_yaml", &m->yaml));
    if (m->yaml[strspn(m->yaml, " \t\r\n")] == '\0')
        return wrong("model_yaml", "a string with the description of the architecture");
    AIM_TRY(read_positive(b, "cutoff", &m->cutoff));
    if (m->cutoff <= 0.0)
        return wrong("cutoff", "a finite positive number");
    AIM_TRY(read_flag(b, "needs_coulomb", 0, &m->needs_coulomb));
    AIM_TRY(read_flag(b, "needs_dispersion", 0, &m->needs_dispersion));
    AIM_TRY(read_flag(b, "has_embedded_lr", 0, &m->has_embedded_lr));
    AIM_TRY(read_flag(b, "has_embedded_d3ts", 0, &m->has_embedded_d3ts));
    m->supports_charged = -1;
    AIM_TRY(read_flag(b, "supports_charged_systems", 1, &m->supports_charged));
    AIM_TRY(read_coulomb(b));
    AIM_TRY(read_dispersion(b));
    AIM_TRY(read_species(b));
    return copy_text(b, "family", &m->family);
}

/* ---------------------------------------------------------------- consistency */

static aim_status contradiction(const char *what)
{
    return AIM_FAIL(AIMNET_ERR_MODEL, "contradiction in the metadata: %s", what);
}

/* A config.json may leave radius and envelope of the short-range Coulomb part to the YAML, and must
 * not contradict it. */
static aim_status derive_short_range(aim_model *m)
{
    static const char *const envelopes[] = {"exp", "cosine"};
    const aim_output *found = NULL;
    for (int i = 0; i < m->n_outputs; i++) {
        const aim_output *out = &m->output[i];
        if (out->kind != AIM_OUT_SRCOULOMB)
            continue;
        if (found && (found->yaml_rc != out->yaml_rc || found->envelope != out->envelope))
            return contradiction("model_yaml has two different SRCoulomb modules");
        found = out;
    }
    if (!found)
        return AIMNET_OK;
    const char *envelope = envelopes[found->envelope];
    if (m->coulomb_sr_rc != 0.0 && m->coulomb_sr_rc != found->yaml_rc)
        return contradiction("coulomb_sr_rc is not the rc of SRCoulomb in model_yaml");
    if (m->coulomb_sr_envelope[0] != '\0' && strcmp(m->coulomb_sr_envelope, envelope) != 0)
        return contradiction("coulomb_sr_envelope is not that of SRCoulomb in model_yaml");
    m->coulomb_sr_rc = found->yaml_rc;
    strcpy(m->coulomb_sr_envelope, envelope);
    return AIMNET_OK;
}

static aim_status check_coulomb(const aim_model *m)
{
    if (m->coulomb_mode == AIMNET_COULOMB_MODE_SR_EMBEDDED) {
        if (m->coulomb_sr_rc == 0.0 || m->coulomb_sr_envelope[0] == '\0')
            return contradiction(
                "coulomb_mode sr_embedded needs coulomb_sr_rc and coulomb_sr_envelope");
        if (m->coulomb_sr_rc > m->cutoff)
            return contradiction("coulomb_sr_rc is larger than cutoff");
        if (!m->needs_coulomb)
            return contradiction("coulomb_mode sr_embedded needs needs_coulomb");
    }
    if (m->coulomb_mode != AIMNET_COULOMB_MODE_NONE && !m->has_embedded_lr)
        return contradiction("an embedded coulomb_mode needs has_embedded_lr");
    if (m->coulomb_mode == AIMNET_COULOMB_MODE_FULL_EMBEDDED && m->needs_coulomb)
        return contradiction(
            "coulomb_mode full_embedded and needs_coulomb would count the Coulomb energy twice");
    return AIMNET_OK;
}

static const aim_output *find_kind(const aim_model *m, aim_output_kind kind)
{
    for (int i = 0; i < m->n_outputs; i++)
        if (m->output[i].kind == kind)
            return &m->output[i];
    return NULL;
}

static aim_status check_dispersion(const aim_model *m)
{
    const aim_output *d3ts = find_kind(m, AIM_OUT_D3TS);
    if (m->needs_dispersion && !m->has_d3_params)
        return contradiction("needs_dispersion needs d3_params");
    if (m->has_embedded_d3ts && !m->has_embedded_lr)
        return contradiction("has_embedded_d3ts needs has_embedded_lr");
    if (m->has_embedded_d3ts && !d3ts)
        return contradiction("has_embedded_d3ts is true, but model_yaml has no D3TS");
    if (!m->has_embedded_d3ts && d3ts && strcmp(d3ts->name, "d3ts") == 0)
        return contradiction("model_yaml has a D3TS, but has_embedded_d3ts is false");
    if (m->needs_dispersion && (d3ts || find_kind(m, AIM_OUT_DFTD3)))
        return contradiction("needs_dispersion and an embedded dispersion would count it twice");
    return AIMNET_OK;
}

aim_status aim_metadata_check(aim_builder *b)
{
    aim_model *m = b->m;
    if (b->file.sr_from_yaml)
        AIM_TRY(derive_short_range(m));
    AIM_TRY(check_coulomb(m));
    AIM_TRY(check_dispersion(m));
    if (m->needs_coulomb && find_kind(m, AIM_OUT_LRCOULOMB))
        return contradiction(
            "needs_coulomb and an embedded LRCoulomb would count the Coulomb energy twice");
    m->has_embedded_d3ts = find_kind(m, AIM_OUT_D3TS) != NULL;
    m->has_embedded_lr |=
        m->has_embedded_d3ts || find_kind(m, AIM_OUT_LRCOULOMB) || find_kind(m, AIM_OUT_DFTD3);
    return AIMNET_OK;
}

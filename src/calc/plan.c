/* SPDX-License-Identifier: MIT */
/* plan.c - what is attached to each model, which of its outputs reach the energy, and settings that
 * may change later.
 *
 * Metadata decides, the caller may override (PRODUCT, system 6). A model that embeds the
 * short-range part (SRCoulomb) gets the full Coulomb energy; one that embeds nothing and is asked
 * for Coulomb anyway gets full minus short-range (4.6 A, exp), as in the reference. */
#include <math.h>
#include <string.h>

#include "calc/calc.h"

static aim_status note(const aim_calc *c, aim_string *notes, const char *text, const char *model)
{
    return aim_string_printf(notes, &c->alloc, "%smodel '%s': %s", notes->size ? "\n" : "", model,
                             text);
}

static int has_output(const aim_model *m, aim_output_kind kind)
{
    for (int o = 0; o < m->n_outputs; o++)
        if (m->output[o].kind == kind)
            return 1;
    return 0;
}

static aim_status plan_coulomb(aim_calc *c, aim_member *member)
{
    const aim_model *m = member->model;
    const int wish = c->options.needs_coulomb, embedded = has_output(m, AIM_OUT_LRCOULOMB);
    member->coulomb = wish < 0 ? m->needs_coulomb : wish;
    if (!member->coulomb)
        return AIMNET_OK;
    if (m->coulomb_mode == AIMNET_COULOMB_MODE_FULL_EMBEDDED || embedded)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "model '%s' embeds its full Coulomb energy: an external one would count it "
                        "twice (needs_coulomb = 0)",
                        m->name);
    member->subtract_sr = m->coulomb_mode != AIMNET_COULOMB_MODE_SR_EMBEDDED;
    member->sr_rc = m->coulomb_sr_rc > 0 ? m->coulomb_sr_rc : 4.6;
    member->sr_envelope =
        strcmp(m->coulomb_sr_envelope, "cosine") == 0 ? AIM_ENVELOPE_COSINE : AIM_ENVELOPE_EXP;
    return AIMNET_OK;
}

static aim_status plan_dispersion(aim_calc *c, aim_member *member, const double d3[4])
{
    const aim_model *m = member->model;
    const int wish = c->options.needs_dispersion;
    member->dispersion = wish < 0 ? m->needs_dispersion : wish;
    if (!member->dispersion)
        return AIMNET_OK;
    if (has_output(m, AIM_OUT_D3TS) || has_output(m, AIM_OUT_DFTD3))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "model '%s' embeds its dispersion: an external one would count it twice "
                        "(needs_dispersion = 0)",
                        m->name);
    if (!d3 && !m->has_d3_params)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "model '%s' has no d3_params: give s6, s8, a1, a2 or switch dispersion off",
                        m->name);
    member->d3 = (aim_d3_params){.s6 = d3 ? d3[0] : m->d3_s6,
                                 .s8 = d3 ? d3[1] : m->d3_s8,
                                 .a1 = d3 ? d3[2] : m->d3_a1,
                                 .a2 = d3 ? d3[3] : m->d3_a2};
    return AIMNET_OK;
}

/* What the caller should know about these settings. */
static aim_status write_notes(const aim_calc *c, const aimnet_options *o, aim_string *notes)
{
    for (int k = 0; k < c->n_members; k++) {
        const aim_member *member = &c->member[k];
        const aim_model *m = member->model;
        if (!member->coulomb && o->coulomb != AIMNET_COULOMB_SIMPLE)
            AIM_TRY(note(c, notes,
                         has_output(m, AIM_OUT_LRCOULOMB)
                             ? "its Coulomb energy is embedded and cannot be switched; the method "
                               "asked for is ignored"
                             : "no external Coulomb; the method is ignored",
                         m->name));
        if (c->device.ops && !member->embedded.known)
            AIM_TRY(note(c, notes,
                         "it has outputs that a GPU does not compute: it computes the network and "
                         "waits for the host's terms",
                         m->name));
        if (c->device.ops && member->embedded.known && !member->device_sweeps)
            AIM_TRY(note(c, notes,
                         "a head ends with an activation: its second derivatives are computed by "
                         "the host",
                         m->name));
        if (member->coulomb && o->needs_coulomb == 1 && !m->needs_coulomb)
            AIM_TRY(note(c, notes, "Coulomb was added although the model does not ask for it",
                         m->name));
    }
    return AIMNET_OK;
}

aim_status aim_plan_settings(aim_calc *c, const aimnet_options *options)
{
    aim_string notes = {0};
    const aim_status status = write_notes(c, options, &notes);
    if (status != AIMNET_OK) {
        aim_string_free(&notes, &c->alloc);
        return status;
    }
    aim_string_free(&c->warnings, &c->alloc);
    c->warnings = notes;
    c->options = *options;
    for (int k = 0; k < c->n_members; k++) {
        c->member[k].d3.cutoff = options->d3_cutoff;
        c->member[k].d3.smoothing = options->d3_smoothing;
    }
    return AIMNET_OK;
}

/* Slots that reach the energy: the program walked backwards. */
static void mark_live(aim_member *member)
{
    const aim_model *m = member->model;
    member->live[m->energy_slot] = 1;
    for (int o = m->n_outputs - 1; o >= 0; o--) {
        const aim_output *out = &m->output[o];
        if (!member->live[out->out])
            continue;
        if (out->in >= AIM_SLOT_FIRST_FREE)
            member->live[out->in] = 1;
        if (out->base >= 0)
            member->live[out->base] = 1;
    }
}

/* The slot that holds the final value of a key; -1: none, or it is the energy. */
static int final_slot(const aim_model *m, const char *key)
{
    for (int s = m->n_slots - 1; s >= AIM_SLOT_FIRST_FREE; s--)
        if (strcmp(m->slot[s].key, key) == 0)
            return s == m->energy_slot ? -1 : s;
    return -1;
}

/* Whether every member has this output in the same shape; slots of the e-th output are noted. */
static int shared_by_members(aim_calc *c, const char *key, const aim_extra *shape, int e)
{
    for (int k = 0; k < c->n_members; k++) {
        const aim_model *m = c->member[k].model;
        const int s = final_slot(m, key);
        if (s < 0 || m->slot[s].width != shape->width ||
            (m->slot[s].kind == AIM_VALUE_ATOM) != shape->per_atom)
            return 0;
        c->member[k].extra_slot[e] = s;
    }
    return 1;
}

static void find_extras(aim_calc *c)
{
    const aim_model *m = c->member[0].model;
    for (int s = AIM_SLOT_FIRST_FREE; s < m->n_slots; s++) {
        const char *key = m->slot[s].key;
        aim_extra shape = {.per_atom = m->slot[s].kind == AIM_VALUE_ATOM,
                           .width = m->slot[s].width};
        if (final_slot(m, key) != s || !shared_by_members(c, key, &shape, c->n_extra))
            continue;
        memcpy(shape.name, key, sizeof shape.name);
        c->extra[c->n_extra++] = shape;
    }
}

static aim_status check_families(aim_calc *c)
{
    for (int k = 1; k < c->n_members && !c->options.mixed_families; k++) {
        const aim_model *a = c->member[0].model, *b = c->member[k].model;
        if (strcmp(a->family, b->family) != 0 || a->n_charge != b->n_charge ||
            a->coulomb_mode != b->coulomb_mode)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "models '%s' and '%s' belong to different families: their energies "
                            "cannot be averaged (mixed_families allows it)",
                            a->name, b->name);
    }
    return AIMNET_OK;
}

aim_status aim_plan_members(aim_calc *c, aimnet_model *const *models, const double d3_override[4])
{
    for (int k = 0; k < c->n_members; k++) {
        aim_member *member = &c->member[k];
        if (!models[k])
            return AIM_FAIL(AIMNET_ERR_ARG, "model %d of the ensemble is NULL", k);
        member->model = models[k];
        member->dipole_slot = member->quadrupole_slot = -1;
        for (int o = 0; o < models[k]->n_outputs; o++) {
            const aim_output *out = &models[k]->output[o];
            if (out->kind == AIM_OUT_DIPOLE)
                member->dipole_slot = out->out;
            if (out->kind == AIM_OUT_QUADRUPOLE)
                member->quadrupole_slot = out->out;
        }
        AIM_TRY(plan_coulomb(c, member));
        AIM_TRY(plan_dispersion(c, member, d3_override));
        mark_live(member);
    }
    for (int z = 1; z < AIM_MAX_SPECIES; z++) {
        c->knows[z] = 1;
        for (int k = 0; k < c->n_members; k++)
            c->knows[z] &= models[k]->implemented[z] != 0;
    }
    find_extras(c);
    AIM_TRY(check_families(c));
    return aim_plan_settings(c, &c->options);
}

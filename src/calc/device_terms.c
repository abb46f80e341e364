/* SPDX-License-Identifier: MIT */
/* device_terms.c - which terms of a model a device computes, and how they are put to it.
 *
 * Coulomb, its short-range part and D3 are the same job whether they are outside of a model or among
 * its outputs; of the latter a device knows one each, further the repulsion and D3TS. So the models
 * that people have, of old formats and new, are computed there as a whole; what nobody has trained (two
 * Coulomb sums, one that uses spin charges, one that is no part of the energy) is left to the host. */
#include <math.h>
#include <string.h>

#include "calc/device.h"

/* ---------------------------------------------------------------- among the outputs */

/* Live outputs that read a slot, or add to it. */
static int count_readers(const aim_member *member, int slot)
{
    const aim_model *m = member->model;
    int n = 0;
    for (int o = 0; o < m->n_outputs; o++)
        n += member->live[m->output[o].out] &&
             (m->output[o].in == slot || m->output[o].base == slot);
    return n;
}

/* The output that writes a slot; NULL: the network. */
static const aim_output *writer_of(const aim_model *m, int slot)
{
    for (int o = 0; o < m->n_outputs; o++)
        if (m->output[o].out == slot)
            return &m->output[o];
    return NULL;
}

/* Tables by element have all that the model is for. */
static int covers(const aim_model *m, int n_table)
{
    for (int z = n_table; z < AIM_MAX_SPECIES; z++)
        if (z > 0 && m->implemented[z])
            return 0;
    return 1;
}

static int covers_d3(const aim_model *m, const aim_d3_data *d)
{
    enum { MOST_REFS = 7 };
    if (!d || !covers(m, d->n_elements))
        return 0;
    for (int z = 1; z < AIM_MAX_SPECIES && z < d->n_elements; z++) {
        const int refs = d->first[z + 1] - d->first[z];
        if (refs > MOST_REFS || (refs == 0 && m->implemented[z]))
            return 0;
    }
    return 1;
}

/* D3TS of parameters that are a head's alone. */
static int knows_d3ts(const aim_member *member, const aim_output *ts)
{
    const aim_model *m = member->model;
    const aim_output *param = writer_of(m, ts->in), *head = param ? writer_of(m, param->in) : NULL;
    return head && param->kind == AIM_OUT_DISP_PARAM && head->kind == AIM_OUT_MLP &&
           m->slot[head->out].width == 2 && count_readers(member, head->out) == 1 &&
           count_readers(member, param->out) == 1 && covers(m, param->n_table) &&
           covers(m, ts->n_table);
}

/* Notes the place of a term that there may be once. */
static int take(int *place, int o)
{
    const int is_first = *place < 0;
    *place = o;
    return is_first;
}

static int knows_output(const aim_member *member, int o, aim_embedded *e)
{
    const aim_model *m = member->model;
    const aim_output *out = &m->output[o];
    const int live = member->live[out->out], of_charges = out->in == AIM_SLOT_CHARGES;
    switch (out->kind) {
    case AIM_OUT_SRCOULOMB:
        return live && of_charges && take(&e->sr, o);
    case AIM_OUT_LRCOULOMB:
        return live && of_charges && take(&e->coulomb, o) && (!out->subtract_sr || take(&e->sr, o));
    case AIM_OUT_SRREP:
        return covers(m, out->n_table) && take(&e->repulsion, o) &&
               (out->envelope == AIM_ENVELOPE_NONE || (out->rc > 0.0 && isfinite(out->rc)));
    case AIM_OUT_DISP_PARAM: /* dead, it is a further output of the host's */
        return !live || count_readers(member, out->out) == 1;
    case AIM_OUT_D3TS:
        return live && take(&e->dispersion, o) && knows_d3ts(member, out);
    case AIM_OUT_DFTD3:
        return live && take(&e->dispersion, o) && covers_d3(m, out->d3);
    default: /* heads, shifts, sums, multipoles */
        return 1;
    }
}

void aim_device_learn(aim_member *member)
{
    aim_embedded *e = &member->embedded;
    *e = (aim_embedded){.sr = -1, .coulomb = -1, .dispersion = -1, .repulsion = -1, .known = 1};
    for (int o = 0; o < member->model->n_outputs; o++)
        e->known &= knows_output(member, o, e);
    if (member->coulomb && (e->coulomb >= 0 || (member->subtract_sr && e->sr >= 0)))
        e->known = 0;
}

static const aim_output *output_at(const aim_member *member, int o)
{
    return o >= 0 ? &member->model->output[o] : NULL;
}

static const aim_output *d3ts_of(const aim_member *member)
{
    const aim_output *out = output_at(member, member->embedded.dispersion);
    return out && out->kind == AIM_OUT_D3TS ? out : NULL;
}

int aim_device_predicted(const aim_member *member)
{
    const aim_output *ts = member->embedded.known ? d3ts_of(member) : NULL;
    return ts ? ts->in : -1;
}

const aim_output *aim_device_d3(const aim_member *member)
{
    const aim_output *out = output_at(member, member->embedded.dispersion);
    return member->embedded.known && out && out->kind == AIM_OUT_DFTD3 ? out : NULL;
}

/* ---------------------------------------------------------------- lattice sums */

/* Method and accuracy of the member's Coulomb energy; -1: it has none. */
static int method_of(const aim_calc *c, const aim_member *member, double *accuracy)
{
    const aim_output *own = output_at(member, member->embedded.coulomb);
    *accuracy = own ? own->ewald_accuracy : aim_calc_accuracy(&c->options);
    return own ? own->method : member->coulomb ? (int)c->options.coulomb : -1;
}

int aim_device_waves(const aim_calc *c, const aim_member *member)
{
    double accuracy;
    return aim_calc_has_waves(method_of(c, member, &accuracy));
}

static aim_dev_waves waves_of(const aim_calc *c, aimnet_coulomb method, double accuracy, int32_t s)
{
    const aim_batch *b = &c->flat.batch;
    const double *cell = b->cell + 9 * (size_t)s;
    const int32_t n = b->offset[s + 1] - b->offset[s];
    aim_dev_waves w = {0};
    if (method == AIMNET_COULOMB_EWALD) {
        const aim_ewald_params p = aim_ewald_choose(cell, n, accuracy);
        w = (aim_dev_waves){.alpha = p.alpha, .real_cutoff = p.real_cutoff, .k_cutoff = p.k_cutoff};
        memcpy(w.frame, cell, sizeof w.frame);
    } else {
        const aim_pme_params p = aim_pme_choose(cell, n, accuracy);
        w = (aim_dev_waves){.alpha = p.alpha, .real_cutoff = p.real_cutoff, .order = p.order};
        memcpy(w.mesh, p.mesh, sizeof w.mesh);
        memcpy(w.frame, p.frame, sizeof w.frame);
    }
    return w;
}

/* The device's transforms have lines of up to 3,072 points, and its meshes up to 2^30; sums over
 * more than 2^24 waves are not for a card either. */
int aim_device_fits_meshes(const aim_calc *c, const aim_member *member)
{
    enum { LONGEST = 3072 };
    double accuracy;
    const aimnet_coulomb method = (aimnet_coulomb)method_of(c, member, &accuracy);
    if (!aim_device_waves(c, member))
        return 1;
    if (aim_device_crystals(c) != 1)
        return 0;
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++) {
        const aim_dev_waves w = waves_of(c, method, accuracy, s);
        double size = 1;
        for (int d = 0; d < 3; d++) {
            const double *a = w.frame + 3 * d,
                         m = w.k_cutoff * sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]);
            size *= w.order ? w.mesh[d] : 1.0 + m / 3.0;
            if (w.order && w.mesh[d] > LONGEST)
                return 0;
        }
        if (size > (w.order ? 1 << 30 : 1 << 24))
            return 0;
    }
    return 1;
}

/* ---------------------------------------------------------------- the job */

static void set_coulomb(aim_dev_job *job, aimnet_coulomb method, double cutoff, double alpha)
{
    job->coulomb = method == AIMNET_COULOMB_DSF      ? AIM_DEV_COULOMB_DSF
                   : method == AIMNET_COULOMB_SIMPLE ? AIM_DEV_COULOMB_SIMPLE
                                                     : AIM_DEV_COULOMB_WAVES;
    job->coulomb_cutoff = cutoff;
    job->dsf_alpha = alpha;
}

static void set_sr(aim_dev_job *job, double rc, aim_envelope envelope)
{
    job->sr = 1;
    job->sr_rc = rc;
    job->sr_envelope = (int)envelope;
}

static void set_dispersion(aim_dev_job *job, const aim_d3_params *p)
{
    job->d3_s6 = p->s6;
    job->d3_s8 = p->s8;
    job->d3_a1 = p->a1;
    job->d3_a2 = p->a2;
    job->d3_cutoff = p->cutoff;
    job->d3_smoothing = p->smoothing;
}

static void set_d3ts(const aim_member *member, aim_dev_job *job)
{
    const aim_model *m = member->model;
    const aim_output *ts = d3ts_of(member), *param = writer_of(m, ts->in);
    job->ts_params = param->table;
    job->ts_r4r2 = ts->table;
    for (int o = 0; m->output[o].out != param->in; o++)
        job->ts_head += m->output[o].kind == AIM_OUT_MLP;
}

static void set_repulsion(const aim_member *member, aim_dev_job *job)
{
    const aim_output *rep = output_at(member, member->embedded.repulsion);
    job->rep_params = rep->table;
    job->rep_rc = rep->rc;
    job->rep_envelope = (int)rep->envelope;
    job->rep_moves = member->live[rep->out];
    job->rep_atoms = member->model->slot[rep->out].kind == AIM_VALUE_ATOM;
}

/* What the model has among its outputs. */
static void set_embedded(const aim_calc *c, const aim_member *member, aim_dev_job *job)
{
    const aim_embedded *e = &member->embedded;
    const aim_output *sr = output_at(member, e->sr), *coulomb = output_at(member, e->coulomb),
                     *dispersion = output_at(member, e->dispersion);
    if (coulomb) {
        set_coulomb(job, (aimnet_coulomb)coulomb->method, coulomb->dsf_rc, coulomb->dsf_alpha);
        job->e_coulomb = c->values.embedded_coulomb;
    }
    if (sr)
        set_sr(job, sr->rc, sr->envelope);
    if (dispersion) {
        const aim_d3_params p = aim_program_d3_params(dispersion);
        set_dispersion(job, &p);
        job->e_d3 = c->values.embedded_dispersion;
        job->d3 = dispersion->kind == AIM_OUT_DFTD3;
        if (!job->d3)
            set_d3ts(member, job);
    }
    if (e->repulsion >= 0)
        set_repulsion(member, job);
}

void aim_device_set_terms(const aim_calc *c, const aim_member *member, const aim_range_plan *range,
                          aim_dev_job *job)
{
    job->crystal = aim_device_crystals(c) == 1;
    if (c->flat.closes)
        job->cell = c->flat.closed;
    if (member->coulomb) {
        set_coulomb(job, range->method, range->coulomb_cutoff, range->dsf_alpha);
        job->e_coulomb = c->values.coulomb;
    }
    if (member->coulomb && member->subtract_sr)
        set_sr(job, member->sr_rc, member->sr_envelope);
    if (member->dispersion) {
        set_dispersion(job, &member->d3);
        job->d3 = 1;
        job->e_d3 = c->values.dispersion;
    }
    set_embedded(c, member, job);
    job->d3_reach = range->d3_reach;
    job->e_sr = c->values.scrap;
    job->e_rep = c->values.repulsion;
    job->e_rep_atom = c->values.repulsion_atom;
}

aim_status aim_device_set_waves(aim_calc *c, const aim_member *member, aim_dev_job *job)
{
    double accuracy;
    const aimnet_coulomb method = (aimnet_coulomb)method_of(c, member, &accuracy);
    if (job->coulomb != AIM_DEV_COULOMB_WAVES)
        return AIMNET_OK;
    const size_t systems = (size_t)c->flat.batch.n_systems;
    aim_arena measure = {0};
    aim_take(&measure, "waves", systems, sizeof *job->waves);
    AIM_TRY(aim_arena_reserve(&c->scratch, &c->alloc, measure.used, "waves"));
    aim_dev_waves *waves = aim_take(&c->scratch, "waves", systems, sizeof *waves);
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++)
        waves[s] = waves_of(c, method, accuracy, s);
    job->waves = waves;
    return AIMNET_OK;
}

/* SPDX-License-Identifier: MIT */
/* device.c - members of the ensemble on a compute device: what it is given and what comes back.
 *
 * Molecules, crystals, slabs and wires (close.c) of a model whose terms are known there (device_terms.c)
 * are evaluated as a whole: lists, network, terms in and outside of the model. For everything
 * else the device computes the network, from the host's list, and the host the terms between the
 * network's halves, with the same code as without a device. The adjoints of the heads do not depend
 * on values there and are known before. */
#include <math.h>
#include <string.h>

#include "backend/isa.h"
#include "calc/blocks.h"
#include "calc/device.h"
#include "calc/resident.h"

/* A status without words: the host's own message stands. */
aim_status aim_device_error(const aim_dev_error *e)
{
    return e->text[0] ? AIM_FAIL((aim_status)e->status, "%s", e->text) : (aim_status)e->status;
}

/* The reference data of the member's D3, in or outside of the model; 0: it has none. */
static int d3_table_of(const aim_calc *c, const aim_member *member, aim_dev_d3_table *table)
{
    const aim_output *own = aim_device_d3(member);
    if (!own && !c->d3_table)
        return 0;
    const aim_d3_table d3 = own ? aim_program_d3_table(c, own) : *c->d3_table;
    *table = (aim_dev_d3_table){.n_elements = d3.n_elements,
                                .n_refs = d3.n_refs,
                                .rcov = d3.rcov,
                                .r4r2 = d3.r4r2,
                                .cn = d3.cn,
                                .c6 = d3.c6,
                                .first = d3.first,
                                .weight_floor = d3.weight_floor,
                                .cn_max = d3.cn_max};
    return 1;
}

static aim_status copy_net(aim_calc *c, aim_member *member)
{
    void *plain;
    aim_dev_net net;
    aim_dev_error e = {0};
    AIM_TRY(c->ops->create(member->model, &c->alloc, AIM_ISA_REF, &plain));
    c->ops->describe(plain, &net);
    net.fast = c->options.fast != 0;
    aim_device_learn(member);
    aim_dev_d3_table table;
    const int d3 = d3_table_of(c, member, &table);
    member->device_gradient = aim_dev_gradient_size(&net);
    member->device_folded = (size_t)net.mlp[0].layer[0].n_out * (size_t)net.fa;
    member->device_sweeps = 1;
    for (int h = 0; h < net.n_heads; h++)
        member->device_sweeps &= !net.head[h].layer[net.head[h].n_layers - 1].gelu;
    void *copy;
    aim_status status =
        aim_new0(&c->alloc, 1, c->device.ops->net_size, "network on the device", &copy);
    if (status == AIMNET_OK) {
        if (c->device.ops->net_create(copy, c->device.card, &net, d3 ? &table : NULL, &e))
            status = aim_device_error(&e);
        else
            member->device_net = copy;
        if (status != AIMNET_OK)
            aim_free(&c->alloc, copy);
    }
    c->ops->free(plain);
    return status;
}

static aim_status open_device(aim_calc *c, int index)
{
    aim_dev_error e = {0};
    aim_device d = {.ops = aim_device_load(&e)};
    if (!d.ops)
        return aim_device_error(&e);
    AIM_TRY(aim_new0(&c->alloc, 1, d.ops->device_size, "device", &d.card));
    if (aim_device_take(&d, index, c->options.device_memory, &e)) {
        aim_free(&c->alloc, d.card);
        return aim_device_error(&e);
    }
    c->device = d;
    return AIMNET_OK;
}

/* Operands of 11 bits are a matter of a GPU's matrix units. */
static aim_status check_fast(const aim_calc *c)
{
    if (c->options.fast && c->options.precision == AIMNET_DOUBLE)
        return AIM_FAIL(AIMNET_ERR_ARG, "fast: double precision cannot be fast: leave one of the "
                                        "two out");
    if (c->options.fast && !c->device.ops)
        return AIM_FAIL(AIMNET_ERR_ARG, "fast: only GPUs have a fast mode: give device cuda, or "
                                        "leave it out");
    return AIMNET_OK;
}

aim_status aim_device_start(aim_calc *c, const char *word)
{
    aim_device_kind kind;
    int index;
    if (aim_device_parse(word, &kind, &index))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "device '%s' is unknown: expected cpu, auto, cuda or cuda:N", word);
    if (kind == AIM_DEVICE_CPU)
        return check_fast(c);
    const aim_status status = open_device(c, index);
    if (status != AIMNET_OK)
        return kind == AIM_DEVICE_AUTO && status == AIMNET_ERR_DEVICE ? check_fast(c) : status;
    AIM_TRY(check_fast(c));
    for (int k = 0; k < c->n_members; k++)
        AIM_TRY(copy_net(c, &c->member[k]));
    return aim_plan_settings(c, &c->options); /* notes */
}

void aim_device_stop(aim_calc *c)
{
    const aim_device_ops *ops = c->device.ops;
    if (!ops)
        return;
    for (int k = 0; c->member && k < c->n_members; k++)
        if (c->member[k].device_net) {
            ops->net_free(c->member[k].device_net);
            aim_free(&c->alloc, c->member[k].device_net);
        }
    ops->close(c->device.card);
    aim_free(&c->alloc, c->device.card);
    aim_free(&c->alloc, (void *)c->places.from);
    aim_free(&c->alloc, (void *)c->places.folded);
}

/* Half of the memory, at 100 kB per atom. */
int64_t aim_device_batch(const aim_calc *c)
{
    const int64_t fits = (int64_t)(c->device.available / 200000);
    return fits < 1024 ? 1024 : fits < 65536 ? fits : 65536;
}

/* 0: molecules, 1: crystals in three directions, also by closed cells, -1: others */
int aim_device_crystals(const aim_calc *c)
{
    const aim_batch *b = &c->flat.batch;
    if (!aim_batch_periodic(b, 0))
        return 0;
    if (c->flat.closes)
        return 1;
    for (int32_t k = 0; k < 3 * b->n_systems; k++)
        if (!b->pbc[k])
            return -1;
    return 1;
}

/* Whether the outputs and terms of a model are all known to the device. */
static int knows_model(const aim_member *member)
{
    return member->device_net && member->embedded.known;
}

int aim_device_knows_models(const aim_calc *c)
{
    for (int k = 0; k < c->n_members; k++)
        if (!knows_model(&c->member[k]))
            return 0;
    return 1;
}

int aim_device_computes(const aim_calc *c, const aim_member *member)
{
    return member->device_net && !c->host_network;
}

int aim_device_takes_all(const aim_calc *c, const aim_member *member)
{
    return !c->host_terms && knows_model(member) && aim_device_crystals(c) >= 0 &&
           aim_device_fits_meshes(c, member);
}

int aim_device_assigns(const aim_calc *c, const aim_member *member, aim_wishes want)
{
    return aim_device_computes(c, member) && aim_device_takes_all(c, member) &&
           (want.grad == 1 || (want.grad == AIM_NET_TRAIN && member->device_sweeps));
}

int aim_device_sweeps_all(const aim_calc *c, const aim_member *member)
{
    return member->device_sweeps && aim_device_takes_all(c, member);
}

int aim_device_sweeps_batch(const aim_calc *c)
{
    for (int k = 0; k < c->n_members; k++)
        if (!aim_device_sweeps_all(c, &c->member[k]))
            return 0;
    return 1;
}

int aim_device_defers_overlap(const aim_calc *c)
{
    return c->device.ops && !c->host_terms && aim_device_knows_models(c);
}

/* What a call to the host between the halves needs, or beside the second one. */
typedef struct middle {
    aim_calc *c;
    const aim_member *member;
    const aim_range_plan *range;
    int want_grad;
    int done; /* outputs that are there */
    int has_energies; /* of the terms as well; or why there are none */
    aim_status status;
} middle;

/* Large structures of the batch: of these the device says whether atoms overlap. */
static int has_large(const aim_calc *c)
{
    int large = 0;
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++)
        large |= c->note[c->flat.index[s]].large;
    return large;
}

void aim_do_meanwhile(aim_calc *c)
{
    aim_status (*const fn)(void *arg) = c->meanwhile.fn;
    c->meanwhile.fn = NULL;
    if (fn)
        c->meanwhile.status = fn(c->meanwhile.arg);
}

static void do_meanwhile(void *ctx)
{
    const middle *m = ctx;
    aim_do_meanwhile(m->c);
}

static aim_status terms_between(const middle *m)
{
    AIM_TRY(aim_program_forward(m->c, m->member, m->range, m->want_grad));
    AIM_TRY(aim_calc_external(m->c, m->member, m->range, m->want_grad));
    if (m->want_grad)
        aim_program_backward(m->member, &m->c->flat.batch, &m->c->values);
    return AIMNET_OK;
}

/* The seam's spelling of it: a module knows no statuses of the library. */
static int host_terms(void *ctx)
{
    return (int)terms_between(ctx);
}

/* Outputs that need nothing but the network, while the device is at its second half. */
static int early_outputs(void *ctx)
{
    middle *m = ctx;
    m->done = aim_program_of_network(m->member->model);
    return (int)aim_program_some(m->c, m->member, m->range, 0, 0, m->done);
}

/* Those that need energies of the terms, once the device has given them; external energies. */
static aim_status finish_energies(middle *m)
{
    aim_calc *c = m->c;
    const aim_values *v = &c->values;
    if (m->has_energies)
        return m->status;
    m->has_energies = 1;
    if (m->member->coulomb && m->member->subtract_sr)
        for (int32_t s = 0; s < c->flat.batch.n_systems; s++)
            v->coulomb[s] += v->scrap[s];
    c->given = 1;
    m->status = aim_program_some(c, m->member, m->range, 0, m->done, m->member->model->n_outputs);
    c->given = 0;
    return m->status;
}

/* Everything of the first systems is there. */
static void do_some(void *ctx, double *grad, int32_t systems, int (*rest)(void *of), void *of)
{
    middle *m = ctx;
    aim_calc *c = m->c;
    c->values.grad = grad;
    if (finish_energies(m) == AIMNET_OK)
        c->some.fn(c->some.arg, systems, rest, of);
}

/* Bytes in units. */
typedef struct copying {
    char *to;
    const char *from;
} copying;

enum { UNIT = 16 };

static void copy_block(void *ctx, int block, size_t first, size_t last)
{
    const copying *x = ctx;
    (void)block;
    memcpy(x->to + UNIT * first, x->from + UNIT * first, UNIT * (last - first));
}

static void copy_shared(void *team, void *to, const void *from, size_t bytes)
{
    copying x = {to, from};
    const size_t units = bytes / UNIT, rest = UNIT * units;
    aim_blocks_run(team, units, copy_block, &x);
    memcpy((char *)to + rest, (const char *)from + rest, bytes - rest);
}

static void stir(void *team)
{
    aim_team_stir(team);
}

aim_dev_job aim_device_job(aim_calc *c, const aim_member *member, aim_wishes want)
{
    const aim_batch *b = &c->flat.batch;
    aim_values *v = &c->values;
    aim_dev_job job = {.n_atoms = b->n_atoms,
                       .n_systems = b->n_systems,
                       .largest = c->flat.largest,
                       .offset = b->offset,
                       .system = b->system,
                       .numbers = b->numbers,
                       .kinds = &c->flat.kinds,
                       .kind = c->flat.kind,
                       .pbc = b->pbc,
                       .coord = b->coord,
                       .cell = b->cell,
                       .charge = b->charge,
                       .mult = b->mult,
                       .want_grad = want.grad != 0,
                       .want_strain = want.strain,
                       .cutoff = member->model->cutoff,
                       .no_graph = c->options.no_graph != 0,
                       .copy = copy_shared,
                       .stir = stir,
                       .team = c->team,
                       .q = v->q,
                       .spin = v->spin,
                       .gq = v->gq,
                       .gspin = v->gspin,
                       .grad = v->grad,
                       .strain = want.strain ? v->strain : NULL};
    int h = 0;
    for (int o = 0; o < member->model->n_outputs; o++)
        if (member->model->output[o].kind == AIM_OUT_MLP) {
            const int slot = member->model->output[o].out;
            job.head[h] = v->slot[slot];
            job.ghead[h++] = want.grad && member->live[slot] ? v->adjoint[slot] : NULL;
        }
    return job;
}

/* The adjoints of heads of a job that the device takes as a whole. */
static void give_alike(const aim_member *member, const double *adjoint, aim_dev_job *job)
{
    const aim_model *m = member->model;
    job->alike = 1;
    for (int o = 0, h = 0; o < m->n_outputs; o++)
        if (m->output[o].kind == AIM_OUT_MLP) {
            const int slot = m->output[o].out;
            job->ghead[h++] = job->want_grad && member->live[slot] ? &adjoint[slot] : NULL;
        }
}

/* The same where they have a place each. */
static void spread_alike(const aim_model *m, const aim_batch *b, const double *adjoint,
                         const aim_values *v)
{
    for (int s = AIM_SLOT_FIRST_FREE; s < m->n_slots; s++)
        for (size_t k = 0; v->adjoint[s] && k < (size_t)b->n_atoms * (size_t)m->slot[s].width; k++)
            v->adjoint[s][k] = adjoint[s];
}

void aim_device_give_list(const aim_calc *c, aim_dev_job *job)
{
    job->row = c->pairs.row;
    job->j = c->pairs.j;
    job->shift = (const int32_t(*)[3])c->pairs.shift;
}

static aim_status run(aim_calc *c, const aim_member *member, aim_dev_job *job)
{
    aim_dev_error e = {0};
    return c->device.ops->run(member->device_net, job, &e) ? aim_device_error(&e) : AIMNET_OK;
}

/* Which atoms they are is found as without a device. */
aim_status aim_device_overlap(aim_calc *c, const aim_member *member)
{
    AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, member->model->cutoff, 0, &c->pairs));
    for (int32_t s = 0; s < c->flat.batch.n_systems; s++)
        AIM_TRY(aim_check_images(&c->flat.batch, &c->pairs, s));
    return AIMNET_OK;
}

aim_status aim_device_member(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                             aim_wishes want)
{
    const aim_batch *b = &c->flat.batch;
    aim_values *v = &c->values;
    aim_dev_job job = aim_device_job(c, member, want);
    middle m = {c, member, range, want.grad, 0, 0, AIMNET_OK};
    double adjoint[AIM_MAX_SLOTS];
    if (want.grad == AIM_NET_KEEP && aim_device_sweeps_all(c, member)) {
        aim_program_backward(member, b, v); /* the sweep computes the rest */
        return AIMNET_OK;
    }
    job.meanwhile = do_meanwhile;
    job.ctx = &m;
    if (!aim_device_takes_all(c, member)) {
        aim_device_give_list(c, &job);
        job.middle = host_terms;
        return run(c, member, &job);
    }
    aim_device_set_terms(c, member, range, &job);
    AIM_TRY(aim_device_set_waves(c, member, &job));
    if (want.grad > 1 && !aim_device_assigns(c, member, want)) {
        aim_program_backward(member, b, v);
    } else {
        aim_program_backward_alike(member, adjoint);
        if (want.grad > 1)
            spread_alike(member->model, b, adjoint, v);
        else
            give_alike(member, adjoint, &job);
    }
    if (c->resident) {
        AIM_TRY(aim_resident_job(c, member, &job));
        AIM_TRY(run(c, member, &job));
        return job.caller->found ? AIMNET_ERR_SYSTEM : AIMNET_OK;
    }
    job.early = early_outputs;
    job.some = c->some.fn ? do_some : NULL;
    if (want.grad == AIM_NET_TRAIN && aim_device_sweeps_all(c, member))
        AIM_TRY(aim_device_evaluate(c, member, want.ahead, &job));
    else
        AIM_TRY(run(c, member, &job));
    v->grad = job.grad;
    if (job.overlap && has_large(c))
        AIM_TRY(aim_device_overlap(c, member));
    return finish_energies(&m);
}

/* Without a list the device is asked for the rows it would begin with. */
aim_status aim_device_estimate(aim_calc *c, aim_wishes want, size_t *peak)
{
    for (int k = 0; k < c->n_members; k++) {
        const aim_member *member = &c->member[k];
        aim_range_plan range;
        aim_dev_job job = aim_device_job(c, member, want);
        if (aim_device_takes_all(c, member)) {
            AIM_TRY(aim_calc_ranges(c, member, &range));
            job.alike = 1;
            aim_device_set_terms(c, member, &range, &job);
            AIM_TRY(aim_device_set_waves(c, member, &job));
        } else {
            AIM_TRY(
                aim_calc_pairs(c, AIM_FOR_NETWORK, member->model->cutoff, want.grad, &c->pairs));
            aim_device_give_list(c, &job);
            job.middle = host_terms;
        }
        /* which heads carry adjoints is not known before their values have a place */
        static const double adjoint;
        for (int o = 0, h = 0; want.grad && o < member->model->n_outputs; o++)
            if (member->model->output[o].kind == AIM_OUT_MLP) {
                job.ghead[h] = member->live[member->model->output[o].out] ? &adjoint : NULL;
                h++;
            }
        const size_t bytes = c->device.ops->workspace(member->device_net, &job);
        *peak = bytes > *peak ? bytes : *peak;
    }
    return AIMNET_OK;
}

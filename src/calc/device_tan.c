/* SPDX-License-Identifier: MIT */
/* device_tan.c - tangents of a member on a compute device: the network's two halves there, the
 * terms' tangents between them on the host, with the same code as without a device. */
#include <string.h>

#include "calc/device.h"

typedef struct middle {
    aim_calc *c;
    const aim_member *member;
    const aim_range_plan *range;
    aim_tangents *t;
} middle;

static aim_status tangents_between(const middle *m)
{
    AIM_TRY(aim_program_tangent(m->c, m->member, m->range, m->t));
    aim_program_tangent_backward(m->c, m->member, m->t);
    return AIMNET_OK;
}

/* The seam's spelling of it: a module knows no statuses of the library. */
static int host_terms(void *ctx)
{
    return (int)tangents_between(ctx);
}

static void use_heads(const aim_member *member, const aim_tangents *t, aim_dev_sweep *sweep)
{
    const aim_model *m = member->model;
    for (int o = 0, h = 0; o < m->n_outputs; o++) {
        if (m->output[o].kind != AIM_OUT_MLP)
            continue;
        const int slot = m->output[o].out;
        if (member->live[slot]) {
            sweep->thead[h] = t->tslot[slot];
            sweep->tghead[h] = t->tadjoint[slot];
        }
        h++;
    }
}

/* Terms with tangents on the device: what is added to theirs is known before. */
static aim_status use_terms(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                            const aim_tangents *t, aim_dev_job *job, aim_dev_sweep *sweep)
{
    const int predicted = aim_device_predicted(member);
    aim_device_set_terms(c, member, range, job);
    AIM_TRY(aim_device_set_waves(c, member, job));
    if (predicted >= 0) /* the device makes the adjoints of their head */
        memset(t->tslot[predicted], 0,
               2 * (size_t)t->n_dir * (size_t)c->flat.batch.n_atoms * sizeof(double));
    aim_program_tangent_backward(c, member, t);
    sweep->on_device = 1;
    sweep->tgq = t->charge_seed;
    sweep->tgspin = t->spin_seed;
    sweep->weight = t->seed;
    return AIMNET_OK;
}

aim_status aim_device_sweep(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                            aim_tangents *t)
{
    const aim_wishes want = {.grad = 1, .strain = t->tstrain != NULL};
    aim_dev_job job = aim_device_job(c, member, want);
    middle m = {c, member, range, t};
    aim_dev_error e = {0};
    aim_dev_sweep sweep = {.job = &job,
                           .again = t->again,
                           .n_dir = t->n_dir,
                           .most_dir = t->n_dir,
                           .tx = t->tx,
                           .w = t->w,
                           .tq = t->tq,
                           .tspin = t->tspin,
                           .tgrad = t->tgrad,
                           .tstrain = t->tstrain,
                           .places = t->places,
                           .take = t->take,
                           .take_ctx = t->take_ctx};
    if (aim_device_sweeps_all(c, member)) {
        sweep.again = t->again || t->places; /* of a loss, aim_device_evaluate was called */
        AIM_TRY(use_terms(c, member, range, t, &job, &sweep));
    } else {
        aim_device_give_list(c, &job);
        sweep.middle = host_terms;
        sweep.ctx = &m;
        sweep.tgq = t->tgq;
        sweep.tgspin = t->tgspin;
    }
    use_heads(member, t, &sweep);
    if (c->device.ops->sweep(member->device_net, &sweep, &e))
        return aim_device_error(&e);
    return job.overlap ? aim_device_overlap(c, member) : AIMNET_OK;
}

/* An evaluation that is kept for the sweep with the seeds of a loss, whose forward half may begin here. */
aim_status aim_device_evaluate(aim_calc *c, const aim_member *member, const aim_tangents *ahead,
                               aim_dev_job *job)
{
    aim_dev_error e = {0};
    AIM_TRY(aim_device_places(c));
    aim_dev_sweep sweep = {.job = job,
                           .on_device = 1,
                           .evaluate = 1,
                           .n_dir = 1,
                           .most_dir = 1,
                           .w = job->strain,
                           .places = &c->places};
    if (ahead && ahead->aim) {
        sweep.aim = ahead->aim;
        sweep.aim_weight = ahead->aim_weight;
        sweep.weight = ahead->seed;
        use_heads(member, ahead, &sweep);
    }
    return c->device.ops->sweep(member->device_net, &sweep, &e) ? aim_device_error(&e) : AIMNET_OK;
}

/* Where a device finds the numbers of a gradient by every parameter; kept for the calls to come. */
aim_status aim_device_places(aim_calc *c)
{
    const aim_member *member = &c->member[0];
    const size_t count = (size_t)c->parameters.count;
    int32_t *from;
    float *folded;
    if (c->places.count)
        return AIMNET_OK;
    if (member->device_gradient > INT32_MAX)
        return AIM_FAIL(AIMNET_ERR_UNSUPPORTED,
                        "model '%s' has too many parameters for gradients on a GPU",
                        member->model->name);
    AIM_TRY(aim_new(&c->alloc, count, sizeof *from, "places of parameters", &from));
    const aim_status status =
        aim_new0(&c->alloc, member->device_folded, sizeof *folded, "folded columns", &folded);
    if (status != AIMNET_OK) {
        aim_free(&c->alloc, from);
        return status;
    }
    c->ops->places(member->net, &c->parameters, from, folded);
    c->places = (aim_dev_places){count, from, folded};
    return AIMNET_OK;
}

int64_t aim_device_directions(const aim_calc *c, int64_t wanted)
{
    enum { ROW_BYTES = 80000, MOST_ROWS = 49152 };
    const int64_t n = c->flat.batch.n_atoms > 0 ? c->flat.batch.n_atoms : 1,
                  fits = (int64_t)(c->device.available / 4) / ROW_BYTES,
                  most = (fits < MOST_ROWS ? fits : MOST_ROWS) / n;
    return most < 1 ? 1 : most < wanted ? most : wanted;
}

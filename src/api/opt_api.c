/* SPDX-License-Identifier: MIT */
/* opt_api.c - the public functions of aimnet_opt.h: arguments are checked here, the work is done in
 * opt/. */
#include <math.h>
#include <string.h>

#include "aimnet_opt.h"
#include "opt/pool.h"

enum { MAX_MEMORY = 1000 };

aimnet_opt_options aimnet_opt_options_default(void)
{
    aimnet_opt_options o = {.struct_size = sizeof o,
                            .method = AIMNET_OPT_LBFGS,
                            .max_steps = 1000,
                            .max_move = 0.2,
                            .cell = AIMNET_OPT_CELL_FIXED,
                            .memory = 32};
    (void)aimnet_opt_set_level(&o, AIMNET_OPT_NORMAL);
    return o;
}

aimnet_status aimnet_opt_set_level(aimnet_opt_options *o, aimnet_opt_level level)
{
    static const double criteria[3][3] = {
        {0.05, 1e-3, 5e-4}, {0.02, 1e-4, 2e-4}, {0.001, 1e-6, 1e-5}};
    if (!o || level < AIMNET_OPT_LOOSE || level > AIMNET_OPT_TIGHT)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s",
                        o ? "the level of an optimisation is unknown" : "options is NULL");
    o->fmax = criteria[level][0];
    o->ediff = criteria[level][1];
    o->smax = criteria[level][2];
    return AIMNET_OK;
}

static aim_status check_positive(const char *name, double x)
{
    return isfinite(x) && x > 0.0
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_ARG, "%s %g: expected a number above 0", name, x);
}

static aim_status check_options(const aimnet_opt_options *o)
{
    if (o->struct_size < sizeof *o)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "options.struct_size is %zu: start from aimnet_opt_options_default()",
                        o->struct_size);
    if (o->method != AIMNET_OPT_LBFGS && o->method != AIMNET_OPT_FIRE)
        return AIM_FAIL(AIMNET_ERR_ARG, "method %d is unknown", (int)o->method);
    if (o->cell < AIMNET_OPT_CELL_FIXED || o->cell > AIMNET_OPT_CELL_ISOTROPIC)
        return AIM_FAIL(AIMNET_ERR_ARG, "cell relaxation %d is unknown", (int)o->cell);
    AIM_TRY(check_positive("fmax", o->fmax));
    AIM_TRY(check_positive("smax", o->smax));
    AIM_TRY(check_positive("max_move", o->max_move));
    if (!isfinite(o->ediff) || o->ediff < 0.0)
        return AIM_FAIL(AIMNET_ERR_ARG, "ediff %g: expected 0 (not asked for) or more", o->ediff);
    if (!isfinite(o->pressure))
        return AIM_FAIL(AIMNET_ERR_ARG, "pressure %g: expected a finite number", o->pressure);
    if (o->max_steps < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "max_steps %d: expected 0 or more", o->max_steps);
    if (o->on_host != 0 && o->on_host != 1)
        return AIM_FAIL(AIMNET_ERR_ARG, "on_host %d: expected 0 or 1", o->on_host);
    if (o->memory < 1 || o->memory > MAX_MEMORY)
        return AIM_FAIL(AIMNET_ERR_ARG, "memory %d: expected 1 to %d", o->memory, MAX_MEMORY);
    return AIMNET_OK;
}

aimnet_status aimnet_opt_create(aimnet_calc *calc, const aimnet_opt_options *options,
                                aimnet_opt **opt)
{
    if (!opt)
        return AIM_FAIL(AIMNET_ERR_ARG, "opt is NULL: expected where to put the pool");
    *opt = NULL;
    if (!calc)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator is NULL");
    const aimnet_opt_options defaults = aimnet_opt_options_default();
    const aimnet_opt_options *o = options ? options : &defaults;
    aim_pool *p;
    AIM_TRY(check_options(o));
    AIM_TRY(aim_new0(&calc->alloc, 1, sizeof *p, "a pool of optimisations", &p));
    p->alloc = calc->alloc;
    p->options = *o;
    p->calc = calc;
    const aim_status status =
        o->on_host || !aim_card_serves(calc) ? AIMNET_OK : aim_card_open(calc, &p->card);
    if (status == AIMNET_OK)
        *opt = p;
    else
        aim_pool_free(p);
    return status;
}

void aimnet_opt_free(aimnet_opt *opt)
{
    aim_pool_free(opt);
}

static aim_status check_system(const aimnet_system *s)
{
    if (s->n_atoms < 1 || !s->numbers || !s->coord)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "a structure with %d atoms cannot be optimised",
                        (int)(s->numbers && s->coord ? s->n_atoms : 0));
    for (size_t i = 0; i < 3 * (size_t)s->n_atoms; i++)
        if (!isfinite(s->coord[i]))
            return AIM_FAIL(AIMNET_ERR_SYSTEM, "a coordinate of atom %zu is not finite", i / 3);
    for (int k = 0; s->cell && k < 9; k++)
        if (!isfinite(s->cell[k]))
            return AIM_FAIL(AIMNET_ERR_SYSTEM, "component %d of the cell is not finite", k);
    return AIMNET_OK;
}

aimnet_status aimnet_opt_add(aimnet_opt *opt, const aimnet_system *system, const uint8_t *frozen,
                             int *slot)
{
    if (!opt || !system || !slot)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL",
                        !opt      ? "the pool"
                        : !system ? "system"
                                  : "slot");
    *slot = -1;
    AIM_TRY(check_system(system));
    return aim_pool_add(opt, system, frozen, slot);
}

aimnet_status aimnet_opt_advance(aimnet_opt *opt, int *n_running)
{
    int n = 0;
    if (!opt)
        return AIM_FAIL(AIMNET_ERR_ARG, "the pool is NULL");
    AIM_TRY(aim_pool_advance(opt, &n));
    if (n_running)
        *n_running = n;
    return AIMNET_OK;
}

static aim_status find(const aimnet_opt *opt, int slot, aim_job **job)
{
    if (!opt)
        return AIM_FAIL(AIMNET_ERR_ARG, "the pool is NULL");
    if (slot < 0 || (size_t)slot >= opt->capacity || !opt->job[slot])
        return AIM_FAIL(AIMNET_ERR_ARG, "slot %d holds no structure", slot);
    *job = opt->job[slot];
    return AIMNET_OK;
}

aimnet_status aimnet_opt_get(const aimnet_opt *opt, int slot, aimnet_opt_state *state)
{
    AIM_TRY(aimnet_opt_peek(opt, slot, state));
    aim_job *j = opt->job[slot];
    if (j->card_block)
        AIM_TRY(aim_card_show(opt->card, j));
    const aim_point *here = &j->path.point[j->path.now.here];
    state->coord = here->coord;
    state->forces = here->forces;
    state->charges = here->charges;
    state->stress = j->path.v.n_strains > 0 ? here->stress : NULL;
    return AIMNET_OK;
}

aimnet_status aimnet_opt_peek(const aimnet_opt *opt, int slot, aimnet_opt_state *state)
{
    aim_job *j = NULL;
    if (!state)
        return AIM_FAIL(AIMNET_ERR_ARG, "state is NULL");
    memset(state, 0, sizeof *state);
    AIM_TRY(find(opt, slot, &j));
    const aim_path_state *now = &j->path.now;
    const aim_variables *v = &j->path.v;
    *state = (aimnet_opt_state){.verdict = (aimnet_opt_verdict)now->verdict,
                                .n_atoms = v->n_atoms,
                                .numbers = v->numbers,
                                .cell = v->has_cell ? j->path.point[now->here].cell : NULL,
                                .charge = j->charge,
                                .mult = j->mult,
                                .energy = now->energy[now->here],
                                .energy_change = now->change,
                                .enthalpy = now->enthalpy[now->here],
                                .fmax = now->fmax,
                                .smax = now->smax,
                                .move = now->n_steps > 0 ? now->move : 0.0,
                                .n_steps = now->n_steps,
                                .n_evaluations = now->n_evaluations,
                                .message = j->message,
                                .warnings = j->warnings};
    memcpy(state->pbc, v->periodic, sizeof state->pbc);
    return AIMNET_OK;
}

aimnet_status aimnet_opt_remove(aimnet_opt *opt, int slot)
{
    aim_job *j = NULL;
    AIM_TRY(find(opt, slot, &j));
    aim_pool_remove(opt, slot);
    return AIMNET_OK;
}

const char *aimnet_opt_verdict_name(aimnet_opt_verdict verdict)
{
    static const char *const names[] = {"running", "converged", "not converged",
                                        "stalled", "failed",    "collapsed"};
    return verdict >= AIMNET_OPT_RUNNING && verdict <= AIMNET_OPT_COLLAPSED ? names[verdict]
                                                                            : "unknown";
}

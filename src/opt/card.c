/* SPDX-License-Identifier: MIT */
/* card.c - optimisation with the whole loop on a card. One evaluation between arrays of the card
 * (calc/resident.h), then one kernel in which every structure judges its point and chooses the next
 * (backend/opt/moves.h). What the host does per step is the batch: which structures still run, and
 * the cells, from which lists and meshes are planned. */
#include "opt/card.h"

#include <math.h>
#include <string.h>

#include "calc/device.h"
#include "calc/results.h"

static aim_status failed(aim_dev_error *e)
{
    return aim_device_error(e);
}

int aim_card_serves(const aim_calc *c)
{
    return c->device.ops && c->device.ops->paths_create && aim_device_knows_models(c);
}

aim_status aim_card_open(aim_calc *calc, aim_card **card)
{
    aim_card *c;
    aim_dev_error e = {0};
    *card = NULL;
    AIM_TRY(aim_new0(&calc->alloc, 1, sizeof *c, "optimisations on a card", &c));
    c->alloc = calc->alloc;
    c->calc = calc;
    c->memory.alloc = calc->alloc;
    c->memory.ops = calc->device.ops;
    c->memory.index = calc->device.index;
    if (calc->device.ops->paths_create(c->paths, calc->device.index, &c->stream, &e)) {
        aim_free(&calc->alloc, c);
        return failed(&e);
    }
    *card = c;
    return AIMNET_OK;
}

void aim_card_close(aim_card *c)
{
    if (!c)
        return;
    const aim_device *d = &c->calc->device;
    d->ops->paths_free(c->paths);
    aim_card_memory_free(&c->memory);
    if (c->arrays)
        d->ops->give(d->index, c->arrays);
    aim_free(&c->alloc, c->first);
    aim_free(&c->alloc, c->atom);
    aim_free(&c->alloc, c->volume);
    aim_free(&c->alloc, c->extent);
    aim_free(&c->alloc, c);
}

static aim_status copy(const aim_card *c, void *to, const void *from, size_t bytes)
{
    const aim_device *d = &c->calc->device;
    aim_dev_error e = {0};
    return d->ops->copy(d->index, to, from, bytes, c->stream, &e) ? failed(&e) : AIMNET_OK;
}

aim_status aim_card_add(aim_card *c, aim_job *j)
{
    void *block;
    size_t bytes;
    j->card_bytes = aim_card_round(aim_job_card_bytes(j));
    const aim_status status = aim_card_take(&c->memory, j->card_bytes, &block);
    if (status != AIMNET_OK)
        return status == AIMNET_ERR_MEMORY
                   ? aim_fail_prefix(status,
                                     "an optimisation of %d atoms on the GPU (on_host, or "
                                     "--host-steps, needs less of its memory)",
                                     (int)j->path.v.n_atoms)
                   : status;
    const void *image = aim_job_image(j, block, &bytes);
    aim_dev_error e = {0};
    if (c->calc->device.ops->paths_send(c->paths, j->on_card, image, bytes, &e)) {
        aim_card_remove(c, j);
        return failed(&e);
    }
    return AIMNET_OK;
}

void aim_card_remove(aim_card *c, aim_job *j)
{
    aim_card_give(&c->memory, j->card_block, j->card_bytes);
    j->card_block = NULL;
    j->on_card = NULL;
}

/* ---------------------------------------------------------------- one evaluation */

static void place(aim_card *c, aim_arena *a)
{
    c->coord = aim_take(a, "coord", 3 * c->atoms, sizeof(double));
    c->forces = aim_take(a, "forces", 3 * c->atoms, sizeof(double));
    c->charges = aim_take(a, "charges", c->atoms, sizeof(double));
    c->energy = aim_take(a, "energy", c->systems, sizeof(double));
    c->stress = aim_take(a, "stress", 9 * c->systems, sizeof(double));
}

/* Arrays for so many atoms and systems; their contents are lost. */
static aim_status reserve(aim_card *c, size_t atoms, size_t systems)
{
    const aim_device *d = &c->calc->device;
    aim_arena measure = {0};
    aim_dev_error e = {0};
    if (atoms <= c->atoms && systems <= c->systems)
        return AIMNET_OK;
    if (c->arrays)
        d->ops->give(d->index, c->arrays);
    c->arrays = NULL;
    c->atoms = c->systems = 0;
    AIM_TRY(aim_grow(&c->alloc, 0, atoms, sizeof *c->atom, "a batch", &c->atom));
    AIM_TRY(aim_grow(&c->alloc, 0, systems, sizeof *c->first, "a batch", &c->first));
    AIM_TRY(aim_grow(&c->alloc, 0, systems, sizeof *c->volume, "a batch", &c->volume));
    AIM_TRY(aim_grow(&c->alloc, 0, 3 * systems, sizeof *c->extent, "a batch", &c->extent));
    c->atoms = atoms;
    c->systems = systems;
    place(c, &measure);
    if (d->ops->take(d->index, measure.used, &c->arrays, &e)) {
        c->atoms = c->systems = 0;
        return failed(&e);
    }
    aim_arena there = {.base = c->arrays, .capacity = measure.used};
    place(c, &there);
    return AIMNET_OK;
}

static aim_status evaluate(aim_card *c, int n, int32_t n_atoms, int strains, aimnet_system *systems,
                           aimnet_result *results)
{
    aim_resident call = {.n_atoms = n_atoms,
                         .n_systems = n,
                         .systems = systems,
                         .first = c->first,
                         .extent = c->extent,
                         .results = results,
                         .atom = c->atom,
                         .volume = c->volume,
                         .caller = {.coord = c->coord,
                                    .energy = c->energy,
                                    .forces = c->forces,
                                    .charges = c->charges,
                                    .stress = strains ? c->stress : NULL,
                                    .stream = c->stream}};
    const aim_status status = aim_resident_run(c->calc, &call);
    return status == AIMNET_ERR_SOME_FAILED ? AIMNET_OK : status;
}

/* What a job takes over after its move. */
static aim_status take_over(aim_card *c, aim_job *j, const aim_dev_moved *m, const double *ended,
                            aimnet_result *r)
{
    const size_t n = (size_t)j->path.v.n_atoms;
    j->path.now = m->now;
    memcpy(j->path.v.cell, m->next_cell, sizeof m->next_cell);
    memcpy(j->extent, m->next_extent, sizeof m->next_extent);
    j->results_known = 0;
    if (m->now.n_steps == 0 && m->now.verdict == AIMNET_OPT_FAILED) {
        j->results_known = 1; /* what it began with */
    } else {
        aim_point *here = &j->path.point[m->now.here];
        memcpy(here->cell, m->cell, sizeof m->cell);
        memcpy(here->stress, m->stress, sizeof m->stress);
        if (m->now.verdict != AIMNET_OPT_RUNNING) {
            memcpy(j->results, ended, 7 * n * sizeof *ended);
            j->results_known = 1;
        }
        if (m->now.n_evaluations == 1 && (!(m->now.fmax < AIM_ABSURD_FORCE) || j->has_frozen)) {
            AIM_TRY(aim_card_show(c, j));
            aim_warn_of_absurd_forces(NULL, j->path.v.n_atoms, here->forces, r);
        }
    }
    aim_job_moved(j, r);
    return AIMNET_OK;
}

aim_status aim_card_advance(aim_card *c, aim_job **jobs, int n, aimnet_system *systems,
                            aimnet_result *results)
{
    const aim_device_ops *ops = c->calc->device.ops;
    aim_dev_moves m = {.n = n};
    aim_dev_error e = {0};
    size_t n_atoms = 0;
    for (int k = 0; k < n; k++)
        n_atoms += (size_t)jobs[k]->path.v.n_atoms;
    if (n_atoms > INT32_MAX / 4)
        return AIM_FAIL(AIMNET_ERR_ARG, "%zu atoms are too many for one batch: at most %d", n_atoms,
                        INT32_MAX / 4);
    AIM_TRY(reserve(c, n_atoms, (size_t)n));
    m.n_atoms = (int32_t)n_atoms;
    if (ops->paths_room(c->paths, &m, &e))
        return failed(&e);
    int32_t first = 0;
    for (int k = 0; k < n; k++) {
        m.move[k] = (aim_dev_move){
            .path = jobs[k]->on_card, .n_var = jobs[k]->path.v.n_var, .first = first};
        c->first[k] = first;
        first += jobs[k]->path.v.n_atoms;
        memcpy(c->extent + 3 * k, jobs[k]->extent, sizeof jobs[k]->extent);
        aim_job_ask(jobs[k], &systems[k], NULL);
    }
    m.coord = c->coord;
    m.energy = c->energy;
    m.forces = c->forces;
    m.charges = c->charges;
    const int strains = jobs[0]->path.options.cell != AIMNET_OPT_CELL_FIXED;
    m.stress = strains ? c->stress : NULL;
    if (ops->paths_place(c->paths, &m, &e))
        return failed(&e);
    AIM_TRY(evaluate(c, n, m.n_atoms, strains, systems, results));
    for (int k = 0; k < n; k++)
        m.move[k].good = results[k].status == AIMNET_OK;
    if (ops->paths_move(c->paths, &m, &e))
        return failed(&e);
    for (int k = 0; k < n; k++)
        AIM_TRY(take_over(c, jobs[k], &m.moved[k], m.ended + 7 * (size_t)c->first[k], &results[k]));
    return AIMNET_OK;
}

aim_status aim_card_show(aim_card *c, aim_job *j)
{
    if (j->results_known)
        return AIMNET_OK;
    AIM_TRY(copy(c, j->results, aim_job_results(j),
                 7 * (size_t)j->path.v.n_atoms * sizeof *j->results));
    j->results_known = 1;
    return AIMNET_OK;
}

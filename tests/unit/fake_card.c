/* SPDX-License-Identifier: MIT */
/* fake_card.c - a module behind the seam of backend/device.h for machines without a GPU: its "card"
 * is blocks of host memory that it has handed out itself, and its network a formula. What calls it -
 * checks, batches, recipes, averages, the way by the host - is the library's own.
 *
 * Every atom has a well at (Z / 2, 0, 0); d is its distance from there. Charge: q = 0.01 Z + 0.001 x;
 * output of a head: h = 0.15 d (1, 2, 3 by component) d, gradient: g = 0.3 d (1, 2, 3), which belong
 * together; strain: 0.7; energies of terms: PER_ATOM n. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet.h"
#include "backend/device.h"
#include "backend/opt/moves.h"
#include "backend/opt/open.h"

enum { BLOCKS = 64 };
static struct block {
    char *at;
    size_t size;
} taken[BLOCKS];

static int refuse(aim_dev_error *e, int status, const char *text)
{
    e->status = status;
    snprintf(e->text, sizeof e->text, "%s", text);
    return status;
}

static int open_card(void *device, int index, size_t memory, aim_dev_error *e)
{
    (void)device;
    (void)memory;
    return index == 0 ? 0 : refuse(e, AIMNET_ERR_DEVICE, "the fake has one card");
}
static void close_card(void *device)
{
    free(*(void **)device);
}
static int desk(void *device, size_t bytes, void **block, aim_dev_error *e)
{
    free(*(void **)device);
    *(void **)device = *block = malloc(bytes);
    return *block ? 0 : refuse(e, AIMNET_ERR_MEMORY, "the fake has no desk");
}
static void describe(void *device, char *name, size_t capacity, size_t *total, size_t *available)
{
    (void)device;
    snprintf(name, capacity, "fake card");
    *total = *available = (size_t)1 << 34;
}
static int net_create(void *net, void *device, const aim_dev_net *in, const aim_dev_d3_table *d3,
                      aim_dev_error *e)
{
    (void)device;
    (void)d3;
    (void)e;
    *(int *)net = in->n_heads;
    return 0;
}
static void net_free(void *net)
{
    (void)net;
}

/* Charges show the cell that the card was told. */
static double charge_of(const aim_dev_job *job, int32_t i, const double *r)
{
    const double *cell = job->cell + 9 * job->system[i];
    return 0.01 * job->numbers[i] + 0.001 * r[0] + 1e-6 * (cell[0] + cell[4] + cell[8]);
}
static double pull_of(int32_t z, const double *r, int d)
{
    return 0.3 * (d + 1) * (r[d] - (d == 0 ? 0.5 * z : 0.0));
}
static double head_of(int32_t z, const double *r)
{
    double sum = 0;
    for (int d = 0; d < 3; d++)
        sum += 0.5 * pull_of(z, r, d) * (r[d] - (d == 0 ? 0.5 * z : 0.0));
    return sum;
}

static void position_of(const aim_dev_job *job, int32_t i, double r[3])
{
    const aim_dev_caller *c = job->caller;
    for (int d = 0; d < 3; d++)
        r[d] = !c                ? job->coord[3 * i + d]
               : c->coord_single ? (double)c->coord_single[3 * c->atom[i] + d]
                                 : c->coord[3 * c->atom[i] + d];
}

static double mean_of(double before, double x, int member)
{
    return member == 1 ? x : before + (x - before) / member;
}

static void hand_atoms(const aim_dev_job *job)
{
    const aim_dev_caller *c = job->caller;
    for (int32_t i = 0; i < job->n_atoms; i++) {
        const int32_t to = c->atom[i];
        double r[3];
        position_of(job, i, r);
        for (int d = 0; d < 3; d++)
            if (!(fabs(r[d]) <= c->farthest))
                ((aim_dev_caller *)c)->found = 1;
        for (int d = 0; c->forces && job->want_grad && d < 3; d++)
            c->forces[3 * to + d] =
                -mean_of(-c->forces[3 * to + d], pull_of(job->numbers[i], r, d), c->member);
        if (c->charges)
            c->charges[to] = mean_of(c->charges[to], charge_of(job, i, r), c->member);
    }
}

static const double PER_ATOM[] = {[AIM_DEV_STEP_SR] = 0.25,
                                  [AIM_DEV_STEP_COULOMB] = 0.5,
                                  [AIM_DEV_STEP_D3] = 0.0625,
                                  [AIM_DEV_STEP_REPULSION] = 0.125};

static double energy_of(const aim_dev_job *job, int32_t s)
{
    const aim_dev_caller *c = job->caller;
    double network = 0;
    const int32_t n = job->offset[s + 1] - job->offset[s];
    for (int32_t i = job->offset[s]; i < job->offset[s + 1]; i++) {
        double r[3];
        position_of(job, i, r);
        double h = head_of(job->numbers[i], r);
        for (int t = 0; t < c->n_atom_steps; t++)
            h += c->atom_step[t].kind == AIM_DEV_STEP_TABLE ? c->atom_step[t].table[job->numbers[i]]
                                                            : PER_ATOM[c->atom_step[t].kind];
        network += h;
    }
    for (int t = 0; t < c->n_system_steps; t++) {
        const aim_dev_step *step = &c->system_step[t];
        const int table = step->kind == AIM_DEV_STEP_TABLE;
        double sum = 0;
        for (int32_t i = job->offset[s]; table && i < job->offset[s + 1]; i++)
            sum += step->table[job->numbers[i]];
        network += table ? sum : n * PER_ATOM[step->kind];
    }
    const double coulomb = c->add_coulomb ? n * PER_ATOM[AIM_DEV_STEP_COULOMB] : 0.0;
    return network + (c->add_sr ? coulomb + n * PER_ATOM[AIM_DEV_STEP_SR] : coulomb) +
           (c->add_d3 ? n * PER_ATOM[AIM_DEV_STEP_D3] : 0.0);
}

/* Gradients that are not there yet; comes: they are before the evaluation ends. */
typedef struct late {
    pthread_mutex_t mutex;
    double *grad;
    size_t n;
    int away, comes;
} late;

/* The opposite stands in their place. */
static void turn_late(late *l, int away)
{
    for (size_t k = 0; l->away != away && k < l->n; k++)
        l->grad[k] = -l->grad[k];
    l->away = away;
}

static int rest_comes(void *of)
{
    late *l = of;
    pthread_mutex_lock(&l->mutex);
    if (l->comes)
        turn_late(l, 0);
    pthread_mutex_unlock(&l->mutex);
    return l->comes;
}

/* Those of the first half of the systems, then of the others: before the end where their number is odd. */
static void hand_in_parts(const aim_dev_job *job)
{
    const int32_t half = (job->n_systems + 1) / 2, first = job->offset[half];
    late l = {.grad = job->grad + 3 * first,
              .n = 3 * (size_t)(job->n_atoms - first),
              .comes = job->n_systems % 2};
    pthread_mutex_init(&l.mutex, NULL);
    turn_late(&l, 1);
    job->some(job->ctx, job->grad, half, rest_comes, &l);
    turn_late(&l, 0);
    pthread_mutex_destroy(&l.mutex);
}

static int run(void *net, aim_dev_job *job, aim_dev_error *e)
{
    const int n_heads = *(int *)net;
    job->overlap = 0;
    if (job->caller) {
        const aim_dev_caller *c = job->caller;
        hand_atoms(job);
        for (int32_t s = 0; s < job->n_systems; s++) {
            const int32_t to = c->index[s];
            if (c->energy)
                c->energy[to] = mean_of(c->energy[to], energy_of(job, s), c->member);
            for (int k = 0; c->stress && job->want_strain && k < 9; k++)
                c->stress[9 * to + k] = c->volume[s] > 0 ? 0.7 / c->volume[s] : 0.7;
        }
        return 0;
    }
    for (int32_t i = 0; i < job->n_atoms; i++) {
        double r[3];
        position_of(job, i, r);
        job->q[i] = charge_of(job, i, r);
        for (int h = 0; h < n_heads; h++)
            job->head[h][i] = head_of(job->numbers[i], r);
        for (int d = 0; job->want_grad && d < 3; d++)
            job->grad[3 * i + d] =
                (job->middle ? job->grad[3 * i + d] : 0.0) + pull_of(job->numbers[i], r, d);
    }
    if (job->meanwhile)
        job->meanwhile(job->ctx);
    job->meanwhile = NULL;
    if (job->middle && (e->status = job->middle(job->ctx)) != 0)
        return e->status;
    for (int32_t s = 0; s < job->n_systems; s++) {
        const int32_t n = job->offset[s + 1] - job->offset[s];
        if (job->e_coulomb)
            job->e_coulomb[s] = n * PER_ATOM[AIM_DEV_STEP_COULOMB];
        if (job->e_sr)
            job->e_sr[s] = n * PER_ATOM[AIM_DEV_STEP_SR];
        if (job->e_d3)
            job->e_d3[s] = n * PER_ATOM[AIM_DEV_STEP_D3];
        if (job->e_rep)
            job->e_rep[s] = n * PER_ATOM[AIM_DEV_STEP_REPULSION];
        for (int32_t i = job->offset[s]; job->rep_atoms && i < job->offset[s + 1]; i++)
            job->e_rep_atom[i] = PER_ATOM[AIM_DEV_STEP_REPULSION];
        for (int k = 0; job->want_strain && k < 9; k++)
            job->strain[9 * s + k] += 0.7;
    }
    if (job->some && job->want_grad)
        hand_in_parts(job);
    return 0;
}

static size_t workspace(const void *net, const aim_dev_job *job)
{
    (void)net;
    return (size_t)job->n_atoms * 1000;
}
static int look(int index, int *n, aim_dev_card *card, aim_dev_error *e)
{
    *n = 1;
    if (card)
        *card = (aim_dev_card){.major = 8};
    return card && index != 0 ? refuse(e, AIMNET_ERR_DEVICE, "the fake has one card") : 0;
}

/* ---------------------------------------------------------------- memory */

static int take(int card, size_t bytes, void **block, aim_dev_error *e)
{
    *block = NULL;
    for (int k = 0; card == 0 && k < BLOCKS; k++)
        if (!taken[k].at && (taken[k].at = malloc(bytes + 1)) != NULL) {
            taken[k].size = bytes;
            memset(taken[k].at, 0x5a, bytes);
            *block = taken[k].at;
            return 0;
        }
    return refuse(e, AIMNET_ERR_MEMORY, "the fake has no memory left");
}
static struct block *find(const void *p)
{
    for (int k = 0; k < BLOCKS; k++)
        if (taken[k].at && (const char *)p >= taken[k].at &&
            (const char *)p < taken[k].at + taken[k].size)
            return &taken[k];
    return NULL;
}
static void give(int card, void *p)
{
    (void)card;
    struct block *b = find(p);
    if (!b)
        abort(); /* never handed out, or twice */
    free(b->at);
    b->at = NULL;
}
static int copy(int card, void *to, const void *from, size_t bytes, void *stream, aim_dev_error *e)
{
    (void)card;
    (void)stream;
    (void)e;
    memmove(to, from, bytes);
    return 0;
}
static int clear(int card, void *block, size_t bytes, void *stream, aim_dev_error *e)
{
    (void)card;
    (void)stream;
    (void)e;
    memset(block, 0, bytes);
    return 0;
}
static int can_wait(int card, void *stream, aim_dev_error *e)
{
    (void)card; /* stream 1 is the one that is being captured */
    return stream == (void *)1 ? refuse(e, AIMNET_ERR_ARG, "the stream is being captured") : 0;
}
static int locate(const void *p, aim_dev_memory *m, aim_dev_error *e)
{
    const struct block *b = find(p);
    (void)e;
    *m = (aim_dev_memory){b != NULL, 0, b ? (size_t)(b->at + b->size - (const char *)p) : 0};
    return 0;
}

/* ---------------------------------------------------------------- lists: every row is full of atom 0 */

static int list_create(void *list, int card, aim_dev_error *e)
{
    (void)list;
    return card == 0 ? 0 : refuse(e, AIMNET_ERR_DEVICE, "the fake has one card");
}
static void list_free(void *list)
{
    (void)list;
}
static int list_build(void *list, aim_dev_list *what, aim_dev_error *e)
{
    (void)list;
    (void)e;
    what->longest = 20 * what->system[what->n_systems - 1].count;
    for (int32_t i = 0; i < 3 * what->n_atoms; i++)
        what->found |= !(fabs(what->coord[i]) <= what->farthest);
    for (int32_t k = 0; k < what->n_systems; k++) /* what it was told, for the test to see */
        what->nbmat[k] = what->system[k].first;
    return 0;
}

/* ---------------------------------------------------------------- paths, moved by the host's lines */

typedef struct paths {
    char *room;
} paths;

static int paths_create(void *object, int card, void **stream, aim_dev_error *e)
{
    (void)object;
    *stream = NULL;
    return card == 0 ? 0 : refuse(e, AIMNET_ERR_DEVICE, "the fake has one card");
}
static void paths_free(void *object)
{
    free(((paths *)object)->room);
}
static int paths_send(void *object, void *to, const void *from, size_t bytes, aim_dev_error *e)
{
    (void)object;
    if (!find(to))
        return refuse(e, AIMNET_ERR_DEVICE, "this is not memory of the card");
    memcpy(to, from, bytes);
    return 0;
}
static int paths_room(void *object, aim_dev_moves *m, aim_dev_error *e)
{
    paths *p = object;
    const size_t n = (size_t)m->n, moves = (n * sizeof *m->move + 63) / 64 * 64,
                 moved = n * sizeof *m->moved;
    free(p->room);
    p->room = malloc(moves + moved + 7 * (size_t)m->n_atoms * sizeof(double) + 1);
    if (!p->room)
        return refuse(e, AIMNET_ERR_MEMORY, "the fake has no memory left");
    m->move = (aim_dev_move *)(void *)p->room;
    m->moved = (aim_dev_moved *)(void *)(p->room + moves);
    m->ended = (double *)(void *)(p->room + moves + moved);
    return 0;
}
static int paths_place(void *object, const aim_dev_moves *m, aim_dev_error *e)
{
    (void)object;
    for (int k = 0; k < m->n; k++) {
        const aim_variables *v = &m->move[k].path->v;
        if (!find(v->x) || !find(m->coord))
            return refuse(e, AIMNET_ERR_DEVICE, "this is not memory of the card");
        memcpy(m->coord + 3 * (size_t)m->move[k].first, v->x,
               3 * (size_t)v->n_atoms * sizeof(double));
    }
    return 0;
}
static int paths_move(void *object, const aim_dev_moves *m, aim_dev_error *e)
{
    (void)object;
    (void)e;
    for (int k = 0; k < m->n; k++) {
        aim_path *p = m->move[k].path;
        const size_t first = (size_t)m->move[k].first;
        aim_dev_moved *to = (aim_dev_moved *)m->moved + k;
        const aim_outcome o = {.good = m->move[k].good,
                               .energy = m->energy[k],
                               .forces = m->forces + 3 * first,
                               .charges = m->charges + first,
                               .stress = m->stress ? m->stress + 9 * (size_t)k : NULL};
        aim_path_move(p, &p->now, &o);
        const aim_point *here = &p->point[p->now.here];
        to->now = p->now;
        memcpy(to->next_cell, p->v.cell, sizeof to->next_cell);
        aim_open_extents(p->v.periodic, p->v.cell, p->v.x, (size_t)p->v.n_atoms, to->next_extent);
        memcpy(to->cell, here->cell, sizeof to->cell);
        memcpy(to->stress, here->stress, sizeof to->stress);
        if (p->now.verdict != AIMNET_OPT_RUNNING && p->now.verdict != AIMNET_OPT_FAILED)
            memcpy((double *)m->ended + 7 * first, here->coord,
                   7 * (size_t)p->v.n_atoms * sizeof(double));
    }
    return 0;
}

static const aim_device_ops OPS = {.abi = AIM_DEV_ABI,
                                   .device_size = 16,
                                   .net_size = 16,
                                   .open = open_card,
                                   .close = close_card,
                                   .desk = desk,
                                   .describe = describe,
                                   .net_create = net_create,
                                   .net_free = net_free,
                                   .run = run,
                                   .workspace = workspace,
                                   .look = look,
                                   .take = take,
                                   .give = give,
                                   .copy = copy,
                                   .clear = clear,
                                   .can_wait = can_wait,
                                   .locate = locate,
                                   .list_create = list_create,
                                   .list_free = list_free,
                                   .list_build = list_build,
                                   .paths_create = paths_create,
                                   .paths_free = paths_free,
                                   .paths_send = paths_send,
                                   .paths_room = paths_room,
                                   .paths_place = paths_place,
                                   .paths_move = paths_move};

__attribute__((visibility("default"))) const aim_device_ops *aimnet_device_module(int abi);
const aim_device_ops *aimnet_device_module(int abi)
{
    return abi == AIM_DEV_ABI ? &OPS : NULL;
}

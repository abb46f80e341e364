/* SPDX-License-Identifier: MIT */
/* batch.c - from the caller's structures to one flat batch: padding atoms dropped, everything
 * copied once. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "calc/blocks.h"
#include "calc/device.h"

enum {
    BATCH_ATOMS = 2048
}; /* default: activations of some 80 MB, and more than enough rows for the matrix kernels */

int64_t aim_batch_limit(const aim_calc *c)
{
    return c->options.batch_atoms > 0 ? c->options.batch_atoms
           : c->device.ops            ? aim_device_batch(c)
                                      : BATCH_ATOMS;
}

/* desk: of the device that has the arrays which go to it; NULL: there is none. */
static void place(aim_flat *f, aim_arena *arena, size_t n_atoms, size_t n_systems, void *desk)
{
    aim_batch *b = &f->batch;
    const aim_dev_desk d = desk ? aim_dev_desk_of(desk, n_atoms) : (aim_dev_desk){0};
    b->offset = aim_take(arena, "offset", n_systems + 1, sizeof *b->offset);
    b->system = desk ? d.system : aim_take(arena, "system", n_atoms, sizeof *b->system);
    b->numbers = aim_take(arena, "numbers", n_atoms, sizeof *b->numbers);
    f->kind = desk ? d.kind : NULL;
    b->origin = aim_take(arena, "origin", n_atoms, sizeof *b->origin);
    b->coord = desk ? d.coord : aim_take(arena, "coord", 3 * n_atoms, sizeof *b->coord);
    b->cell = aim_take(arena, "cell", 9 * n_systems, sizeof *b->cell);
    b->pbc = aim_take(arena, "pbc", 3 * n_systems, sizeof *b->pbc);
    b->charge = aim_take(arena, "charge", n_systems, sizeof *b->charge);
    b->mult = aim_take(arena, "mult", n_systems, sizeof *b->mult);
    f->index = aim_take(arena, "index", n_systems, sizeof *f->index);
    f->closed = aim_take(arena, "closed cells", 9 * n_systems, sizeof *f->closed);
}

enum { TOGETHER = 8 }; /* structures that a worker takes */

typedef struct each {
    int32_t n;
    void (*fn)(void *arg, int32_t k);
    void *arg;
} each;

static void each_task(void *ctx, int64_t task, int worker)
{
    const each *e = ctx;
    (void)worker;
    for (int32_t k = (int32_t)task * TOGETHER; k < e->n && k < ((int32_t)task + 1) * TOGETHER; k++)
        e->fn(e->arg, k);
}

void aim_each_system(aim_team *team, int32_t n, void (*fn)(void *arg, int32_t k), void *arg)
{
    each e = {n, fn, arg};
    aim_parallel_for(team, (n + TOGETHER - 1) / TOGETHER, each_task, &e);
}

aim_team *aim_team_within(aim_team *team, int32_t n)
{
    return n <= TOGETHER ? team : NULL;
}

/* Atoms of structure k, which has no padding, from `to` on. */
typedef struct copy {
    const aim_flat *f;
    const aimnet_system *s;
    int32_t k;
    size_t to;
} copy;

static void copy_block(void *ctx, int block, size_t first, size_t last)
{
    const copy *c = ctx;
    const aim_batch *b = &c->f->batch;
    const size_t n = last - first, to = c->to + first;
    int32_t *system = (int32_t *)b->system + to, *origin = (int32_t *)b->origin + to;
    (void)block;
    memcpy((int32_t *)b->numbers + to, c->s->numbers + first, n * sizeof *c->s->numbers);
    memcpy((double *)b->coord + 3 * to, c->s->coord + 3 * first, 3 * n * sizeof *c->s->coord);
    for (size_t i = 0; c->f->kind && i < n; i++)
        ((int32_t *)c->f->kind)[to + i] = c->f->kinds.index[c->s->numbers[first + i]];
    for (size_t i = 0; i < n; i++) {
        system[i] = c->k;
        origin[i] = (int32_t)(first + i);
    }
}

/* The batch's arrays are const for everybody else; here they are filled. */
static void fill_system(aim_team *team, aim_flat *f, const aimnet_system *s, int32_t k, int padded)
{
    aim_batch *b = &f->batch;
    int32_t *system = (int32_t *)b->system, *numbers = (int32_t *)b->numbers,
            *origin = (int32_t *)b->origin, *pbc = (int32_t *)b->pbc;
    double *coord = (double *)b->coord, *cell = (double *)b->cell;
    ((double *)b->charge)[k] = s->charge;
    ((double *)b->mult)[k] = s->mult == 0 ? 1.0 : s->mult;
    const int periodic = s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
    for (int d = 0; d < 9; d++)
        cell[9 * k + d] = periodic ? s->cell[d] : 0.0;
    for (int d = 0; d < 3; d++)
        pbc[3 * k + d] = periodic && s->pbc[d];
    const int32_t first = b->offset[k];
    if (!padded && s->coord) {
        copy c = {f, s, k, (size_t)first};
        aim_blocks_run(team, (size_t)s->n_atoms, copy_block, &c);
        return;
    }
    for (int32_t i = 0, a = first; i < s->n_atoms; i++) {
        if (s->numbers[i] == 0)
            continue;
        system[a] = k;
        numbers[a] = s->numbers[i];
        origin[a] = i;
        if (f->kind)
            ((int32_t *)f->kind)[a] = f->kinds.index[s->numbers[i]];
        for (int d = 0; d < 3 && s->coord; d++) /* else they are on the device */
            coord[3 * a + d] = s->coord[3 * i + d];
        a++;
    }
}

typedef struct filling {
    aim_team *team; /* for the atoms of one */
    aim_flat *flat;
    const aimnet_system *systems;
    const int32_t *index;
    int padded;
} filling;

static void fill_one(void *arg, int32_t k)
{
    const filling *f = arg;
    fill_system(f->team, f->flat, &f->systems[f->index[k]], k, f->padded);
}

/* Of blocks, atoms that are not padding; of all, elements. */
typedef struct counting {
    const int32_t *numbers;
    size_t real_atoms[AIM_BLOCKS];
    _Atomic uint64_t *elements;
} counting;

static void count_block(void *ctx, int block, size_t first, size_t last)
{
    counting *x = ctx;
    uint64_t seen[AIM_ELEMENT_WORDS] = {0};
    size_t n = 0;
    for (size_t i = first; i < last; i++) {
        const int32_t z = x->numbers[i];
        n += z != 0;
        seen[z / 64] |= (uint64_t)(z != 0) << z % 64;
    }
    x->real_atoms[block] = n;
    for (int k = 0; k < AIM_ELEMENT_WORDS; k++)
        if (seen[k] & ~atomic_load_explicit(&x->elements[k], memory_order_relaxed))
            atomic_fetch_or(&x->elements[k], seen[k]);
}

static size_t count_atoms(aim_team *team, const aimnet_system *s, aim_elements elements)
{
    counting x = {.numbers = s->numbers, .elements = elements};
    size_t sum = 0;
    aim_blocks_run(team, (size_t)s->n_atoms, count_block, &x);
    for (int k = 0; k < aim_blocks_count((size_t)s->n_atoms); k++)
        sum += x.real_atoms[k];
    return sum;
}

void aim_notes_begin(aim_calc *c)
{
    c->noted = 0;
    c->flat.ahead = 0;
    for (int k = 0; k < AIM_ELEMENT_WORDS; k++)
        c->elements[k] = 0;
}

void aim_note_system(aim_calc *c, const aimnet_system *s, int32_t k)
{
    aim_note *note = &c->note[k];
    note->places = s->n_atoms;
    note->atoms = (int32_t)count_atoms(c->team, s, c->elements);
    note->periodic = (unsigned char)aim_is_periodic(s);
    note->lists = s->lists != NULL;
    note->large = (unsigned char)aim_check_allocates(s);
    note->wrong = 0;
    note->ahead = 0;
}

/* The elements of the batch: those of the call, where it is all of it. Whether they are those of the batch before. */
static int find_kinds(aim_calc *c, const aimnet_system *systems, const int32_t *index, int32_t n)
{
    aim_dev_kinds *kinds = &c->flat.kinds;
    const int32_t before = kinds->n;
    int same = 1;
    aim_elements own = {0};
    _Atomic uint64_t *seen = n == c->noted ? c->elements : own;
    for (int32_t k = 0; k < n && seen == own; k++)
        (void)count_atoms(c->team, &systems[index[k]], own);
    kinds->n = 0;
    for (int z = 1; z < AIM_MAX_SPECIES; z++)
        if (seen[z / 64] >> z % 64 & 1) {
            same &= kinds->n < before && kinds->number[kinds->n] == z;
            kinds->index[z] = kinds->n;
            kinds->number[kinds->n++] = z;
        }
    return same && kinds->n == before;
}

/* Whether s may not join a batch of this reach. A batch has one list, as long as its longest reach:
 * a wide, empty cell would make the list of a dense crystal explode. */
static int differs(double reach, const aim_calc *c, const aimnet_system *s)
{
    const double own = aim_calc_reach(c, s);
    return fmax(own, reach) > 1.25 * fmin(own, reach);
}

int32_t aim_choose_batch(const aim_calc *c, const aimnet_system *systems, int n, int periodic,
                         int32_t *next, int32_t *index, aim_wishes *want)
{
    const int64_t limit = aim_batch_limit(c);
    int64_t atoms = 0;
    int32_t count = 0;
    double reach = 0.0;
    int wants = 0;
    for (; *next < n; (*next)++) {
        const aimnet_system *s = &systems[*next];
        const aim_note *note = &c->note[*next];
        if (note->wrong || note->periodic != periodic)
            continue;
        if (count > 0 &&
            (atoms + note->places > limit || note->lists || (periodic && differs(reach, c, s))))
            break;
        if (count == 0 && periodic)
            reach = aim_calc_reach(c, s);
        atoms += note->places;
        index[count++] = *next;
        wants |= note->wants;
        if (note->lists) {
            (*next)++;
            break;
        }
    }
    *want = (aim_wishes){.grad = (wants & AIM_WANTS_GRAD) != 0,
                         .strain = (wants & AIM_WANTS_STRAIN) != 0,
                         .hessian = (wants & AIM_WANTS_HESSIAN) != 0,
                         .multipoles = (wants & AIM_WANTS_MULTIPOLES) != 0};
    return count;
}

/* Arrays for a batch in c->flat, and on the device's desk. */
static aim_status make_room(aim_calc *c, size_t n_atoms, int32_t n)
{
    aim_flat *f = &c->flat;
    void *desk = NULL;
    aim_dev_error e = {0};
    if (c->device.ops &&
        c->device.ops->desk(c->device.card, aim_dev_desk_bytes(n_atoms), &desk, &e))
        return aim_device_error(&e);
    aim_arena measure = {0};
    place(f, &measure, n_atoms, (size_t)n, desk);
    AIM_TRY(aim_arena_reserve(&f->arena, &c->alloc, measure.used, "batch"));
    place(f, &f->arena, n_atoms, (size_t)n, desk);
    return AIMNET_OK;
}

void aim_flatten_ahead(aim_calc *c, const aimnet_system *systems, int32_t n)
{
    aim_flat *f = &c->flat;
    int64_t atoms = 0;
    if (!c->device.ops || c->resident || n < 2)
        return;
    for (int32_t k = 0; k < n; k++) {
        const aimnet_system *s = &systems[k];
        if (s->n_atoms <= 0 || s->cell || s->lists || aim_check_allocates(s))
            return;
        atoms += s->n_atoms;
    }
    if (atoms > aim_batch_limit(c) || make_room(c, (size_t)atoms, n) != AIMNET_OK)
        return; /* what is wrong is said when the batch is made */
    int32_t *offset = (int32_t *)f->batch.offset;
    offset[0] = 0;
    for (int32_t k = 0; k < n; k++)
        offset[k + 1] = offset[k] + systems[k].n_atoms;
    f->ahead = n;
}

void aim_flatten_one(aim_calc *c, const aimnet_system *s, int32_t k)
{
    aim_note *note = &c->note[k];
    note->ahead = c->flat.ahead && note->atoms == note->places;
    if (note->ahead)
        fill_system(NULL, &c->flat, s, k, 0);
}

/* Whether the batch stands already: it is all of the call, and no structure or element is otherwise. */
static int stands(aim_calc *c, int32_t n, int same_kinds)
{
    int ready = same_kinds && c->flat.ahead == n && c->noted == n;
    c->flat.ahead = 0;
    for (int32_t k = 0; k < n && ready; k++)
        ready = c->note[k].ahead;
    return ready;
}

aim_status aim_flatten(aim_calc *c, const aimnet_system *systems, const int32_t *index, int32_t n)
{
    aim_flat *f = &c->flat;
    const aim_device_ops *device = c->device.ops;
    size_t n_atoms = 0, n_places = 0;
    for (int32_t k = 0; k < n; k++) {
        n_places += (size_t)c->note[index[k]].places;
        n_atoms += (size_t)c->note[index[k]].atoms;
    }
    if (n_atoms > INT32_MAX / 4)
        return AIM_FAIL(AIMNET_ERR_ARG, "a batch of %zu atoms is too large: at most %d", n_atoms,
                        INT32_MAX / 4);
    const int ready = stands(c, n, device && find_kinds(c, systems, index, n));
    if (!ready)
        AIM_TRY(make_room(c, n_atoms, n));
    f->lists = n == 1 ? systems[index[0]].lists : NULL;
    int32_t atom = 0;
    f->largest = 0;
    for (int32_t k = 0; k < n; k++) {
        const int32_t atoms = c->note[index[k]].atoms;
        f->index[k] = index[k];
        ((int32_t *)f->batch.offset)[k] = atom;
        f->largest = atoms > f->largest ? atoms : f->largest;
        atom += atoms;
    }
    ((int32_t *)f->batch.offset)[n] = atom;
    filling fill = {aim_team_within(c->team, n), f, systems, index, n_places > n_atoms};
    if (!ready)
        aim_each_system(c->team, n, fill_one, &fill);
    f->batch.n_atoms = atom;
    f->batch.n_systems = n;
    f->closes = 0;
    if (device && aim_batch_periodic(&f->batch, 0))
        aim_close_cells(c, f);
    return AIMNET_OK;
}

int aim_is_periodic(const aimnet_system *s)
{
    return s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
}

aim_status aim_run_reserve(aim_calc *c, int32_t n)
{
    if ((size_t)n <= c->index_capacity)
        return AIMNET_OK;
    AIM_TRY(aim_grow(&c->alloc, 0, (size_t)n, sizeof *c->index, "batch index", &c->index));
    AIM_TRY(aim_grow(&c->alloc, 0, (size_t)n, sizeof *c->note, "notes", &c->note));
    c->index_capacity = (size_t)n;
    return AIMNET_OK;
}

int32_t aim_run_length(const aim_calc *c, const aimnet_system *systems, int32_t first, int32_t n,
                       int64_t most)
{
    const int64_t limit = c->options.batch_atoms > 0 ? c->options.batch_atoms : most;
    int64_t atoms = systems[first].n_atoms;
    int32_t k = 1;
    while (first + k < n && !systems[first].lists && !systems[first + k].lists &&
           aim_is_periodic(&systems[first + k]) == aim_is_periodic(&systems[first]) &&
           (atoms += systems[first + k].n_atoms) <= limit)
        k++;
    return k;
}

typedef struct noting {
    aim_calc *c;
    const aimnet_system *systems;
    int32_t first;
} noting;

static void note_one(void *arg, int32_t k)
{
    const noting *x = arg;
    const int32_t at = x->first + k;
    const aimnet_system *s = &x->systems[at];
    const int large = aim_check_allocates(s);
    x->c->index[k] = at;
    x->c->note[at].large = (unsigned char)large;
    if (!large)
        aim_note_system(x->c, s, at);
}

aim_status aim_run_open(aim_calc *c, const aimnet_system *systems, int32_t first, int32_t n)
{
    noting x = {c, systems, first};
    aim_notes_begin(c);
    aim_each_system(c->team, n, note_one, &x);
    for (int32_t k = first; k < first + n; k++)
        if (c->note[k].large) /* whose atoms the threads share */
            aim_note_system(c, &systems[k], k);
    c->noted = n;
    AIM_TRY(aim_flatten(c, systems, c->index, n));
    const int alone = n == 1 && first == 0;
    if (aim_device_sweeps_batch(c) && !c->flat.lists &&
        (alone || !aim_batch_periodic(&c->flat.batch, 0)))
        return AIMNET_OK;
    AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, c->member[0].model->cutoff, 1, &c->pairs));
    for (int32_t s = 0; aim_batch_periodic(&c->flat.batch, 0) && s < n; s++) {
        const aim_status status = aim_check_images(&c->flat.batch, &c->pairs, s);
        if (status != AIMNET_OK)
            return alone ? status : aim_fail_prefix(status, "structure %d", (int)(first + s));
    }
    return AIMNET_OK;
}

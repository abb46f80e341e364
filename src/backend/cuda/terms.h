/* SPDX-License-Identifier: MIT */
/* terms.h - the model Hessian (backend/opt/model.h) by a block of threads. Every atom has a stretch of
 * places for terms: as many as it has pairs, two for every angle (a linear one has two bends) and one
 * for every torsion about bonds to later atoms that its list of neighbours allows. A thread fills
 * places of any atoms, some of them with nothing; then a warp adds what concerns the rows of one atom
 * or strain, in the order of the places. */
#ifndef AIM_BACKEND_CUDA_TERMS_H
#define AIM_BACKEND_CUDA_TERMS_H

#include "backend/cuda/crew.h"

/* The sum of what threads before this one have, and of all. */
static __device__ int crew_before(int mine, int *all)
{
    __shared__ int part[CREW_WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int sum = mine;
    for (int d = 1; d < 32; d <<= 1) {
        const int other = __shfl_up_sync(0xffffffffu, sum, d);
        sum += lane >= d ? other : 0;
    }
    __syncthreads();
    if (lane == 31)
        part[warp] = sum;
    __syncthreads();
    int before = 0;
    *all = 0;
    for (int w = 0; w < (int)blockDim.x / 32; w++) {
        before += w < warp ? part[w] : 0;
        *all += part[w];
    }
    return before + sum - mine;
}

/* ---------------------------------------------------------------- places */

struct crew_found {
    aim_links *links;
    int n_pairs;
};

static __device__ void crew_find_link(void *ctx, const aim_link *l)
{
    crew_found *f = (crew_found *)ctx;
    f->n_pairs += l->rho >= AIM_RHO_BOND;
    aim_collect_link(f->links, l);
}

/* Angles of a list, with two places each. */
static __device__ int crew_angle_places(const aim_links *at)
{
    return at->n * (at->n - 1);
}

static __device__ int crew_torsion_places(const aim_links *links, int32_t j, const aim_link *middle)
{
    return middle->atom > j ? links[j].n * links[middle->atom].n : 0;
}

/* Neighbours of all atoms, and where their terms begin. Returns the number of places. */
static __device__ int crew_find_places(const aim_variables *v, const aim_model_room *room)
{
    for (int i = threadIdx.x; i < v->n_atoms; i += blockDim.x) {
        crew_found f = {room->links + i, 0};
        f.links->n = 0;
        aim_each_link(v, i, crew_find_link, &f);
        room->n_pairs[i] = f.n_pairs;
    }
    __syncthreads();
    int begin = 0;
    for (int base = 0; base < v->n_atoms; base += blockDim.x) {
        const int i = base + threadIdx.x;
        const aim_links *at = room->links + i;
        int all, mine = 0;
        if (i < v->n_atoms) {
            mine = room->n_pairs[i] + crew_angle_places(at);
            for (int a = 0; a < at->n; a++)
                mine += crew_torsion_places(room->links, i, at->item + a);
        }
        const int before = crew_before(mine, &all);
        if (i < v->n_atoms)
            room->first[i] = begin + before;
        begin += all;
    }
    if (threadIdx.x == 0)
        room->first[v->n_atoms] = begin;
    __syncthreads();
    return begin;
}

/* ---------------------------------------------------------------- terms */

/* Angle k of an atom's list: those of neighbour 0 with the later ones, then those of 1, ... */
static __device__ void crew_add_angle(aim_terms *t, int32_t j, const aim_links *at, int k)
{
    int a = 0;
    for (int rest = at->n - 1; k >= rest; k -= rest, rest--)
        a++;
    aim_add_angle(t, j, at->item + a, at->item + a + 1 + k);
}

static __device__ void crew_add_torsion(aim_terms *t, int32_t j, const aim_links *links, int k)
{
    const aim_links *at = links + j;
    int m = 0;
    for (int n; k >= (n = crew_torsion_places(links, j, at->item + m)); k -= n)
        m++;
    const aim_link *middle = at->item + m;
    const aim_links *beyond = links + middle->atom;
    const aim_link *a = at->item + k / beyond->n, *c = beyond->item + k % beyond->n;
    if (aim_is_torsion(a, middle, c))
        aim_add_torsion(t, j, a, middle, c);
}

/* The atom whose stretch a place is in. */
static __device__ int crew_owner(const int32_t *first, int n_atoms, int place)
{
    int low = 0, high = n_atoms;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(first[middle] <= place ? &low : &high) = middle;
    }
    return low;
}

/* What a place keeps of a term: an atom that comes twice (with an image of its own) comes once. */
static __device__ void crew_keep_term(const aim_term *t, aim_term_atoms *atoms,
                                      aim_term_numbers *numbers)
{
    int4 who = {-1, -1, -1, -1};
    int *atom[4] = {&who.x, &who.y, &who.z, &who.w};
#pragma unroll
    for (int a = 0; a < 4; a++) {
        double b[3] = {};
        int first = a < t->n_atoms;
        for (int c = 0; c < a; c++)
            first &= t->atom[c] != t->atom[a];
        for (int c = a; c < t->n_atoms; c++)
            for (int d = 0; d < 3; d++)
                b[d] += t->atom[c] == t->atom[a] ? t->b[c][d] : 0.0;
        if (first)
            *atom[a] = t->atom[a];
        for (int d = 0; d < 3; d++)
            numbers->b[a][d] = b[d];
    }
    *(int4 *)atoms->atom = who;
    for (int s = 0; s < AIM_OPT_MAX_STRAINS; s++)
        numbers->strain[s] = t->strain[s];
    numbers->k = t->k;
}

/* Angles and torsions of places [from, from + count), a thread for each. */
static __device__ void crew_fill_places(const aim_variables *v, const aim_model_room *room,
                                        int from, int count)
{
    aim_terms t;
    t.v = v;
    t.h = NULL;
    for (int place = from + threadIdx.x; place < from + count; place += blockDim.x) {
        const int j = crew_owner(room->first, v->n_atoms, place);
        const aim_links *at = room->links + j;
        const int k = place - room->first[j] - room->n_pairs[j],
                  torsion = k - crew_angle_places(at);
        if (k < 0)
            continue;
        t.atoms = room->atoms + (place - from);
        t.numbers = room->numbers + (place - from);
        *(int4 *)t.atoms->atom = make_int4(-1, -1, -1, -1);
        t.n = torsion < 0 ? place - k % 2 : place;
        t.first = place;
        t.last = place + 1;
        if (torsion < 0)
            crew_add_angle(&t, j, at, k / 2);
        else
            crew_add_torsion(&t, j, room->links, torsion);
    }
}

static __device__ void crew_count_pair(void *ctx, const aim_link *l)
{
    *(int *)ctx += l->rho >= AIM_RHO_BOND;
}

/* Pairs of the same places: a warp for each atom, a lane for each other one. */
static __device__ void crew_fill_pairs(const aim_variables *v, const aim_model_room *room, int from,
                                       int count)
{
    const int lane = threadIdx.x % 32;
    aim_images images;
    aim_terms t;
    t.v = v;
    t.h = NULL;
    t.atoms = room->atoms;
    t.numbers = room->numbers;
    t.first = from;
    t.last = from + count;
    aim_find_images(v, &images);
    for (int i = threadIdx.x / 32; i < v->n_atoms; i += blockDim.x / 32) {
        aim_bonds bonds = {&t, i};
        int at = room->first[i];
        if (at >= t.last || at + room->n_pairs[i] <= from)
            continue;
        for (int base = 0; base < v->n_atoms; base += 32) {
            const int j = base + lane;
            int pairs = 0;
            if (j < v->n_atoms)
                aim_each_image(v, &images, i, j, crew_count_pair, &pairs);
            int sum = pairs;
            for (int d = 1; d < 32; d <<= 1) {
                const int other = __shfl_up_sync(0xffffffffu, sum, d);
                sum += lane >= d ? other : 0;
            }
            t.n = at + sum - pairs;
            if (pairs > 0)
                aim_each_image(v, &images, i, j, aim_add_bond, &bonds);
            at += __shfl_sync(0xffffffffu, sum, 31);
        }
    }
}

/* ---------------------------------------------------------------- rows
 *
 * Lanes of a warp have the numbers of one term, in their order: 12 by the positions of four atoms, then
 * those by the strains. */

enum { CREW_STRAINS = 12 };

struct crew_loaded {
    int4 atoms;
    double b, k;
};

static __device__ crew_loaded crew_load_term(const aim_model_room *room, int n)
{
    const aim_term_numbers *t = room->numbers + n;
    const int lane = min(threadIdx.x % 32, CREW_STRAINS + AIM_OPT_MAX_STRAINS - 1);
    crew_loaded l;
    l.atoms = *(const int4 *)room->atoms[n].atom;
    l.b = t->b[0][lane]; /* strains follow */
    l.k = t->k;
    return l;
}

static __device__ int crew_member(int4 who, int k)
{
    return k == 0 ? who.x : k == 1 ? who.y : k == 2 ? who.z : who.w;
}

/* A term's entries in the rows of an atom, or in the row of a strain: a column for each lane. */
static __device__ void crew_add_term(const aim_variables *v, double *h, const crew_loaded &t,
                                     int owner)
{
    const int lane = threadIdx.x % 32, strain = owner - v->n_atoms, first = 3 * v->n_atoms,
              rows = strain < 0 ? 3 : 1, row = strain < 0 ? 3 * owner : first + strain,
              from = strain >= 0          ? CREW_STRAINS + strain
                     : t.atoms.x == owner ? 0
                     : t.atoms.y == owner ? 3
                     : t.atoms.z == owner ? 6
                                          : 9;
    const int atom = lane < CREW_STRAINS ? crew_member(t.atoms, lane / 3) : 0,
              column = lane < CREW_STRAINS ? 3 * atom + lane % 3 : first + lane - CREW_STRAINS;
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const double left = t.k * __shfl_sync(0xffffffffu, t.b, from + min(d, rows - 1));
        if (d < rows && atom >= 0 && column <= row + d)
            h[(size_t)(row + d) * v->n_var + column] += left * t.b;
    }
    __syncwarp();
}

/* A warp for the rows of an atom or the row of a strain: it looks at 32 places at a time, and adds those
 * that concern it one after the other, four of them on their way together. */
static __device__ void crew_add_terms(const aim_variables *v, double *h, const aim_model_room *room,
                                      int n)
{
    const int lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (int owner = threadIdx.x / 32; owner < v->n_atoms + v->n_strains; owner += warps)
        for (int base = 0; base < n; base += 32) {
            const int4 who = base + lane < n ? *(const int4 *)room->atoms[base + lane].atom
                                             : make_int4(-1, -1, -1, -1);
            const int concerns = owner < v->n_atoms ? who.x == owner || who.y == owner ||
                                                          who.z == owner || who.w == owner
                                                    : who.x >= 0;
            unsigned left = __ballot_sync(0xffffffffu, concerns);
            while (left) {
                enum { EACH = 4 };
                const int count = min(__popc(left), (int)EACH);
                crew_loaded t[EACH];
                int place = base;
#pragma unroll
                for (int k = 0; k < EACH; k++, left &= left - 1) {
                    place = left ? base + __ffs(left) - 1 : place; /* the last one again */
                    t[k] = crew_load_term(room, place);
                }
#pragma unroll
                for (int k = 0; k < EACH; k++)
                    if (k < count)
                        crew_add_term(v, h, t[k], owner);
            }
        }
    __syncthreads();
}

/* The lower triangle of h, as many terms at a time as there is room for. */
static __device__ __noinline__ void crew_model(const aim_variables *v, double *h,
                                               const aim_model_room *room)
{
    const int all = crew_find_places(v, room);
    for (int from = 0; from < all; from += room->n_terms) {
        const int count = min(room->n_terms, all - from);
        crew_fill_places(v, room, from, count);
        crew_fill_pairs(v, room, from, count);
        __syncthreads();
        crew_add_terms(v, h, room, count);
    }
}

#endif

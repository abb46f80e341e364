/* SPDX-License-Identifier: MIT */
/* bench_box.h - what bench_card.cu times on: memory of the card, a periodic box of charged atoms there
 * with its bins and its list of neighbours, and the time that work on it takes.
 *
 * The box is a cubic lattice at the density of water (0.1 atoms/A^3) whose atoms (O, H, H in turns) are
 * displaced by up to 0.3 A; charges are random, within half an elementary charge of zero, and add up
 * to zero. */
#ifndef BENCH_BOX_H
#define BENCH_BOX_H

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "backend/cuda/module.h"

enum { RUNS = 15, CAPACITY = 96 };
static const double DENSITY = 0.1, LIST_CUTOFF = 5.0;

static void check(cudaError_t code)
{
    if (code == cudaSuccess)
        return;
    fprintf(stderr, "bench_card: %s\n", cudaGetErrorString(code));
    exit(1);
}

static std::vector<void *> taken;

/* Gives back what was taken in its scope. */
struct rooms {
    const size_t before = taken.size();
    ~rooms()
    {
        for (; taken.size() > before; taken.pop_back())
            cudaFree(taken.back());
    }
};

template <typename T> static T *on_card(size_t count, const T *from)
{
    T *p;
    check(cudaMalloc(&p, count * sizeof(T)));
    taken.push_back(p);
    check(from ? cudaMemcpy(p, from, count * sizeof(T), cudaMemcpyHostToDevice)
               : cudaMemset(p, 0, count * sizeof(T)));
    return p;
}

template <typename T> static T *room(size_t count)
{
    return on_card<T>(count, NULL);
}

template <typename T> static std::vector<T> on_host(size_t count, const T *from)
{
    std::vector<T> to(count);
    check(cudaMemcpy(to.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost));
    return to;
}

struct box {
    int n, bins;
    double length, *coord, *charge; /* charge: by places */
    int *system, *kind, *offset, *kind_number, *kind_species;
    cu_cells cells;
};

static double uniform(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double *make_charges(int n)
{
    std::vector<double> q(n);
    uint64_t state = 2;
    double mean = 0;
    for (double &x : q)
        mean += (x = uniform(&state) - 0.5) / n;
    for (double &x : q)
        x -= mean;
    return on_card((size_t)n, q.data());
}

static box make_box(int side)
{
    box b = {};
    b.n = side * side * side;
    const double step = cbrt(1.0 / DENSITY), length = b.length = side * step;
    std::vector<double> coord(3 * (size_t)b.n);
    std::vector<int> kind(b.n), zero(b.n, 0);
    uint64_t state = 1;
    for (int i = 0; i < b.n; i++) {
        const int at[3] = {i % side, i / side % side, i / side / side};
        for (int d = 0; d < 3; d++)
            coord[3 * (size_t)i + d] = step * at[d] + 0.6 * uniform(&state) - 0.3;
        kind[i] = i % 3 ? 0 : 1;
    }
    const double cell[9] = {length, 0, 0, 0, length, 0, 0, 0, length};
    const int offset[2] = {0, b.n}, number[2] = {1, 8};
    aim_dev_job job = {};
    job.n_atoms = b.n;
    job.n_systems = job.crystal = 1;
    job.offset = offset;
    job.cell = cell;
    job.cutoff = LIST_CUTOFF;
    cu_grid g;
    cu_fill_grids(&job, &g);
    b.bins = cu_count_bins(&job);
    const size_t n = (size_t)b.n;
    b.coord = on_card(3 * n, coord.data());
    b.charge = make_charges(b.n);
    b.kind = on_card(n, kind.data());
    b.system = on_card(n, zero.data());
    b.offset = on_card(2, offset);
    b.kind_number = on_card(2, number);
    b.kind_species = on_card(2, offset);
    cu_cells *c = &b.cells;
    c->grid = on_card(1, &g);
    c->n = c->end = b.n;
    c->bins = b.bins;
    c->bin = room<int>(n);
    c->groups = cu_most_groups(&job, b.bins);
    c->start = room<int>(3 * (size_t)b.bins + 1);
    c->fill = c->start + b.bins + 1;
    c->most = c->fill + b.bins;
    c->raw = room<int>(n);
    c->order = room<int>(n);
    c->pos = room<double>(3 * n);
    c->axis = room<double>(3 * n);
    c->kind = room<int>(n);
    c->atom_kind = b.kind;
    c->wrapped = room<double>(3 * n);
    c->group_start = room<int>((size_t)b.bins + 1);
    c->group = room<cu_group>(c->groups);
    return b;
}

template <typename F> static double median_ms(F work)
{
    cudaEvent_t from, to;
    check(cudaEventCreate(&from));
    check(cudaEventCreate(&to));
    std::vector<float> ms(RUNS);
    for (int k = -3; k < RUNS; k++) {
        check(cudaEventRecord(from));
        work();
        check(cudaEventRecord(to));
        check(cudaEventSynchronize(to));
        if (k >= 0)
            check(cudaEventElapsedTime(&ms[k], from, to));
    }
    std::sort(ms.begin(), ms.end());
    return ms[RUNS / 2];
}

static void sort(cu_state *s, const box &b)
{
    check(cudaMemsetAsync(b.cells.start, 0, (2 * (size_t)b.bins + 1) * sizeof(int)));
    cu_sort_atoms(s, 0, &b.cells, b.coord, b.system);
}

struct pair_list {
    cu_list list;
    vec4<float> *u;
};

static pair_list make_list(const box &b)
{
    const size_t n = (size_t)b.n;
    cu_list l = {};
    l.n = b.n;
    l.capacity = CAPACITY;
    l.cutoff = LIST_CUTOFF;
    l.coord = b.coord;
    l.offset = b.offset;
    l.system = b.system;
    l.kind = b.cells.kind;
    l.kind_species = b.kind_species;
    l.cells = b.cells;
    l.count = room<int>(n);
    l.j = room<int>(n * CAPACITY);
    l.shift = room<int>(n * CAPACITY);
    l.species = room<int>(n);
    l.longest = room<int>(2);
    l.overlap = l.longest + 1;
    return {l, room<vec4<float>>(n * CAPACITY)};
}

static void sort_and_list(cu_state *s, const box &b, const pair_list &p)
{
    sort(s, b);
    cu_list_build(s, 0, &p.list, p.u);
}

#endif

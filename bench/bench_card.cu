/* SPDX-License-Identifier: MIT */
/* bench_card.cu - the parts of an evaluation on a card that are computed without a network, alone: the
 * neighbour list of 5 A, and DFT-D3 energy and forces within 15 A, of a periodic box at the density of
 * water (0.1 atoms/A^3). Positions are on the card, results stay there; times are those of the card.
 *
 *     bench_card [ATOMS...]
 *
 * The box is a cubic lattice whose atoms (O, H, H in turns) are displaced by up to 0.3 A. Lines:
 *     list ATOMS pairs median_ms                    bins and list
 *     d3 ATOMS energy_eV median_ms difference       bins, energy, forces; largest difference of a
 *                                                   force component from double precision, eV/A */
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "backend/cuda/cuda.h"
extern "C" {
#include "term/term.h"
}

enum { RUNS = 15, CAPACITY = 96 };
static const double DENSITY = 0.1, LIST_CUTOFF = 5.0, D3_CUTOFF = 15.0;

static void check(cudaError_t code)
{
    if (code == cudaSuccess)
        return;
    fprintf(stderr, "bench_card: %s\n", cudaGetErrorString(code));
    exit(1);
}

template <typename T> static T *on_card(size_t count, const T *from)
{
    T *p;
    check(cudaMalloc(&p, count * sizeof(T)));
    check(from ? cudaMemcpy(p, from, count * sizeof(T), cudaMemcpyHostToDevice)
               : cudaMemset(p, 0, count * sizeof(T)));
    return p;
}

template <typename T> static T *room(size_t count)
{
    return on_card<T>(count, NULL);
}

struct box {
    int n, bins;
    double *coord;
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

static box make_box(int side)
{
    box b = {};
    b.n = side * side * side;
    const double step = cbrt(1.0 / DENSITY), length = side * step;
    std::vector<double> coord(3 * (size_t)b.n);
    std::vector<int> kind(b.n), zero(b.n, 0);
    uint64_t state = 1;
    for (int i = 0; i < b.n; i++) {
        const int at[3] = {i % side, i / side % side, i / side / side};
        for (int d = 0; d < 3; d++)
            coord[3 * (size_t)i + d] = step * at[d] + 0.6 * uniform(&state) - 0.3;
        kind[i] = i % 3 ? 0 : 1;
    }
    cu_grid g = {};
    for (int d = 0; d < 3; d++) {
        g.cell[4 * d] = g.height[d] = length;
        g.inverse[4 * d] = 1.0 / length;
        g.n[d] = (int)(length / LIST_CUTOFF);
    }
    g.right = 1;
    g.group = cu_group_size(b.n);
    b.bins = g.n[0] * g.n[1] * g.n[2];
    const int offset[2] = {0, b.n}, number[2] = {1, 8};
    const size_t n = (size_t)b.n;
    b.coord = on_card(3 * n, coord.data());
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
    c->groups = b.bins + b.n / g.group;
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

static void time_list(const box &b)
{
    const size_t n = (size_t)b.n;
    cu_state s = {cudaSuccess, NULL};
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
    vec4<float> *u = room<vec4<float>>(n * CAPACITY);
    const double bins_ms = median_ms([&]() { sort(&s, b); }), ms = median_ms([&]() {
        sort(&s, b);
        cu_list_build(&s, 0, &l, u);
    });
    check(s.code);
    std::vector<int> count(n);
    check(cudaMemcpy(count.data(), l.count, n * sizeof(int), cudaMemcpyDeviceToHost));
    long long pairs = 0;
    for (size_t i = 0; i < n; i++)
        pairs += count[i];
    printf("list %d %lld %.3f (bins %.3f)\n", b.n, pairs, ms, bins_ms);
    cudaFree(l.count), cudaFree(l.j), cudaFree(l.shift), cudaFree(l.species), cudaFree(l.longest);
    cudaFree(u);
}

/* Data of the shipped table on the card. */
static aim_dev_d3_table load_table(void)
{
    aim_d3_table *t;
    const aim_alloc alloc = aim_alloc_default();
    if (aim_d3_table_create(&alloc, &t))
        exit(1);
    aim_dev_d3_table d = {};
    d.n_elements = t->n_elements;
    d.n_refs = t->n_refs;
    d.weight_floor = t->weight_floor;
    d.rcov = on_card(t->n_elements, t->rcov);
    d.r4r2 = on_card(t->n_elements, t->r4r2);
    d.cn = on_card(t->n_refs, t->cn);
    d.c6 = on_card((size_t)t->n_refs * t->n_refs, t->c6);
    d.first = on_card(t->n_elements + 1, t->first);
    aim_d3_table_free(t, &alloc);
    return d;
}

/* Energy and the median time; gradients to `grad`. */
static double run_d3(const box &b, const aim_dev_d3_table &table, int is_double, double *ms,
                     std::vector<double> *grad)
{
    const size_t n = (size_t)b.n, real = is_double ? sizeof(double) : sizeof(float);
    cu_state s = {cudaSuccess, NULL};
    cu_terms t = {};
    t.n = b.n;
    t.kinds = 2;
    t.offset = b.offset;
    t.system = b.system;
    t.kind = b.cells.kind;
    t.kind_number = b.kind_number;
    t.coord = b.cells.pos;
    t.is_double = is_double;
    t.want_grad = t.d3_ran = t.through_cn = 1;
    t.cells = b.cells;
    t.e = room<double>(3 * n);
    t.grad = room<double>(3 * n);
    t.gq = room<double>(n);
    t.d3 = table;
    t.s6 = 1.0, t.s8 = 0.3908, t.a1 = 0.566, t.a2 = 3.128;
    t.cutoff = t.reach = D3_CUTOFF;
    t.smoothing = 0.2;
    t.w = room<char>(n * CU_D3_ROW * real);
    t.dw = room<char>(n * CU_D3_ROW * real);
    t.s = room<char>(n * CU_D3_ROW * real);
    t.low = room<char>(n * real);
    t.cn_grad = room<char>(n * real);
    t.grad_side = room<double>(3 * n);
    cu_terms_prepare(&s);
    *ms = median_ms([&]() {
        sort(&s, b);
        cu_d3(&s, 0, &t);
        cu_pair_terms(&s, 0, &t);
    });
    check(s.code);
    std::vector<double> e(n);
    check(cudaMemcpy(e.data(), t.e + 2 * n, n * sizeof(double), cudaMemcpyDeviceToHost));
    grad->resize(3 * n);
    check(cudaMemcpy(grad->data(), t.grad, 3 * n * sizeof(double), cudaMemcpyDeviceToHost));
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += e[i];
    cudaFree(t.e), cudaFree(t.grad), cudaFree(t.gq), cudaFree(t.w), cudaFree(t.dw), cudaFree(t.s);
    cudaFree(t.low), cudaFree(t.cn_grad), cudaFree(t.grad_side);
    return sum;
}

int main(int argc, char **argv)
{
    const aim_dev_d3_table table = load_table();
    std::vector<int> atoms;
    for (int k = 1; k < argc; k++)
        atoms.push_back(atoi(argv[k]));
    if (atoms.empty())
        atoms = {82944, 1000000};
    for (int n : atoms) {
        const box b = make_box((int)lround(cbrt((double)n)));
        time_list(b);
        std::vector<double> grad, exact;
        double ms, exact_ms, worst = 0;
        const double energy = run_d3(b, table, 0, &ms, &grad),
                     reference = run_d3(b, table, 1, &exact_ms, &exact);
        for (size_t k = 0; k < grad.size(); k++)
            worst = std::max(worst, fabs(grad[k] - exact[k]));
        printf("d3 %d %.9f %.3f %.2e (double: %.9f %.3f)\n", b.n, energy, ms, worst, reference,
               exact_ms);
        fflush(stdout);
    }
    return 0;
}

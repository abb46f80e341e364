/* SPDX-License-Identifier: MIT */
/* test_arrays.cu - evaluations and neighbour lists between arrays of a CUDA program, in its stream:
 * they are those of the host to the bit, for every kind of cell, batch and method; what is wrong is
 * said in a sentence and costs no other structure anything. Arguments: "times" measures as well; "lists"
 * stops after the lists. */
#include <chrono>
#include <cuda.h>
#include <thread>

#include "arrays_lists.h"

/* ---------------------------------------------------------------- evaluations */

/* Water molecules on a grid, each turned a little differently. */
static void add_waters(int n, std::vector<double> *coord, std::vector<int32_t> *numbers)
{
    static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};
    for (int m = 0; m < n * n * n; m++) {
        const double c = cos(0.7 * m), s = sin(0.7 * m);
        for (int a = 0; a < 3; a++) {
            coord->push_back(3.1 * (m % n) + c * water[3 * a] - s * water[3 * a + 1]);
            coord->push_back(3.1 * (m / n % n) + s * water[3 * a] + c * water[3 * a + 1]);
            coord->push_back(3.1 * (m / n / n));
            numbers->push_back(a == 0 ? 8 : 1);
        }
    }
}

struct batch {
    atoms_on_host a;
    std::vector<int32_t> numbers;
    std::vector<double> charge;
};

static batch boxes(int n, int with_cell)
{
    batch b;
    add_waters(n, &b.a.coord, &b.numbers);
    if (with_cell)
        b.a.cell = {3.1 * n, 0, 0, 0, 3.1 * n, 0, 0, 0, 3.1 * n};
    return b;
}

/* Waters alone and in clusters; hydroxide. */
static batch molecules(void)
{
    batch b;
    const int sizes[4] = {1, 2, 1, 3};
    for (int s = 0; s < 4; s++) {
        add_waters(sizes[s], &b.a.coord, &b.numbers);
        b.a.mol_idx.resize(b.numbers.size(), s);
        b.charge.push_back(0.0);
    }
    b.a.coord.insert(b.a.coord.end(), {0, 0, 0, 0.97, 0, 0.01});
    b.numbers.insert(b.numbers.end(), {8, 1});
    b.a.mol_idx.resize(b.numbers.size(), 4);
    b.charge.push_back(-1.0);
    b.a.n_systems = 5;
    return b;
}

struct numbers_out {
    std::vector<double> energy, forces, charges, stress;
    std::vector<aimnet_status> status;
    aimnet_status all;
};

static std::vector<int> starts_of(const batch &b)
{
    const int n = (int)b.numbers.size();
    std::vector<int> first(1, 0);
    for (int i = 1; i < n && !b.a.mol_idx.empty(); i++)
        if (b.a.mol_idx[i] != b.a.mol_idx[i - 1])
            first.push_back(i);
    for (int s = 1; s < b.a.n_systems && b.a.mol_idx.empty(); s++)
        first.push_back(s * (n / b.a.n_systems));
    first.push_back(n);
    return first;
}

static numbers_out eval_on_host(aimnet_calc *calc, const batch &b, int stress)
{
    const std::vector<int> first = starts_of(b);
    const size_t n = b.numbers.size(), systems = first.size() - 1;
    numbers_out out = {std::vector<double>(systems), std::vector<double>(3 * n),
                       std::vector<double>(n), std::vector<double>(9 * systems), {}, AIMNET_OK};
    std::vector<aimnet_system> s(systems);
    std::vector<aimnet_result> r(systems);
    for (size_t k = 0; k < systems; k++) {
        s[k] = aimnet_system{};
        s[k].n_atoms = first[k + 1] - first[k];
        s[k].numbers = b.numbers.data() + first[k];
        s[k].coord = b.a.coord.data() + 3 * first[k];
        if (!b.a.cell.empty())
            s[k].cell = b.a.cell.data() + (b.a.cell.size() > 9 ? 9 * k : 0);
        for (int d = 0; d < 3; d++)
            s[k].pbc[d] = b.a.pbc.empty() || b.a.pbc[d];
        s[k].charge = b.charge.empty() ? 0.0 : b.charge[k];
        r[k] = aimnet_result{};
        r[k].forces = out.forces.data() + 3 * first[k];
        r[k].charges = out.charges.data() + first[k];
        r[k].stress = stress ? out.stress.data() + 9 * k : NULL;
    }
    out.all = aimnet_calc_eval(calc, s.data(), (int)systems, r.data());
    for (size_t k = 0; k < systems; k++) {
        out.energy[k] = r[k].energy;
        out.status.push_back(r[k].status);
    }
    return out;
}

struct buffers {
    card_array<double> coord, energy, forces, charges, stress;
    card_array<int32_t> numbers, mol_idx;
    aimnet_cuda_systems in = {};
    aimnet_cuda_results out = {};
    std::vector<aimnet_result> info;
    buffers(const batch &b, int stress_wanted)
        : coord(b.a.coord), energy((size_t)b.a.n_systems), forces(b.a.coord.size()),
          charges(b.numbers.size()), stress(9 * (size_t)b.a.n_systems), numbers(b.numbers),
          mol_idx(b.a.mol_idx), info((size_t)b.a.n_systems)
    {
        in.atoms = b.a.view();
        in.atoms.coord = coord.at;
        in.numbers = b.numbers.data();
        in.charge = b.charge.empty() ? NULL : b.charge.data();
        out.energy = energy.at;
        out.forces = forces.at;
        out.charges = charges.at;
        out.stress = stress_wanted ? stress.at : NULL;
        out.info = info.data();
    }
};

static int agrees(const buffers &f, const numbers_out &want, int stress)
{
    return same(f.energy.fetch(), want.energy) && same(f.forces.fetch(), want.forces) &&
           same(f.charges.fetch(), want.charges) &&
           (!stress || same(f.stress.fetch(), want.stress));
}

/* Which numbers differ, and by how much. */
static void explain(const buffers &f, const numbers_out &want, int run)
{
    const std::vector<double> got[3] = {f.energy.fetch(), f.forces.fetch(), f.charges.fetch()};
    const std::vector<double> *of[3] = {&want.energy, &want.forces, &want.charges};
    static const char *const name[3] = {"energy", "forces", "charges"};
    printf("      run %d, status of the host %d: %s\n", run, (int)want.all, f.info[0].message);
    for (int q = 0; q < 3; q++)
        for (size_t k = 0; k < got[q].size(); k++)
            if (memcmp(&got[q][k], &(*of[q])[k], sizeof(double)) != 0) {
                printf("      %s[%zu]: %.17g, of the host %.17g\n", name[q], k, got[q][k],
                       (*of[q])[k]);
                break;
            }
}

static aimnet_calc *open_calc(aimnet_model *const *models, int n, aimnet_coulomb method,
                              aimnet_precision precision)
{
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc = NULL;
    o.device = "cuda";
    o.coulomb = method;
    o.precision = precision;
    if (aimnet_calc_create(models, n, &o, &calc) != AIMNET_OK) {
        check(0, "a calculator");
        exit(1);
    }
    return calc;
}

static void compare_eval(aimnet_calc *calc, const char *name, const batch &b, int stress,
                         cudaStream_t stream)
{
    const numbers_out want = eval_on_host(calc, b, stress);
    buffers f(b, stress);
    int good = want.all == AIMNET_OK;
    for (int run = 0; run < 4 && good; run++) { /* the second is recorded as a graph */
        cudaMemset(f.forces.at, 0x7f, f.forces.n * sizeof(double));
        cudaMemset(f.energy.at, 0x7f, f.energy.n * sizeof(double));
        cudaDeviceSynchronize();
        good = aimnet_cuda_eval(calc, &f.in, &f.out, stream) == AIMNET_OK &&
               agrees(f, want, stress) && f.info[0].status == AIMNET_OK;
        if (!good)
            explain(f, want, run);
    }
    check(good, name);
    f.in.numbers = f.numbers.at;
    f.in.atoms.mol_idx = b.a.mol_idx.empty() ? NULL : f.mol_idx.at;
    f.out.info = NULL;
    f.out.forces = NULL;
    check(aimnet_cuda_eval(calc, &f.in, &f.out, stream) == AIMNET_OK &&
              (stress || same(f.energy.fetch(), want.energy)),
          "  described by arrays of the card, without forces");
}

__global__ void move_late(int n, const double *from, double *to)
{
    const long long start = clock64();
    while (clock64() - start < 20000000)
        ;
    for (int k = threadIdx.x; k < n; k += blockDim.x)
        to[k] = from[k];
}

/* Positions that a kernel of the stream has yet to write are the ones that count. */
static void streams(aimnet_calc *calc)
{
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    const batch b = boxes(2, 0);
    const numbers_out want = eval_on_host(calc, b, 0);
    buffers f(b, 0);
    card_array<double> moved(std::vector<double>(b.a.coord.size(), 1.0));
    f.in.atoms.coord = moved.at;
    move_late<<<1, 64, 0, stream>>>((int)b.a.coord.size(), f.coord.at, moved.at);
    check(aimnet_cuda_eval(calc, &f.in, &f.out, stream) == AIMNET_OK && agrees(f, want, 0),
          "an evaluation comes after what stands in the stream");
    cudaGraph_t graph = NULL;
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    check(says(aimnet_cuda_eval(calc, &f.in, &f.out, stream), AIMNET_ERR_ARG, "captured"),
          "a stream that is being captured is refused");
    check(cudaStreamEndCapture(stream, &graph) == cudaSuccess, "and the capture goes on");
    if (graph)
        cudaGraphDestroy(graph);
    check(aimnet_cuda_eval(calc, &f.in, &f.out, stream) == AIMNET_OK && agrees(f, want, 0),
          "and works afterwards");
    cudaStreamDestroy(stream);
}

static void single_positions(aimnet_calc *calc)
{
    batch b = boxes(3, 0);
    std::vector<float> single(b.a.coord.begin(), b.a.coord.end());
    b.a.coord.assign(single.begin(), single.end());
    const numbers_out want = eval_on_host(calc, b, 0);
    buffers f(b, 0);
    const card_array<float> coord(single);
    f.in.atoms.coord = NULL;
    f.in.coord_single = coord.at;
    check(aimnet_cuda_eval(calc, &f.in, &f.out, NULL) == AIMNET_OK && agrees(f, want, 0),
          "positions in single precision");
}

/* Two molecules of different size as rows of one array: what is missing has the number 0. */
static void padding(aimnet_calc *calc)
{
    batch b;
    b.a.n_systems = 2;
    b.a.coord = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0, 0, 0, 0, 0.74, 0, 0, NAN, 5, 5};
    b.numbers = {8, 1, 1, 1, 1, 0};
    const numbers_out want = eval_on_host(calc, b, 0);
    buffers f(b, 0);
    check(want.all == AIMNET_OK && aimnet_cuda_eval(calc, &f.in, &f.out, NULL) == AIMNET_OK &&
              agrees(f, want, 0),
          "padding has zero results");
}

static void one_is_wrong(aimnet_calc *calc, const char *name, const batch &good, const batch &b,
                         int which, const char *part)
{
    const numbers_out want = eval_on_host(calc, good, 0);
    const std::vector<int> first = starts_of(b);
    buffers f(b, 0);
    const aimnet_status status = aimnet_cuda_eval(calc, &f.in, &f.out, NULL);
    const std::vector<double> energy = f.energy.fetch(), forces = f.forces.fetch();
    int fine = status == AIMNET_ERR_SOME_FAILED && strstr(f.info[which].message, part) != NULL;
    for (int s = 0; s < b.a.n_systems; s++) {
        fine &= (f.info[s].status == AIMNET_OK) == (s != which);
        fine &= s == which || (energy[s] == want.energy[s] &&
                               memcmp(&forces[3 * first[s]], &want.forces[3 * first[s]],
                                      3 * sizeof(double) * (first[s + 1] - first[s])) == 0);
    }
    if (!fine)
        printf("      %d: %s\n", (int)status, f.info[which].message);
    check(fine, name);
}

static void wrong_structures(aimnet_calc *calc)
{
    const batch good = molecules();
    batch b = good;
    b.a.coord[7] = NAN;
    one_is_wrong(calc, "a position that is no number costs one structure", good, b, 0,
                 "not finite");
    b = good;
    for (int d = 0; d < 3; d++)
        b.a.coord[3 * 5 + d] = b.a.coord[3 * 6 + d] + 0.001;
    one_is_wrong(calc, "overlapping atoms cost one structure", good, b, 1, "overlap");
    b = good;
    b.numbers[0] = 92;
    one_is_wrong(calc, "an unknown element costs one structure", good, b, 0, "does not support");
    b = good;
    b.charge[4] = 1e6;
    one_is_wrong(calc, "an impossible charge costs one structure", good, b, 4, "impossible");
}

static void hostile_eval(aimnet_calc *calc, aimnet_calc *cpu)
{
    const batch b = molecules();
    buffers f(b, 0);
    check(says(aimnet_cuda_eval(cpu, &f.in, &f.out, NULL), AIMNET_ERR_ARG, "on the CPU"),
          "a calculator of the CPU");
    check(says(aimnet_cuda_eval(NULL, &f.in, &f.out, NULL), AIMNET_ERR_ARG, "calc is NULL") &&
              says(aimnet_cuda_eval(calc, NULL, &f.out, NULL), AIMNET_ERR_ARG,
                   "systems is NULL") &&
              says(aimnet_cuda_eval(calc, &f.in, NULL, NULL), AIMNET_ERR_ARG, "results is NULL"),
          "no arguments");
    aimnet_cuda_systems in = f.in;
    in.atoms.coord = b.a.coord.data();
    check(says(aimnet_cuda_eval(calc, &in, &f.out, NULL), AIMNET_ERR_ARG,
               "coord is memory of the host"),
          "positions of the host");
    in.atoms.coord = NULL;
    check(says(aimnet_cuda_eval(calc, &in, &f.out, NULL), AIMNET_ERR_ARG, "coord is NULL"),
          "no positions");
    in = f.in;
    in.numbers = NULL;
    check(says(aimnet_cuda_eval(calc, &in, &f.out, NULL), AIMNET_ERR_ARG, "numbers is NULL"),
          "no numbers");
    std::vector<double> host(b.a.coord.size());
    aimnet_cuda_results out = f.out;
    out.forces = host.data();
    check(says(aimnet_cuda_eval(calc, &f.in, &out, NULL), AIMNET_ERR_ARG,
               "forces is memory of the host"),
          "forces of the host");
    out = f.out;
    card_array<double> little(1);
    in = f.in;
    in.atoms.n_atoms = 100000000;
    check(says(aimnet_cuda_eval(calc, &in, &out, NULL), AIMNET_ERR_ARG, "are needed"),
          "arrays that are too short");
    in.atoms.n_atoms = -1;
    check(says(aimnet_cuda_eval(calc, &in, &out, NULL), AIMNET_ERR_ARG, "-1 atoms"),
          "a negative number of atoms");
    in = f.in;
    std::vector<int32_t> wrong = b.a.mol_idx;
    wrong[3] = 9;
    in.atoms.mol_idx = wrong.data();
    check(says(aimnet_cuda_eval(calc, &in, &out, NULL), AIMNET_ERR_ARG, "mol_idx[3] is 9"),
          "an index that jumps");
    out.stress = f.stress.at;
    check(says(aimnet_cuda_eval(calc, &f.in, &out, NULL), AIMNET_ERR_SOME_FAILED, "failed") &&
              strstr(f.info[0].message, "stress"),
          "stress of molecules");
    int count = 0;
    cudaGetDeviceCount(&count);
    if (count > 1) {
        cudaSetDevice(1);
        card_array<double> other(b.a.coord);
        in = f.in;
        in.atoms.coord = other.at;
        check(says(aimnet_cuda_eval(calc, &in, &f.out, NULL), AIMNET_ERR_ARG, "memory of GPU 1"),
              "memory of another card");
        int current = 0;
        cudaGetDevice(&current);
        check(current == 1, "the current card stays current");
        cudaSetDevice(0);
    }
    check(aimnet_cuda_eval(calc, &f.in, &f.out, NULL) == AIMNET_OK, "and the calculator goes on");
}

static void evaluations(cudaStream_t stream)
{
    aimnet_model *model = NULL;
    check(aimnet_model_load(NULL, NULL, &model) == AIMNET_OK, "the model");
    aimnet_calc *calc = open_calc(&model, 1, AIMNET_COULOMB_SIMPLE, AIMNET_SINGLE);
    compare_eval(calc, "molecules", molecules(), 0, stream);
    compare_eval(calc, "a cluster", boxes(6, 0), 0, stream);
    compare_eval(calc, "a box, simple made DSF", boxes(4, 1), 1, stream);
    batch slab = boxes(3, 1);
    slab.a.cell[8] = 30.0;
    slab.a.pbc = {1, 1, 0};
    compare_eval(calc, "a slab, by way of the host", slab, 0, stream);
    streams(calc);
    single_positions(calc);
    padding(calc);
    wrong_structures(calc);
    aimnet_calc *cpu = NULL;
    check(aimnet_calc_create(&model, 1, NULL, &cpu) == AIMNET_OK, "a calculator of the CPU");
    hostile_eval(calc, cpu);
    aimnet_calc_free(cpu);
    aimnet_calc_free(calc);
    const struct {
        const char *name;
        aimnet_coulomb method;
        aimnet_precision precision;
    } of[] = {{"DSF", AIMNET_COULOMB_DSF, AIMNET_SINGLE},
              {"Ewald", AIMNET_COULOMB_EWALD, AIMNET_SINGLE},
              {"PME", AIMNET_COULOMB_PME, AIMNET_SINGLE},
              {"PME, double precision", AIMNET_COULOMB_PME, AIMNET_DOUBLE}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        calc = open_calc(&model, 1, of[k].method, of[k].precision);
        compare_eval(calc, of[k].name, boxes(4, 1), 1, stream);
        aimnet_calc_free(calc);
    }
    aimnet_model *const three[3] = {model, model, model};
    calc = open_calc(three, 3, AIMNET_COULOMB_DSF, AIMNET_DOUBLE);
    compare_eval(calc, "an ensemble, a box", boxes(3, 1), 1, stream);
    compare_eval(calc, "an ensemble, molecules", molecules(), 0, stream);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* ---------------------------------------------------------------- whose card is current */

static CUcontext current_context(void)
{
    typedef CUresult get_fn(CUcontext *);
    void *get = NULL;
    CUcontext context = NULL;
    cudaDriverEntryPointQueryResult what;
    check(cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", &get, 12000, cudaEnableDefault,
                                           &what) == cudaSuccess,
          "the driver");
    ((get_fn *)get)(&context);
    return context;
}

/* All that calculators of a card and its arrays do, in a thread that has no card. */
static void work_on(int card, std::vector<double> *forces)
{
    char device[16];
    snprintf(device, sizeof device, "cuda:%d", card);
    const batch b = boxes(4, 1);
    aimnet_cuda_card about;
    void *block = NULL;
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_options o = aimnet_options_default();
    o.device = device;
    o.coulomb = AIMNET_COULOMB_PME;
    forces->assign(b.a.coord.size(), 0.0);
    const aimnet_system s = {.n_atoms = (int32_t)b.a.coord.size() / 3,
                             .numbers = b.numbers.data(),
                             .coord = b.a.coord.data(),
                             .cell = b.a.cell.data(),
                             .pbc = {1, 1, 1}};
    aimnet_result r = {};
    r.forces = forces->data();
    check(aimnet_cuda_get_card(card, &about) == AIMNET_OK && !current_context(),
          "a thread without a card looks at one and has none");
    check(aimnet_cuda_alloc(card, 64, &block) == AIMNET_OK, "memory in a thread without a card");
    check(aimnet_model_load(NULL, NULL, &model) == AIMNET_OK &&
              aimnet_calc_create(&model, 1, &o, &calc) == AIMNET_OK,
          "a calculator in a thread without a card");
    for (int run = 0; run < 3; run++)
        check(aimnet_calc_eval(calc, &s, 1, &r) == AIMNET_OK, "an evaluation there");
    int now = -1;
    check(!current_context() && cudaGetDevice(&now) == cudaSuccess && now == 0,
          "the thread still has none");
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    aimnet_cuda_free(card, block);
    check(!current_context(), "nor has it afterwards");
}

static void threads_keep_their_card(void)
{
    int count = 0;
    std::vector<double> forces[2];
    cudaGetDeviceCount(&count);
    count = count > 2 ? 2 : count;
    const CUcontext mine = current_context();
    std::vector<std::thread> threads;
    for (int card = 0; card < count; card++)
        threads.emplace_back(work_on, card, &forces[card]);
    for (std::thread &t : threads)
        t.join();
    check(current_context() == mine, "and this one has its own");
    if (count == 2)
        check(forces[0] == forces[1], "two cards at the same time, the same bits");
}

/* ---------------------------------------------------------------- memory, times */

static void memory(void)
{
    void *block = NULL;
    const double in[3] = {1, 2, 3};
    double out[3] = {0, 0, 0};
    check(aimnet_cuda_alloc(0, sizeof in, &block) == AIMNET_OK &&
              aimnet_cuda_copy(0, block, in, sizeof in, NULL) == AIMNET_OK &&
              aimnet_cuda_copy(0, out, block, sizeof out, NULL) == AIMNET_OK &&
              memcmp(in, out, sizeof in) == 0,
          "memory is taken and copied");
    check(says(aimnet_cuda_copy(0, block, in, (size_t)1 << 40, NULL), AIMNET_ERR_ARG,
               "are needed"),
          "a copy that is too long");
    check(says(aimnet_cuda_copy(0, NULL, in, 8, NULL), AIMNET_ERR_ARG, "to is NULL"),
          "a copy to nowhere");
    aimnet_cuda_free(0, block);
    aimnet_cuda_free(0, NULL);
    check(says(aimnet_cuda_alloc(0, (size_t)1 << 50, &block), AIMNET_ERR_MEMORY, "no memory left") &&
              !block,
          "more memory than there is");
    check(says(aimnet_cuda_alloc(77, 8, &block), AIMNET_ERR_DEVICE, "does not exist"),
          "memory of a card that is not there");
}

template <typename F> static double median_ms(int runs, F f)
{
    std::vector<double> t;
    for (int k = 0; k < runs + 3; k++) {
        const auto start = std::chrono::steady_clock::now();
        f();
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - start;
        if (k >= 3)
            t.push_back(took.count());
    }
    for (size_t k = 1; k < t.size(); k++)
        for (size_t m = k; m > 0 && t[m] < t[m - 1]; m--) {
            const double x = t[m];
            t[m] = t[m - 1];
            t[m - 1] = x;
        }
    return t[t.size() / 2];
}

static void times(void)
{
    atoms_on_host h = gas(1000000, pow(1e7, 1.0 / 3));
    const double side = pow(1e7, 1.0 / 3);
    h.cell = {side, 0, 0, 0, side, 0, 0, 0, side};
    const card_array<double> coord(h.coord);
    for (int cell = 1; cell >= 0; cell--) {
        aimnet_atoms a = h.view();
        a.coord = coord.at;
        a.n_cells = cell;
        aimnet_cuda_nlist *list = NULL;
        int32_t width = 16;
        card_array<int32_t> nbmat(1000001 * (size_t)112), shifts(3 * 1000001 * (size_t)112);
        check(aimnet_cuda_nlist_create(0, &list) == AIMNET_OK &&
                  aimnet_cuda_nlist_build(list, &a, 5.0, 112, nbmat.at, shifts.at, NULL, &width,
                                          NULL) == AIMNET_OK,
              "a list of a million atoms");
        const double with = median_ms(20, [&] {
            (void)!aimnet_cuda_nlist_build(list, &a, 5.0, 112, nbmat.at, shifts.at, NULL, NULL,
                                           NULL);
        });
        const double without = median_ms(20, [&] {
            (void)!aimnet_cuda_nlist_build(list, &a, 5.0, 112, nbmat.at, NULL, NULL, NULL, NULL);
        });
        printf("times: list, 10^6 atoms, 5 A, %s, width %d: %.3f ms with shifts, %.3f without\n",
               cell ? "crystal" : "open", (int)width, with, without);
        aimnet_cuda_nlist_free(list);
    }
    aimnet_model *model = NULL;
    if (aimnet_model_load(NULL, NULL, &model))
        return;
    const struct {
        const char *name;
        batch b;
    } of[] = {{"3 atoms", boxes(1, 0)}, {"24 atoms", boxes(2, 0)}, {"1,029 atoms", boxes(7, 0)},
              {"box of 648", boxes(6, 1)}, {"box of 81,000", boxes(30, 1)}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        aimnet_calc *calc = open_calc(&model, 1, AIMNET_COULOMB_DSF, AIMNET_SINGLE);
        buffers f(of[k].b, 0);
        f.out.info = NULL;
        const double card = median_ms(20, [&] {
            (void)!aimnet_cuda_eval(calc, &f.in, &f.out, NULL);
        });
        const double host = median_ms(20, [&] { eval_on_host(calc, of[k].b, 0); });
        printf("times: E + F, %s: %.3f ms between arrays of the card, %.3f ms of the host\n",
               of[k].name, card, host);
        aimnet_calc_free(calc);
    }
    aimnet_model_free(model);
}

int main(int argc, char **argv)
{
    cudaStream_t stream;
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    lists(stream);
    lists(NULL);
    if (strcmp(what, "lists") != 0) {
        memory();
        hostile_lists();
        evaluations(stream);
        threads_keep_their_card();
    }
    if (strcmp(what, "times") == 0)
        times();
    check(cudaDeviceSynchronize() == cudaSuccess && cudaGetLastError() == cudaSuccess,
          "no error is left behind");
    return failed;
}

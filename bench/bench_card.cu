/* SPDX-License-Identifier: MIT */
/* bench_card.cu - the parts of an evaluation on a card that are computed without a network, alone: the
 * neighbour list of 5 A, and energy and forces of DFT-D3 within 15 A, of charges by PME to 1e-6 and by
 * damped shifted forces within 15 A, of a periodic box at the density of water.
 * Positions are on the card, results stay there; times are those of the card.
 *
 *     bench_card [ATOMS...]
 *
 * The box is that of bench_box.h. Lines:
 *     list ATOMS pairs median_ms                    bins and list
 *     d3 ATOMS energy_eV median_ms difference       bins, energy, forces; largest difference of a
 *                                                   force component from double precision, eV/A
 *     dsf ATOMS energy_eV median_ms difference      bins, list (close pairs go over it), energy, forces;
 *                                                   the difference likewise
 *     pme ATOMS energy_eV median_ms difference      the same with the mesh; the difference is that from
 *                                                   an Ewald sum to 1e-12 in double precision */
#include "backend/cuda/module.h"
#include "backend/cuda/waves.h"
#include "bench_box.h"
extern "C" {
#include "term/term.h"
}

static const double D3_CUTOFF = 15.0, DSF_CUTOFF = 15.0, DSF_ALPHA = 0.2, PME_ACCURACY = 1e-6,
                    EWALD_ACCURACY = 1e-12, EWALD_CUTOFF = 30.0;

static void time_list(const box &b)
{
    const rooms scope;
    const pair_list p = make_list(b);
    cu_state s = {cudaSuccess, NULL};
    const double bins_ms = median_ms([&]() { sort(&s, b); }),
                 ms = median_ms([&]() { sort_and_list(&s, b, p); });
    check(s.code);
    long long pairs = 0;
    for (int count : on_host((size_t)b.n, p.list.count))
        pairs += count;
    if (!pairs) {
        fprintf(stderr, "bench_card: a box of %d atoms without neighbours\n", b.n);
        exit(1);
    }
    printf("list %d %lld %.3f (bins %.3f)\n", b.n, pairs, ms, bins_ms);
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

struct result {
    double energy, ms, mesh_ms;
    std::vector<double> grad;
};

/* What the kernels have left of a term whose energies by atom are at `e`. */
static result collect(const cu_terms &t, const double *e, double ms)
{
    result r = {0, ms, 0, on_host(3 * (size_t)t.n, t.grad)};
    for (double atom : on_host((size_t)t.n, e))
        r.energy += atom;
    return r;
}

static void print(const char *what, const result &r, const char *other, const result &exact)
{
    double worst = 0;
    for (size_t k = 0; k < r.grad.size(); k++)
        worst = std::max(worst, fabs(r.grad[k] - exact.grad[k]));
    printf("%s %d %.9f %.3f %.2e (%s: %.9f", what, (int)(r.grad.size() / 3), r.energy, r.ms, worst,
           other, exact.energy);
    if (exact.ms > 0)
        printf(" %.3f", exact.ms);
}

static cu_terms make_terms(const box &b, int is_double)
{
    const size_t n = (size_t)b.n;
    cu_terms t = {};
    t.n = b.n;
    t.kinds = 2;
    t.offset = b.offset;
    t.system = b.system;
    t.kind = b.cells.kind;
    t.kind_number = b.kind_number;
    t.coord = b.cells.pos;
    t.is_double = is_double;
    t.want_grad = 1;
    t.cells = b.cells;
    t.e = room<double>(3 * n);
    t.grad = room<double>(3 * n);
    t.gq = room<double>(n);
    return t;
}

static result run_d3(const box &b, const aim_dev_d3_table &table, int is_double)
{
    const rooms scope;
    const size_t n = (size_t)b.n, real = is_double ? sizeof(double) : sizeof(float);
    cu_state s = {cudaSuccess, NULL};
    cu_terms t = make_terms(b, is_double);
    t.d3_ran = t.through_cn = 1;
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
    const double ms = median_ms([&]() {
        sort(&s, b);
        cu_d3(&s, 0, &t);
        cu_pair_terms(&s, 0, &t);
    });
    check(s.code);
    return collect(t, t.e + 2 * n, ms);
}

/* Energies of charges: damped shifted forces, or with waves PME or an Ewald sum. */
static result run_charges(const box &b, const aim_dev_waves *waves, int is_double, int timed)
{
    const rooms scope;
    const int32_t offset[2] = {0, b.n};
    cu_state s = {cudaSuccess, NULL};
    const pair_list p = make_list(b);
    cu_terms t = make_terms(b, is_double);
    t.q = b.charge;
    t.count = p.list.count;
    t.j = p.list.j;
    t.shift = p.list.shift;
    t.capacity = CAPACITY;
    t.list_cutoff = LIST_CUTOFF;
    t.coulomb = waves ? AIM_DEV_COULOMB_WAVES : AIM_DEV_COULOMB_DSF;
    t.rc = DSF_CUTOFF;
    t.alpha = DSF_ALPHA;
    aim_dev_job job = {};
    job.n_atoms = b.n;
    job.n_systems = 1;
    job.offset = offset;
    job.waves = waves;
    char *space = room<char>(cu_waves_bytes(&job));
    if (waves) {
        aim_dsf screening;
        cu_fill_screening(&job, &screening);
        t.screening = on_card(1, &screening);
        cu_fft_prepare(&s);
    }
    auto mesh = [&]() {
        if (waves)
            cu_waves(&s, 0, &job, &t, space);
    };
    auto work = [&]() {
        sort_and_list(&s, b, p);
        cu_pair_terms(&s, 0, &t);
        mesh();
    };
    const double ms = timed ? median_ms(work) : 0, mesh_ms = timed ? median_ms(mesh) : 0;
    work(); /* the mesh alone has added to what was there */
    check(s.code);
    result r = collect(t, t.e, ms);
    r.mesh_ms = mesh_ms;
    return r;
}

static aim_dev_waves pme_of(const box &b)
{
    const double cell[9] = {b.length, 0, 0, 0, b.length, 0, 0, 0, b.length};
    const aim_pme_params p = aim_pme_choose(cell, b.n, PME_ACCURACY);
    aim_dev_waves w = {};
    w.alpha = p.alpha;
    w.real_cutoff = p.real_cutoff;
    w.order = p.order;
    std::copy(p.mesh, p.mesh + 3, w.mesh);
    std::copy(p.frame, p.frame + 9, w.frame);
    return w;
}

/* With more pairs and fewer waves than the product's own: pairs are what a card is fast at. */
static aim_dev_waves ewald_of(const box &b)
{
    const double s = sqrt(-log(EWALD_ACCURACY));
    aim_dev_waves w = {};
    w.real_cutoff = EWALD_CUTOFF;
    w.alpha = s / EWALD_CUTOFF;
    w.k_cutoff = 2.0 * w.alpha * s;
    w.frame[0] = w.frame[4] = w.frame[8] = b.length;
    return w;
}

static void time_charges(const box &b)
{
    print("dsf", run_charges(b, NULL, 0, 1), "double", run_charges(b, NULL, 1, 1));
    printf(")\n");
    const aim_dev_waves pme = pme_of(b), ewald = ewald_of(b);
    const result r = run_charges(b, &pme, 0, 1);
    print("pme", r, "Ewald", run_charges(b, &ewald, 1, 0));
    printf("; pairs within %.2f A, mesh of %d x %d x %d: %.3f)\n", pme.real_cutoff, pme.mesh[0],
           pme.mesh[1], pme.mesh[2], r.mesh_ms);
}

int main(int argc, char **argv)
{
    const aim_dev_d3_table table = load_table();
    std::vector<int> atoms;
    for (int k = 1; k < argc; k++)
        atoms.push_back(atoi(argv[k]));
    if (atoms.empty())
        atoms = {10000, 100000, 1000000};
    for (int n : atoms) {
        const rooms scope;
        const box b = make_box((int)lround(cbrt((double)n)));
        time_list(b);
        print("d3", run_d3(b, table, 0), "double", run_d3(b, table, 1));
        printf(")\n");
        time_charges(b);
        fflush(stdout);
    }
    return 0;
}

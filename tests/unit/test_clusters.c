/* SPDX-License-Identifier: MIT */
/* test_clusters.c - clusters of atoms against lists of pairs: the same rows, so the same bits of
 * every sum and of every tangent, for cells of every kind; memory; allocation failures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/isa.h"
#include "nlist_test.h"
#include "term/tangent.h"

enum { ELEMENTS = 4, MOST_ATOMS = 4000, MOST_SYSTEMS = 64, DIRECTIONS = 2 };
enum { SEEDS = INSTRUMENTED ? 2 : 5 };

static aim_d3_table *d3_table;

/* Everything that a term can give. */
typedef struct sums {
    double energy[MOST_SYSTEMS], strain[9 * MOST_SYSTEMS], grad[3 * MOST_ATOMS], gq[MOST_ATOMS];
    double tenergy[DIRECTIONS * MOST_SYSTEMS], tstrain[9 * DIRECTIONS * MOST_SYSTEMS],
        tgrad[3 * DIRECTIONS * MOST_ATOMS], tgq[DIRECTIONS * MOST_ATOMS];
} sums;

typedef struct inputs {
    double q[MOST_ATOMS], disp[2 * MOST_ATOMS], r4r2[100];
    double tx[3 * DIRECTIONS * MOST_ATOMS], tq[DIRECTIONS * MOST_ATOMS],
        w[9 * DIRECTIONS * MOST_SYSTEMS];
} inputs;

typedef enum term { DSF, D3, D3TS, DSF_D3, N_TERMS } term;
static const char *const term_names[N_TERMS] = {"DSF", "D3", "D3TS", "DSF with D3"};

static void fill_inputs(uint64_t seed, test_batch *t, inputs *in)
{
    static const int32_t z[ELEMENTS] = {1, 8, 6, 17};
    assert_true(t->b.n_atoms <= MOST_ATOMS && t->b.n_systems <= MOST_SYSTEMS);
    for (int32_t i = 0; i < t->b.n_atoms; i++) {
        t->numbers[i] = z[pick(&seed, ELEMENTS)];
        in->q[i] = uniform(&seed, -0.5, 0.5);
        in->disp[2 * i] = uniform(&seed, 2.0, 42.0);
        in->disp[2 * i + 1] = uniform(&seed, 1.0, 21.0);
    }
    for (int k = 0; k < 100; k++)
        in->r4r2[k] = 1.5 + 0.03 * k;
    for (int32_t k = 0; k < DIRECTIONS * t->b.n_atoms; k++) {
        in->tq[k] = uniform(&seed, -0.5, 0.5);
        for (int d = 0; d < 3; d++)
            in->tx[3 * k + d] = uniform(&seed, -1.0, 1.0);
    }
    for (int32_t k = 0; k < 9 * DIRECTIONS * t->b.n_systems; k++)
        in->w[k] = uniform(&seed, -0.2, 0.2);
}

static void run(aim_term_io *io, term t, const inputs *in, double cutoff, sums *out)
{
    const aim_alloc alloc = aim_alloc_default();
    const aim_d3_params p = {1.0, 0.3908, 0.566, 3.128, cutoff, 0.2};
    aim_arena scratch = {0};
    memset(out, 0, sizeof *out);
    io->alloc = &alloc;
    io->scratch = &scratch;
    io->q = in->q;
    io->energy = out->energy;
    io->grad = out->grad;
    io->strain = out->strain;
    io->gq = t == DSF || t == DSF_D3 ? out->gq : NULL;
    io->reach = cutoff;
    aim_term_io coulomb = *io;
    const aim_status status = t == DSF  ? aim_term_coulomb_dsf(io, cutoff, 0.2)
                              : t == D3 ? aim_term_d3(io, d3_table, &p)
                              : t == D3TS
                                  ? aim_term_d3ts(io, &p, in->r4r2, 100, in->disp, NULL)
                                  : aim_term_dsf_d3(&coulomb, cutoff, 0.2, io, d3_table, &p);
    const aim_term_tan tan = {.n_dir = DIRECTIONS,
                              .tx = in->tx,
                              .tq = t == DSF ? in->tq : NULL,
                              .w = in->w,
                              .tenergy = out->tenergy,
                              .tgrad = out->tgrad,
                              .tgq = t == DSF ? out->tgq : NULL,
                              .tstrain = out->tstrain};
    const aim_status again =
        t == DSF    ? aim_term_coulomb_dsf_tan(io, &tan, cutoff, 0.2)
        : t == D3   ? aim_term_d3_tan(io, &tan, d3_table, &p)
        : t == D3TS ? aim_term_d3ts_tan(io, &tan, &p, in->r4r2, 100, in->disp, NULL, NULL)
                    : AIMNET_OK; /* has no tangent of its own */
    if (status != AIMNET_OK || again != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    aim_arena_free(&scratch, &alloc);
}

/* All terms, instruction sets and two sizes of teams, from a list and from clusters. */
static void compare(test_batch *t, uint64_t seed, double cutoff, double cluster_cutoff)
{
    static inputs in;
    static sums by_list, by_cluster;
    const aim_alloc alloc = aim_alloc_default();
    aim_pairs pairs = {0};
    aim_clusters clusters = {0};
    aim_nlist *nlist;
    aim_team *team[2];
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    assert_int_equal(aim_team_create(&alloc, 1, &team[0]), AIMNET_OK);
    assert_int_equal(aim_team_create(&alloc, 3, &team[1]), AIMNET_OK);
    fill_inputs(seed, t, &in);
    assert_int_equal(aim_nlist_build(nlist, &t->b, cutoff, 120, 0, team[0], &pairs), AIMNET_OK);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(aim_clusters_build(nlist, &t->b, cluster_cutoff, team[k], &clusters),
                         AIMNET_OK);
        for (int isa = 0; isa <= aim_cpu_isa(); isa++)
            for (term m = 0; m < N_TERMS; m++) {
                aim_term_io io = {.batch = &t->b, .team = team[k], .pairs = &pairs};
                io.kernels = aim_term_kernels_select(isa);
                run(&io, m, &in, cutoff, &by_list);
                io.pairs = NULL;
                io.clusters = &clusters;
                run(&io, m, &in, cutoff, &by_cluster);
                if (memcmp(&by_list, &by_cluster, sizeof by_list) != 0)
                    fail_msg("%s, instruction set %d, team %d: %.17g eV from clusters, %.17g eV "
                             "from the list",
                             term_names[m], isa, k, by_cluster.energy[0], by_list.energy[0]);
            }
    }
    for (int k = 0; k < 2; k++)
        aim_team_free(team[k]);
    aim_clusters_free(&clusters, &alloc);
    aim_pairs_free(&pairs, &alloc);
    aim_nlist_free(nlist);
}

static void sums_over_clusters_are_those_over_lists_to_the_bit(void **state)
{
    (void)state;
    static sample s;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            test_batch t = {0};
            uint64_t random = 100 * seed + (uint64_t)kind;
            if (kind == KIND_OVERLAP) /* refused long before */
                continue;
            make_sample(&random, kind, &s);
            add_sample(&t, &s);
            compare(&t, seed, s.cutoff, s.cutoff * (seed % 2 ? 1.0 : 1.1));
            test_batch_free(&t);
        }
}

static void a_batch_of_all_kinds_too(void **state)
{
    (void)state;
    static sample s;
    test_batch t = {0};
    uint64_t random = 5;
    for (int kind = 0; kind < N_KINDS; kind++) {
        if (kind == KIND_OVERLAP)
            continue;
        make_sample(&random, kind, &s);
        add_sample(&t, &s);
    }
    compare(&t, 5, 4.0, 4.0);
    test_batch_free(&t);
}

/* A cube of n^3 points at the distance `step`, moved at random. */
static void add_cube(test_batch *t, int n, double step, double noise, const double origin[3])
{
    static double coord[3 * MOST_ATOMS];
    const double length = n * step, cell[9] = {length, 0, 0, 0, length, 0, 0, 0, length};
    const int32_t pbc[3] = {1, 1, 1};
    uint64_t random = 3;
    for (int k = 0; k < n * n * n; k++) {
        const int at[3] = {k % n, k / n % n, k / n / n};
        for (int d = 0; d < 3; d++)
            coord[3 * k + d] = origin[d] + step * at[d] + uniform(&random, -noise, noise);
    }
    test_batch_add(t, n * n * n, coord, cell, pbc);
}

static void rows_of_many_pieces_too(void **state)
{
    (void)state;
    const double zero[3] = {0.0, 0.0, 0.0};
    test_batch t = {0};
    add_cube(&t, 7, 2.2, 0.4, zero);
    compare(&t, 7, 12.5, 12.5); /* 770 neighbours: two full pieces and a rest for DSF */
    test_batch_free(&t);
}

static void pairs_exactly_at_the_cutoff_are_left_out_wherever_the_crystal_stands(void **state)
{
    (void)state;
    static inputs in;
    static sums first, moved;
    const aim_alloc alloc = aim_alloc_default();
    aim_nlist *nlist;
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    for (int k = 0; k < 12; k++) {
        const double origin[3] = {0.1 * k, -0.37 * k, 1.0 / 3.0 * k};
        test_batch t = {0};
        aim_clusters clusters = {0};
        add_cube(&t, 6, 2.5, 0.0, origin);
        fill_inputs(1, &t, &in);
        assert_int_equal(aim_clusters_build(nlist, &t.b, 7.5, NULL, &clusters), AIMNET_OK);
        aim_term_io io = {.batch = &t.b, .clusters = &clusters};
        run(&io, D3, &in, 7.5, k == 0 ? &first : &moved);
        /* a neighbour at 7.5 A would change a coordination number by 4e-7, the energy by 1e-8 */
        if (k > 0 && fabs(moved.energy[0] - first.energy[0]) > 1e-11)
            fail_msg("moved by %d steps: %.17g instead of %.17g eV", k, moved.energy[0],
                     first.energy[0]);
        aim_clusters_free(&clusters, &alloc);
        test_batch_free(&t);
    }
    aim_nlist_free(nlist);
}

static void clusters_need_a_fraction_of_the_memory_of_a_list(void **state)
{
    (void)state;
    const double zero[3] = {0.0, 0.0, 0.0};
    const aim_alloc alloc = aim_alloc_default();
    test_batch t = {0};
    aim_pairs pairs = {0};
    aim_clusters clusters = {0};
    aim_nlist *nlist;
    add_cube(&t, 15, 2.2, 0.4, zero);
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    assert_int_equal(aim_nlist_build(nlist, &t.b, 15.0, 120, 0, NULL, &pairs), AIMNET_OK);
    assert_int_equal(aim_clusters_build(nlist, &t.b, 15.0, NULL, &clusters), AIMNET_OK);
    assert_true(clusters.n_entries < pairs.n_pairs / 6);
    aim_clusters_free(&clusters, &alloc);
    aim_pairs_free(&pairs, &alloc);
    aim_nlist_free(nlist);
    test_batch_free(&t);
}

static void
failed_allocations_leave_empty_clusters_and_a_second_build_allocates_nothing(void **state)
{
    (void)state;
    test_batch t = {0};
    aim_alloc alloc;
    int failures = 0;
    make_mixture(11, 9, &t);
    assert_int_equal(aim_alloc_from(&counting, &alloc), AIMNET_OK);
    for (int n = 0;; n++) {
        aim_nlist *nlist = NULL;
        aim_clusters clusters = {0};
        n_allocations = 0;
        fail_at = n;
        aim_status status = aim_nlist_create(&alloc, &nlist);
        if (status == AIMNET_OK)
            status = aim_clusters_build(nlist, &t.b, 5.0, NULL, &clusters);
        fail_at = -1;
        if (status == AIMNET_OK) {
            const int before = n_allocations;
            assert_int_equal(aim_clusters_build(nlist, &t.b, 5.0, NULL, &clusters), AIMNET_OK);
            assert_int_equal(n_allocations, before);
        } else {
            failures++;
            assert_status(AIMNET_ERR_MEMORY, status);
            assert_int_equal(clusters.n_clusters, 0);
        }
        aim_clusters_free(&clusters, &alloc);
        aim_nlist_free(nlist);
        if (status == AIMNET_OK)
            break;
    }
    assert_true(failures > 5);
    test_batch_free(&t);
}

static int make_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    return aim_d3_table_create(&alloc, &d3_table) != AIMNET_OK;
}

static int free_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    aim_d3_table_free(d3_table, &alloc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_clusters_are_those_over_lists_to_the_bit),
        cmocka_unit_test(a_batch_of_all_kinds_too),
        cmocka_unit_test(rows_of_many_pieces_too),
        cmocka_unit_test(pairs_exactly_at_the_cutoff_are_left_out_wherever_the_crystal_stands),
        cmocka_unit_test(clusters_need_a_fraction_of_the_memory_of_a_list),
        cmocka_unit_test(
            failed_allocations_leave_empty_clusters_and_a_second_build_allocates_nothing)};
    return cmocka_run_group_tests(tests, make_table, free_table);
}

/* SPDX-License-Identifier: MIT */
/* test_pme.c - particle mesh Ewald against Ewald sums on cells of every shape, its own derivatives,
 * supercells, instruction sets, batches, threads, and meshes that cannot be. */
#include "crystals.h"

#include "backend/isa.h"

typedef struct shape {
    const char *name;
    int n, neutral;
    double cell[9];
} shape;

static const shape SHAPES[] = {
    {"cubic", 100, 1, {11, 0, 0, 0, 11, 0, 0, 0, 11}},
    {"triclinic, charged", 30, 0, {6, .3, -.2, 1.1, 7, .4, -2, .5, 8}},
    {"rhombohedral", 60, 1, {10, 0, 0, 4.9, 9, 0, -4.8, 4.3, 8}},
    {"very skewed", 60, 1, {10, 0, 0, 45, 9, 0, -31, 27, 8}},
    {"left-handed", 50, 1, {0, 9, 0, 9, 0, 0, 0, 0, 9}},
    {"4 A", 6, 1, {4, 0, 0, 0, 4, 0, 0, 0, 4}},
    {"4 A, triclinic, charged", 4, 0, {4, 0, 0, 1.7, 4, 0, 1.2, 1.3, 4}},
    {"elongated", 50, 1, {4, 0, 0, 0, 4.3, 0, 0, .7, 40}},
    {"dilute", 12, 1, {30, 0, 0, 0, 30, 0, 0, 0, 30}},
    {"one atom", 1, 0, {3, 0, 0, 0, 3, 0, 0, 0, 3}},
};
enum { N_SHAPES = sizeof SHAPES / sizeof *SHAPES };

/* What an accuracy of 1 stands for, with charges up to 0.5 e: eV/A, eV per atom, V, eV per atom.
 * Measured errors are at most 0.7, 0.04, 0.5 and 0.25 of it. */
static const double ENERGY = 0.1, FORCE = 1.0, POTENTIAL = 1.0, STRAIN = 0.5;

static void pme_converges_to_ewald(void **state)
{
    (void)state;
    for (int k = 0; k < N_SHAPES; k++) {
        const shape *s = &SHAPES[k];
        crystals exact = {0};
        add_random(&exact, 40 + (uint64_t)k, s->cell, s->n, s->neutral);
        crystals mesh = exact;
        evaluate(&exact, EWALD, 1e-13, 1);
        for (double accuracy = 1e-3; accuracy > 5e-12; accuracy *= 0.1) {
            const double rounding = 2e-12 * s->n;
            evaluate(&mesh, PME, accuracy, 2);
            assert_below(farthest(exact.energy, mesh.energy, 1),
                         ENERGY * accuracy * s->n + rounding, s->name, 0);
            assert_below(farthest(exact.grad, mesh.grad, 3 * s->n), FORCE * accuracy + rounding,
                         s->name, 1);
            assert_below(farthest(exact.gq, mesh.gq, s->n), POTENTIAL * accuracy + rounding,
                         s->name, 2);
            assert_below(farthest(exact.strain, mesh.strain, 9),
                         STRAIN * accuracy * s->n + 4 * rounding, s->name, 3);
        }
    }
}

static void rock_salt_has_the_madelung_constant(void **state)
{
    (void)state;
    crystals c = {0};
    rock_salt(&c, 1);
    evaluate(&c, PME, 1e-12, 1);
    const double madelung = -c.energy[0] / 4.0 / AIM_COULOMB_K * 0.5 * 5.64;
    assert_below(fabs(madelung - 1.747564594633182), 1e-10, "Madelung", 0);
}

static void supercell_has_the_energy_of_its_cells(void **state)
{
    (void)state;
    const int twice[3] = {2, 2, 2}, row[3] = {1, 3, 1};
    crystals one = {0}, more = {0};
    add_random(&one, 77, SHAPES[1].cell, 30, 0);
    add_supercell(&more, &one, twice);
    add_supercell(&more, &one, row);
    evaluate(&one, PME, 1e-12, 1);
    evaluate(&more, PME, 1e-12, 2);
    assert_below(fabs(more.energy[0] - 8.0 * one.energy[0]), 1e-9, "2 x 2 x 2", 0);
    assert_below(fabs(more.energy[1] - 3.0 * one.energy[0]), 1e-9, "1 x 3 x 1", 0);
    for (int k = 0; k < 9; k++)
        assert_below(fabs(more.strain[k] - 8.0 * one.strain[k]), 1e-9, "strain", k);
    assert_below(farthest(more.grad, one.grad, 3 * one.n), 1e-10, "gradient", 0);
}

static double energy_at(crystals *c, double accuracy)
{
    evaluate(c, PME, accuracy, 1);
    return c->energy[0];
}

/* The gradients are those of the mesh energy, so that even a coarse mesh obeys. Atoms are kept away
 * from the real-space cutoff's small step by a tight accuracy there. */
static void gradients_are_slopes_of_the_energy(void **state)
{
    (void)state;
    const double h = 1e-3;
    crystals c = {0};
    add_random(&c, 5, SHAPES[1].cell, 10, 0);
    evaluate(&c, PME, 1e-12, 1);
    const crystals at = c;
    for (int k = 0; k < 40; k++) {
        double *x = k < 30 ? &c.coord[k] : &c.q[k - 30], e[4];
        const double kept = *x, expected = k < 30 ? at.grad[k] : at.gq[k - 30];
        for (int p = 0; p < 4; p++) {
            *x = kept + h * (p < 2 ? p - 2 : p - 1);
            e[p] = energy_at(&c, 1e-12);
        }
        *x = kept;
        const double slope = (e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * h);
        assert_below(fabs(slope - expected), 1e-8, k < 30 ? "gradient" : "potential", k);
    }
}

static void stress_is_the_slope_of_the_energy_to_strain(void **state)
{
    (void)state;
    const double h = 1e-3;
    for (int shape = 1; shape < 5; shape++) {
        crystals c = {0}, moved;
        add_random(&c, 7, SHAPES[shape].cell, 12, SHAPES[shape].neutral);
        evaluate(&c, PME, 1e-12, 1);
        const double volume = fabs(aim_det3(c.cell));
        for (int k = 0; k < 9; k++) {
            double e[4];
            for (int p = 0; p < 4; p++) {
                strained(&c, k, h * (p < 2 ? p - 2 : p - 1), &moved);
                e[p] = energy_at(&moved, 1e-12);
            }
            const double slope = (e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * h);
            assert_below(fabs(slope - c.strain[k]) / volume, 1e-8, SHAPES[shape].name, k);
        }
    }
}

static void results_do_not_depend_on_the_batch_or_threads(void **state)
{
    (void)state;
    crystals alone = {0}, together = {0};
    add_random(&alone, 9, SHAPES[2].cell, 60, 1);
    rock_salt(&together, 2);
    add_random(&together, 9, SHAPES[2].cell, 60, 1);
    add_random(&together, 3, SHAPES[5].cell, 6, 1);
    for (int isa = 0; isa <= aim_cpu_isa(); isa++) {
        alone.isa = together.isa = isa + 1;
        evaluate(&alone, PME, 1e-6, 1);
        evaluate(&together, PME, 1e-6, 3);
        assert_memory_equal(&alone.energy[0], &together.energy[1], sizeof(double));
        assert_memory_equal(alone.grad, together.grad + 3 * together.offset[1],
                            3 * (size_t)alone.n * sizeof(double));
        assert_memory_equal(alone.gq, together.gq + together.offset[1],
                            (size_t)alone.n * sizeof(double));
        assert_memory_equal(alone.strain, together.strain + 9, 9 * sizeof(double));
    }
}

static void instruction_sets_agree(void **state)
{
    (void)state;
    crystals base = {0};
    add_random(&base, 21, SHAPES[1].cell, 30, 0);
    crystals other = base;
    base.isa = 1;
    for (double accuracy = 1e-5; accuracy > 5e-12; accuracy *= 1e-3) { /* orders 8, 12, 16 */
        evaluate(&base, PME, accuracy, 1);
        for (int isa = 1; isa <= aim_cpu_isa(); isa++) {
            other.isa = isa + 1;
            evaluate(&other, PME, accuracy, 1);
            assert_below(farthest(base.energy, other.energy, 1), 1e-11, "energy", isa);
            assert_below(farthest(base.grad, other.grad, 3 * base.n), 1e-11, "gradient", isa);
            assert_below(farthest(base.gq, other.gq, base.n), 1e-11, "potential", isa);
            assert_below(farthest(base.strain, other.strain, 9), 1e-10, "strain", isa);
        }
    }
}

static void moving_an_atom_by_a_lattice_vector_changes_nothing(void **state)
{
    (void)state;
    crystals a = {0};
    random_system(&a, 11);
    crystals b = a;
    for (int d = 0; d < 3; d++)
        b.coord[6 + d] += 2 * TRICLINIC[d] - 3 * TRICLINIC[6 + d];
    evaluate(&a, PME, 1e-6, 1);
    evaluate(&b, PME, 1e-6, 1);
    assert_below(fabs(a.energy[0] - b.energy[0]), 1e-11, "energy", 0);
    assert_below(farthest(a.grad, b.grad, 3 * a.n), 1e-10, "gradient", 0);
}

static void an_equivalent_cell_has_the_same_energy(void **state)
{
    (void)state;
    crystals a = {0};
    random_system(&a, 13);
    crystals b = a;
    for (int d = 0; d < 3; d++) {
        b.cell[3 + d] += 5 * b.cell[d];
        b.cell[6 + d] -= 7 * b.cell[3 + d];
    }
    const aim_pme_params p = aim_pme_choose(a.cell, a.n, 1e-6),
                         q = aim_pme_choose(b.cell, b.n, 1e-6);
    const double points = (double)p.mesh[0] * p.mesh[1] * p.mesh[2];
    assert_true((double)q.mesh[0] * q.mesh[1] * q.mesh[2] < 2.0 * points);
    evaluate(&a, PME, 1e-11, 1);
    evaluate(&b, PME, 1e-11, 1);
    assert_below(fabs(a.energy[0] - b.energy[0]), 1e-9, "energy", 0);
}

/* From 10^3 to 10^6 atoms of one density: the same cutoff and points per atom, but for the rounding
 * of the mesh to sizes with small factors. */
static void cost_per_atom_does_not_grow(void **state)
{
    (void)state;
    for (int n = 1000; n <= 1000000; n *= 10) {
        const double a = cbrt(10.0 * n), cell[9] = {a, 0, 0, 0, a, 0, 0, 0, a};
        const aim_pme_params p = aim_pme_choose(cell, n, 1e-6);
        const double points = (double)p.mesh[0] * p.mesh[1] * p.mesh[2] / n;
        assert_in_range((uintmax_t)points, 20, 50);
        assert_true(p.real_cutoff > 9.0 && p.real_cutoff < 11.5);
    }
}

static void a_mesh_that_cannot_be_is_refused(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    const int32_t offset[2] = {0, 2}, system[2] = {0, 0}, numbers[2] = {1, 1}, pbc[3] = {1, 1, 1};
    const double coord[6] = {0, 0, 0, 1, 0, 0}, q[2] = {1, -1},
                 cell[9] = {1e-3, 0, 0, 0, 1e-3, 0, 0, 0, 1e7}, none[1] = {0};
    const aim_batch b = {.n_atoms = 2,
                         .n_systems = 1,
                         .offset = offset,
                         .system = system,
                         .numbers = numbers,
                         .coord = coord,
                         .cell = cell,
                         .pbc = pbc,
                         .charge = none,
                         .mult = none};
    int64_t row[3] = {0, 0, 0};
    aim_pairs pairs = {.n_atoms = 2, .row = row};
    aim_arena scratch = {0};
    double energy[1] = {0};
    aim_term_io io = {.batch = &b,
                      .pairs = &pairs,
                      .alloc = &alloc,
                      .scratch = &scratch,
                      .q = q,
                      .energy = energy};
    assert_int_equal(aim_term_coulomb_pme(&io, 1e-6), AIMNET_ERR_MEMORY);
    assert_non_null(strstr(aimnet_last_error(), "lower accuracy"));
    const double wrong[4] = {0, 1, -1e-6, NAN};
    for (int k = 0; k < 4; k++)
        assert_int_equal(aim_term_coulomb_pme(&io, wrong[k]), AIMNET_ERR_ARG);
    aim_arena_free(&scratch, &alloc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pme_converges_to_ewald),
        cmocka_unit_test(rock_salt_has_the_madelung_constant),
        cmocka_unit_test(supercell_has_the_energy_of_its_cells),
        cmocka_unit_test(gradients_are_slopes_of_the_energy),
        cmocka_unit_test(stress_is_the_slope_of_the_energy_to_strain),
        cmocka_unit_test(results_do_not_depend_on_the_batch_or_threads),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(moving_an_atom_by_a_lattice_vector_changes_nothing),
        cmocka_unit_test(an_equivalent_cell_has_the_same_energy),
        cmocka_unit_test(cost_per_atom_does_not_grow),
        cmocka_unit_test(a_mesh_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

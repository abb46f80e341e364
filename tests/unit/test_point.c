/* SPDX-License-Identifier: MIT */
/* test_point.c - the scalar formulas of the terms: derivatives against differences, values at the
 * ends, and the vector functions against libm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define AIM_REAL_DOUBLE 1
#define AIM_ISA         base
#include "backend/cpu/pair_vmath.h"
#include "point/cutoff.h"
#include "point/coulomb.h"
#include "point/d3_damping.h"
#include "point/repulsion.h"

/* ---------------------------------------------------------------- derivatives */
typedef aim_deriv (*point_fn)(double d);

static aim_deriv exp_cutoff(double d)
{
    return aim_cutoff_exp(d, 4.6);
}
static aim_deriv cosine_cutoff(double d)
{
    return aim_cutoff_cosine(d, 4.6);
}
static aim_deriv no_cutoff(double d)
{
    return aim_cutoff_envelope(d, 4.6, AIM_ENVELOPE_NONE);
}
static aim_deriv s5(double d)
{
    return aim_cutoff_s5(d, 2.0, 4.5);
}
static aim_deriv dsf(double d)
{
    const aim_dsf p = aim_dsf_make(5.5, 0.3);
    return aim_coulomb_dsf(d, &p);
}
static aim_deriv repulsion(double d)
{
    return aim_repulsion_gfn1(d, 1.7);
}
static aim_deriv count(double d)
{
    return aim_d3_count(d, 2.4);
}
static aim_deriv damping(double d)
{
    return aim_d3_damping(d, 0.9, 0.4, 40.0, 5.5);
}
static aim_deriv product(double d)
{
    return aim_deriv_mul(count(d), aim_deriv_inverse(damping(d)));
}

/* Some functions have a kink in a derivative here. */
static int near_kink(double d)
{
    return fabs(d - 2.0) < 0.003 || fabs(d - 4.5) < 0.003 || fabs(d - 4.6) < 0.003 ||
           fabs(d - 5.5) < 0.003;
}

static void derivatives_are_slopes(void **state)
{
    (void)state;
    const point_fn functions[] = {exp_cutoff, cosine_cutoff, no_cutoff, s5,      aim_coulomb_simple,
                                  dsf,        repulsion,     count,     damping, product};
    const double h = 1e-3;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        for (double d = 0.5; d < 7.0; d += 0.0837) {
            const aim_deriv a = functions[k](d - 2 * h), b = functions[k](d - h),
                            f = functions[k](d), u = functions[k](d + h),
                            v = functions[k](d + 2 * h);
            if (near_kink(d))
                continue;
            const double scale = fmax(1.0, fmax(fabs(f.v), fmax(fabs(f.d1), fabs(f.d2))));
            assert_true(fabs((a.v - 8.0 * b.v + 8.0 * u.v - v.v) / (12.0 * h) - f.d1) <
                        1e-7 * scale);
            assert_true(fabs((a.d1 - 8.0 * b.d1 + 8.0 * u.d1 - v.d1) / (12.0 * h) - f.d2) <
                        1e-6 * scale);
        }
}

static void envelopes_go_from_one_to_zero(void **state)
{
    (void)state;
    for (int e = AIM_ENVELOPE_EXP; e <= AIM_ENVELOPE_COSINE; e++) {
        assert_true(aim_cutoff_envelope(0.0, 4.6, (aim_envelope)e).v == 1.0);
        assert_true(aim_cutoff_envelope(4.6, 4.6, (aim_envelope)e).v == 0.0);
        assert_true(aim_cutoff_envelope(9.0, 4.6, (aim_envelope)e).v == 0.0);
        assert_true(aim_cutoff_envelope(4.5999, 4.6, (aim_envelope)e).v < 1e-8);
    }
    assert_true(aim_cutoff_envelope(9.0, 4.6, AIM_ENVELOPE_NONE).v == 1.0);
}

static void the_quintic_switch_without_width_is_a_step(void **state)
{
    (void)state;
    assert_true(aim_cutoff_s5(2.99, 3.0, 3.0).v == 1.0 && aim_cutoff_s5(3.0, 3.0, 3.0).v == 0.0);
    assert_true(aim_cutoff_s5(1.9, 2.0, 4.0).v == 1.0 && aim_cutoff_s5(4.0, 2.0, 4.0).v == 0.0);
    assert_true(fabs(aim_cutoff_s5(3.0, 2.0, 4.0).v - 0.5) < 1e-15);
}

static void dsf_energy_and_force_vanish_at_the_cutoff(void **state)
{
    (void)state;
    const aim_dsf p = aim_dsf_make(15.0, 0.2);
    const aim_deriv f = aim_coulomb_dsf(15.0 * (1.0 - 1e-15), &p);
    assert_true(fabs(f.v) < 1e-15 && fabs(f.d1) < 1e-16);
    assert_true(aim_coulomb_dsf(15.0, &p).v == 0.0);
}

/* ---------------------------------------------------------------- vector functions */
static double relative(double x, long double truth)
{
    return (double)fabsl((long double)x / truth - 1.0L);
}

static void the_vector_exponential_is_exact_to_rounding(void **state)
{
    (void)state;
    double worst = 0.0, worst_short = 0.0;
    for (double x = -690.0; x < 690.0; x += 0.00917) {
        worst = fmax(worst, relative(vexp_pair(vset(x))[0], expl((long double)x)));
        worst_short =
            fmax(worst_short,
                 relative(vexp_short(vset(x))[VL - 1], expl((long double)x)) / (2.0 + fabs(x)));
    }
    assert_true(worst < 3e-16);
    assert_true(worst_short < 1.5e-16);
    assert_true(vexp_pair(vset(-1e9))[0] < 1e-300 && vexp_pair(vset(-INFINITY))[0] < 1e-300 &&
                vexp_pair(vset(0.0))[0] == 1.0);
    assert_true(isnan(vexp_pair(vset(NAN))[0]) && isnan(vexp_short(vset(NAN))[0]));
}

static void the_vector_erfc_is_exact_to_rounding(void **state)
{
    (void)state;
    for (double x = 0.0; x < 10.0; x += 0.00037) {
        const double e = vexp_pair(vset(-x * x))[0];
        assert_true(relative(verfc(vset(x), vset(e))[0], erfcl((long double)x)) <
                    2e-15 * (1.0 + x * x));
    }
}

static void the_vector_sine_and_cosine_are_exact_to_rounding(void **state)
{
    (void)state;
    const long double pi = 3.14159265358979323846264338327950288L;
    for (double t = 0.0; t <= 1.0; t += 0.000173) {
        vreal c, s;
        vcossinpi(vset(t), &c, &s);
        assert_true(fabsl((long double)c[0] - cosl(pi * (long double)t)) < 5e-16L);
        assert_true(fabsl((long double)s[0] - sinl(pi * (long double)t)) < 5e-16L);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives_are_slopes),
        cmocka_unit_test(envelopes_go_from_one_to_zero),
        cmocka_unit_test(the_quintic_switch_without_width_is_a_step),
        cmocka_unit_test(dsf_energy_and_force_vanish_at_the_cutoff),
        cmocka_unit_test(the_vector_exponential_is_exact_to_rounding),
        cmocka_unit_test(the_vector_erfc_is_exact_to_rounding),
        cmocka_unit_test(the_vector_sine_and_cosine_are_exact_to_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_nlist_golden.c - the lists of 650 random systems against ASE and vesin.
 *
 * tests/golden/nlist/lists.txt holds, for every system, the number of pairs and the hash of the
 * sorted list that both programs agreed on (tests/reference/make_nlist.py). The systems themselves
 * are made here, by the same integer arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "nlist_oracle.h"

enum { N_SYSTEM_KINDS = 13, LEAST_COMPARED = 500, UNIT = 1 << 16 };

typedef struct integer_system {
    int32_t n, pbc[3];
    int64_t cell[9], coord[3 * 300], cutoff; /* 2^-16 A */
} integer_system;

static int64_t below(uint64_t *r, int64_t n)
{
    return (int64_t)(next_random(r) % (uint64_t)n);
}

static int64_t between(uint64_t *r, int64_t low, int64_t high)
{
    return low * UNIT + below(r, (high - low) * UNIT);
}

static int64_t determinant(const int64_t *h)
{
    return h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
           h[2] * (h[3] * h[7] - h[4] * h[6]);
}

/* >> 6 as the script's: towards minus infinity. */
static int64_t coarse(int64_t v)
{
    return v >= 0 ? v / 64 : -((63 - v) / 64);
}

static void make_cell(uint64_t *r, int64_t low, int64_t high, int64_t skew, int64_t least,
                      int64_t *h)
{
    int64_t c[9], volume;
    do {
        for (int k = 0; k < 9; k++) {
            h[k] = k % 4 == 0 ? between(r, low, high) : (skew ? between(r, -skew, skew) : 0);
            c[k] = coarse(h[k]);
        }
        volume = determinant(c);
    } while ((volume < 0 ? -volume : volume) < least << 30);
}

static void skew_cell(uint64_t *r, int64_t *h)
{
    const int64_t a = below(r, 25) - 12, b = below(r, 19) - 9, c = below(r, 19) - 9;
    for (int d = 0; d < 3; d++)
        h[3 + d] += a * h[d];
    for (int d = 0; d < 3; d++)
        h[6 + d] += b * h[d] + c * h[3 + d];
}

static void make_shape(uint64_t *r, int kind, integer_system *s, int64_t *low, int64_t *high)
{
    switch (kind) {
    case 0:
    case 12:
        memset(s->cell, 0, sizeof s->cell);
        memset(s->pbc, 0, sizeof s->pbc);
        s->n = (int32_t)(1 + below(r, 300));
        *low = -6;
        *high = 7;
        break;
    case 1:
        make_cell(r, 5, 16, 0, 60, s->cell);
        s->n = (int32_t)(1 + below(r, 250));
        break;
    case 3:
        skew_cell(r, s->cell);
        break;
    case 4:
        for (int d = 0; d < 3; d++) {
            const int64_t v = s->cell[d];
            s->cell[d] = s->cell[3 + d];
            s->cell[3 + d] = v;
        }
        break;
    case 5:
        make_cell(r, 1, 4, 1, 4, s->cell);
        s->n = (int32_t)(1 + below(r, 4));
        s->cutoff = between(r, 4, 8);
        break;
    case 6:
        for (int d = 0; d < 3; d++)
            s->pbc[d] = (int32_t)below(r, 2);
        break;
    case 7: {
        const int64_t axis = below(r, 3);
        s->pbc[axis] = 0;
        memset(s->cell + 3 * axis, 0, 3 * sizeof *s->cell);
        break;
    }
    case 8:
        *low = -3000;
        *high = 3000;
        break;
    case 9:
        for (int k = 0; k < 9; k++)
            s->cell[k] = k % 4 == 0 ? 265 * UNIT : 0;
        *low = -5;
        *high = 5;
        break;
    case 11: {
        const int64_t axis = below(r, 3);
        for (int d = 0; d < 3; d++)
            s->pbc[d] = d == axis;
        break;
    }
    default:
        break;
    }
}

static void make_system(int number, sample *out)
{
    static integer_system s;
    uint64_t r = (uint64_t)number;
    const int kind = number % N_SYSTEM_KINDS;
    int64_t low = -4, high = 14;
    memset(&s, 0, sizeof s);
    s.n = (int32_t)(1 + below(&r, 60));
    s.cutoff = between(&r, 2, 6);
    s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    make_cell(&r, 4, 12, 3, 60, s.cell);
    make_shape(&r, kind, &s, &low, &high);
    for (int k = 0; k < 3 * s.n; k++)
        s.coord[k] = between(&r, low, high);
    for (int a = 0; a < s.n; a++) {
        if (kind == 12)
            s.coord[3 * a] += (int64_t)a * UNIT * (a % 7 == 0 ? 900 : 1);
        if (kind == 10 && a > 0 && below(&r, 2))
            memcpy(s.coord + 3 * a, s.coord, 3 * sizeof *s.coord);
    }
    memset(out, 0, sizeof *out);
    out->n = s.n;
    out->has_cell = kind != 0 && kind != 12;
    out->cutoff = (double)s.cutoff / UNIT;
    memcpy(out->pbc, s.pbc, sizeof out->pbc);
    for (int k = 0; k < 9; k++)
        out->cell[k] = (double)s.cell[k] / UNIT;
    for (int k = 0; k < 3 * s.n; k++)
        out->coord[k] = (double)s.coord[k] / UNIT;
}

static void hash_int(uint64_t *h, int32_t value)
{
    for (int k = 0; k < 4; k++) {
        *h ^= (uint32_t)value >> (8 * k) & 0xff;
        *h *= UINT64_C(0x100000001B3);
    }
}

static uint64_t hash_list(const aim_pairs *l)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (int32_t i = 0; i < l->n_atoms; i++)
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++) {
            hash_int(&h, i);
            hash_int(&h, l->j[p]);
            for (int d = 0; d < 3; d++)
                hash_int(&h, l->shift ? l->shift[p][d] : 0);
        }
    return h;
}

static void lists_equal_those_of_ase_and_vesin(void **state)
{
    (void)state;
    static sample s;
    char line[128];
    int compared = 0;
    FILE *file = fopen(AIM_SOURCE_DIR "/tests/golden/nlist/lists.txt", "r");
    assert_non_null(file);
    const aim_alloc alloc = aim_alloc_default();
    aim_nlist *nlist;
    aim_pairs pairs = {0};
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    while (fgets(line, sizeof line, file)) {
        int number;
        long long n_pairs;
        unsigned long long hash;
        if (sscanf(line, "%d %lld %llx", &number, &n_pairs, &hash) != 3)
            continue;
        make_system(number, &s);
        test_batch t = {0};
        test_batch_add(&t, s.n, s.coord, s.has_cell ? s.cell : NULL, s.pbc);
        for (int algorithm = AIM_ANY; algorithm <= AIM_CELL_LIST; algorithm++) {
            const aim_nlist_request q = {1, &s.cutoff, 120, (aim_nlist_algorithm)algorithm, 0};
            if (aim_nlist_build_many(nlist, &t.b, &q, NULL, &pairs) != AIMNET_OK)
                fail_msg("system %d: %s", number, aimnet_last_error());
            if (pairs.n_pairs != n_pairs || hash_list(&pairs) != hash)
                fail_msg(
                    "system %d, algorithm %d: %lld pairs, hash %llx; the others have %lld, %llx",
                    number, algorithm, (long long)pairs.n_pairs,
                    (unsigned long long)hash_list(&pairs), n_pairs, hash);
        }
        test_batch_free(&t);
        compared++;
    }
    fclose(file);
    aim_pairs_free(&pairs, &alloc);
    aim_nlist_free(nlist);
    assert_true(compared >= LEAST_COMPARED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_equal_those_of_ase_and_vesin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_structure_files.c - every file of tests/golden/structures against what ASE and RDKit read in
 * it.
 *
 * The .expected files come from tests/reference/make_structures.py, which describes their format.
 * Coordinates must agree bit by bit unless the file gives a tolerance; cells made from lengths and
 * angles to 1e-12 of the cell. Each file is read from its path and from memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aimnet_io.h"
#include "base/vec3.h"

#define FOLDER AIM_SOURCE_DIR "/tests/golden/structures/"

enum { NAME_SIZE = 512 };

static void *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long end = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)end + 1);
    assert_non_null(bytes);
    *size = fread(bytes, 1, (size_t)end, file);
    assert_int_equal(*size, (size_t)end);
    bytes[*size] = '\0';
    fclose(file);
    return bytes;
}

/* The next word of the expectation, NULL at its end; # begins a comment up to the end of the line.
 */
static char *word(char **rest)
{
    char *p = *rest;
    for (;;) {
        p += strspn(p, " \n");
        if (*p != '#')
            break;
        p += strcspn(p, "\n");
    }
    if (*p == '\0')
        return NULL;
    const size_t n = strcspn(p, " \n");
    *rest = p + n + (p[n] != '\0');
    p[n] = '\0';
    return p;
}

static double number(char **rest)
{
    char *text = word(rest);
    assert_non_null(text);
    return strtod(text, NULL);
}

static void expect_number(double value, double expected, double tolerance, const char *name,
                          const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %s is %.17g, expected %.17g", name, what, value, expected);
}

/* Whether x and y are the same place of a crystal, to the tolerance. */
static int same_place(const double x[3], const double *y, const aimnet_frame *f, double tolerance)
{
    double inverse[9], shift[3], fraction[3], rest[3];
    if (f->has_cell)
        aim_inverse3(f->cell, inverse);
    for (int d = 0; d < 3; d++)
        shift[d] = rest[d] = y[d] - x[d];
    if (f->has_cell) {
        aim_vecmat3(shift, inverse, fraction);
        for (int d = 0; d < 3; d++)
            fraction[d] -= round(fraction[d]);
        aim_vecmat3(fraction, f->cell, rest);
    }
    return aim_norm3(rest) <= tolerance;
}

/* The expected atoms in any order and any cell. */
static void expect_set(const aimnet_frame *f, char **rest, const char *name, double tolerance)
{
    char *used = calloc((size_t)f->n_atoms, 1);
    assert_non_null(used);
    for (int i = 0; i < f->n_atoms; i++) {
        const int z = (int)number(rest);
        double x[3];
        for (int d = 0; d < 3; d++)
            x[d] = number(rest);
        int found = 0;
        for (int k = 0; k < f->n_atoms && !found; k++)
            if (!used[k] && f->numbers[k] == z &&
                same_place(x, f->coord + 3 * k, f, tolerance > 0.0 ? tolerance : 1e-12))
                found = used[k] = 1;
        if (!found)
            fail_msg("%s: no atom of element %d at %.12g %.12g %.12g", name, z, x[0], x[1], x[2]);
    }
    free(used);
}

static void expect_frame(const aimnet_frame *f, char **rest, const char *name, const char *format,
                         double tolerance)
{
    const int n_atoms = (int)number(rest);
    const double cell_tolerance = strcmp(format, "pdb") == 0 ? 1e-11 : tolerance;
    if (f->n_atoms != n_atoms)
        fail_msg("%s: %d atoms, expected %d", name, (int)f->n_atoms, n_atoms);
    expect_number(f->charge, number(rest), 0.0, name, "the charge");
    expect_number(f->mult, number(rest), 0.0, name, "the multiplicity");
    assert_int_equal(f->has_cell, (int)number(rest));
    for (int d = 0; d < 3; d++)
        assert_int_equal(f->pbc[d], (int)number(rest));
    for (int k = 0; k < 9 && f->has_cell; k++)
        expect_number(f->cell[k], number(rest), cell_tolerance, name, "an element of the cell");
    if (strcmp(format, "cif") == 0) {
        expect_set(f, rest, name, tolerance);
        return;
    }
    for (int i = 0; i < n_atoms; i++) {
        assert_int_equal(f->numbers[i], (int)number(rest));
        for (int d = 0; d < 3; d++)
            expect_number(f->coord[3 * i + d], number(rest), tolerance, name, "a coordinate");
    }
}

static void expect_error(aimnet_status status, const char *name, int line)
{
    char place[NAME_SIZE + 32];
    if (status != AIMNET_ERR_FORMAT)
        fail_msg("%s: status %d, expected an error on line %d", name, (int)status, line);
    snprintf(place, sizeof place, "%s:%d: ", name, line);
    if (line > 0 && strncmp(aimnet_last_error(), place, strlen(place)) != 0)
        fail_msg("expected \"%s...\", found \"%s\"", place, aimnet_last_error());
}

static void expect_stream(aimnet_reader *reader, char *rest, const char *name)
{
    aimnet_frame frame = {0};
    const char *format = aimnet_reader_format(reader);
    int64_t index = 0;
    double tolerance = 0.0;
    for (const char *item = word(&rest); item; item = word(&rest)) {
        if (strcmp(item, "format") == 0) {
            const char *expected = word(&rest);
            if (strcmp(expected, "frame") != 0 && strcmp(expected, "error") != 0) {
                assert_string_equal(format, expected);
                continue;
            }
            item = expected; /* the format of an empty file is left open */
        }
        if (strcmp(item, "tolerance") == 0) {
            tolerance = number(&rest);
            continue;
        }
        const aimnet_status status = aimnet_reader_next(reader, &frame);
        if (strcmp(item, "error") == 0) {
            expect_error(status, name, (int)number(&rest));
        } else {
            assert_string_equal(item, "frame");
            if (status != AIMNET_OK)
                fail_msg("%s", aimnet_last_error());
            assert_int_equal(frame.index, index);
            assert_non_null(frame.title);
            assert_non_null(frame.warnings);
            expect_frame(&frame, &rest, name, format, tolerance);
        }
        index++;
    }
    if (aimnet_reader_next(reader, &frame) != AIMNET_ERR_END)
        fail_msg("%s: more structures than expected: %s", name, aimnet_last_error());
    assert_int_equal(aimnet_reader_next(reader, &frame), AIMNET_ERR_END);
    aimnet_frame_free(&frame);
}

static void check_case(const char *file, int from_memory)
{
    char path[NAME_SIZE], expected_path[NAME_SIZE + 16];
    size_t size, expected_size;
    aimnet_reader *reader;
    snprintf(path, sizeof path, FOLDER "%s", file);
    snprintf(expected_path, sizeof expected_path, "%s.expected", path);
    char *expected = read_whole(expected_path, &expected_size);
    void *bytes = read_whole(path, &size);
    const aimnet_status status = from_memory
                                     ? aimnet_reader_open_memory(bytes, size, path, NULL, &reader)
                                     : aimnet_reader_open(path, NULL, &reader);
    if (strncmp(expected, "refused", 7) == 0) {
        assert_int_equal(status, AIMNET_ERR_FORMAT);
        assert_null(reader);
    } else {
        if (status != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
        expect_stream(reader, expected, path);
        aimnet_reader_close(reader);
    }
    free(bytes);
    free(expected);
}

static void check_all(int from_memory)
{
    size_t size;
    char *list = read_whole(FOLDER "cases.txt", &size);
    char *rest = list;
    int count = 0;
    for (const char *file = word(&rest); file; file = word(&rest), count++)
        check_case(file, from_memory);
    assert_true(count >= 230);
    free(list);
}

static void files_hold_what_ase_rdkit_and_gemmi_read_in_them(void **state)
{
    (void)state;
    check_all(0);
}

static void bytes_in_memory_are_read_like_files(void **state)
{
    (void)state;
    check_all(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_what_ase_rdkit_and_gemmi_read_in_them),
        cmocka_unit_test(bytes_in_memory_are_read_like_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

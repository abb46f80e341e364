/* SPDX-License-Identifier: MIT */
/* test_npy.c - matrices in NumPy's files: what NumPy wrote is read, what is not its format is
 * refused. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

#include "aimnet_vib.h"
#include "fail_alloc.h"
#include "io/npy.h"

typedef struct bytes {
    unsigned char data[512];
    size_t size;
} bytes;

/* Version 1 with this header and `n` bytes of data. */
static bytes file(const char *header, size_t n)
{
    bytes b = {.size = 10 + strlen(header) + n};
    memcpy(b.data, "\x93NUMPY\x01\x00", 8);
    b.data[8] = (unsigned char)strlen(header);
    memcpy(b.data + 10, header, strlen(header));
    for (size_t k = 0; k < n; k++)
        b.data[10 + strlen(header) + k] = (unsigned char)(0x3f * (k % 8 == 7));
    return b;
}

static aim_status parse(const bytes *b, aim_npy *npy)
{
    const aim_alloc alloc = aim_alloc_default();
    return aim_npy_parse(&alloc, b->data, b->size, "test.npy", npy);
}

static void dictionaries_of_numpy_are_read(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f8'}",
        "{\"descr\":\"<f8\",\"fortran_order\":False,\"shape\":(2,3,),}\n"};
    for (size_t k = 0; k < sizeof fine / sizeof *fine; k++) {
        const bytes b = file(fine[k], 48);
        aim_npy npy;
        assert_int_equal(parse(&b, &npy), AIMNET_OK);
        assert_int_equal(npy.n_dims, 2);
        assert_int_equal(npy.shape[0], 2);
        assert_int_equal(npy.shape[1], 3);
        assert_true(npy.data[5] == 0x1p-15); /* 0x3f00000000000000 */
        free(npy.data);
    }
}

static void other_types_and_byte_orders_are_converted(void **state)
{
    (void)state;
    aim_npy npy;
    bytes b = file("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4);
    memcpy(b.data + b.size - 4, "\x40\x20\x00\x00", 4);
    assert_int_equal(parse(&b, &npy), AIMNET_OK);
    assert_true(npy.data[0] == 2.5);
    free(npy.data);
}

static void malformed_files_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)} x",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,2,3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f8', 'shape': (2, 3)}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'fortran_order': False, 'shape': (2, 3)}",
        "{'descr",
        "{'descr' '<f8'}",
        "{'order': '<f8'}",
        "{'fortran_orde_': False}",
        "{'fortran_order': F",
        "{'fortran_order': False",
        "{'fortran_order': False x",
        "{'descr': '|f8', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f8 and many more words', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 6}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (7,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (5,)}"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        const bytes b = file(wrong[k], 48);
        aim_npy npy;
        assert_int_equal(parse(&b, &npy), AIMNET_ERR_FORMAT);
        assert_null(npy.data);
    }
}

static void no_numbers_at_all_are_fine(void **state)
{
    (void)state;
    const bytes b = file("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3), }", 0);
    aim_npy npy;
    assert_int_equal(parse(&b, &npy), AIMNET_OK);
    assert_int_equal(npy.count, 0);
    free(npy.data);
}

/* Versions 2 and 3 differ in the width of the header's length. */
static void later_versions_are_read(void **state)
{
    (void)state;
    static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
    for (int version = 0; version < 5; version++) {
        bytes b = {.size = 12 + sizeof header - 1 + 8};
        aim_npy npy;
        memcpy(b.data, "\x93NUMPY\x02\x00", 8);
        b.data[6] = (unsigned char)version;
        b.data[8] = sizeof header - 1;
        memcpy(b.data + 12, header, sizeof header - 1);
        const int good = version == 2 || version == 3;
        assert_int_equal(parse(&b, &npy), good ? AIMNET_OK : AIMNET_ERR_FORMAT);
        free(npy.data);
        b.data[11] = 1; /* a header of 16 MiB */
        if (good)
            assert_int_equal(parse(&b, &npy), AIMNET_ERR_FORMAT);
    }
    bytes other = file(header, 8);
    aim_npy npy;
    other.data[0] = 0x92;
    assert_int_equal(parse(&other, &npy), AIMNET_ERR_FORMAT);
}

static aimnet_status parse_and_free(const aimnet_allocator *hooks, void *ctx)
{
    const bytes *b = ctx;
    aim_npy npy;
    const aimnet_status status = aim_npy_parse(hooks, b->data, b->size, "test.npy", &npy);
    aim_free(hooks, npy.data);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    bytes b = file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", 48);
    assert_int_equal(fail_alloc_sweep(parse_and_free, &b), 1);
}

static void a_place_where_no_file_can_be_is_reported(void **state)
{
    (void)state;
    const double x[1] = {1.0};
    assert_int_equal(aimnet_matrix_save(AIM_TEST_TMP "/nowhere/x.npy", x, 1, 1), AIMNET_ERR_FILE);
}

#ifndef _WIN32
static void a_full_disk_is_reported(void **state) /* files may not grow */
{
    (void)state;
    const double x[1] = {1.0};
    const char *path = AIM_TEST_TMP "/full.npy";
    struct rlimit saved, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    none = saved;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    const aimnet_status status = aimnet_matrix_save(path, x, 1, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_int_equal(status, AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), path));
    assert_null(fopen(path, "rb")); /* nothing is left behind */
}
#endif

static void every_truncation_is_refused(void **state)
{
    (void)state;
    bytes b = file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", 48);
    const size_t whole = b.size;
    for (b.size = 0; b.size < whole; b.size++) {
        aim_npy npy;
        unsigned char *exact = malloc(b.size + 1); /* reads beyond it are seen by the sanitizer */
        assert_non_null(exact);
        memcpy(exact, b.data, b.size);
        const aim_alloc alloc = aim_alloc_default();
        assert_int_equal(aim_npy_parse(&alloc, exact, b.size, "cut.npy", &npy), AIMNET_ERR_FORMAT);
        free(exact);
    }
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    const char *path = AIM_TEST_TMP "/matrix.npy";
    double x[12], y[12] = {0};
    for (int k = 0; k < 12; k++)
        x[k] = 1.0 / (k + 1);
    assert_int_equal(aimnet_matrix_save(path, x, 3, 4), AIMNET_OK);
    assert_int_equal(aimnet_matrix_load(path, y, 3, 4), AIMNET_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(aimnet_matrix_load(path, y, 4, 3), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "expected a matrix of 4 x 3"));
    assert_int_equal(aimnet_matrix_load(AIM_TEST_TMP "/none.npy", y, 4, 3), AIMNET_ERR_FILE);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char start[128];
    assert_int_equal(fread(start, 1, 128, file), 128);
    assert_memory_equal(start + 10, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }",
                        59);
    fseek(file, 0, SEEK_END);
    assert_int_equal(ftell(file), 128 + 96); /* the data begin on a multiple of 64 */
    fclose(file);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dictionaries_of_numpy_are_read),
        cmocka_unit_test(other_types_and_byte_orders_are_converted),
        cmocka_unit_test(malformed_files_are_refused),
        cmocka_unit_test(no_numbers_at_all_are_fine),
        cmocka_unit_test(later_versions_are_read),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(a_place_where_no_file_can_be_is_reported),
#ifndef _WIN32
        cmocka_unit_test(a_full_disk_is_reported),
#endif
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_is_saved_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

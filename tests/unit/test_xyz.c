/* SPDX-License-Identifier: MIT */
/* test_xyz.c - XYZ and extended XYZ: the rules that the golden files do not show, streams,
 * resynchronisation, failing memory. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <unistd.h>
#include <zlib.h>

#include "fail_alloc.h"
#include "io/reader.h"
#include "read_support.h"

#define WATER "O 0 0 0.1\nH 0 0.7 -0.4\nH 0 -0.7 -0.4\n"
#define HEAD  "Properties=species:S:1:pos:R:3"

static void title_line_and_index_say_where_a_frame_is(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text("\n3\n  a title \t\n" WATER "\n1\n\nHe 1 2 3\n", "xyz");
    expect_ok(r, &f, 3);
    assert_string_equal(f.title, "  a title \t");
    assert_int_equal(f.line, 2);
    assert_int_equal(f.index, 0);
    assert_false(f.has_charge || f.has_mult || f.has_cell);
    assert_true(f.charge == 0.0 && f.mult == 1.0);
    expect_ok(r, &f, 1);
    assert_string_equal(f.title, "");
    assert_int_equal(f.line, 8);
    assert_int_equal(f.index, 1);
    assert_int_equal(f.numbers[0], 2);
    assert_true(f.coord[0] == 1 && f.coord[1] == 2 && f.coord[2] == 3);
    assert_string_equal(aimnet_reader_format(r), "xyz");
    expect_end(r, &f);
}

static void a_frame_gives_a_system_that_borrows_it(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("3\nLattice=\"9 0 0 0 9 0 0 0 9\" pbc=\"T F T\" charge=-1 mult=2\n" WATER, "xyz", &f,
             3);
    aimnet_system s = aimnet_frame_system(&f);
    assert_ptr_equal(s.numbers, f.numbers);
    assert_ptr_equal(s.coord, f.coord);
    assert_ptr_equal(s.cell, f.cell);
    assert_true(s.n_atoms == 3 && s.pbc[0] == 1 && s.pbc[1] == 0 && s.pbc[2] == 1 &&
                s.charge == -1.0 && s.mult == 2.0);
    f.pbc[0] = f.pbc[2] = 0;
    s = aimnet_frame_system(&f);
    assert_null(s.cell); /* a Lattice without periodic axes is no cell */
    aimnet_frame_free(&f);
    aimnet_frame_free(NULL);
}

/* charge and mult that a comment gives; 99 stands for "not given" */
static void expect_totals(const char *comment, double charge, double mult, int warned)
{
    char text[512];
    aimnet_frame f = {0};
    snprintf(text, sizeof text, "1\n%s\nO 0 0 0\n", comment);
    read_one(text, "xyz", &f, 1);
    if (f.has_charge != (charge != 99) || f.has_mult != (mult != 99) ||
        (f.has_charge && f.charge != charge) || (f.has_mult && f.mult != mult) ||
        (f.warnings[0] != '\0') != warned)
        fail_msg("\"%s\": charge %d %g, mult %d %g, warnings \"%s\"", comment, f.has_charge,
                 f.charge, f.has_mult, f.mult, f.warnings);
    aimnet_frame_free(&f);
}

static void charge_and_multiplicity_come_from_keys_and_never_from_prose(void **state)
{
    (void)state;
    expect_totals("charge=1", 1, 99, 0);
    expect_totals("charge=+1 mult=2.0", 1, 2, 0);
    expect_totals("CHARGE=-2, Multiplicity=3", -2, 3, 0);
    expect_totals("charge=1, mult=2,", 1, 2, 0);
    expect_totals("\"charge\"='-1'", -1, 99, 0);
    expect_totals("charge=0.5 " HEAD, 0.5, 99, 0);
    expect_totals("charge=1 total_charge=1", 1, 99, 0);
    expect_totals("anion charge=-1", -1, 99, 0);
    expect_totals("charge", 99, 99, 0);
    expect_totals("charge 1 mult 2", 99, 99, 0);
    expect_totals("charge: -1", 99, 99, 0);
    expect_totals("net_charge=1 charge_a=2 xcharge=3 charges=4", 99, 99, 0);
    expect_totals("title=\"charge=3 mult=5\"", 99, 99, 0);
    expect_totals("Mulliken charge=0.32 on C1", 99, 99, 1);
    expect_totals("a charge=unknown thing", 99, 99, 1);
    expect_totals("high spin=up state", 99, 99, 1);
    expect_totals("spin=0 " HEAD, 99, 99, 1);
    expect_totals("spin=2 mult=3", 99, 3, 1);
    expect_totals("multiplicity=3 mult=3", 99, 3, 0);
}

static void contradictions_and_nonsense_in_extended_comments_are_errors(void **state)
{
    (void)state;
    refuse_one("1\ncharge=1 Charge=2\nO 0 0 0\n", "xyz", 2, "twice");
    refuse_one("1\nmult=1 multiplicity=3\nO 0 0 0\n", "xyz", 2, "twice");
    refuse_one("1\ncharge=one\nO 0 0 0\n", "xyz", 2, "charge");
    refuse_one("1\ncharge=\nO 0 0 0\n", "xyz", 2, "charge");
    refuse_one("1\ncharge=\"1 2\"\nO 0 0 0\n", "xyz", 2, "charge");
    refuse_one("1\ncharge=inf\nO 0 0 0\n", "xyz", 2, "charge");
    refuse_one("1\nmult=-1\nO 0 0 0\n", "xyz", 2, "at least 1");
    refuse_one("1\nLattice=1\nO 0 0 0\n", "xyz", 2, "nine");
    refuse_one("1\nLattice=\"1 2 3 4 5 6 7 8 9 10\"\nO 0 0 0\n", "xyz", 2, "nine");
    refuse_one("1\nProperties=pos\nO 0 0 0\n", "xyz", 2, "type");
    refuse_one("1\nProperties=species:S:1:pos:R:99999999999\nO 0 0 0\n", "xyz", 2, "columns");
    refuse_one("1\nProperties=species:S:1:pos:R:3:pos:R:3\nO 0 0 0\n", "xyz", 2, "once");
    refuse_one("1\nProperties=species:S:1:pos:R:3:x:R:-1\nO 0 0 0\n", "xyz", 2, "positive");
    refuse_one("1\npbc=\"T T T\"\nO 0 0 0\n", "xyz", 2, "Lattice");
}

static void a_lattice_in_lower_case_counts_when_it_is_one(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("1\nlattice=\"1 0 0 0 2 0 0 0 3\" " HEAD "\nO 0 0 0\n", "xyz", &f, 1);
    assert_true(f.has_cell && f.pbc[0] && f.cell[8] == 3.0);
    read_one("1\nlattice=fcc\nO 0 0 0\n", "xyz", &f, 1);
    assert_false(f.has_cell);
    aimnet_frame_free(&f);
}

static void periodicity_in_prose_is_ignored_with_a_warning(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("1\nno box, pbc=none today\nO 0 0 0\n", "xyz", &f, 1);
    assert_non_null(strstr(f.warnings, "pbc"));
    read_one("1\nbox lost, pbc=T\nO 0 0 0\n", "xyz", &f, 1);
    assert_non_null(strstr(f.warnings, "Lattice"));
    assert_false(f.pbc[0] || f.pbc[1] || f.pbc[2]);
    aimnet_frame_free(&f);
}

static void a_cut_last_number_is_suspected_when_it_is_shorter(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("2\n\nH 0.0000 0.0000 0.0000\nH 0.0000 0.0000 0.74", "xyz", &f, 2);
    assert_non_null(strstr(f.warnings, "cut off"));
    read_one("2\n\nH 0.0000 0.0000 0.0000\nH 0.0000 0.0000 0.7400", "xyz", &f, 2);
    assert_string_equal(f.warnings, "");
    read_one("2\n\nH 0 0 0.0000\nH 0 0 0.74\n", "xyz", &f, 2);
    assert_string_equal(f.warnings, "");
    aimnet_frame_free(&f);
}

/* Whatever is lost, no frame ever gets another frame's atoms. Frame k of a file has k atoms, all at
 * x = k. */
static void put_frame(char *text, int k, int announced, int damaged_line)
{
    char line[64];
    snprintf(line, sizeof line, "%d\nframe %d\n", announced, k);
    strcat(text, line);
    for (int i = 1; i <= k; i++) {
        snprintf(line, sizeof line, i == damaged_line ? "H %d ? 0\n" : "H %d 0 0\n", k);
        strcat(text, line);
    }
}

static void expect_only_true_frames(aimnet_reader *r, int good_from, int n)
{
    aimnet_frame f = {0};
    int seen = 0;
    for (aimnet_status status; (status = aimnet_reader_next(r, &f)) != AIMNET_ERR_END;) {
        if (status != AIMNET_OK)
            continue;
        for (int i = 0; i < f.n_atoms; i++)
            assert_true(f.coord[3 * i] == (double)f.n_atoms);
        seen |= 1 << f.n_atoms;
    }
    for (int k = good_from; k <= n; k++)
        if (!(seen & 1 << k))
            fail_msg("frame %d was lost", k);
    aimnet_frame_free(&f);
    aimnet_reader_close(r);
}

static void wrong_counts_and_damaged_lines_cost_one_frame_and_never_misassign_atoms(void **state)
{
    (void)state;
    enum { N = 6 };
    for (int bad = 1; bad < N; bad++)
        for (int wrong = 0; wrong <= 2 * N; wrong++)
            for (int damaged = 0; damaged <= bad; damaged++) {
                char text[2048] = "";
                for (int k = 1; k <= N; k++)
                    put_frame(text, k, k == bad ? wrong : k, k == bad ? damaged : 0);
                expect_only_true_frames(read_text(text, "xyz"), bad + 1, N);
            }
}

static void a_file_cut_anywhere_gives_whole_frames_and_at_most_one_error(void **state)
{
    (void)state;
    char text[2048] = "";
    for (int k = 1; k <= 4; k++)
        put_frame(text, k, k, 0);
    const size_t size = strlen(text);
    for (size_t cut = 1; cut < size; cut++) {
        aimnet_reader *r;
        aimnet_frame f = {0};
        int errors = 0;
        assert_int_equal(aimnet_reader_open_memory(text, cut, "t", "xyz", &r), AIMNET_OK);
        for (aimnet_status status; (status = aimnet_reader_next(r, &f)) != AIMNET_ERR_END;) {
            errors += status != AIMNET_OK;
            for (int i = 0; i < f.n_atoms; i++)
                assert_true(f.coord[3 * i] == (double)f.n_atoms);
        }
        assert_true(errors <= 1);
        aimnet_frame_free(&f);
        aimnet_reader_close(r);
    }
}

static void every_structure_that_is_skipped_over_was_reported(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(
        "1\na\nXx 0 0 0\n\n1\nb\nXx 0 0 0\n>\n2\nc\nH 0 0 0\nXx 0 0 0\n1\nd\nHe 0 0 0\n", "xyz");
    expect_refused(r, &f, 3, "element");
    expect_refused(r, &f, 7, "element");
    assert_int_equal(f.index, 1);
    assert_int_equal(f.line, 5);
    expect_refused(r, &f, 12, "element");
    expect_ok(r, &f, 1);
    assert_int_equal(f.index, 3);
    expect_end(r, &f);
}

static void a_line_too_long_is_refused_and_reading_goes_on(void **state)
{
    (void)state;
    const size_t size = (size_t)AIM_LINE_MAX * 2;
    char *text = malloc(size + 256);
    assert_non_null(text);
    strcpy(text, "1\n");
    memset(text + 2, 'x', size);
    strcpy(text + 2 + size, "\nHe 0 0 0\n3\ngood\n" WATER);
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(text, "xyz");
    expect_refused(r, &f, 2, "longer");
    expect_ok(r, &f, 3);
    expect_end(r, &f);
    memset(text + 2, 'x', AIM_LINE_MAX - 10); /* this long is still good */
    strcpy(text + 2 + AIM_LINE_MAX - 10, "\nHe 0 0 0\n");
    read_one(text, "xyz", &f, 1);
    assert_int_equal(strlen(f.title), AIM_LINE_MAX - 10);
    aimnet_frame_free(&f);
    free(text);
}

#ifndef _WIN32
/* Feeds a pipe from a child of the test: a few bytes at a time. */
static int open_pipe(const char *text, size_t size, size_t step)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        for (size_t i = 0; i < size; i += step)
            if (write(ends[1], text + i, size - i < step ? size - i : step) < 0)
                _exit(1);
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[1]);
    return ends[0];
}

static void a_pipe_is_read_as_it_comes_and_its_counts_are_not_trusted(void **state)
{
    (void)state;
    static const char text[] = "2147483647\nhuge\nH 0 0 0\n3\ngood\n" WATER;
    char path[64];
    const int fd = open_pipe(text, sizeof text - 1, 7);
    aimnet_reader *r;
    aimnet_frame f = {0};
    int64_t done, total;
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    assert_int_equal(aimnet_reader_open(path, NULL, &r), AIMNET_OK);
    assert_int_equal(aimnet_reader_next(r, &f), AIMNET_ERR_FORMAT);
    expect_ok(r, &f, 3);
    aimnet_reader_progress(r, &done, &total);
    assert_int_equal(total, -1);
    assert_int_equal(done, sizeof text - 1);
    expect_end(r, &f);
    close(fd);
}
#endif

static void a_stream_far_larger_than_its_memory_is_read(void **state)
{
    (void)state;
    enum { FRAMES = 3000, ATOMS = 100 };
    char *text = malloc((size_t)FRAMES * (ATOMS + 2) * 32);
    assert_non_null(text);
    size_t size = 0;
    for (int k = 0; k < FRAMES; k++) {
        size += (size_t)sprintf(text + size, "%d\n%d\n", ATOMS, k);
        for (int i = 0; i < ATOMS; i++)
            size += (size_t)sprintf(text + size, "C %d.5 %d.25 -1.125\n", k, i);
    }
    fail_alloc hooks;
    fail_alloc_init(&hooks, 0, 0);
    aimnet_reader *r;
    aimnet_frame f = {0};
    assert_int_equal(aim_reader_open_memory(&hooks.hooks, text, size, "t", NULL, &r), AIMNET_OK);
    for (int k = 0; k < FRAMES; k++) {
        int64_t done, total;
        assert_int_equal(aim_reader_next(r, &f), AIMNET_OK);
        assert_int_equal(f.n_atoms, ATOMS);
        assert_int_equal(f.index, k);
        assert_true(f.coord[0] == k + 0.5 && f.coord[3 * ATOMS - 2] == ATOMS - 0.75);
        aimnet_reader_progress(r, &done, &total);
        assert_true(total == (int64_t)size && done > 0 && done <= total);
    }
    assert_int_equal(aim_reader_next(r, &f), AIMNET_ERR_END);
    aim_frame_free(&f);
    aim_reader_close(r);
    assert_true(size > 4000000 && hooks.peak_bytes < 1000000);
    fail_alloc_assert_clean(&hooks);
    free(text);
}

static size_t pack(const char *text, size_t size, unsigned char *packed, size_t capacity)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)size;
    z.next_out = packed;
    z.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t used = z.total_out;
    deflateEnd(&z);
    return used;
}

static void damaged_gzip_data_are_an_error_and_never_a_wrong_structure(void **state)
{
    (void)state;
    static const char text[] = "3\ngood\n" WATER;
    unsigned char packed[256], copy[256];
    const size_t size = pack(text, sizeof text - 1, packed, sizeof packed);
    for (size_t bit = 16; bit < 8 * size; bit++) {
        aimnet_reader *r;
        aimnet_frame f = {0};
        memcpy(copy, packed, size);
        copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (aimnet_reader_open_memory(copy, size, "t", "xyz", &r) != AIMNET_OK)
            continue;
        for (int i = 0; aimnet_reader_next(r, &f) != AIMNET_ERR_END; i++)
            assert_true(i < 10);
        aimnet_frame_free(&f);
        aimnet_reader_close(r);
    }
}

static void a_decompression_bomb_is_refused(void **state)
{
    (void)state;
    const size_t size = (size_t)100 << 20;
    char *text = malloc(size);
    unsigned char *packed = malloc(1 << 20);
    assert_true(text && packed);
    memset(text, ' ', size);
    memcpy(text, "1\n", 2);
    for (size_t i = 1 << 16; i < size; i += 1 << 16)
        text[i] = '\n';
    const size_t n = pack(text, size, packed, 1 << 20);
    aimnet_reader *r;
    aimnet_frame f = {0};
    assert_int_equal(aimnet_reader_open_memory(packed, n, "t", "xyz", &r), AIMNET_OK);
    aimnet_status status;
    do {
        status = aimnet_reader_next(r, &f);
    } while (status == AIMNET_ERR_FORMAT && !strstr(aimnet_last_error(), "expand"));
    assert_int_equal(status, AIMNET_ERR_FORMAT);
    expect_end(r, &f);
    free(text);
    free(packed);
}

static void formats_are_found_by_content_then_by_name(void **state)
{
    (void)state;
    aimnet_reader *r;
    static const char text[] = "three\nwater\n" WATER;
    assert_int_equal(aimnet_reader_open_memory(text, sizeof text - 1, "a.txt", NULL, &r),
                     AIMNET_ERR_FORMAT);
    assert_null(r);
    assert_int_equal(aimnet_reader_open_memory(text, sizeof text - 1, "a.XYZ.gz", NULL, &r),
                     AIMNET_OK);
    assert_string_equal(aimnet_reader_format(r), "xyz");
    aimnet_reader_close(r);
    assert_int_equal(aimnet_reader_open_memory(text, sizeof text - 1, "a.xyz", "pdb", &r),
                     AIMNET_OK);
    assert_string_equal(aimnet_reader_format(r), "pdb");
    aimnet_reader_close(r);
    assert_int_equal(aimnet_reader_open_memory(text, sizeof text - 1, "a", "extxyz", &r),
                     AIMNET_OK);
    aimnet_reader_close(r);
    assert_int_equal(aimnet_reader_open_memory(text, sizeof text - 1, "a", "mol2", &r),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_reader_open_memory("", 0, "a", NULL, &r), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "empty"));
    assert_int_equal(aimnet_reader_open("/nonexistent/file.xyz", NULL, &r), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_reader_open("/", NULL, &r), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_reader_open(NULL, NULL, &r), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_reader_next(NULL, NULL), AIMNET_ERR_ARG);
    aimnet_reader_close(NULL);
}

static aimnet_status read_everything(const aimnet_allocator *hooks, void *ctx)
{
    const char *text = ctx;
    aimnet_reader *r;
    aimnet_frame f = {0};
    aimnet_status status = aim_reader_open_memory(hooks, text, strlen(text), "t", "xyz", &r);
    if (status != AIMNET_OK)
        return status;
    do {
        status = aim_reader_next(r, &f);
    } while (status == AIMNET_OK || status == AIMNET_ERR_FORMAT);
    aim_frame_free(&f);
    aim_reader_close(r);
    return status == AIMNET_ERR_END ? AIMNET_OK : status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char text[] =
        "3\nLattice=\"9 0 0 0 9 0 0 0 9\" " HEAD " charge=1 spin=2 mult=3\n" WATER
        "2\nbroken\nH 0 0 0\nXx 0 0 0\nlost\n3\nprose with charge=no number and a longer line "
        "than the one before, so that everything has to grow once more to hold it\n" WATER;
    assert_true(fail_alloc_sweep(read_everything, text) > 5);
}

static void after_a_failed_allocation_the_next_frame_can_be_read(void **state)
{
    (void)state;
    static const char text[] = "1\nfirst\nHe 0 0 0\n3\nsecond\n" WATER "1\nthird\nHe 0 0 0\n";
    for (long n = 1;; n++) {
        fail_alloc hooks;
        aimnet_reader *r;
        aimnet_frame f = {0};
        int good = 0, failed = 0;
        fail_alloc_init(&hooks, n, 0);
        if (aim_reader_open_memory(&hooks.hooks, text, sizeof text - 1, "t", "xyz", &r) !=
            AIMNET_OK)
            continue;
        for (aimnet_status s; (s = aim_reader_next(r, &f)) != AIMNET_ERR_END;) {
            good += s == AIMNET_OK;
            failed += s != AIMNET_OK;
        }
        const int done = hooks.failed == 0;
        aim_frame_free(&f);
        aim_reader_close(r);
        fail_alloc_assert_clean(&hooks);
        assert_true(good + failed == 3 && failed == !done);
        if (done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(title_line_and_index_say_where_a_frame_is),
        cmocka_unit_test(a_frame_gives_a_system_that_borrows_it),
        cmocka_unit_test(charge_and_multiplicity_come_from_keys_and_never_from_prose),
        cmocka_unit_test(contradictions_and_nonsense_in_extended_comments_are_errors),
        cmocka_unit_test(a_lattice_in_lower_case_counts_when_it_is_one),
        cmocka_unit_test(periodicity_in_prose_is_ignored_with_a_warning),
        cmocka_unit_test(a_cut_last_number_is_suspected_when_it_is_shorter),
        cmocka_unit_test(wrong_counts_and_damaged_lines_cost_one_frame_and_never_misassign_atoms),
        cmocka_unit_test(a_file_cut_anywhere_gives_whole_frames_and_at_most_one_error),
        cmocka_unit_test(every_structure_that_is_skipped_over_was_reported),
        cmocka_unit_test(a_line_too_long_is_refused_and_reading_goes_on),
#ifndef _WIN32
        cmocka_unit_test(a_pipe_is_read_as_it_comes_and_its_counts_are_not_trusted),
#endif
        cmocka_unit_test(a_stream_far_larger_than_its_memory_is_read),
        cmocka_unit_test(damaged_gzip_data_are_an_error_and_never_a_wrong_structure),
        cmocka_unit_test(a_decompression_bomb_is_refused),
        cmocka_unit_test(formats_are_found_by_content_then_by_name),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(after_a_failed_allocation_the_next_frame_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

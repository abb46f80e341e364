/* SPDX-License-Identifier: MIT */
/* test_xyz_write.c - extended XYZ as it is written: read back bit by bit, by this library and by
 * ASE.
 *
 * tests/golden/written/results.extxyz is what this test must produce to the byte; results.ase is
 * what ASE 3.29 read in it (tests/reference/read_written.py), in the format that the script
 * describes. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "io/reader.h"
#include "io/writer.h"
#include "read_support.h"

#define GOLDEN AIM_SOURCE_DIR "/tests/golden/written/results"

enum { N = 3, MAX_FILE = 1 << 20 };

typedef struct results {
    double forces[3 * N], charges[N], dipole[3], stress[9];
    aimnet_result result;
} results;

static const char *const comments[] = {
    "free text: \"quoted\", {brackets}, back\\slash, k=v",
    "Lattice=\"8 0 0 0 9 0 0.5 0 10\" pbc=\"T F T\" Properties=species:S:1:pos:R:3 name=water "
    "energy=-1.5 charge=1 mult=2 flag array=\"1 2 3\"",
    "Lattice=\"8 0 0 0 9 0 0 0 10\" pbc=\"F F F\" note={a \"b\" c=d} empty='' Stress=5 stress=\"1 "
    "2 3 4 5 6 7 8 9\" spin=3 path=C:\\\\dir",
    "",
    "a=1 a=2 total_charge=-2 mult=1 spin=3 comment=\"tab\there\"",
};
enum { N_COMMENTS = sizeof comments / sizeof *comments };

static void fill(results *r, int k)
{
    *r = (results){.result = {.status = AIMNET_OK}};
    for (int i = 0; i < 3 * N; i++)
        r->forces[i] = ((i * 37 + k * 11) % 101 - 50) / 77.0;
    for (int i = 0; i < N; i++)
        r->charges[i] = ((i * 13 + k * 5) % 17 - 8) / 3000.0;
    for (int i = 0; i < 3; i++)
        r->dipole[i] = 0.1 * (i + 1) + k;
    for (int i = 0; i < 9; i++)
        r->stress[i] = 1e-5 * (i % 3 * 3 + i / 3 + i + k); /* symmetric */
    r->result.energy = -2081.1162346789123 - k / 7.0;
    r->result.forces = k != 3 ? r->forces : NULL;
    r->result.charges = k != 0 ? r->charges : NULL;
    r->result.dipole = r->dipole;
    r->result.stress = r->stress;
}

static void read_comment(const char *comment, aimnet_frame *f)
{
    char text[1024];
    snprintf(text, sizeof text,
             "3\n%s\nO 0.1 -0.30000000000000004 0.11779\nH 0 0.755453 1e-300\nCl "
             "12345.678901234567 -0.0 3\n",
             comment);
    read_one(text, "xyz", f, N);
}

static void write_all(const char *path)
{
    aimnet_writer *w;
    assert_int_equal(aimnet_writer_open(path, &w), AIMNET_OK);
    for (int k = 0; k < N_COMMENTS; k++) {
        results r;
        aimnet_frame f = {0};
        fill(&r, k);
        read_comment(comments[k], &f);
        assert_int_equal(aimnet_writer_frame(w, &f, &r.result), AIMNET_OK);
        aimnet_frame_free(&f);
    }
    if (aimnet_writer_close(w, 1) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(MAX_FILE);
    assert_true(file && text);
    text[fread(text, 1, MAX_FILE - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void the_file_is_the_golden_one_to_the_byte(void **state)
{
    (void)state;
    write_all(AIM_TEST_TMP "/results.extxyz");
    char *written = read_whole(AIM_TEST_TMP "/results.extxyz"),
         *golden = read_whole(GOLDEN ".extxyz");
    assert_string_equal(written, golden);
    free(written);
    free(golden);
}

/* Compares n numbers of the next line, which begins with the word. */
static void expect_line(char **rest, const char *word, const double *x, int n)
{
    const size_t size = strlen(word);
    if (strncmp(*rest, word, size) != 0)
        fail_msg("expected \"%s\", found \"%.40s\"", word, *rest);
    *rest += size;
    for (int i = 0; i < n; i++) {
        const double value = strtod(*rest, rest);
        if (!(value == x[i]))
            fail_msg("%s: ASE read %.17g, expected %.17g", word, value, x[i]);
    }
    assert_int_equal(**rest, '\n');
    ++*rest;
}

static void ase_reads_every_number_as_it_was(void **state)
{
    (void)state;
    char *text = read_whole(GOLDEN ".ase"), *rest = text;
    for (int k = 0; k < N_COMMENTS; k++) {
        results r;
        aimnet_frame f = {0};
        fill(&r, k);
        read_comment(comments[k], &f);
        const double numbers[N] = {f.numbers[0], f.numbers[1], f.numbers[2]},
                     pbc[3] = {f.pbc[0], f.pbc[1], f.pbc[2]};
        const double *s = r.stress, voigt[6] = {s[0], s[4], s[8], s[5], s[2], s[1]};
        expect_line(&rest, "numbers", numbers, N);
        expect_line(&rest, "positions", f.coord, 3 * N);
        expect_line(&rest, "cell", f.cell, 9);
        expect_line(&rest, "pbc", pbc, 3);
        expect_line(&rest, "charge", &f.charge, 1);
        expect_line(&rest, "mult", &f.mult, 1);
        expect_line(&rest, "energy", &r.result.energy, 1);
        expect_line(&rest, "forces", r.forces, r.result.forces ? 3 * N : 0);
        expect_line(&rest, "charges", r.charges, r.result.charges ? N : 0);
        expect_line(&rest, "dipole", r.dipole, 3);
        expect_line(&rest, "stress", voigt, pbc[0] + pbc[1] + pbc[2] > 0.0 ? 6 : 0);
        rest = strchr(rest, '\n') + 1; /* what else ASE found: for people */
        aimnet_frame_free(&f);
    }
    assert_int_equal(*rest, '\0');
    free(text);
}

/* The comment line that is written for a frame with this comment and no results. */
static void written_comment(const char *comment, char line[1024])
{
    aimnet_frame f = {0};
    aimnet_writer *w;
    read_comment(comment, &f);
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/one.xyz", &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    aimnet_frame_free(&f);
    char *text = read_whole(AIM_TEST_TMP "/one.xyz");
    char *begin = strchr(text, '\n') + 1;
    snprintf(line, 1024, "%.*s", (int)strcspn(begin, "\n"), begin);
    free(text);
}

static void what_the_input_said_is_kept_once(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"hello world", "charge=0 mult=1 pbc=\"F F F\" title=\"hello world\""},
        {"k=v n=\"1 2\" f={x y}", "charge=0 mult=1 pbc=\"F F F\" k=v n=\"1 2\" f=\"x y\""},
        {"energy=5 Charge=1 MULT=2 spin=2", "charge=1 mult=2 pbc=\"F F F\" energy=5 spin=2"},
        {"spin=2 charge=1", "charge=1 mult=2 pbc=\"F F F\""},
        {"a=1 b=2 a=3", "charge=0 mult=1 pbc=\"F F F\" b=2 a=3"},
        {"  two  blanks  ", "charge=0 mult=1 pbc=\"F F F\" title=\"two  blanks\""},
        {"\xe6\xb0\xb4 \xff\x01 \xc3\xa9",
         "charge=0 mult=1 pbc=\"F F F\" title=\"\xe6\xb0\xb4 ?  \xc3\xa9\""},
        {"e=''", "charge=0 mult=1 pbc=\"F F F\" e=\" \""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[1024], again[1024];
        const char *expected = cases[i][1];
        written_comment(cases[i][0], line);
        assert_int_equal(strncmp(line, "Properties=species:S:1:pos:R:3 ", 31), 0);
        assert_string_equal(line + 31, expected);
        written_comment(line, again); /* what was written is written again */
        assert_string_equal(again, line);
    }
}

static int count_files(void)
{
    int count = 0;
    for (int n = 0; n < 10; n++) {
        char path[512];
        snprintf(path, sizeof path, AIM_TEST_TMP "/target.xyz.tmp%ld-%d", (long)getpid(), n);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void the_target_changes_at_commit_and_not_before(void **state)
{
    (void)state;
    const char *path = AIM_TEST_TMP "/target.xyz";
    aimnet_writer *w;
    aimnet_frame f = {0};
    FILE *old = fopen(path, "wb");
    assert_non_null(old);
    fputs("old\n", old);
    fclose(old);
    assert_int_equal(chmod(path, 0640), 0);
    read_comment("new", &f);
    for (int commit = 0; commit <= 1; commit++) {
        assert_int_equal(aimnet_writer_open(path, &w), AIMNET_OK);
        assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_OK);
        assert_int_equal(count_files(), 1);
        char *text = read_whole(path);
        assert_string_equal(text, "old\n");
        free(text);
        assert_int_equal(aimnet_writer_close(w, commit), AIMNET_OK);
        assert_int_equal(count_files(), 0);
        text = read_whole(path);
        assert_int_equal(strcmp(text, "old\n") == 0, !commit);
        free(text);
    }
#ifndef _WIN32
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
#endif
    aimnet_frame_free(&f);
}

#ifndef _WIN32
static void a_link_is_followed_and_a_device_is_written_directly(void **state)
{
    (void)state;
    const char *path = AIM_TEST_TMP "/target.xyz", *name = AIM_TEST_TMP "/link.xyz";
    aimnet_writer *w;
    struct stat info;
    unlink(name);
    fclose(fopen(path, "wb"));
    assert_int_equal(symlink("target.xyz", name), 0);
    assert_int_equal(aimnet_writer_open(name, &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    assert_int_equal(lstat(name, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(aimnet_writer_open("/dev/null", &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}
#endif

static void failures_are_reported_and_leave_nothing_behind(void **state)
{
    (void)state;
    aimnet_writer *w;
    aimnet_frame f = {0};
    assert_int_equal(aimnet_writer_open("/nonexistent/x.xyz", &w), AIMNET_ERR_FILE);
    assert_null(w);
    assert_int_equal(aimnet_writer_open("/", &w), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_writer_open(NULL, &w), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_writer_close(NULL, 1), AIMNET_OK);
    read_comment("full", &f);
    if (access("/dev/full", W_OK) == 0) { /* a full disk */
        assert_int_equal(aimnet_writer_open("/dev/full", &w), AIMNET_OK);
        assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_ERR_FILE);
        assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_ERR_FILE);
        assert_int_equal(aimnet_writer_close(w, 1), AIMNET_ERR_FILE);
    }
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/target.xyz", &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_OK);
    f.coord[4] = NAN;
    assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_ERR_ARG);
    f.coord[4] = 0.0;
    f.numbers[2] = 0;
    assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_ERR_ARG);
    f.numbers[2] = 1;
    assert_int_equal(aimnet_writer_frame(w, &f, NULL), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    aimnet_frame_free(&f);
    aimnet_reader *r; /* the two good ones are there, whole */
    assert_int_equal(aimnet_reader_open(AIM_TEST_TMP "/target.xyz", NULL, &r), AIMNET_OK);
    expect_ok(r, &f, N);
    expect_ok(r, &f, N);
    expect_end(r, &f);
}

static void spin_charges_of_open_shell_models_are_a_column(void **state)
{
    (void)state;
    aimnet_writer *w;
    aimnet_frame f = {0};
    results r;
    double spin[] = {0.5, 0.25, -0.125};
    fill(&r, 1);
    r.result.charges = NULL;
    r.result.forces = NULL;
    r.result.spin_charges = spin;
    read_comment("radical", &f);
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/spin.xyz", &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_frame(w, &f, &r.result), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    char *text = read_whole(AIM_TEST_TMP "/spin.xyz");
    assert_non_null(strstr(text, "Properties=species:S:1:pos:R:3:spin_charges:R:1 "));
    assert_non_null(strstr(text, " 0.5\nH "));
    assert_non_null(strstr(text, " -0.125\n"));
    free(text);
    aimnet_frame_free(&f);
}

static void a_failed_result_writes_no_numbers_and_no_stale_ones(void **state)
{
    (void)state;
    aimnet_writer *w;
    aimnet_frame f = {0};
    results r;
    fill(&r, 1);
    r.result.status = AIMNET_ERR_SYSTEM;
    read_comment("energy=-5 name=x", &f);
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/failed.xyz", &w), AIMNET_OK);
    assert_int_equal(aimnet_writer_frame(w, &f, &r.result), AIMNET_OK);
    assert_int_equal(aimnet_writer_close(w, 1), AIMNET_OK);
    char *text = read_whole(AIM_TEST_TMP "/failed.xyz");
    assert_null(strstr(text, "energy"));
    assert_null(strstr(text, "forces"));
    assert_non_null(strstr(text, "name=x"));
    free(text);
    aimnet_frame_free(&f);
}

static aimnet_status write_something(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_writer *w;
    results r;
    fill(&r, 1);
    aimnet_status status = aim_writer_open(hooks, AIM_TEST_TMP "/target.xyz", &w);
    if (status != AIMNET_OK)
        return status;
    status = aim_writer_frame(w, ctx, &r.result);
    const aimnet_status closed = aim_writer_close(w, status == AIMNET_OK);
    return status != AIMNET_OK ? status : closed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_comment(comments[1], &f);
    assert_true(fail_alloc_sweep(write_something, &f) > 5);
    assert_int_equal(count_files(), 0);
    aimnet_frame_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_the_golden_one_to_the_byte),
        cmocka_unit_test(ase_reads_every_number_as_it_was),
        cmocka_unit_test(what_the_input_said_is_kept_once),
        cmocka_unit_test(the_target_changes_at_commit_and_not_before),
#ifndef _WIN32
        cmocka_unit_test(a_link_is_followed_and_a_device_is_written_directly),
#endif
        cmocka_unit_test(failures_are_reported_and_leave_nothing_behind),
        cmocka_unit_test(spin_charges_of_open_shell_models_are_a_column),
        cmocka_unit_test(a_failed_result_writes_no_numbers_and_no_stale_ones),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

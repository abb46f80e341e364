/* SPDX-License-Identifier: MIT */
/* test_zip.c - the directory of torch archives (src/io/zip.c): what torch.save wrote, what it may
 * write, and what must be refused. */
#include "torch_writer.h"

#include <stdio.h>

#include "io/zip.h"

static aim_alloc heap(void)
{
    return aim_alloc_default();
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static torch_zip small_archive(torch_zip how)
{
    torch_zip_text(&how, "a/data.pkl", "the pickle");
    torch_zip_text(&how, "a/byteorder", "little");
    torch_zip_add(&how, "a/data/0", letters, 26);
    torch_zip_text(&how, "a/empty", "");
    torch_zip_text(&how, "a/version", "3\n");
    torch_zip_finish(&how);
    return how;
}

static void assert_small_archive(const aim_zip *zip)
{
    assert_int_equal(zip->n_entries, 5);
    const aim_zip_entry *e = aim_zip_find(zip, (aim_slice){"a/data/0", 8});
    assert_non_null(e);
    assert_int_equal(e->size, 26);
    assert_memory_equal(e->data, letters, 26);
    assert_int_equal(aim_zip_find(zip, (aim_slice){"a/empty", 7})->size, 0);
    assert_null(aim_zip_find(zip, (aim_slice){"a/data/1", 8}));
    assert_null(aim_zip_find(zip, (aim_slice){"a/data/", 7}));
    assert_true(aim_slice_is(zip->entry[1].name, "a/byteorder"));
}

static void assert_refused(const torch_buffer *file, const char *why)
{
    const aim_alloc a = heap();
    aim_zip zip;
    assert_int_equal(aim_zip_open(&a, file->at, file->n, &zip), AIMNET_ERR_FORMAT);
    assert_null(zip.entry);
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
}

/* ---------------------------------------------------------------- accepted */

static void every_layout_that_torch_writes_is_read(void **state)
{
    (void)state;
    const aim_alloc a = heap();
    for (int k = 0; k < 16; k++) {
        torch_zip z = small_archive((torch_zip){.descriptor = k & 1,
                                                .wide = (k >> 1) & 1,
                                                .plain_end = (k >> 2) & 1,
                                                .align = k & 8 ? 4096 : 64});
        aim_zip zip;
        assert_int_equal(aim_zip_open(&a, z.file.at, z.file.n, &zip), AIMNET_OK);
        assert_small_archive(&zip);
        aim_zip_free(&zip, &a);
        torch_buffer_free(&z.file);
    }
}

static void the_default_model_has_39_aligned_entries(void **state)
{
    (void)state;
    const aim_alloc a = heap();
    torch_buffer file = torch_read_file(AIM_SOURCE_DIR "/data/default.pt");
    aim_zip zip;
    assert_int_equal(aim_zip_open(&a, file.at, file.n, &zip), AIMNET_OK);
    assert_int_equal(zip.n_entries, 39);
    for (size_t i = 0; i < zip.n_entries; i++)
        assert_int_equal((size_t)(zip.entry[i].data - file.at) % 64, 0);
    const aim_zip_entry *e = aim_zip_find(&zip, (aim_slice){"archive/byteorder", 17});
    assert_non_null(e);
    assert_memory_equal(e->data, "little", 6);
    aim_zip_free(&zip, &a);
    torch_buffer_free(&file);
}

/* ---------------------------------------------------------------- damaged */

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    torch_zip z = small_archive((torch_zip){.descriptor = 1});
    const aim_alloc a = heap();
    for (size_t n = 0; n < z.file.n; n++) {
        unsigned char *exact = malloc(n ? n : 1); /* so that reading behind the end is seen */
        aim_zip zip;
        memcpy(exact, z.file.at, n);
        assert_int_equal(aim_zip_open(&a, exact, n, &zip), AIMNET_ERR_FORMAT);
        free(exact);
    }
    torch_buffer_free(&z.file);
}

/* Every bit; what is still accepted (dates, padding, attributes) must give the same entries. */
static void a_flipped_bit_is_refused_or_changes_no_entry(void **state)
{
    (void)state;
    const aim_alloc a = heap();
    for (int k = 0; k < 8; k++) {
        torch_zip z = small_archive(
            (torch_zip){.descriptor = k & 1, .wide = (k >> 1) & 1, .plain_end = (k >> 2) & 1});
        for (size_t bit = 0; bit < 8 * z.file.n; bit++) {
            aim_zip zip;
            z.file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
            if (aim_zip_open(&a, z.file.at, z.file.n, &zip) == AIMNET_OK) {
                assert_small_archive(&zip);
                aim_zip_free(&zip, &a);
            }
            z.file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        torch_buffer_free(&z.file);
    }
}

/* All fields of 2, 4 and 8 bytes at all positions at their extremes. */
static void extreme_values_in_any_field_are_refused_or_change_no_entry(void **state)
{
    (void)state;
    static const uint64_t extremes[] = {
        0, 1, 2, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX - 1, UINT64_MAX};
    static const size_t widths[] = {2, 4, 8};
    const aim_alloc a = heap();
    torch_zip z = small_archive((torch_zip){.descriptor = 1, .wide = 1});
    for (size_t at = 0; at + 8 <= z.file.n; at++)
        for (size_t k = 0; k < 21; k++) {
            unsigned char saved[8];
            aim_zip zip;
            const size_t width = widths[k / 7];
            uint64_t value = extremes[k % 7];
            if (value > 0xffff && width < 8) /* the same extremes of the narrower field */
                value >>= 64 - 8 * width;
            memcpy(saved, z.file.at + at, sizeof saved);
            for (size_t i = 0; i < width; i++)
                z.file.at[at + i] = (unsigned char)(value >> (8 * i));
            if (aim_zip_open(&a, z.file.at, z.file.n, &zip) == AIMNET_OK) {
                assert_small_archive(&zip);
                aim_zip_free(&zip, &a);
            }
            memcpy(z.file.at + at, saved, sizeof saved);
        }
    torch_buffer_free(&z.file);
}

static void random_bytes_are_refused(void **state)
{
    (void)state;
    unsigned char noise[300];
    uint32_t seed = 1;
    const aim_alloc a = heap();
    for (int k = 0; k < 2000; k++) {
        aim_zip zip;
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
        if (k % 2)
            memcpy(noise, "PK\3\4", 4);
        memcpy(noise + sizeof noise - 22, "PK\5\6\0\0\0\0", 8);
        assert_int_equal(aim_zip_open(&a, noise, sizeof noise, &zip), AIMNET_ERR_FORMAT);
    }
}

/* ---------------------------------------------------------------- refused by name */

static void unsafe_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"/etc/passwd", "a/../b", "..", "../x", "a/..", "a\\b",
                                        "c:x",         "a//b",   "a/", "",     "a\nb", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        torch_zip z = {.descriptor = 1};
        torch_zip_text(&z, names[i], "x");
        torch_zip_finish(&z);
        assert_refused(&z.file, "not a plain relative path");
        torch_buffer_free(&z.file);
    }
    torch_zip z = {.descriptor = 1};
    torch_zip_text(&z, "a/..b/.c/...", "x");
    torch_zip_finish(&z);
    aim_zip zip;
    const aim_alloc a = heap();
    assert_int_equal(aim_zip_open(&a, z.file.at, z.file.n, &zip), AIMNET_OK);
    aim_zip_free(&zip, &a);
    torch_buffer_free(&z.file);
}

static void duplicate_names_are_refused(void **state)
{
    (void)state;
    torch_zip z = {.descriptor = 1};
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "a/%d", i * 37 % 99);
        torch_zip_text(&z, name, "x");
    }
    torch_zip_finish(&z);
    assert_refused(&z.file, "'a/0' occurs twice");
    torch_buffer_free(&z.file);
}

static void set_le(unsigned char *at, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static void what_torch_does_not_write_is_refused_by_name(void **state)
{
    (void)state;
    const struct {
        size_t at; /* in the first directory record */
        uint64_t value;
        size_t n;
        const char *why;
    } cases[] = {{8, 0x0809, 2, "encrypted"},
                 {10, 9, 2, "compression method 9"},
                 {10, 8, 2, "disagree on flags or method"},
                 {8, 0x0848, 2, "flags"},
                 {32, 1, 2, "comment"},
                 {34, 1, 2, "disk number"},
                 {20, 9, 4, "two different sizes"},
                 {42, 1, 4, "overlap, leave gaps"},
                 {28, 0, 2, "not a plain"},
                 {28, 65535, 2, "longer than"},
                 {16, 0, 4, "no CRC-32"},
                 {0, 0x02014b51, 4, "is malformed"},
                 {30, 3, 2, "extra field"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        torch_zip z = small_archive((torch_zip){0});
        unsigned char *record = z.file.at + z.start[z.count];
        set_le(record + cases[i].at, cases[i].value, cases[i].n);
        if (cases[i].at == 16) /* the local header as well, as torch does without checksums */
            set_le(z.file.at + 14, 0, 4);
        assert_refused(&z.file, cases[i].why);
        torch_buffer_free(&z.file);
    }
}

/* The directory record of entry k, and the end record, of an archive without zip64. */
static unsigned char *central(const torch_zip *z, int k)
{
    unsigned char *p = z->file.at + z->start[z->count];
    for (; k > 0; k--)
        p += 46 + p[28] + p[30] + p[32];
    return p;
}

static unsigned char *end_record(const torch_zip *z)
{
    return z->file.at + z->file.n - 22;
}

static void directories_that_cannot_hold_their_entries_are_refused(void **state)
{
    (void)state;
    torch_zip z = small_archive((torch_zip){.plain_end = 1});
    set_le(end_record(&z) + 8, 1000, 2);
    set_le(end_record(&z) + 10, 1000, 2);
    assert_refused(&z.file, "does not fit");
    torch_buffer_free(&z.file);

    z = (torch_zip){.plain_end = 1}; /* room for two records, but it is one */
    torch_zip_text(&z, "a/a_name_that_is_longer_than_a_record_of_the_directory_without_its_name",
                   "");
    torch_zip_finish(&z);
    set_le(end_record(&z) + 8, 2, 2);
    set_le(end_record(&z) + 10, 2, 2);
    assert_refused(&z.file, "directory record is malformed");
    torch_buffer_free(&z.file);

    /* the locator of zip64 so near to the start that no record has room in front of it */
    torch_buffer b = {0};
    torch_put(&b, "PK\3\4....", 8);
    torch_put(&b, "PK\6\7\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0", 20);
    torch_put(&b, "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    assert_refused(&b, "zip64 locator");
    torch_buffer_free(&b);
}

/* A saturated size, whose 64 bits are cut off. */
static void zip64_fields_must_hold_what_is_missing(void **state)
{
    (void)state;
    torch_zip z = {.plain_end = 1};
    torch_zip_text(&z, "a/1-extra-in", "x"); /* the last 8 bytes of the name become the field */
    torch_zip_finish(&z);
    unsigned char *c = central(&z, 0);
    set_le(c + 24, UINT32_MAX, 4);
    set_le(c + 28, 4, 2);
    set_le(c + 30, 8, 2);
    set_le(c + 46 + 4, 1, 2);
    set_le(c + 46 + 6, 4, 2);
    assert_refused(&z.file, "64-bit size is missing");
    torch_buffer_free(&z.file);
}

/* Two compressed entries that are small enough alone. */
static void compressed_entries_have_a_limit_together(void **state)
{
    (void)state;
    static const unsigned char packed[] = {1, 1, 0, 0xfe, 0xff, 'x'};
    torch_zip z = {.plain_end = 1};
    torch_zip_add(&z, "a/1", packed, sizeof packed);
    torch_zip_add(&z, "a/2", packed, sizeof packed);
    torch_zip_finish(&z);
    for (int k = 0; k < 2; k++) {
        unsigned char *headers[] = {z.file.at + z.start[k] + 8, central(&z, k) + 10};
        for (int i = 0; i < 2; i++) {
            set_le(headers[i], 8, 2);
            set_le(headers[i] + 6, 0x8cdc1683, 4); /* CRC-32 of "x" */
            set_le(headers[i] + 14, k == 0 ? 1 : 16 << 20, 4);
        }
    }
    assert_refused(&z.file, "more than 16 MiB");
    torch_buffer_free(&z.file);
}

static void a_wrong_checksum_is_refused(void **state)
{
    (void)state;
    torch_zip z = small_archive((torch_zip){.descriptor = 1});
    for (size_t i = 0; i + 5 < z.file.n; i++)
        if (memcmp(z.file.at + i, "lmnop", 5) == 0)
            z.file.at[i] ^= 1;
    assert_refused(&z.file, "archive entry 'a/data/0': CRC-32 is");
    torch_buffer_free(&z.file);
}

static void bytes_that_belong_to_no_entry_are_refused(void **state)
{
    (void)state;
    torch_zip z = {.descriptor = 1};
    torch_zip_text(&z, "a/1", "x");
    torch_put(&z.file, "hidden", 6);
    torch_zip_text(&z, "a/2", "y");
    torch_zip_finish(&z);
    assert_refused(&z.file, "belong to nothing");
    torch_buffer_free(&z.file);

    z = (torch_zip){.descriptor = 1};
    torch_put(&z.file, "PK\3\4program in front", 20);
    torch_zip_text(&z, "a/1", "x");
    torch_zip_finish(&z);
    assert_refused(&z.file, "overlap, leave gaps");
    torch_buffer_free(&z.file);

    z = small_archive((torch_zip){.descriptor = 1});
    torch_put(&z.file, "!", 1);
    assert_refused(&z.file, "end record is missing");
    torch_buffer_free(&z.file);
}

static void other_files_are_not_archives(void **state)
{
    (void)state;
    torch_buffer b = {0};
    torch_put(&b, "3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n", 27);
    assert_refused(&b, "not a model file");
    b.n = 0;
    assert_refused(&b, "not a model file");
    torch_buffer_free(&b);
    torch_zip z = {0};
    torch_zip_finish(&z);
    assert_refused(&z.file, "not a model file");
    torch_buffer_free(&z.file);
}

/* ---------------------------------------------------------------- memory */

static aimnet_status open_and_free(const aimnet_allocator *hooks, void *ctx)
{
    const torch_zip *z = ctx;
    aim_zip zip;
    const aim_status status = aim_zip_open(hooks, z->file.at, z->file.n, &zip);
    aim_zip_free(&zip, hooks);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    torch_zip z = small_archive((torch_zip){.descriptor = 1});
    assert_int_equal(fail_alloc_sweep(open_and_free, &z), 2);
    torch_buffer_free(&z.file);
}

static void a_directory_holds_as_many_records_as_are_promised(void **state)
{
    (void)state;
    torch_buffer empty = {0}, twice = {0};
    torch_put(&empty, "PK\003\004", 4);
    torch_put(&empty, "PK\005\006", 4);
    torch_put_le(&empty, 0, 8); /* disks and numbers of entries */
    torch_put_le(&empty, 0, 4); /* size */
    torch_put_le(&empty, 4, 4); /* offset */
    torch_put_le(&empty, 0, 2);
    assert_refused(&empty, "the archive is empty");
    torch_zip z = {.plain_end = 1};
    torch_zip_text(&z, "a/data.pkl", "x");
    torch_zip_finish(&z);
    const size_t begin = z.start[z.count], size = z.file.n - 22 - begin;
    torch_put(&twice, z.file.at, begin + size);
    torch_put(&twice, z.file.at + begin, size); /* the record once more, but one is promised */
    torch_put(&twice, z.file.at + begin + size, 12);
    torch_put_le(&twice, 2 * size, 4);
    torch_put(&twice, z.file.at + begin + size + 16, 6);
    assert_refused(&twice, "belong to no entry");
    torch_buffer_free(&empty);
    torch_buffer_free(&twice);
    torch_buffer_free(&z.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_holds_as_many_records_as_are_promised),
        cmocka_unit_test(every_layout_that_torch_writes_is_read),
        cmocka_unit_test(the_default_model_has_39_aligned_entries),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_is_refused_or_changes_no_entry),
        cmocka_unit_test(extreme_values_in_any_field_are_refused_or_change_no_entry),
        cmocka_unit_test(random_bytes_are_refused),
        cmocka_unit_test(unsafe_names_are_refused),
        cmocka_unit_test(duplicate_names_are_refused),
        cmocka_unit_test(what_torch_does_not_write_is_refused_by_name),
        cmocka_unit_test(directories_that_cannot_hold_their_entries_are_refused),
        cmocka_unit_test(zip64_fields_must_hold_what_is_missing),
        cmocka_unit_test(compressed_entries_have_a_limit_together),
        cmocka_unit_test(a_wrong_checksum_is_refused),
        cmocka_unit_test(bytes_that_belong_to_no_entry_are_refused),
        cmocka_unit_test(other_files_are_not_archives),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

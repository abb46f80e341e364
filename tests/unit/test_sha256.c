/* SPDX-License-Identifier: MIT */
/* test_sha256.c - SHA-256 by the formulas and, where the processor has them, by its instructions,
 * against sha256sum: every length around the block size, fed in pieces of every size. */
#include "fail_alloc.h"

#include "model/sha256.h"

/* The formulas alone, under other names. */
#define AIM_SHA256_PORTABLE 1
#define aim_sha256_begin    portable_begin
#define aim_sha256_add      portable_add
#define aim_sha256_end      portable_end
#define aim_sha256          portable
#include "model/sha256.c" /* NOLINT: the other build of the same file */
#undef aim_sha256_begin
#undef aim_sha256_add
#undef aim_sha256_end
#undef aim_sha256

enum { SIZE = 1000 };

static void fill(unsigned char bytes[SIZE])
{
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
}

static void digests_are_those_of_sha256sum(void **state)
{
    (void)state;
    /* head -c N of the bytes of fill() through sha256sum */
    static const struct {
        size_t n;
        const char *hex;
    } cases[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {55, "576a1bf8d4478657e6dc4af9398544765c2a92cde28478b019235cfed315fc09"},
        {56, "9b20501dfd1d99161c257950f3444f3e49230c351c5c8e0943ef369f85f5205d"},
        {63, "30b345906b493f06f69444b6521113511c242f30e29840462950035043682f1e"},
        {64, "d8bc63b4fc1156e5e7d95a418b9bf54cd3174bedbc2db40f74895349b229b3c0"},
        {65, "1ee23b0fbcaecc1aff4a9e8f1645f35ab2c8e13609cd73b68df8b5e3f63ce073"},
        {119, "7a6589821178918ca8d9edaba5abfc1e9b2669564f4469b66885379c1530b2c8"},
        {120, "655250427d56b1b0eeb8497d21428704273458a01772d6881b65c0abac0f8a98"},
        {128, "54c9eb041badfd7064645067b107661fed6113197ce2dd066ba69618abd3732f"},
        {1000, "c85a431e0fe575b2609289d3a4042414715f400612575a125d2ce5573d608732"},
    };
    unsigned char bytes[SIZE];
    char hex[65];
    fill(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_sha256(bytes, cases[i].n, hex);
        assert_string_equal(hex, cases[i].hex);
        portable(bytes, cases[i].n, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void pieces_and_methods_do_not_matter(void **state)
{
    (void)state;
    unsigned char bytes[SIZE];
    char whole[65], hex[65];
    fill(bytes);
    for (size_t n = 0; n <= SIZE; n += n < 140 ? 1 : 43) {
        portable(bytes, n, whole);
        for (size_t piece = 1; piece <= 200; piece += 13) {
            aim_sha256_stream s = aim_sha256_begin();
            for (size_t at = 0; at < n; at += piece)
                aim_sha256_add(&s, bytes + at, n - at < piece ? n - at : piece);
            aim_sha256_end(&s, hex);
            assert_string_equal(hex, whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_sha256sum),
        cmocka_unit_test(pieces_and_methods_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

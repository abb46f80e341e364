/* SPDX-License-Identifier: MIT */
/* test_json.c - the strict JSON reader (src/io/json.c) and its transcription to a tree
 * (src/io/json_tree.c), against jansson on what is valid and case by case on what is not. */
#include "fail_alloc.h"

#include <jansson.h>
#include <stdio.h>

#include "io/json.h"
#include "io/json_tree.h"

static aim_slice slice(const char *text)
{
    return (aim_slice){text, strlen(text)};
}

/* The status of reading all tokens. */
static aim_status scan(aim_slice text)
{
    aim_json j = aim_json_of(text, "x.json");
    do
        AIM_TRY(aim_json_next(&j));
    while (j.kind != AIM_JSON_END);
    return AIMNET_OK;
}

static const char *const valid[] = {
    "{}",
    " { \"a\" : [ 1 , -0, 2.5e-3 , 1E5, true,false,null ] }\r\n\t",
    "[[],[[]],{}]",
    "\"x\"",
    "-1.0",
    "{\"\":\"\"}",
    "[\"\\u00e4 \\ud83d\\ude00 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"]",
    "[\"\xc3\xa4 \xf0\x9f\x98\x80 \xed\x9f\xbf\"]",
    "[9223372036854775807,-9223372036854775808]",
    "\"\\uf8ff\\uffff\"",
};

static const struct {
    const char *text, *why;
} invalid[] = {
    {"", "not a JSON value"},
    {"{", "key in quotes"},
    {"[1", "comma or ']'"},
    {"{\"a\":1", "comma or '}'"},
    {"[1,]", "not a JSON value"},
    {"{\"a\":1,}", "key in quotes"},
    {"{\"a\"}", "no colon"},
    {"{\"a\" 1}", "no colon"},
    {"{1:2}", "key in quotes"},
    {"[1 2]", "comma or ']'"},
    {"{\"a\":1]", "comma or '}'"},
    {"[}", "not a JSON value"},
    {"1 2", "follows the end"},
    {"01", "not a JSON value"},
    {"+1", "not a JSON value"},
    {"-", "not a JSON value"},
    {".5", "not a JSON value"},
    {"1.", "no digits"},
    {"1e", "no digits"},
    {"1e+", "no digits"},
    {"1e999", "finite"},
    {"9223372036854775808", "64 bits"},
    {"NaN", "not a JSON value"},
    {"Infinity", "not a JSON value"},
    {"nul", "not a JSON value"},
    {"True", "not a JSON value"},
    {"'a'", "not a JSON value"},
    {"\"a", "no end"},
    {"\"\\", "escape"},
    {"\"\\x\"", "escape"},
    {"\"\\u12\"", "escape"},
    {"\"\\u12g4\"", "escape"},
    {"\"\\ud800\"", "escape"},
    {"\"\\ud800\\u0041\"", "escape"},
    {"\"\\ud800\\ue000\"", "escape"},
    {"\"\\udc00\"", "escape"},
    {"\"\\u0000\"", "escape"},
    {"\"\x01\"", "control"},
    {"\"\xff\"", "UTF-8"},
    {"\"\xc0\x80\"", "UTF-8"},
    {"\"\xed\xa0\x80\"", "UTF-8"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "deeper than 32"},
};

static void what_jansson_reads_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        json_t *root = json_loads(valid[i], JSON_DECODE_ANY, NULL);
        assert_non_null(root);
        json_decref(root);
        if (scan(slice(valid[i])) != AIMNET_OK)
            fail_msg("%s: %s", valid[i], aimnet_last_error());
    }
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        if (scan(slice(invalid[i].text)) != AIMNET_ERR_FORMAT ||
            !strstr(aimnet_last_error(), invalid[i].why) ||
            !strstr(aimnet_last_error(), "x.json byte "))
            fail_msg("%s: \"%s\" does not say \"%s\"", invalid[i].text, aimnet_last_error(),
                     invalid[i].why);
    }
}

/* A NUL behind a backslash is no escape, though C's strings end in one. */
static void a_nul_is_no_escape(void **state)
{
    (void)state;
    assert_int_equal(scan((aim_slice){"\"\\\0\"", 4}), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "escape"));
}

/* Every document cut off anywhere, and every one with a byte replaced: jansson and this reader agree
 * on whether it is JSON, but for what this reader refuses on purpose. */
static void changed_documents_are_judged_as_by_jansson(void **state)
{
    (void)state;
    static const char bytes[] = "\"\\{}[],:0 \xc3";
    char text[128];
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        const size_t n = strlen(valid[i]);
        for (size_t k = 0; k < n * sizeof bytes; k++) {
            memcpy(text, valid[i], n);
            text[k / sizeof bytes] = bytes[k % sizeof bytes];
            const size_t size = bytes[k % sizeof bytes] ? n : k / sizeof bytes;
            json_t *root = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            assert_int_equal(scan((aim_slice){text, size}) == AIMNET_OK, root != NULL);
            json_decref(root);
        }
    }
}

static void escapes_mean_what_jansson_says(void **state)
{
    (void)state;
    const char *text = "[\"\\u00e4\\u20ac\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\tz\"]";
    json_t *root = json_loads(text, 0, NULL);
    aim_json j = aim_json_of(slice(text), "x");
    char out[128];
    assert_int_equal(aim_json_next(&j), AIMNET_OK);
    assert_int_equal(aim_json_next(&j), AIMNET_OK);
    assert_int_equal(j.kind, AIM_JSON_TEXT);
    out[aim_json_unescape(&j, out)] = '\0';
    assert_string_equal(out, json_string_value(json_array_get(root, 0)));
    json_decref(root);
}

/* ---------------------------------------------------------------- trees */

static const char document[] = "{\"a\": [1, 300, 70000, -5, 5000000000, 2.5, true, false, null, "
                               "\"t\\u00e4\\n\"], \"b\": {\"c\": {}, \"\": []}, \"\\u0064\": 1.0}";

static void a_document_becomes_a_tree(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    aim_pickle p;
    aim_string bytes;
    assert_int_equal(aim_json_tree(&a, slice(document), "x", &p, &bytes), AIMNET_OK);
    const aim_ref list = aim_pickle_get(&p, p.root, "a");
    static const int64_t numbers[] = {1, 300, 70000, -5, 5000000000};
    assert_int_equal(aim_pickle_count(&p, list), 10);
    for (size_t i = 0; i < 5; i++)
        assert_true(aim_pickle_int(&p, aim_pickle_item(&p, list, i)) == numbers[i]);
    assert_true(aim_pickle_float(&p, aim_pickle_item(&p, list, 5)) == 2.5);
    assert_int_equal(aim_pickle_int(&p, aim_pickle_item(&p, list, 6)), 1);
    assert_int_equal(aim_pickle_kind_of(&p, aim_pickle_item(&p, list, 7)), AIM_PICKLE_BOOL);
    assert_int_equal(aim_pickle_kind_of(&p, aim_pickle_item(&p, list, 8)), AIM_PICKLE_NONE);
    assert_true(aim_slice_is(aim_pickle_text(&p, aim_pickle_item(&p, list, 9)), "t\xc3\xa4\n"));
    const aim_ref d = aim_pickle_get(&p, p.root, "d"); /* the key was an escape */
    assert_int_equal(aim_pickle_kind_of(&p, d), AIM_PICKLE_FLOAT);
    assert_int_equal(aim_pickle_count(&p, aim_pickle_get(&p, p.root, "b")), 4);
    aim_pickle_free(&p, &a);
    aim_string_free(&bytes, &a);
}

static void assert_no_tree(aim_slice text, const char *why)
{
    const aim_alloc a = aim_alloc_default();
    aim_pickle p;
    aim_string bytes;
    assert_int_equal(aim_json_tree(&a, text, "x", &p, &bytes), AIMNET_ERR_FORMAT);
    assert_null(bytes.data);
    assert_null(p.node);
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
}

static void keys_must_be_distinct_in_every_object(void **state)
{
    (void)state;
    assert_no_tree(slice("{\"a\": 1, \"a\": 2}"), "occurs twice");
    assert_no_tree(slice("{\"a\": 1, \"\\u0061\": 2}"), "occurs twice");
    assert_no_tree(slice("{\"x\": [{\"b\": {}, \"c\": {\"b\": 1}, \"b\": 3}]}"), "occurs twice");
    assert_no_tree(slice("[1]"), "must be an object");
    assert_no_tree(slice("nothing"), "not a JSON value");
    assert_no_tree(slice("{\"a\": 1"), "comma");
}

static void documents_have_limits(void **state)
{
    (void)state;
    static char text[(1 << 22) + 2];
    memset(text, ' ', sizeof text);
    assert_no_tree((aim_slice){text, sizeof text}, "no model needs more");
    size_t n = 0;
    for (int i = 0; i < 513; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%c\"%d\":0", i ? ',' : '{', i);
    text[n++] = '}';
    assert_no_tree((aim_slice){text, n}, "more than 512 keys");
}

static aimnet_status tree_and_free(const aimnet_allocator *hooks, void *ctx)
{
    aim_pickle p;
    aim_string bytes;
    (void)ctx;
    const aim_status status = aim_json_tree(hooks, slice(document), "x", &p, &bytes);
    aim_pickle_free(&p, hooks);
    aim_string_free(&bytes, hooks);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(fail_alloc_sweep(tree_and_free, NULL) >= 5);
}

/* "[[],[],...": what costs most per byte. */
static void a_tree_is_a_small_multiple_of_its_text(void **state)
{
    (void)state;
    static char text[1 << 20];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"a\":[[]");
    while (n < sizeof text - 8)
        n += (size_t)snprintf(text + n, sizeof text - n, ",[]");
    n += (size_t)snprintf(text + n, sizeof text - n, "]}");
    fail_alloc f;
    aim_pickle p;
    aim_string bytes;
    fail_alloc_init(&f, 0, 0);
    (void)!aim_json_tree(&f.hooks, (aim_slice){text, n}, "x", &p, &bytes);
    assert_true(f.peak_bytes < 40 * n);
    aim_pickle_free(&p, &f.hooks);
    aim_string_free(&bytes, &f.hooks);
    fail_alloc_assert_clean(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_jansson_reads_is_read),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(changed_documents_are_judged_as_by_jansson),
        cmocka_unit_test(a_nul_is_no_escape),
        cmocka_unit_test(escapes_mean_what_jansson_says),
        cmocka_unit_test(a_document_becomes_a_tree),
        cmocka_unit_test(keys_must_be_distinct_in_every_object),
        cmocka_unit_test(documents_have_limits),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(a_tree_is_a_small_multiple_of_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

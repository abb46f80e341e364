/* SPDX-License-Identifier: MIT */
/* test_pickle.c - the closed pickle machine (src/io/pickle.c): the opcodes of torch.save, their
 * bounds, and what is refused. */
#include "torch_writer.h"

#include <math.h>
#include <stdio.h>

#include "io/pickle.h"

static aim_status parse(const torch_pickle *p, aim_pickle *out)
{
    const aim_alloc a = aim_alloc_default();
    return aim_pickle_parse(&a, p->out.at, p->out.n, out);
}

static void drop(torch_pickle *p, aim_pickle *parsed)
{
    const aim_alloc a = aim_alloc_default();
    aim_pickle_free(parsed, &a);
    torch_buffer_free(&p->out);
}

/* Opcodes as text, protocol byte in front and STOP behind. */
static torch_pickle raw(const char *opcodes, size_t n)
{
    torch_pickle p;
    torch_begin(&p);
    torch_put(&p.out, opcodes, n);
    torch_op(&p, '.');
    return p;
}
#define RAW(text) raw((text), sizeof(text) - 1)

static void assert_refused(torch_pickle p, const char *why)
{
    aim_pickle out;
    assert_int_equal(parse(&p, &out), AIMNET_ERR_FORMAT);
    assert_null(out.node);
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
    torch_buffer_free(&p.out);
}

/* ---------------------------------------------------------------- values */

static void assert_int_value(const char *opcodes, size_t n, int64_t expected)
{
    torch_pickle p = raw(opcodes, n);
    aim_pickle out;
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_kind_of(&out, out.root), AIM_PICKLE_INT);
    assert_true(aim_pickle_int(&out, out.root) == expected);
    drop(&p, &out);
}
#define ASSERT_INT(text, value) assert_int_value((text), sizeof(text) - 1, (value))

static void integers_of_every_opcode_have_their_value(void **state)
{
    (void)state;
    ASSERT_INT("K\x00", 0);
    ASSERT_INT("K\xff", 255);
    ASSERT_INT("M\xff\xff", 65535);
    ASSERT_INT("M\x01\x00", 1);
    ASSERT_INT("J\xff\xff\xff\xff", -1);
    ASSERT_INT("J\x00\x00\x00\x80", INT32_MIN);
    ASSERT_INT("\x8a\x00", 0);
    ASSERT_INT("\x8a\x01\xff", -1);
    ASSERT_INT("\x8a\x02\xff\x00", 255);
    ASSERT_INT("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", INT64_MAX);
    ASSERT_INT("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80", INT64_MIN);
    assert_refused(RAW("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01"), "more than 64 bits");
}

static void floats_strings_and_constants_have_their_value(void **state)
{
    (void)state;
    torch_pickle p;
    aim_pickle out;
    torch_begin(&p);
    torch_op(&p, ']');
    torch_op(&p, '(');
    torch_float(&p, -0.0);
    torch_float(&p, 4.6);
    torch_float(&p, INFINITY);
    torch_text(&p, "na\xc3\xafve");
    torch_op(&p, 'N');
    torch_bool(&p, 1);
    torch_bool(&p, 0);
    torch_op(&p, 'e');
    torch_op(&p, '.');
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    const double expected[] = {-0.0, 4.6, INFINITY};
    aim_items it = aim_pickle_items(&out, out.root);
    for (int i = 0; i < 3; i++, aim_pickle_next(&out, &it)) {
        const double value = aim_pickle_float(&out, it.value);
        assert_memory_equal(&value, &expected[i], sizeof value);
    }
    assert_true(aim_slice_is(aim_pickle_text(&out, it.value), "na\xc3\xafve"));
    assert_int_equal(aim_pickle_count(&out, out.root), 7);
    assert_int_equal(aim_pickle_kind_of(&out, aim_pickle_item(&out, out.root, 4)), AIM_PICKLE_NONE);
    assert_int_equal(aim_pickle_int(&out, aim_pickle_item(&out, out.root, 5)), 1);
    assert_int_equal(aim_pickle_int(&out, aim_pickle_item(&out, out.root, 6)), 0);
    assert_int_equal(aim_pickle_item(&out, out.root, 7), AIM_NO_REF);
    drop(&p, &out);
}

static void only_utf8_is_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",         "\xc0\xaf",         "\xc1\x81",
                                      "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xf4\x90\x80\x80",
                                      "\xf8\x88",     "\xf0\x8f\xbf\xbf", "\xe2\x82"};
    static const char *const good[] = {
        "", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        torch_pickle p;
        torch_begin(&p);
        torch_text(&p, bad[i]);
        torch_op(&p, '.');
        assert_refused(p, "not UTF-8");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        torch_pickle p;
        aim_pickle out;
        torch_begin(&p);
        torch_text(&p, good[i]);
        torch_op(&p, '.');
        assert_int_equal(parse(&p, &out), AIMNET_OK);
        drop(&p, &out);
    }
}

static void dictionaries_keep_their_order_and_are_searched_by_key(void **state)
{
    (void)state;
    torch_pickle p;
    aim_pickle out;
    torch_begin(&p);
    torch_op(&p, '}');
    torch_memo(&p);
    torch_text(&p, "first");
    torch_int(&p, 1);
    torch_op(&p, 's');
    torch_op(&p, '(');
    torch_text(&p, "second");
    torch_int(&p, 70000);
    torch_text(&p, "third");
    torch_op(&p, 'h');
    torch_op(&p, 1); /* "first" again */
    torch_op(&p, 'u');
    torch_op(&p, '.');
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_count(&out, out.root), 6);
    assert_int_equal(aim_pickle_int(&out, aim_pickle_get(&out, out.root, "second")), 70000);
    assert_true(
        aim_slice_is(aim_pickle_text(&out, aim_pickle_get(&out, out.root, "third")), "first"));
    assert_int_equal(aim_pickle_get(&out, out.root, "secon"), AIM_NO_REF);
    drop(&p, &out);
}

static void a_tensor_keeps_its_six_arguments(void **state)
{
    (void)state;
    const torch_tensor t = {"HalfStorage", "7", 12, 2, 2, {2, 3}, {5, 1}};
    torch_pickle p;
    aim_pickle out;
    torch_begin(&p);
    torch_tensor_value(&p, &t);
    torch_op(&p, '.');
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_kind_of(&out, out.root), AIM_PICKLE_TENSOR);
    const aim_ref storage = aim_pickle_item(&out, out.root, 0);
    assert_int_equal(aim_pickle_kind_of(&out, storage), AIM_PICKLE_STORAGE);
    assert_int_equal(aim_pickle_int(&out, aim_pickle_item(&out, storage, 0)), AIM_CLASS_HALF);
    assert_true(aim_slice_is(aim_pickle_text(&out, aim_pickle_item(&out, storage, 1)), "7"));
    assert_int_equal(aim_pickle_int(&out, aim_pickle_item(&out, storage, 2)), 12);
    assert_int_equal(aim_pickle_count(&out, aim_pickle_item(&out, out.root, 2)), 2);
    drop(&p, &out);
}

static void the_attributes_of_an_ordered_dict_are_accepted_and_dropped(void **state)
{
    (void)state;
    torch_pickle p;
    aim_pickle out;
    torch_begin(&p);
    torch_ordered_dict(&p);
    torch_op(&p, '}');
    torch_text(&p, "_metadata");
    torch_ordered_dict(&p);
    torch_op(&p, 's');
    torch_op(&p, 'b');
    torch_op(&p, '.');
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_kind_of(&out, out.root), AIM_PICKLE_DICT);
    assert_int_equal(aim_pickle_count(&out, out.root), 0);
    drop(&p, &out);
    torch_begin(&p);
    torch_ordered_dict(&p);
    torch_op(&p, '}');
    torch_text(&p, "__class__");
    torch_ordered_dict(&p);
    torch_op(&p, 's');
    torch_op(&p, 'b');
    torch_op(&p, '.');
    assert_refused(p, "attributes other than _metadata");
}

/* ---------------------------------------------------------------- refused */

static void every_other_global_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"os", "system"},
                                           {"builtins", "eval"},
                                           {"__builtin__", "getattr"},
                                           {"torch._utils", "_rebuild_parameter"},
                                           {"torch._utils", "_rebuild_tensor"},
                                           {"torch", "ComplexFloatStorage"},
                                           {"torch", "QInt8Storage"},
                                           {"torch.storage", "UntypedStorage"},
                                           {"collections", "OrderedDict.fromkeys"},
                                           {"collections ", "OrderedDict"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        torch_pickle p;
        char full[64];
        torch_begin(&p);
        torch_global(&p, names[i][0], names[i][1]);
        torch_op(&p, '.');
        snprintf(full, sizeof full, "'%s.%s' is not needed", names[i][0], names[i][1]);
        assert_refused(p, full);
    }
    assert_refused(RAW("cos\nsystem"), "cut off");
}

static void every_other_opcode_is_refused(void **state)
{
    (void)state;
    static const char known[] = ".cqrhj}])(t\x85\x86\x87XJKM\x8aG\x88\x89NsuaeQRb";
    for (int opcode = 0; opcode < 256; opcode++) {
        if (memchr(known, opcode, sizeof known - 1))
            continue;
        const char text[] = {'N', (char)opcode, 'N'};
        char name[32];
        snprintf(name, sizeof name, "opcode 0x%02x", (unsigned)opcode);
        assert_refused(raw(text, sizeof text), name);
    }
}

static void misused_opcodes_are_refused(void **state)
{
    (void)state;
    assert_refused(RAW(""), "too few values");
    assert_refused(RAW("("), "too few values");
    assert_refused(RAW("NN"), "left over");
    assert_refused(RAW("N.N"), "left over");
    assert_refused(RAW("t"), "no mark");
    assert_refused(RAW("e"), "no mark");
    assert_refused(RAW("\x85"), "too few");
    assert_refused(RAW("N\x86"), "too few");
    assert_refused(RAW("N(N\x86"), "across a mark");
    assert_refused(RAW("Na"), "not a list");
    assert_refused(RAW("}Na"), "not a list");
    assert_refused(RAW("](Na"), "not a list");
    assert_refused(RAW("](Ns"), "across a mark");
    assert_refused(RAW("}NNs"), "not a string");
    assert_refused(RAW("}(Nu"), "no value");
    assert_refused(RAW("](Nu"), "not a dict");
    assert_refused(RAW("(e"), "not a list");
    assert_refused(RAW("q\x00"), "nothing to memorize");
    assert_refused(RAW("(q\x00"), "nothing to memorize");
    assert_refused(RAW("Q"), "too few");
    assert_refused(RAW("R"), "too few");
    assert_refused(RAW("b"), "too few");
    assert_refused(RAW("\x8a"), "an opcode needs 46 bytes where 0 remain");
    assert_refused(RAW("Nq\x01"), "not consecutive");
    assert_refused(RAW("Nq\x00q\x00"), "not consecutive");
    assert_refused(RAW("h\x00"), "never stored");
    assert_refused(RAW("j\xff\xff\xff\xff"), "never stored");
    assert_refused(RAW("N)R"), "not a class");
    assert_refused(RAW("NNR"), "not a class");
    assert_refused(RAW("ccollections\nOrderedDict\nN\x85R"), "arguments that torch.save");
    assert_refused(RAW("ctorch\nFloatStorage\n)R"), "arguments that torch.save");
    assert_refused(RAW("ctorch._utils\n_rebuild_tensor_v2\n)R"), "arguments that torch.save");
    assert_refused(RAW("NQ"), "not a storage");
    assert_refused(RAW("(NNNNNtQ"), "not ('storage'");
    assert_refused(RAW("(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
                       "0X\4\0\0\0metaK\1tQ"),
                   "'meta' device");
    assert_refused(RAW("}}X\t\0\0\0_metadataNsb"), "attributes other");
    assert_refused(RAW("}}b"), "attributes other");
    assert_refused(RAW("N}b"), "attributes other");
}

/* Of TorchScript: NEWOBJ and BUILD. */
static void misused_objects_are_refused(void **state)
{
    (void)state;
#define CASE(text, why)                                                                            \
    {                                                                                              \
        "\x80\2" text, sizeof(text) + 1, why                                                       \
    }
    static const struct {
        const char *opcodes;
        size_t size;
        const char *why;
    } cases[] = {CASE("\x81.", "too few"),
                 CASE(")\x81.", "too few"),
                 CASE("N)\x81.", "not a class of TorchScript"),
                 CASE("c__torch__.m\nC\nN\x81.", "not a class of TorchScript"),
                 CASE("c__torch__.m\nC\n)\x81Nb.", "no dict, or set twice"),
                 CASE("c__torch__.m\nC\n)\x81}b}b.", "no dict, or set twice"),
                 CASE("\x8a", "needs 1 bytes where 0 remain")};
#undef CASE
    const aim_alloc a = aim_alloc_default();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_pickle out;
        assert_int_equal(aim_pickle_parse_script(&a, (const unsigned char *)cases[i].opcodes,
                                                 cases[i].size, &out),
                         AIMNET_ERR_FORMAT);
        if (!strstr(aimnet_last_error(), cases[i].why))
            fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), cases[i].why);
    }
}

/* Scalars have no items, and behind the last item there is nothing, however often one asks. */
static void items_end(void **state)
{
    (void)state;
    torch_pickle p = RAW("(K\1ctorch\nFloatStorage\nt");
    aim_pickle out;
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_item(&out, out.root, 9), AIM_NO_REF);
    for (size_t i = 0; i < 2; i++) {
        aim_items it = aim_pickle_items(&out, aim_pickle_item(&out, out.root, i));
        assert_int_equal(it.value, AIM_NO_REF);
        aim_pickle_next(&out, &it);
        assert_int_equal(it.value, AIM_NO_REF);
    }
    drop(&p, &out);
}

static void only_protocol_2_is_read(void **state)
{
    (void)state;
    static const unsigned char four[] = {0x80, 4, 'N', '.'}, none[] = {'N', '.', '.'};
    const aim_alloc a = aim_alloc_default();
    aim_pickle out;
    assert_int_equal(aim_pickle_parse(&a, four, sizeof four, &out), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_pickle_parse(&a, none, sizeof none, &out), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_pickle_parse(&a, four, 0, &out), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "protocol 2"));
}

/* ---------------------------------------------------------------- bounds */

static torch_pickle big_pickle(void)
{
    const torch_tensor t = {"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}};
    torch_pickle p;
    torch_begin(&p);
    torch_op(&p, '}');
    torch_memo(&p);
    torch_op(&p, '(');
    torch_text(&p, "list");
    torch_op(&p, ']');
    torch_memo(&p);
    torch_op(&p, '(');
    for (int i = 0; i < 300; i++)
        torch_int(&p, i * 9999);
    torch_op(&p, 'e');
    for (int i = 0; i < 3; i++) {
        torch_text(&p, i == 0 ? "a" : i == 1 ? "b" : "c");
        torch_tensor_value(&p, &t);
    }
    torch_text(&p, "x");
    torch_float(&p, 1.5);
    torch_op(&p, 'u');
    torch_op(&p, '.');
    return p;
}

static void a_pickle_cut_anywhere_is_refused(void **state)
{
    (void)state;
    torch_pickle p = big_pickle();
    const aim_alloc a = aim_alloc_default();
    for (size_t n = 0; n < p.out.n; n++) {
        unsigned char *exact = malloc(n ? n : 1);
        aim_pickle out;
        memcpy(exact, p.out.at, n);
        assert_int_equal(aim_pickle_parse(&a, exact, n, &out), AIMNET_ERR_FORMAT);
        free(exact);
    }
    torch_buffer_free(&p.out);
}

/* Flipped bits may still be a pickle; walking over its top level must be safe. */
static void a_flipped_bit_never_harms(void **state)
{
    (void)state;
    torch_pickle p = big_pickle();
    const aim_alloc a = aim_alloc_default();
    size_t accepted = 0;
    for (size_t bit = 0; bit < 8 * p.out.n; bit++) {
        aim_pickle out;
        p.out.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (aim_pickle_parse(&a, p.out.at, p.out.n, &out) == AIMNET_OK) {
            accepted++;
            for (aim_items it = aim_pickle_items(&out, out.root); it.value != AIM_NO_REF;
                 aim_pickle_next(&out, &it))
                assert_non_null(aim_pickle_kind_name(aim_pickle_kind_of(&out, it.value)));
            aim_pickle_free(&out, &a);
        }
        p.out.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(accepted > 0 && accepted < 8 * p.out.n);
    torch_buffer_free(&p.out);
}

static void lengths_at_their_extremes_are_refused(void **state)
{
    (void)state;
    static const uint32_t extremes[] = {1, 2, 0x7fffffff, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        torch_pickle p;
        aim_pickle out;
        torch_begin(&p);
        torch_op(&p, 'X');
        torch_put_le(&p.out, extremes[i], 4);
        torch_op(&p, '.');
        assert_int_equal(parse(&p, &out), AIMNET_ERR_FORMAT);
        torch_buffer_free(&p.out);
    }
}

static void deep_nesting_and_cycles_are_only_data(void **state)
{
    (void)state;
    torch_pickle p;
    aim_pickle out;
    torch_begin(&p);
    for (int i = 0; i < 1000; i++)
        torch_put(&p.out, "](", 2);
    for (int i = 0; i < 1000; i++)
        torch_op(&p, 'e');
    torch_op(&p, '.');
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_count(&out, out.root), 1);
    drop(&p, &out);
    p = RAW("]q\x00h\x00"
            "a"); /* a list that contains itself */
    assert_int_equal(parse(&p, &out), AIMNET_OK);
    assert_int_equal(aim_pickle_item(&out, out.root, 0), out.root);
    drop(&p, &out);
}

static aimnet_status parse_and_free(const aimnet_allocator *hooks, void *ctx)
{
    const torch_pickle *p = ctx;
    aim_pickle out;
    const aim_status status = aim_pickle_parse(hooks, p->out.at, p->out.n, &out);
    aim_pickle_free(&out, hooks);
    return status;
}

static void memory_is_bounded_by_the_size_of_the_pickle(void **state)
{
    (void)state;
    static const char *const patterns[] = {"}",     "]",         "N",     "(",
                                           "K\x01", "M\x01\x01", ")\x85", "N\x85"};
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        torch_pickle p;
        fail_alloc f;
        torch_begin(&p);
        torch_op(&p, '(');
        while (p.out.n < 1 << 20)
            torch_put(&p.out, patterns[k], strlen(patterns[k]));
        torch_put(&p.out, "t.", 2);
        fail_alloc_init(&f, 0, 0);
        const aim_status status = parse_and_free(&f.hooks, &p);
        assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT);
        fail_alloc_assert_clean(&f);
        assert_true(f.peak_bytes < 32 * p.out.n);
        torch_buffer_free(&p.out);
    }
    torch_pickle p;
    torch_begin(&p);
    while (p.out.n <= 1 << 24)
        torch_put(&p.out, "NNNNNNNNNNNNNNNN", 16);
    assert_refused(p, "no model needs more");
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    torch_pickle p = big_pickle();
    assert_true(fail_alloc_sweep(parse_and_free, &p) >= 4);
    torch_buffer_free(&p.out);
}

static aimnet_status parse_script_and_free(const aimnet_allocator *hooks, void *ctx)
{
    const torch_pickle *p = ctx;
    aim_pickle out;
    const aim_status status = aim_pickle_parse_script(hooks, p->out.at, p->out.n, &out);
    aim_pickle_free(&out, hooks);
    return status;
}

/* Blocks grow when they are full: after every number of values, items and levels once, so that each
 * place that makes one meets a full block. */
static void blocks_may_grow_at_any_value(void **state)
{
    (void)state;
    const torch_tensor t = {"FloatStorage", "0", 6, 0, 1, {6}, {1}};
    for (int n = 240; n < 540; n++) {
        torch_pickle p;
        torch_begin(&p);
        torch_op(&p, '(');
        torch_op(&p, ']');
        torch_op(&p, '(');
        for (int i = 0; i < n; i++)
            torch_put(&p.out, "M\1\1", 3);
        torch_op(&p, 'e');
        torch_tensor_value(&p, &t);
        torch_put(&p.out, "c__torch__.m\nC\n)\x81}bt.", 21);
        fail_alloc_sweep_mode(parse_script_and_free, &p, 1);
        torch_buffer_free(&p.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_opcode_have_their_value),
        cmocka_unit_test(floats_strings_and_constants_have_their_value),
        cmocka_unit_test(only_utf8_is_text),
        cmocka_unit_test(dictionaries_keep_their_order_and_are_searched_by_key),
        cmocka_unit_test(a_tensor_keeps_its_six_arguments),
        cmocka_unit_test(the_attributes_of_an_ordered_dict_are_accepted_and_dropped),
        cmocka_unit_test(every_other_global_is_refused_by_name),
        cmocka_unit_test(every_other_opcode_is_refused),
        cmocka_unit_test(misused_opcodes_are_refused),
        cmocka_unit_test(misused_objects_are_refused),
        cmocka_unit_test(items_end),
        cmocka_unit_test(only_protocol_2_is_read),
        cmocka_unit_test(a_pickle_cut_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_never_harms),
        cmocka_unit_test(lengths_at_their_extremes_are_refused),
        cmocka_unit_test(deep_nesting_and_cycles_are_only_data),
        cmocka_unit_test(memory_is_bounded_by_the_size_of_the_pickle),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(blocks_may_grow_at_any_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* fuzz_json.c - any bytes as a JSON document: every token, the tree made of them, and the tree
 * written as a pickle and read again. */
#include "guard.h"

#include "io/json.h"
#include "io/json_tree.h"

static void read_tokens(aim_slice text)
{
    aim_json j = aim_json_of(text, "fuzz");
    char small[64];
    size_t last = 0;
    do {
        if (aim_json_next(&j) != AIMNET_OK)
            return;
        demand(j.at >= last && j.at <= text.size, "tokens advance inside the text");
        last = j.at;
        if ((j.kind == AIM_JSON_KEY || j.kind == AIM_JSON_TEXT) && j.value.size <= sizeof small)
            demand(aim_json_unescape(&j, small) <= j.value.size, "unescaping never grows");
    } while (j.kind != AIM_JSON_END);
}

static void read_tree(const aim_alloc *a, aim_slice text)
{
    aim_pickle tree, again;
    aim_string bytes = {0};
    if (aim_json_tree(a, text, "fuzz", &tree, &bytes) != AIMNET_OK)
        return;
    demand(aim_pickle_kind_of(&tree, tree.root) == AIM_PICKLE_DICT, "the root is an object");
    aim_pickle_out out = {.alloc = a};
    aim_put_begin(&out);
    aim_put_value(&out, &tree, tree.root);
    if (aim_put_end(&out) == AIMNET_OK) {
        demand(aim_pickle_parse(a, (const unsigned char *)out.bytes.data, out.bytes.size, &again) ==
                   AIMNET_OK,
               "what was written is read");
        demand(aim_pickle_count(&again, again.root) == aim_pickle_count(&tree, tree.root),
               "all entries survive");
        aim_pickle_free(&again, a);
    }
    aim_string_free(&out.bytes, a);
    aim_pickle_free(&tree, a);
    aim_string_free(&bytes, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guard g = guard_of(size);
    const aim_alloc a = guard_alloc(&g);
    const aim_slice text = {(const char *)data, size};
    read_tokens(text);
    read_tree(&a, text);
    guard_end(&g);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* fuzz_pickle.c - any bytes as a pickle of torch.save: parsed, visited to a bounded depth, and what
 * is plain data written and read again. */
#include "guard.h"

#include "io/pickle_write.h"

/* Containers may contain themselves: depth and number of visits are bounded. */
static void visit(const aim_pickle *p, aim_ref value, int depth, int *left)
{
    if (--*left < 0)
        return;
    const aim_pickle_kind kind = aim_pickle_kind_of(p, value);
    demand(aim_pickle_kind_name(kind) != NULL, "every kind has a name");
    if (kind == AIM_PICKLE_STRING) {
        const aim_slice text = aim_pickle_text(p, value);
        unsigned sum = 0;
        for (size_t i = 0; i < text.size; i++)
            sum += (unsigned char)text.text[i];
        demand(sum <= 255 * text.size, "strings lie in the input");
    }
    if (kind != AIM_PICKLE_TUPLE && kind != AIM_PICKLE_LIST && kind != AIM_PICKLE_DICT &&
        kind != AIM_PICKLE_STORAGE && kind != AIM_PICKLE_TENSOR)
        return;
    demand(kind != AIM_PICKLE_DICT || aim_pickle_count(p, value) % 2 == 0, "keys have values");
    for (aim_items it = aim_pickle_items(p, value); it.value != AIM_NO_REF && *left > 0;
         aim_pickle_next(p, &it))
        if (depth > 0)
            visit(p, it.value, depth - 1, left);
}

static void write_again(const aim_alloc *a, const aim_pickle *p)
{
    aim_pickle again;
    aim_pickle_out out = {.alloc = a};
    aim_put_begin(&out);
    aim_put_value(&out, p, p->root);
    if (aim_put_end(&out) == AIMNET_OK) {
        demand(aim_pickle_parse(a, (const unsigned char *)out.bytes.data, out.bytes.size, &again) ==
                   AIMNET_OK,
               "what was written is read");
        demand(aim_pickle_kind_of(&again, again.root) == aim_pickle_kind_of(p, p->root),
               "the root stays what it was");
        aim_pickle_free(&again, a);
    }
    aim_string_free(&out.bytes, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Writing unfolds shared values, by the limit that aim_put_value states. */
    guard g = guard_limit(GUARD_BASE + GUARD_FACTOR * size), w = guard_limit((size_t)1 << 28);
    const aim_alloc a = guard_alloc(&g), wide = guard_alloc(&w);
    aim_pickle p;
    if (aim_pickle_parse(&a, data, size, &p) == AIMNET_OK) {
        int left = 1000;
        visit(&p, p.root, 8, &left);
        if (aim_pickle_is_plain(&p, p.root))
            write_again(&wide, &p);
        aim_pickle_free(&p, &a);
    }
    guard_end(&g);
    guard_end(&w);
    return 0;
}

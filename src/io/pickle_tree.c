/* SPDX-License-Identifier: MIT */
/* pickle_tree.c - reading the values that pickle.c made. Every function is constant time or linear
 * in one container's items. */
#include "io/pickle_tree.h"

void aim_pickle_free(aim_pickle *pickle, const aim_alloc *a)
{
    aim_free(a, pickle->node);
    aim_free(a, pickle->cell);
    *pickle = (aim_pickle){.root = AIM_NO_REF};
}

aim_pickle_kind aim_pickle_kind_of(const aim_pickle *p, aim_ref value)
{
    return (aim_pickle_kind)p->node[value].kind;
}

const char *aim_pickle_kind_name(aim_pickle_kind kind)
{
    static const char *const names[] = {
        "None",   "a bool",    "an integer", "a float",   "a string", "a tuple", "a list",
        "a dict", "a storage", "a tensor",   "an object", "a class",  "a class"};
    return names[kind];
}

int64_t aim_pickle_int(const aim_pickle *p, aim_ref value)
{
    return p->node[value].u.i;
}
double aim_pickle_float(const aim_pickle *p, aim_ref value)
{
    return p->node[value].u.f;
}
size_t aim_pickle_count(const aim_pickle *p, aim_ref value)
{
    return p->node[value].count;
}

aim_slice aim_pickle_text(const aim_pickle *p, aim_ref value)
{
    return (aim_slice){p->text + p->node[value].u.text, p->node[value].count};
}

static aim_items items_at(const aim_pickle *p, uint32_t c)
{
    return c == AIM_NO_CELL ? (aim_items){AIM_NO_REF, AIM_NO_CELL}
                            : (aim_items){p->cell[c].value, c};
}

aim_items aim_pickle_items(const aim_pickle *p, aim_ref container_ref)
{
    const struct aim_pickle_node *n = &p->node[container_ref];
    const int has_items =
        n->kind >= AIM_PICKLE_TUPLE && n->kind <= AIM_PICKLE_OBJECT && n->count > 0;
    return items_at(p, has_items ? n->u.list.first : AIM_NO_CELL);
}

void aim_pickle_next(const aim_pickle *p, aim_items *it)
{
    *it = items_at(p, it->cell == AIM_NO_CELL ? AIM_NO_CELL : p->cell[it->cell].next);
}

aim_ref aim_pickle_item(const aim_pickle *p, aim_ref container_ref, size_t n)
{
    aim_items it = aim_pickle_items(p, container_ref);
    while (n-- > 0 && it.value != AIM_NO_REF)
        aim_pickle_next(p, &it);
    return it.value;
}

aim_ref aim_pickle_get(const aim_pickle *p, aim_ref dict, const char *key)
{
    for (aim_items it = aim_pickle_items(p, dict); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_ref name = it.value;
        aim_pickle_next(p, &it);
        if (aim_slice_is(aim_pickle_text(p, name), key))
            return it.value;
    }
    return AIM_NO_REF;
}

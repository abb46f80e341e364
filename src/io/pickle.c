/* SPDX-License-Identifier: MIT */
/* pickle.c - the machine: a stack of references, marks, a memo, and one function per group of
 * opcodes.
 *
 * Python's pickler with protocol 2 writes the opcodes below for dicts, lists, tuples, strings,
 * numbers and what torch.save calls for a tensor: _rebuild_tensor_v2(persistent id ('storage',
 * class, key, location, elements), offset, shape, strides, requires_grad, hooks) Bounds: the pickle
 * has at most 16 MiB; every opcode makes at most one node and one stack slot; memo numbers are
 * consecutive, as the pickler counts them; nodes and cells are limited to a fraction of the
 * pickle's bytes (small integers, None and booleans are shared). A class can only be called with
 * the arguments above; whatever else a pickle can do is refused by name. */
#include "io/pickle.h"

#include <string.h>

#include "io/little.h"
#include "io/pickle_tree.h"
#include "io/utf8.h"

typedef struct aim_pickle_node node;
typedef struct aim_pickle_cell cell;

enum {
    MAX_PICKLE = 1 << 24,
    SPARE_NODES = 512, /* allowed beyond the fraction of the pickle's size */
    SMALL_INTS = 256,
    NODE_NONE = SMALL_INTS,
    NODE_FALSE,
    NODE_TRUE,
    NODE_EMPTY_TUPLE,
    SHARED_NODES,
    MAX_GLOBAL = 64 /* longest module or class name that is looked at */
};
static const aim_ref MARK = UINT32_MAX - 1;

typedef struct array {
    aim_ref *at;
    size_t n, capacity;
} array;

typedef struct machine {
    const aim_alloc *alloc;
    const unsigned char *bytes;
    size_t size, at; /* at: of the next byte; size - at bytes remain */
    size_t opcode;   /* position of the current opcode, for messages */
    int script;      /* objects of TorchScript are read */
    aim_pickle *tree;
    size_t node_capacity, cell_capacity, limit;
    array stack, memo;
} machine;

static const struct {
    const char *module, *name;
    aim_pickle_class id;
} globals[] = {
    {"collections", "OrderedDict", AIM_CLASS_ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", AIM_CLASS_REBUILD_TENSOR},
    {"torch", "FloatStorage", AIM_CLASS_FLOAT},
    {"torch", "DoubleStorage", AIM_CLASS_DOUBLE},
    {"torch", "HalfStorage", AIM_CLASS_HALF},
    {"torch", "BFloat16Storage", AIM_CLASS_BFLOAT16},
    {"torch", "LongStorage", AIM_CLASS_LONG},
    {"torch", "IntStorage", AIM_CLASS_INT},
    {"torch", "ShortStorage", AIM_CLASS_SHORT},
    {"torch", "CharStorage", AIM_CLASS_CHAR},
    {"torch", "ByteStorage", AIM_CLASS_BYTE},
    {"torch", "BoolStorage", AIM_CLASS_BOOL},
};

/* ---------------------------------------------------------------- arrays */

static aim_status fail(const machine *m, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "pickle byte %zu: %s", m->opcode, what);
}

/* Room for one more element in a block of `capacity` elements. */
static aim_status reserve(const machine *m, size_t n, size_t *capacity, size_t size,
                          const char *what, void *block)
{
    if (n < *capacity)
        return AIMNET_OK;
    const size_t grown = *capacity ? 2 * *capacity : 2 * SHARED_NODES;
    AIM_TRY(aim_grow(m->alloc, *capacity, grown, size, what, block));
    *capacity = grown;
    return AIMNET_OK;
}

static aim_status array_push(const machine *m, array *a, aim_ref value, const char *what)
{
    AIM_TRY(reserve(m, a->n, &a->capacity, sizeof *a->at, what, &a->at));
    a->at[a->n++] = value;
    return AIMNET_OK;
}

static aim_status push(machine *m, aim_ref value)
{
    return array_push(m, &m->stack, value, "pickle stack");
}

static aim_status new_node(machine *m, node value, aim_ref *ref)
{
    aim_pickle *t = m->tree;
    if (t->n_nodes >= m->limit + SHARED_NODES)
        return fail(m, "more values than torch.save writes into so few bytes");
    AIM_TRY(reserve(m, t->n_nodes, &m->node_capacity, sizeof *t->node, "pickle values", &t->node));
    *ref = (aim_ref)t->n_nodes;
    t->node[t->n_nodes++] = value;
    return AIMNET_OK;
}

static aim_status push_node(machine *m, node value)
{
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(new_node(m, value, &ref));
    return push(m, ref);
}

static node container(aim_pickle_kind kind)
{
    return (node){.kind = (unsigned char)kind, .u.list = {AIM_NO_CELL, AIM_NO_CELL}};
}

static aim_status append(machine *m, aim_ref to, aim_ref value)
{
    aim_pickle *t = m->tree;
    if (t->n_cells >= m->limit)
        return fail(m, "more items than torch.save writes into so few bytes");
    AIM_TRY(reserve(m, t->n_cells, &m->cell_capacity, sizeof *t->cell, "pickle items", &t->cell));
    const uint32_t c = (uint32_t)t->n_cells++;
    t->cell[c] = (cell){value, AIM_NO_CELL};
    node *n = &t->node[to];
    if (n->count++ == 0)
        n->u.list.first = c;
    else
        t->cell[n->u.list.last].next = c;
    n->u.list.last = c;
    return AIMNET_OK;
}

/* Pops one value (not a mark). */
static aim_status pop(machine *m, aim_ref *value)
{
    if (m->stack.n == 0 || m->stack.at[m->stack.n - 1] == MARK)
        return fail(m, "an opcode finds too few values on the stack");
    *value = m->stack.at[--m->stack.n];
    return AIMNET_OK;
}

/* Index of the first value above the topmost mark. */
static aim_status find_mark(const machine *m, size_t *first)
{
    size_t n = m->stack.n;
    while (n > 0 && m->stack.at[n - 1] != MARK)
        n--;
    if (n == 0)
        return fail(m, "an opcode finds no mark on the stack");
    *first = n;
    return AIMNET_OK;
}

static int kind_of(const machine *m, aim_ref value)
{
    return m->tree->node[value].kind;
}

/* ---------------------------------------------------------------- operands */

static aim_status need(const machine *m, size_t n)
{
    if (m->size - m->at < n)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "pickle byte %zu: an opcode needs %zu bytes where %zu remain", m->opcode, n,
                        m->size - m->at);
    return AIMNET_OK;
}

static aim_status push_int(machine *m, int64_t value)
{
    if (value >= 0 && value < SMALL_INTS)
        return push(m, (aim_ref)value);
    return push_node(m, (node){.kind = AIM_PICKLE_INT, .u.i = value});
}

/* BININT1, BININT2, BININT: 1, 2 or 4 bytes, the last one signed. */
static aim_status op_int(machine *m, size_t n)
{
    AIM_TRY(need(m, n));
    const unsigned char *p = m->bytes + m->at;
    m->at += n;
    if (n == 4)
        return push_int(m, (int32_t)aim_le32(p));
    return push_int(m, n == 1 ? p[0] : aim_le16(p));
}

/* LONG1: a count and that many bytes, two's complement. */
static aim_status op_long(machine *m)
{
    AIM_TRY(need(m, 1));
    const size_t n = m->bytes[m->at++];
    uint64_t value = 0;
    AIM_TRY(need(m, n));
    if (n > 8)
        return fail(m, "an integer has more than 64 bits");
    for (size_t i = 0; i < 8; i++) {
        const unsigned sign = n > 0 && (m->bytes[m->at + n - 1] & 0x80) ? 0xff : 0;
        value |= (uint64_t)(i < n ? m->bytes[m->at + i] : sign) << (8 * i);
    }
    m->at += n;
    return push_int(m, (int64_t)value);
}

/* BINFLOAT: 8 bytes, big-endian. */
static aim_status op_float(machine *m)
{
    uint64_t bits = 0;
    node n = {.kind = AIM_PICKLE_FLOAT};
    AIM_TRY(need(m, 8));
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | m->bytes[m->at + i];
    m->at += 8;
    memcpy(&n.u.f, &bits, sizeof bits);
    return push_node(m, n);
}

/* BINUNICODE: 4 bytes of length, UTF-8. */
static aim_status op_text(machine *m)
{
    AIM_TRY(need(m, 4));
    const size_t n = aim_le32(m->bytes + m->at);
    m->at += 4;
    AIM_TRY(need(m, n));
    for (size_t i = 0; i < n;) {
        const size_t step = aim_utf8_size(m->bytes + m->at + i, n - i);
        if (step == 0)
            return fail(m, "a string is not UTF-8");
        i += step;
    }
    const size_t start = m->at;
    m->at += n;
    return push_node(m, (node){.kind = AIM_PICKLE_STRING, .count = (uint32_t)n, .u.text = start});
}

/* ---------------------------------------------------------------- memo */

static aim_status op_put(machine *m, size_t n)
{
    AIM_TRY(need(m, n));
    const uint32_t number = n == 1 ? m->bytes[m->at] : aim_le32(m->bytes + m->at);
    m->at += n;
    if (m->stack.n == 0 || m->stack.at[m->stack.n - 1] == MARK)
        return fail(m, "nothing to memorize");
    if (number != m->memo.n)
        return fail(m, "memo numbers are not consecutive");
    return array_push(m, &m->memo, m->stack.at[m->stack.n - 1], "pickle memo");
}

static aim_status op_get(machine *m, size_t n)
{
    AIM_TRY(need(m, n));
    const uint32_t number = n == 1 ? m->bytes[m->at] : aim_le32(m->bytes + m->at);
    m->at += n;
    if (number >= m->memo.n)
        return fail(m, "a memo number was never stored");
    return push(m, m->memo.at[number]);
}

/* ---------------------------------------------------------------- containers */

/* Pops `count` values into a new tuple. */
static aim_status make_tuple(machine *m, size_t count)
{
    aim_ref tuple = NODE_EMPTY_TUPLE;
    if (m->stack.n < count)
        return fail(m, "a tuple finds too few values on the stack");
    const size_t first = m->stack.n - count;
    if (count > 0)
        AIM_TRY(new_node(m, container(AIM_PICKLE_TUPLE), &tuple));
    for (size_t i = first; i < m->stack.n; i++) {
        if (m->stack.at[i] == MARK)
            return fail(m, "a tuple reaches across a mark");
        AIM_TRY(append(m, tuple, m->stack.at[i]));
    }
    m->stack.n = first;
    return push(m, tuple);
}

static aim_status op_tuple(machine *m)
{
    size_t first = 0;
    AIM_TRY(find_mark(m, &first));
    const size_t count = m->stack.n - first;
    memmove(m->stack.at + first - 1, m->stack.at + first, count * sizeof *m->stack.at);
    m->stack.n--;
    return make_tuple(m, count);
}

/* Moves the values from `first` on (and the mark below them, if `marked`) into the container under
 * them. */
static aim_status extend(machine *m, size_t first, size_t marked, aim_pickle_kind kind)
{
    const size_t count = m->stack.n - first, below = first - marked;
    if (below == 0 || m->stack.at[below - 1] == MARK ||
        kind_of(m, m->stack.at[below - 1]) != (int)kind)
        return fail(m, kind == AIM_PICKLE_LIST
                           ? "items are appended to something that is not a list"
                           : "entries are set in something that is not a dict");
    if (kind == AIM_PICKLE_DICT && count % 2 != 0)
        return fail(m, "a dict key has no value");
    const aim_ref to = m->stack.at[below - 1];
    for (size_t i = 0; i < count; i++) {
        const aim_ref value = m->stack.at[first + i];
        if (kind == AIM_PICKLE_DICT && i % 2 == 0 && kind_of(m, value) != AIM_PICKLE_STRING)
            return fail(m, "a dict key is not a string");
        AIM_TRY(append(m, to, value));
    }
    m->stack.n = below;
    return AIMNET_OK;
}

static aim_status op_extend(machine *m, aim_pickle_kind kind)
{
    size_t first = 0;
    AIM_TRY(find_mark(m, &first));
    return extend(m, first, 1, kind);
}

static aim_status op_extend_once(machine *m, aim_pickle_kind kind)
{
    const size_t count = kind == AIM_PICKLE_LIST ? 1 : 2;
    if (m->stack.n < count)
        return fail(m, "an opcode finds too few values on the stack");
    for (size_t i = m->stack.n - count; i < m->stack.n; i++)
        if (m->stack.at[i] == MARK)
            return fail(m, "an opcode reaches across a mark");
    return extend(m, m->stack.n - count, 0, kind);
}

/* ---------------------------------------------------------------- classes and calls */

/* One line of a GLOBAL operand. */
static aim_status read_line(machine *m, aim_slice *line)
{
    const unsigned char *start = m->bytes + m->at;
    const unsigned char *end = memchr(start, '\n', m->size - m->at);
    if (!end)
        return fail(m, "a global name is cut off");
    *line = (aim_slice){(const char *)start, (size_t)(end - start)};
    m->at += line->size + 1;
    return AIMNET_OK;
}

static aim_status op_global(machine *m)
{
    aim_slice module, name;
    char shown_module[AIM_SHOWN_SIZE], shown_name[AIM_SHOWN_SIZE];
    AIM_TRY(read_line(m, &module));
    AIM_TRY(read_line(m, &name));
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (aim_slice_is(module, globals[i].module) && aim_slice_is(name, globals[i].name))
            return push_node(m, (node){.kind = AIM_PICKLE_CLASS, .u.i = globals[i].id});
    if (m->script && aim_slice_starts(module, "__torch__."))
        return push_node(
            m, (node){.kind = AIM_PICKLE_GLOBAL,
                      .count = (uint32_t)(module.size + 1 + name.size),
                      .u.text = (uint64_t)((const unsigned char *)module.text - m->bytes)});
    return AIM_FAIL(AIMNET_ERR_FORMAT,
                    "pickle byte %zu: '%s.%s' is not needed to store tensors and is refused; model "
                    "files hold plain data and "
                    "tensors of the usual types only",
                    m->opcode, aim_shown(shown_module, module), aim_shown(shown_name, name));
}

static aim_status op_reduce(machine *m)
{
    aim_ref arguments = AIM_NO_REF, callee = AIM_NO_REF;
    AIM_TRY(pop(m, &arguments));
    AIM_TRY(pop(m, &callee));
    if (kind_of(m, callee) != AIM_PICKLE_CLASS || kind_of(m, arguments) != AIM_PICKLE_TUPLE)
        return fail(m, "a call of something that is not a class");
    const int64_t id = m->tree->node[callee].u.i;
    const size_t count = m->tree->node[arguments].count;
    if (id == AIM_CLASS_ORDERED_DICT && count == 0)
        return push_node(m, container(AIM_PICKLE_DICT));
    if (id != AIM_CLASS_REBUILD_TENSOR || count != 6)
        return fail(m, "a class is called with arguments that torch.save does not write");
    node tensor = m->tree->node[arguments];
    tensor.kind = AIM_PICKLE_TENSOR;
    return push_node(m, tensor);
}

/* ('storage', class, key, location, number of elements) */
static aim_status op_persistent(machine *m)
{
    aim_ref id = AIM_NO_REF, storage = AIM_NO_REF, part[5];
    AIM_TRY(pop(m, &id));
    if (kind_of(m, id) != AIM_PICKLE_TUPLE || m->tree->node[id].count != 5)
        return fail(m, "a persistent id is not a storage");
    aim_items it = aim_pickle_items(m->tree, id);
    for (int i = 0; i < 5; i++, aim_pickle_next(m->tree, &it))
        part[i] = it.value;
    if (kind_of(m, part[0]) != AIM_PICKLE_STRING ||
        !aim_slice_is(aim_pickle_text(m->tree, part[0]), "storage") ||
        kind_of(m, part[1]) != AIM_PICKLE_CLASS || m->tree->node[part[1]].u.i < AIM_CLASS_FLOAT ||
        kind_of(m, part[2]) != AIM_PICKLE_STRING || kind_of(m, part[3]) != AIM_PICKLE_STRING ||
        kind_of(m, part[4]) != AIM_PICKLE_INT)
        return fail(m, "a persistent id is not ('storage', class, key, location, elements)");
    if (aim_slice_is(aim_pickle_text(m->tree, part[3]), "meta"))
        return fail(m, "a storage on the 'meta' device has no data");
    AIM_TRY(new_node(m, container(AIM_PICKLE_STORAGE), &storage));
    AIM_TRY(append(m, storage, part[1]));
    AIM_TRY(append(m, storage, part[2]));
    AIM_TRY(append(m, storage, part[4]));
    return push(m, storage);
}

/* An object of a class of TorchScript, made without arguments. */
static aim_status op_new_object(machine *m)
{
    aim_ref arguments = AIM_NO_REF, class = AIM_NO_REF, object = AIM_NO_REF;
    AIM_TRY(pop(m, &arguments));
    AIM_TRY(pop(m, &class));
    if (arguments != NODE_EMPTY_TUPLE || kind_of(m, class) != AIM_PICKLE_GLOBAL)
        return fail(m, "an object is made of something that is not a class of TorchScript");
    AIM_TRY(new_node(m, container(AIM_PICKLE_OBJECT), &object));
    AIM_TRY(append(m, object, class));
    return push(m, object);
}

/* The attributes of an object, once; or of an OrderedDict: only {'_metadata': dict}, the version numbers of torch's
 * modules, which say nothing here. */
static aim_status op_build(machine *m)
{
    aim_ref state = AIM_NO_REF, target = AIM_NO_REF;
    AIM_TRY(pop(m, &state));
    AIM_TRY(pop(m, &target));
    if (kind_of(m, target) == AIM_PICKLE_OBJECT) {
        if (kind_of(m, state) != AIM_PICKLE_DICT || m->tree->node[target].count != 1)
            return fail(m, "the attributes of an object are no dict, or set twice");
        AIM_TRY(append(m, target, state));
        return push(m, target);
    }
    const int single = kind_of(m, state) == AIM_PICKLE_DICT && m->tree->node[state].count == 2;
    const aim_ref value = single ? aim_pickle_get(m->tree, state, "_metadata") : AIM_NO_REF;
    if (kind_of(m, target) != AIM_PICKLE_DICT || value == AIM_NO_REF ||
        kind_of(m, value) != AIM_PICKLE_DICT)
        return fail(m, "attributes other than _metadata of an OrderedDict are set");
    return push(m, target);
}

/* ---------------------------------------------------------------- the loop */

static aim_status step(machine *m, unsigned char opcode)
{
    switch (opcode) {
    case 'c':
        return op_global(m);
    case 'q':
        return op_put(m, 1);
    case 'r':
        return op_put(m, 4);
    case 'h':
        return op_get(m, 1);
    case 'j':
        return op_get(m, 4);
    case '}':
        return push_node(m, container(AIM_PICKLE_DICT));
    case ']':
        return push_node(m, container(AIM_PICKLE_LIST));
    case ')':
        return push(m, NODE_EMPTY_TUPLE);
    case '(':
        return push(m, MARK);
    case 't':
        return op_tuple(m);
    case 0x85:
        return make_tuple(m, 1);
    case 0x86:
        return make_tuple(m, 2);
    case 0x87:
        return make_tuple(m, 3);
    case 'X':
        return op_text(m);
    case 'J':
        return op_int(m, 4);
    case 'K':
        return op_int(m, 1);
    case 'M':
        return op_int(m, 2);
    case 0x8a:
        return op_long(m);
    case 'G':
        return op_float(m);
    case 0x88:
        return push(m, NODE_TRUE);
    case 0x89:
        return push(m, NODE_FALSE);
    case 'N':
        return push(m, NODE_NONE);
    case 's':
        return op_extend_once(m, AIM_PICKLE_DICT);
    case 'u':
        return op_extend(m, AIM_PICKLE_DICT);
    case 'a':
        return op_extend_once(m, AIM_PICKLE_LIST);
    case 'e':
        return op_extend(m, AIM_PICKLE_LIST);
    case 'Q':
        return op_persistent(m);
    case 'R':
        return op_reduce(m);
    case 'b':
        return op_build(m);
    default:
        if (opcode == 0x81 && m->script)
            return op_new_object(m);
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "pickle byte %zu: opcode 0x%02x is not one that torch.save writes",
                        m->opcode, opcode);
    }
}

static aim_status run(machine *m)
{
    if (m->size < 3 || m->bytes[0] != 0x80 || m->bytes[1] != 2)
        return fail(m, "not a pickle of protocol 2");
    m->at = 2;
    for (;;) {
        m->opcode = m->at;
        AIM_TRY(need(m, 1));
        const unsigned char opcode = m->bytes[m->at++];
        if (opcode == '.')
            break;
        AIM_TRY(step(m, opcode));
    }
    AIM_TRY(pop(m, &m->tree->root));
    if (m->stack.n != 0 || m->at != m->size)
        return fail(m, "values or bytes are left over at the end");
    return AIMNET_OK;
}

static aim_status make_shared(machine *m)
{
    aim_ref ref = AIM_NO_REF;
    for (int i = 0; i < SHARED_NODES; i++)
        AIM_TRY(new_node(m, (node){.kind = AIM_PICKLE_INT, .u.i = i}, &ref));
    m->tree->node[NODE_NONE] = (node){.kind = AIM_PICKLE_NONE};
    m->tree->node[NODE_FALSE] = (node){.kind = AIM_PICKLE_BOOL, .u.i = 0};
    m->tree->node[NODE_TRUE] = (node){.kind = AIM_PICKLE_BOOL, .u.i = 1};
    m->tree->node[NODE_EMPTY_TUPLE] = container(AIM_PICKLE_TUPLE);
    return AIMNET_OK;
}

static aim_status parse(const aim_alloc *a, const unsigned char *bytes, size_t size, int script,
                        aim_pickle *pickle)
{
    *pickle = (aim_pickle){.text = (const char *)bytes, .root = AIM_NO_REF};
    if (size > MAX_PICKLE)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "the pickle has %zu bytes; no model needs more than %d",
                        size, MAX_PICKLE);
    machine m = {.alloc = a,
                 .bytes = bytes,
                 .size = size,
                 .script = script,
                 .tree = pickle,
                 .limit = size / 2 + SPARE_NODES};
    aim_status status = make_shared(&m);
    if (status == AIMNET_OK)
        status = run(&m);
    aim_free(a, m.stack.at);
    aim_free(a, m.memo.at);
    if (status != AIMNET_OK)
        aim_pickle_free(pickle, a);
    return status;
}

aim_status aim_pickle_parse(const aim_alloc *a, const unsigned char *bytes, size_t size,
                            aim_pickle *pickle)
{
    return parse(a, bytes, size, 0, pickle);
}

aim_status aim_pickle_parse_script(const aim_alloc *a, const unsigned char *bytes, size_t size,
                                   aim_pickle *pickle)
{
    return parse(a, bytes, size, 1, pickle);
}

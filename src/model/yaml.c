/* SPDX-License-Identifier: MIT */
/* yaml.c - libyaml's events into nodes, with a stack of open collections instead of recursion.
 *
 * The resolution of plain scalars follows YAML 1.1 as PyYAML reads it, restricted to what its
 * dumper writes: null   ~ null Null NULL and nothing         bool   true false yes no on off (three
 * spellings each) int    [-+]?(0|[1-9][0-9]*)                 float
 * [-+]?[0-9]+.[0-9]*([eE][-+][0-9]+)?  and .inf, .nan libyaml allocates by malloc; its failures are
 * MEMORY like any other. */
#include "model/yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/text.h"

enum { MAX_TEXT = 1 << 18, MAX_DEPTH = 32, MAX_NODES = 8192, MAX_ANCHORS = 256 };

struct aim_yaml_node {
    aim_yaml_kind kind;
    int count, first, last; /* collections: items in order */
    size_t text;            /* scalars: offset in the pool */
    union {
        int64_t i;
        double f;
    } u;
};

struct aim_yaml_item {
    int key, value, next;
};

typedef struct anchor {
    size_t name; /* offset in the pool */
    int node;
} anchor;

typedef struct reader {
    const aim_alloc *alloc;
    aim_yaml *y;
    size_t node_capacity, item_capacity, pool_capacity;
    int open[MAX_DEPTH]; /* collections that are being read */
    int key[MAX_DEPTH];  /* MAP: key whose value comes next, or AIM_YAML_NONE */
    int depth, integer_keys;
    anchor anchors[MAX_ANCHORS];
    int n_anchors;
    yaml_mark_t mark; /* of the current event */
} reader;

static aim_status fail(const reader *r, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml line %zu column %zu: %s", r->mark.line + 1,
                    r->mark.column + 1, what);
}

/* ---------------------------------------------------------------- storage */

static aim_status reserve(const reader *r, size_t n, size_t *capacity, size_t size, void *block)
{
    if (n <= *capacity)
        return AIMNET_OK;
    size_t grown = *capacity ? *capacity : 128;
    while (grown < n)
        grown *= 2;
    AIM_TRY(aim_grow(r->alloc, *capacity, grown, size, "model_yaml", block));
    *capacity = grown;
    return AIMNET_OK;
}

static aim_status keep_text(reader *r, const void *text, size_t size, size_t *offset)
{
    aim_yaml *y = r->y;
    if (memchr(text, '\0', size))
        return fail(r, "a scalar contains a NUL character");
    AIM_TRY(reserve(r, y->pool_size + size + 1, &r->pool_capacity, 1, &y->pool));
    *offset = y->pool_size;
    memcpy(y->pool + *offset, text, size);
    y->pool[*offset + size] = '\0';
    y->pool_size += size + 1;
    return AIMNET_OK;
}

static aim_status new_node(reader *r, aim_yaml_kind kind, int *node)
{
    aim_yaml *y = r->y;
    if (y->n_nodes >= MAX_NODES)
        return fail(r, "more than 8192 nodes");
    AIM_TRY(reserve(r, y->n_nodes + 1, &r->node_capacity, sizeof *y->node, &y->node));
    *node = (int)y->n_nodes;
    y->node[y->n_nodes++] =
        (struct aim_yaml_node){.kind = kind, .first = AIM_YAML_NONE, .last = AIM_YAML_NONE};
    return AIMNET_OK;
}

static aim_status append(reader *r, int to, int key, int value)
{
    aim_yaml *y = r->y;
    if (y->n_items >= MAX_NODES)
        return fail(r, "more than 8192 entries");
    AIM_TRY(reserve(r, y->n_items + 1, &r->item_capacity, sizeof *y->item, &y->item));
    const int i = (int)y->n_items++;
    y->item[i] = (struct aim_yaml_item){key, value, AIM_YAML_NONE};
    struct aim_yaml_node *n = &y->node[to];
    if (n->count++ == 0)
        n->first = i;
    else
        y->item[n->last].next = i;
    n->last = i;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- scalars */

static int is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return 1;
    return 0;
}

static size_t digits(const char *s)
{
    size_t n = 0;
    while (s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

static int looks_like_int(const char *s)
{
    s += *s == '-' || *s == '+';
    const size_t n = digits(s);
    return n > 0 && s[n] == '\0' && (s[0] != '0' || n == 1);
}

static int looks_like_float(const char *s)
{
    s += *s == '-' || *s == '+';
    const size_t whole = digits(s);
    s += whole;
    if (*s++ != '.')
        return 0;
    const size_t fraction = digits(s);
    s += fraction;
    if (whole + fraction == 0)
        return 0;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s != '-' && *s != '+')
            return 0;
        s++;
        if (digits(s) == 0)
            return 0;
        s += digits(s);
    }
    return *s == '\0';
}

/* Turns a TEXT node into what its plain form means. */
static void resolve(const aim_yaml *y, struct aim_yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes",
                                        "YES",  "on",   "On",   "ON",  NULL};
    static const char *const falses[] = {"false", "False", "FALSE", "no",  "No",
                                         "NO",    "off",   "Off",   "OFF", NULL};
    static const char *const infinities[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                             "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                             ".NaN",  ".NAN",  NULL};
    const char *text = y->pool + n->text;
    if (is_one_of(text, nulls)) {
        n->kind = AIM_YAML_NULL;
    } else if (is_one_of(text, trues) || is_one_of(text, falses)) {
        n->kind = AIM_YAML_BOOL;
        n->u.i = is_one_of(text, trues);
    } else if (looks_like_int(text) && aim_parse_int64(text, strlen(text), &n->u.i)) {
        n->kind = AIM_YAML_INT;
    } else if (is_one_of(text, infinities)) {
        const char *word = strchr(text, '.') + 1;
        n->kind = AIM_YAML_FLOAT;
        if (aim_parse_double(word, strlen(word), &n->u.f) && text[0] == '-')
            n->u.f = -n->u.f;
    } else if (looks_like_float(text) && aim_parse_double(text, strlen(text), &n->u.f)) {
        n->kind = AIM_YAML_FLOAT;
    }
}

/* ---------------------------------------------------------------- events */

/* Puts a finished or just opened node where it belongs: into the innermost collection, or as the
 * root. */
static aim_status place(reader *r, int node)
{
    aim_yaml *y = r->y;
    if (r->depth == 0) {
        y->root = node;
        return AIMNET_OK;
    }
    const int in = r->open[r->depth - 1];
    int *key = &r->key[r->depth - 1];
    if (y->node[in].kind == AIM_YAML_LIST)
        return append(r, in, AIM_YAML_NONE, node);
    if (*key == AIM_YAML_NONE) {
        if (y->node[node].kind != AIM_YAML_TEXT &&
            !(r->integer_keys && y->node[node].kind == AIM_YAML_INT))
            return fail(r, "a key must be a string");
        const char *text = aim_yaml_text(y, node);
        if (strcmp(text, "<<") == 0)
            return fail(r, "merge keys are not read");
        if (aim_yaml_get(y, in, text) != AIM_YAML_NONE)
            return fail(r, "a key occurs twice in the same mapping");
        *key = node;
        return AIMNET_OK;
    }
    const int key_node = *key;
    *key = AIM_YAML_NONE;
    return append(r, in, key_node, node);
}

static aim_status remember_anchor(reader *r, const yaml_char_t *name, int node)
{
    if (!name)
        return AIMNET_OK;
    if (r->n_anchors == MAX_ANCHORS)
        return fail(r, "more than 256 anchors");
    anchor *a = &r->anchors[r->n_anchors];
    AIM_TRY(keep_text(r, name, strlen((const char *)name), &a->name));
    a->node = node;
    r->n_anchors++;
    return AIMNET_OK;
}

static aim_status on_alias(reader *r, const char *name)
{
    for (int i = r->n_anchors; i-- > 0;) {
        if (strcmp(r->y->pool + r->anchors[i].name, name) != 0)
            continue;
        for (int d = 0; d < r->depth; d++)
            if (r->open[d] == r->anchors[i].node)
                return fail(r, "an alias stands inside of what it names");
        return place(r, r->anchors[i].node);
    }
    return fail(r, "an alias names no anchor");
}

static aim_status on_scalar(reader *r, const yaml_event_t *e)
{
    int node = AIM_YAML_NONE;
    if (e->data.scalar.tag)
        return fail(r, "tags are not read");
    AIM_TRY(new_node(r, AIM_YAML_TEXT, &node));
    AIM_TRY(keep_text(r, e->data.scalar.value, e->data.scalar.length, &r->y->node[node].text));
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        resolve(r->y, &r->y->node[node]);
    AIM_TRY(remember_anchor(r, e->data.scalar.anchor, node));
    return place(r, node);
}

static aim_status on_open(reader *r, aim_yaml_kind kind, const yaml_char_t *tag,
                          const yaml_char_t *name)
{
    int node = AIM_YAML_NONE;
    if (tag)
        return fail(r, "tags are not read");
    if (r->depth == MAX_DEPTH)
        return fail(r, "nested deeper than 32 levels");
    AIM_TRY(new_node(r, kind, &node));
    AIM_TRY(remember_anchor(r, name, node));
    AIM_TRY(place(r, node));
    r->key[r->depth] = AIM_YAML_NONE;
    r->open[r->depth++] = node;
    return AIMNET_OK;
}

static aim_status on_event(reader *r, const yaml_event_t *e)
{
    r->mark = e->start_mark;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->y->root != AIM_YAML_NONE)
            return fail(r, "a second document begins");
        return AIMNET_OK;
    case YAML_ALIAS_EVENT:
        return on_alias(r, (const char *)e->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, AIM_YAML_LIST, e->data.sequence_start.tag, e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, AIM_YAML_MAP, e->data.mapping_start.tag, e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return AIMNET_OK;
    default:
        return AIMNET_OK;
    }
}

static aim_status parser_failed(reader *r, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return AIM_FAIL(AIMNET_ERR_MEMORY, "model_yaml: out of memory");
    r->mark = p->problem_mark;
    return fail(r, p->problem ? p->problem : "not YAML");
}

static aim_status read_events(reader *r, yaml_parser_t *p)
{
    for (int end = 0; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(p, &event))
            return parser_failed(r, p);
        end = event.type == YAML_STREAM_END_EVENT;
        const aim_status status = on_event(r, &event);
        yaml_event_delete(&event);
        AIM_TRY(status);
    }
    if (r->y->root == AIM_YAML_NONE)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml is empty");
    return AIMNET_OK;
}

static aim_status parse(const aim_alloc *a, const char *text, size_t size, int integer_keys,
                        aim_yaml *yaml)
{
    reader r = {.alloc = a, .y = yaml, .integer_keys = integer_keys};
    yaml_parser_t parser;
    *yaml = (aim_yaml){.root = AIM_YAML_NONE};
    if (size > MAX_TEXT)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml has %zu bytes; no model needs more than %d",
                        size, MAX_TEXT);
    if (!yaml_parser_initialize(&parser))
        return AIM_FAIL(AIMNET_ERR_MEMORY, "model_yaml: out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    const aim_status status = read_events(&r, &parser);
    yaml_parser_delete(&parser);
    if (status != AIMNET_OK)
        aim_yaml_free(yaml, a);
    return status;
}

aim_status aim_yaml_parse(const aim_alloc *a, const char *text, size_t size, aim_yaml *yaml)
{
    return parse(a, text, size, 0, yaml);
}

aim_status aim_yaml_parse_table(const aim_alloc *a, const char *text, size_t size, aim_yaml *yaml)
{
    return parse(a, text, size, 1, yaml);
}

void aim_yaml_free(aim_yaml *yaml, const aim_alloc *a)
{
    aim_free(a, yaml->node);
    aim_free(a, yaml->item);
    aim_free(a, yaml->pool);
    *yaml = (aim_yaml){.root = AIM_YAML_NONE};
}

/* ---------------------------------------------------------------- reading the tree */

aim_yaml_kind aim_yaml_kind_of(const aim_yaml *y, int node)
{
    return y->node[node].kind;
}

const char *aim_yaml_kind_name(aim_yaml_kind kind)
{
    static const char *const names[] = {"null",     "a boolean", "an integer", "a number",
                                        "a string", "a list",    "a mapping"};
    return names[kind];
}

const char *aim_yaml_text(const aim_yaml *y, int node)
{
    return y->node[node].kind <= AIM_YAML_TEXT ? y->pool + y->node[node].text : "";
}

int64_t aim_yaml_int(const aim_yaml *y, int node)
{
    return y->node[node].u.i;
}

double aim_yaml_float(const aim_yaml *y, int node)
{
    return y->node[node].kind == AIM_YAML_INT ? (double)y->node[node].u.i : y->node[node].u.f;
}

int aim_yaml_count(const aim_yaml *y, int node)
{
    return y->node[node].count;
}

static aim_yaml_iter iter_at(const aim_yaml *y, int item)
{
    if (item == AIM_YAML_NONE)
        return (aim_yaml_iter){AIM_YAML_NONE, AIM_YAML_NONE, AIM_YAML_NONE};
    return (aim_yaml_iter){y->item[item].key, y->item[item].value, item};
}

aim_yaml_iter aim_yaml_begin(const aim_yaml *y, int node)
{
    return iter_at(y, y->node[node].first);
}

void aim_yaml_step(const aim_yaml *y, aim_yaml_iter *it)
{
    *it = iter_at(y, y->item[it->item].next);
}

int aim_yaml_get(const aim_yaml *y, int map, const char *key)
{
    for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it))
        if (it.key != AIM_YAML_NONE && strcmp(aim_yaml_text(y, it.key), key) == 0)
            return it.value;
    return AIM_YAML_NONE;
}

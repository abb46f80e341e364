/* SPDX-License-Identifier: MIT */
/* pickle.h - a closed machine for the pickles of torch.save: protocol 2, its opcodes for plain data
 * and tensors, nothing else.
 *
 * There is no way to run code: the only globals are collections.OrderedDict,
 * torch._utils._rebuild_tensor_v2 and the storage classes of torch, each of which becomes a value
 * of this file's own tree. The tree lives in flat arrays; containers may be shared and even contain
 * themselves (the memo allows it), so readers walk a known number of levels and never recurse. */
#ifndef AIM_IO_PICKLE_H
#define AIM_IO_PICKLE_H

#include "io/names.h"

typedef enum aim_pickle_kind {
    AIM_PICKLE_NONE,
    AIM_PICKLE_BOOL,
    AIM_PICKLE_INT,
    AIM_PICKLE_FLOAT,
    AIM_PICKLE_STRING,
    AIM_PICKLE_TUPLE,
    AIM_PICKLE_LIST,
    AIM_PICKLE_DICT,    /* items: key, value, key, value ... in file order */
    AIM_PICKLE_STORAGE, /* items: storage class, key, number of elements */
    AIM_PICKLE_TENSOR,  /* items: storage, offset, shape, strides, and two more; kinds are not
                           checked yet */
    AIM_PICKLE_OBJECT,  /* of TorchScript. Items: its class (GLOBAL), and its attributes (DICT) once
                           they are set */
    AIM_PICKLE_CLASS,   /* a storage class: integer = aim_pickle_class */
    AIM_PICKLE_GLOBAL   /* the name of a class of TorchScript: text = "module\nname" */
} aim_pickle_kind;

typedef enum aim_pickle_class {
    AIM_CLASS_ORDERED_DICT,
    AIM_CLASS_REBUILD_TENSOR,
    AIM_CLASS_FLOAT,
    AIM_CLASS_DOUBLE,
    AIM_CLASS_HALF,
    AIM_CLASS_BFLOAT16,
    AIM_CLASS_LONG,
    AIM_CLASS_INT,
    AIM_CLASS_SHORT,
    AIM_CLASS_CHAR,
    AIM_CLASS_BYTE,
    AIM_CLASS_BOOL
} aim_pickle_class;

typedef uint32_t aim_ref; /* a value of the tree */
#define AIM_NO_REF UINT32_MAX

typedef struct aim_pickle {
    const char *text; /* the pickle's bytes, which strings refer to */
    struct aim_pickle_node *node;
    struct aim_pickle_cell *cell;
    size_t n_nodes, n_cells;
    aim_ref root;
} aim_pickle;

/* Errors: FORMAT with the byte position. The bytes must stay as they are while the tree is used. */
AIM_NODISCARD aim_status aim_pickle_parse(const aim_alloc *a, const unsigned char *bytes,
                                          size_t size, aim_pickle *pickle);
/* The same for data.pkl of a TorchScript archive, which holds objects of classes "__torch__...": they
 * become OBJECTs, names with attributes. */
AIM_NODISCARD aim_status aim_pickle_parse_script(const aim_alloc *a, const unsigned char *bytes,
                                                 size_t size, aim_pickle *pickle);
void aim_pickle_free(aim_pickle *pickle, const aim_alloc *a);

aim_pickle_kind aim_pickle_kind_of(const aim_pickle *p, aim_ref value);
const char *aim_pickle_kind_name(aim_pickle_kind kind);
int64_t aim_pickle_int(const aim_pickle *p, aim_ref value);    /* INT, BOOL, CLASS */
double aim_pickle_float(const aim_pickle *p, aim_ref value);   /* FLOAT */
aim_slice aim_pickle_text(const aim_pickle *p, aim_ref value); /* STRING (UTF-8) */
size_t aim_pickle_count(const aim_pickle *p,
                        aim_ref value); /* items of a container (2 per entry of a dict) */

/* for (aim_items it = aim_pickle_items(p, list); it.value != AIM_NO_REF; aim_pickle_next(p, &it))
 */
typedef struct aim_items {
    aim_ref value;
    uint32_t cell;
} aim_items;
aim_items aim_pickle_items(const aim_pickle *p, aim_ref container);
void aim_pickle_next(const aim_pickle *p, aim_items *it);
/* The n-th item of a container, or AIM_NO_REF. */
aim_ref aim_pickle_item(const aim_pickle *p, aim_ref container, size_t n);
/* The value of a string key, or AIM_NO_REF; the first one if there are several. */
aim_ref aim_pickle_get(const aim_pickle *p, aim_ref dict, const char *key);

#endif

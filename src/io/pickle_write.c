/* SPDX-License-Identifier: MIT */
/* pickle_write.c - opcodes of Python's pickle protocol 2, without memo: nothing is referred to
 * twice, so every value is written out where it stands.
 *
 * Values of a tree may share parts (a memo made it), which unfolds here; the limits on levels and
 * bytes end that. */
#include "io/pickle_write.h"

#include <string.h>

enum { MAX_LEVELS = 16, MAX_BYTES = 1 << 24 };

static void put(aim_pickle_out *out, const void *bytes, size_t n)
{
    if (out->status != AIMNET_OK)
        return;
    if (out->bytes.size + n > MAX_BYTES)
        out->status = AIM_FAIL(AIMNET_ERR_MODEL, "the description of the model unfolds to more "
                                                 "than 16 MiB");
    else
        out->status = aim_string_append(&out->bytes, out->alloc, bytes, n);
}

static void put_le(aim_pickle_out *out, uint64_t value, size_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    put(out, bytes, n);
}

void aim_put_op(aim_pickle_out *out, int opcode)
{
    const unsigned char byte = (unsigned char)opcode;
    put(out, &byte, 1);
}

void aim_put_begin(aim_pickle_out *out)
{
    put(out, "\x80\x02", 2);
}

aim_status aim_put_end(aim_pickle_out *out)
{
    aim_put_op(out, '.');
    return out->status;
}

void aim_put_none(aim_pickle_out *out)
{
    aim_put_op(out, 'N');
}

void aim_put_bool(aim_pickle_out *out, int value)
{
    aim_put_op(out, value ? 0x88 : 0x89);
}

void aim_put_int(aim_pickle_out *out, int64_t value)
{
    const int small = value >= INT32_MIN && value <= INT32_MAX;
    if (value >= 0 && value < 256) {
        aim_put_op(out, 'K');
        put_le(out, (uint64_t)value, 1);
    } else if (value >= 0 && value < 65536) {
        aim_put_op(out, 'M');
        put_le(out, (uint64_t)value, 2);
    } else if (small) {
        aim_put_op(out, 'J');
        put_le(out, (uint64_t)value, 4);
    } else {
        put(out, "\x8a\x08", 2);
        put_le(out, (uint64_t)value, 8);
    }
}

void aim_put_float(aim_pickle_out *out, double value)
{
    uint64_t bits;
    unsigned char bytes[9] = {'G'};
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
    put(out, bytes, sizeof bytes);
}

void aim_put_slice(aim_pickle_out *out, aim_slice text)
{
    aim_put_op(out, 'X');
    put_le(out, text.size, 4);
    if (text.size > 0)
        put(out, text.text, text.size);
}

void aim_put_text(aim_pickle_out *out, const char *text)
{
    aim_put_slice(out, (aim_slice){text, strlen(text)});
}

void aim_put_global(aim_pickle_out *out, const char *module, const char *name)
{
    aim_put_op(out, 'c');
    put(out, module, strlen(module));
    aim_put_op(out, '\n');
    put(out, name, strlen(name));
    aim_put_op(out, '\n');
}

void aim_put_open(aim_pickle_out *out, aim_pickle_kind kind)
{
    if (kind != AIM_PICKLE_TUPLE)
        aim_put_op(out, kind == AIM_PICKLE_DICT ? '}' : ']');
    aim_put_op(out, '(');
}

void aim_put_close(aim_pickle_out *out, aim_pickle_kind kind)
{
    aim_put_op(out, kind == AIM_PICKLE_DICT ? 'u' : kind == AIM_PICKLE_LIST ? 'e' : 't');
}

/* ---------------------------------------------------------------- values of a tree */

static int is_container(aim_pickle_kind kind)
{
    return kind == AIM_PICKLE_DICT || kind == AIM_PICKLE_LIST || kind == AIM_PICKLE_TUPLE;
}

static void put_scalar(aim_pickle_out *out, const aim_pickle *p, aim_ref value)
{
    switch (aim_pickle_kind_of(p, value)) {
    case AIM_PICKLE_NONE:
        aim_put_none(out);
        break;
    case AIM_PICKLE_BOOL:
        aim_put_bool(out, aim_pickle_int(p, value) != 0);
        break;
    case AIM_PICKLE_INT:
        aim_put_int(out, aim_pickle_int(p, value));
        break;
    case AIM_PICKLE_FLOAT:
        aim_put_float(out, aim_pickle_float(p, value));
        break;
    case AIM_PICKLE_STRING:
        aim_put_slice(out, aim_pickle_text(p, value));
        break;
    default:
        if (out->status == AIMNET_OK)
            out->status = AIM_FAIL(AIMNET_ERR_MODEL,
                                   "%s stands in the description of the model, "
                                   "where plain values belong",
                                   aim_pickle_kind_name(aim_pickle_kind_of(p, value)));
    }
}

void aim_put_value(aim_pickle_out *out, const aim_pickle *p, aim_ref value)
{
    struct {
        aim_items next;
        aim_pickle_kind kind;
    } level[MAX_LEVELS];
    int depth = 0;
    for (aim_ref at = value;;) {
        const aim_pickle_kind kind = aim_pickle_kind_of(p, at);
        if (!is_container(kind)) {
            put_scalar(out, p, at);
        } else if (depth == MAX_LEVELS) {
            out->status = out->status != AIMNET_OK
                              ? out->status
                              : AIM_FAIL(AIMNET_ERR_MODEL, "the description of the model is nested "
                                                           "deeper than 16 levels");
        } else {
            aim_put_open(out, kind);
            level[depth].kind = kind;
            level[depth++].next = aim_pickle_items(p, at);
        }
        while (depth > 0 && level[depth - 1].next.value == AIM_NO_REF)
            aim_put_close(out, level[--depth].kind);
        if (depth == 0 || out->status != AIMNET_OK)
            return;
        at = level[depth - 1].next.value;
        aim_pickle_next(p, &level[depth - 1].next);
    }
}

int aim_pickle_is_plain(const aim_pickle *p, aim_ref value)
{
    aim_items level[MAX_LEVELS];
    size_t visits = 0;
    int depth = 0;
    for (aim_ref at = value; visits++ < MAX_BYTES;) {
        const aim_pickle_kind kind = aim_pickle_kind_of(p, at);
        if (kind > AIM_PICKLE_DICT || (is_container(kind) && depth == MAX_LEVELS))
            return 0;
        if (is_container(kind))
            level[depth++] = aim_pickle_items(p, at);
        while (depth > 0 && level[depth - 1].value == AIM_NO_REF)
            depth--;
        if (depth == 0)
            return 1;
        at = level[depth - 1].value;
        aim_pickle_next(p, &level[depth - 1]);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* torch_writer.c - writes the bytes of ZIP archives and pickles, field by field, as torch.save and
 * miniz do: streaming entries with data descriptors, "FB" padding to the alignment, zip64 records.
 */
#include "torch_writer.h"

#include <stdio.h>
#include <zlib.h>

void torch_put(torch_buffer *b, const void *bytes, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n) + 64;
        b->at = realloc(b->at, b->capacity);
        assert_non_null(b->at);
    }
    if (n > 0)
        memcpy(b->at + b->n, bytes, n);
    b->n += n;
}

void torch_put_le(torch_buffer *b, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)(i < 8 ? value >> (8 * i) : 0);
        torch_put(b, &byte, 1);
    }
}

void torch_buffer_free(torch_buffer *b)
{
    free(b->at);
    *b = (torch_buffer){0};
}

torch_buffer torch_read_file(const char *path)
{
    torch_buffer b = {0};
    unsigned char block[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        torch_put(&b, block, n);
    fclose(file);
    return b;
}

static void torch_zip_directory(torch_zip *z, const char *name, uint32_t crc, size_t size,
                                size_t offset)
{
    torch_buffer *d = &z->directory;
    const uint64_t saturated = 0xffffffff;
    torch_put_le(d, 0x02014b50, 4);
    torch_put_le(d, 0, 4);
    torch_put_le(d, z->descriptor ? 0x0808 : 0x0800, 2);
    torch_put_le(d, 0, 2 + 4);
    torch_put_le(d, crc, 4);
    torch_put_le(d, z->wide ? saturated : size, 4);
    torch_put_le(d, z->wide ? saturated : size, 4);
    torch_put_le(d, strlen(name), 2);
    torch_put_le(d, z->wide ? 28 : 0, 2);
    torch_put_le(d, 0, 2 + 2 + 2 + 4);
    torch_put_le(d, z->wide ? saturated : offset, 4);
    torch_put(d, name, strlen(name));
    if (z->wide) {
        torch_put_le(d, 1, 2);
        torch_put_le(d, 24, 2);
        torch_put_le(d, size, 8);
        torch_put_le(d, size, 8);
        torch_put_le(d, offset, 8);
    }
}

static void torch_zip_local(torch_zip *z, const char *name, uint32_t crc, size_t size)
{
    torch_buffer *f = &z->file;
    const int wide_sizes = z->wide && !z->descriptor;
    const size_t align = z->align ? z->align : 64;
    const size_t fields = wide_sizes ? 24 : 4;
    const size_t before = f->n + 30 + strlen(name) + fields;
    const size_t padding = (align - before % align) % align;
    torch_put_le(f, 0x04034b50, 4);
    torch_put_le(f, 0, 2);
    torch_put_le(f, z->descriptor ? 0x0808 : 0x0800, 2);
    torch_put_le(f, 0, 2 + 4);
    torch_put_le(f, z->descriptor ? 0 : crc, 4);
    torch_put_le(f, z->descriptor ? 0 : wide_sizes ? 0xffffffff : size, 4);
    torch_put_le(f, z->descriptor ? 0 : wide_sizes ? 0xffffffff : size, 4);
    torch_put_le(f, strlen(name), 2);
    torch_put_le(f, fields + padding, 2);
    torch_put(f, name, strlen(name));
    if (wide_sizes) {
        torch_put_le(f, 1, 2);
        torch_put_le(f, 16, 2);
        torch_put_le(f, size, 8);
        torch_put_le(f, size, 8);
    }
    torch_put_le(f, 0x4246, 2);
    torch_put_le(f, padding, 2);
    for (size_t i = 0; i < padding; i++)
        torch_put(f, "Z", 1);
}

void torch_zip_add(torch_zip *z, const char *name, const void *data, size_t size)
{
    const uint32_t crc = (uint32_t)crc32(0, data, (uInt)size);
    assert_true(z->count < TORCH_MAX_ENTRIES);
    z->start[z->count++] = z->file.n;
    torch_zip_directory(z, name, crc, size, z->file.n);
    torch_zip_local(z, name, crc, size);
    torch_put(&z->file, data, size);
    if (z->descriptor) {
        torch_put_le(&z->file, 0x08074b50, 4);
        torch_put_le(&z->file, crc, 4);
        torch_put_le(&z->file, size, z->wide ? 8 : 4);
        torch_put_le(&z->file, size, z->wide ? 8 : 4);
    }
}

void torch_zip_text(torch_zip *z, const char *name, const char *text)
{
    torch_zip_add(z, name, text, strlen(text));
}

void torch_zip_finish(torch_zip *z)
{
    torch_buffer *f = &z->file;
    const size_t offset = f->n, size = z->directory.n;
    z->start[z->count] = offset;
    torch_put(f, z->directory.at, size);
    const size_t end64 = f->n;
    if (!z->plain_end) {
        torch_put_le(f, 0x06064b50, 4);
        torch_put_le(f, 44, 8);
        torch_put_le(f, 0x1e03, 2);
        torch_put_le(f, 0x2d, 2);
        torch_put_le(f, 0, 4 + 4);
        torch_put_le(f, z->count, 8);
        torch_put_le(f, z->count, 8);
        torch_put_le(f, size, 8);
        torch_put_le(f, offset, 8);
        torch_put_le(f, 0x07064b50, 4);
        torch_put_le(f, 0, 4);
        torch_put_le(f, end64, 8);
        torch_put_le(f, 1, 4);
    }
    torch_put_le(f, 0x06054b50, 4);
    torch_put_le(f, 0, 4);
    torch_put_le(f, z->count, 2);
    torch_put_le(f, z->count, 2);
    torch_put_le(f, size, 4);
    torch_put_le(f, offset, 4);
    torch_put_le(f, 0, 2);
    torch_buffer_free(&z->directory);
}

void torch_op(torch_pickle *p, int opcode)
{
    const unsigned char byte = (unsigned char)opcode;
    torch_put(&p->out, &byte, 1);
}

void torch_memo(torch_pickle *p)
{
    if (p->plain)
        return;
    torch_op(p, p->memo < 256 ? 'q' : 'r');
    torch_put_le(&p->out, p->memo, p->memo < 256 ? 1 : 4);
    p->memo++;
}

void torch_begin(torch_pickle *p)
{
    *p = (torch_pickle){0};
    torch_put(&p->out, "\x80\x02", 2);
}

void torch_text(torch_pickle *p, const char *text)
{
    torch_op(p, 'X');
    torch_put_le(&p->out, strlen(text), 4);
    torch_put(&p->out, text, strlen(text));
    torch_memo(p);
}

void torch_int(torch_pickle *p, int64_t value)
{
    if (value >= 0 && value < 256) {
        torch_op(p, 'K');
        torch_put_le(&p->out, (uint64_t)value, 1);
    } else if (value >= 0 && value < 65536) {
        torch_op(p, 'M');
        torch_put_le(&p->out, (uint64_t)value, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        torch_op(p, 'J');
        torch_put_le(&p->out, (uint64_t)value, 4);
    } else {
        torch_op(p, 0x8a);
        torch_put_le(&p->out, 8, 1);
        torch_put_le(&p->out, (uint64_t)value, 8);
    }
}

void torch_float(torch_pickle *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    torch_op(p, 'G');
    for (int i = 56; i >= 0; i -= 8)
        torch_op(p, (int)(bits >> i & 0xff));
}

void torch_bool(torch_pickle *p, int value)
{
    torch_op(p, value ? 0x88 : 0x89);
}

void torch_global(torch_pickle *p, const char *module, const char *name)
{
    torch_op(p, 'c');
    torch_put(&p->out, module, strlen(module));
    torch_op(p, '\n');
    torch_put(&p->out, name, strlen(name));
    torch_op(p, '\n');
    torch_memo(p);
}

void torch_ordered_dict(torch_pickle *p)
{
    torch_global(p, "collections", "OrderedDict");
    torch_op(p, ')');
    torch_op(p, 'R');
    torch_memo(p);
}

void torch_tuple(torch_pickle *p, int n, const int64_t *values)
{
    if (n == 0) {
        torch_op(p, ')');
        return;
    }
    if (n > 3)
        torch_op(p, '(');
    for (int i = 0; i < n; i++)
        torch_int(p, values[i]);
    torch_op(p, n == 1 ? 0x85 : n == 2 ? 0x86 : n == 3 ? 0x87 : 't');
    torch_memo(p);
}

void torch_tensor_value(torch_pickle *p, const torch_tensor *t)
{
    torch_global(p, "torch._utils", "_rebuild_tensor_v2");
    torch_op(p, '(');
    torch_op(p, '(');
    torch_text(p, "storage");
    torch_global(p, "torch", t->storage);
    torch_text(p, t->key);
    torch_text(p, "cpu");
    torch_int(p, t->elements);
    torch_op(p, 't');
    torch_memo(p);
    torch_op(p, 'Q');
    torch_int(p, t->offset);
    torch_tuple(p, t->ndim, t->shape);
    torch_tuple(p, t->ndim, t->stride);
    torch_bool(p, 0);
    torch_ordered_dict(p);
    torch_op(p, 't');
    torch_memo(p);
    torch_op(p, 'R');
    torch_memo(p);
}

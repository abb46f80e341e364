/* SPDX-License-Identifier: MIT */
/* model_file.c - takes a golden model apart with the library's own reader and writes it again with
 * torch_writer.c. */
#include "model_file.h"

#include <stdio.h>

torch_buffer *model_file_field(model_file *f, const char *key)
{
    for (int i = 0; i < f->n_fields; i++)
        if (strcmp(f->field[i].key, key) == 0)
            return &f->field[i].value;
    assert_true(f->n_fields < 32);
    snprintf(f->field[f->n_fields].key, sizeof f->field->key, "%s", key);
    return &f->field[f->n_fields++].value;
}

void model_file_set(model_file *f, const char *key, const void *opcodes, size_t n)
{
    torch_buffer *value = model_file_field(f, key);
    value->n = 0;
    torch_put(value, opcodes, n);
}

static void model_text_opcodes(torch_buffer *out, aim_slice text)
{
    torch_put(out, "X", 1);
    torch_put_le(out, text.size, 4);
    torch_put(out, text.text, text.size);
}

void model_file_set_text(model_file *f, const char *key, const char *text)
{
    torch_buffer *value = model_file_field(f, key);
    value->n = 0;
    model_text_opcodes(value, (aim_slice){text, strlen(text)});
}

/* Writes a value of a real file again: scalars, lists and dicts of scalars. */
static void model_copy_value(const aim_pickle *p, aim_ref value, torch_buffer *out)
{
    torch_pickle w = {0};
    const aim_pickle_kind kind = aim_pickle_kind_of(p, value);
    switch (kind) {
    case AIM_PICKLE_NONE:
        torch_op(&w, 'N');
        break;
    case AIM_PICKLE_BOOL:
        torch_bool(&w, (int)aim_pickle_int(p, value));
        break;
    case AIM_PICKLE_INT:
        torch_int(&w, aim_pickle_int(p, value));
        break;
    case AIM_PICKLE_FLOAT:
        torch_float(&w, aim_pickle_float(p, value));
        break;
    case AIM_PICKLE_STRING:
        model_text_opcodes(&w.out, aim_pickle_text(p, value));
        break;
    default:
        assert_true(kind == AIM_PICKLE_LIST || kind == AIM_PICKLE_DICT);
        torch_put(&w.out, kind == AIM_PICKLE_LIST ? "](" : "}(", 2);
        for (aim_items it = aim_pickle_items(p, value); it.value != AIM_NO_REF;
             aim_pickle_next(p, &it))
            model_copy_value(p, it.value, &w.out);
        torch_op(&w, kind == AIM_PICKLE_LIST ? 'e' : 'u');
    }
    torch_put(out, w.out.at, w.out.n);
    torch_buffer_free(&w.out);
}

static void model_copy_fields(model_file *f)
{
    const aim_pickle *p = &f->archive.pickle;
    for (aim_items it = aim_pickle_items(p, f->pt.metadata); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_slice key = aim_pickle_text(p, it.value);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)key.size, key.text);
        aim_pickle_next(p, &it);
        if (aim_slice_is(key, "model_yaml")) {
            const aim_slice text = aim_pickle_text(p, it.value);
            f->yaml = calloc(text.size + 1, 1);
            assert_non_null(f->yaml);
            memcpy(f->yaml, text.text, text.size);
        } else if (!aim_slice_is(key, "state_dict")) {
            model_copy_value(p, it.value, model_file_field(f, name));
        }
    }
}

static const char *model_storage_name(aim_dtype dtype)
{
    static const char *const names[] = {
        "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
        "IntStorage",   "ShortStorage",  "CharStorage", "ByteStorage",     "BoolStorage"};
    return names[dtype];
}

void model_file_open(model_file *f, const char *name)
{
    const aim_alloc a = aim_alloc_default();
    char path[512];
    *f = (model_file){0};
    snprintf(path, sizeof path, "%s/tests/golden/models/%s.pt", AIM_SOURCE_DIR, name);
    f->source = torch_read_file(path);
    if (aim_torch_open(&a, f->source.at, f->source.n, &f->archive) != AIMNET_OK ||
        aim_pt_open(&a, &f->archive, &f->pt) != AIMNET_OK)
        fail_msg("%s: %s", path, aimnet_last_error());
    model_copy_fields(f);
    assert_true(f->pt.n_tensors <= 96);
    for (size_t i = 0; i < f->pt.n_tensors; i++) {
        const aim_tensor *from = &f->pt.tensor[i];
        model_tensor *to = &f->tensor[f->n_tensors++];
        snprintf(to->name, sizeof to->name, "%.*s", (int)from->name.size, from->name.text);
        to->storage = model_storage_name(from->dtype);
        to->ndim = from->ndim;
        memcpy(to->shape, from->shape, sizeof to->shape);
        memcpy(to->stride, from->stride, sizeof to->stride);
        torch_put(&to->data, from->data, (size_t)from->count * aim_dtype_size(from->dtype));
    }
}

model_tensor *model_file_tensor(model_file *f, const char *name)
{
    for (int i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensor[i].name, name) == 0)
            return &f->tensor[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

void model_file_yaml(model_file *f, const char *from, const char *to)
{
    const char *at = strstr(f->yaml, from);
    if (!at)
        fail_msg("the YAML has no \"%s\"", from);
    const size_t head = (size_t)(at - f->yaml), size = strlen(f->yaml) + strlen(to) + 1;
    char *changed = malloc(size);
    assert_non_null(changed);
    snprintf(changed, size, "%.*s%s%s", (int)head, f->yaml, to, at + strlen(from));
    free(f->yaml);
    f->yaml = changed;
}

static int64_t model_elements(const model_tensor *t)
{
    for (int k = 0; k < 10; k++)
        if (strcmp(model_storage_name((aim_dtype)k), t->storage) == 0)
            return (int64_t)(t->data.n / aim_dtype_size((aim_dtype)k));
    return 0;
}

torch_buffer model_file_pickle(const model_file *f)
{
    torch_pickle p;
    torch_begin(&p);
    torch_op(&p, '}');
    torch_memo(&p);
    torch_op(&p, '(');
    for (int i = 0; i < f->n_fields; i++) {
        if (f->field[i].value.n == 0)
            continue;
        torch_text(&p, f->field[i].key);
        torch_put(&p.out, f->field[i].value.at, f->field[i].value.n);
    }
    if (f->yaml) {
        torch_text(&p, "model_yaml");
        torch_text(&p, f->yaml);
    }
    torch_text(&p, "state_dict");
    torch_ordered_dict(&p);
    torch_op(&p, '(');
    for (int i = 0; i < f->n_tensors; i++) {
        const model_tensor *t = &f->tensor[i];
        char key[16];
        torch_tensor value = {t->storage, key, model_elements(t), 0, t->ndim, {0}, {0}};
        if (t->name[0] == '\0')
            continue;
        snprintf(key, sizeof key, "%d", i);
        memcpy(value.shape, t->shape, sizeof value.shape);
        memcpy(value.stride, t->stride, sizeof value.stride);
        torch_text(&p, t->name);
        torch_tensor_value(&p, &value);
    }
    torch_put(&p.out, "uu.", 3);
    return p.out;
}

torch_buffer model_file_archive(const model_file *f, const torch_buffer *pickle)
{
    torch_zip z = {.descriptor = 1};
    torch_zip_add(&z, "model/data.pkl", pickle->at, pickle->n);
    torch_zip_text(&z, "model/byteorder", "little");
    for (int i = 0; i < f->n_tensors; i++) {
        char name[32];
        snprintf(name, sizeof name, "model/data/%d", i);
        if (f->tensor[i].name[0] != '\0')
            torch_zip_add(&z, name, f->tensor[i].data.at, f->tensor[i].data.n);
    }
    torch_zip_text(&z, "model/version", "3\n");
    torch_zip_finish(&z);
    return z.file;
}

torch_buffer model_file_bytes(const model_file *f)
{
    torch_buffer pickle = model_file_pickle(f);
    const torch_buffer file = model_file_archive(f, &pickle);
    torch_buffer_free(&pickle);
    return file;
}

void model_file_close(model_file *f)
{
    const aim_alloc a = aim_alloc_default();
    for (int i = 0; i < f->n_fields; i++)
        torch_buffer_free(&f->field[i].value);
    for (int i = 0; i < f->n_tensors; i++)
        torch_buffer_free(&f->tensor[i].data);
    free(f->yaml);
    aim_pt_free(&f->pt, &a);
    aim_torch_free(&f->archive, &a);
    torch_buffer_free(&f->source);
}

/* SPDX-License-Identifier: MIT */
/* opened_model.h - for tests that compare model files: a file read into its metadata and tensors,
 * and the metadata as bytes. */
#ifndef AIM_TESTS_OPENED_MODEL_H
#define AIM_TESTS_OPENED_MODEL_H

#include "torch_writer.h"

#include "io/pickle_write.h"
#include "model/content.h"
#include "model/files.h"

typedef struct opened {
    aim_model_files files;
    aim_content content;
} opened;

static inline void open_file(opened *o, const char *path)
{
    const aim_alloc a = aim_alloc_default();
    if (aim_model_files_read(&a, path, NULL, 0, &o->files) != AIMNET_OK ||
        aim_content_read(&a, &o->files.in, &o->content) != AIMNET_OK)
        fail_msg("%s: %s", path, aimnet_last_error());
}

static inline void close_file(opened *o)
{
    const aim_alloc a = aim_alloc_default();
    aim_content_free(&o->content, &a);
    aim_model_files_free(&o->files, &a);
}

/* The metadata as a pickle without the state_dict: equal bytes mean equal keys in equal order with
 * equal values of equal types. */
static inline torch_buffer metadata_of(const opened *o)
{
    const aim_alloc a = aim_alloc_default();
    const aim_pickle *p = o->content.tree;
    aim_pickle_out out = {.alloc = &a};
    torch_buffer b = {0};
    for (aim_items it = aim_pickle_items(p, o->content.metadata); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_ref key = it.value;
        aim_pickle_next(p, &it);
        if (aim_slice_is(aim_pickle_text(p, key), "state_dict"))
            continue;
        aim_put_value(&out, p, key);
        aim_put_value(&out, p, it.value);
    }
    assert_int_equal(aim_put_end(&out), AIMNET_OK);
    torch_put(&b, out.bytes.data, out.bytes.size);
    aim_string_free(&out.bytes, &a);
    return b;
}

#endif

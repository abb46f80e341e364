/* SPDX-License-Identifier: MIT */
/* fuzz_script.c - any bytes as the objects (data.pkl) of a TorchScript archive, whose other entries
 * are those of tests/golden/models/script_d3ts.jpt.
 *
 * The archive is opened once and its directory entry pointed to the input, so that no input is
 * wasted on checksums: fuzz_zip has those. */
#include "guard.h"

#include <string.h>

#include "io/bytes.h"
#include "model/script.h"

static aim_torch archive;

static void open_once(void)
{
    static unsigned char *bytes;
    const aim_alloc a = aim_alloc_default();
    size_t size;
    if (bytes)
        return;
    demand(aim_bytes_read(&a, AIM_SOURCE_DIR "/tests/golden/models/script_d3ts.jpt", &bytes,
                          &size) == AIMNET_OK &&
               aim_torch_open(&a, bytes, size, &archive) == AIMNET_OK && archive.is_script,
           "the golden archive opens");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_once();
    guard g = guard_limit(GUARD_BASE + GUARD_FACTOR * (size + 4096));
    const aim_alloc a = guard_alloc(&g);
    aim_zip_entry *pickle = (aim_zip_entry *)aim_torch_record(&archive, "data.pkl");
    const aim_zip_entry saved = *pickle;
    aim_torch torch = archive;
    aim_script script = {0};
    pickle->data = data;
    pickle->size = size;
    if (aim_script_read(&a, &torch, &script) == AIMNET_OK) {
        for (size_t i = 0; i < script.n_tensors; i++)
            demand(script.tensor[i].count >= 0 && script.tensor[i].name.size > 0, "named tensors");
        aim_script_free(&script, &a);
    }
    aim_pickle_free(&torch.pickle, &a);
    *pickle = saved;
    guard_end(&g);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* fuzz_safetensors.c - files of safetensors: what is accepted must tile the bytes behind the
 * header, and every number must be readable.
 *
 * The mutator keeps the length of the header right three times out of four: it is set to where the
 * JSON text ends. */
#include "guard.h"

#include <string.h>

#include "io/safetensors.h"

static void read_numbers(const aim_alloc *a, const aim_tensor *t)
{
    double *out;
    if (t->count > 4096 || aim_new(a, (size_t)t->count, sizeof *out, "numbers", &out) != AIMNET_OK)
        return;
    const aim_status status = aim_tensor_to_double(t, out);
    demand(status == AIMNET_OK || status == AIMNET_ERR_MODEL, "the only failure is MODEL");
    aim_free(a, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guard g = guard_of(size);
    const aim_alloc a = guard_alloc(&g);
    aim_safetensors st;
    (void)aim_safetensors_probe(data, size);
    if (aim_safetensors_open(&a, data, size, &st) == AIMNET_OK) {
        size_t bytes = 0;
        for (size_t i = 0; i < st.n_tensors; i++) {
            const aim_tensor *t = &st.tensor[i];
            const size_t n = (size_t)t->count * aim_dtype_size(t->dtype);
            demand(t->data >= data && n <= (size_t)(data + size - t->data),
                   "tensors lie in the input");
            demand(aim_names_find(&st.names, t->name) == i, "every name is found");
            bytes += n;
            read_numbers(&a, t);
        }
        demand(bytes <= size, "tensors do not overlap");
        aim_safetensors_free(&st, &a);
    }
    guard_end(&g);
    return 0;
}

#ifdef AIM_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 4 == 0 || size < 10)
        return size;
    size_t end = 8;
    int depth = 0;
    for (size_t i = 8; i < size && end == 8; i++) {
        depth += (data[i] == '{') - (data[i] == '}');
        if (data[i] == '}' && depth == 0)
            end = i + 1;
    }
    if (end > 8)
        for (int i = 0; i < 8; i++)
            data[i] = (uint8_t)(i < 4 ? (uint32_t)(end - 8) >> (8 * i) : 0);
    return size;
}
#endif

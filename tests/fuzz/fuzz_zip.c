/* SPDX-License-Identifier: MIT */
/* fuzz_zip.c - archives: what is accepted must consist of entries that lie in the input, apart
 * from each other, and can be found by name.
 *
 * Checksums and sizes would stop nearly every mutation at the door. The mutator therefore repairs
 * them half of the time: it walks the local headers as long as they make sense and writes the right
 * CRC-32, offsets and end record. */
#include "guard.h"

#include <string.h>
#include <zlib.h>

#include "io/little.h"
#include "io/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guard g = guard_of(size);
    const aim_alloc a = guard_alloc(&g);
    aim_zip zip;
    if (aim_zip_open(&a, data, size, &zip) == AIMNET_OK) {
        const unsigned char *last = data;
        for (size_t i = 0; i < zip.n_entries; i++) {
            const aim_zip_entry *e = &zip.entry[i];
            demand(e->data >= last && e->size <= (size_t)(data + size - e->data),
                   "entries lie in the input, one after the other");
            demand(aim_zip_find(&zip, e->name) == e, "every name is found");
            last = e->data + e->size;
        }
        aim_zip_free(&zip, &a);
    }
    guard_end(&g);
    return 0;
}

#ifdef AIM_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static void set_le(uint8_t *at, uint32_t value, int n)
{
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* The directory record number i receives what its local header says; returns the record's end, or
 * 0. Stored entries without descriptors only: the shape of tests/fuzz/seeds/fuzz_zip. */
static size_t repair_entry(uint8_t *d, size_t size, size_t record, size_t *local)
{
    if (record + 46 > size || aim_le32(d + record) != 0x02014b50 || *local + 30 > size)
        return 0;
    const size_t name = aim_le16(d + *local + 26), extra = aim_le16(d + *local + 28);
    const size_t data = *local + 30 + name + extra, n = aim_le32(d + *local + 22);
    if (data > size || n > size - data)
        return 0;
    const uint32_t crc = (uint32_t)crc32_z(0, d + data, n);
    set_le(d + *local + 14, crc, 4);
    set_le(d + *local + 18, (uint32_t)n, 4);
    set_le(d + record + 16, crc, 4);
    set_le(d + record + 20, (uint32_t)n, 4);
    set_le(d + record + 24, (uint32_t)n, 4);
    set_le(d + record + 42, (uint32_t)*local, 4);
    *local = data + n;
    return record + 46 + aim_le16(d + record + 28) + aim_le16(d + record + 30);
}

static void repair(uint8_t *d, size_t size)
{
    size_t directory = 0, local = 0, count = 0;
    if (size < 22)
        return;
    for (size_t i = 0; i + 4 <= size && !directory; i++)
        if (aim_le32(d + i) == 0x02014b50)
            directory = i;
    size_t record = directory;
    while (record && record < size - 22) {
        const size_t next = repair_entry(d, size, record, &local);
        if (!next)
            break;
        record = next;
        count++;
    }
    uint8_t *end = d + size - 22;
    set_le(end, 0x06054b50, 4);
    set_le(end + 8, (uint32_t)count, 2);
    set_le(end + 10, (uint32_t)count, 2);
    set_le(end + 12, (uint32_t)(size - 22 - directory), 4);
    set_le(end + 16, (uint32_t)directory, 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed & 1)
        repair(data, size);
    return size;
}
#endif

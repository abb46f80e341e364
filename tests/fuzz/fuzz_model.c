/* SPDX-License-Identifier: MIT */
/* fuzz_model.c - the model reader on hostile bytes: load, describe in one of the forms
 * (chosen by the size), free.
 *
 * Archives carry checksums that mutation breaks, so the first byte of an input chooses the door:
 *     'P'   the bytes are a file (they begin with "PK" then)
 *     'k'   the rest is a pickle: wrapped with the storages of a minimal model and right
 *           checksums
 *     'y'   the rest is a model_yaml, which is parsed
 * Seeds: tests/fuzz/seeds/fuzz_model, made by tests/reference/make_fuzz_seeds.py. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "aimnet_model.h"
#include "model/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---------------------------------------------------------------- wrapping a pickle */

typedef struct buffer {
    uint8_t *at;
    size_t n, capacity;
} buffer;

static void put(buffer *b, const void *bytes, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->at = realloc(b->at, b->capacity);
        if (!b->at)
            abort();
    }
    if (n > 0)
        memcpy(b->at + b->n, bytes, n);
    b->n += n;
}

static void put_le(buffer *b, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t byte = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
        put(b, &byte, 1);
    }
}

static void add_entry(buffer *file, buffer *directory, const char *name, const void *data, size_t n)
{
    const uint32_t crc = (uint32_t)crc32_z(0, data, n);
    const size_t offset = file->n, length = strlen(name);
    put_le(directory, 0x02014b50, 4);
    put_le(directory, 0, 12);
    put_le(directory, crc, 4);
    put_le(directory, n, 4);
    put_le(directory, n, 4);
    put_le(directory, length, 2);
    put_le(directory, 0, 12);
    put_le(directory, offset, 4);
    put(directory, name, length);
    put_le(file, 0x04034b50, 4);
    put_le(file, 0, 10);
    put_le(file, crc, 4);
    put_le(file, n, 4);
    put_le(file, n, 4);
    put_le(file, length, 2);
    put_le(file, 0, 2);
    put(file, name, length);
    put(file, data, n);
}

/* Sizes of the storages of the minimal model with all outputs, as make_fuzz_seeds.py prints them.
 */
static const unsigned short storages[] = {4, 4, 4,   4, 4,   4,   256, 4,   4, 36, 12,  24,  4,
                                          4, 4, 512, 4, 476, 476, 4,   696, 8, 8,  696, 476, 4};
enum { N_STORAGES = sizeof storages / sizeof *storages };

static void wrap_pickle(buffer *file, const uint8_t *pickle, size_t size)
{
    buffer directory = {0};
    uint32_t ones[174];
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        ones[i] = 0x3f800000; /* 1.0f; as a double a small positive number */
    add_entry(file, &directory, "m/data.pkl", pickle, size);
    for (int i = 0; i < N_STORAGES; i++) {
        char name[32];
        snprintf(name, sizeof name, "m/data/%d", i);
        add_entry(file, &directory, name, ones, storages[i]);
    }
    add_entry(file, &directory, "m/version", "3\n", 2);
    const size_t offset = file->n;
    put(file, directory.at, directory.n);
    put_le(file, 0x06054b50, 4);
    put_le(file, 0, 4);
    put_le(file, N_STORAGES + 2, 2);
    put_le(file, N_STORAGES + 2, 2);
    put_le(file, directory.n, 4);
    put_le(file, offset, 4);
    put_le(file, 0, 2);
    free(directory.at);
}

/* ---------------------------------------------------------------- the doors */

static void load(const uint8_t *data, size_t size)
{
    aimnet_model *model = NULL;
    char *text = NULL;
    if (aimnet_model_load_memory(data, size, "fuzz", NULL, &model) != AIMNET_OK)
        return;
    if (aimnet_model_describe(model, (aimnet_describe)(size % (AIMNET_DESCRIBE_YAML + 1)), &text) ==
        AIMNET_OK)
        aimnet_model_text_free(model, text);
    aimnet_model_free(model);
}

static void parse_yaml(const uint8_t *data, size_t size)
{
    const aim_alloc a = aim_alloc_default();
    aim_yaml yaml;
    if (aim_yaml_parse(&a, (const char *)data, size, &yaml) == AIMNET_OK)
        aim_yaml_free(&yaml, &a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    buffer file = {0};
    if (size > 0 && data[0] == 'y') {
        parse_yaml(data + 1, size - 1);
    } else if (size > 0 && data[0] == 'k') {
        wrap_pickle(&file, data + 1, size - 1);
        load(file.at, file.n);
        free(file.at);
    } else {
        load(data, size);
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* full_size.c - fills the zeros of a model file with seeded numbers and mends the checksums; see
 * full_size.h. */
#include "full_size.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The upper 24 bits of the n-th splitmix64 number, in [0, 1). */
static double uniform(uint64_t n)
{
    uint64_t z = (n + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z = z ^ (z >> 31);
    return (double)(z >> 40) * 0x1p-24;
}

static int fill(unsigned char *data, size_t size, char *words, uint64_t *n)
{
    unsigned long long offset, count;
    double amplitude;
    if (sscanf(words, "%llu %llu %lf", &offset, &count, &amplitude) != 3 || offset > size ||
        count > (size - offset) / sizeof(float))
        return 0;
    for (unsigned long long i = 0; i < count; i++) {
        float value = (float)(amplitude * (2.0 * uniform((*n)++) - 1.0));
        memcpy(data + offset + i * sizeof value, &value, sizeof value);
    }
    return 1;
}

static int mend(unsigned char *data, size_t size, char *words)
{
    char *at = words;
    unsigned long long offset = strtoull(at, &at, 10), length = strtoull(at, &at, 10);
    if (offset > size || length > size - offset)
        return 0;
    uint32_t crc = (uint32_t)crc32(0, data + offset, (uInt)length);
    for (unsigned long long place; (place = strtoull(at, &at, 10)) != 0;) {
        if (place > size - sizeof crc)
            return 0;
        for (int i = 0; i < 4; i++)
            data[place + (unsigned)i] = (unsigned char)(crc >> 8 * i);
    }
    return 1;
}

static int apply(FILE *recipe, gzFile template, unsigned char **data, size_t *size)
{
    char line[256];
    unsigned long long bytes;
    uint64_t n = 0;
    int ok = 1;
    while (ok && fgets(line, sizeof line, recipe)) {
        if (sscanf(line, "size %llu", &bytes) == 1 && !*data && bytes < 100000000) {
            *size = (size_t)bytes;
            *data = malloc(*size);
            ok = *data && gzread(template, *data, (unsigned)bytes) == (int)bytes;
        } else if (strncmp(line, "fill ", 5) == 0) {
            ok = *data && fill(*data, *size, line + 5, &n);
        } else if (strncmp(line, "crc ", 4) == 0) {
            ok = *data && mend(*data, *size, line + 4);
        } else {
            ok = line[0] == '#';
        }
    }
    return ok && *data;
}

unsigned char *full_size_model(const char *folder, size_t *size)
{
    char path[2][512];
    snprintf(path[0], sizeof path[0], "%s/full_size.pt.gz", folder);
    snprintf(path[1], sizeof path[1], "%s/full_size.txt", folder);
    gzFile template = gzopen(path[0], "rb");
    FILE *recipe = fopen(path[1], "r");
    unsigned char *data = NULL;
    int ok = template && recipe && apply(recipe, template, &data, size);
    if (template)
        gzclose(template);
    if (recipe)
        fclose(recipe);
    if (!ok) {
        fprintf(stderr, "%s or %s is missing or damaged\n", path[0], path[1]);
        free(data);
        data = NULL;
    }
    return data;
}

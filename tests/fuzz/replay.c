/* SPDX-License-Identifier: MIT */
/* replay.c - the main program of fuzz targets in builds without libFuzzer: feeds every file named
 * on the command line, or every file in the folders named there, to LLVMFuzzerTestOneInput, and
 * each of them again cut to half its length and in MUTANTS variants: bytes changed, moved, removed,
 * repeated, by a generator that starts from the same number every time. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTANTS = 500 };

/* Knuth's multiplicative generator; its upper bits are good enough here. */
static size_t draw(size_t n)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (size_t)(state >> 33) % n : 0;
}

static void change(uint8_t *data, size_t *size)
{
    static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '-', '9', '{', '"'};
    const size_t at = draw(*size), n = draw(*size - at < 16 ? *size - at : 16),
                 to = draw(*size - n);
    switch (draw(5)) {
    case 0:
        data[at] ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        data[at] = special[draw(sizeof special)];
        break;
    case 2:
        memmove(data + to, data + at, n);
        break;
    case 3:
        memmove(data + at, data + at + n, *size - at - n);
        *size -= n;
        break;
    default:
        data[at] = (uint8_t)(data[at] + draw(3) - 1);
        break;
    }
}

/* Each in a block of its own, so that reading behind the end is seen. */
static void replay_mutants(const uint8_t *data, size_t size)
{
    for (int k = 0; k < MUTANTS && size > 0; k++) {
        uint8_t *copy = malloc(size);
        size_t n = size;
        if (!copy)
            return;
        memcpy(copy, data, size);
        for (size_t c = 1 + draw(4); c > 0 && n > 0; c--)
            change(copy, &n);
        uint8_t *exact = malloc(n ? n : 1);
        if (exact) {
            memcpy(exact, copy, n);
            LLVMFuzzerTestOneInput(exact, n);
        }
        free(exact);
        free(copy);
    }
}

static int replay_file(const char *path, long size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    int status = 1;
    if (file && data && fread(data, 1, (size_t)size, file) == (size_t)size) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
        LLVMFuzzerTestOneInput(data, (size_t)size / 2);
        replay_mutants(data, (size_t)size);
        status = 0;
    } else {
        fprintf(stderr, "%s cannot be read\n", path);
    }
    free(data);
    if (file)
        fclose(file);
    return status;
}

static int replay(const char *path, long *count)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        fprintf(stderr, "%s does not exist\n", path);
        return 1;
    }
    if (S_ISREG(info.st_mode)) {
        ++*count;
        return replay_file(path, (long)info.st_size);
    }
    DIR *folder = opendir(path);
    if (!folder)
        return 1;
    int status = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[4096];
        if (entry->d_name[0] != '.' &&
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name)
            status |= replay(name, count);
    }
    closedir(folder);
    return status;
}

int main(int argc, char **argv)
{
    long count = 0;
    int status = argc < 2;
    for (int i = 1; i < argc; i++)
        status |= replay(argv[i], &count);
    printf("%ld inputs\n", count);
    return status || count == 0;
}

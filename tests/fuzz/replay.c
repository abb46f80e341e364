/* SPDX-License-Identifier: MIT */
/* replay.c - the main program of fuzz targets in builds without libFuzzer: feeds every file named
 * on the command line, or every file in the folders named there, to LLVMFuzzerTestOneInput, and
 * each of them again cut to half its length. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, long size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    int status = 1;
    if (file && data && fread(data, 1, (size_t)size, file) == (size_t)size) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
        LLVMFuzzerTestOneInput(data, (size_t)size / 2);
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

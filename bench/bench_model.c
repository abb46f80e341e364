/* SPDX-License-Identifier: MIT */
/* bench_model.c - writes the random-weight model of full size that the benchmark gives to both
 * sides:  bench_model FOLDER OUT.pt
 *
 * FOLDER is tests/golden of the source tree. */
#include <stdio.h>
#include <stdlib.h>

#include "full_size.h"

int main(int argc, char **argv)
{
    size_t size = 0;
    unsigned char *data = argc == 3 ? full_size_model(argv[1], &size) : NULL;
    FILE *out = data ? fopen(argv[2], "wb") : NULL;
    int ok = out && fwrite(data, 1, size, out) == size;
    if (out && fclose(out) != 0)
        ok = 0;
    if (!ok)
        fprintf(stderr, "usage: bench_model FOLDER OUT.pt\n");
    free(data);
    return ok ? 0 : 1;
}

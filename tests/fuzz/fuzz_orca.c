/* SPDX-License-Identifier: MIT */
/* fuzz_orca.c - any text as the file that ORCA writes for `aimnet orca-ext`. The functions under
 * test are static: the command's source is included. The structure that such a file names is
 * fuzz_xyz's matter. */
#include "guard.h"
#include "quiet.h"

#include "cmd_orca_ext.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *word[N_LINES] = {NULL}, out[1024];
    long value;
    char *text = malloc(size + 1);
    demand(text != NULL, "memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (memchr(text, '\0', size) == NULL && split("fuzz", text, word)) {
        for (int k = 0; k <= GRADIENT; k++)
            demand(word[k] != NULL && word[k][0] != '\0' && !strchr(word[k], '\n'), "five words");
        if (whole("fuzz", "charge", word[CHARGE], -1000, 1000, &value))
            demand(value >= -1000 && value <= 1000, "charges in range");
        if (whole("fuzz", "gradient", word[GRADIENT], 0, 1, &value))
            demand(value == 0 || value == 1, "0 or 1");
        if (output_name(out, sizeof out, word[XYZ]))
            demand(strlen(out) > 7 && strcmp(out + strlen(out) - 7, ".engrad") == 0,
                   "names have an end");
    }
    free(text);
    return 0;
}

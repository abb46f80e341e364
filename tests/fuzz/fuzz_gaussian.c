/* SPDX-License-Identifier: MIT */
/* fuzz_gaussian.c - any text as the input file of `aimnet gaussian-ext`. The functions under test
 * are static: the command's source is included. */
#include "guard.h"
#include "quiet.h"

#include "cmd_gaussian_ext.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char message[1024] = "";
    cli_external x = {0};
    int order = -1;
    char *text = malloc(size + 1);
    demand(text != NULL, "memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    /* cli_external_read hands out no text with NUL inside; 4,096 atoms are enough here, or every
     * second input would do nothing but clear megabytes */
    double head[4];
    const int small =
        size >= NARROW && column(text, 0, NARROW, &head[0]) && head[0] <= 4096.0 &&
        (head[0] <= 64.0 || !column(text, NARROW, NARROW, &head[1]) || head[1] != 2.0);
    if (memchr(text, '\0', size) == NULL && small) {
        if (read_input(text, &x, &order, message, sizeof message)) {
            demand(x.n_atoms >= 1 && order >= 0 && order <= 2, "atoms and order");
            for (int32_t i = 0; i < x.n_atoms; i++)
                demand(x.numbers[i] >= 1 && x.numbers[i] <= 118, "atomic numbers");
            for (size_t k = 0; k < 3 * (size_t)x.n_atoms; k++)
                demand(isfinite(x.coord[k]), "finite coordinates");
            demand((x.hessian != NULL) == (order == 2), "room for second derivatives");
        } else {
            demand(message[0] != '\0', "a refusal says why");
        }
    }
    cli_external_free(&x);
    free(text);
    return 0;
}

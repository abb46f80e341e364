/* SPDX-License-Identifier: MIT */
/* batch.c - all structures of a file in one call, in double precision; one that fails costs only
 * itself.
 *
 *     ./batch molecules.xyz */
#include <aimnet_io.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 256 };

static int read_all(const char *path, aimnet_frame frames[MAX])
{
    aimnet_reader *reader;
    int n = 0;
    if (aimnet_reader_open(path, NULL, &reader) != AIMNET_OK) { /* NULL: recognise the format */
        fprintf(stderr, "%s\n", aimnet_last_error());
        return 0;
    }
    while (n < MAX && aimnet_reader_next(reader, &frames[n]) == AIMNET_OK)
        n++;
    aimnet_reader_close(reader);
    return n;
}

int main(int argc, char **argv)
{
    static aimnet_frame frames[MAX];
    static aimnet_system systems[MAX];
    static aimnet_result results[MAX];
    const int n = argc > 1 ? read_all(argv[1], frames) : 0;
    aimnet_options options = aimnet_options_default();
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    options.precision = AIMNET_DOUBLE;
    aimnet_status status = aimnet_model_load(NULL, NULL, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, &options, &calc);
    for (int i = 0; i < n; i++)
        systems[i] = aimnet_frame_system(&frames[i]); /* borrows the frame's arrays */
    if (status == AIMNET_OK)
        status = aimnet_calc_eval(calc, systems, n, results);
    if (status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED)
        fprintf(stderr, "%s\n", aimnet_last_error());
    for (int i = 0; i < n; i++) {
        char formula[64] = "";
        if (aimnet_formula(systems[i].numbers, systems[i].n_atoms, formula, sizeof formula) !=
            AIMNET_OK)
            strcpy(formula, "?");
        if (results[i].status == AIMNET_OK)
            printf("%-8s %14.4f eV\n", formula, results[i].energy);
        else
            printf("%-8s failed: %s\n", formula, results[i].message);
        aimnet_frame_free(&frames[i]);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status != AIMNET_OK;
}

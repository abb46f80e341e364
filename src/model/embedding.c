/* SPDX-License-Identifier: MIT */
/* embedding.c - exporters fill the rows of elements that a model was not trained for with NaN. */
#include "model/embedding.h"

#include <math.h>

const aim_tensor *aim_tensor_named(const aim_tensor *tensor, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (aim_slice_is(tensor[i].name, name))
            return &tensor[i];
    return NULL;
}

aim_status aim_embedding_species(const aim_alloc *a, const aim_tensor *tensor, size_t n,
                                 unsigned char known[AIM_EMBEDDING_ROWS])
{
    const aim_tensor *afv = aim_tensor_named(tensor, n, "afv.weight");
    double *values = NULL;
    if (!afv || afv->ndim != 2 || afv->shape[0] > AIM_EMBEDDING_ROWS)
        return AIM_FAIL(AIMNET_ERR_MODEL, "there is no tensor 'afv.weight' with at most %d rows",
                        AIM_EMBEDDING_ROWS);
    AIM_TRY(aim_new(a, (size_t)afv->count, sizeof *values, "the embedding", &values));
    const aim_status status = aim_tensor_to_double(afv, values);
    for (int64_t z = 0; z < AIM_EMBEDDING_ROWS; z++) {
        known[z] = 0;
        for (int64_t k = 0; status == AIMNET_OK && z > 0 && z < afv->shape[0] && k < afv->shape[1];
             k++)
            if (!isnan(values[z * afv->shape[1] + k]))
                known[z] = 1;
    }
    aim_free(a, values);
    return status;
}

void aim_put_species(aim_pickle_out *out, const unsigned char known[AIM_EMBEDDING_ROWS])
{
    aim_put_open(out, AIM_PICKLE_LIST);
    for (int z = 1; z < AIM_EMBEDDING_ROWS; z++)
        if (known[z])
            aim_put_int(out, z);
    aim_put_close(out, AIM_PICKLE_LIST);
}

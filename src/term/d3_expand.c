/* SPDX-License-Identifier: MIT */
/* d3_expand.c - the shipped D3 table from its compact form: one block with all arrays, about 520
 * kB.
 *
 * Values are the float32 numbers of the reference: a C6 is the float nearest to the stored multiple
 * of 1e-4. */
#include "term/d3_data.h"
#include "term/term.h"

typedef struct table_block {
    aim_d3_table table;
    double rcov[AIM_D3_ELEMENTS], r4r2[AIM_D3_ELEMENTS], cn[AIM_D3_REFS];
    double c6[AIM_D3_REFS * AIM_D3_REFS];
    int32_t first[AIM_D3_ELEMENTS + 1];
} table_block;

static int digit(char c)
{
    return c - '#' - (c > '?') - (c > '\\');
}

static const char *decode(const char *text, double *value)
{
    int n = 4, sum = 0;
    if (*text == '~') {
        n = 5;
        text++;
    }
    for (int k = 0; k < n; k++)
        sum = sum * AIM_D3_BASE + digit(*text++);
    *value = (double)(float)((double)sum / 1e4);
    return text;
}

aim_status aim_d3_table_create(const aim_alloc *alloc, aim_d3_table **table)
{
    *table = NULL;
    table_block *b;
    AIM_TRY(aim_new0(alloc, 1, sizeof *b, "D3 table", &b));
    for (int z = 0; z < AIM_D3_ELEMENTS; z++) {
        b->rcov[z] = (double)aim_d3_rcov[z];
        b->r4r2[z] = (double)aim_d3_r4r2[z];
        b->first[z + 1] = b->first[z] + aim_d3_n_refs[z];
    }
    for (int r = 0; r < AIM_D3_REFS; r++) {
        const char *text = aim_d3_c6[r];
        b->cn[r] = (double)aim_d3_cn[r];
        for (int q = 0; q <= r; q++) {
            double c6;
            text = decode(text, &c6);
            b->c6[r * AIM_D3_REFS + q] = b->c6[q * AIM_D3_REFS + r] = c6;
        }
    }
    b->table = (aim_d3_table){.n_elements = AIM_D3_ELEMENTS,
                              .n_refs = AIM_D3_REFS,
                              .rcov = b->rcov,
                              .r4r2 = b->r4r2,
                              .first = b->first,
                              .cn = b->cn,
                              .c6 = b->c6,
                              .weight_floor = -12.0};
    *table = &b->table;
    return AIMNET_OK;
}

void aim_d3_table_free(aim_d3_table *table, const aim_alloc *alloc)
{
    aim_free(alloc, table);
}

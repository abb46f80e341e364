/* SPDX-License-Identifier: MIT */
/* neighbours.c - a neighbour list without any model: simple cubic lattice, cutoff between the first
 * and the second shell. */
#include <aimnet_nlist.h>
#include <stdio.h>

int main(void)
{
    static const double coord[3] = {0.3, 0.1, -7.0}; /* anywhere: nothing is wrapped */
    static const double cell[9] = {3, 0, 0, 0, 3, 0, 0, 0, 3};
    const double cutoff = 3.5;
    const aimnet_atoms atoms = {.n_atoms = 1, .coord = coord, .n_cells = 1, .cell = cell};
    aimnet_nlist *nlist = NULL;
    aimnet_pairs pairs;
    aimnet_status status = aimnet_nlist_create(NULL, &nlist);
    if (status == AIMNET_OK)
        status = aimnet_nlist_build(nlist, &atoms, &cutoff, 1);
    if (status == AIMNET_OK)
        status = aimnet_nlist_csr(nlist, 0, &pairs);
    if (status == AIMNET_OK) {
        printf("%lld neighbours\n", (long long)pairs.n_pairs);
        for (int64_t p = pairs.row[0]; p < pairs.row[1]; p++)
            printf("atom %d in cell %2d %2d %2d\n", (int)pairs.j[p], (int)pairs.shift[3 * p],
                   (int)pairs.shift[3 * p + 1], (int)pairs.shift[3 * p + 2]);
    } else {
        fprintf(stderr, "%s\n", aimnet_last_error());
    }
    aimnet_nlist_free(nlist);
    return status != AIMNET_OK;
}

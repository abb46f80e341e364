/* SPDX-License-Identifier: MIT */
/* pairs.c - facts about a neighbour list that the network sizes its scratch by. */
#include "net/net.h"

int64_t aim_pairs_max_row(const aim_pairs *pairs)
{
    int64_t longest = 0;
    for (int32_t i = 0; i < pairs->n_atoms; i++)
        if (pairs->row[i + 1] - pairs->row[i] > longest)
            longest = pairs->row[i + 1] - pairs->row[i];
    return longest;
}

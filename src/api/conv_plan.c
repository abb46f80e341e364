/* SPDX-License-Identifier: MIT */
/* conv_plan.c - from a padded neighbour matrix to compact lists in both directions (aimnet_ops.h,
 * create and free).
 *
 * Entries keep the order (i, m). The reverse list of an atom holds the slots that name it,
 * ascending: filled by counting, so the order is that of the entries, which fixes the order of
 * every sum of the gradient of x. */
#include <string.h>

#include "api/conv_plan.h"

static aim_status check_matrix(const int32_t *idx, int32_t n_atoms, int32_t n_slots)
{
    if (n_atoms < 0 || n_slots < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "n_atoms %d and n_neighbors %d must not be negative",
                        (int)n_atoms, (int)n_slots);
    const int64_t n = (int64_t)n_atoms * n_slots;
    if (n > 0 && !idx)
        return AIM_FAIL(AIMNET_ERR_ARG, "idx is NULL: %d x %d neighbour indices are needed",
                        (int)n_atoms, (int)n_slots);
    for (int64_t k = 0; k < n; k++)
        if (idx[k] < 0)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "idx[%lld][%lld] is %d: neighbours are 0 to %d, padding is %d or more",
                            (long long)(k / n_slots), (long long)(k % n_slots), (int)idx[k],
                            (int)n_atoms - 1, (int)n_atoms);
    return AIMNET_OK;
}

static void fill_lists(aimnet_conv_sv_2d_sp *op, const int32_t *idx)
{
    const int64_t n = op->n_atoms, all = n * op->n_slots;
    int64_t e = 0;
    for (int64_t k = 0; k < all; k++)
        if (idx[k] < n) {
            op->j[e] = idx[k];
            op->slot[e++] = k;
            op->row[k / op->n_slots + 1] = e;
            op->reverse_row[idx[k] + 1]++;
        }
    for (int64_t i = 0; i < n; i++) {
        op->row[i + 1] = op->row[i + 1] > op->row[i] ? op->row[i + 1] : op->row[i]; /* empty rows */
        op->reverse_row[i + 1] += op->reverse_row[i];
    }
    for (e = op->n_entries - 1; e >= 0;
         e--) /* backwards: each list is filled from its end, which moves to its beginning */
        op->reverse[--op->reverse_row[op->j[e] + 1]] = op->slot[e];
    memmove(op->reverse_row, op->reverse_row + 1, (size_t)n * sizeof *op->reverse_row);
    op->reverse_row[n] = op->n_entries;
}

static aim_status allocate_lists(aimnet_conv_sv_2d_sp *op)
{
    const size_t n = (size_t)op->n_atoms + 1, entries = (size_t)op->n_entries;
    AIM_TRY(aim_new0(&op->alloc, n, sizeof *op->row, "rows of a neighbour matrix", &op->row));
    AIM_TRY(aim_new0(&op->alloc, n, sizeof *op->reverse_row, "reverse rows of a neighbour matrix",
                     &op->reverse_row));
    AIM_TRY(
        aim_new(&op->alloc, entries, sizeof *op->slot, "slots of a neighbour matrix", &op->slot));
    AIM_TRY(aim_new(&op->alloc, entries, sizeof *op->reverse, "reverse slots of a neighbour matrix",
                    &op->reverse));
    return aim_new(&op->alloc, entries, sizeof *op->j, "neighbours of a neighbour matrix", &op->j);
}

aimnet_status aimnet_conv_sv_2d_sp_create(const int32_t *idx, int32_t n_atoms, int32_t n_neighbors,
                                          int threads, const aimnet_allocator *allocator,
                                          aimnet_conv_sv_2d_sp **result)
{
    if (!result)
        return AIM_FAIL(AIMNET_ERR_ARG, "the place for the operator is NULL");
    *result = NULL;
    aim_alloc alloc;
    AIM_TRY(aim_alloc_from(allocator, &alloc));
    AIM_TRY(check_matrix(idx, n_atoms, n_neighbors));
    if (threads < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "threads %d: expected 0 (all) or more", threads);
    aimnet_conv_sv_2d_sp *op;
    AIM_TRY(aim_new0(&alloc, 1, sizeof *op, "sparse convolution", &op));
    op->alloc = alloc;
    op->n_atoms = n_atoms;
    op->n_slots = n_neighbors;
    for (int64_t k = 0; k < (int64_t)n_atoms * n_neighbors; k++)
        op->n_entries += idx[k] < n_atoms;
    aim_status status = allocate_lists(op);
    if (status == AIMNET_OK)
        status = aim_team_create(&alloc, threads, &op->team);
    if (status != AIMNET_OK) {
        aimnet_conv_sv_2d_sp_free(op);
        return status;
    }
    fill_lists(op, idx);
    *result = op;
    return AIMNET_OK;
}

void aimnet_conv_sv_2d_sp_free(aimnet_conv_sv_2d_sp *op)
{
    if (!op)
        return;
    const aim_alloc alloc = op->alloc;
    aim_team_free(op->team);
    aim_free(&alloc, op->row);
    aim_free(&alloc, op->reverse_row);
    aim_free(&alloc, op->slot);
    aim_free(&alloc, op->reverse);
    aim_free(&alloc, op->j);
    aim_free(&alloc, op);
}

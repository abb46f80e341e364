/* SPDX-License-Identifier: MIT */
/* arrays_lists.h - the part of test_arrays.cu about neighbour lists: those of the host to the bit, and
 * what is said about wrong requests. */
#ifndef AIM_TESTS_CUDA_ARRAYS_LISTS_H
#define AIM_TESTS_CUDA_ARRAYS_LISTS_H

#include "arrays.h"

struct atoms_on_host {
    std::vector<double> coord, cell;
    std::vector<int32_t> mol_idx, pbc;
    int32_t n_systems = 1;
    aimnet_atoms view(void) const
    {
        aimnet_atoms a = {};
        a.n_atoms = (int32_t)coord.size() / 3;
        a.n_systems = n_systems;
        a.coord = coord.data();
        a.mol_idx = mol_idx.empty() ? NULL : mol_idx.data();
        a.n_cells = (int32_t)cell.size() / 9;
        a.cell = cell.empty() ? NULL : cell.data();
        a.n_pbc = (int32_t)pbc.size() / 3;
        a.pbc = pbc.empty() ? NULL : pbc.data();
        return a;
    }
};

static atoms_on_host gas(int n, double size)
{
    atoms_on_host a;
    for (int k = 0; k < 3 * n; k++)
        a.coord.push_back(size * next_unit());
    return a;
}

/* The host's list of the same atoms; the width it needs. */
struct host_list {
    int32_t width;
    std::vector<int32_t> nbmat, shifts, count;
};

static host_list list_on_host(const aimnet_atoms *a, double cutoff)
{
    host_list l;
    aimnet_nlist *n = NULL;
    if (aimnet_nlist_create(NULL, &n) || aimnet_nlist_build(n, a, &cutoff, 1)) {
        check(0, "the host's list");
        exit(1);
    }
    aimnet_nlist_matrix(n, 0, 16, NULL, NULL, NULL, &l.width);
    const size_t rows = (size_t)a->n_atoms + 1;
    l.nbmat.resize(rows * l.width);
    l.shifts.resize(3 * rows * l.width);
    l.count.resize((size_t)a->n_atoms);
    aimnet_nlist_matrix(n, 0, l.width, l.nbmat.data(), l.shifts.data(), l.count.data(), NULL);
    aimnet_nlist_free(n);
    return l;
}

static void compare_list(aimnet_cuda_nlist *list, const char *name, const atoms_on_host &h,
                         double cutoff, cudaStream_t stream)
{
    const aimnet_atoms a = h.view();
    const host_list want = list_on_host(&a, cutoff);
    const card_array<double> coord(h.coord), cell(h.cell);
    const card_array<int32_t> mol_idx(h.mol_idx), pbc(h.pbc);
    card_array<int32_t> nbmat(want.nbmat.size()), shifts(want.shifts.size()),
        count(want.count.size());
    aimnet_atoms on_card = a;
    on_card.coord = coord.at;
    int32_t needed = 0;
    int good = aimnet_cuda_nlist_build(list, &on_card, cutoff, want.width, nbmat.at, shifts.at,
                                       count.at, &needed, stream) == AIMNET_OK &&
               needed == want.width && same(nbmat.fetch(), want.nbmat) &&
               same(shifts.fetch(), want.shifts) && same(count.fetch(), want.count);
    check(good, name);
    /* what describes the systems may be on the card too; shifts and counts need not be wanted */
    on_card.mol_idx = a.mol_idx ? mol_idx.at : NULL;
    on_card.cell = a.cell ? cell.at : NULL;
    on_card.pbc = a.pbc ? pbc.at : NULL;
    card_array<int32_t> alone(want.nbmat.size());
    good = aimnet_cuda_nlist_build(list, &on_card, cutoff, want.width, alone.at, NULL, NULL, NULL,
                                   stream) == AIMNET_OK &&
           same(alone.fetch(), want.nbmat);
    check(good, "  described by arrays of the card, without shifts");
    if (want.width > 16) {
        good = aimnet_cuda_nlist_build(list, &on_card, cutoff, 16, nbmat.at, NULL, NULL, &needed,
                                       stream) == AIMNET_ERR_OVERFLOW &&
               needed == want.width;
        check(good, "  an overflow says what is needed");
    }
}

static void lists(cudaStream_t stream)
{
    aimnet_cuda_nlist *list = NULL;
    check(aimnet_cuda_nlist_create(0, &list) == AIMNET_OK, "a list is made");
    compare_list(list, "a molecule", gas(500, 20.0), 5.0, stream);
    atoms_on_host a = gas(61, 9.0);
    a.mol_idx = {};
    const int sizes[5] = {1, 20, 7, 32, 1};
    for (int s = 0; s < 5; s++)
        a.mol_idx.insert(a.mol_idx.end(), (size_t)sizes[s], s);
    a.n_systems = 5;
    compare_list(list, "molecules of different size", a, 5.0, stream);
    a = gas(6, 2.0);
    a.cell = {2.0, 0, 0, 0, 2.1, 0, 0, 0, 1.9};
    compare_list(list, "a cell smaller than the cutoff, rows of many entries", a, 6.0, stream);
    a = gas(40, 60.0);
    a.cell = {8.0, 0, 0, 31.0, 9.0, 0, -17.0, 26.0, 7.5};
    compare_list(list, "a skewed cell, atoms far outside", a, 5.0, stream);
    a = gas(50, 12.0);
    a.cell = {7.0, 0.5, 0, 0, 9.0, 0.3, 0, 0, 0};
    a.pbc = {1, 1, 0};
    compare_list(list, "a slab", a, 5.0, stream);
    a.pbc = {0, 1, 0};
    compare_list(list, "a wire", a, 5.0, stream);
    a = gas(3000, 30.0);
    a.cell = {30.0, 0, 0, 0, 30.0, 0, 0, 0, 30.0};
    compare_list(list, "a box", a, 5.0, stream);
    a = gas(6000, 110.0);
    a.cell = {110.0, 0, 0, 0, 95.0, 0, 0, 0, 14.0};
    compare_list(list, "a box so wide that its bins stand in columns", a, 5.0, stream);
    a.cell = {105.0, 4.0, 2.0, -9.0, 92.0, 3.0, 1.0, -2.0, 13.0};
    compare_list(list, "a skewed one", a, 5.0, stream);
    a.cell = {105.0, 4.0, 2.0, -9.0, 21.0, 3.0, 1.0, -2.0, 64.0};
    compare_list(list, "a skewed one, in columns along one axis", a, 5.0, stream);
    a = gas(64, 10.0);
    a.n_systems = 4;
    a.cell = {6.0, 0, 0, 0, 6.0, 0, 0, 0, 6.0, 0,   0, 0, 0, 0,   0, 0, 0, 0,
              5.0, 1, 2, 0, 5.5, 1, 0, 0, 4.0, 9.0, 0, 0, 0, 9.0, 0, 0, 0, 9.0};
    a.pbc = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1};
    compare_list(list, "crystals and a molecule together", a, 4.5, stream);
    compare_list(list, "all pairs", gas(400, 20.0), INFINITY, stream);
    atoms_on_host grid;
    for (int k = 0; k < 216; k++)
        for (int d = 0; d < 3; d++)
            grid.coord.push_back(1.1 * (k / (d == 0 ? 1 : d == 1 ? 6 : 36) % 6));
    grid.cell = {6.6, 0, 0, 0, 6.6, 0, 0, 0, 6.6};
    compare_list(list, "distances that are the cutoff", grid, 2.2, stream);
    compare_list(
        list, "a planar molecule",
        [] {
            atoms_on_host p = gas(90, 14.0);
            for (size_t k = 2; k < p.coord.size(); k += 3)
                p.coord[k] = 1.0;
            return p;
        }(),
        5.0, stream);
    compare_list(list, "no atoms", gas(0, 1.0), 5.0, stream);
    aimnet_cuda_nlist_free(list);
}

static void hostile_lists(void)
{
    aimnet_cuda_nlist *list = NULL;
    check(says(aimnet_cuda_nlist_create(99, &list), AIMNET_ERR_DEVICE, "does not exist") && !list,
          "a card that is not there");
    check(aimnet_cuda_nlist_create(0, &list) == AIMNET_OK, "a list");
    std::vector<double> x = {0, 0, 0, 1, 1, 1};
    const card_array<double> coord(x);
    card_array<int32_t> nbmat(3 * 16);
    aimnet_atoms a = {};
    a.n_atoms = 2;
    a.coord = x.data();
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "coord is memory of the host"),
          "positions of the host");
    a.coord = coord.at;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, (int32_t *)x.data(), NULL, NULL, NULL,
                                       NULL),
               AIMNET_ERR_ARG, "nbmat is memory of the host"),
          "a matrix of the host");
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, NULL, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "nbmat is NULL"),
          "no matrix");
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 20, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "multiple of 16"),
          "a width of 20");
    check(says(aimnet_cuda_nlist_build(list, &a, -1.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "cutoff") &&
              says(aimnet_cuda_nlist_build(list, &a, NAN, 16, nbmat.at, NULL, NULL, NULL, NULL),
                   AIMNET_ERR_ARG, "cutoff"),
          "a cutoff that is none");
    a.n_atoms = 50000000;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "are needed"),
          "arrays that are too short");
    a.n_atoms = -3;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "-3 atoms"),
          "a negative number of atoms");
    a.n_atoms = 2;
    a.n_systems = 7;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_ARG, "do not divide"),
          "atoms that do not divide");
    a.n_systems = 1;
    x[4] = NAN;
    const card_array<double> bad(x);
    a.coord = bad.at;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_SYSTEM, "coordinate y of atom 1"),
          "a position that is no number");
    const double flat[9] = {1, 0, 0, 2, 0, 0, 0, 0, 1}, thin[9] = {0.005, 0, 0, 0, 9, 0, 0, 0, 9};
    a.coord = coord.at;
    a.n_cells = 1;
    a.cell = flat;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_SYSTEM, "linearly dependent"),
          "a flat cell");
    a.cell = thin;
    check(says(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL),
               AIMNET_ERR_SYSTEM, "images"),
          "a cell with too many images");
    a.n_cells = 0;
    check(aimnet_cuda_nlist_build(list, &a, 5.0, 16, nbmat.at, NULL, NULL, NULL, NULL) == AIMNET_OK,
          "and the list goes on");
    aimnet_cuda_nlist_free(list);
    aimnet_cuda_nlist_free(NULL);
}

#endif

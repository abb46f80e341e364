/* SPDX-License-Identifier: MIT */
/* cif_expand.c - the unit cell's content from the sites of a CIF block and its symmetry operations.
 *
 * The operations are those that the file lists; a space group that is only named is an error, not a
 * guess. Images are written operation by operation, x' = W x + t as it comes, so that the listed
 * molecule stays as it is and every copy of it stays whole; nothing is moved into the cell.
 *
 * A site whose image under some operation comes back to it within 0.2 A lies on a symmetry element
 * (no two atoms can be that near): it is moved to the mean of those images, which undoes the
 * rounding of printed coordinates (0.3333), and of its images only the first of each place is kept.
 * Between 0.2 and 0.5 A from its own image an atom is disordered about the element, which is
 * refused. */
#include "io/cif.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "data/element.h"
#include "io/cell.h"

static const double SAME = 0.2;     /* Angstrom */
static const double TOO_NEAR = 0.5; /* Angstrom, of an atom to its own image */
static const double MATRIX = 1e-3;  /* Angstrom, agreement of a transformation matrix */

static aim_span span_of(const aim_cif_value *v)
{
    return (aim_span){v->text, v->size};
}

/* ---------------------------------------------------------------- cell */

static aim_status read_cell(const aim_cif_row *row, aimnet_frame *f)
{
    static const char *const names[] = {"_cell_length_a",   "_cell_length_b",
                                        "_cell_length_c",   "_cell_angle_alpha",
                                        "_cell_angle_beta", "_cell_angle_gamma"};
    double p[6];
    for (int i = 0; i < 6; i++) {
        p[i] = 90.0; /* the dictionary's default of an angle */
        if (i < 3 && !row->field[AIM_CIF_CELL + i].known)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "%s is missing: the atoms need a cell", names[i]);
        if (row->field[AIM_CIF_CELL + i].known)
            AIM_TRY(aim_cif_number(&row->field[AIM_CIF_CELL + i], names[i], &p[i]));
    }
    if (!(p[0] <= AIM_CELL_MAX && p[1] <= AIM_CELL_MAX && p[2] <= AIM_CELL_MAX) ||
        !aim_cell_from_parameters(p, f->cell))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "lengths %g %g %g and angles %g %g %g make no cell",
                        p[0], p[1], p[2], p[3], p[4], p[5]);
    f->has_cell = f->pbc[0] = f->pbc[1] = f->pbc[2] = 1;
    return AIMNET_OK;
}

/* Cartesian coordinates refer to our orientation of the cell, or the file says that they do not. */
static aim_status check_matrix(const aim_cif_row *row, const double cell[9])
{
    for (int k = 0; k < 9; k++) {
        const aim_cif_value *v = &row->field[AIM_CIF_MATRIX + k];
        double x;
        if (!v->known)
            continue;
        AIM_TRY(aim_cif_number(v, "_atom_sites_Cartn_tran_matrix", &x));
        if (!(fabs(x - cell[3 * (k % 3) + k / 3]) <= MATRIX))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "Cartesian coordinates refer to other axes than a along x, c* along z; "
                            "give fractional coordinates");
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- operations */

static int names_no_symmetry(const aim_cif_row *row)
{
    const aim_cif_value *name = &row->field[AIM_CIF_GROUP_NAME],
                        *number = &row->field[AIM_CIF_GROUP_NUMBER];
    const int p1 =
        aim_span_equal_nocase(span_of(name), "P 1") || aim_span_equal_nocase(span_of(name), "P1");
    return (!name->known || p1) && (!number->known || aim_span_equal(span_of(number), "1"));
}

static aim_status check_operations(aim_cif_block *b, aimnet_frame *f)
{
    const aim_cif_row *row = &b->single;
    char quoted[AIM_QUOTE_SIZE];
    int has_identity = 0;
    if (b->n_operations == 0 && !names_no_symmetry(row)) {
        const int by_name = row->field[AIM_CIF_GROUP_NAME].known;
        return AIM_FAIL(
            AIMNET_ERR_FORMAT,
            "space group %s is named, but its operations are not listed; add them as "
            "_space_group_symop_operation_xyz, or save the structure in P 1",
            aim_span_quote(
                span_of(&row->field[by_name ? AIM_CIF_GROUP_NAME : AIM_CIF_GROUP_NUMBER]), quoted));
    }
    if (b->n_operations == 0) {
        b->operation[b->n_operations++] = (aim_operation){.w = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
        if (!row->field[AIM_CIF_GROUP_NAME].known && !row->field[AIM_CIF_GROUP_NUMBER].known)
            AIM_TRY(aim_frame_warn(f, "the file says nothing about symmetry; P 1 is assumed"));
    }
    for (int i = 0; i < b->n_operations; i++) {
        has_identity |= aim_operation_is_identity(&b->operation[i]);
        if (f->has_cell && !aim_operation_fits(&b->operation[i], f->cell))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "symmetry operation %d of the list does not fit the cell: it would "
                            "change lengths or angles",
                            i + 1);
    }
    if (!has_identity)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "the symmetry operations lack x,y,z");
    if (!f->has_cell && b->n_operations > 1)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "symmetry operations without a cell");
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- sites */

static aim_status decide_element(const aim_cif_block *b, aim_cif_site *site)
{
    const int *c = site->candidates;
    if (site->number > 0)
        return AIMNET_OK;
    if (b->elements[c[0]] == b->elements[c[1]])
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "label %s may mean %s or %s; add a column _atom_site_type_symbol",
                        site->label, aim_element_symbol(c[0]), aim_element_symbol(c[1]));
    site->number = b->elements[c[0]] ? c[0] : c[1];
    return AIMNET_OK;
}

/* Puts a site on the symmetry elements that it lies on; *special = 1 if there are any. */
static aim_status settle(const aim_cif_block *b, const double cell[9], aim_cif_site *site,
                         int *special)
{
    double sum[3] = {0}, image[3];
    int n = 0;
    for (int i = 0; i < b->n_operations; i++) {
        aim_operation_apply(&b->operation[i], site->x, image);
        const double distance = aim_image_distance(site->x, image, cell);
        if (distance >= TOO_NEAR)
            continue;
        if (distance > SAME)
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "atom %s lies %.2f A from its own image: it is disordered about a "
                            "symmetry element; keep one alternative in a group of lower symmetry",
                            site->label, distance);
        for (int d = 0; d < 3; d++) {
            const double shift = image[d] - site->x[d];
            sum[d] += shift - round(shift);
        }
        n++;
    }
    *special = n > 1;
    for (int d = 0; d < 3 && n > 1; d++)
        site->x[d] += sum[d] / n;
    return AIMNET_OK;
}

/* Whether image `index` of a special site repeats an earlier one. */
static int is_repeated(const aim_cif_block *b, const double cell[9], const aim_cif_site *site,
                       int index, const double image[3])
{
    double earlier[3];
    for (int i = 0; i < index; i++) {
        aim_operation_apply(&b->operation[i], site->x, earlier);
        if (aim_image_distance(earlier, image, cell) <= SAME)
            return 1;
    }
    return 0;
}

static aim_status push_images(const aim_cif_block *b, aimnet_frame *f)
{
    for (int i = 0; i < b->n_operations; i++)
        for (size_t k = 0; k < b->n_sites; k++) {
            const aim_cif_site *site = &b->site[k];
            double image[3], x[3];
            aim_operation_apply(&b->operation[i], site->x, image);
            if (site->special && is_repeated(b, f->cell, site, i, image))
                continue;
            aim_vecmat3(image, f->cell, x);
            AIM_TRY(aim_frame_push(f, site->number, x));
        }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- blocks */

static aim_status place_sites(aimnet_reader *r, aim_cif_block *b, aimnet_frame *f)
{
    double inverse[9];
    (void)aim_inverse3(f->cell, inverse);
    for (size_t k = 0; k < b->n_sites; k++) {
        aim_cif_site *site = &b->site[k];
        if (site->cartesian) {
            double x[3];
            aim_vecmat3(site->x, inverse, x);
            memcpy(site->x, x, sizeof x);
        }
        AIM_TRY_AT(r, site->line, settle(b, f->cell, site, &site->special));
    }
    return AIMNET_OK;
}

static aim_status push_molecule(const aim_cif_block *b, aimnet_frame *f)
{
    for (size_t k = 0; k < b->n_sites; k++)
        AIM_TRY(aim_frame_push(f, b->site[k].number, b->site[k].x));
    return AIMNET_OK;
}

aim_status aim_cif_expand(aimnet_reader *r, aim_cif_block *b, aimnet_frame *f)
{
    const aim_cif_row *row = &b->single;
    int n_cartesian = 0, has_cell = 0;
    if (b->n_sites == 0)
        return AIM_READER_FAIL(r, b->line, "a structure without atoms");
    for (size_t k = 0; k < b->n_sites; k++) {
        AIM_TRY_AT(r, b->site[k].line, decide_element(b, &b->site[k]));
        n_cartesian += b->site[k].cartesian;
    }
    for (int i = 0; i < 3; i++)
        has_cell |= row->field[AIM_CIF_CELL + i].known;
    has_cell |= (size_t)n_cartesian < b->n_sites;
    if (row->field[AIM_CIF_MODULATED].known &&
        !aim_span_equal(span_of(&row->field[AIM_CIF_MODULATED]), "0"))
        return AIM_READER_FAIL(r, b->line,
                               "a modulated structure; expected one that is periodic in three "
                               "dimensions");
    if (has_cell)
        AIM_TRY_AT(r, b->line, read_cell(row, f));
    if (has_cell && n_cartesian > 0)
        AIM_TRY_AT(r, b->line, check_matrix(row, f->cell));
    AIM_TRY_AT(r, b->line, check_operations(b, f));
    if (has_cell)
        AIM_TRY(place_sites(r, b, f));
    AIM_TRY_AT(r, b->line, aim_frame_reserve(f, &r->lines, 0, 1));
    AIM_TRY_AT(r, b->line, has_cell ? push_images(b, f) : push_molecule(b, f));
    if (b->n_absent > 0)
        AIM_TRY(
            aim_frame_warn(f, "%lld dummy or empty site(s) were left out", (long long)b->n_absent));
    return AIMNET_OK;
}

/* SPDX-License-Identifier: MIT */
/* cif_write.c - crystals as CIF in P 1, one data block each.
 *
 * CIF holds lengths and angles: where the cell points in space is lost, and with it the directions
 * of Cartesian vectors; fractional coordinates have all digits. Of a left-handed cell all three
 * vectors and the fractions change sign, which is the same crystal; otherwise its mirror image
 * would be written. Energy and stress are comments (stress refers to the cell's orientation in the
 * input). Registered in writers.def. */
#include "io/writer.h"

#include <math.h>

#include "base/vec3.h"
#include "io/cell.h"
#include "io/cif.h"

aim_status aim_cif_fits(const aimnet_writer *w, const aimnet_frame *f);
aim_status aim_cif_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result);

static aim_status put_cell(aimnet_writer *w, const double cell[9])
{
    static const char *const names[] = {"_cell_length_a ",   "_cell_length_b ",
                                        "_cell_length_c ",   "_cell_angle_alpha ",
                                        "_cell_angle_beta ", "_cell_angle_gamma "};
    double p[6], again[9];
    aim_cell_parameters(cell, p);
    if (!aim_cell_from_parameters(p, again))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: the cell is too flat to be given by its lengths and angles; write it "
                        "as extended XYZ",
                        w->file.path);
    for (int i = 0; i < 6; i++) {
        AIM_TRY(aim_writer_put(w, names[i]));
        AIM_TRY(aim_writer_number(w, p[i]));
        AIM_TRY(aim_writer_put(w, "\n"));
    }
    return AIMNET_OK;
}

static aim_status put_results(aimnet_writer *w, const aimnet_result *r)
{
    AIM_TRY(aim_writer_put(w, "# energy/eV "));
    AIM_TRY(aim_writer_number(w, r->energy));
    AIM_TRY(aim_writer_put(w, "\n"));
    if (!r->stress)
        return AIMNET_OK;
    AIM_TRY(aim_writer_put(w, "# stress/(eV/A^3) "));
    AIM_TRY(aim_writer_numbers(w, r->stress, 9));
    return aim_writer_put(w, "\n");
}

static aim_status put_atom(aimnet_writer *w, const aimnet_frame *f, size_t i,
                           const double inverse[9], double sign)
{
    const char *symbol;
    double x[3];
    AIM_TRY(aim_writer_symbol(w, f, i, &symbol));
    aim_vecmat3(f->coord + 3 * i, inverse, x);
    for (int d = 0; d < 3; d++) {
        if (!(fabs(x[d]) <= AIM_CIF_FRACTION_MAX))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "%s: atom %zu is %.3g cells away from its own: move the atoms into the "
                            "cell, or write extended XYZ",
                            w->file.path, i, x[d]);
        x[d] *= sign;
    }
    AIM_TRY(aim_string_printf(&w->text, &w->alloc, "%s%zu %s ", symbol, i + 1, symbol));
    AIM_TRY(aim_writer_numbers(w, x, 3));
    return aim_writer_put(w, "\n");
}

aim_status aim_cif_fits(const aimnet_writer *w, const aimnet_frame *f)
{
    return aim_writer_needs_crystal(w, f, "CIF");
}

aim_status aim_cif_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result)
{
    double inverse[9];
    AIM_TRY(aim_cif_fits(w, f));
    const double det = aim_det3(f->cell);
    (void)aim_inverse3(f->cell, inverse);
    AIM_TRY(aim_string_printf(&w->text, &w->alloc, "data_%lld\n", (long long)w->n_frames));
    if (result && result->status == AIMNET_OK)
        AIM_TRY(put_results(w, result));
    AIM_TRY(put_cell(w, f->cell));
    AIM_TRY(aim_writer_put(w,
                           "_space_group_name_H-M_alt 'P 1'\n_space_group_IT_number 1\n"
                           "loop_\n_space_group_symop_operation_xyz\nx,y,z\n"
                           "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
                           "_atom_site_fract_y\n_atom_site_fract_z\n"));
    for (size_t i = 0; i < (size_t)f->n_atoms; i++)
        AIM_TRY(put_atom(w, f, i, inverse, det > 0.0 ? 1.0 : -1.0));
    return AIMNET_OK;
}

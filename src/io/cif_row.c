/* SPDX-License-Identifier: MIT */
/* cif_row.c - what the values of a CIF block mean: numbers with uncertainties, operations,
 * elements, atoms.
 *
 * Tags are those of the core dictionary and their older names. A number may carry its standard
 * uncertainty in brackets: 0.1469(4). Elements come from the type symbol (Fe3+, O2-) and else from
 * the label, whose first letters are the symbol: "Cl1", "C1A", "HA". A label of two capitals that
 * can be read in two ways (CA, CO) is decided by the formula or the list of elements of the
 * block. */
#include "io/cif.h"

#include <math.h>
#include <string.h>

#include "data/element.h"

static const double OCCUPIED = 1e-3; /* occupancies this near to 1 are 1, and to 0 are 0 */

typedef struct tag_name {
    const char *name; /* with underscores only */
    aim_cif_field field;
} tag_name;

static const tag_name tags[] = {
    {"_cell_length_a", AIM_CIF_CELL},
    {"_cell_length_b", AIM_CIF_CELL + 1},
    {"_cell_length_c", AIM_CIF_CELL + 2},
    {"_cell_angle_alpha", AIM_CIF_CELL + 3},
    {"_cell_angle_beta", AIM_CIF_CELL + 4},
    {"_cell_angle_gamma", AIM_CIF_CELL + 5},
    {"_atom_sites_cartn_tran_matrix_11", AIM_CIF_MATRIX},
    {"_atom_sites_cartn_tran_matrix_12", AIM_CIF_MATRIX + 1},
    {"_atom_sites_cartn_tran_matrix_13", AIM_CIF_MATRIX + 2},
    {"_atom_sites_cartn_tran_matrix_21", AIM_CIF_MATRIX + 3},
    {"_atom_sites_cartn_tran_matrix_22", AIM_CIF_MATRIX + 4},
    {"_atom_sites_cartn_tran_matrix_23", AIM_CIF_MATRIX + 5},
    {"_atom_sites_cartn_tran_matrix_31", AIM_CIF_MATRIX + 6},
    {"_atom_sites_cartn_tran_matrix_32", AIM_CIF_MATRIX + 7},
    {"_atom_sites_cartn_tran_matrix_33", AIM_CIF_MATRIX + 8},
    {"_symmetry_equiv_pos_as_xyz", AIM_CIF_SYMOP},
    {"_space_group_symop_operation_xyz", AIM_CIF_SYMOP_NEW},
    {"_symmetry_int_tables_number", AIM_CIF_GROUP_NUMBER},
    {"_space_group_it_number", AIM_CIF_GROUP_NUMBER},
    {"_symmetry_space_group_name_h-m", AIM_CIF_GROUP_NAME},
    {"_space_group_name_h-m_alt", AIM_CIF_GROUP_NAME},
    {"_symmetry_space_group_name_hall", AIM_CIF_GROUP_NAME},
    {"_space_group_name_hall", AIM_CIF_GROUP_NAME},
    {"_chemical_formula_sum", AIM_CIF_FORMULA},
    {"_atom_type_symbol", AIM_CIF_TYPE},
    {"_atom_site_group_pdb", AIM_CIF_MACROMOLECULE},
    {"_atom_site_auth_asym_id", AIM_CIF_MACROMOLECULE},
    {"_cell_modulation_dimension", AIM_CIF_MODULATED},
    {"_space_group_symop_magn_operation_xyz", AIM_CIF_MAGNETIC},
    {"_space_group_symop_magn_operation_mxmymz", AIM_CIF_MAGNETIC},
    {"_atom_site_label", AIM_CIF_LABEL},
    {"_atom_site_type_symbol", AIM_CIF_SYMBOL},
    {"_atom_site_fract_x", AIM_CIF_FRACT},
    {"_atom_site_fract_y", AIM_CIF_FRACT + 1},
    {"_atom_site_fract_z", AIM_CIF_FRACT + 2},
    {"_atom_site_cartn_x", AIM_CIF_CARTN},
    {"_atom_site_cartn_y", AIM_CIF_CARTN + 1},
    {"_atom_site_cartn_z", AIM_CIF_CARTN + 2},
    {"_atom_site_occupancy", AIM_CIF_OCCUPANCY},
    {"_atom_site_calc_flag", AIM_CIF_CALCULATED},
};

aim_cif_field aim_cif_field_of(aim_span tag)
{
    char text[48];
    if (tag.size >= sizeof text)
        return AIM_CIF_IGNORED;
    for (size_t i = 0; i < tag.size; i++)
        text[i] = tag.text[i] == '.' ? '_' : tag.text[i];
    for (size_t k = 0; k < sizeof tags / sizeof *tags; k++)
        if (aim_span_equal_nocase((aim_span){text, tag.size}, tags[k].name))
            return tags[k].field;
    return AIM_CIF_IGNORED;
}

static aim_span span_of(const aim_cif_value *v)
{
    return (aim_span){v->text, v->size};
}

/* "10.4320(3)" */
aim_status aim_cif_number(const aim_cif_value *v, const char *what, double *x)
{
    char quoted[AIM_QUOTE_SIZE];
    aim_span s = span_of(v);
    if (s.size > 2 && s.text[s.size - 1] == ')') {
        size_t n = s.size - 1;
        while (n > 0 && s.text[n - 1] >= '0' && s.text[n - 1] <= '9')
            n--;
        if (n > 0 && n < s.size - 1 && s.text[n - 1] == '(')
            s.size = n - 1;
    }
    if (v->too_long || !aim_scan_double(s, x) || !isfinite(*x))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%s %s is not a number", what,
                        aim_span_quote(span_of(v), quoted));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- operations and elements */

static aim_status add_operation(aim_cif_block *b, const aim_cif_value *v, aim_cif_field tag)
{
    char quoted[AIM_QUOTE_SIZE];
    aim_operation op;
    if (b->operation_tag == AIM_CIF_IGNORED)
        b->operation_tag = tag;
    if (b->operation_tag != tag || !v->known)
        return AIMNET_OK;
    if (v->too_long || !aim_operation_parse(span_of(v), &op))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "symmetry operation %s is not understood; expected one like -x,y+1/2,-z",
                        aim_span_quote(span_of(v), quoted));
    for (int i = 0; i < b->n_operations; i++)
        if (aim_operation_equal(&b->operation[i], &op))
            return AIMNET_OK;
    if (b->n_operations == AIM_MAX_OPERATIONS)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "more than %d different symmetry operations: no space group has as many",
                        AIM_MAX_OPERATIONS);
    b->operation[b->n_operations++] = op;
    return AIMNET_OK;
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t count_letters(aim_span s)
{
    size_t n = 0;
    while (n < s.size && is_letter(s.text[n]))
        n++;
    return n;
}

/* Remembers the elements of "C8 H10 N2 O5" or "Fe3+". */
static void note_elements(aim_cif_block *b, aim_span text)
{
    for (aim_span word = aim_scan_token(&text); word.size > 0; word = aim_scan_token(&text)) {
        const int number = aim_element_from_symbol(word.text, count_letters(word));
        if (number > 0)
            b->elements[number] = 1;
    }
}

/* "C", "Fe3+", "O2-", "O-2", "D": 0 if it is nothing of this kind. */
static int element_of_symbol(aim_span s)
{
    const size_t n = count_letters(s);
    int signs = 0;
    for (size_t i = n; i < s.size; i++) {
        const char c = s.text[i];
        if (c == '+' || c == '-')
            signs++;
        else if ((c < '0' || c > '9') && c != '.')
            return 0;
    }
    return signs <= 1 ? aim_element_from_symbol(s.text, n) : 0;
}

/* The element or the two candidates of a label. */
static void element_of_label(aim_span s, aim_cif_site *site)
{
    const size_t n = count_letters(s);
    const int one = n > 0 ? aim_element_from_symbol(s.text, 1) : 0;
    const int two = n > 1 ? aim_element_from_symbol(s.text, 2) : 0;
    const int spelled = n > 1 && s.text[1] >= 'a'; /* "Cl": a chemical symbol as it is written */
    site->candidates[0] = one;
    site->candidates[1] = two;
    if (one && two && !spelled)
        return;
    site->number = two ? two : one;
}

static aim_status find_element(const aim_cif_row *row, aim_cif_site *site)
{
    const aim_cif_value *symbol = &row->field[AIM_CIF_SYMBOL], *label = &row->field[AIM_CIF_LABEL];
    char quoted[AIM_QUOTE_SIZE];
    if (symbol->known) {
        site->number = element_of_symbol(span_of(symbol));
        if (site->number == 0)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "type symbol %s is not an element",
                            aim_span_quote(span_of(symbol), quoted));
        return AIMNET_OK;
    }
    if (!label->known)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "an atom without a type symbol and without a label");
    element_of_label(span_of(label), site);
    if (site->number == 0 && site->candidates[0] == 0 && site->candidates[1] == 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "label %s does not begin with an element",
                        aim_span_quote(span_of(label), quoted));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- atoms */

static int all_known(const aim_cif_value v[3])
{
    return v[0].known && v[1].known && v[2].known;
}

static aim_status read_position(const aim_cif_row *row, aim_cif_site *site)
{
    static const char *const what[] = {"x coordinate", "y coordinate", "z coordinate"};
    site->cartesian = !all_known(row->field + AIM_CIF_FRACT);
    const aim_cif_value *v = row->field + (site->cartesian ? AIM_CIF_CARTN : AIM_CIF_FRACT);
    if (!all_known(v))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "atom %s has no coordinates: complete the structure, or remove the atom if "
                        "it is not there",
                        site->label);
    for (int d = 0; d < 3; d++) {
        AIM_TRY(aim_cif_number(&v[d], what[d], &site->x[d]));
        if (!site->cartesian && fabs(site->x[d]) > AIM_CIF_FRACTION_MAX)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "atom %s: %g is no fraction of a cell", site->label,
                            site->x[d]);
    }
    return AIMNET_OK;
}

/* *absent = 1: the site is empty. */
static aim_status read_occupancy(const aim_cif_row *row, const aim_cif_site *site, int *absent)
{
    const aim_cif_value *v = &row->field[AIM_CIF_OCCUPANCY],
                        *flag = &row->field[AIM_CIF_CALCULATED];
    double occupancy = 1.0;
    *absent = flag->known && aim_span_equal_nocase(span_of(flag), "dum");
    if (*absent)
        return AIMNET_OK;
    if (v->known)
        AIM_TRY(aim_cif_number(v, "occupancy", &occupancy));
    *absent = fabs(occupancy) <= OCCUPIED;
    if (!*absent && !(fabs(occupancy - 1.0) <= OCCUPIED))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "atom %s has occupancy %g: a disordered structure; expected 1 everywhere: "
                        "keep one of its alternatives and give that occupancy 1",
                        site->label, occupancy);
    return AIMNET_OK;
}

static void copy_label(const aim_cif_row *row, aim_cif_site *site)
{
    const aim_cif_value *v =
        &row->field[row->field[AIM_CIF_LABEL].known ? AIM_CIF_LABEL : AIM_CIF_SYMBOL];
    size_t n = 0;
    for (; v->known && n < v->size && n < sizeof site->label - 1; n++)
        site->label[n] = v->text[n] > ' ' && v->text[n] <= '~' ? v->text[n] : '?';
    site->label[n] = '\0';
}

static aim_status add_atom(aim_cif_block *b, const aim_alloc *alloc, const aim_cif_row *row,
                           int64_t line)
{
    aim_cif_site site = {.line = line};
    int absent;
    copy_label(row, &site);
    AIM_TRY(read_occupancy(row, &site, &absent));
    if (absent) {
        b->n_absent++;
        return AIMNET_OK;
    }
    AIM_TRY(find_element(row, &site));
    AIM_TRY(read_position(row, &site));
    if (b->n_sites == b->capacity) {
        const size_t capacity = b->capacity ? 2 * b->capacity : 64;
        AIM_TRY(aim_grow(alloc, b->n_sites, capacity, sizeof site, "the atoms of a CIF file",
                         &b->site));
        b->capacity = capacity;
    }
    b->site[b->n_sites++] = site;
    return AIMNET_OK;
}

aim_status aim_cif_add_row(aim_cif_block *b, const aim_alloc *alloc, const aim_cif_row *row,
                           int64_t line)
{
    const aim_cif_value *v = row->field;
    if (v[AIM_CIF_MACROMOLECULE].present)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "this is mmCIF, the format of macromolecules; save the structure as PDB or "
                        "extended XYZ");
    if (v[AIM_CIF_MAGNETIC].present)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "magnetic symmetry operations are not read; save the structure in P 1");
    for (aim_cif_field tag = AIM_CIF_SYMOP; tag <= AIM_CIF_SYMOP_NEW; tag++)
        if (v[tag].present)
            AIM_TRY(add_operation(b, &v[tag], tag));
    if (v[AIM_CIF_TYPE].known)
        note_elements(b, span_of(&v[AIM_CIF_TYPE]));
    if (v[AIM_CIF_FORMULA].known)
        note_elements(b, span_of(&v[AIM_CIF_FORMULA]));
    int present = 0;
    for (int k = AIM_CIF_LABEL; k < AIM_CIF_N_FIELDS; k++)
        present |= v[k].present;
    return present ? add_atom(b, alloc, row, line) : AIMNET_OK;
}

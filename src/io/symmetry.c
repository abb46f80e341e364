/* SPDX-License-Identifier: MIT */
/* symmetry.c - symmetry operations in Jones' faithful notation ("-x+1/2,y,-z").
 *
 * Each of three expressions is a sum of terms: an axis letter with an integer factor, or a number
 * (decimal or a fraction). Translations that are printed with three or more decimals of a multiple
 * of 1/24 (0.3333) are that multiple: all translations of space groups are. Called by
 * cif_read.c. */
#include "io/symmetry.h"

#include <math.h>
#include <stdlib.h>

#include "base/vec3.h"

static const double PRINTED = 1e-3; /* error of a translation such as 0.667 */
static const double METRIC = 0.01;  /* relative mismatch of an operation and a cell */
enum { MAX_FACTOR = 3 };

static char peek(aim_span s)
{
    return s.size > 0 ? s.text[0] : '\0';
}

static void skip(aim_span *s, size_t n)
{
    s->text += n;
    s->size -= n;
}

static void skip_blanks(aim_span *s)
{
    while (s->size > 0 && aim_is_space(s->text[0]))
        skip(s, 1);
}

/* digits[.digits] */
static int parse_decimal(aim_span *s, double *value)
{
    size_t n = 0;
    while (n < s->size && ((s->text[n] >= '0' && s->text[n] <= '9') || s->text[n] == '.'))
        n++;
    if (n == 0 || !aim_scan_double((aim_span){s->text, n}, value))
        return 0;
    skip(s, n);
    return 1;
}

static int parse_number(aim_span *s, double *value)
{
    double below;
    if (!parse_decimal(s, value))
        return 0;
    skip_blanks(s);
    if (peek(*s) != '/')
        return 1;
    skip(s, 1);
    skip_blanks(s);
    if (!parse_decimal(s, &below) || !(below > 0.0))
        return 0;
    *value /= below;
    return 1;
}

static int axis_of(char c)
{
    const char lower = c >= 'X' && c <= 'Z' ? (char)(c - 'X' + 'x') : c;
    return lower >= 'x' && lower <= 'z' ? lower - 'x' : -1;
}

/* A number, an axis, or a number times an axis. */
static int parse_term(aim_span *s, double sign, int w[3], double *t)
{
    double value = 1.0;
    const int has_number = axis_of(peek(*s)) < 0;
    if (has_number && !parse_number(s, &value))
        return 0;
    skip_blanks(s);
    if (has_number && peek(*s) == '*') {
        skip(s, 1);
        skip_blanks(s);
        if (axis_of(peek(*s)) < 0)
            return 0;
    }
    const int axis = axis_of(peek(*s));
    if (axis < 0) {
        *t += sign * value;
        return 1;
    }
    if (value != floor(value) || value > MAX_FACTOR)
        return 0;
    w[axis] += (int)(sign * value);
    skip(s, 1);
    return abs(w[axis]) <= MAX_FACTOR;
}

/* One of the three expressions, up to its comma or the end. */
static int parse_expression(aim_span *s, int w[3], double *t)
{
    int n_terms = 0;
    *t = 0.0;
    w[0] = w[1] = w[2] = 0;
    for (;;) {
        skip_blanks(s);
        const char c = peek(*s);
        if (s->size == 0 || c == ',')
            break;
        const int has_sign = c == '+' || c == '-';
        if (!has_sign && n_terms > 0)
            return 0;
        if (has_sign)
            skip(s, 1);
        skip_blanks(s);
        if (!parse_term(s, c == '-' ? -1.0 : 1.0, w, t))
            return 0;
        n_terms++;
    }
    const double snapped = round(*t * 24.0) / 24.0;
    if (fabs(*t - snapped) < PRINTED)
        *t = snapped;
    return n_terms > 0 && fabs(*t) < 1e3;
}

static int determinant(const int w[9])
{
    return w[0] * (w[4] * w[8] - w[5] * w[7]) - w[1] * (w[3] * w[8] - w[5] * w[6]) +
           w[2] * (w[3] * w[7] - w[4] * w[6]);
}

int aim_operation_parse(aim_span text, aim_operation *op)
{
    for (size_t i = 0; i < 3; i++) {
        if (!parse_expression(&text, op->w + 3 * i, &op->t[i]))
            return 0;
        if (i < 2 && peek(text) != ',')
            return 0;
        if (i < 2)
            skip(&text, 1);
    }
    return text.size == 0 && abs(determinant(op->w)) == 1;
}

int aim_operation_equal(const aim_operation *a, const aim_operation *b)
{
    for (int k = 0; k < 9; k++)
        if (a->w[k] != b->w[k])
            return 0;
    for (int d = 0; d < 3; d++) {
        const double shift = a->t[d] - b->t[d];
        if (fabs(shift - round(shift)) > PRINTED)
            return 0;
    }
    return 1;
}

int aim_operation_is_identity(const aim_operation *op)
{
    static const aim_operation identity = {.w = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
    return aim_operation_equal(op, &identity);
}

void aim_operation_apply(const aim_operation *op, const double x[3], double y[3])
{
    for (int i = 0; i < 3; i++)
        y[i] = op->w[3 * i] * x[0] + op->w[3 * i + 1] * x[1] + op->w[3 * i + 2] * x[2] + op->t[i];
}

int aim_operation_fits(const aim_operation *op, const double cell[9])
{
    double image[9] = {0}; /* where the operation puts the three vectors */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            for (int d = 0; d < 3; d++)
                image[3 * i + d] += op->w[3 * k + i] * cell[3 * k + d];
    for (int i = 0; i < 9; i += 3)
        for (int j = 0; j <= i; j += 3) {
            const double before = aim_dot3(cell + i, cell + j),
                         after = aim_dot3(image + i, image + j);
            if (!(fabs(after - before) <= METRIC * aim_norm3(cell + i) * aim_norm3(cell + j)))
                return 0;
        }
    return 1;
}

double aim_image_distance(const double x[3], const double y[3], const double cell[9])
{
    double shift[3], v[3];
    for (int d = 0; d < 3; d++) {
        shift[d] = y[d] - x[d];
        shift[d] -= round(shift[d]);
    }
    aim_vecmat3(shift, cell, v);
    return aim_norm3(v);
}

/* SPDX-License-Identifier: MIT */
/* links.h - neighbours of an atom for the model Hessian (model.h), images included, with the weights
 * of its pairs. Any member of a crew may ask for any atom. */
#ifndef AIM_BACKEND_OPT_LINKS_H
#define AIM_BACKEND_OPT_LINKS_H

#include "backend/opt/variables.h"
#include "point/units.h"

#define AIM_RHO_BOND   0.005 /* pairs below do not count */
#define AIM_RHO_LINKED 0.05  /* nor below this one in angles and torsions */
#define AIM_PAIR_REACH 7.0   /* bohr: rho is below AIM_RHO_BOND from there on */
enum { AIM_MAX_LINKS = 12 }; /* neighbours of an atom in angles and torsions */

/* A neighbour of an atom: vector to it (bohr) and the weight of the pair. */
typedef struct aim_link {
    int32_t atom;
    double r[3], distance, rho;
} aim_link;

AIM_CREW int aim_row_of_table(int number)
{
    return number <= 2 ? 0 : number <= 10 ? 1 : 2;
}

AIM_CREW double aim_link_weight(int a, int b, double r2)
{
    static const double alpha[3][3] = {
        {1.0000, 0.3949, 0.3949}, {0.3949, 0.2800, 0.2800}, {0.3949, 0.2800, 0.2800}};
    static const double r0[3][3] = {{1.35, 2.10, 2.53}, {2.10, 2.87, 3.40}, {2.53, 3.40, 3.40}};
    const int i = aim_row_of_table(a), j = aim_row_of_table(b);
    return exp(alpha[i][j] * (r0[i][j] * r0[i][j] - r2));
}

/* How many images of the cell lie within the cutoff along vector k. */
AIM_CREW int aim_images_along(const aim_variables *v, const double inverse[9], int k)
{
    const double column[3] = {inverse[k], inverse[3 + k], inverse[6 + k]};
    const int n = (int)ceil(AIM_PAIR_REACH * AIM_BOHR * aim_norm3(column));
    return !v->periodic[k] ? 0 : n < 8 ? n : 8;
}

typedef void (*aim_link_fn)(void *ctx, const aim_link *l);

/* The images within the cutoff. */
typedef struct aim_images {
    double inverse[9]; /* of the cell, if it is periodic */
    int periodic, n[3];
} aim_images;

AIM_CREW void aim_find_images(const aim_variables *v, aim_images *to)
{
    to->periodic = v->periodic[0] || v->periodic[1] || v->periodic[2];
    if (to->periodic)
        aim_inverse3(v->cell, to->inverse);
    for (int k = 0; k < 3; k++)
        to->n[k] = to->periodic ? aim_images_along(v, to->inverse, k) : 0;
}

/* Calls fn for atom j and its images as neighbours of atom i, in a fixed order. */
AIM_CREW void aim_each_image(const aim_variables *v, const aim_images *images, int32_t i, int32_t j,
                             aim_link_fn fn, void *ctx)
{
    double d[3], s[3];
    for (int c = 0; c < 3; c++)
        d[c] = v->x[3 * (size_t)j + (size_t)c] - v->x[3 * (size_t)i + (size_t)c];
    if (images->periodic)
        aim_vecmat3(d, images->inverse, s);
    for (int k = 0; k < 3; k++) /* the closest image first */
        s[k] = v->periodic[k] ? -floor(s[k] + 0.5) : 0.0;
    for (int a = -images->n[0]; a <= images->n[0]; a++)
        for (int b = -images->n[1]; b <= images->n[1]; b++)
            for (int c = -images->n[2]; c <= images->n[2]; c++) {
                const double shift[3] = {s[0] + a, s[1] + b, s[2] + c};
                aim_link l;
                l.atom = j;
                aim_vecmat3(shift, v->cell, l.r);
                for (int m = 0; m < 3; m++)
                    l.r[m] = (l.r[m] + d[m]) * AIM_BOHR_INV;
                const double r2 = aim_dot3(l.r, l.r);
                if (r2 > AIM_PAIR_REACH * AIM_PAIR_REACH || r2 < 1e-6)
                    continue;
                l.distance = sqrt(r2);
                l.rho = aim_link_weight(v->numbers[i], v->numbers[j], r2);
                fn(ctx, &l);
            }
}

/* For all neighbours of atom i within the cutoff. */
AIM_CREW void aim_each_link(const aim_variables *v, int32_t i, aim_link_fn fn, void *ctx)
{
    aim_images images;
    aim_find_images(v, &images);
    for (int32_t j = 0; j < v->n_atoms; j++)
        aim_each_image(v, &images, i, j, fn, ctx);
}

typedef struct aim_links {
    aim_link item[AIM_MAX_LINKS];
    int n;
} aim_links;

/* Keeps the heaviest links in the order in which they come. */
AIM_CREW void aim_collect_link(void *ctx, const aim_link *l)
{
    aim_links *list = (aim_links *)ctx;
    if (l->rho < AIM_RHO_LINKED)
        return;
    if (list->n < AIM_MAX_LINKS) {
        list->item[list->n++] = *l;
        return;
    }
    int weakest = 0;
    for (int k = 1; k < AIM_MAX_LINKS; k++)
        weakest = list->item[k].rho < list->item[weakest].rho ? k : weakest;
    if (list->item[weakest].rho < l->rho)
        list->item[weakest] = *l;
}

#endif

/* SPDX-License-Identifier: MIT */
/* model.h - the model Hessian of Lindh, Bernhardsson, Karlstrom and Malmqvist (Chem. Phys. Lett.
 * 241 (1995) 423, doi:10.1016/0009-2614(95)00646-L): force constants that follow from distances,
 *
 *     rho_ij = exp(alpha_ij (r0_ij^2 - r_ij^2)),
 *     H = sum_bonds k_b rho_ij b b^T + sum_angles k_a rho_ij rho_jk b b^T
 *       + sum_torsions k_t rho_ij rho_jk rho_kl b b^T      (hartree, bohr, radian),
 *
 * b being the derivative of the length, angle or torsion with respect to the variables. alpha and r0
 * depend on the rows of the periodic table. A small multiple of the unit matrix is added: it stands
 * for what the sum does not know (rotations, soft contacts) and makes H positive definite.
 *
 * The paper's k are 0.45, 0.15 and 0.005. Here torsions are twice as stiff, bonds and angles a tenth
 * softer: on 200 conformers that needs as many gradients, but fewer structures slide over a barrier
 * into the next conformer (docs/opt.md).
 *
 * A quasi-Newton method that starts from it needs a third to a half of the steps that it needs from
 * a multiple of the unit matrix, because stiff bonds and soft torsions are told apart from the
 * start. In crystals the derivatives with respect to the strain variables come from the same terms
 * (pairs to images included), so that intramolecular bonds are not stretched by a step of the cell.
 * The matrix is dense; it is used for small structures only (path.h).
 *
 * Terms come atom by atom, in an order that depends on the structure alone. One thread of the host
 * adds each at once to all rows it concerns. On a card every thread finds terms of its own and writes
 * them down; then each warp adds those that concern them to rows of its own, in that order
 * (backend/cuda/terms.h). */
#ifndef AIM_BACKEND_OPT_MODEL_H
#define AIM_BACKEND_OPT_MODEL_H

#include "backend/opt/links.h"
#include "backend/opt/terms.h"

#define AIM_K_BOND    0.40  /* hartree */
#define AIM_K_ANGLE   0.13  /* hartree */
#define AIM_K_TORSION 0.010 /* hartree */
#define AIM_K_UNIT    0.004 /* hartree / bohr^2 */
#define AIM_K_STRAIN  0.06  /* eV/A^3: 10 GPa, of molecular crystals */
#define AIM_LINEAR    0.97  /* |cos| of angles treated as linear */

AIM_CREW void aim_set_bond(aim_coordinate *q, int32_t i, const aim_link *l)
{
    q->n_atoms = 2;
    q->atom[0] = i;
    q->atom[1] = l->atom;
    for (int d = 0; d < 3; d++) {
        q->place[0][d] = 0.0;
        q->place[1][d] = l->r[d];
        q->b[1][d] = l->r[d] / l->distance;
        q->b[0][d] = -q->b[1][d];
    }
}

/* The angle at atom j between its neighbours a and c; for a nearly linear one the two bends
 * perpendicular to it. */
AIM_CREW void aim_add_angle(aim_terms *t, int32_t j, const aim_link *a, const aim_link *c)
{
    aim_coordinate q;
    q.n_atoms = 3;
    q.atom[0] = j;
    q.atom[1] = a->atom;
    q.atom[2] = c->atom;
    double u[3], w[3];
    for (int d = 0; d < 3; d++) {
        q.place[0][d] = 0.0;
        q.place[1][d] = a->r[d];
        q.place[2][d] = c->r[d];
        u[d] = a->r[d] / a->distance;
        w[d] = c->r[d] / c->distance;
    }
    const double k = AIM_K_ANGLE * a->rho * c->rho, cosine = aim_dot3(u, w);
    if (fabs(cosine) < AIM_LINEAR) {
        const double sine = sqrt(1.0 - cosine * cosine);
        for (int d = 0; d < 3; d++) {
            q.b[1][d] = (cosine * u[d] - w[d]) / (a->distance * sine);
            q.b[2][d] = (cosine * w[d] - u[d]) / (c->distance * sine);
            q.b[0][d] = -q.b[1][d] - q.b[2][d];
        }
        aim_add_term(t, &q, k);
        return;
    }
    if (cosine > 0.0)
        return; /* two neighbours in the same direction: no angle to speak of */
    double axis[3] = {0.0, 0.0, 0.0}, e[2][3];
    int smallest = 0;
    for (int d = 1; d < 3; d++)
        smallest = fabs(u[d]) < fabs(u[smallest]) ? d : smallest;
    axis[smallest] = 1.0;
    aim_cross3(u, axis, e[0]);
    const double norm = aim_norm3(e[0]);
    for (int d = 0; d < 3; d++)
        e[0][d] /= norm;
    aim_cross3(u, e[0], e[1]);
    for (int m = 0; m < 2; m++) {
        for (int d = 0; d < 3; d++) {
            q.b[1][d] = e[m][d] / a->distance;
            q.b[2][d] = e[m][d] / c->distance;
            q.b[0][d] = -q.b[1][d] - q.b[2][d];
        }
        aim_add_term(t, &q, k);
    }
}

/* The torsion a - j - m - c about the bond j - m; a is a neighbour of j, c of m. */
AIM_CREW void aim_add_torsion(aim_terms *t, int32_t j, const aim_link *a, const aim_link *middle,
                              const aim_link *c)
{
    aim_coordinate q;
    q.n_atoms = 4;
    q.atom[0] = j;
    q.atom[1] = a->atom;
    q.atom[2] = middle->atom;
    q.atom[3] = c->atom;
    double f[3], g[3], h[3], n1[3], n2[3], fg[3], hg[3];
    for (int d = 0; d < 3; d++) {
        q.place[0][d] = 0.0;
        q.place[1][d] = a->r[d];
        q.place[2][d] = middle->r[d];
        q.place[3][d] = middle->r[d] + c->r[d];
        f[d] = a->r[d];
        g[d] = -middle->r[d];
        h[d] = c->r[d];
    }
    aim_cross3(f, g, n1);
    aim_cross3(h, g, n2);
    const double gg = middle->distance, n11 = aim_dot3(n1, n1), n22 = aim_dot3(n2, n2);
    const double sine1 = n11 / (a->distance * a->distance * gg * gg);
    const double sine2 = n22 / (c->distance * c->distance * gg * gg);
    if (sine1 < 1.0 - AIM_LINEAR * AIM_LINEAR || sine2 < 1.0 - AIM_LINEAR * AIM_LINEAR)
        return;
    /* A. Blondel and M. Karplus, J. Comput. Chem. 17 (1996) 1132: regular for every torsion */
    const double s = aim_dot3(f, g) / (n11 * gg), r = aim_dot3(h, g) / (n22 * gg);
    for (int d = 0; d < 3; d++) {
        fg[d] = s * n1[d];
        hg[d] = r * n2[d];
        q.b[1][d] = -gg / n11 * n1[d];
        q.b[3][d] = gg / n22 * n2[d];
        q.b[0][d] = -q.b[1][d] + fg[d] - hg[d];
        q.b[2][d] = -q.b[3][d] - fg[d] + hg[d];
    }
    aim_add_term(t, &q, AIM_K_TORSION * a->rho * middle->rho * c->rho);
}

typedef struct aim_bonds {
    aim_terms *t;
    int32_t i;
} aim_bonds;

AIM_CREW void aim_add_bond(void *ctx, const aim_link *l)
{
    const aim_bonds *c = (const aim_bonds *)ctx;
    aim_coordinate q;
    if (l->rho < AIM_RHO_BOND)
        return;
    aim_set_bond(&q, c->i, l);
    aim_add_term(c->t, &q, 0.5 * AIM_K_BOND * l->rho); /* every pair comes twice */
}

AIM_CREW int aim_is_same_place(const aim_link *a, const double *r)
{
    return fabs(a->r[0] - r[0]) + fabs(a->r[1] - r[1]) + fabs(a->r[2] - r[2]) < 1e-3;
}

/* Whether neighbours a of j and c of the middle's other atom make a torsion about the middle: neither
 * goes back along it, nor do they meet in a ring of three. */
AIM_CREW int aim_is_torsion(const aim_link *a, const aim_link *middle, const aim_link *c)
{
    double back[3], end[3];
    for (int d = 0; d < 3; d++) {
        back[d] = -middle->r[d];
        end[d] = middle->r[d] + c->r[d];
    }
    return !aim_is_same_place(a, middle->r) && !aim_is_same_place(c, back) &&
           !aim_is_same_place(a, end);
}

#if !defined(__CUDACC__)
AIM_CREW void aim_add_torsions(aim_terms *t, int32_t j, const aim_links *at_j,
                               const aim_link *middle)
{
    aim_links at_m;
    at_m.n = 0;
    aim_each_link(t->v, middle->atom, aim_collect_link, &at_m);
    for (int a = 0; a < at_j->n; a++)
        for (int c = 0; c < at_m.n; c++)
            if (aim_is_torsion(&at_j->item[a], middle, &at_m.item[c]))
                aim_add_torsion(t, j, &at_j->item[a], middle, &at_m.item[c]);
}

AIM_CREW void aim_model_atom(aim_terms *t, int32_t j)
{
    aim_bonds b = {t, j};
    aim_links at_j;
    at_j.n = 0;
    aim_each_link(t->v, j, aim_add_bond, &b);
    aim_each_link(t->v, j, aim_collect_link, &at_j);
    for (int a = 0; a < at_j.n; a++)
        for (int c = a + 1; c < at_j.n; c++)
            aim_add_angle(t, j, &at_j.item[a], &at_j.item[c]);
    for (int a = 0; a < at_j.n; a++)
        if (at_j.item[a].atom > j) /* every bond once; one to an image of itself not at all */
            aim_add_torsions(t, j, &at_j, &at_j.item[a]);
}

/* Adds all terms to h. */
AIM_CREW void crew_model(const aim_variables *v, double *h, const aim_model_room *room)
{
    (void)room;
    aim_terms t = {.v = v, .h = h};
    for (int32_t i = 0; i < v->n_atoms; i++)
        aim_model_atom(&t, i);
}
#else
static __device__ void crew_model(const aim_variables *v, double *h, const aim_model_room *room);
#endif

/* Fills h [n_var][n_var] (row-major) with the model Hessian at v's current point and replaces its
 * lower triangle by the Cholesky factor. */
AIM_CREW void aim_model_build(const aim_variables *v, double *h, const aim_model_room *room)
{
    const size_t n = (size_t)v->n_var, n3 = 3 * (size_t)v->n_atoms;
    const double unit = AIM_K_UNIT * AIM_HARTREE / (AIM_BOHR * AIM_BOHR);
    const double strain = AIM_K_STRAIN * aim_variables_volume(v) / (v->scale * v->scale);
    for (size_t i = crew_rank(); i < n * n; i += crew_size())
        h[i] = 0.0;
    crew_sync();
    crew_model(v, h, room);
    crew_sync();
    for (size_t i = crew_rank(); i < n; i += crew_size())
        h[i * n + i] += i < n3 ? unit : strain;
    crew_sync();
    crew_factor(h, v->n_var);
    crew_sync();
}

#endif

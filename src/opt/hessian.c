/* SPDX-License-Identifier: MIT */
/* hessian.c - the model Hessian of Lindh, Bernhardsson, Karlstrom and Malmqvist (Chem. Phys. Lett.
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
 * The matrix is dense; job.c uses it for small structures only. */
#include "opt/hessian.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "point/units.h"

static const double K_BOND = 0.40, K_ANGLE = 0.13, K_TORSION = 0.010; /* hartree */
static const double K_UNIT = 0.004;                                   /* hartree / bohr^2 */
static const double K_STRAIN = 0.02;   /* eV/A^3 per unit volume: a soft crystal */
static const double RHO_BOND = 0.005;  /* pairs below do not count */
static const double RHO_LINKED = 0.05; /* nor below this one in angles and torsions */
static const double LINEAR = 0.97;     /* |cos| of angles treated as linear */
static const double CUTOFF = 7.0;      /* bohr: rho is below RHO_BOND from there on */
enum { MAX_LINKS = 12 };               /* neighbours of an atom in angles and torsions */

/* A neighbour of an atom: vector to it (bohr) and the weight of the pair. */
typedef struct link {
    int32_t atom;
    double r[3], distance, rho;
} link;

typedef struct terms {
    const aim_variables *v;
    double *h;
    int n;
} terms;

static int row_of(int number)
{
    return number <= 2 ? 0 : number <= 10 ? 1 : 2;
}

static double pair_weight(int a, int b, double r2)
{
    static const double alpha[3][3] = {
        {1.0000, 0.3949, 0.3949}, {0.3949, 0.2800, 0.2800}, {0.3949, 0.2800, 0.2800}};
    static const double r0[3][3] = {{1.35, 2.10, 2.53}, {2.10, 2.87, 3.40}, {2.53, 3.40, 3.40}};
    const int i = row_of(a), j = row_of(b);
    return exp(alpha[i][j] * (r0[i][j] * r0[i][j] - r2));
}

/* ---------------------------------------------------------------- one term */

/* An internal coordinate of up to four atoms: where they are relative to the first (bohr) and the
 * derivative with respect to each position (1/bohr or 1). */
typedef struct coordinate {
    int n_atoms;
    int32_t atom[4];
    double place[4][3], b[4][3];
} coordinate;

/* H += k b b^T in the variables x0 and u, eV and Angstrom. k in hartree per (unit of the
 * coordinate)^2. */
static void add_term(terms *t, const coordinate *q, double k)
{
    const aim_variables *v = t->v;
    const int first = 3 * v->n_atoms;
    int index[12 + AIM_OPT_MAX_STRAINS], n = 0;
    double d[12 + AIM_OPT_MAX_STRAINS], by_f[9] = {0.0}, inverse[9];
    if (v->n_strains > 0)
        aim_inverse3(v->f, inverse);
    for (int a = 0; a < q->n_atoms; a++) {
        const int32_t i = q->atom[a];
        for (int c = 0; c < 3 && !v->frozen[i]; c++) {
            index[n] = 3 * i + c;
            d[n++] = aim_dot3(q->b[a], v->f + 3 * c) / AIM_BOHR;
        }
        if (v->n_strains > 0) {
            double x0[3];
            aim_vecmat3(q->place[a], inverse, x0);
            for (int m = 0; m < 9; m++)
                by_f[m] += x0[m / 3] * q->b[a][m % 3];
        }
    }
    for (int s = 0; s < v->n_strains; s++) {
        double sum = 0.0;
        for (int m = 0; m < 9; m++)
            sum += v->basis[s][m] * by_f[m];
        index[n] = first + s;
        d[n++] = sum / v->scale;
    }
    for (int a = 0; a < n; a++)
        for (int c = 0; c < n; c++)
            t->h[(size_t)index[a] * (size_t)t->n + (size_t)index[c]] +=
                k * AIM_HARTREE * d[a] * d[c];
}

static void set_bond(coordinate *q, int32_t i, const link *l)
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
static void add_angle(terms *t, int32_t j, const link *a, const link *c)
{
    coordinate q = {.n_atoms = 3, .atom = {j, a->atom, c->atom}};
    double u[3], w[3];
    for (int d = 0; d < 3; d++) {
        q.place[1][d] = a->r[d];
        q.place[2][d] = c->r[d];
        u[d] = a->r[d] / a->distance;
        w[d] = c->r[d] / c->distance;
    }
    const double k = K_ANGLE * a->rho * c->rho, cosine = aim_dot3(u, w);
    if (fabs(cosine) < LINEAR) {
        const double sine = sqrt(1.0 - cosine * cosine);
        for (int d = 0; d < 3; d++) {
            q.b[1][d] = (cosine * u[d] - w[d]) / (a->distance * sine);
            q.b[2][d] = (cosine * w[d] - u[d]) / (c->distance * sine);
            q.b[0][d] = -q.b[1][d] - q.b[2][d];
        }
        add_term(t, &q, k);
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
        add_term(t, &q, k);
    }
}

/* The torsion a - j - m - c about the bond j - m; a is a neighbour of j, c of m. */
static void add_torsion(terms *t, int32_t j, const link *a, const link *middle, const link *c)
{
    coordinate q = {.n_atoms = 4, .atom = {j, a->atom, middle->atom, c->atom}};
    double f[3], g[3], h[3], n1[3], n2[3], fg[3], hg[3];
    for (int d = 0; d < 3; d++) {
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
    if (sine1 < 1.0 - LINEAR * LINEAR || sine2 < 1.0 - LINEAR * LINEAR)
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
    add_term(t, &q, K_TORSION * a->rho * middle->rho * c->rho);
}

/* ---------------------------------------------------------------- neighbours */

/* How many images of the cell lie within the cutoff along vector k. */
static int images_along(const aim_variables *v, const double inverse[9], int k)
{
    const double column[3] = {inverse[k], inverse[3 + k], inverse[6 + k]};
    const int n = (int)ceil(CUTOFF * AIM_BOHR * aim_norm3(column));
    return !v->periodic[k] ? 0 : n < 8 ? n : 8;
}

typedef void (*pair_fn)(void *ctx, const link *l);

/* Calls fn for every neighbour of atom i within the cutoff, images included, in a fixed order. */
static void each_neighbour(const aim_variables *v, int32_t i, pair_fn fn, void *ctx)
{
    const int periodic = v->periodic[0] || v->periodic[1] || v->periodic[2];
    double inverse[9];
    int images[3] = {0, 0, 0};
    if (periodic) {
        aim_inverse3(v->cell, inverse);
        for (int k = 0; k < 3; k++)
            images[k] = images_along(v, inverse, k);
    }
    for (int32_t j = 0; j < v->n_atoms; j++) {
        double d[3], s[3];
        for (int c = 0; c < 3; c++)
            d[c] = v->x[3 * (size_t)j + (size_t)c] - v->x[3 * (size_t)i + (size_t)c];
        if (periodic)
            aim_vecmat3(d, inverse, s);
        for (int k = 0; k < 3; k++) /* the closest image first */
            s[k] = v->periodic[k] ? -floor(s[k] + 0.5) : 0.0;
        for (int a = -images[0]; a <= images[0]; a++)
            for (int b = -images[1]; b <= images[1]; b++)
                for (int c = -images[2]; c <= images[2]; c++) {
                    const double shift[3] = {s[0] + a, s[1] + b, s[2] + c};
                    link l = {.atom = j};
                    aim_vecmat3(shift, v->cell, l.r);
                    for (int m = 0; m < 3; m++)
                        l.r[m] = (l.r[m] + d[m]) * AIM_BOHR_INV;
                    const double r2 = aim_dot3(l.r, l.r);
                    if (r2 > CUTOFF * CUTOFF || r2 < 1e-6)
                        continue;
                    l.distance = sqrt(r2);
                    l.rho = pair_weight(v->numbers[i], v->numbers[j], r2);
                    fn(ctx, &l);
                }
    }
}

typedef struct links {
    link item[MAX_LINKS];
    int n;
} links;

/* Keeps the heaviest links in the order in which they come. */
static void collect(void *ctx, const link *l)
{
    links *list = ctx;
    if (l->rho < RHO_LINKED)
        return;
    if (list->n < MAX_LINKS) {
        list->item[list->n++] = *l;
        return;
    }
    int weakest = 0;
    for (int k = 1; k < MAX_LINKS; k++)
        weakest = list->item[k].rho < list->item[weakest].rho ? k : weakest;
    if (list->item[weakest].rho < l->rho)
        list->item[weakest] = *l;
}

typedef struct bonds {
    terms *t;
    int32_t i;
} bonds;

static void add_bond(void *ctx, const link *l)
{
    const bonds *c = ctx;
    coordinate q;
    if (l->rho < RHO_BOND)
        return;
    set_bond(&q, c->i, l);
    add_term(c->t, &q, 0.5 * K_BOND * l->rho); /* every pair comes twice */
}

static int is_same_place(const link *a, const double *r)
{
    return fabs(a->r[0] - r[0]) + fabs(a->r[1] - r[1]) + fabs(a->r[2] - r[2]) < 1e-3;
}

static void add_torsions(terms *t, int32_t j, const links *at_j, const link *middle)
{
    links at_m = {.n = 0};
    each_neighbour(t->v, middle->atom, collect, &at_m);
    const double back[3] = {-middle->r[0], -middle->r[1], -middle->r[2]};
    for (int a = 0; a < at_j->n; a++) {
        if (is_same_place(&at_j->item[a], middle->r))
            continue;
        for (int c = 0; c < at_m.n; c++) {
            double end[3];
            for (int d = 0; d < 3; d++)
                end[d] = middle->r[d] + at_m.item[c].r[d];
            if (is_same_place(&at_m.item[c], back) || is_same_place(&at_j->item[a], end))
                continue; /* back to where it came from; a ring of three */
            add_torsion(t, j, &at_j->item[a], middle, &at_m.item[c]);
        }
    }
}

static void add_atom(terms *t, int32_t j)
{
    bonds b = {t, j};
    links at_j = {.n = 0};
    each_neighbour(t->v, j, add_bond, &b);
    each_neighbour(t->v, j, collect, &at_j);
    for (int a = 0; a < at_j.n; a++)
        for (int c = a + 1; c < at_j.n; c++)
            add_angle(t, j, &at_j.item[a], &at_j.item[c]);
    for (int a = 0; a < at_j.n; a++)
        if (at_j.item[a].atom > j) /* every bond once; one to an image of itself not at all */
            add_torsions(t, j, &at_j, &at_j.item[a]);
}

/* ---------------------------------------------------------------- factor and solve */

double aim_long_dot(const double *a, const double *b, size_t n)
{
    enum { LANES = 8 }; /* independent sums: one would wait for every addition */
    double sum[LANES] = {0.0};
    const size_t whole = n - n % LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    for (size_t i = whole; i < n; i++)
        sum[i - whole] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Row by row (Banachiewicz); h is positive definite by construction. */
static void cholesky(double *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double *hi = h + i * n;
        for (size_t j = 0; j <= i; j++) {
            const double *hj = h + j * n, rest = hi[j] - aim_long_dot(hi, hj, j);
            hi[j] = j < i ? rest / hj[j] : sqrt(rest);
        }
    }
}

void aim_cholesky_solve(const double *l, int n_rows, double *x)
{
    const size_t n = (size_t)n_rows;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - aim_long_dot(l + i * n, x, i)) / l[i * n + i];
    for (size_t i = n; i-- > 0;) {
        x[i] /= l[i * n + i];
        for (size_t k = 0; k < i; k++)
            x[k] -= l[i * n + k] * x[i];
    }
}

void aim_model_hessian(const aim_variables *v, double *h)
{
    const size_t n = (size_t)v->n_var, n3 = 3 * (size_t)v->n_atoms;
    terms t = {v, h, v->n_var};
    memset(h, 0, n * n * sizeof *h);
    for (int32_t i = 0; i < v->n_atoms; i++)
        add_atom(&t, i);
    const double unit = K_UNIT * AIM_HARTREE / (AIM_BOHR * AIM_BOHR);
    const double strain = K_STRAIN * aim_variables_volume(v) / (v->scale * v->scale);
    for (size_t i = 0; i < n; i++)
        h[i * n + i] += i < n3 ? unit : strain;
    cholesky(h, n);
}

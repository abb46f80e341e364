/* SPDX-License-Identifier: MIT */
/* pme.c - electrostatics of crystals by smooth particle mesh Ewald (U. Essmann et al., J. Chem.
 * Phys. 103, 8577 (1995), doi:10.1063/1.470117; docs/math/pme.md).
 *
 * The Ewald sum of ewald.c with the structure factors taken from a mesh: charges are spread with
 * B-splines of order p, and
 *
 *     E_k = 1/2 sum_m G(m) |Q(m)|^2,   G = 4 pi k_e/V exp(-k^2/4a^2)/k^2 prod_d |b_d(m_d)|^2
 * Gradients are those of this mesh energy, exactly. The mesh stands on a short basis of the lattice,
 * so that skewed cells cost no more than others.
 *
 * Parameters follow from the crystal alone. A real-space cutoff that grows with the size of the
 * system, as balancing pairs against all wave vectors asks for, would make pairs dominate; here the
 * cutoff and the mesh's spacing depend on the density only, so that the cost per atom is flat.
 *
 * Order of sums: atoms are sorted by their first plane; a plane of the mesh gathers the tiles of the
 * atoms that touch it, in that order. So no two workers write to one place, and nothing depends on
 * their number. A plane is spread and transformed along two axes while it is in cache; columns along
 * the first axis are transformed, multiplied and transformed back in one go. */
#include <math.h>
#include <string.h>

#include "backend/isa.h"
#include "base/vec3.h"
#include "nlist/lattice.h"
#include "term/fft.h"
#include "term/pme.h"
#include "term/rows.h"
#include "term/screened.h"

/* Time of one pair over time of one mesh point, both transforms. D3 looks at all pairs within 15 A in any
 * case, so that one more function of a pair is cheap; on a card more so than on a CPU, to which any weight
 * from 1 to 1/33 is the same within 2 %. */
static const double PAIRS_PER_POINT = 1.0 / 16.0;
/* Of the accuracy: what the last real-space pair and the worst wave may miss. Then the errors of
 * forces in eV/A stay below the accuracy, for charges up to 0.5 e. */
static const double SHARE = 0.05;
/* spline tables per lane that a worker has room for: five of three axes */
enum { LANES = AIM_MESH_LANES, MAX_MESH = 4096, WORK_SPLINES = 15 };

static int even_order(double accuracy)
{
    return accuracy > 3e-8 ? 8 : accuracy > 1e-10 ? 12 : 16;
}

/* Spacing times alpha at which a spline of order p leaves the relative error eps of the worst wave.
 * A wave with x = k h / 2 pi has the weight exp(-pi^2 x^2/b^2) and the error (x / (1 - x))^p; at the
 * maximum of the product b^2 = 2 pi^2 x^2 (1 - x)/p, which leaves
 *     ln(x / (1 - x)) - 1 / (2 (1 - x)) = ln(eps) / p. */
static double spacing(int p, double eps)
{
    const double target = log(eps) / p;
    double x = 0.15;
    for (int k = 0; k < 20; k++) {
        const double r = 1.0 / (1.0 - x), f = log(x * r) - 0.5 * r - target,
                     step = f / (1.0 / x + r - 0.5 * r * r);
        x = fmin(fmax(x - step, 0.2 * x), 0.49);
    }
    return AIM_PI * x * sqrt(2.0 * (1.0 - x) / p);
}

aim_pme_params aim_pme_choose(const double cell[9], int32_t n_atoms, double accuracy)
{
    static const int32_t pbc[3] = {1, 1, 1};
    aim_pme_params p = {.order = even_order(accuracy)};
    aim_lattice lattice;
    const int reduced = aim_lattice_set(&lattice, cell, pbc) == AIMNET_OK;
    memcpy(p.frame, reduced ? lattice.frame : cell, sizeof p.frame);
    const double density = n_atoms / fabs(aim_det3(cell)), s = sqrt(-log(SHARE * accuracy)),
                 b = spacing(p.order, SHARE * accuracy);
    const double alpha =
        pow(4.0 / 3.0 * AIM_PI * PAIRS_PER_POINT * density * density, 1.0 / 6.0) * sqrt(s * b);
    p.alpha = INFINITY;
    for (int d = 0; d < 3; d++) {
        const double length = aim_norm3(p.frame + 3 * d), points = ceil(length * alpha / b);
        p.mesh[d] = aim_fft_size(points < MAX_MESH ? (int)fmax(points, 1.0) : MAX_MESH);
        p.alpha = fmin(p.alpha, b * p.mesh[d] / length); /* use what rounding up has given */
    }
    p.real_cutoff = s / p.alpha;
    return p;
}

static size_t round_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void measure(aim_pme *m)
{
    const int *k = m->params.mesh;
    int longest = 0;
    for (int d = 0; d < 3; d++)
        longest = k[d] > longest ? k[d] : longest;
    m->padded = (int)round_up((size_t)m->params.order);
    m->columns = (int)round_up((size_t)k[2] / 2 + 1);
    m->row = round_up((size_t)k[2] + (size_t)m->padded);
    m->plane = (size_t)k[1] * larger(2 * (size_t)m->columns, m->row);
    m->plane += m->plane % (2 * LANES) == 0 ? LANES : 0; /* columns not a power of two apart */
    m->n_blocks = (int64_t)k[1] * (m->columns / m->kernels->width);
    m->fft_size = 8 * ((size_t)longest + 1) * LANES;
    m->work_size = m->fft_size + larger(larger(((size_t)k[1] + (size_t)m->padded) * m->row,
                                               2 * (size_t)k[1] * (size_t)m->columns),
                                        WORK_SPLINES * LANES * (size_t)m->padded + 3 * LANES);
}

void aim_pme_layout(aim_pme *m, aim_arena *a)
{
    const int *k = m->params.mesh;
    const size_t n = (size_t)m->n;
    m->spot = aim_take(a, "pme.spot", n, sizeof *m->spot);
    m->bin = aim_take(a, "pme.bin", (size_t)k[0] + 1, sizeof *m->bin);
    m->sorted = aim_take(a, "pme.sorted", n, sizeof *m->sorted);
    m->w = aim_take(a, "pme.w", 3 * round_up(n) * (size_t)m->padded, sizeof *m->w);
    m->mesh = aim_take(a, "pme.mesh", (size_t)k[0] * m->plane, sizeof *m->mesh);
    for (int d = 0; d < 3; d++) {
        m->twiddle[d] = aim_take(a, "pme.twiddle", 2 * (size_t)k[d], sizeof(double));
        m->modulus[d] = aim_take(a, "pme.modulus", round_up((size_t)k[d] + 1), sizeof(double));
    }
    m->weight = aim_take(a, "pme.weight", (size_t)m->columns, sizeof(double));
    m->sums = aim_take(a, "pme.sums", 7 * (size_t)m->n_blocks, sizeof(double));
    m->work =
        aim_take(a, "pme.work", (size_t)aim_team_size(m->io->team) * m->work_size, sizeof(double));
}

/* |b(m)|^2 = 1/|sum_j w_j exp(2 pi i m j / n)|^2 with the spline at a grid point; the wave m = n/2,
 * which has no partner, is left out. */
static void fill_modulus(int order, int n, double *modulus)
{
    double w[AIM_BSPLINE_MAX], slope[AIM_BSPLINE_MAX];
    aim_bspline(0.0, order, w, slope);
    memset(modulus, 0, round_up((size_t)n + 1) * sizeof *modulus);
    for (int k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int j = 0; j < order; j++) {
            const double angle = 2.0 * AIM_PI * (double)((int64_t)k * j % n) / n;
            re += w[j] * cos(angle);
            im += w[j] * sin(angle);
        }
        modulus[k] = 2 * k == n ? 0.0 : 1.0 / (re * re + im * im);
    }
}

static void prepare(aim_pme *m)
{
    const int *k = m->params.mesh;
    m->waves = (aim_mesh_waves){.plan = &m->plan[0],
                                .stride = m->plane,
                                .weight = m->weight,
                                .quarter = 0.25 / (m->params.alpha * m->params.alpha)};
    m->waves.prefactor = 4.0 * AIM_PI * AIM_COULOMB_K / fabs(aim_det3(m->params.frame));
    for (int d = 0; d < 3; d++) {
        m->plan[d] = aim_fft_make(k[d], m->twiddle[d]);
        fill_modulus(m->params.order, k[d], m->modulus[d]);
        m->waves.n[d] = k[d];
        m->waves.modulus[d] = m->modulus[d];
        for (int c = 0; c < 3; c++)
            m->waves.b[3 * d + c] = 2.0 * AIM_PI * m->inverse[3 * c + d];
    }
    for (int c = 0; c < m->columns; c++)
        m->weight[c] = 2 * c > k[2] ? 0.0 : c == 0 || 2 * c == k[2] ? 1.0 : 2.0;
}

static void find_spot(const aim_pme *m, int32_t i, aim_pme_spot *s)
{
    double f[3];
    aim_vecmat3(m->io->batch->coord + 3 * (size_t)(m->first + i), m->inverse, f);
    for (int d = 0; d < 3; d++) {
        const int n = m->params.mesh[d];
        const double u = n * (f[d] - floor(f[d]));
        const int cell = (int)u;
        s->t[d] = u - cell;
        s->cell[d] = cell < n ? cell : 0; /* f may round up to 1 */
    }
}

/* Counting sort by the first plane: atoms of a bin stand in their order. */
static void sort_atoms(aim_pme *m)
{
    memset(m->bin, 0, ((size_t)m->params.mesh[0] + 1) * sizeof *m->bin);
    for (int32_t i = 0; i < m->n; i++) {
        find_spot(m, i, &m->spot[i]);
        m->bin[m->spot[i].cell[0] + 1]++;
    }
    for (int x = 0; x < m->params.mesh[0]; x++)
        m->bin[x + 1] += m->bin[x];
    for (int32_t i = m->n - 1; i >= 0;
         i--) /* backwards: the ends of the bins become their starts */
        m->sorted[--m->bin[m->spot[i].cell[0] + 1]] = i;
    for (int x = 0; x < m->params.mesh[0]; x++)
        m->bin[x] = m->bin[x + 1];
    m->bin[m->params.mesh[0]] = m->n;
}

void aim_pme_block_places(const aim_pme *m, int64_t block, double *t)
{
    for (int a = 0; a < LANES; a++) {
        const int64_t at = block * LANES + a;
        for (int d = 0; d < 3; d++)
            t[3 * a + d] = at < m->n ? m->spot[m->sorted[at]].t[d] : 0.0;
    }
}

/* Splines of LANES sorted atoms, [atom][axis][padded]. */
static void block_splines(const aim_pme *m, int64_t block, double *t, double *w, double *dw)
{
    aim_pme_block_places(m, block, t);
    m->kernels->mesh_splines(m->params.order, m->padded, t, 3 * LANES, w, dw);
}

static void spline_task(void *ctx, int64_t block, int worker)
{
    const aim_pme *m = ctx;
    double t[3 * LANES];
    (void)worker;
    block_splines(m, block, t, m->w + 3 * (size_t)block * LANES * (size_t)m->padded, NULL);
}

double *aim_pme_work(const aim_pme *m, int worker, double **plane)
{
    double *fft = m->work + (size_t)worker * m->work_size;
    *plane = fft + m->fft_size;
    return fft;
}

void aim_pme_clear_plane(const aim_pme *m, double *plane)
{
    memset(plane, 0, ((size_t)m->params.mesh[1] + (size_t)m->padded) * m->row * sizeof *plane);
}

double *aim_pme_tile_start(const aim_pme *m, int32_t i, double *plane)
{
    return plane + (size_t)m->spot[i].cell[1] * m->row + m->spot[i].cell[2];
}

/* Adds the tiles that touch plane x. */
static void spread_plane(const aim_pme *m, int x, double *plane)
{
    const int n = m->params.mesh[0], order = m->params.order;
    aim_pme_clear_plane(m, plane);
    for (int o = 0; o < order; o++) {
        const int from = ((x - o) % n + n) % n;
        for (int32_t at = m->bin[from]; at < m->bin[from + 1]; at++) {
            const int32_t i = m->sorted[at];
            const double *w = m->w + 3 * (size_t)at * (size_t)m->padded;
            m->kernels->mesh_spread(order, m->padded, m->io->q[m->first + i] * w[o], w + m->padded,
                                    w + 2 * m->padded, aim_pme_tile_start(m, i, plane), m->row);
        }
    }
}

/* Adds what ran over the ends to the beginnings. */
static void fold_plane(const aim_pme *m, double *plane)
{
    const int n1 = m->params.mesh[1], n2 = m->params.mesh[2];
    for (int y = 0; y < n1 + m->padded; y++) {
        double *row = plane + (size_t)y * m->row;
        for (int z = n2; z < n2 + m->padded; z++)
            row[z % n2] += row[z];
        for (int z = 0; y >= n1 && z < n2; z++)
            plane[(size_t)(y % n1) * m->row + (size_t)z] += row[z];
    }
}

void aim_pme_transform_plane(const aim_pme *m, int64_t x, double *plane, double *fft)
{
    double *re = m->mesh + (size_t)x * m->plane,
           *im = re + (size_t)m->params.mesh[1] * (size_t)m->columns;
    fold_plane(m, plane);
    memset(re, 0, m->plane * sizeof *re);
    m->kernels->fft_rows(&m->plan[2], plane, m->row, m->params.mesh[1], re, im, (size_t)m->columns,
                         fft);
    m->kernels->fft_columns(&m->plan[1], 0, re, im, (size_t)m->columns, m->columns, re, im,
                            (size_t)m->columns, fft);
}

void aim_pme_charge_task(void *ctx, int64_t x, int worker)
{
    const aim_pme *m = ctx;
    double *plane, *fft = aim_pme_work(m, worker, &plane);
    spread_plane(m, (int)x, plane);
    aim_pme_transform_plane(m, x, plane, fft);
}

static void wave_task(void *ctx, int64_t m1, int worker)
{
    const aim_pme *m = ctx;
    const int width = m->kernels->width, n = m->columns / width;
    for (int c = 0; c < n; c++) {
        double *re = m->mesh + (size_t)m1 * (size_t)m->columns + (size_t)(c * width),
               *im = re + (size_t)m->params.mesh[1] * (size_t)m->columns;
        m->kernels->mesh_convolve(&m->waves, (int)m1, c * width, re, im,
                                  m->work + (size_t)worker * m->work_size,
                                  m->sums + 7 * (size_t)(m1 * n + c));
    }
}

void aim_pme_potential_task(void *ctx, int64_t x, int worker)
{
    const aim_pme *m = ctx;
    const int n1 = m->params.mesh[1], n2 = m->params.mesh[2];
    const size_t columns = (size_t)m->columns, half = (size_t)n1 * columns;
    double *fft = m->work + (size_t)worker * m->work_size, *re = fft + m->fft_size, *im = re + half,
           *plane = m->mesh + (size_t)x * m->plane;
    m->kernels->fft_columns(&m->plan[1], 1, plane, plane + half, columns, m->columns, re, im,
                            columns, fft);
    m->kernels->fft_rows_inverse(&m->plan[2], re, im, columns, n1, plane, m->row, fft);
    for (int y = 0; y < n1; y++) {
        double *row = plane + (size_t)y * m->row;
        for (int z = 0; z < m->padded; z++)
            row[n2 + z] = row[z % n2];
    }
}

void aim_pme_tile_place(const aim_pme *m, int32_t i, size_t *plane, size_t *row,
                        aim_mesh_tile *tile)
{
    const aim_pme_spot *s = &m->spot[i];
    for (int j = 0; j < m->params.order; j++) {
        plane[j] = (size_t)((s->cell[0] + j) % m->params.mesh[0]) * m->plane;
        row[j] = (size_t)((s->cell[1] + j) % m->params.mesh[1]) * m->row;
    }
    tile->order = m->params.order;
    tile->padded = m->padded;
    tile->plane = plane;
    tile->row = row;
    tile->column = (size_t)s->cell[2];
}

static void add_atom(const aim_pme *m, int32_t i, const double sum[4])
{
    const size_t at = (size_t)(m->first + i);
    if (m->io->gq)
        m->io->gq[at] += sum[0];
    for (int c = 0; m->io->grad && c < 3; c++) {
        double g = 0;
        for (int d = 0; d < 3; d++)
            g += m->params.mesh[d] * m->inverse[3 * c + d] * sum[1 + d];
        m->io->grad[3 * at + (size_t)c] += m->io->q[at] * g;
    }
}

static void atom_task(void *ctx, int64_t block, int worker)
{
    const aim_pme *m = ctx;
    const size_t padded = (size_t)m->padded;
    double *t = m->work + (size_t)worker * m->work_size, *w = t + 3 * LANES,
           *dw = w + 3 * LANES * padded, sum[4];
    size_t plane[AIM_BSPLINE_MAX], row[AIM_BSPLINE_MAX];
    block_splines(m, block, t, w, dw);
    aim_mesh_tile tile;
    for (int a = 0; a < LANES && block * LANES + a < m->n; a++) {
        const int32_t i = m->sorted[block * LANES + a];
        aim_pme_tile_place(m, i, plane, row, &tile);
        for (int d = 0; d < 3; d++) {
            tile.w[d] = w + (3 * (size_t)a + (size_t)d) * padded;
            tile.dw[d] = dw + (3 * (size_t)a + (size_t)d) * padded;
        }
        m->kernels->mesh_interpolate(&tile, m->mesh, sum);
        add_atom(m, i, sum);
    }
}

static void add_sums(const aim_pme *m, int32_t s)
{
    static const int place[6] = {0, 4, 8, 1, 2, 5};
    double total[7] = {0};
    for (int64_t b = 0; b < m->n_blocks; b++)
        for (int k = 0; k < 7; k++)
            total[k] += m->sums[7 * b + k];
    if (m->io->energy)
        m->io->energy[s] += total[0];
    double *strain = m->io->strain ? m->io->strain + 9 * (size_t)s : NULL;
    for (int k = 0; strain && k < 6; k++) {
        strain[place[k]] += total[1 + k] - (k < 3 ? total[0] : 0.0);
        if (k >= 3)
            strain[place[k] % 3 * 3 + place[k] / 3] += total[1 + k];
    }
}

void aim_pme_begin(aim_pme *m, aim_term_io *io, int32_t s, double accuracy)
{
    *m = (aim_pme){.io = io,
                   .kernels = io->kernels ? io->kernels : aim_term_kernels_select(aim_cpu_isa()),
                   .first = io->batch->offset[s]};
    m->n = io->batch->offset[s + 1] - m->first;
    m->params = aim_pme_choose(io->batch->cell + 9 * (size_t)s, m->n, accuracy);
    aim_inverse3(m->params.frame, m->inverse);
    measure(m);
}

aim_status aim_pme_reserve(const aim_pme *m, const aim_arena *measured)
{
    const int *mesh = m->params.mesh;
    if (measured->overflow || mesh[0] >= MAX_MESH || mesh[1] >= MAX_MESH || mesh[2] >= MAX_MESH)
        return AIM_FAIL(
            AIMNET_ERR_MEMORY,
            "the mesh of this cell would have %d x %d x %d points or more: use DSF or a "
            "lower accuracy",
            mesh[0], mesh[1], mesh[2]);
    return aim_arena_reserve(m->io->scratch, m->io->alloc, measured->used, "PME workspace");
}

void aim_pme_start(aim_pme *m)
{
    prepare(m);
    sort_atoms(m);
    aim_parallel_for(m->io->team, ((int64_t)m->n + LANES - 1) / LANES, spline_task, m);
}

static aim_status reciprocal(aim_term_io *io, int32_t s, double accuracy)
{
    aim_pme m;
    aim_pme_begin(&m, io, s, accuracy);
    aim_arena size = {0};
    aim_pme_layout(&m, &size);
    AIM_TRY(aim_pme_reserve(&m, &size));
    aim_pme_layout(&m, io->scratch);
    aim_pme_start(&m);
    aim_parallel_for(io->team, m.params.mesh[0], aim_pme_charge_task, &m);
    aim_parallel_for(io->team, m.params.mesh[1], wave_task, &m);
    add_sums(&m, s);
    if (io->gq || io->grad) {
        aim_parallel_for(io->team, m.params.mesh[0], aim_pme_potential_task, &m);
        aim_parallel_for(io->team, ((int64_t)m.n + LANES - 1) / LANES, atom_task, &m);
    }
    aim_term_background(io, s, m.params.alpha);
    return AIMNET_OK;
}

aim_splitting aim_pme_splitting(const aim_batch *b, int32_t s, double accuracy)
{
    const aim_pme_params p =
        aim_pme_choose(b->cell + 9 * (size_t)s, b->offset[s + 1] - b->offset[s], accuracy);
    return (aim_splitting){.alpha = p.alpha, .real_cutoff = p.real_cutoff};
}

aim_status aim_term_coulomb_pme(aim_term_io *io, double accuracy)
{
    if (!(accuracy > 0 && accuracy < 1))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "PME accuracy %g: expected a number between 0 and 1, for example 1e-6",
                        accuracy);
    AIM_TRY(aim_term_coulomb_screened(io, aim_pme_splitting, accuracy));
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (aim_rows_active(io, s))
            AIM_TRY(reciprocal(io, s, accuracy));
    return AIMNET_OK;
}

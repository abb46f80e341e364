/* SPDX-License-Identifier: MIT */
/* fft_cpu.c - Fourier transforms of many lines at once: a line is a lane, so the butterflies are
 * the scalar formulas with vectors in place of numbers, and no line sees another.
 *
 * Stockham's autosort form (T. G. Stockham, Proc. AFIPS 28, 229 (1966)): with m = n / r and s lines
 * interleaved, a stage of radix r takes
 *
 *     y[q + s (r p + j)] = exp(-2 pi i p j / n) sum_l x[q + s (p + m l)] exp(-2 pi i j l / r)
 *
 * and hands transforms of length m, r s of them interleaved, to the next; the last one leaves the
 * natural order. Buffers are [n][width] and small enough for the first-level cache. The inverse
 * exchanges real and imaginary parts. Real rows go two at a time as one complex line. Twiddles are
 * evaluated, not multiplied up. */
#include "backend/cpu/term_cpu.h"

typedef struct cplx {
    vreal re, im;
} cplx;

typedef struct lines {
    double *re, *im;
} lines;

AIM_INLINE cplx get(lines a, size_t k)
{
    return (cplx){vload(a.re + VL * k), vload(a.im + VL * k)};
}
AIM_INLINE void put(lines a, size_t k, cplx z)
{
    vstore(a.re + VL * k, z.re);
    vstore(a.im + VL * k, z.im);
}
AIM_INLINE cplx add(cplx a, cplx b)
{
    return (cplx){a.re + b.re, a.im + b.im};
}
AIM_INLINE cplx sub(cplx a, cplx b)
{
    return (cplx){a.re - b.re, a.im - b.im};
}
AIM_INLINE cplx scale(cplx a, double f)
{
    return (cplx){a.re * vset(f), a.im * vset(f)};
}
AIM_INLINE cplx minus_i(cplx a) /* -i a */
{
    return (cplx){a.im, -a.re};
}
AIM_INLINE cplx turn(cplx a, double c, double s) /* (c + i s) a */
{
    return (cplx){a.re * vset(c) - a.im * vset(s), a.re * vset(s) + a.im * vset(c)};
}

AIM_INLINE void butterfly2(cplx z[2])
{
    const cplx a = z[0], b = z[1];
    z[0] = add(a, b);
    z[1] = sub(a, b);
}

AIM_INLINE void butterfly3(cplx z[3])
{
    const cplx sum = add(z[1], z[2]),
               turned = minus_i(scale(sub(z[1], z[2]), 0.86602540378443864676)),
               rest = sub(z[0], scale(sum, 0.5));
    z[0] = add(z[0], sum);
    z[1] = add(rest, turned);
    z[2] = sub(rest, turned);
}

AIM_INLINE void butterfly4(cplx z[4])
{
    const cplx a = add(z[0], z[2]), b = sub(z[0], z[2]), c = add(z[1], z[3]),
               d = minus_i(sub(z[1], z[3]));
    z[0] = add(a, c);
    z[1] = add(b, d);
    z[2] = sub(a, c);
    z[3] = sub(b, d);
}

AIM_INLINE void butterfly5(cplx z[5])
{
    static const double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410, /* 72, 144 deg */
        s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;
    const cplx a1 = add(z[1], z[4]), b1 = sub(z[1], z[4]), a2 = add(z[2], z[3]),
               b2 = sub(z[2], z[3]);
    const cplx u1 = add(z[0], add(scale(a1, c1), scale(a2, c2))),
               u2 = add(z[0], add(scale(a1, c2), scale(a2, c1))),
               v1 = minus_i(add(scale(b1, s1), scale(b2, s2))),
               v2 = minus_i(sub(scale(b1, s2), scale(b2, s1)));
    z[0] = add(z[0], add(a1, a2));
    z[1] = add(u1, v1);
    z[2] = add(u2, v2);
    z[3] = sub(u2, v2);
    z[4] = sub(u1, v1);
}

AIM_INLINE void butterfly(int radix, cplx *z)
{
    if (radix == 2)
        butterfly2(z);
    else if (radix == 3)
        butterfly3(z);
    else if (radix == 4)
        butterfly4(z);
    else
        butterfly5(z);
}

AIM_INLINE void stage(int radix, size_t m, size_t s, const double *cosine, const double *sine,
                      lines x, lines y)
{
    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q < s; q++) {
            cplx z[5];
            for (int l = 0; l < radix; l++)
                z[l] = get(x, q + s * (p + m * (size_t)l));
            butterfly(radix, z);
            put(y, q + s * (size_t)radix * p, z[0]);
            for (int j = 1; j < radix; j++) {
                const size_t at = (size_t)(radix - 1) * p + (size_t)j - 1;
                put(y, q + s * ((size_t)radix * p + (size_t)j), turn(z[j], cosine[at], sine[at]));
            }
        }
}

/* Transforms a, with b as the other buffer; the result is in the one that is returned. */
static lines transform(const aim_fft_plan *plan, lines a, lines b)
{
    size_t n = (size_t)plan->n, s = 1;
    const double *c = plan->cosine, *d = plan->sine;
    for (int f = 0; f < plan->n_factors; f++) {
        const size_t r = (size_t)plan->factor[f], m = n / r;
        if (r == 2)
            stage(2, m, s, c, d, a, b);
        else if (r == 3)
            stage(3, m, s, c, d, a, b);
        else if (r == 4)
            stage(4, m, s, c, d, a, b);
        else
            stage(5, m, s, c, d, a, b);
        c += n - m;
        d += n - m;
        n = m;
        s *= r;
        const lines t = a;
        a = b;
        b = t;
    }
    return a;
}

static lines exchanged(lines a)
{
    return (lines){a.im, a.re};
}

static void buffers(const aim_fft_plan *plan, double *work, lines *a, lines *b)
{
    const size_t size = (size_t)plan->n * VL;
    *a = (lines){work, work + size};
    *b = (lines){work + 2 * size, work + 3 * size};
}

/* to[k][lane] = row lane of x, zero beyond n_rows */
static void gather_rows(const double *x, size_t stride, int n_rows, size_t n, double *to)
{
    if (n_rows < VL)
        memset(to, 0, n * VL * sizeof *to);
    for (int lane = 0; lane < VL && lane < n_rows; lane++) {
        const double *row = x + (size_t)lane * stride;
        for (size_t k = 0; k < n; k++)
            to[VL * k + (size_t)lane] = row[k];
    }
}

static void scatter_rows(const double *from, size_t n, int n_rows, double *x, size_t stride)
{
    for (int lane = 0; lane < VL && lane < n_rows; lane++) {
        double *row = x + (size_t)lane * stride;
        for (size_t k = 0; k < n; k++)
            row[k] = from[VL * k + (size_t)lane];
    }
}

/* Z = A + i B of two real lines: A_k = (Z_k + conj Z_-k)/2, B_k = (Z_k - conj Z_-k)/2i */
static void part_real_lines(lines z, size_t n, lines a, lines b)
{
    for (size_t k = 0; k <= n / 2; k++) {
        const cplx p = get(z, k), m = get(z, k == 0 ? 0 : n - k);
        put(a, k, scale((cplx){p.re + m.re, p.im - m.im}, 0.5));
        put(b, k, scale((cplx){p.im + m.im, m.re - p.re}, 0.5));
    }
}

/* Half spectra of two lines stand behind the buffers. */
static void spectra(const aim_fft_plan *plan, double *work, lines *a, lines *b)
{
    const size_t n = (size_t)plan->n, size = (n / 2 + 1) * VL;
    work += 4 * n * VL;
    *a = (lines){work, work + size};
    *b = (lines){work + 2 * size, work + 3 * size};
}

void AIM_CPU_NAMED(aim_fft_rows)(const aim_fft_plan *plan, const double *x, size_t stride,
                                 int n_rows, double *re, double *im, size_t out_stride,
                                 double *work)
{
    const size_t n = (size_t)plan->n, half = n / 2 + 1;
    lines a, b, first, second;
    buffers(plan, work, &a, &b);
    spectra(plan, work, &first, &second);
    for (int row = 0; row < n_rows; row += 2 * VL) {
        const size_t one = (size_t)row, two = one + VL;
        const int more = n_rows - row - VL;
        gather_rows(x + one * stride, stride, n_rows - row, n, a.re);
        gather_rows(more > 0 ? x + two * stride : x, stride, more, n, a.im);
        part_real_lines(transform(plan, a, b), n, first, second);
        scatter_rows(first.re, half, n_rows - row, re + one * out_stride, out_stride);
        scatter_rows(first.im, half, n_rows - row, im + one * out_stride, out_stride);
        if (more > 0) {
            scatter_rows(second.re, half, more, re + two * out_stride, out_stride);
            scatter_rows(second.im, half, more, im + two * out_stride, out_stride);
        }
    }
}

/* Z = A + i B, the half spectra completed; what must be real (k = 0, n/2) is taken as real. */
static void join_real_lines(lines a, lines b, size_t n, lines z)
{
    for (size_t k = 0; k <= n / 2; k++) {
        const cplx p = get(a, k), q = get(b, k);
        if (k == 0 || 2 * k == n) {
            put(z, k, (cplx){p.re, q.re});
            continue;
        }
        put(z, k, (cplx){p.re - q.im, p.im + q.re});
        put(z, n - k, (cplx){p.re + q.im, q.re - p.im});
    }
}

void AIM_CPU_NAMED(aim_fft_rows_inverse)(const aim_fft_plan *plan, const double *re,
                                         const double *im, size_t stride, int n_rows, double *x,
                                         size_t out_stride, double *work)
{
    const size_t n = (size_t)plan->n, half = n / 2 + 1;
    lines a, b, first, second;
    buffers(plan, work, &a, &b);
    spectra(plan, work, &first, &second);
    for (int row = 0; row < n_rows; row += 2 * VL) {
        const size_t one = (size_t)row, two = one + VL, next = n_rows > row + VL ? two : 0;
        const int more = n_rows - row - VL;
        gather_rows(re + one * stride, stride, n_rows - row, half, first.re);
        gather_rows(im + one * stride, stride, n_rows - row, half, first.im);
        gather_rows(re + next * stride, stride, more, half, second.re);
        gather_rows(im + next * stride, stride, more, half, second.im);
        join_real_lines(first, second, n, a);
        const lines z = exchanged(transform(plan, exchanged(a), exchanged(b)));
        scatter_rows(z.re, n, n_rows - row, x + one * out_stride, out_stride);
        if (more > 0)
            scatter_rows(z.im, n, more, x + two * out_stride, out_stride);
    }
}

static void load_columns(const double *re, const double *im, size_t stride, size_t n, lines a)
{
    for (size_t k = 0; k < n; k++)
        put(a, k, (cplx){vload(re + k * stride), vload(im + k * stride)});
}

static void store_columns(lines a, size_t n, double *re, double *im, size_t stride)
{
    for (size_t k = 0; k < n; k++) {
        const cplx z = get(a, k);
        vstore(re + k * stride, z.re);
        vstore(im + k * stride, z.im);
    }
}

void AIM_CPU_NAMED(aim_fft_columns)(const aim_fft_plan *plan, int inverse, const double *re,
                                    const double *im, size_t stride, int columns, double *out_re,
                                    double *out_im, size_t out_stride, double *work)
{
    const size_t n = (size_t)plan->n;
    lines a, b;
    buffers(plan, work, &a, &b);
    for (int c = 0; c < columns; c += VL) {
        load_columns(re + c, im + c, stride, n, a);
        const lines z = inverse ? exchanged(transform(plan, exchanged(a), exchanged(b)))
                                : transform(plan, a, b);
        store_columns(z, n, out_re + c, out_im + c, out_stride);
    }
}

/* folded index of wave m of n: -n/2 .. n/2 */
AIM_INLINE double folded(int m, int n)
{
    return 2 * m > n ? m - n : m;
}

typedef struct wave_sum {
    vreal e, xx, yy, zz, xy, xz, yz;
} wave_sum;

/* S -> G S of one plane's waves at k = base + m0 b0 */
AIM_INLINE cplx convolve_one(const aim_mesh_waves *w, const vreal base[3], vreal factor,
                             vreal weight, int m0, cplx s, wave_sum *sum)
{
    const double m = folded(m0, w->n[0]);
    const vreal x = base[0] + vset(m * w->b[0]), y = base[1] + vset(m * w->b[1]),
                z = base[2] + vset(m * w->b[2]), k2 = x * x + y * y + z * z;
    const vint valid = k2 > vset(0.0);
    const vreal inv = vset(1.0) / vselect(valid, k2, vset(1.0));
    const vreal g =
        vkeep(valid, vexp_pair(-(k2 * vset(w->quarter))) * inv) * factor * vset(w->modulus[0][m0]);
    const vreal e = vset(0.5) * weight * g * (s.re * s.re + s.im * s.im),
                f = vset(2.0) * e * (inv + vset(w->quarter)), fx = f * x, fy = f * y, fz = f * z;
    sum->e += e;
    sum->xx += fx * x;
    sum->yy += fy * y;
    sum->zz += fz * z;
    sum->xy += fx * y;
    sum->xz += fx * z;
    sum->yz += fy * z;
    return (cplx){s.re * g, s.im * g};
}

void AIM_CPU_NAMED(aim_mesh_convolve)(const aim_mesh_waves *w, int m1, int m2, double *re,
                                      double *im, double *work, double out[7])
{
    static const double lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    lines a, b;
    buffers(w->plan, work, &a, &b);
    load_columns(re, im, w->stride, (size_t)w->n[0], a);
    const lines z = transform(w->plan, a, b), other = z.re == a.re ? b : a;
    const vreal third = vload(lane) + vset((double)m2), weight = vload(w->weight + m2),
                factor = vload(w->modulus[2] + m2) * vset(w->prefactor * w->modulus[1][m1]);
    vreal base[3];
    for (int d = 0; d < 3; d++)
        base[d] = third * vset(w->b[6 + d]) + vset(folded(m1, w->n[1]) * w->b[3 + d]);
    wave_sum sum = {{0}, {0}, {0}, {0}, {0}, {0}, {0}};
    for (int m0 = 0; m0 < w->n[0]; m0++)
        put(z, (size_t)m0, convolve_one(w, base, factor, weight, m0, get(z, (size_t)m0), &sum));
    const lines back = exchanged(transform(w->plan, exchanged(z), exchanged(other)));
    store_columns(back, (size_t)w->n[0], re, im, w->stride);
    const vreal all[7] = {sum.e, sum.xx, sum.yy, sum.zz, sum.xy, sum.xz, sum.yz};
    for (int k = 0; k < 7; k++)
        out[k] = vsum(all[k]);
}

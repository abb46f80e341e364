/* SPDX-License-Identifier: MIT */
/* eigen.c - dsyevd of LAPACK, loaded when it is needed: the program starts without it and does not
 * depend on it for anything else. Principal axes are three-dimensional and get Jacobi rotations.
 *
 * Whatever LAPACK is installed is used (Debian's reference, OpenBLAS, ATLAS share the name
 * liblapack.so.3), so eigenvectors are not the same bits on every machine. Symbols take 32-bit
 * integers. */
#define _POSIX_C_SOURCE 200809L
#include "vib/eigen.h"

#include <math.h>
#include <string.h>

#include "base/platform.h"

#ifdef _WIN32
static const char *const LIBRARIES[] = {"libopenblas.dll", "liblapack.dll"};
static const char MISSING[] =
    "neither libopenblas.dll nor liblapack.dll can be loaded: put one beside the program";
#elif defined(__APPLE__)
static const char *const LIBRARIES[] = {
    "/System/Library/Frameworks/Accelerate.framework/Accelerate", "libopenblas.dylib"};
static const char MISSING[] = "neither Accelerate nor libopenblas.dylib can be loaded";
#else
static const char *const LIBRARIES[] = {"liblapack.so.3", "libopenblas.so.0", "liblapack.so"};
static const char MISSING[] = "neither liblapack.so.3 nor libopenblas.so.0 can be loaded: install "
                              "the package liblapack3 or libopenblas0";
#endif
enum { N_LIBRARIES = sizeof LIBRARIES / sizeof *LIBRARIES, SWEEPS = 60 };

/* Fortran adds the lengths of character arguments at the end. */
typedef void (*dsyevd_fn)(const char *job, const char *triangle, const int *n, double *a,
                          const int *lda, double *w, double *work, const int *n_work, int *i_work,
                          const int *n_i_work, int *info, size_t job_length,
                          size_t triangle_length);

static aim_status open_lapack(void **library, dsyevd_fn *solve)
{
    for (int k = 0; k < N_LIBRARIES; k++) {
        *library = aim_os_library_open(LIBRARIES[k]);
        if (!*library)
            continue;
        void *symbol = aim_os_library_symbol(*library, "dsyevd_");
        if (symbol) {
            memcpy(solve, &symbol, sizeof symbol);
            return AIMNET_OK;
        }
        aim_os_library_close(*library);
    }
    *library = NULL;
    return AIM_FAIL(AIMNET_ERR_UNSUPPORTED, "vibrations need LAPACK, and %s", MISSING);
}

static aim_status solve_with(const aim_alloc *alloc, dsyevd_fn solve, int n, double *a,
                             double *values)
{
    const int query = -1;
    int info = 0, i_size = 0, *i_work = NULL;
    double size = 0.0, *work = NULL;
    solve("V", "U", &n, a, &n, values, &size, &query, &i_size, &query, &info, 1, 1);
    if (info != 0 || !(size >= 1.0 && size < 2147483647.0) || i_size < 1)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "LAPACK refuses a matrix of %d rows (info %d)", n,
                        info);
    const int n_work = (int)size;
    AIM_TRY(aim_new(alloc, (size_t)n_work, sizeof *work, "eigenvalue workspace", &work));
    aim_status status =
        aim_new(alloc, (size_t)i_size, sizeof *i_work, "eigenvalue workspace", &i_work);
    if (status == AIMNET_OK) {
        solve("V", "U", &n, a, &n, values, work, &n_work, i_work, &i_size, &info, 1, 1);
        if (info != 0)
            status =
                AIM_FAIL(AIMNET_ERR_INTERNAL,
                         "LAPACK found no eigenvalues of a matrix of %d rows (info %d)", n, info);
    }
    aim_free(alloc, work);
    aim_free(alloc, i_work);
    return status;
}

aim_status aim_eigen_symmetric(const aim_alloc *alloc, int n, double *a, double *values)
{
    if (n == 0)
        return AIMNET_OK;
    void *library = NULL;
    dsyevd_fn solve = NULL;
    AIM_TRY(open_lapack(&library, &solve));
    const aim_status status = solve_with(alloc, solve, n, a, values);
    aim_os_library_close(library);
    return status;
}

/* One rotation in the plane (p, q) that makes m[p][q] zero. */
static void rotate(double m[9], double v[9], int p, int q)
{
    const double off = m[3 * p + q];
    if (off == 0.0)
        return;
    const double theta = 0.5 * (m[4 * q] - m[4 * p]) / off,
                 t = copysign(1.0, theta) / (fabs(theta) + sqrt(1.0 + theta * theta)),
                 c = 1.0 / sqrt(1.0 + t * t), s = t * c;
    for (int k = 0; k < 3; k++) { /* columns */
        const double x = m[3 * k + p], y = m[3 * k + q];
        m[3 * k + p] = c * x - s * y;
        m[3 * k + q] = s * x + c * y;
    }
    for (int k = 0; k < 3; k++) { /* rows, and the vectors */
        const double x = m[3 * p + k], y = m[3 * q + k], a = v[3 * p + k], b = v[3 * q + k];
        m[3 * p + k] = c * x - s * y;
        m[3 * q + k] = s * x + c * y;
        v[3 * p + k] = c * a - s * b;
        v[3 * q + k] = s * a + c * b;
    }
    m[3 * p + q] = m[3 * q + p] = 0.0;
}

void aim_eigen3(const double a[9], double values[3], double vectors[9])
{
    double m[9];
    memcpy(m, a, sizeof m);
    for (int k = 0; k < 9; k++)
        vectors[k] = k % 4 == 0;
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int p = 0; p < 2; p++)
            for (int q = p + 1; q < 3; q++)
                rotate(m, vectors, p, q);
    for (int p = 0; p < 3; p++)
        values[p] = m[4 * p];
    for (int p = 0; p < 2; p++)
        for (int q = 0; q < 2 - p; q++)
            if (values[q] > values[q + 1]) {
                double row[3];
                const double x = values[q];
                values[q] = values[q + 1];
                values[q + 1] = x;
                memcpy(row, vectors + 3 * q, sizeof row);
                memcpy(vectors + 3 * q, vectors + 3 * q + 3, sizeof row);
                memcpy(vectors + 3 * q + 3, row, sizeof row);
            }
}

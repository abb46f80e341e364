/* SPDX-License-Identifier: MIT */
/* device.cu - a program whose arrays stay on the GPU: velocity Verlet of eight water molecules in its
 * own stream, with forces from aimnet_cuda_eval; then, for the last positions, a neighbour matrix and
 * a sum over neighbours with the sparse convolution.
 *
 *     nvcc device.cu $(pkg-config --cflags --libs aimnet) -o device && ./device */
#include <aimnet_cuda.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>

enum { MOLECULES = 8, ATOMS = 3 * MOLECULES, STEPS = 100, WIDTH = 32, THREADS = 128 };
#define STEP 0.5          /* fs */
#define FORCE 9.648533e-3 /* A amu/fs^2 of 1 eV/A */
#define CUTOFF 4.0        /* A */

/* v += (f/m) dt/2; x += v dt (the last half step of a run moves nothing) */
__global__ void push(const double *f, const double *mass, double *v, double *x, double move)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= 3 * ATOMS)
        return;
    v[k] += 0.5 * STEP * FORCE * f[k] / mass[k / 3];
    x[k] += move * v[k];
}

/* Factors of the convolution: exp(-d^2) in the first component, 0 in the padding. */
__global__ void weights(const double *x, const int32_t *nbmat, double *factor)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= ATOMS * WIDTH)
        return;
    const int i = k / WIDTH, j = nbmat[k];
    double d2 = 0;
    for (int d = 0; d < 3 && j < ATOMS; d++)
        d2 += (x[3 * j + d] - x[3 * i + d]) * (x[3 * j + d] - x[3 * i + d]);
    for (int d = 0; d < 4; d++)
        factor[4 * k + d] = d == 0 && j < ATOMS ? exp(-d2) : 0.0;
}

/* Everything of the program on the card. */
struct arrays {
    double *x, *v, *f, *mass, *energy, *charges, *factor, *feature, *sum;
    int32_t *nbmat;
};

static int check(int good, const char *what)
{
    if (!good)
        fprintf(stderr, "%s: %s\n", what, aimnet_last_error());
    return good;
}

static int make_arrays(struct arrays *a, const double *x, const double *mass)
{
    double one[ATOMS + 1];
    for (int i = 0; i <= ATOMS; i++)
        one[i] = 1.0;
    return cudaMalloc((void **)&a->x, 3 * ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->v, 3 * ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->f, 3 * ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->mass, ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->energy, sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->charges, ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->factor, 4 * ATOMS * WIDTH * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->feature, sizeof one) == cudaSuccess &&
           cudaMalloc((void **)&a->sum, 4 * ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMalloc((void **)&a->nbmat, (ATOMS + 1) * WIDTH * sizeof(int32_t)) == cudaSuccess &&
           cudaMemset(a->v, 0, 3 * ATOMS * sizeof(double)) == cudaSuccess &&
           cudaMemcpy(a->x, x, 3 * ATOMS * sizeof(double), cudaMemcpyHostToDevice) == cudaSuccess &&
           cudaMemcpy(a->mass, mass, ATOMS * sizeof(double), cudaMemcpyHostToDevice) ==
               cudaSuccess &&
           cudaMemcpy(a->feature, one, sizeof one, cudaMemcpyHostToDevice) == cudaSuccess;
}

/* Potential and kinetic energy, eV. */
static double total_energy(const struct arrays *a, const double *mass, cudaStream_t stream)
{
    double energy, v[3 * ATOMS];
    cudaMemcpyAsync(&energy, a->energy, sizeof energy, cudaMemcpyDeviceToHost, stream);
    cudaMemcpyAsync(v, a->v, sizeof v, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    for (int k = 0; k < 3 * ATOMS; k++)
        energy += 0.5 * mass[k / 3] * v[k] * v[k] / FORCE;
    return energy;
}

static int dynamics(aimnet_calc *calc, const int32_t *numbers, const double *mass,
                    const struct arrays *a, cudaStream_t stream)
{
    aimnet_cuda_systems in = {};
    aimnet_cuda_results out = {};
    in.atoms.n_atoms = ATOMS;
    in.atoms.coord = a->x;  /* memory of the GPU */
    in.numbers = numbers;   /* what does not change may stay on the host */
    out.energy = a->energy; /* results: memory of the GPU */
    out.forces = a->f;
    out.charges = a->charges;
    double start = 0;
    for (int step = 0; step <= STEPS; step++) {
        if (step > 0)
            push<<<1, THREADS, 0, stream>>>(a->f, a->mass, a->v, a->x, STEP);
        if (!check(aimnet_cuda_eval(calc, &in, &out, stream) == AIMNET_OK, "forces"))
            return 0;
        if (step > 0)
            push<<<1, THREADS, 0, stream>>>(a->f, a->mass, a->v, a->x, 0.0);
        if (step == 0)
            start = total_energy(a, mass, stream);
    }
    const double end = total_energy(a, mass, stream);
    printf("total energy %.2f eV, after %d steps %.2f eV\n", start, STEPS, end);
    return 1;
}

static int neighbours(const struct arrays *a, cudaStream_t stream)
{
    aimnet_atoms atoms = {};
    aimnet_cuda_nlist *list = NULL;
    aimnet_cuda_conv *conv = NULL;
    double sum[4 * ATOMS], mean = 0;
    int32_t needed;
    atoms.n_atoms = ATOMS;
    atoms.coord = a->x;
    int good =
        check(aimnet_cuda_nlist_create(0, &list) == AIMNET_OK &&
                  aimnet_cuda_nlist_build(list, &atoms, CUTOFF, WIDTH, a->nbmat, NULL, NULL,
                                          &needed, stream) == AIMNET_OK,
              "neighbour list");
    if (good) {
        weights<<<(ATOMS * WIDTH + THREADS - 1) / THREADS, THREADS, 0, stream>>>(a->x, a->nbmat,
                                                                                 a->factor);
        good = check(aimnet_cuda_conv_create(0, a->nbmat, ATOMS, WIDTH, stream, &conv) ==
                             AIMNET_OK &&
                         aimnet_cuda_conv_forward_f64(conv, 1, 1, a->feature, a->factor, a->sum,
                                                      stream) == AIMNET_OK,
                     "convolution");
    }
    if (good) {
        cudaMemcpyAsync(sum, a->sum, sizeof sum, cudaMemcpyDeviceToHost, stream);
        cudaStreamSynchronize(stream);
        for (int i = 0; i < ATOMS; i++)
            mean += sum[4 * i] / ATOMS;
        printf("mean of sum_j exp(-d_ij^2): %.2f\n", mean);
    }
    aimnet_cuda_conv_free(conv);
    aimnet_cuda_nlist_free(list);
    return good;
}

int main(void)
{
    static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};
    double x[3 * ATOMS], mass[ATOMS];
    int32_t numbers[ATOMS];
    for (int i = 0; i < ATOMS; i++) {
        for (int d = 0; d < 3; d++)
            x[3 * i + d] = 3.2 * (i / 3 >> d & 1) + water[3 * (i % 3) + d];
        numbers[i] = i % 3 == 0 ? 8 : 1;
        mass[i] = i % 3 == 0 ? 15.999 : 1.008;
    }
    struct arrays a = {};
    cudaStream_t stream;
    aimnet_options options = aimnet_options_default();
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    options.device = "cuda";
    const int good = cudaStreamCreate(&stream) == cudaSuccess && make_arrays(&a, x, mass) &&
                     check(aimnet_model_load(NULL, NULL, &model) == AIMNET_OK, "model") &&
                     check(aimnet_calc_create(&model, 1, &options, &calc) == AIMNET_OK,
                           "calculator") &&
                     dynamics(calc, numbers, mass, &a, stream) && neighbours(&a, stream);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    cudaStreamDestroy(stream); /* the arrays go with the program */
    return !good;
}

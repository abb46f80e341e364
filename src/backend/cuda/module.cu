/* SPDX-License-Identifier: MIT */
/* module.cu - the table of functions behind the seam: cards, networks on them, evaluations.
 *
 * An evaluation fills one pinned block, runs (or replays) one queue of kernels and copies one block
 * back. The queue of a shape of batch is recorded as a CUDA graph when it comes for the second
 * time. If a row of the list did not fit, or memory has to grow, the evaluation starts over. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/cuda.h"

/* values of aimnet_status (aimnet.h) */
enum { ERR_UNSUPPORTED = 13, ERR_MEMORY = 40, ERR_DEVICE = 50 };

static int fail(aim_dev_error *e, int status, const char *format, const char *a, const char *b)
{
    e->status = status;
    snprintf(e->text, sizeof e->text, format, a, b);
    return status;
}

static int fail_cuda(aim_dev_error *e, cudaError_t code, const char *what)
{
    (void)cudaGetLastError();
    return fail(e, code == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_DEVICE,
                "the GPU failed in %s: %s", what, cudaGetErrorString(code));
}

#define TRY(e, call, what)                                                                         \
    do {                                                                                           \
        const cudaError_t code_ = (call);                                                          \
        if (code_ != cudaSuccess)                                                                  \
            return fail_cuda((e), code_, (what));                                                  \
    } while (0)

/* ---------------------------------------------------------------- cards */

static void close_device(void *object)
{
    cu_device *d = (cu_device *)object;
    cudaSetDevice(d->index);
    if (d->stream)
        cudaStreamDestroy(d->stream);
    if (d->side)
        cudaStreamDestroy(d->side);
    if (d->fork)
        cudaEventDestroy(d->fork);
    if (d->join)
        cudaEventDestroy(d->join);
    cudaFree(d->workspace);
    cudaFreeHost(d->in);
    cudaFreeHost(d->out);
    (void)cudaGetLastError();
}

static int start_device(cu_device *d, aim_dev_error *e)
{
    cu_state s = {cudaSuccess, NULL};
    TRY(e, cudaSetDevice(d->index), "starting");
    TRY(e, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), "starting");
    TRY(e, cudaStreamCreateWithFlags(&d->side, cudaStreamNonBlocking), "starting");
    TRY(e, cudaEventCreateWithFlags(&d->fork, cudaEventDisableTiming), "starting");
    TRY(e, cudaEventCreateWithFlags(&d->join, cudaEventDisableTiming), "starting");
    cu_multiply_prepare(&s);
    cu_terms_prepare(&s);
    if (s.code == cudaErrorNoKernelImageForDevice || s.code == cudaErrorUnsupportedPtxVersion)
        return fail(e, ERR_DEVICE,
                    "libaimnet_cuda.so has no code that this GPU and its driver can run%s%s", "",
                    "");
    TRY(e, s.code, "starting");
    return 0;
}

static int open_device(void *object, int index, aim_dev_error *e)
{
    int n = 0, driver = 0;
    char text[64], more[64];
    const cudaError_t code = cudaGetDeviceCount(&n);
    (void)cudaGetLastError();
    if (code == cudaErrorInsufficientDriver) {
        cudaDriverGetVersion(&driver);
        if (driver == 0)
            return fail(e, ERR_DEVICE, "no NVIDIA driver is installed%s%s", "", "");
        snprintf(text, sizeof text, "%d.%d", driver / 1000, driver % 1000 / 10);
        snprintf(more, sizeof more, "%d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
        return fail(e, ERR_DEVICE, "the NVIDIA driver knows CUDA %s, libaimnet_cuda.so needs %s",
                    text, more);
    }
    if (code == cudaErrorNoDevice || (code == cudaSuccess && n == 0))
        return fail(e, ERR_DEVICE, "no NVIDIA GPU was found%s%s", "", "");
    TRY(e, code, "looking for devices");
    if (index >= n) {
        snprintf(text, sizeof text, "%d", index);
        snprintf(more, sizeof more, "%d", n);
        return fail(e, ERR_DEVICE, "GPU %s does not exist: this machine has %s", text, more);
    }
    cudaDeviceProp prop;
    TRY(e, cudaGetDeviceProperties(&prop, index), "looking at the device");
    if (prop.major < 8) {
        snprintf(text, sizeof text, "%d.%d", prop.major, prop.minor);
        return fail(e, ERR_DEVICE, "%s has compute capability %s: at least 8.0 is needed",
                    prop.name, text);
    }
    cu_device *d = (cu_device *)object;
    d->index = index;
    d->processors = prop.multiProcessorCount;
    d->major = prop.major;
    d->minor = prop.minor;
    if (start_device(d, e)) {
        close_device(d);
        return e->status;
    }
    return 0;
}

static void describe_device(void *object, char *name, size_t capacity, size_t *total,
                            size_t *available)
{
    const cu_device *d = (const cu_device *)object;
    cudaDeviceProp prop;
    *total = *available = 0;
    name[0] = 0;
    if (cudaSetDevice(d->index) == cudaSuccess &&
        cudaGetDeviceProperties(&prop, d->index) == cudaSuccess) {
        snprintf(name, capacity, "%s", prop.name);
        cudaMemGetInfo(available, total);
    }
    (void)cudaGetLastError();
}

static int out_of_memory(cu_device *d, size_t bytes, const char *what, aim_dev_error *e)
{
    size_t total = 0, available = 0;
    char text[64], more[64];
    (void)cudaGetLastError();
    cudaMemGetInfo(&available, &total);
    snprintf(text, sizeof text, "%.2f GB for %s", (double)bytes * 1e-9, what);
    snprintf(more, sizeof more, "%.2f of %.2f GB are free", (double)available * 1e-9,
             (double)total * 1e-9);
    return fail(e, ERR_MEMORY, "the GPU has no memory left: %s are needed, %s", text, more);
}

/* Grows the workspace and the pinned blocks; contents are lost. */
static int reserve(cu_device *d, size_t workspace, size_t in, size_t out, aim_dev_error *e)
{
    if (workspace > d->workspace_size) {
        cudaFree(d->workspace);
        d->workspace = NULL;
        d->workspace_size = 0;
        d->workspace_age++;
        const size_t size = workspace + workspace / 8;
        if (cudaMalloc(&d->workspace, size) == cudaSuccess) {
            d->workspace_size = size;
        } else {
            (void)cudaGetLastError();
            if (cudaMalloc(&d->workspace, workspace) != cudaSuccess)
                return out_of_memory(d, workspace, "this batch", e);
            d->workspace_size = workspace;
        }
    }
    struct {
        void **block;
        size_t *size, need;
    } host[2] = {{&d->in, &d->in_size, in}, {&d->out, &d->out_size, out}};
    for (int k = 0; k < 2; k++)
        if (host[k].need > *host[k].size) {
            cudaFreeHost(*host[k].block);
            *host[k].block = NULL;
            *host[k].size = 0;
            d->workspace_age++;
            const size_t size = host[k].need + host[k].need / 8;
            if (cudaMallocHost(host[k].block, size) != cudaSuccess) {
                (void)cudaGetLastError();
                return fail(e, ERR_MEMORY, "no page-locked memory for the batch%s%s", "", "");
            }
            *host[k].size = size;
        }
    return 0;
}

/* ---------------------------------------------------------------- networks */

typedef struct placer {
    char *base;
    size_t used;
} placer;

static void *place(placer *p, size_t bytes)
{
    void *at = p->base ? p->base + p->used : NULL;
    p->used += (bytes + 255) / 256 * 256;
    return at;
}

static size_t real_size(const cu_net *net)
{
    return net->d.is_double ? sizeof(double) : sizeof(float);
}

static void place_matrix(const cu_net *net, placer *p, int n_out, int n_in, cu_matrix *m)
{
    m->n_out = n_out;
    m->n_in = n_in;
    m->k_pad = cu_round_up(n_in, CU_CHUNK);
    m->n_pad = cu_round_up(n_out, CU_ROW_PAD);
    m->w = place(p, (size_t)m->k_pad * (size_t)m->n_pad *
                        (net->d.is_double ? sizeof(double) : 2 * sizeof(__half)));
    m->scale = (float *)place(p, (size_t)m->n_pad * sizeof(float));
}

static void place_mlp(const cu_net *net, placer *p, const aim_dev_mlp *in, int bias_rows,
                      int is_head, cu_mlp *m)
{
    m->n_layers = in->n_layers;
    m->slope_width = 0;
    for (int l = 0; l < in->n_layers; l++) {
        const aim_dev_layer *from = &in->layer[l];
        cu_layer *to = &m->layer[l];
        to->n_in = from->n_in;
        to->n_out = from->n_out;
        to->ld_in = cu_round_up(from->n_in, CU_CHUNK);
        to->ld_out = cu_round_up(from->n_out, CU_CHUNK);
        to->gelu = from->gelu;
        m->slope_width += to->gelu ? to->ld_out : 0;
        to->bias = place(p, (size_t)(l == 0 ? bias_rows : 1) * (size_t)to->ld_out * real_size(net));
        if (is_head && l == in->n_layers - 1) {
            to->plain = place(p, (size_t)to->n_in * (size_t)to->n_out * real_size(net));
        } else {
            place_matrix(net, p, to->n_out, to->n_in, &to->fwd);
            place_matrix(net, p, to->n_in, to->n_out, &to->bwd);
        }
    }
}

static void place_net(cu_net *net, const aim_dev_net *in, const aim_dev_d3_table *d3, placer *p)
{
    const size_t real = real_size(net);
    aim_dev_net *d = &net->d;
    d->embedding = place(p, (size_t)d->n_species * (size_t)d->fa * real);
    d->shifts = place(p, (size_t)d->gp * real);
    d->conv_a.agh = place(p, (size_t)d->conv_a.nf * (size_t)d->gp * (size_t)d->conv_a.hp * real);
    d->conv_q.agh = place(p, (size_t)d->conv_q.nf * (size_t)d->gp * (size_t)d->conv_q.hp * real);
    for (int k = 0; k < d->n_pass; k++)
        place_mlp(net, p, &in->mlp[k], k == 0 ? d->n_species : 1, 0, &net->mlp[k]);
    for (int h = 0; h < d->n_heads; h++)
        place_mlp(net, p, &in->head[h], 1, 1, &net->head[h]);
    if (!d3)
        return;
    net->d3 = *d3;
    net->d3.rcov = (double *)place(p, (size_t)d3->n_elements * sizeof(double));
    net->d3.r4r2 = (double *)place(p, (size_t)d3->n_elements * sizeof(double));
    net->d3.first = (int32_t *)place(p, (size_t)(d3->n_elements + 1) * sizeof(int32_t));
    net->d3.cn = (double *)place(p, (size_t)d3->n_refs * sizeof(double));
    net->d3.c6 = (double *)place(p, (size_t)d3->n_refs * (size_t)d3->n_refs * sizeof(double));
}

/* Copies to the device on its stream; remembers the first failure. */
static void upload(cu_state *s, const cu_device *d, const void *to, const void *from, size_t bytes)
{
    const cudaError_t code =
        cudaMemcpyAsync((void *)to, from, bytes, cudaMemcpyHostToDevice, d->stream);
    if (code != cudaSuccess && s->code == cudaSuccess) {
        s->code = code;
        s->what = "copying a model";
    }
}

static void upload_mlp(cu_state *s, const cu_net *net, const aim_dev_mlp *in, int bias_rows,
                       int is_head, void *staging, const cu_mlp *m)
{
    const cu_device *d = net->device;
    const size_t real = real_size(net);
    for (int l = 0; l < in->n_layers; l++) {
        const aim_dev_layer *from = &in->layer[l];
        const cu_layer *to = &m->layer[l];
        const size_t width = (size_t)from->n_out * real;
        for (int r = 0; r < (l == 0 ? bias_rows : 1); r++)
            upload(s, d, (char *)to->bias + (size_t)r * (size_t)to->ld_out * real,
                   (const char *)from->bias + (size_t)r * width, width);
        if (is_head && l == in->n_layers - 1) {
            upload(s, d, to->plain, from->w, width * (size_t)from->n_in);
            continue;
        }
        upload(s, d, staging, from->w, width * (size_t)from->n_in);
        cu_pack(s, d->stream, net->d.is_double, staging, from->n_out, from->n_in, 0, &to->fwd);
        cu_pack(s, d->stream, net->d.is_double, staging, from->n_out, from->n_in, 1, &to->bwd);
    }
}

static size_t largest_layer(const aim_dev_mlp *m)
{
    size_t n = 0;
    for (int l = 0; l < m->n_layers; l++) {
        const size_t size = (size_t)m->layer[l].n_in * (size_t)m->layer[l].n_out;
        n = size > n ? size : n;
    }
    return n;
}

static void upload_net(cu_state *s, const cu_net *net, const aim_dev_net *in,
                       const aim_dev_d3_table *d3, void *staging)
{
    const cu_device *dev = net->device;
    const aim_dev_net *d = &net->d;
    const size_t real = real_size(net);
    upload(s, dev, d->embedding, in->embedding, (size_t)d->n_species * (size_t)d->fa * real);
    upload(s, dev, d->shifts, in->shifts, (size_t)d->gp * real);
    upload(s, dev, d->conv_a.agh, in->conv_a.agh,
           (size_t)d->conv_a.nf * (size_t)d->gp * (size_t)d->conv_a.hp * real);
    upload(s, dev, d->conv_q.agh, in->conv_q.agh,
           (size_t)d->conv_q.nf * (size_t)d->gp * (size_t)d->conv_q.hp * real);
    for (int k = 0; k < d->n_pass; k++)
        upload_mlp(s, net, &in->mlp[k], k == 0 ? d->n_species : 1, 0, staging, &net->mlp[k]);
    for (int h = 0; h < d->n_heads; h++)
        upload_mlp(s, net, &in->head[h], 1, 1, staging, &net->head[h]);
    if (!d3)
        return;
    upload(s, dev, net->d3.rcov, d3->rcov, (size_t)d3->n_elements * sizeof(double));
    upload(s, dev, net->d3.r4r2, d3->r4r2, (size_t)d3->n_elements * sizeof(double));
    upload(s, dev, net->d3.first, d3->first, (size_t)(d3->n_elements + 1) * sizeof(int32_t));
    upload(s, dev, net->d3.cn, d3->cn, (size_t)d3->n_refs * sizeof(double));
    upload(s, dev, net->d3.c6, d3->c6, (size_t)d3->n_refs * (size_t)d3->n_refs * sizeof(double));
}

static void free_net(void *object)
{
    cu_net *net = (cu_net *)object;
    cudaSetDevice(net->device->index);
    for (int k = 0; k < CU_GRAPHS; k++)
        if (net->graph[k].exec)
            cudaGraphExecDestroy(net->graph[k].exec);
    cudaFree(net->block);
    (void)cudaGetLastError();
}

static int check_net(const aim_dev_net *in, const aim_dev_d3_table *d3, aim_dev_error *e)
{
    if (in->n_charge * in->gp > 128 || in->conv_a.nf > 96)
        return fail(e, ERR_UNSUPPORTED,
                    "the GPU kernels are made for up to 96 features and 64 shifts%s%s", "", "");
    for (int z = 0; d3 && z < d3->n_elements; z++)
        if (d3->first[z + 1] - d3->first[z] > CU_D3_REFS)
            return fail(e, ERR_UNSUPPORTED, "too many D3 references per element%s%s", "", "");
    return 0;
}

static int create_net(void *object, void *device, const aim_dev_net *in, const aim_dev_d3_table *d3,
                      aim_dev_error *e)
{
    if (check_net(in, d3, e))
        return e->status;
    cu_net *net = (cu_net *)object;
    net->device = (cu_device *)device;
    net->d = *in;
    net->capacity = 64;
    placer measure = {NULL, 0};
    place_net(net, in, d3, &measure);
    size_t staging = 0;
    for (int k = 0; k < in->n_pass; k++)
        staging = largest_layer(&in->mlp[k]) > staging ? largest_layer(&in->mlp[k]) : staging;
    for (int h = 0; h < in->n_heads; h++)
        staging = largest_layer(&in->head[h]) > staging ? largest_layer(&in->head[h]) : staging;
    const size_t at = measure.used;
    net->block_size = at + staging * real_size(net);
    cudaSetDevice(net->device->index);
    if (cudaMalloc(&net->block, net->block_size) != cudaSuccess) {
        out_of_memory(net->device, net->block_size, "the network", e);
        net->block = NULL;
        free_net(net);
        return e->status;
    }
    cu_state s = {cudaSuccess, NULL};
    if (cudaMemsetAsync(net->block, 0, net->block_size, net->device->stream) != cudaSuccess)
        s.code = cudaGetLastError();
    placer p = {(char *)net->block, 0};
    place_net(net, in, d3, &p);
    upload_net(&s, net, in, d3, (char *)net->block + at);
    const cudaError_t code = cudaStreamSynchronize(net->device->stream);
    if (s.code == cudaSuccess)
        s.code = code;
    if (s.code != cudaSuccess) {
        fail_cuda(e, s.code, s.what ? s.what : "copying a model");
        free_net(net);
        return e->status;
    }
    return 0;
}

/* ---------------------------------------------------------------- evaluations */

typedef struct kinds {
    int n;
    int32_t number[AIM_DEV_SPECIES];
    int32_t index[AIM_DEV_SPECIES]; /* [Z] */
} kinds;

static void find_kinds(const aim_dev_job *job, kinds *k)
{
    unsigned char seen[AIM_DEV_SPECIES] = {0};
    for (int32_t i = 0; i < job->n_atoms; i++)
        seen[job->numbers[i]] = 1;
    k->n = 0;
    for (int z = 0; z < AIM_DEV_SPECIES; z++)
        if (seen[z]) {
            k->index[z] = k->n;
            k->number[k->n++] = z;
        }
}

/* Bins at least as wide as the network reaches, and not many more bins than atoms. */
static void make_grid(const aim_dev_job *job, int32_t s, int base, cu_grid *g)
{
    const double *h = job->cell + 9 * (size_t)s;
    double cross[3][3], volume = 0;
    for (int a = 0; a < 3; a++) {
        const double *b = h + 3 * ((a + 1) % 3), *c = h + 3 * ((a + 2) % 3);
        for (int d = 0; d < 3; d++)
            cross[a][d] = b[(d + 1) % 3] * c[(d + 2) % 3] - b[(d + 2) % 3] * c[(d + 1) % 3];
    }
    for (int d = 0; d < 3; d++)
        volume += h[d] * cross[0][d];
    g->right = 1;
    double most = 4.0 * (job->offset[s + 1] - job->offset[s]) + 64;
    for (int a = 0; a < 3; a++) {
        const double area =
            sqrt(cross[a][0] * cross[a][0] + cross[a][1] * cross[a][1] + cross[a][2] * cross[a][2]);
        g->height[a] = fabs(volume) / area;
        for (int d = 0; d < 3; d++) {
            g->cell[3 * a + d] = h[3 * a + d];
            g->inverse[3 * d + a] = cross[a][d] / volume;
            g->right &= a == d || h[3 * a + d] == 0.0;
        }
        g->n[a] = (int)fmax(1.0, fmin(512.0, floor(g->height[a] / job->cutoff)));
    }
    while ((double)g->n[0] * g->n[1] * g->n[2] > most) {
        int wide = 0;
        for (int a = 1; a < 3; a++)
            wide = g->n[a] > g->n[wide] ? a : wide;
        g->n[wide] = (g->n[wide] + 1) / 2;
    }
    g->base = base;
}

static int count_bins(const aim_dev_job *job)
{
    int bins = 0;
    for (int32_t s = 0; job->crystal && s < job->n_systems; s++) {
        cu_grid g;
        make_grid(job, s, bins, &g);
        bins += g.n[0] * g.n[1] * g.n[2];
    }
    return bins;
}

/* Where a device address of the in or out block lies in the pinned copy. */
#define PINNED(block, base, field)                                                                 \
    ((decltype(&*(field)))((char *)(block) + ((char *)(field) - (base))))

template <typename real>
static void fill_list(const cu_device *d, const aim_dev_job *job, const cu_work<real> *w)
{
    int *count = PINNED(d->in, w->in_base, w->in_count), *j = PINNED(d->in, w->in_base, w->in_j),
        *shift = PINNED(d->in, w->in_base, w->in_shift);
    for (int32_t i = 0; i < job->n_atoms; i++) {
        const int64_t first = job->row[i], n = job->row[i + 1] - first;
        count[i] = (int)n;
        for (int64_t k = 0; k < n; k++) {
            const size_t to = (size_t)i * (size_t)w->capacity + (size_t)k;
            j[to] = job->j[first + k];
            shift[to] = 0;
            for (int a = 0; job->shift && a < 3; a++)
                shift[to] |= (job->shift[first + k][a] & 255) << 8 * a;
        }
    }
}

template <typename real>
static void fill(const cu_net *net, const aim_dev_job *job, const kinds *k, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
    memcpy(PINNED(d->in, w->in_base, w->coord), job->coord, 3 * n * sizeof(double));
    memcpy(PINNED(d->in, w->in_base, w->cell), job->cell, 9 * systems * sizeof(double));
    memcpy(PINNED(d->in, w->in_base, w->charge), job->charge, systems * sizeof(double));
    memcpy(PINNED(d->in, w->in_base, w->mult), job->mult, systems * sizeof(double));
    memcpy(PINNED(d->in, w->in_base, w->offset), job->offset, (systems + 1) * sizeof(int32_t));
    memcpy(PINNED(d->in, w->in_base, w->system), job->system, n * sizeof(int32_t));
    int *kind = PINNED(d->in, w->in_base, w->kind),
        *number = PINNED(d->in, w->in_base, w->kind_number),
        *species = PINNED(d->in, w->in_base, w->kind_species);
    for (size_t i = 0; i < n; i++)
        kind[i] = k->index[job->numbers[i]];
    for (int z = 0; z < k->n; z++) {
        number[z] = k->number[z];
        species[z] = net->d.species_of[k->number[z]];
    }
    if (job->row)
        fill_list(d, job, w);
    cu_grid *grid = w->grid ? PINNED(d->in, w->in_base, w->grid) : NULL;
    for (int32_t i = 0, base = 0; grid && i < job->n_systems; i++) {
        make_grid(job, i, base, &grid[i]);
        base += grid[i].n[0] * grid[i].n[1] * grid[i].n[2];
    }
}

template <typename real>
static void fill_adjoints(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms;
    for (int h = 0; h < net->d.n_heads; h++) {
        if (!w->ghead[h])
            continue;
        const size_t bytes = n * (size_t)net->d.head_width[h] * sizeof(double);
        double *to = PINNED(d->in, w->in_base, w->ghead[h]);
        if (job->ghead[h])
            memcpy(to, job->ghead[h], bytes);
        else
            memset(to, 0, bytes);
    }
    if (!w->in_gq)
        return;
    memcpy(PINNED(d->in, w->in_base, w->in_gq), job->gq, n * sizeof(double));
    memcpy(PINNED(d->in, w->in_base, w->in_gspin), job->gspin, n * sizeof(double));
}

static void copy_out(double *to, const double *from, size_t n)
{
    if (to)
        memcpy(to, from, n * sizeof *to);
}

static void add_out(double *to, const double *from, size_t n)
{
    for (size_t k = 0; to && k < n; k++)
        to[k] += from[k];
}

template <typename real>
static void fetch_network(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms;
    copy_out(job->q, PINNED(d->out, w->out_base, w->q), n);
    copy_out(job->spin, PINNED(d->out, w->out_base, w->spin), n);
    for (int h = 0; h < net->d.n_heads; h++)
        copy_out(job->head[h], PINNED(d->out, w->out_base, w->head[h]),
                 n * (size_t)net->d.head_width[h]);
}

template <typename real>
static void fetch_rest(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
    copy_out(job->e_coulomb, PINNED(d->out, w->out_base, w->e_coulomb), systems);
    copy_out(job->e_sr, PINNED(d->out, w->out_base, w->e_sr), systems);
    copy_out(job->e_d3, PINNED(d->out, w->out_base, w->e_d3), systems);
    if (job->want_grad)
        add_out(job->grad, PINNED(d->out, w->out_base, w->grad), 3 * n);
    if (job->want_strain)
        add_out(job->strain, PINNED(d->out, w->out_base, w->strain), 9 * systems);
}

static int run_failed(cu_net *net, const cu_state *s, aim_dev_error *e)
{
    cudaStreamSynchronize(net->device->stream);
    return fail_cuda(e, s->code, s->what ? s->what : "an evaluation");
}

static int synchronize(cu_net *net, cu_state *s, aim_dev_error *e)
{
    if (s->code == cudaSuccess) {
        s->code = cudaStreamSynchronize(net->device->stream);
        s->what = "an evaluation";
    }
    return s->code == cudaSuccess ? 0 : run_failed(net, s, e);
}

/* The graph of this shape, or a place for it. *seen: the shape was here before. */
static int find_graph(cu_net *net, const aim_dev_job *job, int n_kinds, int bins, int *seen)
{
    decltype(net->graph[0].key) key;
    memset(&key, 0, sizeof key);
    key.n = job->n_atoms;
    key.systems = job->n_systems;
    key.kinds = n_kinds;
    key.bins = bins;
    key.capacity = net->capacity;
    key.flags = job->want_grad | job->want_strain << 1 | job->sr << 2 | job->d3 << 3 |
                (job->row != NULL) << 4;
    key.coulomb = job->coulomb;
    key.envelope = job->sr_envelope;
    const double numbers[11] = {job->coulomb_cutoff, job->dsf_alpha, job->sr_rc,   job->d3_s6,
                                job->d3_s8,          job->d3_a1,     job->d3_a2,   job->d3_cutoff,
                                job->d3_smoothing,   job->cutoff,    job->d3_reach};
    memcpy(key.numbers, numbers, sizeof numbers);
    for (int h = 0; h < net->d.n_heads; h++)
        key.heads |= (uint64_t)(job->ghead[h] != NULL) << h;
    int oldest = 0;
    for (int k = 0; k < CU_GRAPHS; k++) {
        if (net->graph[k].used && memcmp(&net->graph[k].key, &key, sizeof key) == 0) {
            *seen = net->graph[k].age == net->device->workspace_age;
            net->graph[k].used = ++net->clock;
            net->graph[k].age = net->device->workspace_age;
            if (!*seen && net->graph[k].exec) {
                cudaGraphExecDestroy(net->graph[k].exec);
                net->graph[k].exec = NULL;
            }
            return k;
        }
        if (net->graph[k].used < net->graph[oldest].used)
            oldest = k;
    }
    if (net->graph[oldest].exec)
        cudaGraphExecDestroy(net->graph[oldest].exec);
    net->graph[oldest].exec = NULL;
    net->graph[oldest].key = key;
    net->graph[oldest].age = net->device->workspace_age;
    net->graph[oldest].used = ++net->clock;
    *seen = 0;
    return oldest;
}

template <typename real>
static void record(cu_state *s, cu_net *net, const aim_dev_job *job, const cu_work<real> *w, int k)
{
    cudaGraph_t graph = NULL;
    s->code = cudaStreamBeginCapture(net->device->stream, cudaStreamCaptureModeThreadLocal);
    s->what = "recording a graph";
    if (s->code != cudaSuccess)
        return;
    cu_enqueue<real>(s, net, job, w, 1, 1);
    const cudaError_t code = cudaStreamEndCapture(net->device->stream, &graph);
    if (s->code == cudaSuccess)
        s->code = code;
    if (s->code == cudaSuccess)
        s->code = cudaGraphInstantiate(&net->graph[k].exec, graph, 0);
    if (graph)
        cudaGraphDestroy(graph);
}

/* One try; *again: a row of the list was too short. */
template <typename real>
static int run_once(cu_net *net, aim_dev_job *job, const kinds *k, aim_dev_error *e, int *again)
{
    cu_device *d = net->device;
    cu_work<real> w;
    cu_state s = {cudaSuccess, NULL};
    *again = 0;
    const int bins = count_bins(job);
    cu_layout<real>(net, job, k->n, bins, NULL, &w);
    if (reserve(d, w.bytes, w.in_bytes, w.out_bytes, e))
        return e->status;
    cu_layout<real>(net, job, k->n, bins, (char *)d->workspace, &w);
    fill<real>(net, job, k, &w);
    if (job->middle) {
        cu_enqueue<real>(&s, net, job, &w, 1, 0);
        if (synchronize(net, &s, e))
            return e->status;
    } else {
        int seen = 0;
        fill_adjoints<real>(net, job, &w);
        const int g = job->no_graph ? -1 : find_graph(net, job, k->n, bins, &seen);
        if (g >= 0 && seen && !net->graph[g].exec)
            record<real>(&s, net, job, &w, g);
        if (s.code != cudaSuccess)
            return run_failed(net, &s, e);
        if (g >= 0 && net->graph[g].exec)
            s.code = cudaGraphLaunch(net->graph[g].exec, d->stream);
        else
            cu_enqueue<real>(&s, net, job, &w, 1, 1);
        if (synchronize(net, &s, e))
            return e->status;
    }
    const int longest = *PINNED(d->out, w.out_base, w.longest);
    if (!job->row && longest > net->capacity) {
        net->capacity = cu_round_up(longest + longest / 16, 8);
        *again = 1;
        return 0;
    }
    job->overlap = *PINNED(d->out, w.out_base, w.overlap);
    fetch_network<real>(net, job, &w);
    if (job->middle) {
        const int status = job->middle(job->ctx);
        if (status)
            return e->status = status;
        if (job->want_grad) {
            fill_adjoints<real>(net, job, &w);
            cu_enqueue<real>(&s, net, job, &w, 0, 1);
            if (synchronize(net, &s, e))
                return e->status;
        }
    }
    fetch_rest<real>(net, job, &w);
    return 0;
}

static int check_list(cu_net *net, const aim_dev_job *job, aim_dev_error *e)
{
    int64_t longest = 0;
    for (int32_t i = 0; job->row && i < job->n_atoms; i++) {
        const int64_t n = job->row[i + 1] - job->row[i];
        longest = n > longest ? n : longest;
        for (int64_t p = job->row[i]; job->shift && p < job->row[i + 1]; p++)
            for (int a = 0; a < 3; a++)
                if (job->shift[p][a] < -128 || job->shift[p][a] > 127)
                    return fail(e, ERR_UNSUPPORTED,
                                "a neighbour is more than 127 cells away: too far for the GPU's "
                                "list%s%s",
                                "", "");
    }
    if (longest > net->capacity)
        net->capacity = cu_round_up((int)longest, 8);
    return 0;
}

static int run(void *object, aim_dev_job *job, aim_dev_error *e)
{
    cu_net *net = (cu_net *)object;
    kinds k;
    int again = 0;
    e->status = 0;
    e->text[0] = 0;
    TRY(e, cudaSetDevice(net->device->index), "an evaluation");
    if (check_list(net, job, e))
        return e->status;
    find_kinds(job, &k);
    do {
        const int status = net->d.is_double ? run_once<double>(net, job, &k, e, &again)
                                            : run_once<float>(net, job, &k, e, &again);
        if (status)
            return status;
    } while (again);
    return 0;
}

static size_t workspace(const void *object, const aim_dev_job *job)
{
    const cu_net *net = (const cu_net *)object;
    kinds k;
    find_kinds(job, &k);
    if (net->d.is_double) {
        cu_work<double> w;
        cu_layout<double>(net, job, k.n, count_bins(job), NULL, &w);
        return w.bytes;
    }
    cu_work<float> w;
    cu_layout<float>(net, job, k.n, count_bins(job), NULL, &w);
    return w.bytes;
}

static const aim_device_ops OPS = {AIM_DEV_ABI,  sizeof(cu_device), sizeof(cu_net), open_device,
                                   close_device, describe_device,   create_net,     free_net,
                                   run,          workspace};

extern "C" __attribute__((visibility("default"))) const aim_device_ops *
aimnet_device_module(int abi)
{
    return abi == AIM_DEV_ABI ? &OPS : NULL;
}

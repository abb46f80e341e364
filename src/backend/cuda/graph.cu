/* SPDX-License-Identifier: MIT */
/* graph.cu - shapes of batches and their graphs: which of those that a network keeps is a batch's. */
#include <string.h>

#include "backend/cuda/module.h"
#include "backend/cuda/molecules.h"

/* With lattice sums a graph is of their waves and meshes, which change with cells. */
static int has_lattices(const cu_lattice *l, const aim_dev_job *job)
{
    for (int32_t k = 0; job->waves && k < job->n_systems; k++)
        if (l[k].first != job->offset[k] ||
            memcmp(&l[k].waves, &job->waves[k], sizeof l[k].waves) != 0)
            return 0;
    return 1;
}

static void put_lattices(cu_lattice *l, const aim_dev_job *job)
{
    for (int32_t k = 0; job->waves && k < job->n_systems; k++) {
        l[k].waves = job->waves[k];
        l[k].first = job->offset[k];
    }
}

void cu_forget_graph(cudaGraphExec_t *exec)
{
    if (*exec)
        cudaGraphExecDestroy(*exec);
    *exec = NULL;
}

int cu_find_graph(cu_net *net, const aim_dev_job *job, int n_kinds, int bins, int *seen)
{
    decltype(net->graph[0].key) key;
    memset(&key, 0, sizeof key);
    key.n = job->n_atoms;
    key.systems = job->n_systems;
    key.kinds = n_kinds;
    key.bins = bins;
    key.groups = cu_most_groups(job, bins);
    key.wide = cu_wide(job);
    key.together = cu_conv_by_molecules(net, job);
    key.largest = cu_by_molecules(net, job, n_kinds);
    const int some = cu_some_systems(job, key.largest);
    key.some = some ? job->offset[some] : 0;
    key.capacity = net->capacity;
    key.flags = job->want_grad | job->want_strain << 1 | job->sr << 2 | job->d3 << 3 |
                (job->row != NULL) << 4 | (job->caller != NULL) << 5 | (job->alike != 0) << 6 |
                cu_comes_early(job) << 7 |
                (job->rep_params != NULL) << 8 | (job->ts_params != NULL) << 9;
    key.coulomb = job->coulomb;
    key.envelope = job->sr_envelope;
    const double numbers[11] = {job->coulomb_cutoff, job->dsf_alpha, job->sr_rc,   job->d3_s6,
                                job->d3_s8,          job->d3_a1,     job->d3_a2,   job->d3_cutoff,
                                job->d3_smoothing,   job->cutoff,    job->d3_reach};
    memcpy(key.numbers, numbers, sizeof numbers);
    for (int h = 0; h < net->d.n_heads; h++)
        key.heads |= (uint64_t)(job->ghead[h] != NULL) << h;
    key.caller_head = job->caller ? job->caller->head : 0;
    int oldest = 0;
    for (int k = 0; k < CU_GRAPHS; k++) {
        if (net->graph[k].used && memcmp(&net->graph[k].key, &key, sizeof key) == 0 &&
            has_lattices(net->graph[k].lattices, job)) {
            *seen = net->graph[k].age == net->device->workspace_age;
            net->graph[k].used = ++net->clock;
            net->graph[k].age = net->device->workspace_age;
            if (!*seen)
                cu_forget_graph(&net->graph[k].exec);
            return k;
        }
        if (net->graph[k].used < net->graph[oldest].used)
            oldest = k;
    }
    cu_forget_graph(&net->graph[oldest].exec);
    put_lattices(net->graph[oldest].lattices, job);
    net->graph[oldest].key = key;
    net->graph[oldest].age = net->device->workspace_age;
    net->graph[oldest].used = ++net->clock;
    *seen = 0;
    return oldest;
}

/* SPDX-License-Identifier: MIT */
/* module.h - what the host's side of the CUDA module shares: messages, memory, what stands behind
 * the seam (card.cu, network.cu, evaluate.cu, sweep.cu). */
#ifndef AIM_BACKEND_CUDA_MODULE_H
#define AIM_BACKEND_CUDA_MODULE_H

#include "backend/cuda/cuda.h"

/* values of aimnet_status (aimnet.h) */
enum { ERR_ARG = 10, ERR_UNSUPPORTED = 13, ERR_MEMORY = 40, ERR_DEVICE = 50 };

/* format has two %s */
int cu_fail(aim_dev_error *e, int status, const char *format, const char *a, const char *b);
int cu_fail_cuda(aim_dev_error *e, cudaError_t code, const char *what);
int cu_out_of_memory(cu_device *d, size_t bytes, const char *what, aim_dev_error *e);

#define CU_TRY(e, call, what)                                                                      \
    do {                                                                                           \
        const cudaError_t code_ = (call);                                                          \
        if (code_ != cudaSuccess)                                                                  \
            return cu_fail_cuda((e), code_, (what));                                               \
    } while (0)

/* current.cu */
/* A function of the driver by its name, or NULL; *kept is the same for every thread. */
void *cu_driver(const char *name, void **kept);

/* Makes a card current, and leaves the thread as it was. code: why it could not, of a card that fails to start. */
struct on_card {
    cudaError_t code;
    void *before; /* CUcontext */
    int entered;
    explicit on_card(int card);
    ~on_card();
    on_card(const on_card &) = delete;
    on_card &operator=(const on_card &) = delete;
};

/* graph.cu */
/* The graph of this shape of batch, or a place for it. *seen: the shape was here before. */
int cu_find_graph(cu_net *net, const aim_dev_job *job, int n_kinds, int bins, int *seen);
/* NULL is fine. */
void cu_forget_graph(cudaGraphExec_t *exec);

/* card.cu */
int cu_open(void *device, int index, size_t memory, aim_dev_error *error);
void cu_close(void *device);
int cu_check_index(int index, int n, aim_dev_error *e);
int cu_look(int index, int *n, aim_dev_card *card, aim_dev_error *error);
void cu_describe(void *device, char *name, size_t capacity, size_t *total, size_t *available);
/* Bytes that the workspace could have; and what is taken for one of so many: an eighth to spare, if it
 * is there. */
size_t cu_room(const cu_device *d);
size_t cu_ample(const cu_device *d, size_t bytes);
/* Grows the workspace and the pinned blocks; contents are lost. */
int cu_reserve(cu_device *d, size_t workspace, size_t in, size_t out, aim_dev_error *e);
int cu_desk(void *device, size_t bytes, void **block, aim_dev_error *e);

/* network.cu */
int cu_net_create(void *net, void *device, const aim_dev_net *in, const aim_dev_d3_table *d3,
                  aim_dev_error *error);
void cu_net_free(void *net);
/* Copies what gradients by the parameters need, once. */
int cu_put_places(cu_net *net, const aim_dev_places *p, aim_dev_error *e);

/* evaluate.cu */
int cu_run(void *net, aim_dev_job *job, aim_dev_error *error);
size_t cu_workspace(const void *net, const aim_dev_job *job);

/* Makes room for the longest row of a list of the host. */
int cu_check_list(cu_net *net, const aim_dev_job *job, aim_dev_error *e);
/* That list in rows of `capacity`. */
void cu_fill_list(const aim_dev_job *job, int capacity, int *count, int *j, int *shift);
int cu_synchronize(cu_net *net, cu_state *s, aim_dev_error *e);
/* Real-space part and self energies of lattice sums, [n_systems]. */
void cu_fill_screening(const aim_dev_job *job, aim_dsf *screening);
/* Parameters of the embedded terms by kind, [kinds][CU_ELEMENT]. */
void cu_fill_elements(const aim_dev_job *job, const aim_dev_kinds *k, double *element);
/* Bins of the crystals of a job that brings no list; and their grids, [n_systems]. */
int cu_count_bins(const aim_dev_job *job);
void cu_fill_grids(const aim_dev_job *job, cu_grid *grid);

/* Where a device address of the in or out block lies in the pinned copy. */
#define CU_PINNED(block, base, field)                                                              \
    ((decltype(&*(field)))((char *)(block) + ((char *)(field) - (base))))

/* op.cu */
int cu_op_create(void *op, int card, const int32_t *idx, int n, int m, void *stream,
                 aim_dev_error *error);
void cu_op_free(void *op);
int cu_op_run(void *op, const aim_dev_op *what, aim_dev_error *error);

/* memory.cu */
int cu_take(int card, size_t bytes, void **block, aim_dev_error *error);
void cu_give(int card, void *block);
int cu_copy(int card, void *to, const void *from, size_t bytes, void *stream, aim_dev_error *error);
int cu_clear(int card, void *block, size_t bytes, void *stream, aim_dev_error *error);
int cu_can_wait(int card, void *stream, aim_dev_error *error);
int cu_locate(const void *pointer, aim_dev_memory *memory, aim_dev_error *error);

/* matrix.cu */
int cu_list_create(void *list, int card, aim_dev_error *error);
void cu_list_free(void *list);
int cu_list_search(void *list, aim_dev_list *what, aim_dev_error *error);

/* paths.cu */
int cu_paths_create(void *paths, int card, void **stream, aim_dev_error *error);
void cu_paths_free(void *paths);
int cu_paths_send(void *paths, void *to, const void *from, size_t bytes, aim_dev_error *error);
int cu_paths_room(void *paths, aim_dev_moves *moves, aim_dev_error *error);
int cu_paths_place(void *paths, const aim_dev_moves *moves, aim_dev_error *error);
int cu_paths_move(void *paths, const aim_dev_moves *moves, aim_dev_error *error);

/* caller.cu */
/* The caller's part of the in block. */
template <typename real>
void cu_fill_caller(const cu_net *net, const aim_dev_job *job, int n_kinds, const int32_t *number,
                    const cu_work<real> *w);
/* Lets the card wait for the caller's stream. */
int cu_follow(cu_net *net, const aim_dev_job *job, aim_dev_error *e);

/* sweep.cu */
int cu_sweep(void *net, aim_dev_sweep *sweep, aim_dev_error *error);
size_t cu_sweep_bytes(const void *net, const aim_dev_sweep *sweep);

#endif

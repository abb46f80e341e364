/* SPDX-License-Identifier: MIT */
/* opt_run.c - the structures of `aimnet opt` on their way: read when there is room in the pool,
 * advanced together, taken out when finished, delivered in input order.
 *
 * Entries wait in a ring until everything before them has been delivered; it has a fixed size, so
 * that one slow structure bounds what is read ahead of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "opt.h"

enum { QUEUE_SIZE = 4096 };

static void entry_free(opt_entry *e)
{
    cli_item_free(&e->item);
    free(e->numbers);
    memset(e, 0, sizeof *e);
    e->slot = -1;
}

static opt_entry *entry_at(opt_context *c, int k)
{
    return &c->queue[(c->head + k) % c->capacity];
}

static void fail_entry(opt_entry *e, const char *what)
{
    cli_place_message(e->message, &e->item, what);
    e->state.verdict = AIMNET_OPT_FAILED;
    e->done = 1;
}

/* ---------------------------------------------------------------- start */

/* One word of --freeze: "7", "0-5" or an element. Returns 0 with a message if it is none. */
static int freeze_word(const char *word, size_t size, const aimnet_frame *f, uint8_t *frozen,
                       char *message, size_t capacity)
{
    char text[32], *end;
    snprintf(text, sizeof text, "%.*s", (int)(size < 31 ? size : 31), word);
    const int element = aimnet_element_number(text);
    if (text[0] < '0' || text[0] > '9') {
        for (int32_t i = 0; i < f->n_atoms && element > 0; i++)
            frozen[i] |= f->numbers[i] == element;
        if (element == 0)
            snprintf(message, capacity, "--freeze: '%s' is no atom, range or element", text);
        return element > 0;
    }
    const long first = strtol(text, &end, 10),
               last = *end == '-' ? strtol(end + 1, &end, 10) : first;
    if (*end != '\0' || last < first || last >= f->n_atoms) {
        snprintf(message, capacity, "--freeze: '%s': expected atoms from 0 to %d of this structure",
                 text, (int)f->n_atoms - 1);
        return 0;
    }
    for (long i = first; i <= last; i++)
        frozen[i] = 1;
    return 1;
}

static int freeze(const char *list, const aimnet_frame *f, uint8_t *frozen, char *message,
                  size_t capacity)
{
    while (*list) {
        const size_t size = strcspn(list, ",");
        if (!freeze_word(list, size, f, frozen, message, capacity))
            return 0;
        list += size + (list[size] == ',');
    }
    return 1;
}

static int belongs(const aimnet_frame *a, const aimnet_frame *b)
{
    return a->n_atoms == b->n_atoms && a->has_cell == b->has_cell &&
           memcmp(a->numbers, b->numbers, (size_t)a->n_atoms * sizeof *a->numbers) == 0;
}

/* Puts the entry into the pool, or marks it as failed. Returns 0 when memory is short. */
static int start_entry(opt_context *c, opt_entry *e)
{
    aimnet_frame *f = &e->item.frame;
    const aimnet_frame *from = opt_start_of(c, e->number);
    char message[256];
    if (from && !belongs(from, f)) {
        fail_entry(e, "the trajectory holds another structure in this place: it belongs to other "
                      "input");
        return 1;
    }
    if (c->output && aimnet_writer_check(c->output, f) != AIMNET_OK) { /* not after all the work */
        fail_entry(e, aimnet_last_error());
        return 1;
    }
    if (from) {
        memcpy(f->coord, from->coord, 3 * (size_t)f->n_atoms * sizeof *f->coord);
        memcpy(f->cell, from->cell, sizeof f->cell);
    }
    uint8_t *frozen = calloc((size_t)f->n_atoms + 1, 1);
    if (frozen == NULL)
        return 0;
    aimnet_system system = aimnet_frame_system(f);
    cli_engine_override(&c->options->engine, &system);
    if (c->options->freeze && !freeze(c->options->freeze, f, frozen, message, sizeof message)) {
        fail_entry(e, message);
    } else {
        const aimnet_status status = aimnet_opt_add(c->pool, &system, frozen, &e->slot);
        if (status == AIMNET_OK)
            c->n_atoms_running += system.n_atoms;
        else
            fail_entry(e, aimnet_last_error());
    }
    free(frozen);
    return 1;
}

/* The next structure of the input into *e; 0 at the end, -1 when memory is short. */
static int read_entry(opt_context *c, opt_entry *e)
{
    memset(e, 0, sizeof *e);
    e->slot = -1;
    if (c->has_spare) {
        *e = c->spare;
        c->has_spare = 0;
        return 1;
    }
    const cli_next next = cli_stream_next(&c->stream, &e->item);
    if (next == CLI_NEXT_ITEM)
        e->number = c->n_read++;
    return next == CLI_NEXT_ITEM ? 1 : next == CLI_NEXT_END ? 0 : -1;
}

/* Fills the pool. Returns 0 when memory is short. */
static int refill(opt_context *c)
{
    const int64_t limit = cli_engine_batch_atoms(&c->options->engine, c->engine);
    while (!c->input_ended && c->n_queued < c->capacity && c->n_atoms_running < limit) {
        opt_entry *e = entry_at(c, c->n_queued);
        const int got = read_entry(c, e);
        if (got < 0)
            return 0;
        if (got == 0) {
            c->input_ended = 1;
            break;
        }
        c->n_queued++;
        if (e->item.error) {
            snprintf(e->message, sizeof e->message, "%s", e->item.error);
            e->state.verdict = AIMNET_OPT_FAILED;
            e->done = 1;
        } else if (!start_entry(c, e)) {
            return 0;
        }
    }
    return 1;
}

/* ---------------------------------------------------------------- end */

/* Copies the final point out of the pool, whose slot becomes free. */
static int finish_entry(opt_context *c, opt_entry *e, const aimnet_opt_state *s)
{
    const size_t n = (size_t)s->n_atoms;
    aimnet_frame *f = &e->item.frame;
    c->n_atoms_running -= s->n_atoms;
    c->n_evaluations += s->n_evaluations;
    e->done = 1;
    e->state = *s;
    if (s->message[0])
        cli_place_message(e->message, &e->item, s->message);
    e->numbers = malloc((4 * n + 9) * sizeof *e->numbers);
    if (e->numbers == NULL)
        return 0;
    memset(&e->result, 0, sizeof e->result);
    e->result.energy = s->energy;
    e->result.forces = memcpy(e->numbers, s->forces, 3 * n * sizeof(double));
    e->result.charges = memcpy(e->numbers + 3 * n, s->charges, n * sizeof(double));
    if (s->stress)
        e->result.stress = memcpy(e->numbers + 4 * n, s->stress, 9 * sizeof(double));
    snprintf(e->result.warnings, sizeof e->result.warnings, "%s", s->warnings);
    memcpy(f->coord, s->coord, 3 * n * sizeof(double));
    if (s->cell)
        memcpy(f->cell, s->cell, sizeof f->cell);
    f->charge = s->charge;
    f->mult = s->mult;
    aimnet_opt_remove(c->pool, e->slot);
    e->slot = -1;
    return 1;
}

/* Trajectory, steps on the terminal and finished structures after a move of all. */
static int look_at_all(opt_context *c)
{
    for (int k = 0; k < c->n_queued; k++) {
        opt_entry *e = entry_at(c, k);
        aimnet_opt_state s;
        if (e->slot < 0 || aimnet_opt_peek(c->pool, e->slot, &s) != AIMNET_OK)
            continue;
        const int is_new =
            s.n_evaluations > 0 && s.n_steps + 1 > e->n_written && s.verdict != AIMNET_OPT_FAILED;
        const int wants_arrays = s.verdict != AIMNET_OPT_RUNNING || (is_new && c->trajectory);
        if (wants_arrays && aimnet_opt_get(c->pool, e->slot, &s) != AIMNET_OK) {
            cli_error("%s", aimnet_last_error());
            return CLI_FAILED;
        }
        if (is_new && c->trajectory && opt_write_step(c, e, &s) != CLI_OK)
            return CLI_FAILED;
        if (is_new && c->single)
            opt_print_step(c, e, &s);
        if (is_new)
            e->n_written = s.n_steps + 1;
        if (s.verdict != AIMNET_OPT_RUNNING && !finish_entry(c, e, &s)) {
            cli_error("out of memory");
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int deliver(opt_context *c, opt_entry *e)
{
    const aimnet_opt_verdict verdict = e->state.verdict;
    if (verdict == AIMNET_OPT_CONVERGED)
        c->n_converged++;
    else if (verdict == AIMNET_OPT_FAILED)
        c->n_failed++;
    else
        c->n_open++;
    if (verdict != AIMNET_OPT_FAILED) {
        cli_warn_of(&e->item, e->item.frame.warnings);
        cli_warn_of(&e->item, e->result.warnings);
    }
    if (e->message[0] && verdict == AIMNET_OPT_FAILED)
        cli_error("%s", e->message);
    else if (e->message[0])
        cli_warning("%s", e->message);
    opt_print_entry(c, e);
    if (c->output && verdict != AIMNET_OPT_FAILED &&
        aimnet_writer_frame(c->output, &e->item.frame, &e->result) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    return cli_out_flush() ? CLI_OK : CLI_FAILED;
}

static int deliver_finished(opt_context *c)
{
    while (c->n_queued > 0 && entry_at(c, 0)->done) {
        opt_entry *e = entry_at(c, 0);
        const int status = deliver(c, e);
        entry_free(e);
        c->head = (c->head + 1) % c->capacity;
        c->n_queued--;
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

/* ---------------------------------------------------------------- all of it */

static int round_of_all(opt_context *c)
{
    int n_running = 0;
    if (!refill(c)) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    if (c->n_atoms_running > 0 && aimnet_opt_advance(c->pool, &n_running) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    const int status = look_at_all(c);
    return status == CLI_OK ? deliver_finished(c) : status;
}

/* Reads the first two structures: a single one is shown step by step. */
static int look_ahead(opt_context *c)
{
    opt_entry first;
    const int got = read_entry(c, &first);
    if (got <= 0) {
        c->input_ended = got == 0;
        return got == 0;
    }
    const int more = read_entry(c, &c->spare);
    c->single = more == 0;
    c->input_ended = more == 0;
    c->has_spare = more == 1;
    c->queue[0] = first;
    c->n_queued = 1;
    if (first.item.error) {
        snprintf(c->queue[0].message, CLI_MESSAGE_SIZE, "%s", first.item.error);
        c->queue[0].state.verdict = AIMNET_OPT_FAILED;
        c->queue[0].done = 1;
        return more >= 0;
    }
    return more >= 0 && start_entry(c, &c->queue[0]);
}

int opt_run(opt_context *c)
{
    c->capacity = QUEUE_SIZE;
    c->queue = calloc((size_t)c->capacity, sizeof *c->queue);
    if (c->queue == NULL || !look_ahead(c)) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = CLI_OK;
    cli_progress_start(&c->progress, c->options->quiet || c->single);
    while (status == CLI_OK && (c->n_queued > 0 || !c->input_ended)) {
        status = cli_interrupted() ? CLI_INTERRUPTED : round_of_all(c);
        cli_progress_update(&c->progress, -1.0, c->n_converged + c->n_open + c->n_failed,
                            "structures");
    }
    cli_progress_end(&c->progress);
    if (status == CLI_INTERRUPTED)
        cli_error("interrupted%s", c->trajectory ? ": --restart goes on from the trajectory" : "");
    if (status != CLI_OK)
        return status;
    opt_print_end(c);
    if (!cli_out_flush())
        return CLI_FAILED;
    c->completed = 1;
    return c->n_failed > 0 ? CLI_FAILED : c->n_open > 0 ? CLI_NOT_CONVERGED : CLI_OK;
}

void opt_free(opt_context *c)
{
    for (int k = 0; c->queue && k < c->capacity; k++)
        entry_free(&c->queue[k]);
    if (c->has_spare)
        entry_free(&c->spare);
    for (int64_t i = 0; i < c->n_start; i++)
        aimnet_frame_free(&c->start[i].frame);
    free(c->start);
    free(c->queue);
    aimnet_opt_free(c->pool);
}

/* SPDX-License-Identifier: MIT */
/* diff.c - metadata field by field, the YAML line by line, tensors by name, type, shape and values.
 *
 * Fields and lines are compared as sets: "- " stands before what only the first has, "+ " before
 * what only the second has. Values are compared in double; two NaN are equal. */
#include "model/diff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_write.h"

/* The next line, without the comma that ends a field of JSON; *text advances. */
static aim_slice take_line(aim_slice *text)
{
    const char *end = memchr(text->text, '\n', text->size);
    aim_slice line = {text->text, end ? (size_t)(end - text->text) : text->size};
    *text = aim_slice_from(*text, line.size + (end != NULL));
    if (line.size > 0 && line.text[line.size - 1] == ',')
        line.size--;
    return line;
}

static int compare_lines(const void *a, const void *b)
{
    const aim_slice *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return memcmp(x->text, y->text, x->size);
}

/* The lines of a text, sorted; the array is the caller's. */
static aim_status sort_lines(const aim_alloc *a, aim_slice text, aim_slice **line, size_t *n)
{
    size_t most = 1;
    for (size_t i = 0; i < text.size; i++)
        most += text.text[i] == '\n';
    AIM_TRY(aim_new(a, most, sizeof **line, "lines", line));
    for (*n = 0; text.size > 0;)
        (*line)[(*n)++] = take_line(&text);
    qsort(*line, *n, sizeof **line, compare_lines);
    return AIMNET_OK;
}

static aim_status put_missing(const aim_alloc *a, char sign, aim_slice text, aim_slice other,
                              aim_string *out)
{
    char shown[AIM_SHOWN_SIZE];
    aim_slice *sorted = NULL;
    size_t n = 0;
    AIM_TRY(sort_lines(a, other, &sorted, &n));
    aim_status status = AIMNET_OK;
    while (status == AIMNET_OK && text.size > 0) {
        const aim_slice line = take_line(&text);
        if (!bsearch(&line, sorted, n, sizeof line, compare_lines))
            status = aim_string_printf(out, a, "%c %s\n", sign, aim_shown(shown, line));
    }
    aim_free(a, sorted);
    return status;
}

static aim_status diff_text(const aim_alloc *a, aim_slice x, aim_slice y, aim_string *out)
{
    AIM_TRY(put_missing(a, '-', x, y, out));
    return put_missing(a, '+', y, x, out);
}

static aim_status diff_metadata(const aim_alloc *a, const aim_content *x, const aim_content *y,
                                aim_string *out)
{
    const aim_ref p = aim_pickle_get(x->tree, x->metadata, "model_yaml"),
                  q = aim_pickle_get(y->tree, y->metadata, "model_yaml");
    aim_string s = {0}, t = {0};
    aim_status status = aim_json_write(a, x->tree, x->metadata, "model_yaml", &s);
    if (status == AIMNET_OK)
        status = aim_json_write(a, y->tree, y->metadata, "model_yaml", &t);
    if (status == AIMNET_OK)
        status = diff_text(a, (aim_slice){s.data, s.size}, (aim_slice){t.data, t.size}, out);
    if (status == AIMNET_OK) /* the models were read: both have their YAML */
        status = diff_text(a, aim_pickle_text(x->tree, p), aim_pickle_text(y->tree, q), out);
    aim_string_free(&s, a);
    aim_string_free(&t, a);
    return status;
}

/* ---------------------------------------------------------------- tensors */

static aim_status put_tensor(const aim_alloc *a, const char *sign, const aim_tensor *t,
                             aim_string *out)
{
    char shown[AIM_SHOWN_SIZE];
    AIM_TRY(aim_string_printf(out, a, "%s %s %s [", sign, aim_shown(shown, t->name),
                              aim_dtype_name(t->dtype)));
    for (int d = 0; d < t->ndim; d++)
        AIM_TRY(aim_string_printf(out, a, d ? ", %lld" : "%lld", (long long)t->shape[d]));
    return aim_string_printf(out, a, "]\n");
}

static int same_form(const aim_tensor *x, const aim_tensor *y)
{
    return x->dtype == y->dtype && x->ndim == y->ndim &&
           memcmp(x->shape, y->shape, (size_t)x->ndim * sizeof *x->shape) == 0;
}

static aim_status diff_values(const aim_alloc *a, const aim_tensor *x, const aim_tensor *y,
                              aim_string *out)
{
    double *v = NULL, largest = 0.0;
    char shown[AIM_SHOWN_SIZE];
    int64_t n = 0;
    AIM_TRY(aim_new(a, 2 * (size_t)x->count, sizeof *v, "values of a tensor", &v));
    aim_status status = aim_tensor_to_double(x, v);
    if (status == AIMNET_OK)
        status = aim_tensor_to_double(y, v + x->count);
    for (int64_t i = 0; status == AIMNET_OK && i < x->count; i++) {
        const double p = v[i], q = v[x->count + i];
        if (p == q || (isnan(p) && isnan(q)))
            continue;
        n++;
        largest = fmax(largest, isfinite(p) && isfinite(q) ? fabs(p - q) : INFINITY);
    }
    aim_free(a, v);
    AIM_TRY(status);
    if (n == 0)
        return AIMNET_OK;
    return aim_string_printf(out, a, "~ %s: %lld of %lld elements differ, at most by %.3g\n",
                             aim_shown(shown, x->name), (long long)n, (long long)x->count, largest);
}

static aim_status diff_tensors(const aim_alloc *a, const aim_content *x, const aim_content *y,
                               aim_string *out)
{
    for (size_t i = 0; i < x->n_tensors; i++) {
        const aim_tensor *t = &x->tensor[i];
        const size_t k = aim_names_find(y->names, t->name);
        if (k == AIM_NO_NAME || !same_form(t, &y->tensor[k]))
            AIM_TRY(put_tensor(a, "-", t, out));
        if (k != AIM_NO_NAME && !same_form(t, &y->tensor[k]))
            AIM_TRY(put_tensor(a, "+", &y->tensor[k], out));
        else if (k != AIM_NO_NAME && t->dtype <= AIM_BFLOAT16)
            AIM_TRY(diff_values(a, t, &y->tensor[k], out));
    }
    for (size_t i = 0; i < y->n_tensors; i++)
        if (aim_names_find(x->names, y->tensor[i].name) == AIM_NO_NAME)
            AIM_TRY(put_tensor(a, "+", &y->tensor[i], out));
    return AIMNET_OK;
}

aim_status aim_content_diff(const aim_alloc *a, const aim_content *x, const aim_content *y,
                            aim_string *out)
{
    AIM_TRY(diff_metadata(a, x, y, out));
    return diff_tensors(a, x, y, out);
}

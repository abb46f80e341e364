/* SPDX-License-Identifier: MIT */
/* names.c - sorted index over slices by heapsort: no recursion, no extra memory, n log n for every
 * input. */
#include "io/names.h"

#include <string.h>

int aim_slice_is(aim_slice s, const char *text)
{
    return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

int aim_slice_starts(aim_slice s, const char *prefix)
{
    const size_t n = strlen(prefix);
    return s.size >= n && memcmp(s.text, prefix, n) == 0;
}

aim_slice aim_slice_from(aim_slice s, size_t n)
{
    return (aim_slice){s.text + n, s.size - n};
}

const char *aim_shown(char out[AIM_SHOWN_SIZE], aim_slice s)
{
    static const char more[] = "...";
    const size_t room = AIM_SHOWN_SIZE - sizeof more;
    const size_t n = s.size < room ? s.size : room;
    for (size_t i = 0; i < n; i++)
        out[i] = s.text[i] >= ' ' && s.text[i] <= '~' ? s.text[i] : '?';
    memcpy(out + n, more, sizeof more);
    if (n == s.size)
        out[n] = '\0';
    return out;
}

static aim_slice name_of(const aim_names *names, size_t item)
{
    aim_slice s;
    memcpy(&s, names->items + item * names->stride, sizeof s);
    return s;
}

static int compare(aim_slice a, aim_slice b)
{
    const size_t n = a.size < b.size ? a.size : b.size;
    const int c = n ? memcmp(a.text, b.text, n) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

/* Moves order[root] down until the heap of `count` numbers is one again. */
static void sift_down(aim_names *names, size_t root, size_t count)
{
    uint32_t *order = names->order;
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count &&
            compare(name_of(names, order[child]), name_of(names, order[child + 1])) < 0)
            child++;
        if (compare(name_of(names, order[root]), name_of(names, order[child])) >= 0)
            return;
        const uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

aim_status aim_names_create(aim_names *names, const aim_alloc *a, const void *items, size_t stride,
                            size_t count)
{
    *names = (aim_names){.items = items, .stride = stride, .count = count};
    if (count > UINT32_MAX)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%zu names are more than this reader takes", count);
    AIM_TRY(aim_new(a, count, sizeof *names->order, "index of names", &names->order));
    for (size_t i = 0; i < count; i++)
        names->order[i] = (uint32_t)i;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(names, i, count);
    for (size_t end = count; end-- > 1;) {
        const uint32_t swap = names->order[0];
        names->order[0] = names->order[end];
        names->order[end] = swap;
        sift_down(names, 0, end);
    }
    return AIMNET_OK;
}

void aim_names_free(aim_names *names, const aim_alloc *a)
{
    aim_free(a, names->order);
    *names = (aim_names){0};
}

size_t aim_names_find(const aim_names *names, aim_slice name)
{
    for (size_t low = 0, high = names->count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        const int c = compare(name, name_of(names, names->order[middle]));
        if (c == 0)
            return names->order[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return AIM_NO_NAME;
}

size_t aim_names_duplicate(const aim_names *names)
{
    for (size_t i = 1; i < names->count; i++)
        if (compare(name_of(names, names->order[i - 1]), name_of(names, names->order[i])) == 0)
            return names->order[i];
    return AIM_NO_NAME;
}

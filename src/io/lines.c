/* SPDX-License-Identifier: MIT */
/* lines.c - a sliding window over a source, cut into lines.
 *
 * The window holds the last line, whatever follows the mark, and what was read ahead; it grows only
 * for long lines, so a file of any size is read in constant memory. A byte of white space stands
 * after every line, also after the last one of a file without a final newline: scanners may look at
 * text[size]. A UTF-8 byte order mark at the start is skipped. Used by the readers. */
#include "io/lines.h"

#include <string.h>

enum {
    WINDOW = 1 << 18, /* first size, bytes */
    SLACK = 4096,     /* of the window of a small file */
    PEEK_LINES = 4,   /* an SDF file shows itself on line 4 */
    PEEK_BYTES = 1 << 16,
};

/* Drops what nobody needs and makes room for more. */
static aim_status make_room(aim_lines *l)
{
    size_t keep = l->last < l->pos ? l->last : l->pos;
    if (l->mark < keep)
        keep = l->mark;
    if (keep > 0) {
        memmove(l->data, l->data + keep, l->end - keep);
        l->pos -= keep;
        l->end -= keep;
        l->last -= keep;
        if (l->mark != SIZE_MAX)
            l->mark -= keep;
    }
    if (l->capacity - l->end > l->capacity / 4)
        return AIMNET_OK;
    const int small = l->source.size >= 0 && l->source.size < WINDOW / 2;
    const size_t first = small ? (size_t)(2 * l->source.size + SLACK) : WINDOW;
    const size_t capacity = l->capacity ? 2 * l->capacity : first;
    AIM_TRY(
        aim_grow(&l->source.alloc, l->end, capacity, 1, "a line of a structure file", &l->data));
    l->capacity = capacity;
    return AIMNET_OK;
}

/* Reads more bytes behind `end`; one byte of the window stays free for the final white space. */
static aim_status fill(aim_lines *l)
{
    size_t got;
    AIM_TRY(make_room(l));
    AIM_TRY(aim_source_read(&l->source, l->data + l->end, l->capacity - l->end - 1, &got));
    l->end += got;
    l->at_end = got == 0;
    l->data[l->end] = '\n';
    return AIMNET_OK;
}

static aim_status skip_byte_order_mark(aim_lines *l)
{
    const unsigned char *head = (const unsigned char *)l->data;
    if (l->end >= 3 && head[0] == 0xEF && head[1] == 0xBB && head[2] == 0xBF)
        l->pos = l->last = 3;
    if (l->end >= 2 &&
        ((head[0] == 0xFF && head[1] == 0xFE) || (head[0] == 0xFE && head[1] == 0xFF)))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: UTF-16 text; expected UTF-8 or ASCII: save it as UTF-8",
                        l->source.name);
    return AIMNET_OK;
}

static size_t count_lines(const aim_lines *l)
{
    size_t n = 0;
    for (const char *p = l->data; (p = memchr(p, '\n', l->end - (size_t)(p - l->data))) != NULL;
         p++)
        n++;
    return n;
}

aim_status aim_lines_start(aim_lines *l)
{
    l->mark = SIZE_MAX;
    do {
        AIM_TRY(fill(l));
    } while (!l->at_end && l->end < PEEK_BYTES && count_lines(l) < PEEK_LINES);
    return skip_byte_order_mark(l);
}

/* The rest of a line whose beginning is at [last, last + AIM_LINE_MAX) is thrown away. */
static aim_status discard_rest(aim_lines *l, aim_line *line)
{
    l->mark = SIZE_MAX;
    l->can_unread = 0;
    const size_t cut = l->last + AIM_LINE_MAX;
    for (;;) {
        const char *found = memchr(l->data + cut, '\n', l->end - cut);
        if (found || l->at_end) {
            l->pos = found ? (size_t)(found - l->data) + 1 : l->end;
            break;
        }
        l->end = cut;
        size_t got;
        AIM_TRY(aim_source_read(&l->source, l->data + cut, l->capacity - cut - 1, &got));
        l->end += got;
        l->at_end = got == 0;
    }
    l->data[cut - 1] = '\n';
    line->text = l->data + l->last;
    line->size = AIM_LINE_MAX - 1;
    line->too_long = 1;
    return AIMNET_OK;
}

aim_status aim_lines_next(aim_lines *l, aim_line *line)
{
    size_t searched = 0; /* of the line, bytes known to hold no newline */
    const char *found;
    *line = (aim_line){.number = l->number + 1};
    l->last = l->pos;
    l->can_unread = 1;
    for (;;) {
        found = memchr(l->data + l->pos + searched, '\n', l->end - l->pos - searched);
        searched = l->end - l->pos;
        if (found || l->at_end || searched > AIM_LINE_MAX)
            break;
        AIM_TRY(fill(l));
    }
    if (!found && searched == 0)
        return AIMNET_OK;
    l->number++;
    const char *text = l->data + l->pos;
    size_t size = found ? (size_t)(found - text) : searched;
    if (size > AIM_LINE_MAX)
        return discard_rest(l, line);
    l->pos += size + (found != NULL);
    if (size > 0 && text[size - 1] == '\r')
        size--;
    line->text = text;
    line->size = size;
    line->unterminated = !found;
    return AIMNET_OK;
}

void aim_lines_unread(aim_lines *l)
{
    if (!l->can_unread || l->pos == l->last)
        return;
    l->pos = l->last;
    l->number--;
}

void aim_lines_mark(aim_lines *l)
{
    l->mark = l->pos;
    l->mark_number = l->number;
}

int aim_lines_rewind(aim_lines *l)
{
    if (l->mark == SIZE_MAX)
        return 0;
    l->pos = l->last = l->mark;
    l->number = l->mark_number;
    l->mark = SIZE_MAX;
    l->can_unread = 0;
    return 1;
}

int64_t aim_lines_remaining(const aim_lines *l)
{
    if (l->source.size < 0 || l->source.zip)
        return -1;
    const int64_t in_file = l->source.size - l->source.consumed;
    return (in_file > 0 ? in_file : 0) + (int64_t)(l->end - l->pos);
}

int64_t aim_lines_consumed(const aim_lines *l)
{
    return l->source.zip ? l->source.consumed : l->source.consumed - (int64_t)(l->end - l->pos);
}

void aim_lines_close(aim_lines *l)
{
    aim_free(&l->source.alloc, l->data);
    l->data = NULL;
    aim_source_close(&l->source);
}

/* SPDX-License-Identifier: MIT */
/* npy.c - NumPy's .npy format (numpy.lib.format): magic, version, length of the header, a Python
 * dictionary with the keys descr, fortran_order and shape, then the values.
 *
 * The dictionary is parsed as exactly that: three keys, a quoted type, True or False, a tuple of
 * non-negative integers. Anything else is refused with its place; nothing is evaluated. */
#include "io/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/bytes.h"
#include "io/little.h"
#include "io/names.h"

static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { ALIGNMENT = 64, START_1 = 10, START_2 = 12, HEADER_MAX = 1 << 16 };

typedef struct parser {
    const char *name;
    const char *at, *end;
    char type[4]; /* "<f8" */
    int has_type, has_order, has_shape;
    aim_npy *npy;
} parser;

static aim_status malformed(const parser *p, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "%s: not a .npy file of numbers: %s", p->name, what);
}

static void skip_blanks(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n'))
        p->at++;
}

/* The next character that is not blank, if it is c. */
static int take(parser *p, char c)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != c)
        return 0;
    p->at++;
    return 1;
}

static int take_word(parser *p, const char *word)
{
    const size_t n = strlen(word);
    skip_blanks(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return 0;
    p->at += n;
    return 1;
}

/* 'text', without escapes */
static int take_text(parser *p, const char **text, size_t *size)
{
    skip_blanks(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"'))
        return 0;
    const char quote = *p->at++;
    *text = p->at;
    while (p->at < p->end && *p->at != quote)
        p->at++;
    if (p->at == p->end)
        return 0;
    *size = (size_t)(p->at++ - *text);
    return 1;
}

static aim_status parse_type(parser *p)
{
    const char *text = "";
    size_t size = 0;
    if (!take_text(p, &text, &size))
        return malformed(p, "its type is not a plain one");
    if (size != 3 || (text[0] != '<' && text[0] != '>') || text[1] != 'f' ||
        (text[2] != '8' && text[2] != '4')) {
        char shown[AIM_SHOWN_SIZE];
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%s: numbers of type '%s': expected float64 or float32",
                        p->name, aim_shown(shown, (aim_slice){text, size}));
    }
    memcpy(p->type, text, 3);
    p->has_type = 1;
    return AIMNET_OK;
}

static aim_status parse_shape(parser *p)
{
    aim_npy *a = p->npy;
    p->has_shape = 1;
    a->n_dims = 0;
    if (!take(p, '('))
        return malformed(p, "its shape is not a tuple");
    while (!take(p, ')')) {
        int64_t n = 0;
        const char *start = p->at;
        for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
            if (n > INT64_MAX / 10 - 1)
                return malformed(p, "its shape is too large");
            n = 10 * n + (*p->at - '0');
        }
        if (p->at == start)
            return malformed(p, "its shape is not a tuple of integers");
        if (a->n_dims == AIM_NPY_DIMS)
            return malformed(p, "it has more than 4 dimensions");
        a->shape[a->n_dims++] = n;
        skip_blanks(p);
        if (!take(p, ',') && (p->at == p->end || *p->at != ')'))
            return malformed(p, "its shape does not end");
        skip_blanks(p);
    }
    return AIMNET_OK;
}

static aim_status parse_entry(parser *p)
{
    const char *key = "";
    size_t size = 0;
    if (!take_text(p, &key, &size) || !take(p, ':'))
        return malformed(p, "its header is not a dictionary");
    if (size == 5 && memcmp(key, "descr", 5) == 0)
        return parse_type(p);
    if (size == 5 && memcmp(key, "shape", 5) == 0)
        return parse_shape(p);
    if (size != 13 || memcmp(key, "fortran_order", 13) != 0)
        return malformed(p, "its header has an unknown key");
    p->has_order = 1;
    if (take_word(p, "True"))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: in Fortran order; save it with numpy.ascontiguousarray", p->name);
    return take_word(p, "False") ? AIMNET_OK
                                 : malformed(p, "fortran_order is neither True nor "
                                                "False");
}

static aim_status parse_header(parser *p)
{
    if (!take(p, '{'))
        return malformed(p, "its header is not a dictionary");
    while (!take(p, '}')) {
        AIM_TRY(parse_entry(p));
        if (!take(p, ',') && (p->at == p->end || *p->at != '}'))
            return malformed(p, "its header does not end");
    }
    skip_blanks(p);
    if (p->at != p->end)
        return malformed(p, "something follows its header");
    if (!p->has_type || !p->has_order || !p->has_shape)
        return malformed(p, "its header lacks descr, fortran_order or shape");
    return AIMNET_OK;
}

/* Number of values, which must fill `size` bytes exactly. */
static aim_status count_values(const parser *p, size_t size)
{
    const size_t width = (size_t)(p->type[2] - '0'), available = size / width;
    uint64_t n = 1;
    for (int d = 0; d < p->npy->n_dims; d++) {
        const uint64_t extent = (uint64_t)p->npy->shape[d];
        if (extent != 0 && n > available / extent + 1)
            return malformed(p, "it is shorter than its shape says");
        n *= extent;
    }
    if (n > available || n * width != size)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: %zu bytes of data where the shape says %" PRIu64 " numbers of %zu",
                        p->name, size, n, width);
    p->npy->count = (size_t)n;
    return AIMNET_OK;
}

static double value(const char type[4], const unsigned char *bytes)
{
    unsigned char little[8] = {0};
    const int width = type[2] - '0';
    for (int k = 0; k < width; k++)
        little[k] = bytes[type[0] == '<' ? k : width - 1 - k];
    if (width == 8) {
        const uint64_t bits = aim_le64(little);
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    const uint32_t bits = aim_le32(little);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

aim_status aim_npy_parse(const aim_alloc *alloc, const unsigned char *bytes, size_t size,
                         const char *name, aim_npy *npy)
{
    *npy = (aim_npy){0};
    parser p = {.name = name, .npy = npy};
    if (size < START_2 || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return malformed(&p, "it does not begin with \\x93NUMPY");
    if (bytes[6] < 1 || bytes[6] > 3)
        return malformed(&p, "its version is none of 1, 2 and 3");
    const size_t start = bytes[6] == 1 ? START_1 : START_2;
    const uint32_t length = bytes[6] == 1 ? aim_le16(bytes + 8) : aim_le32(bytes + 8);
    if (length > HEADER_MAX || length > size - start)
        return malformed(&p, "it ends within its header");
    p.at = (const char *)bytes + start;
    p.end = p.at + length;
    AIM_TRY(parse_header(&p));
    const size_t at = start + length, width = (size_t)(p.type[2] - '0');
    AIM_TRY(count_values(&p, size - at));
    AIM_TRY(aim_new(alloc, npy->count, sizeof(double), name, &npy->data));
    for (size_t k = 0; k < npy->count; k++)
        npy->data[k] = value(p.type, bytes + at + k * width);
    return AIMNET_OK;
}

aim_status aim_npy_read(const aim_alloc *alloc, const char *path, aim_npy *npy)
{
    unsigned char *bytes;
    size_t size;
    *npy = (aim_npy){0};
    AIM_TRY(aim_bytes_read(alloc, path, &bytes, &size));
    const aim_status status = aim_npy_parse(alloc, bytes, size, path, npy);
    aim_free(alloc, bytes);
    return status;
}

aim_status aim_npy_begin(aim_outfile *out, const aim_alloc *alloc, const char *path, int64_t rows,
                         int64_t columns)
{
    static const uint16_t one = 1;
    char header[2 * ALIGNMENT + 1];
    const char order = *(const unsigned char *)&one ? '<' : '>';
    const int n =
        snprintf(header + START_1, sizeof header - START_1,
                 "{'descr': '%cf8', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }",
                 order, rows, columns);
    const size_t total = (START_1 + (size_t)n + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memcpy(header, MAGIC, sizeof MAGIC);
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)((total - START_1) & 0xff);
    header[9] = (char)((total - START_1) >> 8);
    memset(header + START_1 + n, ' ', total - START_1 - (size_t)n);
    header[total - 1] = '\n';
    AIM_TRY(aim_outfile_open(out, alloc, path));
    const aim_status status = aim_outfile_write(out, header, total);
    if (status != AIMNET_OK)
        aim_outfile_close(out);
    return status;
}

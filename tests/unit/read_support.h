/* SPDX-License-Identifier: MIT */
/* read_support.h - helpers of the tests of structure files: read text, expect a frame or a message.
 */
#ifndef AIM_TESTS_READ_SUPPORT_H
#define AIM_TESTS_READ_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aimnet_io.h"

/* A reader over text with the name "t". */
static inline aimnet_reader *read_text(const char *text, const char *format)
{
    aimnet_reader *reader;
    if (aimnet_reader_open_memory(text, strlen(text), "t", format, &reader) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return reader;
}

static inline void expect_ok(aimnet_reader *reader, aimnet_frame *frame, int n_atoms)
{
    if (aimnet_reader_next(reader, frame) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(frame->n_atoms, n_atoms);
}

/* The next structure is refused, and the message begins with "t:LINE: " and has the words. */
static inline void expect_refused(aimnet_reader *reader, aimnet_frame *frame, int line,
                                  const char *words)
{
    char place[32];
    snprintf(place, sizeof place, "t:%d: ", line);
    assert_int_equal(aimnet_reader_next(reader, frame), AIMNET_ERR_FORMAT);
    if (strncmp(aimnet_last_error(), place, strlen(place)) != 0 ||
        !strstr(aimnet_last_error(), words))
        fail_msg("expected \"%s...%s...\", found \"%s\"", place, words, aimnet_last_error());
}

static inline void expect_end(aimnet_reader *reader, aimnet_frame *frame)
{
    const aimnet_status status = aimnet_reader_next(reader, frame);
    if (status != AIMNET_ERR_END)
        fail_msg("status %d, expected the end: %s", (int)status, aimnet_last_error());
    aimnet_frame_free(frame);
    aimnet_reader_close(reader);
}

/* text holds one good structure; it stays in *frame. */
static inline void read_one(const char *text, const char *format, aimnet_frame *frame, int n_atoms)
{
    aimnet_reader *reader = read_text(text, format);
    aimnet_frame none = {0};
    expect_ok(reader, frame, n_atoms);
    expect_end(reader, &none);
}

/* text holds one bad structure. */
static inline void refuse_one(const char *text, const char *format, int line, const char *words)
{
    aimnet_frame frame = {0};
    aimnet_reader *reader = read_text(text, format);
    expect_refused(reader, &frame, line, words);
    expect_end(reader, &frame);
}

#endif

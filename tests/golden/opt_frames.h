/* SPDX-License-Identifier: MIT */
/* opt_frames.h - structures whose minima ASE knows (tests/reference/make_opt.py), for tests of optimisations. */
#ifndef AIM_TESTS_OPT_FRAMES_H
#define AIM_TESTS_OPT_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "aimnet_io.h"

enum { MAX_FRAMES = 16 };

/* Those of a file in tests/golden/opt; returns their number. */
static inline int read_frames(const char *name, aimnet_frame frames[MAX_FRAMES])
{
    char path[512];
    aimnet_reader *reader;
    int n = 0;
    snprintf(path, sizeof path, AIM_SOURCE_DIR "/tests/golden/opt/%s", name);
    memset(frames, 0, MAX_FRAMES * sizeof *frames);
    assert_int_equal(aimnet_reader_open(path, NULL, &reader), AIMNET_OK);
    while (n < MAX_FRAMES && aimnet_reader_next(reader, &frames[n]) == AIMNET_OK)
        n++;
    aimnet_reader_close(reader);
    assert_true(n > 0);
    return n;
}

#endif

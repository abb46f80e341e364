/* SPDX-License-Identifier: MIT */
/* full_size.h - a random-weight model of the full published architecture, made from 16 kB of
 * committed files.
 *
 * The recipe is explained in tests/reference/make_full_size.py, which makes the same bytes. Used
 * by tests and benchmarks. */
#ifndef AIM_TEST_FULL_SIZE_H
#define AIM_TEST_FULL_SIZE_H

#include <stddef.h>

/* The bytes of the model file (free() them), from full_size.pt.gz and full_size.txt in `folder`;
 * NULL with a line on standard error when something is wrong with these files. */
unsigned char *full_size_model(const char *folder, size_t *size);

#endif

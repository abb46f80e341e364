/* SPDX-License-Identifier: MIT */
/* fail_malloc.h - makes malloc, calloc, realloc and strdup themselves fail, also inside libyaml
 * and zlib.
 *
 * For tests built with aim_unit_test(... WRAP_MALLOC): the linker sends the program's calls here
 * (archives included; what libc calls within itself is not affected). Leaks are found by the
 * address sanitizer's build.
 *
 *     for (long n = 1; failed; n++) {
 *         fail_malloc_arm(n, 0);
 *         status = ...;
 *         failed = fail_malloc_disarm();
 *     } */
#ifndef AIM_TESTS_FAIL_MALLOC_H
#define AIM_TESTS_FAIL_MALLOC_H

/* The n-th call from now (from 1; 0: none, only count) fails; with `sticky` all later ones, too. */
void fail_malloc_arm(long n, int sticky);
/* Everything works again. Returns how many calls were refused since fail_malloc_arm(). */
long fail_malloc_disarm(void);
/* Calls since fail_malloc_arm(). */
long fail_malloc_calls(void);

#endif

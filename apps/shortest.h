/* SPDX-License-Identifier: MIT */
/* shortest.h - the shortest decimal of 15, 16 or 17 digits that reads back to the same double. */
#ifndef CLI_SHORTEST_H
#define CLI_SHORTEST_H

#include <stddef.h>

/* value must be finite; text needs 32 bytes. Returns the length (the text is terminated). */
size_t cli_shortest(char *text, double value);

#endif

/* SPDX-License-Identifier: MIT */
/* json.h - JSON to standard output: one object per line, commas handled here. Numbers are the
 * shortest decimals that read back to the same double; what is not finite becomes null; text that
 * is not UTF-8 gets U+FFFD for each wrong byte. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stddef.h>
#include <stdint.h>

void cli_json_open(void);  /* "{" */
void cli_json_close(void); /* "}" */
void cli_json_end(void);   /* "}" and a newline */
void cli_json_key(const char *key);
void cli_json_open_list(void);
void cli_json_close_list(void);

/* Values: after a key, or as elements of a list. */
void cli_json_text(const char *text);
void cli_json_text_part(const char *text, size_t size);
/* Every line of `lines` (NULL: none) as a text. */
void cli_json_lines(const char *lines);
void cli_json_int(int64_t value);
void cli_json_real(double value);
void cli_json_bool(int value);
/* [n] numbers; or, with width > 0, [n][width]. */
void cli_json_reals(const double *values, size_t n, size_t width);

#endif

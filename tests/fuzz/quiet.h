/* SPDX-License-Identifier: MIT */
/* quiet.h - before the source of a command: its complaints are formatted, but not printed a million
 * times. */
#ifndef QUIET_H
#define QUIET_H

#include <stdarg.h>
#include <stdio.h>

#include "console.h"
#include "guard.h"

#define cli_error quiet_error
static void quiet_error(const char *format, ...) CLI_PRINTF(1, 2);

static void quiet_error(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    demand(vsnprintf(text, sizeof text, format, arguments) >= 0, "complaints are formatted");
    va_end(arguments);
}

#endif

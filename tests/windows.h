/* SPDX-License-Identifier: MIT */
/* windows.h - what the tests call of POSIX and MinGW-w64 lacks, or has with other arguments. Included
 * into every test program on Windows by its compiler's options; the tests themselves do not name it. */
#ifndef AIM_TESTS_WINDOWS_H
#define AIM_TESTS_WINDOWS_H

#include <direct.h>
#include <stdlib.h>

#define mkdir(path, mode) _mkdir(path)

static inline int setenv(const char *name, const char *value, int overwrite)
{
    return overwrite || !getenv(name) ? _putenv_s(name, value) : 0;
}

static inline int unsetenv(const char *name)
{
    return _putenv_s(name, "");
}

#endif

/* SPDX-License-Identifier: MIT */
/* build.c - what this library was built with and what it found on this machine: aimnet_version(), aimnet_build(). */
#include "aimnet.h"
#include "backend/isa.h"
#include "base/threads.h"

#define TEXT_OF(number)              #number
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

const char *aimnet_version(void)
{
    return VERSION(AIMNET_VERSION_MAJOR, AIMNET_VERSION_MINOR, AIMNET_VERSION_PATCH);
}

aimnet_build_info aimnet_build(void)
{
    const aimnet_build_info info = {
        .version = aimnet_version(),
        .compiler = COMPILER,
        .isa = aim_cpu_isa_name(aim_cpu_isa()),
        .processors = aim_processors(),
    };
    return info;
}

# SPDX-License-Identifier: MIT
# Cross build for 64-bit Windows with Debian's MinGW-w64 (POSIX threads); tests run under Wine. AIMNET_MINGW_ROOT (variable or environment) is the
# folder that tools/mingw_sysroot.sh has filled. Preset: mingw.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
if(NOT AIMNET_MINGW_ROOT)
    set(AIMNET_MINGW_ROOT $ENV{AIMNET_MINGW_ROOT})
endif()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AIMNET_MINGW_ROOT)
set(CMAKE_FIND_ROOT_PATH ${AIMNET_MINGW_ROOT} /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# Programs stand alone: winpthreads, zlib and libyaml inside. printf of C99 instead of msvcrt's; 64-bit file offsets.
set(CMAKE_C_FLAGS_INIT "-D__USE_MINGW_ANSI_STDIO=1 -D_FILE_OFFSET_BITS=64 -DYAML_DECLARE_STATIC")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-static")
find_program(AIMNET_WINE NAMES wine64 wine PATHS /usr/lib/wine) # Debian's wine64 is not in PATH
if(AIMNET_WINE)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${AIMNET_WINE})
endif()

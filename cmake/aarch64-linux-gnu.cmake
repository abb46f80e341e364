# SPDX-License-Identifier: MIT
# Cross build for Linux on aarch64 with Debian's gcc-aarch64-linux-gnu; tests run under qemu-user. AIMNET_ARM64_ROOT (variable or environment) is the
# folder that tools/arm64_sysroot.sh has filled. Preset: aarch64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
if(NOT AIMNET_ARM64_ROOT)
    set(AIMNET_ARM64_ROOT $ENV{AIMNET_ARM64_ROOT})
endif()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AIMNET_ARM64_ROOT)
set(CMAKE_FIND_ROOT_PATH ${AIMNET_ARM64_ROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(library_folder ${AIMNET_ARM64_ROOT}/usr/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${library_folder}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu -E
    LD_LIBRARY_PATH=${library_folder}:${library_folder}/lapack:${library_folder}/blas:/usr/aarch64-linux-gnu/lib)

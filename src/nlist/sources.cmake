# SPDX-License-Identifier: MIT
# The search exists for the base instruction set and, on x86-64, for AVX2 and AVX-512: nlist.c chooses when it runs. No contraction of
# multiplications and additions anywhere in this folder, so that all decide alike whether a pair is inside the cutoff.
set(AIM_NLIST_SOURCES atoms.c lattice.c matrix.c nlist.c pairs.c place.c reverse.c scan.c skin.c wrap.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    list(APPEND AIM_NLIST_SOURCES scan_avx2.c scan_avx512.c)
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/nlist.c PROPERTIES COMPILE_DEFINITIONS AIM_NLIST_X86=1)
endif()
list(TRANSFORM AIM_NLIST_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
target_sources(aimnet_objects PRIVATE ${AIM_NLIST_SOURCES})
set_source_files_properties(${AIM_NLIST_SOURCES} PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/scan.c PROPERTIES COMPILE_OPTIONS "-O3;-fno-math-errno;-fno-trapping-math;-ffp-contract=off")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/scan_avx2.c PROPERTIES COMPILE_OPTIONS "-O3;-mavx2;-fno-math-errno;-fno-trapping-math;-ffp-contract=off")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/scan_avx512.c PROPERTIES COMPILE_OPTIONS "-O3;-mavx512f;-mavx512dq;-mprefer-vector-width=512;-fno-math-errno;-fno-trapping-math;-ffp-contract=off")

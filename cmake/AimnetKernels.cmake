# SPDX-License-Identifier: MIT
# Sources that are built more than once.
#
# aim_add_twice(OUT files...)        net, term and the evaluating half of calc, once per precision:
#                                    -DAIM_REAL_DOUBLE=0 and 1; their external names differ by the suffix macro of the sources.
# aim_add_cpu_kernels(OUT stems...)  src/backend/cpu/<stem>.c, once per instruction set and precision:
#                                    -DAIM_ISA=base|avx2|avx512 -DAIM_REAL_DOUBLE=0|1. Only `base` exists outside x86-64.
# aim_add_cpu_double_kernels(OUT stems...)   the same for what exists in double precision only (the terms' pair loops).
# Both append the objects to the list OUT. Contraction to fused multiply-adds is allowed; nothing that reorders sums is.
set(AIM_MATH_FLAGS -ffp-contract=fast -fno-math-errno -fno-trapping-math)

set(AIM_ISA_FLAGS_base "")
set(AIM_ISA_FLAGS_avx2 -mavx2 -mfma)
set(AIM_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512)
set(AIM_ISAS base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    list(APPEND AIM_ISAS avx2 avx512)
endif()

function(aim_add_variant out target sources)
    add_library(${target} OBJECT ${sources})
    aim_library_sources(${target})
    target_compile_options(${target} PRIVATE ${AIM_MATH_FLAGS} $<$<NOT:$<CONFIG:Debug>>:-O3>)
    set(${out} ${${out}} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
endfunction()

function(aim_add_twice out)
    if(ARGN)
        foreach(double IN ITEMS 0 1)
            aim_add_variant(${out} aimnet_real${double} "${ARGN}")
            target_compile_definitions(aimnet_real${double} PRIVATE AIM_REAL_DOUBLE=${double})
        endforeach()
    endif()
    set(${out} ${${out}} PARENT_SCOPE)
endfunction()

# Objects of the stems for every instruction set and each precision of `doubles` (a list of 0 and 1); `kind` names the targets.
function(aim_add_isa_variants out kind doubles)
    list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/src/backend/cpu/ OUTPUT_VARIABLE files)
    list(TRANSFORM files APPEND .c)
    if(files)
        foreach(isa IN LISTS AIM_ISAS)
            foreach(double IN LISTS doubles)
                set(target aimnet_${kind}_${isa}_real${double})
                aim_add_variant(${out} ${target} "${files}")
                target_compile_definitions(${target} PRIVATE AIM_ISA=${isa} AIM_REAL_DOUBLE=${double})
                target_compile_options(${target} PRIVATE -O3 ${AIM_ISA_FLAGS_${isa}})
            endforeach()
        endforeach()
    endif()
    set(${out} ${${out}} PARENT_SCOPE)
endfunction()

function(aim_add_cpu_kernels out)
    aim_add_isa_variants(${out} cpu "0;1" ${ARGN})
    set(${out} ${${out}} PARENT_SCOPE)
endfunction()

function(aim_add_cpu_double_kernels out)
    aim_add_isa_variants(${out} cpu_pairs "1" ${ARGN})
    set(${out} ${${out}} PARENT_SCOPE)
endfunction()

# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/device.c ${CMAKE_CURRENT_LIST_DIR}/isa.c ${CMAKE_CURRENT_LIST_DIR}/term_kernels.c)
list(APPEND AIM_TWICE_SOURCES ${CMAKE_CURRENT_LIST_DIR}/open.c)
list(APPEND AIM_CPU_DOUBLE_KERNELS coulomb_cpu d3_cpu ewald_cpu fft_cpu pme_cpu radial_cpu rows_cpu tangent_cpu
     term_table_cpu)
list(APPEND AIM_CPU_KERNELS charge_cpu conv_cpu conv_op_cpu conv_tan_cpu features_cpu linear_cpu table_cpu
     weight_tan_cpu)
list(APPEND AIM_TWICE_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/ref/charge_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/conv_op_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/conv_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/conv_tan_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/features_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/linear_ref.c
    ${CMAKE_CURRENT_LIST_DIR}/ref/table_ref.c)

# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/coulomb.c
    ${CMAKE_CURRENT_LIST_DIR}/coulomb_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/d3.c
    ${CMAKE_CURRENT_LIST_DIR}/d3_expand.c
    ${CMAKE_CURRENT_LIST_DIR}/d3_table.c
    ${CMAKE_CURRENT_LIST_DIR}/d3_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/d3ts.c
    ${CMAKE_CURRENT_LIST_DIR}/ewald.c
    ${CMAKE_CURRENT_LIST_DIR}/ewald_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/fft.c
    ${CMAKE_CURRENT_LIST_DIR}/pme.c
    ${CMAKE_CURRENT_LIST_DIR}/pme_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/rows.c
    ${CMAKE_CURRENT_LIST_DIR}/rows_walk.c
    ${CMAKE_CURRENT_LIST_DIR}/sweep.c
    ${CMAKE_CURRENT_LIST_DIR}/srrep.c)

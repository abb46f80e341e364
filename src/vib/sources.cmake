# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/analytic.c
    ${CMAKE_CURRENT_LIST_DIR}/differences.c
    ${CMAKE_CURRENT_LIST_DIR}/eigen.c
    ${CMAKE_CURRENT_LIST_DIR}/modes.c
    ${CMAKE_CURRENT_LIST_DIR}/thermo.c)

# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/average.c
    ${CMAKE_CURRENT_LIST_DIR}/batch.c
    ${CMAKE_CURRENT_LIST_DIR}/blocks.c
    ${CMAKE_CURRENT_LIST_DIR}/check.c
    ${CMAKE_CURRENT_LIST_DIR}/close.c
    ${CMAKE_CURRENT_LIST_DIR}/coulomb.c
    ${CMAKE_CURRENT_LIST_DIR}/derivatives.c
    ${CMAKE_CURRENT_LIST_DIR}/device.c
    ${CMAKE_CURRENT_LIST_DIR}/device_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/device_terms.c
    ${CMAKE_CURRENT_LIST_DIR}/eval.c
    ${CMAKE_CURRENT_LIST_DIR}/lists.c
    ${CMAKE_CURRENT_LIST_DIR}/loss.c
    ${CMAKE_CURRENT_LIST_DIR}/plan.c
    ${CMAKE_CURRENT_LIST_DIR}/program.c
    ${CMAKE_CURRENT_LIST_DIR}/program_tan.c
    ${CMAKE_CURRENT_LIST_DIR}/resident.c
    ${CMAKE_CURRENT_LIST_DIR}/results.c)

# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/card.c
    ${CMAKE_CURRENT_LIST_DIR}/card_memory.c
    ${CMAKE_CURRENT_LIST_DIR}/hessian.c
    ${CMAKE_CURRENT_LIST_DIR}/job.c
    ${CMAKE_CURRENT_LIST_DIR}/pool.c
    ${CMAKE_CURRENT_LIST_DIR}/variables.c)

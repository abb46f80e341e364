# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pairs.c)
list(APPEND AIM_TWICE_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/backward.c
    ${CMAKE_CURRENT_LIST_DIR}/build.c
    ${CMAKE_CURRENT_LIST_DIR}/describe.c
    ${CMAKE_CURRENT_LIST_DIR}/forward.c
    ${CMAKE_CURRENT_LIST_DIR}/layout.c
    ${CMAKE_CURRENT_LIST_DIR}/ops.c
    ${CMAKE_CURRENT_LIST_DIR}/tangent_backward.c
    ${CMAKE_CURRENT_LIST_DIR}/tangent_forward.c
    ${CMAKE_CURRENT_LIST_DIR}/tangent_layout.c
    ${CMAKE_CURRENT_LIST_DIR}/weights.c)

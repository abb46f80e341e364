# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/build.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/calc_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fetch_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/io_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/model_api.c ${CMAKE_CURRENT_LIST_DIR}/opt_api.c
               ${CMAKE_CURRENT_LIST_DIR}/vib_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/conv_plan.c)
list(APPEND AIM_TWICE_SOURCES ${CMAKE_CURRENT_LIST_DIR}/ops_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/nlist_api.c ${CMAKE_CURRENT_LIST_DIR}/skin_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/deriv_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/cuda_api.c ${CMAKE_CURRENT_LIST_DIR}/cuda_conv_api.c
               ${CMAKE_CURRENT_LIST_DIR}/cuda_calc_api.c ${CMAKE_CURRENT_LIST_DIR}/cuda_memory.c ${CMAKE_CURRENT_LIST_DIR}/cuda_nlist_api.c)

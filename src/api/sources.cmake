# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/build.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/calc_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/io_api.c)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/model_api.c)

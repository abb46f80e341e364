# SPDX-License-Identifier: MIT
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/element.c)

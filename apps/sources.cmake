# SPDX-License-Identifier: MIT
# The files of the command: set(AIM_APP_SOURCES ${CMAKE_CURRENT_LIST_DIR}/main.c ...)
set(AIM_APP_SOURCES "")

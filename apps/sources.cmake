# SPDX-License-Identifier: MIT
# The files of the command, its manual page and its shell completion.
set(AIM_APP_SOURCES "")
foreach(name IN ITEMS args cmd_energy cmd_help cmd_info cmd_inspect cmd_neighbors complete console energy_json energy_table engine
        help json main manual progress shortest stream)
    list(APPEND AIM_APP_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
endforeach()

install(FILES ${CMAKE_CURRENT_LIST_DIR}/../docs/man/aimnet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

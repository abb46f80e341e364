# SPDX-License-Identifier: MIT
# The files of the command, its manual page and its shell completion.
set(AIM_APP_SOURCES "")
foreach(name IN ITEMS args cmd_convert cmd_clear_model_cache cmd_download cmd_energy cmd_export cmd_help cmd_info cmd_inspect cmd_neighbors complete console energy_json energy_table engine
        help json main manual model_files outfile progress shortest stream
        cmd_gaussian_ext cmd_ipi cmd_orca_ext external ipi_client ipi_wire
        cmd_freq cmd_opt engrad freq_files freq_print opt_print opt_restart opt_run xtb)
    list(APPEND AIM_APP_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
endforeach()

install(FILES ${CMAKE_CURRENT_LIST_DIR}/../docs/man/aimnet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# Completion scripts are what the built command prints.
if(NOT CMAKE_CROSSCOMPILING)
    foreach(script IN ITEMS "bash|bash-completion/completions/aimnet" "zsh|zsh/site-functions/_aimnet"
            "fish|fish/vendor_completions.d/aimnet.fish")
        string(REGEX MATCH "^([a-z]+)[|](.*)/([^/]+)$" _ "${script}")
        install(CODE "
            set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/${CMAKE_MATCH_2}\")
            file(MAKE_DIRECTORY \"\${folder}\")
            execute_process(COMMAND \"$<TARGET_FILE:aimnet_command>\" help --completion ${CMAKE_MATCH_1}
                            OUTPUT_FILE \"\${folder}/${CMAKE_MATCH_3}\")")
    endforeach()
endif()

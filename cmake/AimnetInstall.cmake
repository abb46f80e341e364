# SPDX-License-Identifier: MIT
# install: headers, both libraries, the command, pkg-config and CMake package files.
include(CMakePackageConfigHelpers)

set(AIM_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/aimnet)
install(TARGETS aimnet_shared EXPORT aimnetTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS aimnet_static EXPORT aimnetTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET aimnet_command)
    install(TARGETS aimnet_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
file(GLOB AIM_PUBLIC_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/*.h)
install(FILES ${AIM_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(EXPORT aimnetTargets NAMESPACE aimnet:: DESTINATION ${AIM_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/aimnetConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/aimnetConfig.cmake INSTALL_DESTINATION ${AIM_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/aimnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/aimnetConfig.cmake ${PROJECT_BINARY_DIR}/aimnetConfigVersion.cmake
        DESTINATION ${AIM_PACKAGE_DIR})

# Relative to the .pc file, so that an installed tree can be moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(AIM_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH AIM_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" AIM_PC_UP "${AIM_PC_UP}")
    set(AIM_PC_PREFIX "\${pcfiledir}/${AIM_PC_UP}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/aimnet.pc.in ${PROJECT_BINARY_DIR}/aimnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/aimnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The Python wheel (component "python" only): the library beside the modules, found there by name, and the command among the scripts.
if(SKBUILD)
    set_property(TARGET aimnet_shared PROPERTY VERSION)
    set_property(TARGET aimnet_shared PROPERTY SOVERSION)
    install(TARGETS aimnet_shared COMPONENT python RUNTIME DESTINATION aimnetc LIBRARY DESTINATION aimnetc)
    install(TARGETS aimnet_command COMPONENT python RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR})
endif()

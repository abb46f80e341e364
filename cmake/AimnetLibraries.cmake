# SPDX-License-Identifier: MIT
# zlib (CRC-32, inflate), libyaml (model descriptions), threads, libm.
#
# The command links the static archives where the system has them, so that it runs on any machine with the same libc. The shared
# library links the shared ones: Debian's archives are not position independent (jansson's refers to stdin directly) and
# cannot become part of a shared object. Programs that link libaimnet.a name the three themselves (pkg-config --static does).
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(aim_find_dependency name header library)
    string(TOUPPER ${name} upper)
    find_path(AIM_${upper}_INCLUDE ${header})
    find_library(AIM_${upper}_LIBRARY ${library})
    find_library(AIM_${upper}_ARCHIVE ${CMAKE_STATIC_LIBRARY_PREFIX}${library}${CMAKE_STATIC_LIBRARY_SUFFIX})
    mark_as_advanced(AIM_${upper}_INCLUDE AIM_${upper}_LIBRARY AIM_${upper}_ARCHIVE)
    if(NOT AIM_${upper}_INCLUDE OR NOT AIM_${upper}_LIBRARY)
        message(FATAL_ERROR "${name} (${header}) was not found: run tools/install_deps.sh")
    endif()
endfunction()
aim_find_dependency(zlib zlib.h z)
aim_find_dependency(yaml yaml.h yaml)

set(AIM_DEPENDENCY_INCLUDES ${AIM_ZLIB_INCLUDE} ${AIM_YAML_INCLUDE})
list(REMOVE_DUPLICATES AIM_DEPENDENCY_INCLUDES)
list(REMOVE_ITEM AIM_DEPENDENCY_INCLUDES ${CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES})

set(AIM_STATIC_LIBRARIES "")
foreach(name IN ITEMS YAML ZLIB)
    if(AIMNET_STATIC_DEPS AND AIM_${name}_ARCHIVE)
        list(APPEND AIM_STATIC_LIBRARIES ${AIM_${name}_ARCHIVE})
    else()
        list(APPEND AIM_STATIC_LIBRARIES ${AIM_${name}_LIBRARY})
    endif()
endforeach()

function(aim_link_dependencies)
    # Inside this build the archives are named by path; an installed libaimnet.a is described by the package files instead.
    target_link_libraries(aimnet_static PUBLIC $<BUILD_INTERFACE:${AIM_STATIC_LIBRARIES}> Threads::Threads ${CMAKE_DL_LIBS})
    target_link_libraries(aimnet_static INTERFACE $<INSTALL_INTERFACE:z;yaml>)
    target_link_libraries(aimnet_shared PRIVATE ${AIM_YAML_LIBRARY} ${AIM_ZLIB_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
    foreach(target IN ITEMS aimnet_static aimnet_shared)
        target_link_libraries(${target} PUBLIC $<$<NOT:$<PLATFORM_ID:Windows>>:m> ${CMAKE_DL_LIBS})
        target_link_options(${target} PRIVATE ${AIM_SANITIZE_LINK_FLAGS})
    endforeach()
    if(NOT APPLE)
        target_link_options(aimnet_shared PRIVATE ${AIM_LINK_GC})
    endif()
    if(NOT APPLE AND NOT WIN32)
        target_link_options(aimnet_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/aimnet.map)
        if(NOT AIMNET_SANITIZE AND NOT AIMNET_FUZZ) # clang leaves the sanitizers' symbols to the program
            target_link_options(aimnet_shared PRIVATE -Wl,--no-undefined)
        endif()
        set_target_properties(aimnet_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/aimnet.map)
    endif()
endfunction()

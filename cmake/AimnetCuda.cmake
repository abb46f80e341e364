# SPDX-License-Identifier: MIT
# libaimnet_cuda.so: the CUDA module (src/backend/cuda), built where nvcc is found and loaded when a GPU is asked for. Nothing else
# depends on it. nvcc is called directly: CMake's own support of the language would make it a requirement of the project.
#
#     AIMNET_CUDA=AUTO|ON|OFF              AUTO: if nvcc is there, no sanitizers are on and nothing is cross built
#     AIMNET_CUDA_ARCHITECTURES=80;90a;120 machine code for these as far as nvcc knows them, and PTX of the last for later cards; 90a has
#                                          matrix instructions that 90 has not; beside it PTX of 90 for cards between it and the last
set(AIMNET_CUDA AUTO CACHE STRING "Build the CUDA module: AUTO, ON or OFF")
set(AIMNET_CUDA_ARCHITECTURES "80;90a;120" CACHE STRING "GPU architectures of the CUDA module")
set(AIM_CUDA_MODULE "")
if(AIMNET_CUDA STREQUAL "OFF" OR WIN32 OR APPLE OR (AIMNET_CUDA STREQUAL "AUTO" AND (AIMNET_SANITIZE OR AIMNET_FUZZ OR CMAKE_CROSSCOMPILING)))
    return()
endif()
find_program(AIM_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
mark_as_advanced(AIM_NVCC)
if(NOT AIM_NVCC)
    if(AIMNET_CUDA STREQUAL "ON")
        message(FATAL_ERROR "AIMNET_CUDA is ON, but nvcc was not found: install the CUDA toolkit or set AIM_NVCC")
    endif()
    return()
endif()

execute_process(COMMAND ${AIM_NVCC} --list-gpu-code OUTPUT_VARIABLE AIM_NVCC_KNOWN ERROR_QUIET)
set(AIM_NVCC_CODE "")
foreach(arch IN LISTS AIMNET_CUDA_ARCHITECTURES)
    string(REGEX REPLACE "[a-z]$" "" plain ${arch})
    if(AIM_NVCC_KNOWN MATCHES "sm_${plain}[^0-9a-z]")
        list(APPEND AIM_NVCC_CODE -gencode arch=compute_${arch},code=sm_${arch})
        set(AIM_NVCC_LAST ${arch})
    endif()
endforeach()
list(APPEND AIM_NVCC_CODE -gencode arch=compute_${AIM_NVCC_LAST},code=compute_${AIM_NVCC_LAST})
if("${AIM_NVCC_CODE}" MATCHES "sm_90a")
    list(APPEND AIM_NVCC_CODE -DAIM_CUDA_90A)
    if(NOT AIM_NVCC_LAST STREQUAL "90a") # capability 10 and 11 can run neither sm_90a nor PTX of 12
        list(APPEND AIM_NVCC_CODE -gencode arch=compute_90,code=compute_90)
    endif()
endif()
set(AIM_NVCC_FLAGS -std=c++17 -O3 ${AIM_NVCC_CODE} -Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wno-array-bounds
    -I${PROJECT_SOURCE_DIR}/include -I${PROJECT_SOURCE_DIR}/src)

set(AIM_CUDA_DIR ${PROJECT_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${AIM_CUDA_DIR})
function(aim_cuda_object out source)
    get_filename_component(stem ${source} NAME_WE)
    set(object ${AIM_CUDA_DIR}/${stem}.o)
    add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_C_COMPILER_LAUNCHER} ${AIM_NVCC} ${AIM_NVCC_FLAGS} -MD -MF ${object}.d -c ${source} -o ${object}
        DEPENDS ${source} DEPFILE ${object}.d COMMENT "Building CUDA object ${stem}.o" VERBATIM)
    set(${out} ${${out}} ${object} PARENT_SCOPE)
endfunction()

set(AIM_CUDA_OBJECTS "")
foreach(stem IN ITEMS bins caller card chain charge current conv conv16 conv16_back conv16_few conv16_first conv16_molecule conv16_project direct dispersion embedded evaluate few fft flow graph head layout matrix memory mesh mlp module molecules network nlist op pass
        paths relay sweep tan_combine tan_conv tan_dense tan_flow tan_embedded tan_layout tan_mesh tan_pair tan_project tan_term tan_train tan_waves tan_weights term tile warpgroup waves wide)
    aim_cuda_object(AIM_CUDA_OBJECTS ${PROJECT_SOURCE_DIR}/src/backend/cuda/${stem}.cu)
endforeach()
set(AIM_CUDA_LAYERS "") # what a program needs that runs dense layers alone (test_multiply, bench_layers)
foreach(stem IN ITEMS mlp few charge head chain tile warpgroup wide relay)
    list(APPEND AIM_CUDA_LAYERS ${AIM_CUDA_DIR}/${stem}.o)
endforeach()
set(AIM_CUDA_MODULE ${PROJECT_BINARY_DIR}/libaimnet_cuda.so)
add_custom_command(OUTPUT ${AIM_CUDA_MODULE}
    COMMAND ${AIM_NVCC} -shared -cudart static -o ${AIM_CUDA_MODULE} ${AIM_CUDA_OBJECTS}
    DEPENDS ${AIM_CUDA_OBJECTS} COMMENT "Linking libaimnet_cuda.so" VERBATIM)
add_custom_target(aimnet_cuda ALL DEPENDS ${AIM_CUDA_MODULE})
install(FILES ${AIM_CUDA_MODULE} DESTINATION ${CMAKE_INSTALL_LIBDIR})

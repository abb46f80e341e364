# SPDX-License-Identifier: MIT
foreach(name IN ITEMS cache curl download fetch hub name part registry)
    target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
endforeach()

# The registry that the library carries.
set(AIM_REGISTRY ${PROJECT_SOURCE_DIR}/data/registry.yaml)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/registry_data.S)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/registry_data.S PROPERTIES
    COMPILE_DEFINITIONS AIM_REGISTRY_FILE="${AIM_REGISTRY}" OBJECT_DEPENDS ${AIM_REGISTRY})

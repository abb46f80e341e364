# SPDX-License-Identifier: MIT
foreach(name IN ITEMS args bind build checkpoint content d3_tables describe describe_json diff embedding export fallback files metadata network outputs recipe save script script_outputs script_walk sha256 yaml yaml_write)
    target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
endforeach()

# The model that the library carries.
set(AIM_DEFAULT_MODEL ${PROJECT_SOURCE_DIR}/data/default.pt)
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/default_model.S)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/default_model.S PROPERTIES
    COMPILE_DEFINITIONS AIM_DEFAULT_MODEL_FILE="${AIM_DEFAULT_MODEL}" OBJECT_DEPENDS ${AIM_DEFAULT_MODEL})
target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/parameters.c)

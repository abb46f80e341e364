# SPDX-License-Identifier: MIT
# structure files
target_sources(aimnet_objects PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/source.c
    ${CMAKE_CURRENT_LIST_DIR}/lines.c
    ${CMAKE_CURRENT_LIST_DIR}/scan.c
    ${CMAKE_CURRENT_LIST_DIR}/frame.c
    ${CMAKE_CURRENT_LIST_DIR}/comment.c
    ${CMAKE_CURRENT_LIST_DIR}/reader.c
    ${CMAKE_CURRENT_LIST_DIR}/xyz_read.c
    ${CMAKE_CURRENT_LIST_DIR}/sdf_read.c
    ${CMAKE_CURRENT_LIST_DIR}/sdf_v3000.c
    ${CMAKE_CURRENT_LIST_DIR}/pdb_read.c
    ${CMAKE_CURRENT_LIST_DIR}/pdb_element.c
    ${CMAKE_CURRENT_LIST_DIR}/cell.c
    ${CMAKE_CURRENT_LIST_DIR}/cif_token.c
    ${CMAKE_CURRENT_LIST_DIR}/cif_row.c
    ${CMAKE_CURRENT_LIST_DIR}/cif_expand.c
    ${CMAKE_CURRENT_LIST_DIR}/cif_read.c
    ${CMAKE_CURRENT_LIST_DIR}/symmetry.c
    ${CMAKE_CURRENT_LIST_DIR}/poscar_read.c
    ${CMAKE_CURRENT_LIST_DIR}/outfile.c
    ${CMAKE_CURRENT_LIST_DIR}/writer.c
    ${CMAKE_CURRENT_LIST_DIR}/cif_write.c
    ${CMAKE_CURRENT_LIST_DIR}/poscar_write.c
    ${CMAKE_CURRENT_LIST_DIR}/xyz_write.c)

# model files
foreach(name IN ITEMS bytes inflate json json_tree json_write names npy pickle pickle_tree pickle_write pt pt_write
        safetensors safetensors_write tensor torch zip zip_write)
    target_sources(aimnet_objects PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
endforeach()

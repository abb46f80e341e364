/* SPDX-License-Identifier: MIT */
/* registry_data.S - data/registry.yaml as read-only bytes of the library: aim_registry_yaml to
 * aim_registry_yaml_end. As src/model/default_model.S, which explains the platforms. */
#if defined(__APPLE__) || (defined(_WIN32) && !defined(_WIN64))
#define NAME(x) _##x
#else
#define NAME(x) x
#endif

#if defined(__APPLE__)
    .section __TEXT,__const
    .private_extern NAME(aim_registry_yaml)
    .private_extern NAME(aim_registry_yaml_end)
#elif defined(_WIN32)
    .section .rdata,"dr"
#else
    .section .rodata.aim_registry_yaml,"a",%progbits
    .hidden aim_registry_yaml
    .hidden aim_registry_yaml_end
    .type aim_registry_yaml,%object
#endif

    .globl NAME(aim_registry_yaml)
    .globl NAME(aim_registry_yaml_end)
NAME(aim_registry_yaml):
    .incbin AIM_REGISTRY_FILE
NAME(aim_registry_yaml_end):
    .byte 0

#if defined(__ELF__)
    .size aim_registry_yaml, aim_registry_yaml_end - aim_registry_yaml
    .section .note.GNU-stack,"",%progbits
#endif

/* SPDX-License-Identifier: MIT */
/* default_model.S - data/default.pt as read-only bytes of the library: aim_default_model to
 * aim_default_model_end.
 *
 * AIM_DEFAULT_MODEL_FILE is its path, set by sources.cmake. Works for the ELF, Mach-O and PE
 * assemblers of GCC and clang, after the C preprocessor; names get the platform's prefix (an
 * underscore on macOS and 32-bit Windows). */
#if defined(__APPLE__) || (defined(_WIN32) && !defined(_WIN64))
#define NAME(x) _##x
#else
#define NAME(x) x
#endif

#if defined(__APPLE__)
    .section __TEXT,__const
    .private_extern NAME(aim_default_model)
    .private_extern NAME(aim_default_model_end)
#elif defined(_WIN32)
    .section .rdata,"dr"
#else
    .section .rodata.aim_default_model,"a",%progbits
    .hidden aim_default_model
    .hidden aim_default_model_end
    .type aim_default_model,%object
#endif

    .globl NAME(aim_default_model)
    .globl NAME(aim_default_model_end)
    .balign 64
NAME(aim_default_model):
    .incbin AIM_DEFAULT_MODEL_FILE
NAME(aim_default_model_end):
    .byte 0

#if defined(__ELF__)
    .size aim_default_model, aim_default_model_end - aim_default_model
    .section .note.GNU-stack,"",%progbits
#endif

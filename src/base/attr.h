/* SPDX-License-Identifier: MIT */
/* attr.h - the only place for compiler attributes. */
#ifndef AIM_BASE_ATTR_H
#define AIM_BASE_ATTR_H

#if defined(__GNUC__) || defined(__clang__)
#define AIM_NODISCARD __attribute__((warn_unused_result))
#if defined(_WIN32)
#define AIM_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#else
#define AIM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#endif
#define AIM_UNUSED     __attribute__((unused))
#define AIM_INLINE     static inline __attribute__((always_inline))
#define AIM_NOINLINE   __attribute__((noinline))
#define AIM_ALIGNED(n) __attribute__((aligned(n)))
#define AIM_RESTRICT   __restrict__
#else
#define AIM_NODISCARD
#define AIM_PRINTF(f, a)
#define AIM_UNUSED
#define AIM_INLINE static inline
#define AIM_NOINLINE
#define AIM_ALIGNED(n)
#define AIM_RESTRICT
#endif

#endif

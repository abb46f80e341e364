/* SPDX-License-Identifier: MIT */
/* sha256.c - SHA-256, FIPS 180-4: by the standard's own formulas, and by the processor's
 * instructions for them (Intel SHA extensions) where it has them.
 *
 * Why not libcrypto: it would add 6 MB to what must be found, loaded on demand and reported when
 * absent. Why the instructions: a model from the cache is compared with its digest every time it is
 * loaded. 9 MB take 40 ms by the formulas and 8 ms by the instructions, of which there are three:
 * two rounds at once on the state as pairs (abef, cdgh), and two for the message schedule. */
#include "model/sha256.h"

#include <string.h>

enum { BLOCK = 64 };

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* ---------------------------------------------------------------- by the formulas */

static inline uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void expand(const unsigned char *block, uint32_t w[64])
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
}

/* One round; the caller renames the eight words instead of moving them. */
static inline void turn(uint32_t s[8], int i, uint32_t word)
{
    uint32_t *const a = &s[-i & 7], *const b = &s[(1 - i) & 7], *const c = &s[(2 - i) & 7];
    uint32_t *const d = &s[(3 - i) & 7], *const e = &s[(4 - i) & 7], *const f = &s[(5 - i) & 7];
    uint32_t *const g = &s[(6 - i) & 7], *const h = &s[(7 - i) & 7];
    const uint32_t t =
        *h + (rotate(*e, 6) ^ rotate(*e, 11) ^ rotate(*e, 25)) + ((*e & *f) ^ (~*e & *g)) + word;
    *d += t;
    *h =
        t + (rotate(*a, 2) ^ rotate(*a, 13) ^ rotate(*a, 22)) + ((*a & *b) ^ (*a & *c) ^ (*b & *c));
}

static void compress_blocks(uint32_t state[8], const unsigned char *bytes, size_t n)
{
    for (; n > 0; n--, bytes += BLOCK) {
        uint32_t w[64], s[8];
        expand(bytes, w);
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i += 8) {
            turn(s, 0, k[i] + w[i]);
            turn(s, 1, k[i + 1] + w[i + 1]);
            turn(s, 2, k[i + 2] + w[i + 2]);
            turn(s, 3, k[i + 3] + w[i + 3]);
            turn(s, 4, k[i + 4] + w[i + 4]);
            turn(s, 5, k[i + 5] + w[i + 5]);
            turn(s, 6, k[i + 6] + w[i + 6]);
            turn(s, 7, k[i + 7] + w[i + 7]);
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

/* ---------------------------------------------------------------- by the instructions */

#if defined(__x86_64__) && defined(__GNUC__) && !defined(AIM_SHA256_PORTABLE)
#include <cpuid.h>

typedef uint32_t vec __attribute__((vector_size(16), aligned(16)));
typedef int ints __attribute__((vector_size(16), aligned(16))); /* what the instructions take */
typedef unsigned char bytes16 __attribute__((vector_size(16), aligned(16)));

static int has_instructions(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b >> 29 & 1) != 0;
}

/* Four words of the message, most significant byte first. */
static inline vec load_words(const unsigned char *p)
{
    bytes16 v;
    memcpy(&v, p, sizeof v);
    return (vec)__builtin_shufflevector(v, v, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

__attribute__((target("sha,sse4.1"))) static void
compress_fast(uint32_t state[8], const unsigned char *bytes, size_t n)
{
    vec abef = {state[5], state[4], state[1], state[0]};
    vec cdgh = {state[7], state[6], state[3], state[2]};
    for (; n > 0; n--, bytes += BLOCK) {
        const vec abef0 = abef, cdgh0 = cdgh;
        vec w[4];
        for (int i = 0; i < 4; i++)
            w[i] = load_words(bytes + 16 * i);
        for (int i = 0; i < 16; i++) {
            const vec now = w[i & 3], last = w[(i + 3) & 3], before = w[(i + 2) & 3];
            vec constants;
            memcpy(&constants, k + 4 * i, sizeof constants);
            vec sum = now + constants;
            cdgh = (vec)__builtin_ia32_sha256rnds2((ints)cdgh, (ints)abef, (ints)sum);
            sum = __builtin_shufflevector(sum, sum, 2, 3, 2, 3);
            abef = (vec)__builtin_ia32_sha256rnds2((ints)abef, (ints)cdgh, (ints)sum);
            /* w[t+16] = s1(w[t+14]) + w[t+9] + s0(w[t+1]) + w[t] for the four that come next */
            const vec middle = __builtin_shufflevector(before, last, 1, 2, 3, 4);
            const vec first = (vec)__builtin_ia32_sha256msg1((ints)now, (ints)w[(i + 1) & 3]);
            w[i & 3] = (vec)__builtin_ia32_sha256msg2((ints)(first + middle), (ints)last);
        }
        abef += abef0;
        cdgh += cdgh0;
    }
    for (int i = 0; i < 2; i++) {
        state[i] = abef[3 - i];
        state[4 + i] = abef[1 - i];
        state[2 + i] = cdgh[3 - i];
        state[6 + i] = cdgh[1 - i];
    }
}

static void compress(uint32_t state[8], const unsigned char *bytes, size_t n)
{
    if (has_instructions())
        compress_fast(state, bytes, n);
    else
        compress_blocks(state, bytes, n);
}
#else
static void compress(uint32_t state[8], const unsigned char *bytes, size_t n)
{
    compress_blocks(state, bytes, n);
}
#endif

/* ---------------------------------------------------------------- streams */

aim_sha256_stream aim_sha256_begin(void)
{
    return (aim_sha256_stream){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                         0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void aim_sha256_add(aim_sha256_stream *s, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    const size_t used = (size_t)(s->size % BLOCK);
    if (size == 0)
        return;
    s->size += size;
    if (used > 0) {
        const size_t n = size < BLOCK - used ? size : BLOCK - used;
        memcpy(s->block + used, p, n);
        if (used + n < BLOCK)
            return;
        compress(s->state, s->block, 1);
        p += n;
        size -= n;
    }
    compress(s->state, p, size / BLOCK);
    memcpy(s->block, p + size / BLOCK * BLOCK, size % BLOCK);
}

void aim_sha256_end(aim_sha256_stream *s, char hex[65])
{
    static const char digit[] = "0123456789abcdef";
    static const unsigned char padding[BLOCK] = {0x80};
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(s->size * 8 >> (56 - 8 * i));
    aim_sha256_add(s, padding, (BLOCK + 55 - (size_t)(s->size % BLOCK)) % BLOCK + 1);
    aim_sha256_add(s, length, sizeof length);
    for (int i = 0; i < 64; i++)
        hex[i] = digit[s->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[64] = '\0';
}

void aim_sha256(const unsigned char *bytes, size_t size, char hex[65])
{
    aim_sha256_stream s = aim_sha256_begin();
    aim_sha256_add(&s, bytes, size);
    aim_sha256_end(&s, hex);
}

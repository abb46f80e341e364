/* SPDX-License-Identifier: MIT */
/* element.c - the periodic table as three small tables made from elements.def.
 *
 * Reading a symbol is one look-up in a table over (first letter, second letter or none): structure
 * files are read at the speed of their bytes. Formulas follow Hill (J. Am. Chem. Soc. 22 (1900)
 * 478): carbon, hydrogen, then the others by alphabet; everything by alphabet when there is no
 * carbon. Used by the structure readers and writers and by the public API. */
#include "data/element.h"

#include <stdio.h>
#include <string.h>

static const char symbols[AIM_ELEMENT_LAST + 1][3] = {
#define ELEMENT(number, symbol, first, second, mass) [number] = symbol,
#include "data/elements.def"
#undef ELEMENT
};

static const double masses[AIM_ELEMENT_LAST + 1] = {
#define ELEMENT(number, symbol, first, second, mass) [number] = mass,
#include "data/elements.def"
#undef ELEMENT
};

/* row: first letter; column: 0 for no second letter, else 1 + letter */
enum { LETTERS = 26, COLUMNS = LETTERS + 1 };
#define CELL(first, second) (((first) - 'A') * COLUMNS + ((second) ? (second) - 'a' + 1 : 0))

static const uint8_t number_of[LETTERS * COLUMNS] = {
#define ELEMENT(number, symbol, first, second, mass) [CELL(first, second)] = number,
#include "data/elements.def"
#undef ELEMENT
    [CELL('D', 0)] = 1,
    [CELL('T', 0)] = 1,
};

/* 0..25, or -1 if c is not an ASCII letter */
static int letter(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

const char *aim_element_symbol(int number)
{
    return number >= 1 && number <= AIM_ELEMENT_LAST ? symbols[number] : NULL;
}

double aim_element_mass(int number)
{
    return number >= 1 && number <= AIM_ELEMENT_LAST ? masses[number] : 0.0;
}

int aim_element_from_symbol(const char *text, size_t size)
{
    if (size < 1 || size > 2)
        return 0;
    const int first = letter(text[0]);
    const int second = size == 2 ? letter(text[1]) : -1;
    if (first < 0 || (size == 2 && second < 0))
        return 0;
    return number_of[first * COLUMNS + second + 1];
}

int aim_element_from_text(const char *text, size_t size)
{
    if (size < 1 || size > 3 || text[0] < '0' || text[0] > '9')
        return aim_element_from_symbol(text, size);
    int number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        number = 10 * number + (text[i] - '0');
    }
    return number <= AIM_ELEMENT_LAST ? number : 0;
}

/* Carbon before hydrogen before the rest when there is carbon; strcmp order otherwise. */
static int hill_before(int a, int b, int has_carbon)
{
    const int rank_a = !has_carbon ? 2 : a == 6 ? 0 : a == 1 ? 1 : 2;
    const int rank_b = !has_carbon ? 2 : b == 6 ? 0 : b == 1 ? 1 : 2;
    if (rank_a != rank_b)
        return rank_a < rank_b;
    return strcmp(symbols[a], symbols[b]) < 0;
}

static int next_in_formula(const int32_t *count, int after, int has_carbon)
{
    int best = 0;
    for (int z = 1; z <= AIM_ELEMENT_LAST; z++) {
        if (count[z] == 0 || (after && !hill_before(after, z, has_carbon)))
            continue;
        if (!best || hill_before(z, best, has_carbon))
            best = z;
    }
    return best;
}

aim_status aim_formula(const int32_t *numbers, int32_t n_atoms, char *text, size_t capacity)
{
    int32_t count[AIM_ELEMENT_LAST + 1] = {0};
    size_t size = 0;
    if (capacity == 0)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "formula: the buffer has no room for even the terminating NUL");
    text[0] = '\0';
    for (int32_t i = 0; i < n_atoms; i++) {
        if (numbers[i] < 0 || numbers[i] > AIM_ELEMENT_LAST)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "formula: atom %d has atomic number %d, expected 0 to %d", (int)i,
                            (int)numbers[i], AIM_ELEMENT_LAST);
        count[numbers[i]]++;
    }
    const int has_carbon = count[6] > 0;
    for (int z = next_in_formula(count, 0, has_carbon); z;
         z = next_in_formula(count, z, has_carbon)) {
        char part[16];
        const int n = count[z] > 1 ? snprintf(part, sizeof part, "%s%d", symbols[z], (int)count[z])
                                   : snprintf(part, sizeof part, "%s", symbols[z]);
        if (size + (size_t)n + 1 > capacity)
            return AIM_FAIL(AIMNET_ERR_OVERFLOW, "formula: %zu bytes are too few for \"%s%s...\"",
                            capacity, text, part);
        memcpy(text + size, part, (size_t)n + 1);
        size += (size_t)n;
    }
    return AIMNET_OK;
}

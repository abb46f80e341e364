/* SPDX-License-Identifier: MIT */
/* pdb_element.c - which element a PDB atom is when the file does not say it in columns 77-78.
 *
 * The name in columns 13-16 begins with the element, right-justified in columns 13-14: " CA " is a
 * carbon (alpha), "CA  " calcium. Many programs do not keep to that. So: in residues of proteins,
 * nucleic acids and water the first letter counts; a name equal to its residue's is an ion (ZN in
 * ZN); a lower-case second letter belongs to the element; four letters from column 13 that begin
 * with H are a hydrogen; and a two-letter reading that competes with a one-letter one ("CD1":
 * cadmium or carbon?) is refused unless chemistry knows only one (CL, BR, ...): an error is better
 * than a wrong element. Called by pdb_read.c. */
#include "io/pdb_element.h"

#include <string.h>

#include "data/element.h"

static const char one_letter_residues[] =
    " ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL "
    "ASH GLH HID HIE HIP HSD HSE HSP CYX CYM LYN ACE NME NMA NH2 "
    "A C G U I DA DC DG DT DU DI ADE CYT GUA THY URA HOH WAT H2O DOD SOL TIP TIP3 TP3 SPC ";

static const char two_letter_elements[] = " CL BR SI SE FE CU NI PT SN IR ";

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static int is_letter(char c)
{
    return upper(c) >= 'A' && upper(c) <= 'Z';
}

/* " WORD " occurs in the list; the word is compared in upper case. */
static int in_list(const char *list, aim_span word)
{
    char key[8] = " ";
    if (word.size == 0 || word.size + 3 > sizeof key)
        return 0;
    for (size_t i = 0; i < word.size; i++)
        key[i + 1] = upper(word.text[i]);
    key[word.size + 1] = ' ';
    key[word.size + 2] = '\0';
    return strstr(list, key) != NULL;
}

/* The letters at the beginning of the name, after digits. */
static aim_span letters_of(aim_span name)
{
    while (name.size > 0 && name.text[0] >= '0' && name.text[0] <= '9') {
        name.text++;
        name.size--;
    }
    size_t n = 0;
    while (n < name.size && is_letter(name.text[n]))
        n++;
    return (aim_span){name.text, n};
}

static int equal_words(aim_span a, aim_span b)
{
    if (a.size != b.size)
        return 0;
    for (size_t i = 0; i < a.size; i++)
        if (upper(a.text[i]) != upper(b.text[i]))
            return 0;
    return 1;
}

static aim_status unknown(aim_span name, const char *why)
{
    char quoted[AIM_QUOTE_SIZE];
    return AIM_FAIL(AIMNET_ERR_FORMAT, "atom name %s %s; expected an element in columns 77-78",
                    aim_span_quote(name, quoted), why);
}

static aim_status element_from_name(aim_span line, int *number)
{
    const aim_span name = aim_span_columns(line, 12, 4), residue = aim_span_columns(line, 17, 4);
    const aim_span word = letters_of(name);
    const int one = word.size > 0 ? aim_element_from_symbol(word.text, 1) : 0;
    const int two = word.size > 1 ? aim_element_from_symbol(word.text, 2) : 0;
    const int from_column_13 = line.size > 12 && is_letter(line.text[12]);
    *number = 0;
    if (equal_words(word, residue) && word.size <= 2)
        *number = aim_element_from_symbol(word.text, word.size);
    else if (two && word.text[1] >= 'a')
        *number = two;
    else if (one && in_list(one_letter_residues, residue))
        *number = one;
    else if (two && in_list(two_letter_elements, (aim_span){word.text, 2}))
        *number = two;
    else if (one == 1 && (!from_column_13 || name.size == 4))
        *number = one;
    else if (one && two && from_column_13)
        return unknown(name, "may be one of two elements");
    else
        *number = one && (!two || !from_column_13) ? one : two;
    return *number ? AIMNET_OK : unknown(name, "is no element");
}

aim_status aim_pdb_element(aim_span line, int *number)
{
    char quoted[AIM_QUOTE_SIZE];
    const aim_span symbol = aim_span_columns(line, 76, 2);
    *number = aim_element_from_symbol(symbol.text, symbol.size);
    if (*number)
        return AIMNET_OK;
    if (symbol.size > 0 && letters_of(symbol).size == symbol.size)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "expected an element in columns 77-78, found %s",
                        aim_span_quote(symbol, quoted));
    return element_from_name(line, number);
}

/* SPDX-License-Identifier: MIT */
/* compare.c - checks what a command printed, for tests/cli/run.sh. Without dependencies, so that
 * the tests need nothing but a shell.
 *
 *     compare exact EXPECTED ACTUAL     the same bytes
 *     compare glob EXPECTED ACTUAL      line by line; '*' stands for any text within a line, a line
 * "..." for any number of lines compare near EXPECTED ACTUAL      the same words and numbers;
 * numbers may differ by the tolerance that the first line of EXPECTED gives:
 *                                       "# absolute A relative R"; '*' stands for any run of
 * non-blank characters; blanks separate only compare json FILE                 every line is one
 * JSON value, strictly by RFC 8259 (no NaN, no trailing commas)
 *
 * Prints the first difference and exits with 1 if there is one. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0, capacity = 0;
    if (file == NULL) {
        fprintf(stderr, "compare: cannot open %s\n", path);
        exit(2);
    }
    do {
        if (capacity - n < 4096) {
            capacity = 2 * capacity + 8192;
            text = realloc(text, capacity);
            if (text == NULL)
                exit(2);
        }
        n += fread(text + n, 1, capacity - n - 1, file);
    } while (!feof(file) && !ferror(file));
    fclose(file);
    text[n] = '\0';
    *size = n;
    return text;
}

/* Takes the next line off *text: its start, with the newline replaced by NUL; NULL at the end. */
static char *next_line(char **text)
{
    char *line = *text;
    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    if (end)
        *end++ = '\0';
    else
        end = line + strlen(line);
    *text = end;
    return line;
}

static int matches(const char *pattern, const char *text)
{
    for (; *pattern != '*'; pattern++, text++) {
        if (*pattern != *text)
            return 0;
        if (*pattern == '\0')
            return 1;
    }
    while (*pattern == '*')
        pattern++;
    if (*pattern == '\0')
        return 1;
    for (; *text; text++) {
        if (matches(pattern, text))
            return 1;
    }
    return 0;
}

enum { MAX_LINES = 20000 };

static int split(char *text, char **lines)
{
    int n = 0;
    for (char *line; n < MAX_LINES && (line = next_line(&text)) != NULL;)
        lines[n++] = line;
    return n;
}

/* Lines of expected from e against lines of actual from a; "..." takes as few lines as possible. */
static int glob_lines(char **expected, int n_expected, char **actual, int n_actual, int *at)
{
    int e = 0, a = 0, after_gap = -1, gap_start = 0;
    while (a < n_actual || e < n_expected) {
        if (e < n_expected && strcmp(expected[e], "...") == 0) {
            after_gap = ++e;
            gap_start = a;
        } else if (e < n_expected && a < n_actual && matches(expected[e], actual[a])) {
            e++;
            a++;
        } else if (after_gap >= 0 && gap_start < n_actual) {
            e = after_gap;
            a = ++gap_start;
        } else {
            *at = e;
            return 0;
        }
        if (e > *at)
            *at = e;
    }
    return 1;
}

static int compare_glob(char *expected, char *actual)
{
    static char *el[MAX_LINES], *al[MAX_LINES];
    const int ne = split(expected, el), na = split(actual, al);
    int at = 0;
    if (glob_lines(el, ne, al, na, &at))
        return 1;
    printf("expected line %d is not matched: %s\n", at + 1,
           at < ne ? el[at] : "(end of the output)");
    return 0;
}

static int is_number(const char *word, double *value)
{
    char *end;
    if (strchr("+-.0123456789", word[0]) == NULL)
        return 0;
    *value = strtod(word, &end);
    return end != word && *end == '\0';
}

/* Words end at blanks and at the separators of JSON, which are words themselves. */
static char *next_word(char **text, char *word, size_t size)
{
    static const char separators[] = "[]{},:";
    char *s = *text + strspn(*text, " \t\r\n");
    size_t n = 0;
    if (*s == '\0')
        return NULL;
    if (strchr(separators, *s)) {
        word[n++] = *s++;
    } else {
        while (*s && !isspace((unsigned char)*s) && !strchr(separators, *s) && n + 1 < size)
            word[n++] = *s++;
    }
    word[n] = '\0';
    *text = s;
    return word;
}

static int compare_near(char *expected, char *actual)
{
    double absolute = 0.0, relative = 0.0, x, y;
    char e[512], a[512];
    char *first = next_line(&expected);
    if (first == NULL || sscanf(first, "# absolute %lf relative %lf", &absolute, &relative) != 2) {
        printf("the first line must be: # absolute A relative R\n");
        return 0;
    }
    for (int word = 1;; word++) {
        const char *we = next_word(&expected, e, sizeof e), *wa = next_word(&actual, a, sizeof a);
        if (we == NULL && wa == NULL)
            return 1;
        if (we == NULL || wa == NULL) {
            printf("word %d: expected '%s', found '%s'\n", word, we ? e : "(end)",
                   wa ? a : "(end)");
            return 0;
        }
        if (is_number(e, &x) && is_number(a, &y)) {
            if (!(fabs(x - y) <= absolute + relative * fabs(x))) {
                printf("word %d: expected %s, found %s\n", word, e, a);
                return 0;
            }
        } else if (!matches(e, a)) {
            printf("word %d: expected '%s', found '%s'\n", word, e, a);
            return 0;
        }
    }
}

static const char *skip_value(const char *s, int depth);

static const char *skip_blanks(const char *s)
{
    return s ? s + strspn(s, " \t\r") : NULL;
}

static const char *skip_string(const char *s)
{
    for (s++; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s == '\\') {
            s++;
            if (*s == 'u') {
                for (int i = 0; i < 4; i++) {
                    if (!isxdigit((unsigned char)*++s))
                        return NULL;
                }
            } else if (*s == '\0' || !strchr("\"\\/bfnrt", *s)) {
                return NULL;
            }
        }
    }
    return s + 1;
}

static const char *skip_digits(const char *s)
{
    if (!isdigit((unsigned char)*s))
        return NULL;
    while (isdigit((unsigned char)*s))
        s++;
    return s;
}

static const char *skip_number(const char *s)
{
    s += *s == '-';
    s = *s == '0' ? s + 1 : skip_digits(s);
    if (s && *s == '.')
        s = skip_digits(s + 1);
    if (s && (*s == 'e' || *s == 'E')) {
        s++;
        s = skip_digits(s + (*s == '+' || *s == '-'));
    }
    return s;
}

static const char *skip_container(const char *s, char end, int depth)
{
    s = skip_blanks(s + 1);
    if (*s == end)
        return s + 1;
    for (;;) {
        s = skip_blanks(s);
        if (end == '}') {
            s = skip_blanks(*s == '"' ? skip_string(s) : NULL);
            if (s == NULL || *s++ != ':')
                return NULL;
        }
        s = skip_blanks(skip_value(skip_blanks(s), depth + 1));
        if (s == NULL)
            return NULL;
        if (*s == end)
            return s + 1;
        if (*s++ != ',')
            return NULL;
    }
}

static const char *skip_value(const char *s, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    if (depth > 64)
        return NULL;
    if (*s == '{')
        return skip_container(s, '}', depth);
    if (*s == '[')
        return skip_container(s, ']', depth);
    if (*s == '"')
        return skip_string(s);
    for (int i = 0; i < 3; i++) {
        if (strncmp(s, words[i], strlen(words[i])) == 0)
            return s + strlen(words[i]);
    }
    return skip_number(s);
}

static int check_json(char *text)
{
    int n = 0;
    for (char *line; (line = next_line(&text)) != NULL;) {
        const char *end = skip_value(line, 0);
        n++;
        if (end == NULL || *end != '\0') {
            printf("line %d is not JSON: %s\n", n, line);
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    size_t n_expected, n_actual = 0;
    if (argc < 3 || (strcmp(argv[1], "json") != 0 && argc != 4)) {
        fprintf(stderr, "usage: compare exact|glob|near EXPECTED ACTUAL, or compare json FILE\n");
        return 2;
    }
    char *expected = read_file(argv[2], &n_expected);
    char *actual = argc == 4 ? read_file(argv[3], &n_actual) : NULL;
    int same;
    if (strcmp(argv[1], "json") == 0)
        same = check_json(expected);
    else if (strcmp(argv[1], "exact") == 0)
        same = n_expected == n_actual && memcmp(expected, actual, n_actual) == 0;
    else if (strcmp(argv[1], "glob") == 0)
        same = compare_glob(expected, actual);
    else
        same = compare_near(expected, actual);
    free(expected);
    free(actual);
    return same ? 0 : 1;
}

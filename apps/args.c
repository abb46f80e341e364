/* SPDX-License-Identifier: MIT */
/* args.c - reads a command line by its tables (args.h): long and short options, strict numbers,
 * choices, suggestions.
 *
 * Every mistake is one line on standard error that names the option, the value found and what was
 * expected, followed by where to read more; the caller then exits with status 2. A word after an
 * option that needs a value is that value even if it starts with a dash (--charge -1), unless it is
 * itself an option of the command. */
#include "args.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"

typedef struct parser {
    const cli_command *command;
    char *options;
    const char **argv;
    int argc, at;
} parser;

int cli_distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    int d[MAX + 1][MAX + 1];
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > MAX || m > MAX)
        return INT_MAX;
    for (int i = 0; i <= n; i++)
        d[i][0] = i;
    for (int j = 0; j <= m; j++)
        d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

int cli_choice_count(const char *choices)
{
    int n = 1;
    for (const char *c = choices; *c; c++)
        n += *c == '|';
    return n;
}

const char *cli_choice_word(const char *choices, int index, int *size)
{
    for (; index > 0; index--)
        choices = strchr(choices, '|') + 1;
    *size = (int)strcspn(choices, "|");
    return choices;
}

static cli_parse_result usage_error(const parser *p)
{
    cli_note("'aimnet %s --help' lists the options", p->command->name);
    return CLI_BAD_USAGE;
}

/* The option called `name` (of that length), or NULL; *base receives where its group's struct lies.
 */
static const cli_arg *find_long(const parser *p, const char *name, size_t size, size_t *base)
{
    for (int g = 0; g < p->command->n_groups; g++) {
        const cli_group *group = &p->command->groups[g];
        for (int i = 0; i < group->n_args; i++) {
            const cli_arg *arg = &group->args[i];
            if (strlen(arg->name) == size && memcmp(arg->name, name, size) == 0) {
                *base = group->base;
                return arg;
            }
        }
    }
    return NULL;
}

static const cli_arg *find_short(const parser *p, char letter, size_t *base)
{
    for (int g = 0; g < p->command->n_groups; g++) {
        const cli_group *group = &p->command->groups[g];
        for (int i = 0; i < group->n_args; i++) {
            if (letter && group->args[i].letter == letter) {
                *base = group->base;
                return &group->args[i];
            }
        }
    }
    return NULL;
}

char cli_letter(const cli_command *command, const cli_arg *arg)
{
    size_t base;
    const parser p = {.command = command};
    return find_short(&p, arg->letter, &base) == arg ? arg->letter : 0;
}

static int is_option_word(const parser *p, const char *word)
{
    size_t base;
    if (word[0] != '-' || word[1] == '\0')
        return 0;
    if (word[1] == '-')
        return word[2] && find_long(p, word + 2, strcspn(word + 2, "="), &base) != NULL;
    return word[2] == '\0' && find_short(p, word[1], &base) != NULL;
}

/* How far a word is from an option's name; the beginning of a name is nearer than any mistake. */
static int distance_to(const cli_arg *arg, const char *word)
{
    const size_t size = strlen(word), length = strlen(arg->name);
    if (arg->refused)
        return INT_MAX;
    if (size > 1 && size < length && memcmp(arg->name, word, size) == 0)
        return (int)(length - size) - 1000;
    return cli_distance(word, arg->name);
}

static void unknown_long(const parser *p, const char *name)
{
    const cli_arg *closest = NULL;
    int best = 4;
    char word[48];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name, "="), name);
    for (int g = 0; g < p->command->n_groups; g++) {
        for (int i = 0; i < p->command->groups[g].n_args; i++) {
            const cli_arg *arg = &p->command->groups[g].args[i];
            const int distance = distance_to(arg, word);
            if (distance < best && distance < (int)strlen(arg->name)) {
                best = distance;
                closest = arg;
            }
        }
    }
    if (closest)
        cli_error("unknown option --%s: did you mean --%s?", word, closest->name);
    else
        cli_error("unknown option --%s", word);
}

static int parse_real(const cli_arg *arg, const char *text, double *value)
{
    char *end;
    const int digits_only = text[0] != '\0' && strspn(text, "+-0123456789.eE") == strlen(text);
    errno = 0;
    *value = digits_only ? strtod(text, &end) : 0.0;
    if (!digits_only || end == text || *end != '\0' || !isfinite(*value)) {
        cli_error("--%s needs a number, not '%s'", arg->name, text);
        return 0;
    }
    const int low = *value < arg->min || (arg->above_min && *value <= arg->min);
    if (arg->min < arg->max && (low || *value > arg->max)) {
        const char *relation = arg->above_min ? "above" : "of at least";
        if (isinf(arg->max))
            cli_error("--%s %s: expected a number %s %g", arg->name, text, relation, arg->min);
        else
            cli_error("--%s %s: expected a number %s %g and at most %g", arg->name, text, relation,
                      arg->min, arg->max);
        return 0;
    }
    return 1;
}

static int parse_int(const cli_arg *arg, const char *text, int64_t *value)
{
    char *end;
    const int digits_only = text[0] != '\0' && strspn(text, "+-0123456789") == strlen(text);
    errno = 0;
    *value = digits_only ? strtoll(text, &end, 10) : 0;
    if (!digits_only || end == text || *end != '\0') {
        cli_error("--%s needs a whole number, not '%s'", arg->name, text);
        return 0;
    }
    if (errno == ERANGE ||
        (arg->min < arg->max && ((double)*value < arg->min || (double)*value > arg->max))) {
        if (isinf(arg->max) || arg->max > 1e15)
            cli_error("--%s %s: expected a whole number of at least %.0f", arg->name, text,
                      arg->min);
        else
            cli_error("--%s %s: expected a whole number from %.0f to %.0f", arg->name, text,
                      arg->min, arg->max);
        return 0;
    }
    return 1;
}

static int parse_choice(const cli_arg *arg, const char *text, int64_t *value)
{
    const int n = cli_choice_count(arg->choices);
    char list[128] = "";
    for (int i = 0; i < n; i++) {
        int size;
        const char *word = cli_choice_word(arg->choices, i, &size);
        if (strlen(text) == (size_t)size && memcmp(text, word, (size_t)size) == 0) {
            *value = i;
            return 1;
        }
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.*s",
                 i == 0 ? "" : (i == n - 1 ? " or " : ", "), size, word);
    }
    cli_error("--%s takes %s, not '%s'%s%s", arg->name, list, text, arg->hint ? ": " : "",
              arg->hint ? arg->hint : "");
    return 0;
}

static int store(const parser *p, const cli_arg *arg, size_t base, const char *text)
{
    void *target = p->options + base + arg->offset;
    if (arg->kind == CLI_INT || arg->kind == CLI_CHOICE) {
        cli_int *number = target;
        number->given = 1;
        return arg->kind == CLI_INT ? parse_int(arg, text, &number->value)
                                    : parse_choice(arg, text, &number->value);
    }
    if (arg->kind == CLI_REAL) {
        cli_real *number = target;
        number->given = 1;
        return parse_real(arg, text, &number->value);
    }
    if (text[0] == '\0') {
        cli_error("--%s needs a value: '' is empty", arg->name);
        return 0;
    }
    if (arg->kind == CLI_TEXT) {
        *(const char **)target = text;
        return 1;
    }
    cli_list *list = target;
    if (list->n == CLI_LIST_SIZE) {
        cli_error("--%s may be given at most %d times", arg->name, CLI_LIST_SIZE);
        return 0;
    }
    list->item[list->n++] = text;
    return 1;
}

/* The option's value is `attached` if not NULL, else the next word. */
static int take_value(parser *p, const cli_arg *arg, size_t base, const char *attached)
{
    if (attached == NULL) {
        const char *next = p->at < p->argc ? p->argv[p->at] : NULL;
        if (next == NULL || is_option_word(p, next) || strcmp(next, "--") == 0) {
            cli_error("--%s needs a value: --%s %s", arg->name, arg->name, arg->meta);
            return 0;
        }
        attached = next;
        p->at++;
    }
    return store(p, arg, base, attached);
}

static cli_parse_result parse_long(parser *p, const char *name)
{
    const size_t size = strcspn(name, "=");
    size_t base;
    if (strcmp(name, "help") == 0)
        return CLI_WANTS_HELP;
    const cli_arg *arg = find_long(p, name, size, &base);
    if (arg == NULL) {
        unknown_long(p, name);
        return usage_error(p);
    }
    if (arg->refused) {
        cli_error("--%s: %s", arg->name, arg->refused);
        return CLI_BAD_USAGE;
    }
    if (arg->kind == CLI_FLAG) {
        if (name[size] == '=') {
            cli_error("--%s takes no value", arg->name);
            return usage_error(p);
        }
        *(int *)(p->options + base + arg->offset) = 1;
        return CLI_PARSED;
    }
    return take_value(p, arg, base, name[size] == '=' ? name + size + 1 : NULL) ? CLI_PARSED
                                                                                : usage_error(p);
}

static cli_parse_result parse_short(parser *p, const char *letters)
{
    for (; *letters; letters++) {
        size_t base;
        if (*letters == 'h')
            return CLI_WANTS_HELP;
        const cli_arg *arg = find_short(p, *letters, &base);
        if (arg == NULL) {
            int size = 1; /* of a character in UTF-8 */
            while (((unsigned char)letters[size] & 0xc0) == 0x80)
                size++;
            cli_error("unknown option -%.*s", size, letters);
            return usage_error(p);
        }
        if (arg->kind != CLI_FLAG)
            return take_value(p, arg, base, letters[1] ? letters + 1 : NULL) ? CLI_PARSED
                                                                             : usage_error(p);
        *(int *)(p->options + base + arg->offset) = 1;
    }
    return CLI_PARSED;
}

static cli_parse_result check_operands(const parser *p, int n)
{
    const cli_command *c = p->command;
    if (n < c->min_operands) {
        cli_error("%s: missing operand; usage: aimnet %s [options] %s", c->name, c->name,
                  c->operands);
        return usage_error(p);
    }
    if (n > c->max_operands) {
        if (c->max_operands == 0)
            cli_error("%s takes no operands: '%s' is one too many", c->name, p->argv[0]);
        else
            cli_error("%s: '%s' is one operand too many; usage: aimnet %s [options] %s", c->name,
                      p->argv[c->max_operands], c->name, c->operands);
        return usage_error(p);
    }
    return CLI_PARSED;
}

cli_parse_result cli_parse(const cli_command *command, int argc, const char **argv, void *options,
                           int *n_operands)
{
    parser p = {.command = command, .options = options, .argv = argv, .argc = argc};
    int n = 0, only_operands = 0;
    while (p.at < argc) {
        const char *word = argv[p.at++];
        cli_parse_result result = CLI_PARSED;
        if (only_operands || word[0] != '-' || word[1] == '\0')
            argv[n++] = word;
        else if (strcmp(word, "--") == 0)
            only_operands = 1;
        else if (word[1] == '-')
            result = parse_long(&p, word + 2);
        else
            result = parse_short(&p, word + 1);
        if (result != CLI_PARSED)
            return result;
    }
    *n_operands = n;
    return check_operands(&p, n);
}

/* SPDX-License-Identifier: MIT */
/* args.h - options as tables. One table per command is the only place where an option exists:
 * parsing, --help, the manual page, the Markdown reference and shell completion are all generated
 * from it.
 *
 *     static const cli_arg args[] = {
 *         {"cutoff", 'c', CLI_REAL, "R", "neighbours closer than R, Angstrom", .offset =
 * offsetof(my_options, cutoff), ...},
 *     };
 *
 * Accepted: --name value, --name=value, -n value, -nvalue, several flags in one word (-qj); "--"
 * ends the options; options and operands may be mixed. Numbers are read strictly (the whole word,
 * finite, decimal). The last of several equal options wins, except in lists. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stddef.h>
#include <stdint.h>

typedef enum cli_kind {
    CLI_FLAG,  /* int: 1 when given */
    CLI_INT,   /* cli_int */
    CLI_REAL,  /* cli_real */
    CLI_TEXT,  /* const char * */
    CLI_LIST,  /* cli_list: may be given several times */
    CLI_CHOICE /* cli_int: index of the chosen word in `choices` */
} cli_kind;

enum { CLI_LIST_SIZE = 64, CLI_MAX_THREADS = 1024 /* the library's limit */ };
typedef struct cli_int {
    int64_t value;
    int given;
} cli_int;
typedef struct cli_real {
    double value;
    int given;
} cli_real;
typedef struct cli_list {
    const char *item[CLI_LIST_SIZE];
    int n;
} cli_list;

typedef struct cli_arg {
    const char *name; /* long name without the dashes */
    char letter;      /* short name, or 0 */
    cli_kind kind;
    const char *meta;    /* name of the value in the help, for example "FILE"; NULL for flags */
    const char *help;    /* what it does, units and default included */
    size_t offset;       /* of the variable in the group's struct */
    const char *choices; /* CLI_CHOICE: words separated by '|' */
    const char *hint;    /* added to the message when a choice is not one of them */
    double min, max;     /* numbers: allowed range if min < max */
    int above_min;       /* min itself is not allowed */
    const char
        *refused; /* not NULL: known, but not in this version; the reason. Not shown in any help */
} cli_arg;

/* The options --quiet and --json in a command's struct of options, where they are int. */
#define CLI_QUIET_ARG(options, text)                                                               \
    {                                                                                              \
        .name = "quiet", .letter = 'q', .kind = CLI_FLAG, .offset = offsetof(options, quiet),      \
        .help = text                                                                               \
    }
#define CLI_JSON_ARG(options, text)                                                                \
    {                                                                                              \
        .name = "json", .letter = 'j', .kind = CLI_FLAG, .offset = offsetof(options, json),        \
        .help = text                                                                               \
    }

/* A titled part of a command's options; `base` is where its struct lies in the command's options.
 */
typedef struct cli_group {
    const char *title;
    const cli_arg *args;
    int n_args;
    size_t base;
} cli_group;

typedef struct cli_command {
    const char *name;
    const char *summary;  /* one line, no full stop */
    const char *operands; /* "FILE..." or "" */
    int min_operands, max_operands;
    const char *description; /* paragraphs separated by '\n' */
    const cli_group *groups;
    int n_groups;
    const char *examples; /* lines "command line\tcomment\n" */
    size_t options_size;  /* of the options struct, allocated zeroed by the caller of cli_parse */
    int (*run)(void *options, const char *const *operands, int n_operands);
} cli_command;

typedef enum cli_parse_result { CLI_PARSED, CLI_WANTS_HELP, CLI_BAD_USAGE } cli_parse_result;

/* Parses argv[0..argc-1] (the words after the command) into `options`; the operands are gathered at
 * the front of argv and counted in *n_operands. Mistakes are printed. */
cli_parse_result cli_parse(const cli_command *command, int argc, const char **argv, void *options,
                           int *n_operands);

/* The short name under which an option of the command is found, or 0: a letter belongs to the first
 * option that has it. */
char cli_letter(const cli_command *command, const cli_arg *arg);
/* Edit distance of two words (letters inserted, removed, changed, swapped). */
int cli_distance(const char *a, const char *b);
/* Number of words in "a|b|c", and word `index` (its length in *size). */
int cli_choice_count(const char *choices);
const char *cli_choice_word(const char *choices, int index, int *size);

#endif

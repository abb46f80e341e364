/* SPDX-License-Identifier: MIT */
/* xtb.c - the command line of xtb (S. Grimme's group; `man xtb` 6.5): file first, run types and
 * charge as options. It is translated word by word into one of our commands, so that nothing exists
 * twice; scripts and programs that drive xtb (and CREST's method "generic") need only another
 * binary.
 *
 *     --opt [LEVEL]          aimnet opt, result in aimnetopt.xyz
 *     --hess                 aimnet freq
 *     --sp, --scc, --grad    aimnet energy (--grad: with --forces)
 *     --engrad               aimnet energy --engrad
 *     -c, --chrg Q           --charge Q          -u, --uhf N   --mult N+1
 *     -P, --parallel N       --threads N
 * All other words stay as they are. */
#include "xtb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "console.h"

enum { MAX_WORDS = 512 };

typedef struct translation {
    const char *word[MAX_WORDS];
    int n, failed;
    const char *command;
    char mult[24];
    int has_output;
} translation;

static void put(translation *t, const char *word)
{
    if (t->n == MAX_WORDS) {
        cli_error("too many words on the command line");
        t->failed = 1;
        return;
    }
    t->word[t->n++] = word;
}

int cli_is_xtb(const char **argv)
{
    static const char *const flags[] = {"--opt",  "--hess",   "--ohess", "--sp", "--scc", "--grad",
                                        "--chrg", "--engrad", "--uhf",   "-c",   "-u",    "-P"};
    if (cli_command_find(argv[1]))
        return 0;
    if (argv[1][0] != '-') { /* a folder is no structure, but may be called like a command */
        struct stat info;
        FILE *file = fopen(argv[1], "r");
        if (file)
            fclose(file);
        return file != NULL && stat(argv[1], &info) == 0 && !S_ISDIR(info.st_mode);
    }
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
        if (strcmp(argv[1], flags[k]) == 0)
            return 1;
    return 0;
}

/* Run types cannot be combined. */
static void choose(translation *t, const char *command, const char *flag)
{
    if (t->command && strcmp(t->command, command) != 0) {
        cli_error("%s: one kind of run at a time ('%s' was asked for before)", flag, t->command);
        t->failed = 1;
    }
    t->command = command;
}

/* The seven levels of xtb on our three; NULL if the word is none. */
static const char *level_of(const char *word)
{
    static const char *const levels[][2] = {
        {"crude", "loose"}, {"sloppy", "loose"},    {"loose", "loose"},   {"normal", "normal"},
        {"tight", "tight"}, {"verytight", "tight"}, {"extreme", "tight"}, {"lax", "loose"}};
    for (size_t k = 0; word && k < sizeof levels / sizeof *levels; k++)
        if (strcmp(word, levels[k][0]) == 0)
            return levels[k][1];
    return NULL;
}

static void unpaired_electrons(translation *t, const char *text)
{
    char *end;
    const long n = text ? strtol(text, &end, 10) : -1;
    if (text == NULL || *text == '\0' || *end != '\0' || n < 0 || n > 1000000) {
        cli_error("--uhf needs the number of unpaired electrons, not '%s'", text ? text : "");
        t->failed = 1;
        return;
    }
    snprintf(t->mult, sizeof t->mult, "%ld", n + 1);
    put(t, "--mult");
    put(t, t->mult);
}

static int is(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || (b && strcmp(word, b) == 0);
}

/* Translates argv[i]; returns how many words it took. */
static int translate(translation *t, int argc, const char **argv, int i)
{
    const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
    if (is(word, "--opt", NULL)) {
        const char *level = level_of(next);
        choose(t, "opt", word);
        if (level) {
            put(t, "--level");
            put(t, level);
        }
        return level ? 2 : 1;
    }
    if (is(word, "--hess", NULL)) {
        choose(t, "freq", word);
    } else if (is(word, "--ohess", NULL)) {
        cli_error("--ohess: run --opt first, then --hess on aimnetopt.xyz");
        t->failed = 1;
    } else if (is(word, "--sp", "--scc")) {
        choose(t, "energy", word);
    } else if (is(word, "--grad", NULL)) {
        choose(t, "energy", word);
        put(t, "--forces");
    } else if (is(word, "--engrad", NULL)) {
        choose(t, "energy", word);
        put(t, "--engrad");
    } else if (is(word, "--chrg", "-c")) {
        put(t, "--charge");
    } else if (is(word, "--parallel", "-P")) {
        put(t, "--threads");
    } else if (is(word, "--uhf", "-u")) {
        unpaired_electrons(t, next);
        return 2;
    } else {
        t->has_output |= strncmp(word, "--output", 8) == 0 || strncmp(word, "-o", 2) == 0;
        put(t, word);
    }
    return 1;
}

int cli_xtb(int argc, const char **argv,
            int (*run)(const char *command, int argc, const char **argv))
{
    translation t = {.n = 0};
    for (int i = 1; i < argc && !t.failed;)
        i += translate(&t, argc, argv, i);
    if (t.failed)
        return CLI_USAGE;
    const char *command = t.command ? t.command : "energy";
    if (strcmp(command, "opt") == 0 && !t.has_output) {
        put(&t, "--output");
        put(&t, "aimnetopt.xyz");
    }
    return t.failed ? CLI_USAGE : run(command, t.n, t.word);
}

/* SPDX-License-Identifier: MIT */
/* xtb.h - `aimnet mol.xyz --opt --chrg -1`: a command line as users of xtb write it. */
#ifndef CLI_XTB_H
#define CLI_XTB_H

/* Whether the words look like that: no command first, but a file or one of xtb's options. */
int cli_is_xtb(const char **argv);
/* Translates the words into a command with its options and hands that to `run`, whose exit status
 * it returns. */
int cli_xtb(int argc, const char **argv,
            int (*run)(const char *command, int argc, const char **argv));

#endif

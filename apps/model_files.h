/* SPDX-License-Identifier: MIT */
/* model_files.h - what the commands that write models share. */
#ifndef CLI_MODEL_FILES_H
#define CLI_MODEL_FILES_H

#include "aimnet_model.h"

/* A folder, or a name that ends in '/'. */
int cli_is_folder(const char *path);
/* The format that a name asks for: a directory or NAME.safetensors, else a v2 .pt file. */
aimnet_file_format cli_format_of(const char *path);
/* Loads what was written (member: of a directory) and prints a line about it; returns an exit status. */
int cli_report_model(const char *path, int member);

#endif

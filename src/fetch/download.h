/* SPDX-License-Identifier: MIT */
/* download.h - one file over HTTPS into its place: complete and right, or not at all. */
#ifndef AIM_FETCH_DOWNLOAD_H
#define AIM_FETCH_DOWNLOAD_H

#include "base/alloc.h"

/* done and total in bytes; total -1: unknown; done -1: waiting for another process. Returns nonzero
 * to stop. */
typedef int (*aim_progress)(void *user, const char *what, int64_t done, int64_t total);

typedef struct aim_download {
    const char *url;    /* https://... */
    const char *target; /* its folder exists */
    const char *what;   /* for messages and progress */
    const char *sha256; /* expected digest, or "" */
    const char *token;  /* sent to the first host alone; NULL: none */
    int64_t max_bytes;
    int retries;          /* after failures that may pass */
    double wait_seconds;  /* before the first of them; doubled each time */
    double stall_seconds; /* without a byte: a failure */
    aim_progress progress;
    void *user;
    /* result */
    char digest[65];    /* of the file that is now there */
    char announced[65]; /* SHA-256 that the server named (Hugging Face's X-Linked-ETag), or "" */
} aim_download;

/* The file grows as <target>.part and is renamed when its digest is right. A .part that is there is
 * continued. Several processes take turns on it; who comes later finds the target finished. Errors:
 * UNSUPPORTED (no libcurl), FILE, INTERRUPTED (the .part stays), MEMORY. */
AIM_NODISCARD aim_status aim_download_run(const aim_alloc *a, aim_download *d);

#endif

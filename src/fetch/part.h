/* SPDX-License-Identifier: MIT */
/* part.h - the unfinished file of a download: locked, continued, renamed. Private to src/fetch. */
#ifndef AIM_FETCH_PART_H
#define AIM_FETCH_PART_H

#include "base/text.h"
#include "fetch/download.h"

typedef struct aim_part {
    aim_alloc alloc;
    const char *target;
    aim_string path; /* <target>.part */
    int fd;          /* locked; -1: closed */
    int64_t size;
    int error; /* errno of a failed write */
} aim_part;

/* Opens and locks; waits while another process holds the lock. *finished: that process has put the
 * target into place meanwhile; nothing is open then. Errors: FILE, INTERRUPTED, MEMORY. */
AIM_NODISCARD aim_status aim_part_open(aim_part *p, const aim_alloc *a, const aim_download *d,
                                       int *finished);
int aim_part_write(aim_part *p, const void *bytes, size_t size); /* 1: written */
int aim_part_truncate(aim_part *p);                              /* to nothing; 1: done */
/* Makes it durable and gives it its name. */
AIM_NODISCARD aim_status aim_part_commit(aim_part *p);
void aim_part_remove(aim_part *p); /* and close */
void aim_part_close(aim_part *p);  /* what is there stays, to be continued */

/* Sleeps in small steps; asks `progress` in between. INTERRUPTED when told to stop. */
AIM_NODISCARD aim_status aim_wait(const aim_download *d, double seconds, int64_t done);

#endif

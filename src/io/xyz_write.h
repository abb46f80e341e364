/* SPDX-License-Identifier: MIT */
/* xyz_write.h - structures with results as extended XYZ. */
#ifndef AIM_IO_XYZ_WRITE_H
#define AIM_IO_XYZ_WRITE_H

#include "aimnet_io.h"
#include "base/alloc.h"

/* As aimnet_writer_open() and so on, with an allocator. */
AIM_NODISCARD aim_status aim_writer_append(const aim_alloc *alloc, const char *path,
                                           aimnet_writer **writer);
AIM_NODISCARD aim_status aim_writer_open(const aim_alloc *alloc, const char *path,
                                         aimnet_writer **writer);
AIM_NODISCARD aim_status aim_writer_frame(aimnet_writer *writer, const aimnet_frame *frame,
                                          const aimnet_result *result);
AIM_NODISCARD aim_status aim_writer_close(aimnet_writer *writer, int commit);

#endif

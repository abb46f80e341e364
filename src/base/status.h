/* SPDX-License-Identifier: MIT */
/* status.h - the one error idiom: a status code plus a message in a per-thread buffer.
 *
 *     return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g must be > 0", rc);
 *     AIM_TRY(nlist_build(...));            // returns the callee's status if it is not OK
 *     status = AIM_FAIL(...); goto done;    // where something must be released
 *
 * aim_fail is warn_unused_result: "message set, return forgotten" does not compile. */
#ifndef AIM_BASE_STATUS_H
#define AIM_BASE_STATUS_H

#include "aimnet.h"
#include "base/attr.h"

typedef aimnet_status aim_status;

AIM_NODISCARD aim_status aim_fail(aim_status status, const char *format, ...) AIM_PRINTF(2, 3);
/* Puts "prefix: " in front of the current message and returns status: for adding the file or place
 * on the way up. */
AIM_NODISCARD aim_status aim_fail_prefix(aim_status status, const char *format, ...)
    AIM_PRINTF(2, 3);

#define AIM_FAIL(status, ...) aim_fail((status), __VA_ARGS__)
#define AIM_TRY(call)                                                                              \
    do {                                                                                           \
        aim_status aim_try_status_ = (call);                                                       \
        if (aim_try_status_ != AIMNET_OK)                                                          \
            return aim_try_status_;                                                                \
    } while (0)

#endif

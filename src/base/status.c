/* SPDX-License-Identifier: MIT */
/* status.c - the message of each thread's most recent failure, and the names of the status codes.
 *
 * The message lives in a fixed thread-local buffer: reporting a failure never allocates, so that
 * running out of memory can be reported too. Long messages are cut and end in "...". A cut never
 * leaves half a UTF-8 character. Arguments may point into the buffer itself (a message that quotes
 * aimnet_last_error()), which is why the text is composed aside first. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

/* Ends a text that filled its buffer with "...", after a whole character. */
static void mark_cut(char *text, size_t capacity)
{
    size_t end = capacity - sizeof "...";
    while (end > 0 && ((unsigned char)text[end] & 0xC0u) == 0x80u)
        end--;
    memcpy(text + end, "...", sizeof "...");
}

/* Writes "<formatted><tail>" into the thread's message. */
static void set_message(const char *format, va_list args, const char *tail)
{
    char text[MESSAGE_SIZE];
    const int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0)
        memcpy(text, "?", sizeof "?");
    size_t size = strlen(text);
    const size_t tail_size = strlen(tail);
    const size_t room = sizeof text - 1 - size;
    const size_t taken = tail_size < room ? tail_size : room;
    memcpy(text + size, tail, taken);
    size += taken;
    text[size] = '\0';
    if (length >= (int)sizeof text || taken < tail_size)
        mark_cut(text, sizeof text);
    memcpy(message, text, sizeof text);
}

const char *aimnet_last_error(void)
{
    return message;
}

const char *aimnet_status_name(aimnet_status status)
{
    switch (status) {
    case AIMNET_OK:
        return "ok";
    case AIMNET_ERR_ARG:
        return "argument";
    case AIMNET_ERR_SYSTEM:
        return "structure";
    case AIMNET_ERR_SOME_FAILED:
        return "some structures failed";
    case AIMNET_ERR_UNSUPPORTED:
        return "unsupported";
    case AIMNET_ERR_OVERFLOW:
        return "buffer too small";
    case AIMNET_ERR_FILE:
        return "file";
    case AIMNET_ERR_FORMAT:
        return "format";
    case AIMNET_ERR_END:
        return "end of file";
    case AIMNET_ERR_MODEL:
        return "model";
    case AIMNET_ERR_MEMORY:
        return "memory";
    case AIMNET_ERR_DEVICE:
        return "device";
    case AIMNET_ERR_INTERRUPTED:
        return "interrupted";
    case AIMNET_ERR_INTERNAL:
        return "internal";
    }
    return "unknown status";
}

aim_status aim_fail(aim_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_message(format, args, "");
    va_end(args);
    return status;
}

aim_status aim_fail_prefix(aim_status status, const char *format, ...)
{
    char old[MESSAGE_SIZE + 2];
    memcpy(old, ": ", 2);
    memcpy(old + 2, message, sizeof message);
    va_list args;
    va_start(args, format);
    set_message(format, args, old);
    va_end(args);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* curl.h - libcurl, found when it is needed: nothing is linked, so that the library starts fast and
 * runs where libcurl is missing. */
#ifndef AIM_FETCH_CURL_H
#define AIM_FETCH_CURL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct aim_curl {
    void *library, *easy;
    int (*setopt)(void *easy, int option, ...);
    int (*perform)(void *easy);
    int (*getinfo)(void *easy, int info, ...);
    void *(*easy_init)(void);
    void (*easy_cleanup)(void *easy);
    const char *(*easy_strerror)(int code);
    int (*global_init)(long flags);
    void (*global_cleanup)(void);
} aim_curl;

/* Numbers of libcurl's interface, which stay what they are (curl/curl.h, since 7.32). */
enum {
    AIM_CURLOPT_LOW_SPEED_LIMIT = 19,
    AIM_CURLOPT_LOW_SPEED_TIME = 20,
    AIM_CURLOPT_NOPROGRESS = 43,
    AIM_CURLOPT_FOLLOWLOCATION = 52,
    AIM_CURLOPT_MAXREDIRS = 68,
    AIM_CURLOPT_CONNECTTIMEOUT = 78,
    AIM_CURLOPT_NOSIGNAL = 99,
    AIM_CURLOPT_HTTPAUTH = 107,
    AIM_CURLOPT_PROTOCOLS = 181,
    AIM_CURLOPT_REDIR_PROTOCOLS = 182,
    AIM_CURLOPT_WRITEDATA = 10001,
    AIM_CURLOPT_URL = 10002,
    AIM_CURLOPT_RANGE = 10007,
    AIM_CURLOPT_ERRORBUFFER = 10010,
    AIM_CURLOPT_USERAGENT = 10018,
    AIM_CURLOPT_HEADERDATA = 10029,
    AIM_CURLOPT_XFERINFODATA = 10057,
    AIM_CURLOPT_CAINFO = 10065,
    AIM_CURLOPT_XOAUTH2_BEARER = 10220,
    AIM_CURLOPT_WRITEFUNCTION = 20011,
    AIM_CURLOPT_HEADERFUNCTION = 20079,
    AIM_CURLOPT_XFERINFOFUNCTION = 20219,
    AIM_CURLINFO_RESPONSE_CODE = 0x200002,
    AIM_CURLPROTO_HTTPS = 2,
    AIM_CURLAUTH_BEARER = 1 << 6,
    AIM_CURLE_OK = 0,
    AIM_CURLE_UNSUPPORTED_PROTOCOL = 1,
    AIM_CURLE_COULDNT_RESOLVE_PROXY = 5,
    AIM_CURLE_COULDNT_RESOLVE_HOST = 6,
    AIM_CURLE_COULDNT_CONNECT = 7,
    AIM_CURLE_WRITE_ERROR = 23,
    AIM_CURLE_TIMEDOUT = 28,
    AIM_CURLE_ABORTED = 42,
    AIM_CURLE_TOO_MANY_REDIRECTS = 47,
    AIM_CURLE_NOT_TRUSTED = 60,
    AIM_CURLE_BAD_CA_FILE = 77
};

/* Errors: UNSUPPORTED with the package to install, MEMORY. */
AIM_NODISCARD aim_status aim_curl_open(aim_curl *c);
void aim_curl_close(aim_curl *c);

#endif

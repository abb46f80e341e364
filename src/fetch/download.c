/* SPDX-License-Identifier: MIT */
/* download.c - HTTPS by libcurl into a locked .part file, which gets its name when its digest is
 * right.
 *
 * What is not trusted: the server's sizes (bytes are counted as they come), its ranges (a
 * continuation must begin where the file ends, else everything starts again), its redirects (HTTPS
 * only, at most five, the token stays with the first host), and an earlier .part (if the digest is
 * wrong after a continuation, the file is fetched once more from the beginning). Failures that may
 * pass - no connection, cut off, stalled, 408, 429, 5xx - are tried again after 1, 2, 4, ... times
 * wait_seconds and continue where the file ends. */
#define _XOPEN_SOURCE 700
#include "fetch/download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/cache.h"
#include "fetch/curl.h"
#include "fetch/part.h"

enum { MAX_REDIRECTS = 5, CONNECT_SECONDS = 20, ERROR_SIZE = 256, MAX_REFUSAL = 1 << 20 };

typedef enum verdict { DONE, AGAIN, ANEW, FAILED } verdict;
typedef enum reason { NO_REASON, DISK, TOO_LARGE, WRONG_RANGE, TALKATIVE } reason;

typedef struct transfer {
    aim_download *d;
    aim_part *part;
    aim_curl *curl;
    int64_t offset;      /* where this request begins */
    int64_t range_start; /* what the answer says, or -1 */
    int code;            /* HTTP status of the answer that is being read */
    int started;         /* its body has begun */
    int64_t refused;     /* bytes of the bodies of other answers */
    reason why;
    char error[ERROR_SIZE]; /* libcurl's words */
} transfer;

/* ---------------------------------------------------------------- what libcurl calls */

static int is_header(const char *line, size_t size, const char *name)
{
    const size_t n = strlen(name);
    size_t i = 0;
    while (i < n && i < size && (line[i] | 0x20) == (name[i] | 0x20))
        i++;
    return i == n;
}

static void read_range(transfer *t, const char *value, size_t size)
{
    size_t from = 0, to;
    while (from < size && (value[from] < '0' || value[from] > '9'))
        from++;
    for (to = from; to < size && value[to] >= '0' && value[to] <= '9';)
        to++;
    if (!aim_parse_int64(value + from, to - from, &t->range_start))
        t->range_start = -1;
}

static void read_announced(aim_download *d, const char *value, size_t size)
{
    char hex[65];
    while (size > 0 && (*value == ' ' || *value == '"')) {
        value++;
        size--;
    }
    if (size < 64 || d->announced[0])
        return;
    memcpy(hex, value, 64);
    hex[64] = '\0';
    if (aim_is_digest(hex))
        memcpy(d->announced, hex, sizeof hex);
}

static size_t on_header(const char *line, size_t one, size_t size, void *user)
{
    static const char range[] = "content-range:", etag[] = "x-linked-etag:";
    transfer *t = user;
    (void)one;
    if (is_header(line, size, "http/")) { /* an answer begins; redirects have several */
        const char *space = memchr(line, ' ', size);
        const size_t at = space ? (size_t)(space - line) + 1 : size;
        int64_t code = 0;
        if (size - at < 3 || !aim_parse_int64(line + at, 3, &code))
            code = 0;
        t->code = (int)code;
        t->range_start = -1;
    } else if (is_header(line, size, range)) {
        read_range(t, line + sizeof range - 1, size - sizeof range + 1);
    } else if (is_header(line, size, etag)) {
        read_announced(t->d, line + sizeof etag - 1, size - sizeof etag + 1);
    }
    return size;
}

/* The first bytes of a file: at its beginning, or where the .part ends. Returns 0 to stop. */
static int begin_body(transfer *t)
{
    t->started = 1;
    if (t->code == 206 && t->range_start != t->offset) {
        t->why = WRONG_RANGE;
        return 0;
    }
    if (t->code == 200 && t->part->size > 0 && !aim_part_truncate(t->part)) {
        t->why = DISK;
        return 0;
    }
    return 1;
}

static size_t on_body(const char *bytes, size_t one, size_t size, void *user)
{
    transfer *t = user;
    (void)one;
    if (t->code != 200 && t->code != 206) {
        t->refused += (int64_t)size;
        t->why = t->refused > MAX_REFUSAL ? TALKATIVE : NO_REASON;
        return t->why == NO_REASON ? size : 0;
    }
    if (!t->started && !begin_body(t))
        return 0;
    if ((int64_t)size > t->d->max_bytes - t->part->size) {
        t->why = TOO_LARGE;
        return 0;
    }
    if (!aim_part_write(t->part, bytes, size)) {
        t->why = DISK;
        return 0;
    }
    return size;
}

static int on_progress(void *user, int64_t total, int64_t now, int64_t up_total, int64_t up)
{
    const transfer *t = user;
    (void)now;
    (void)up_total;
    (void)up;
    if (!t->d->progress)
        return 0;
    const int64_t start = t->code == 206 ? t->offset : 0;
    return t->d->progress(t->d->user, t->d->what, t->part->size,
                          total > 0 && t->started ? start + total : -1);
}

/* ---------------------------------------------------------------- one request */

static void prepare(transfer *t)
{
    const aim_curl *c = t->curl;
    const aim_download *d = t->d;
    const char *authorities = getenv("SSL_CERT_FILE");
    c->setopt(c->easy, AIM_CURLOPT_URL, d->url);
    c->setopt(c->easy, AIM_CURLOPT_PROTOCOLS, (long)AIM_CURLPROTO_HTTPS);
    c->setopt(c->easy, AIM_CURLOPT_REDIR_PROTOCOLS, (long)AIM_CURLPROTO_HTTPS);
    c->setopt(c->easy, AIM_CURLOPT_FOLLOWLOCATION, 1L);
    c->setopt(c->easy, AIM_CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    c->setopt(c->easy, AIM_CURLOPT_NOSIGNAL, 1L);
    c->setopt(c->easy, AIM_CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    c->setopt(c->easy, AIM_CURLOPT_LOW_SPEED_LIMIT, 1L);
    c->setopt(c->easy, AIM_CURLOPT_LOW_SPEED_TIME,
              d->stall_seconds < 1.0 ? 1L : (long)d->stall_seconds);
    c->setopt(c->easy, AIM_CURLOPT_USERAGENT, "aimnet");
    c->setopt(c->easy, AIM_CURLOPT_HEADERFUNCTION, on_header);
    c->setopt(c->easy, AIM_CURLOPT_HEADERDATA, t);
    c->setopt(c->easy, AIM_CURLOPT_WRITEFUNCTION, on_body);
    c->setopt(c->easy, AIM_CURLOPT_WRITEDATA, t);
    c->setopt(c->easy, AIM_CURLOPT_NOPROGRESS, 0L);
    c->setopt(c->easy, AIM_CURLOPT_XFERINFOFUNCTION, on_progress);
    c->setopt(c->easy, AIM_CURLOPT_XFERINFODATA, t);
    c->setopt(c->easy, AIM_CURLOPT_ERRORBUFFER, t->error);
    if (d->token) {
        c->setopt(c->easy, AIM_CURLOPT_HTTPAUTH, (long)AIM_CURLAUTH_BEARER);
        c->setopt(c->easy, AIM_CURLOPT_XOAUTH2_BEARER, d->token);
    }
    if (authorities && authorities[0])
        c->setopt(c->easy, AIM_CURLOPT_CAINFO, authorities);
}

#define FAIL_URL(d, status, ...) aim_fail_prefix(AIM_FAIL(status, __VA_ARGS__), "%s", (d)->url)

/* libcurl stopped because a function of ours said so. */
static verdict judge_stop(transfer *t, aim_status *status)
{
    const aim_part *p = t->part;
    switch (t->why) {
    case DISK:
        *status = AIM_FAIL(AIMNET_ERR_FILE, "%s: writing failed after %lld bytes: %s", p->path.data,
                           (long long)p->size, strerror(p->error));
        return FAILED;
    case TOO_LARGE:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "more than the %lld bytes that are accepted",
                           (long long)t->d->max_bytes);
        return FAILED;
    case WRONG_RANGE:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "the answer continues at another place");
        return ANEW;
    case TALKATIVE:
    case NO_REASON:
        break;
    }
    *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "HTTP status %d with an endless answer", t->code);
    return FAILED;
}

static verdict judge_code(transfer *t, aim_status *status)
{
    const int code = t->code;
    if (code == 200 || code == 206) {
        if (!t->started && !begin_body(t)) /* an empty file */
            return judge_stop(t, status);
        return DONE;
    }
    if (code == 416 && t->offset > 0) {
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "HTTP status 416");
        return ANEW;
    }
    if (code == 401 || code == 403)
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE,
                           "HTTP status %d: access denied; private repositories need a token "
                           "(environment variable HF_TOKEN)",
                           code);
    else if (code == 404 || code == 410)
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "HTTP status %d: there is no such file", code);
    else
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "HTTP status %d", code);
    return code == 408 || code == 429 || code >= 500 ? AGAIN : FAILED;
}

static verdict judge(transfer *t, int rc, aim_status *status)
{
    const char *words = t->error[0] ? t->error : t->curl->easy_strerror(rc);
    switch (rc) {
    case AIM_CURLE_OK:
        return judge_code(t, status);
    case AIM_CURLE_WRITE_ERROR:
        return judge_stop(t, status);
    case AIM_CURLE_ABORTED:
        *status = AIM_FAIL(AIMNET_ERR_INTERRUPTED,
                           "%s: interrupted after %lld bytes, which are kept: the next download "
                           "continues there",
                           t->d->what, (long long)t->part->size);
        return FAILED;
    case AIM_CURLE_UNSUPPORTED_PROTOCOL:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "leads to an address without HTTPS: refused");
        return FAILED;
    case AIM_CURLE_NOT_TRUSTED:
    case AIM_CURLE_BAD_CA_FILE:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE,
                           "the server's certificate is not trusted: %s (package "
                           "ca-certificates, or SSL_CERT_FILE)",
                           words);
        return FAILED;
    case AIM_CURLE_TOO_MANY_REDIRECTS:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "more than %d redirects", MAX_REDIRECTS);
        return FAILED;
    case AIM_CURLE_COULDNT_RESOLVE_PROXY:
    case AIM_CURLE_COULDNT_RESOLVE_HOST:
    case AIM_CURLE_COULDNT_CONNECT:
        *status =
            FAIL_URL(t->d, AIMNET_ERR_FILE,
                     "%s; without a network: fetch the file elsewhere and save it as %s%s%s%s",
                     words, t->d->target, t->d->sha256[0] ? " (SHA-256 " : "", t->d->sha256,
                     t->d->sha256[0] ? ")" : "");
        return AGAIN;
    default:
        *status = FAIL_URL(t->d, AIMNET_ERR_FILE, "%s", words);
        return AGAIN;
    }
}

static verdict request(aim_download *d, aim_part *part, aim_curl *curl, aim_status *status)
{
    transfer t = {.d = d, .part = part, .curl = curl, .offset = part->size, .range_start = -1};
    char range[32];
    prepare(&t);
    snprintf(range, sizeof range, "%lld-", (long long)t.offset);
    curl->setopt(curl->easy, AIM_CURLOPT_RANGE, t.offset > 0 ? range : (const char *)NULL);
    return judge(&t, curl->perform(curl->easy), status);
}

/* ---------------------------------------------------------------- until it is there */

/* Requests until the .part is complete. */
static aim_status fill(aim_download *d, aim_part *part, aim_curl *curl)
{
    double wait = d->wait_seconds;
    int tries = 0, anew = 0;
    for (;;) {
        aim_status status = AIMNET_OK;
        const verdict v = request(d, part, curl, &status);
        if (v == DONE || v == FAILED)
            return status;
        if (v == ANEW) {
            if (anew++)
                return status;
            if (!aim_part_truncate(part))
                return AIM_FAIL(AIMNET_ERR_FILE, "%s: %s", part->path.data, strerror(part->error));
            continue;
        }
        if (tries++ == d->retries)
            return d->retries > 0 ? aim_fail_prefix(status, "after %d attempts", d->retries + 1)
                                  : status;
        AIM_TRY(aim_wait(d, wait, part->size));
        wait *= 2.0;
    }
}

static const char *wanted(const aim_download *d)
{
    return d->sha256[0] ? d->sha256 : d->announced;
}

static aim_status fill_and_check(aim_download *d, aim_part *part, aim_curl *curl)
{
    for (;;) {
        const int continued = part->size > 0;
        AIM_TRY(fill(d, part, curl));
        AIM_TRY(aim_file_sha256(part->path.data, d->digest));
        if (wanted(d)[0] == '\0' || strcmp(d->digest, wanted(d)) == 0)
            return aim_part_commit(part);
        if (!aim_part_truncate(part) || !continued)
            return FAIL_URL(d, AIMNET_ERR_FILE,
                            "SHA-256 is %s instead of %s: the file was not kept", d->digest,
                            wanted(d));
    }
}

static int is_disk_full(int error)
{
#if defined(EDQUOT)
    if (error == EDQUOT)
        return 1;
#endif
    return error == ENOSPC || error == EFBIG;
}

static aim_status run_locked(aim_download *d, aim_part *part)
{
    aim_curl curl;
    aim_status status = aim_curl_open(&curl);
    if (status == AIMNET_OK)
        status = fill_and_check(d, part, &curl);
    aim_curl_close(&curl);
    if (status != AIMNET_OK && (part->size == 0 || is_disk_full(part->error)))
        aim_part_remove(part);
    else
        aim_part_close(part);
    return status;
}

aim_status aim_download_run(const aim_alloc *a, aim_download *d)
{
    aim_part part;
    int finished;
    d->digest[0] = d->announced[0] = '\0';
    AIM_TRY(aim_part_open(&part, a, d, &finished));
    if (!finished)
        return run_locked(d, &part);
    AIM_TRY(aim_file_sha256(d->target, d->digest));
    if (d->sha256[0] && strcmp(d->digest, d->sha256) != 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: SHA-256 is %s instead of %s", d->target, d->digest,
                        d->sha256);
    return AIMNET_OK;
}

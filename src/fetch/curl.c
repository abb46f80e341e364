/* SPDX-License-Identifier: MIT */
/* curl.c - loads libcurl by its name in the dynamic linker and looks up the eight functions that a
 * download needs.
 *
 * The library is never unloaded: its TLS backend registers handlers for the end of the process. */
#include "fetch/curl.h"

#include <string.h>

#include "base/platform.h"

static void *load(void)
{
    static const char *const names[] = {"libcurl.so.4",  "libcurl-gnutls.so.4", "libcurl.4.dylib",
                                        "libcurl.dylib", "libcurl.so",          "libcurl-x64.dll",
                                        "libcurl-4.dll", "libcurl.dll"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = aim_os_library_open(names[i]);
    return library;
}

/* ISO C has no conversion from void * to a function; the bytes are the same where dlsym exists. */
static int find(void *library, const char *name, void *function)
{
    void *symbol = aim_os_library_symbol(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int find_all(aim_curl *c)
{
    return find(c->library, "curl_easy_setopt", &c->setopt) &&
           find(c->library, "curl_easy_perform", &c->perform) &&
           find(c->library, "curl_easy_getinfo", &c->getinfo) &&
           find(c->library, "curl_easy_init", &c->easy_init) &&
           find(c->library, "curl_easy_cleanup", &c->easy_cleanup) &&
           find(c->library, "curl_easy_strerror", &c->easy_strerror) &&
           find(c->library, "curl_global_init", &c->global_init) &&
           find(c->library, "curl_global_cleanup", &c->global_cleanup);
}

aim_status aim_curl_open(aim_curl *c)
{
    enum { EVERYTHING = 3 };
    *c = (aim_curl){.library = load()};
    if (!c->library || !find_all(c))
        return AIM_FAIL(AIMNET_ERR_UNSUPPORTED,
                        "downloads need the library libcurl (libcurl.so.4), which was not found: "
                        "install the package libcurl4");
    if (c->global_init(EVERYTHING) == AIM_CURLE_OK) {
        c->easy = c->easy_init();
        if (c->easy)
            return AIMNET_OK;
        c->global_cleanup();
    }
    return AIM_FAIL(AIMNET_ERR_MEMORY, "libcurl cannot be started");
}

void aim_curl_close(aim_curl *c)
{
    if (!c->easy)
        return;
    c->easy_cleanup(c->easy);
    c->global_cleanup();
    c->easy = NULL;
}

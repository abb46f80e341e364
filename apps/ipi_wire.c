/* SPDX-License-Identifier: MIT */
/* ipi_wire.c - sockets and shared memory for ipi_client.c. An interrupted system call is repeated
 * unless the user has asked to stop. */
#define _POSIX_C_SOURCE 200809L
#include "ipi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "console.h"

#if defined(_WIN32)

ipi_status ipi_connect(const char *unix_name, const char *host, int port, double wait, int *fd)
{
    (void)unix_name, (void)host, (void)port, (void)wait, (void)fd;
    cli_error("ipi: this build has no sockets; it runs on Linux and macOS");
    return IPI_ERROR;
}
ipi_status ipi_read(int fd, void *bytes, size_t size)
{
    (void)fd, (void)bytes, (void)size;
    return IPI_ERROR;
}
ipi_status ipi_write(int fd, const void *bytes, size_t size)
{
    (void)fd, (void)bytes, (void)size;
    return IPI_ERROR;
}
void ipi_close(int fd)
{
    (void)fd;
}
ipi_status ipi_wait(const int *fds, int n, int milliseconds, int *ready, int *n_ready)
{
    (void)fds, (void)n, (void)milliseconds, (void)ready, (void)n_ready;
    return IPI_ERROR;
}
ipi_status ipi_attach(const char *name, size_t size, void **memory)
{
    (void)name, (void)size, (void)memory;
    return IPI_ERROR;
}
void ipi_detach(void *memory, size_t size)
{
    (void)memory, (void)size;
}

#else

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int try_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        const int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int try_inet(const struct addrinfo *list)
{
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd < 0)
            continue;
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            const int why = errno;
            close(fd);
            errno = why;
            fd = -1;
        }
    }
    const int yes = 1; /* many small messages: do not wait for more */
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* Calls one of the two until it succeeds or the time is over. */
static int keep_trying(const char *path, const struct addrinfo *list, double wait)
{
    const double end = cli_seconds() + wait;
    for (;;) {
        const int fd = path ? try_unix(path) : try_inet(list);
        if (fd >= 0 || cli_seconds() >= end || cli_interrupted())
            return fd;
        const struct timespec pause = {.tv_nsec = 50000000};
        nanosleep(&pause, NULL);
    }
}

ipi_status ipi_connect(const char *unix_name, const char *host, int port, double wait, int *fd)
{
    char path[256], number[16];
    struct addrinfo *list = NULL;
    if (unix_name) {
        snprintf(path, sizeof path, "%s%s", strchr(unix_name, '/') ? "" : "/tmp/ipi_", unix_name);
    } else {
        const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        snprintf(number, sizeof number, "%d", port);
        snprintf(path, sizeof path, "%.200s port %d", host, port);
        const int failure = getaddrinfo(host, number, &hints, &list);
        if (failure != 0) {
            cli_error("%s: %s", path, gai_strerror(failure));
            return IPI_ERROR;
        }
    }
    *fd = keep_trying(unix_name ? path : NULL, list, wait);
    const int why = errno;
    if (list)
        freeaddrinfo(list);
    if (*fd >= 0)
        return IPI_OK;
    if (cli_interrupted())
        return IPI_INTERRUPTED;
    cli_error("%s: no server answers: %s", path, strerror(why));
    return IPI_ERROR;
}

ipi_status ipi_read(int fd, void *bytes, size_t size)
{
    unsigned char *p = bytes;
    size_t got = 0;
    while (got < size) {
        const ssize_t n = read(fd, p + got, size - got);
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) {
            if (cli_interrupted())
                return IPI_INTERRUPTED;
            continue;
        }
        if (got == 0 && (n == 0 || errno == ECONNRESET))
            return IPI_CLOSED;
        cli_error("the server hung up in the middle of a message (%zu of %zu bytes)%s%s", got, size,
                  n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        return IPI_ERROR;
    }
    return IPI_OK;
}

ipi_status ipi_write(int fd, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    while (size > 0) {
        const ssize_t n = write(fd, p, size);
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        } else if (errno == EINTR) {
            if (cli_interrupted())
                return IPI_INTERRUPTED;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return IPI_CLOSED;
        } else {
            cli_error("sending to the server failed: %s", strerror(errno));
            return IPI_ERROR;
        }
    }
    return IPI_OK;
}

void ipi_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

ipi_status ipi_wait(const int *fds, int n, int milliseconds, int *ready, int *n_ready)
{
    enum { MAX = 1024 };
    struct pollfd list[MAX];
    for (int i = 0; i < n && i < MAX; i++)
        list[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    for (;;) {
        *n_ready = poll(list, (nfds_t)n, milliseconds);
        if (*n_ready >= 0)
            break;
        if (errno != EINTR || cli_interrupted())
            return cli_interrupted() ? IPI_INTERRUPTED : IPI_ERROR;
    }
    for (int i = 0; i < n; i++)
        ready[i] = list[i].revents != 0;
    return IPI_OK;
}

ipi_status ipi_attach(const char *name, size_t size, void **memory)
{
    char path[260];
    struct stat info;
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : "/", name);
    const int fd = shm_open(path, O_RDWR, 0);
    if (fd < 0) {
        cli_error("shared memory '%s': %s", name, strerror(errno));
        return IPI_ERROR;
    }
    if (fstat(fd, &info) != 0 || info.st_size < 0 || (size_t)info.st_size < size) {
        cli_error("shared memory '%s' holds %lld bytes, expected at least %zu", name,
                  (long long)info.st_size, size);
        close(fd);
        return IPI_ERROR;
    }
    *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (*memory == MAP_FAILED) {
        *memory = NULL;
        cli_error("shared memory '%s': %s", name, strerror(errno));
        return IPI_ERROR;
    }
    return IPI_OK;
}

void ipi_detach(void *memory, size_t size)
{
    if (memory)
        munmap(memory, size);
}

#endif

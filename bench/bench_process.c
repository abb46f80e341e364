/* SPDX-License-Identifier: MIT */
/* bench_process.c - wall time and peak memory of a whole process:  bench_process RUNS COMMAND
 * ARGUMENT...
 *
 * Line: process runs minimum median (seconds) peak_rss (MB). The command's output is thrown away;
 * a failure ends the measurement. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 1000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double time[MAX_RUNS];
    int runs = argc > 2 ? atoi(argv[1]) : 0;
    if (runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_process RUNS COMMAND ARGUMENT...\n");
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        double start = now();
        pid_t child = fork();
        if (child == 0) {
            int null = open("/dev/null", O_WRONLY);
            dup2(null, STDOUT_FILENO);
            execvp(argv[2], argv + 2);
            _exit(127);
        }
        int status = 1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "bench_process: %s failed\n", argv[2]);
            return 1;
        }
        time[i] = now() - start;
    }
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    printf("process %d %.6g %.6g %.1f\n", runs, time[0], time[runs / 2],
           (double)usage.ru_maxrss / 1024.0);
    return 0;
}

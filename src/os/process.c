/* process.c -- signals, terminal, memory and standard streams of this process.
 *
 * Thread: any; the signal handler only touches one lock-free atomic. */
#include "os/process.h"

#include "base/assert.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- signals ---- */

static atomic_int stop_signal;

static void on_signal(int number)
{
    if (atomic_exchange(&stop_signal, number) != 0)
        _exit(128 + number);
}

/* No SA_RESTART: a read that waits for input must come back and see the flag. */
void mr_process_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigfillset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

int mr_process_stop_asked(void)
{
    return atomic_load_explicit(&stop_signal, memory_order_relaxed);
}

/* ---- terminal ---- */

bool mr_process_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

void mr_process_terminal_size(int fd, int *out_columns, int *out_rows)
{
    struct winsize size = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *out_columns = known ? size.ws_col : 80;
    *out_rows = known ? size.ws_row : 24;
}

/* ---- memory and time ---- */

/* The start of a small file of the kernel, terminated; empty when it cannot be read. */
static void read_small(const char *path, char *out, size_t out_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, out_bytes - 1) : 0;
    out[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
}

static uint64_t limit_in(const char *path)
{
    char text[64];
    read_small(path, text, sizeof text);
    char *end;
    unsigned long long limit = strtoull(text, &end, 10);
    return end != text && limit > 0 ? limit : UINT64_MAX; /* "max", or no such file */
}

/* The least limit from this process's group up to the root; every ancestor's limit binds (cgroup
 * v2). */
static uint64_t cgroup_limit_bytes(void)
{
    char text[4096], path[4096 + 64];
    read_small("/proc/self/cgroup", text, sizeof text);
    char *group = strstr(text, "0::/");
    uint64_t least = limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"); /* v1 */
    if (group == NULL)
        return least;
    group += 3;
    group[strcspn(group, "\n")] = '\0';
    for (char *end = group + strlen(group); end != NULL; end = strrchr(group, '/')) {
        *end = '\0';
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        least = MR_MIN(least, limit_in(path));
    }
    return least;
}

uint64_t mr_process_memory_total_bytes(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return MR_MIN(machine, cgroup_limit_bytes());
}

uint64_t mr_process_memory_resident_bytes(void)
{
    char text[256];
    read_small("/proc/self/statm", text, sizeof text);
    const char *second = strchr(text, ' ');
    unsigned long long pages = second != NULL ? strtoull(second, NULL, 10) : 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t mr_process_memory_mapped_bytes(void)
{
    char text[256];
    read_small("/proc/self/statm", text, sizeof text);
    const char *second = strchr(text, ' ');
    const char *third = second != NULL ? strchr(second + 1, ' ') : NULL;
    unsigned long long pages = third != NULL ? strtoull(third, NULL, 10) : 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define HEAP_STEP_BYTES (64 << 20)

void mr_process_huge_pages(void)
{
    static _Atomic uintptr_t first;
    uintptr_t now = (uintptr_t)sbrk(0), none = 0, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (atomic_compare_exchange_strong(&first, &none, now)) {
        /* The heap grows in larger steps from here on, so that most of a step is advised before it is used. */
        (void)mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
        return;
    }
    uintptr_t from = (atomic_load(&first) + page - 1) / page * page;
    if (now > from)
        (void)madvise((void *)from, now - from, MADV_HUGEPAGE);
}

int64_t mr_process_cpu_ns(void)
{
    struct timespec used;
    MR_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

int mr_process_id(void)
{
    return (int)getpid();
}

void mr_process_user(char *out, size_t out_bytes)
{
    char memory[1024];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, memory, sizeof memory, &found) == 0 && found != NULL)
        (void)snprintf(out, out_bytes, "%s", found->pw_name);
    else
        (void)snprintf(out, out_bytes, "%u", (unsigned)geteuid());
}

mr_status mr_process_folder(char *out, size_t out_bytes, mr_error *err)
{
    char reason[128];
    if (getcwd(out, out_bytes) != NULL)
        return MR_OK;
    return MR_FAIL(err, MR_IO, "cannot tell the current folder: %s",
                   strerror_r(errno, reason, sizeof reason));
}

/* ---- streams ---- */

static mr_status stream_failed(mr_error *err, const char *verb, int fd, int number)
{
    char reason[128];
    if (number == EPIPE)
        return MR_FAIL(err, MR_END, "who reads descriptor %d has gone away", fd);
    if (number == EINTR)
        return MR_FAIL(err, MR_INTERRUPTED, "stopped by signal %d", mr_process_stop_asked());
    return MR_FAIL(err, number == ENOSPC || number == EDQUOT ? MR_FULL : MR_IO,
                   "cannot %s descriptor %d: %s", verb, fd,
                   strerror_r(number, reason, sizeof reason));
}

mr_status mr_process_read(int fd, void *to, size_t size, size_t *out_size, mr_error *err)
{
    *out_size = 0;
    ssize_t got;
    do
        got = read(fd, to, size);
    while (got < 0 && errno == EINTR && mr_process_stop_asked() == 0);
    if (got < 0)
        return stream_failed(err, "read", fd, errno);
    *out_size = (size_t)got;
    return MR_OK;
}

mr_status mr_process_write(int fd, const void *from, size_t size, mr_error *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, (const uint8_t *)from + done, size - done);
        if (put < 0 && errno != EINTR)
            return stream_failed(err, "write", fd, errno);
        done += put > 0 ? (size_t)put : 0;
    }
    return MR_OK;
}

static int64_t notice_wall_us(void *context)
{
    (void)context;
    return mr_clock_real()->wall_us(mr_clock_real());
}

/* A log that cannot be written has nobody left to tell. */
static void notice_write(void *context, const char *line, size_t bytes)
{
    (void)context;
    (void)mr_process_write(STDERR_FILENO, line, bytes, NULL);
}

const mr_notice_writer *mr_process_notice_writer(void)
{
    static const mr_notice_writer writer = {notice_wall_us, notice_write, NULL};
    return &writer;
}

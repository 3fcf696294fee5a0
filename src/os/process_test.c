/* process_test.c -- signals as a stop that is asked for, and what the machine says of itself. */
#include "os/process.h"
#include "os/thread.h"
#include "test/test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit code of a child that runs `body`; 1000 + n when signal n killed it. */
static int run_child(void (*body)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body();
        _exit(99);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void one_signal(void)
{
    mr_process_catch_signals();
    (void)raise(SIGPIPE);
    if (mr_process_stop_asked() != 0)
        _exit(1);
    (void)raise(SIGTERM);
    _exit(mr_process_stop_asked() == SIGTERM ? 0 : 2);
}

static void two_signals(void)
{
    mr_process_catch_signals();
    (void)raise(SIGINT);
    (void)raise(SIGTERM);
}

/* A read that waits for ever ends when a stop is asked for. */
static void signal_while_reading(void)
{
    int ends[2];
    char byte;
    size_t got;
    mr_process_catch_signals();
    if (pipe(ends) != 0)
        _exit(1);
    (void)alarm(20); /* ends the child should the read not end */
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < 1000 && kill(parent, 0) == 0; i++) {
            (void)usleep(20000);
            if (i == 0)
                (void)kill(parent, SIGTERM);
        }
        _exit(0);
    }
    mr_status status = mr_process_read(ends[0], &byte, 1, &got, NULL);
    (void)kill(child, SIGKILL);
    _exit(status == MR_INTERRUPTED ? 0 : 2);
}

TEST(process, first_signal_asks_second_ends)
{
    assert_int_equal(run_child(one_signal), 0);
    assert_int_equal(run_child(two_signals), 128 + SIGTERM);
    assert_int_equal(run_child(signal_while_reading), 0);
    assert_int_equal(mr_process_stop_asked(), 0);
}

TEST(process, pipes_carry_bytes_and_end)
{
    mr_error err = {0};
    int ends[2];
    char buffer[16];
    size_t got;
    assert_int_equal(pipe(ends), 0);
    assert_ok(mr_process_write(ends[1], "hello", 5, &err), &err);
    assert_ok(mr_process_read(ends[0], buffer, sizeof buffer, &got, &err), &err);
    assert_int_equal(got, 5);
    assert_memory_equal(buffer, "hello", 5);
    (void)close(ends[1]);
    assert_ok(mr_process_read(ends[0], buffer, sizeof buffer, &got, &err), &err);
    assert_int_equal(got, 0);
    (void)close(ends[0]);
    assert_int_equal(mr_process_read(ends[0], buffer, 1, &got, &err), MR_IO);
    assert_non_null(strstr(err.text, "Bad file descriptor"));
    assert_false(mr_process_is_terminal(ends[0]));
    int columns, rows;
    mr_process_terminal_size(ends[0], &columns, &rows);
    assert_true(columns == 80 && rows == 24);
}

TEST(process, machine_figures_make_sense)
{
    uint64_t total = mr_process_memory_total_bytes(), resident = mr_process_memory_resident_bytes();
    assert_true(resident > 1 << 20 && resident < total);
    assert_true(total > UINT64_C(1) << 28 && total < UINT64_C(1) << 46);
    int64_t before_ns = mr_process_cpu_ns();
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 3000000; i++)
        sum += i;
    assert_true(sum > 0 && mr_process_cpu_ns() > before_ns);
    assert_int_equal(mr_process_id(), getpid());
    assert_true(mr_thread_processors() >= 1);
}

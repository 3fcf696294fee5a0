/* process.h -- what a program asks its machine: signals, terminal, environment, memory, standard
 * streams. */
#ifndef MR_OS_PROCESS_H
#define MR_OS_PROCESS_H

#include "base/notice.h"
#include "base/status.h"

#include <stddef.h>

/* After this, SIGINT and SIGTERM only set a flag; the second one leaves at once with exit code
 * 130/143. SIGPIPE is ignored. */
void mr_process_catch_signals(void);
/* Signal number of a stop that was asked for, 0 when none. Async-signal safe to poll. */
int mr_process_stop_asked(void);

bool mr_process_is_terminal(int fd);
/* Columns and rows of the terminal on fd; 80 x 24 when unknown. */
void mr_process_terminal_size(int fd, int *out_columns, int *out_rows);
uint64_t mr_process_memory_total_bytes(void); /* of the machine, or of the cgroup when smaller */
uint64_t mr_process_memory_resident_bytes(void);
/* Resident pages that are files' (programs, libraries, mappings): the system can take them back. */
uint64_t mr_process_memory_mapped_bytes(void);
/* Asks for huge pages where the heap has grown since the first call: with state of hundreds of megabytes at random
 * keys the translation of addresses costs as much as the memory itself. Cheap; call it again as the heap grows.
 * Only advice: results and limits do not depend on it. */
void mr_process_huge_pages(void);
/* CPU time of the process so far, user and system. */
int64_t mr_process_cpu_ns(void);
int mr_process_id(void);
/* The name of the user it runs as, or the number when the machine has no name for it. */
void mr_process_user(char *out, size_t out_bytes);
/* The folder that relative paths start from. */
mr_status mr_process_folder(char *out, size_t out_bytes, mr_error *err);

/* For standard streams and pipes: a read gives what is there (*out_size 0 is the end;
 * MR_INTERRUPTED when a stop was asked for meanwhile), a write is whole or fails. */
mr_status mr_process_read(int fd, void *to, size_t size, size_t *out_size, mr_error *err);
mr_status mr_process_write(int fd, const void *from, size_t size, mr_error *err);

/* Log lines to standard error, by the machine's clock; for mr_notice_install. Static. */
const mr_notice_writer *mr_process_notice_writer(void);

#endif

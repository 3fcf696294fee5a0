/* input.h -- bytes of a file or of standard input, decompressed on the way.
 *
 * .zst and .gz are recognised by their first bytes, not by name; several frames or members behind
 * each other are read as one. Damaged or cut compressed input is MR_CORRUPT with the byte offset in
 * the file; all that could be decoded before it is delivered first. One thread. */
#ifndef MR_DATA_INPUT_H
#define MR_DATA_INPUT_H

#include "os/fs.h"

typedef struct mr_input mr_input;

/* "-" is standard input. `fs` is used for files only. */
mr_status mr_input_open(mr_fs *fs, const char *path, mr_input **out, mr_error *err);
/* Reads from an open descriptor (standard input, a pipe); never closes it. */
mr_status mr_input_open_fd(int fd, const char *name, mr_input **out, mr_error *err);
void mr_input_close(mr_input *input); /* NULL is allowed */

/* At least 1 byte, at most `size` (>= 1); *out_size 0 is the end. A plain file that has grown since can be read on after
 * its end. */
mr_status mr_input_read(mr_input *input, void *to, size_t size, size_t *out_size, mr_error *err);
/* Reads on to byte `offset` of the decompressed content (a seek when the file is plain). MR_END
 * when it is shorter. */
mr_status mr_input_skip_to(mr_input *input, uint64_t offset, mr_error *err);

const char *mr_input_name(const mr_input *input);    /* "standard input" for "-" */
uint64_t mr_input_offset(const mr_input *input);     /* decompressed bytes delivered so far */
uint64_t mr_input_raw_offset(const mr_input *input); /* bytes of the file consumed so far */
uint64_t mr_input_raw_size(const mr_input *input);   /* of the file; 0 when unknown (a pipe) */

#endif

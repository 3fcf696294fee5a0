/* tar.h -- one header of a ustar archive, to bytes and back. Pure. */
#ifndef MR_REGISTRY_TAR_H
#define MR_REGISTRY_TAR_H

#include "base/status.h"

#include <stddef.h>

#define MR_TAR_BLOCK_BYTES 512
#define MR_TAR_NAME_MAX    (155 + 1 + 100 + 1)       /* prefix, '/', name, terminator */
#define MR_TAR_SIZE_MAX    ((UINT64_C(1) << 33) - 1) /* eleven octal digits */

typedef struct mr_tar_entry {
    char name[MR_TAR_NAME_MAX];
    uint64_t size;
    bool is_folder;
    bool is_end; /* a block of zeros */
} mr_tar_entry;

/* A plain file. The name is at most 255 bytes, cut at its first '/' when it is longer than 100. */
mr_status mr_tar_encode(const char *name, uint64_t size, uint8_t out[MR_TAR_BLOCK_BYTES],
                        mr_error *err);
/* MR_CORRUPT: no header. MR_UNSUPPORTED: neither file nor folder. */
mr_status mr_tar_decode(const uint8_t block[MR_TAR_BLOCK_BYTES], mr_tar_entry *out, mr_error *err);

#endif

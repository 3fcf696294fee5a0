/* tail.h -- the small file that tells other processes how far a partition may be read.
 *
 *   | magic crc | sequence | salt | durable offset | visible offset | segment base | position |
 * flags |  64 bytes
 *
 * The writer rewrites it in place, in one write, after what it tells is true; it is not synced, but for the
 * first one of a writer, which takes `clean` away. So
 * whatever valid record is found was true once: durable_offset is a lower bound after any crash,
 * and a torn record fails its checksum and counts as absent. Pure but for the two calls that read
 * and write the file. */
#ifndef MR_LOG_TAIL_H
#define MR_LOG_TAIL_H

#include "os/fs.h"

#define MR_TAIL_BYTES 72

typedef struct mr_tail {
    uint64_t sequence;         /* grows with every write */
    uint64_t durable_offset;   /* all below survives a crash of the machine */
    uint64_t visible_offset;   /* readers see what is below */
    uint64_t segment_base;     /* the segment the end lies in */
    uint64_t position;         /* byte in it where the visible blocks end */
    uint64_t durable_position; /* and the durable ones */
    bool clean;                /* its writer went away with everything synced */
    bool sync_failed;          /* what lies behind durable_offset may exist in memory only */
} mr_tail;

/* MR_CORRUPT: no valid record of this partition. */
mr_status mr_tail_read(mr_file *file, uint64_t salt, mr_tail *out, mr_error *err);
mr_status mr_tail_write(mr_file *file, uint64_t salt, const mr_tail *tail, mr_error *err);

#endif

/* manifest.h -- what makes a checkpoint valid: where the image of every slot is, and as of which position.
 *
 *   "MRCKMANI"  version u32  round u32  plan hash u64  position_min u64  position_max u64
 *   flow: varint bytes, bytes            files: varint count, each varint (round - its round), varint bytes
 *   tables: varint count, each
 *     name: varint, bytes    kind: varint, bytes    kind version u32    flags u8 (1 byte keys, 2 ttl)
 *     fingerprint u64    stream time i64    then 4096 slots, each
 *       varint (position - position_min)  varint image bytes  and if those are not 0:
 *       varint index in files   varint offset   varint keys   crc32c u32
 *   crc32c u32 of all before it
 *
 * Little endian; varints are LEB128. The file ckpt-<round>.manifest is written last, in one piece. */
#ifndef MR_STATE_MANIFEST_H
#define MR_STATE_MANIFEST_H

#include "state/state_internal.h"

#define MR_MANIFEST_VERSION   1
#define MR_MANIFEST_FILES_MAX 65536

#define MR_MANIFEST_BYTE_KEYS 1u
#define MR_MANIFEST_TTL       2u

typedef struct mr_manifest_file {
    uint32_t round;
    uint64_t bytes;
} mr_manifest_file;

/* Texts are lent by the bytes it was read from, and need not be terminated. */
typedef struct mr_manifest_table {
    const char *name;
    size_t name_bytes;
    const char *kind;
    size_t kind_bytes;
    uint32_t kind_version;
    uint8_t flags;
    uint64_t fingerprint;
    int64_t stream_time_us;
    mr_image *images; /* MR_SLOT_COUNT */
} mr_manifest_table;

typedef struct mr_manifest {
    uint32_t round;
    uint64_t plan_hash;
    uint64_t position_min;
    uint64_t position_max; /* no image is of a later one */
    const uint8_t *flow;
    size_t flow_bytes;
    mr_manifest_file *files; /* rounds descend */
    uint32_t file_count;
    mr_manifest_table *tables;
    uint32_t table_count;
    bool no_memory; /* while reading */
} mr_manifest;

/* *out is allocated in the arena and lends from `bytes`. MR_CORRUPT, MR_UNSUPPORTED (a newer version). */
mr_status mr_manifest_read(const void *bytes, size_t size, mr_arena *arena, mr_manifest *out,
                           mr_error *err);
/* Every image's round is in files. */
void mr_manifest_write(const mr_manifest *manifest, mr_bytes *out);

#endif

/* spill_log.c -- cold keys in a log: each is appended, and an index in memory says where its newest copy is.
 *
 *   segment files   | record | record | ... |     spill-0001, spill-0002, ...; one is appended to
 *   record          | word u64 | hash u64 | bytes u32 | table u16 | slot u16 | bytes | to a multiple of 16 |
 *
 * (1) What is put between begin and commit is gathered in `batch`, which commit writes behind the open segment with
 *     one call. The index knows it from the put on; `undo` says how it was, should the commit fail.
 * (2) Segments that are mostly dead are emptied: commit reads a part of the worst one and puts what is still alive
 *     there again. So files hold about twice what is alive, and a commit reads a bounded multiple of what it writes.
 * (3) Only the index takes memory, and it is taken from the budget. Nothing is mapped or synced.
 * (4) Files are of this process: host byte order, wiped at open.
 * Log-structured storage: Rosenblum and Ousterhout 1992; an index in memory over it: Sheehy and Smith, Bitcask, 2010.
 * Thread: see spill.h. Reading is a pread into memory of its own, so readers share nothing. */
#include "base/assert.h"
#include "state/spill.h"
#include "state/spill_index.h"
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_MAX        256
#define SEGMENT_BYTES_MIN ((uint64_t)4 << 20)
#define SEGMENT_BYTES_MAX ((uint64_t)64 << 20)
#define SEGMENTS_WANTED   64          /* beyond, segments become larger */
#define CLEAN_BYTES_MIN   (64 << 10)  /* read by one commit, at least */
#define CLEAN_PART_BYTES  (256 << 10) /* at a time: what is looked at twice stays in the cache */
#define CLEAN_FACTOR      3           /* and as many times what it writes */
#define RUN_GAP_BYTES     4096        /* scanning: read over it rather than read twice */
#define RUN_BYTES_MAX     (1 << 20)
#define PATH_BYTES        64 /* beyond the folder */

typedef struct log_head {
    uint64_t word, hash;
    uint32_t bytes;
    uint16_t table, slot;
} log_head;

_Static_assert(sizeof(log_head) == 24, "without holes: it is compared and written as bytes");

typedef struct log_segment {
    mr_file *file;       /* NULL: the number is free, or nothing is written yet */
    uint64_t bytes;      /* written */
    uint64_t live_bytes; /* about: by size class */
    uint32_t live_count; /* items that point here */
} log_segment;

typedef struct log_undo {
    uint64_t hash;
    mr_spill_at at; /* before */
    uint16_t table, slot;
} log_undo;

typedef struct log_spill {
    mr_spill spill;
    mr_fs *fs;
    mr_heap_source *source;
    char *folder;
    mr_spill_index
        *indexes[TABLES_MAX]; /* MR_SLOT_COUNT each; NULL: nothing of the table was put yet */
    log_segment segments[MR_SPILL_SEGMENTS_MAX]; /* 0 is none */
    uint32_t numbers;                            /* segments in use are below */
    uint32_t open;                               /* segment appended to; 0: none */
    uint32_t victim;                             /* segment being emptied; 0: none */
    uint64_t victim_next;                        /* how far */
    uint32_t victim_before;                      /* as of begin: what an abort goes back to */
    uint64_t victim_next_before;
    uint64_t bytes, live_bytes, live_count; /* of all segments */
    bool writing;                           /* between begin and commit */
    mr_bytes batch, undo, scratch;
} log_spill;

/* ---- places ---- */

static mr_spill_index *index_of(const log_spill *in, uint16_t table, uint16_t slot)
{
    return in->indexes[table] != NULL ? &in->indexes[table][slot] : NULL;
}

static bool make_indexes(log_spill *in, uint16_t table)
{
    uint64_t bytes = MR_SLOT_COUNT * sizeof(mr_spill_index);
    if (in->indexes[table] != NULL)
        return true;
    if (!mr_heap_source_take(in->source, bytes))
        return false;
    in->indexes[table] = mr_alloc_zero(MR_SLOT_COUNT, sizeof(mr_spill_index));
    if (in->indexes[table] == NULL)
        mr_heap_source_give(in->source, bytes);
    return in->indexes[table] != NULL;
}

static void free_indexes(log_spill *in, uint16_t table)
{
    for (uint32_t i = 0; in->indexes[table] != NULL && i < MR_SLOT_COUNT; i++)
        mr_spill_index_deinit(&in->indexes[table][i], in->source);
    if (in->indexes[table] != NULL)
        mr_heap_source_give(in->source, MR_SLOT_COUNT * sizeof(mr_spill_index));
    mr_free(in->indexes[table]);
    in->indexes[table] = NULL;
}

static void count_live(log_spill *in, mr_spill_at at, int by)
{
    log_segment *segment = &in->segments[at.segment];
    uint64_t bytes = mr_spill_class_bytes(at.size);
    if (at.segment == 0)
        return;
    segment->live_count += (uint32_t)by;
    in->live_count += (uint64_t)(int64_t)by;
    segment->live_bytes += by > 0 ? bytes : -bytes;
    in->live_bytes += by > 0 ? bytes : -bytes;
}

/* The key is there now; nowhere: at.segment 0. */
static void move_to(log_spill *in, mr_spill_index *index, uint64_t hash, mr_spill_at at)
{
    count_live(in, mr_spill_index_get(index, hash), -1);
    mr_spill_index_set(index, hash, at);
    count_live(in, at, 1);
}

/* That many bytes more, for the caller to fill; NULL: no memory. */
static uint8_t *extend(mr_bytes *bytes, size_t size)
{
    if (!mr_bytes_reserve(bytes, size))
        return NULL;
    bytes->size += size;
    return bytes->data + bytes->size - size;
}

/* ---- birth and death ---- */

static void log_close(mr_spill *spill);

static mr_status log_open(mr_fs *fs, const char *folder, mr_heap_source *source, mr_spill **out,
                          mr_error *err)
{
    MR_TRY(mr_fs_remove_tree(fs, folder, err));
    MR_TRY(mr_fs_make_folder(fs, folder, err));
    log_spill *in = MR_NEW(log_spill);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    *in = (log_spill){.spill = {&mr_spill_log}, .fs = fs, .source = source};
    in->folder = mr_strdup(folder);
    if (in->folder == NULL) {
        log_close(&in->spill);
        return MR_OUT_OF_MEMORY(err);
    }
    *out = &in->spill;
    return MR_OK;
}

static void log_close(mr_spill *spill)
{
    log_spill *in = (log_spill *)spill;
    for (uint32_t i = 0; i < MR_SPILL_SEGMENTS_MAX; i++)
        mr_file_close(in->segments[i].file);
    for (uint16_t i = 0; i < TABLES_MAX; i++)
        free_indexes(in, i);
    mr_bytes_deinit(&in->batch);
    mr_bytes_deinit(&in->undo);
    mr_bytes_deinit(&in->scratch);
    mr_free(in->folder);
    mr_free(in);
}

/* ---- segments ---- */

static mr_status segment_path(const log_spill *in, uint32_t number, mr_bytes *out, mr_error *err)
{
    char name[PATH_BYTES];
    (void)snprintf(name, sizeof name, "/spill-%04u", number);
    mr_bytes_clear(out);
    mr_bytes_append(out, in->folder, strlen(in->folder));
    mr_bytes_append(out, name, strlen(name) + 1);
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status open_file(log_spill *in, mr_error *err)
{
    log_segment *segment = &in->segments[in->open];
    if (segment->file != NULL)
        return MR_OK;
    MR_TRY(segment_path(in, in->open, &in->scratch, err));
    return mr_fs_open(in->fs, (const char *)in->scratch.data, MR_OPEN_CREATE, &segment->file, err);
}

/* Nothing points into it any more. */
static void remove_segment(log_spill *in, uint32_t number)
{
    log_segment *segment = &in->segments[number];
    mr_file_close(segment->file);
    if (segment_path(in, number, &in->scratch, NULL) == MR_OK)
        (void)mr_fs_remove(in->fs, (const char *)in->scratch.data,
                           NULL); /* else at the next open */
    in->bytes -= segment->bytes;
    *segment = (log_segment){0};
}

static uint64_t segment_bytes_wanted(const log_spill *in)
{
    return MR_MIN(MR_MAX(in->bytes / SEGMENTS_WANTED, SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX);
}

static mr_status choose_open(log_spill *in, mr_error *err)
{
    if (in->open != 0 && in->segments[in->open].bytes < segment_bytes_wanted(in))
        return MR_OK;
    for (uint32_t i = 1; i < MR_SPILL_SEGMENTS_MAX; i++)
        if (in->segments[i].bytes == 0 && in->segments[i].live_count == 0) {
            in->open = i;
            in->numbers = MR_MAX(in->numbers, i + 1);
            return MR_OK;
        }
    return MR_FAIL(err, MR_FULL, "spill store: all %d segments are in use",
                   MR_SPILL_SEGMENTS_MAX - 1);
}

/* ---- writing ---- */

static mr_status log_begin(mr_spill *spill, mr_error *err)
{
    log_spill *in = (log_spill *)spill;
    MR_ASSERT(!in->writing);
    MR_TRY(choose_open(in, err));
    in->victim_before = in->victim;
    in->victim_next_before = in->victim_next;
    mr_bytes_clear(&in->batch);
    mr_bytes_clear(&in->undo);
    in->writing = true;
    return MR_OK;
}

static mr_status note_undo(log_spill *in, const log_head *head, mr_spill_at before, mr_error *err)
{
    log_undo undo;
    memset(&undo, 0, sizeof undo);
    undo.hash = head->hash;
    undo.at = before;
    undo.table = head->table;
    undo.slot = head->slot;
    mr_bytes_append(&in->undo, &undo, sizeof undo);
    return in->undo.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* Puts a record into the batch, and into the index. */
static mr_status append(log_spill *in, const log_head *head, const void *bytes, mr_error *err)
{
    static const uint8_t zeros[MR_SPILL_UNIT_BYTES];
    uint64_t offset = (in->segments[in->open].bytes + in->batch.size) / MR_SPILL_UNIT_BYTES;
    if (offset >= MR_SPILL_OFFSETS_MAX)
        return MR_FAIL(err, MR_FULL, "spill store: %zu bytes in one commit are too many",
                       in->batch.size);
    mr_spill_index *index = index_of(in, head->table, head->slot);
    if (!mr_spill_index_reserve(index, in->source))
        return MR_OUT_OF_MEMORY(err);
    size_t size = sizeof *head + head->bytes, pad = -size % MR_SPILL_UNIT_BYTES;
    mr_bytes_append(&in->batch, head, sizeof *head);
    mr_bytes_append(&in->batch, bytes, head->bytes);
    mr_bytes_append(&in->batch, zeros, pad);
    if (in->batch.failed)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(note_undo(in, head, mr_spill_index_get(index, head->hash), err));
    move_to(in, index, head->hash,
            (mr_spill_at){in->open, (uint32_t)offset, mr_spill_class_of(size)});
    return MR_OK;
}

static log_head head_of(mr_spill_place place, size_t size)
{
    return (log_head){place.word, place.hash & MR_SPILL_HASH_MASK, (uint32_t)size, place.table,
                      place.slot};
}

static mr_status log_put(mr_spill *spill, mr_spill_place place, const void *bytes, size_t size,
                         mr_error *err)
{
    log_spill *in = (log_spill *)spill;
    MR_ASSERT(in->writing && place.table < TABLES_MAX && place.slot < MR_SLOT_COUNT);
    if (size > UINT32_MAX / 2)
        return MR_FAIL(err, MR_FULL, "spill store: a key with %zu bytes is too large", size);
    if (!make_indexes(in, place.table))
        return MR_OUT_OF_MEMORY(err);
    log_head head = head_of(place, size);
    return append(in, &head, bytes, err);
}

static mr_status log_remove(mr_spill *spill, mr_spill_place place, mr_error *err)
{
    log_spill *in = (log_spill *)spill;
    mr_spill_index *index = index_of(in, place.table, place.slot);
    if (index == NULL)
        return MR_OK;
    log_head head = head_of(place, 0);
    mr_spill_at before = mr_spill_index_get(index, head.hash);
    if (before.segment == 0)
        return MR_OK;
    MR_TRY(note_undo(in, &head, before, err));
    move_to(in, index, head.hash, (mr_spill_at){0});
    return MR_OK;
}

static void log_abort(mr_spill *spill)
{
    log_spill *in = (log_spill *)spill;
    const log_undo *undo = (const log_undo *)(const void *)in->undo.data;
    for (size_t i = in->undo.size / sizeof *undo; in->writing && i-- > 0;) {
        mr_spill_index *index = index_of(in, undo[i].table, undo[i].slot);
        move_to(in, index, undo[i].hash, undo[i].at); /* it was there: there is room */
    }
    in->victim = in->victim_before;
    in->victim_next = in->victim_next_before;
    in->writing = false;
    mr_bytes_clear(&in->batch);
    mr_bytes_clear(&in->undo);
}

/* ---- emptying ---- */

static void choose_victim(log_spill *in)
{
    uint64_t most_dead = 0;
    for (uint32_t i = 1; i < in->numbers; i++) {
        const log_segment *segment = &in->segments[i];
        if (i == in->open || segment->live_count == 0) /* the commit removes those by itself */
            continue;
        uint64_t dead = segment->bytes - MR_MIN(segment->bytes, segment->live_bytes);
        uint64_t share = dead * 1024 / segment->bytes;
        if (share > most_dead) {
            most_dead = share;
            in->victim = i;
            in->victim_next = 0;
        }
    }
}

/* Asks for the index of all that lies in these bytes, so that the next walk over them waits for none. */
static void expect_records(const log_spill *in, const uint8_t *bytes, size_t size)
{
    log_head head;
    for (size_t at = 0; at + sizeof head <= size;
         at += (sizeof head + head.bytes + MR_SPILL_UNIT_BYTES - 1) &
               ~(size_t)(MR_SPILL_UNIT_BYTES - 1)) {
        memcpy(&head, bytes + at, sizeof head);
        if (head.table < TABLES_MAX && head.slot < MR_SLOT_COUNT && in->indexes[head.table] != NULL)
            mr_spill_index_prefetch(index_of(in, head.table, head.slot), head.hash);
    }
}

static bool is_alive(const log_spill *in, const log_head *head, uint64_t offset)
{
    mr_spill_at at = mr_spill_index_get(index_of(in, head->table, head->slot), head->hash);
    return at.segment == in->victim && (uint64_t)at.offset * MR_SPILL_UNIT_BYTES == offset;
}

/* Puts the records of these bytes of the victim again that are still alive. How many bytes are done with: the last
 * record may be dead and reach beyond, or be alive, cut off and left. */
static mr_status keep_living(log_spill *in, const uint8_t *bytes, size_t size, size_t *out_taken,
                             mr_error *err)
{
    *out_taken = 0;
    while (*out_taken < size && size - *out_taken >= sizeof(log_head)) {
        log_head head;
        memcpy(&head, bytes + *out_taken, sizeof head);
        size_t whole = (sizeof head + head.bytes + MR_SPILL_UNIT_BYTES - 1) &
                       ~(size_t)(MR_SPILL_UNIT_BYTES - 1);
        if (head.table >= TABLES_MAX || head.slot >= MR_SLOT_COUNT ||
            in->indexes[head.table] == NULL)
            return MR_FAIL(err, MR_CORRUPT, "spill store: segment %u is damaged", in->victim);
        bool alive = is_alive(in, &head, in->victim_next + *out_taken);
        if (alive && whole > size - *out_taken)
            return MR_OK;
        if (alive)
            MR_TRY(append(in, &head, bytes + *out_taken + sizeof head, err));
        *out_taken += whole;
    }
    return MR_OK;
}

static mr_status clean_part(log_spill *in, size_t want, size_t *out_taken, mr_error *err)
{
    const log_segment *victim = &in->segments[in->victim];
    mr_bytes_clear(&in->scratch);
    uint8_t *bytes = extend(&in->scratch, want);
    if (bytes == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_file_read_exact(victim->file, in->victim_next, bytes, want, err));
    expect_records(in, bytes, want);
    MR_TRY(keep_living(in, bytes, want, out_taken, err));
    in->victim_next += *out_taken;
    return MR_OK;
}

/* Empties one part of the victim: a record at least, however large it is. */
static mr_status clean_victim(log_spill *in, size_t *out_taken, mr_error *err)
{
    const log_segment *victim = &in->segments[in->victim];
    uint64_t there = victim->bytes - in->victim_next;
    *out_taken = 0;
    for (uint64_t want = CLEAN_PART_BYTES; *out_taken == 0; want *= 2) {
        MR_TRY(clean_part(in, (size_t)MR_MIN(want, there), out_taken, err));
        if (*out_taken == 0 && want >= there)
            return MR_FAIL(err, MR_CORRUPT, "spill store: segment %u is damaged", in->victim);
    }
    if (in->victim_next > victim->bytes)
        return MR_FAIL(err, MR_CORRUPT, "spill store: segment %u is damaged", in->victim);
    if (in->victim_next == victim->bytes)
        in->victim = 0;
    return MR_OK;
}

/* Invariant 2. */
static mr_status clean(log_spill *in, mr_error *err)
{
    size_t most = MR_MAX(in->batch.size * CLEAN_FACTOR, CLEAN_BYTES_MIN);
    uint64_t slack = 2 * segment_bytes_wanted(in);
    for (size_t taken, done = 0;
         done < most && in->bytes + in->batch.size > 2 * in->live_bytes + slack; done += taken) {
        if (in->victim == 0)
            choose_victim(in);
        if (in->victim == 0)
            return MR_OK;
        MR_TRY(clean_victim(in, &taken, err));
    }
    return MR_OK;
}

static mr_status write_batch(log_spill *in, mr_error *err)
{
    log_segment *segment = &in->segments[in->open];
    if (in->batch.size == 0)
        return MR_OK;
    MR_TRY(open_file(in, err));
    MR_TRY(mr_file_write(segment->file, segment->bytes, in->batch.data, in->batch.size, err));
    segment->bytes += in->batch.size;
    in->bytes += in->batch.size;
    return MR_OK;
}

static void remove_dead(log_spill *in)
{
    for (uint32_t i = 1; i < in->numbers; i++)
        if (in->segments[i].bytes > 0 && in->segments[i].live_count == 0 && i != in->open) {
            in->victim = in->victim != i ? in->victim : 0;
            remove_segment(in, i);
        }
}

static mr_status log_commit(mr_spill *spill, mr_error *err)
{
    log_spill *in = (log_spill *)spill;
    mr_status status = clean(in, err);
    if (status == MR_OK)
        status = write_batch(in, err);
    if (status != MR_OK) {
        log_abort(spill);
        return status;
    }
    remove_dead(in);
    in->writing = false;
    mr_bytes_clear(&in->batch);
    return MR_OK;
}

/* ---- reading ---- */

static mr_status damaged(mr_spill_at at, mr_error *err)
{
    return MR_FAIL(err, MR_CORRUPT, "spill store: segment %u is damaged at %llu", at.segment,
                   (unsigned long long)at.offset * MR_SPILL_UNIT_BYTES);
}

/* Reads up to `size` bytes at a place: from the file, or from what is not written yet. */
static mr_status read_at(const log_spill *in, mr_spill_at at, void *to, size_t size,
                         size_t *out_size, mr_error *err)
{
    const log_segment *segment = &in->segments[at.segment];
    uint64_t offset = (uint64_t)at.offset * MR_SPILL_UNIT_BYTES;
    if (offset < segment->bytes)
        return mr_file_read(segment->file, offset, to, size, out_size, err);
    offset -= segment->bytes;
    *out_size = MR_MIN(size, in->batch.size - (size_t)offset);
    memcpy(to, in->batch.data + offset, *out_size);
    return MR_OK;
}

/* Head and bytes, in memory that is the caller's. */
static mr_status read_record(const log_spill *in, mr_spill_at at, uint64_t hash, uint8_t **out,
                             mr_error *err)
{
    size_t size = mr_spill_class_bytes(at.size), got = 0;
    log_head head = {0};
    for (uint8_t *bytes = NULL;; mr_free(bytes)) {
        bytes = mr_alloc(size);
        if (bytes == NULL)
            return MR_OUT_OF_MEMORY(err);
        mr_status status = read_at(in, at, bytes, size, &got, err);
        if (status == MR_OK && got >= sizeof head) {
            memcpy(&head, bytes, sizeof head);
            *out = bytes;
            if (head.hash == hash && got >= sizeof head + head.bytes)
                return MR_OK;
        }
        bool larger =
            status == MR_OK && got == size && head.hash == hash && at.size == MR_SPILL_CLASS_LAST;
        if (!larger) {
            mr_free(bytes);
            return status == MR_OK ? damaged(at, err) : status;
        }
        size = sizeof head + head.bytes;
    }
}

static mr_status log_get(mr_spill *spill, mr_spill_place place, mr_spill_value *out, mr_error *err)
{
    const log_spill *in = (const log_spill *)spill;
    const mr_spill_index *index = index_of(in, place.table, place.slot);
    uint64_t hash = place.hash & MR_SPILL_HASH_MASK;
    mr_spill_at at = index != NULL ? mr_spill_index_get(index, hash) : (mr_spill_at){0};
    if (at.segment == 0)
        return MR_NOT_FOUND;
    uint8_t *bytes;
    log_head head;
    MR_TRY(read_record(in, at, hash, &bytes, err));
    memcpy(&head, bytes, sizeof head);
    *out = (mr_spill_value){bytes + sizeof head, head.bytes};
    return MR_OK;
}

static void log_prefetch(const mr_spill *spill, mr_spill_place place)
{
    const mr_spill_index *index = index_of((const log_spill *)spill, place.table, place.slot);
    if (index != NULL)
        mr_spill_index_prefetch(index, place.hash);
}

static void log_release(mr_spill *spill, mr_spill_value *value)
{
    (void)spill;
    if (value->bytes != NULL)
        mr_free((void *)(uintptr_t)(value->bytes - sizeof(log_head)));
    *value = (mr_spill_value){0};
}

/* ---- scanning: a slot's records lie in runs, as they left memory together ---- */

typedef struct scan_item {
    uint64_t word;
    size_t from; /* in bytes */
    uint32_t size;
} scan_item;

struct mr_spill_scan {
    mr_bytes bytes; /* all that was read */
    scan_item *items;
    mr_spill_at *ats;
    uint32_t count, next;
};

static int by_place(const void *a, const void *b)
{
    const mr_spill_at *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_word(const void *a, const void *b)
{
    uint64_t x = ((const scan_item *)a)->word, y = ((const scan_item *)b)->word;
    return (x > y) - (x < y);
}

static uint64_t from_of(mr_spill_at at)
{
    return (uint64_t)at.offset * MR_SPILL_UNIT_BYTES;
}

static uint64_t end_of(mr_spill_at at)
{
    return from_of(at) + mr_spill_class_bytes(at.size);
}

/* How many of the places from `first` on are read with one call. */
static uint32_t run_of(const mr_spill_scan *scan, uint32_t first)
{
    uint32_t last = first;
    const mr_spill_at *ats = scan->ats;
    while (last + 1 < scan->count && ats[last + 1].segment == ats[first].segment &&
           from_of(ats[last + 1]) <= end_of(ats[last]) + RUN_GAP_BYTES &&
           end_of(ats[last + 1]) - from_of(ats[first]) <= RUN_BYTES_MAX)
        last++;
    return last + 1 - first;
}

static mr_status read_run(const log_spill *in, mr_spill_scan *scan, uint32_t first, uint32_t count,
                          mr_error *err)
{
    mr_spill_at at = scan->ats[first];
    size_t start = scan->bytes.size;
    size_t size = (size_t)(end_of(scan->ats[first + count - 1]) - from_of(at)), got = 0;
    uint8_t *to = extend(&scan->bytes, size);
    if (to == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(read_at(in, at, to, size, &got, err));
    for (uint32_t i = first; i < first + count; i++) {
        size_t from = (size_t)(from_of(scan->ats[i]) - from_of(at));
        log_head head = {0};
        if (from + sizeof head <= got)
            memcpy(&head, to + from, sizeof head);
        if (from + sizeof head > got || head.bytes > got - from - sizeof head)
            return damaged(scan->ats[i], err);
        scan->items[i] = (scan_item){head.word, start + from + sizeof head, head.bytes};
    }
    return MR_OK;
}

/* One that is larger than its class says. */
static mr_status read_large(const log_spill *in, mr_spill_scan *scan, uint32_t at, mr_error *err)
{
    log_head head;
    size_t got = 0;
    MR_TRY(read_at(in, scan->ats[at], &head, sizeof head, &got, err));
    size_t start = scan->bytes.size, size = sizeof head + head.bytes;
    uint8_t *to = got == sizeof head ? extend(&scan->bytes, size) : NULL;
    if (to == NULL)
        return got == sizeof head ? MR_OUT_OF_MEMORY(err) : damaged(scan->ats[at], err);
    MR_TRY(read_at(in, scan->ats[at], to, size, &got, err));
    if (got < size)
        return damaged(scan->ats[at], err);
    scan->items[at] = (scan_item){head.word, start + sizeof head, head.bytes};
    return MR_OK;
}

static mr_status read_all(const log_spill *in, mr_spill_scan *scan, mr_error *err)
{
    qsort(scan->ats, scan->count, sizeof *scan->ats, by_place);
    for (uint32_t i = 0, count; i < scan->count; i += count) {
        bool large = scan->ats[i].size == MR_SPILL_CLASS_LAST;
        count = large ? 1 : run_of(scan, i);
        MR_TRY(large ? read_large(in, scan, i, err) : read_run(in, scan, i, count, err));
    }
    qsort(scan->items, scan->count, sizeof *scan->items, by_word);
    return MR_OK;
}

static void log_scan_close(mr_spill_scan *scan)
{
    if (scan == NULL)
        return;
    mr_bytes_deinit(&scan->bytes);
    mr_free(scan->items);
    mr_free(scan->ats);
    mr_free(scan);
}

static mr_status fill_scan(const log_spill *in, const mr_spill_index *index, mr_spill_scan *scan,
                           mr_error *err)
{
    if (index == NULL || index->count == 0)
        return MR_OK;
    scan->items = mr_alloc_zero(index->count, sizeof *scan->items);
    scan->ats = mr_alloc_zero(index->count, sizeof *scan->ats);
    if (scan->items == NULL || scan->ats == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < index->capacity; i++) {
        mr_spill_at at = mr_spill_index_at(index, i);
        if (at.segment != 0)
            scan->ats[scan->count++] = at;
    }
    return read_all(in, scan, err);
}

static mr_status log_scan_open(mr_spill *spill, uint16_t table, uint16_t slot, mr_spill_scan **out,
                               mr_error *err)
{
    const log_spill *in = (const log_spill *)spill;
    mr_spill_scan *scan = MR_NEW(mr_spill_scan);
    if (scan == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = fill_scan(in, index_of(in, table, slot), scan, err);
    if (status != MR_OK)
        log_scan_close(scan);
    else
        *out = scan;
    return status;
}

static mr_status log_scan_next(mr_spill_scan *scan, uint64_t *out_word, mr_spill_value *out,
                               mr_error *err)
{
    (void)err;
    if (scan->next == scan->count)
        return MR_END;
    const scan_item *item = &scan->items[scan->next++];
    *out_word = item->word;
    *out = (mr_spill_value){scan->bytes.data + item->from, item->size};
    return MR_OK;
}

static void log_stats(mr_spill *spill, mr_spill_stats *out)
{
    const log_spill *in = (const log_spill *)spill;
    *out = (mr_spill_stats){in->live_count, in->bytes};
}

const mr_spill_kind mr_spill_log = {
    .name = "log",
    .open = log_open,
    .close = log_close,
    .begin = log_begin,
    .put = log_put,
    .remove = log_remove,
    .commit = log_commit,
    .abort = log_abort,
    .get = log_get,
    .release = log_release,
    .prefetch = log_prefetch,
    .scan_open = log_scan_open,
    .scan_next = log_scan_next,
    .scan_close = log_scan_close,
    .stats = log_stats,
};

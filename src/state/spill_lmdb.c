/* spill_lmdb.c -- cold keys in LMDB: one file, a B+tree read through a mapping, pages copied on write.
 *
 *   key  | table u16 | slot u16 | word u64 |  big endian, so that LMDB's byte order is ours
 *
 * (1) Only this process opens it, readers never overlap a write transaction: so LMDB's own locks are off
 *     (MDB_NOLOCK), and pages freed by one commit are used by the next.
 * (2) Nothing is synced (MDB_NOSYNC): the file is wiped at open.
 * (3) Pages are written with pwrite, not through the mapping: a full disk is an error, not a SIGBUS.
 * (4) The mapping is grown between transactions, before more than half of it is in use.
 * (5) Readers stay open over a micro-batch, at most READERS_MAX at a time, and are reset before a write.
 * (6) Mapped pages that were read are let go beyond RESIDENT_BYTES_MAX: they are the system's cache, which it may
 *     reclaim, and not memory of ours.
 * LMDB does its own input and output, outside os/fs.h; that is safe because nothing here outlives the process. */
#include "base/assert.h"
#include "os/process.h"
#include "os/thread.h"
#include "state/spill.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES          12
#define MAP_BYTES_MIN      ((size_t)256 << 20)
#define READERS_MAX        64
#define RESIDENT_BYTES_MAX ((uint64_t)32 << 20)
#define RELAX_EVERY        256 /* reads between looks at what is resident */

typedef struct lmdb_reader {
    MDB_txn *txn;
    bool active; /* not reset */
    _Atomic bool busy;
} lmdb_reader;

typedef struct lmdb_spill {
    mr_spill spill;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *write; /* NULL: none */
    size_t map_bytes;
    uint64_t resident_base_bytes;
    _Atomic uintptr_t seen_low, seen_high; /* of values read: LMDB does not tell where it maps */
    _Atomic uint64_t reads;
    uint64_t reads_relaxed;
    lmdb_reader readers[READERS_MAX];
} lmdb_spill;

struct mr_spill_scan {
    lmdb_spill *in;
    MDB_cursor *cursor;
    int lease;
    uint8_t prefix[4];
    uint8_t key[KEY_BYTES];
    bool started;
};

static mr_status fail(int code, const char *what, mr_error *err)
{
    if (code == ENOMEM)
        return MR_OUT_OF_MEMORY(err);
    return MR_FAIL(err, code == ENOSPC || code == MDB_MAP_FULL ? MR_FULL : MR_IO,
                   "spill store: %s: %s", what, mdb_strerror(code));
}

#define TRY_LMDB(call, what, err)                                                                  \
    do {                                                                                           \
        int try_code_ = (call);                                                                    \
        if (try_code_ != 0)                                                                        \
            return fail(try_code_, (what), (err));                                                 \
    } while (0)

static MDB_val key_of(mr_spill_place place, uint8_t bytes[KEY_BYTES])
{
    uint64_t head = (uint64_t)place.table << 16 | place.slot;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(head >> (24 - 8 * i));
    for (unsigned i = 0; i < 8; i++)
        bytes[4 + i] = (uint8_t)(place.word >> (56 - 8 * i));
    return (MDB_val){KEY_BYTES, bytes};
}

/* ---- what is resident ---- */

/* Safe beside readers: pages they still look at are mapped again. */
static void unload(lmdb_spill *in)
{
    uintptr_t page = 4096, low = atomic_load(&in->seen_low) & ~(page - 1);
    uintptr_t high = (atomic_load(&in->seen_high) + page - 1) & ~(page - 1);
    if (high > low &&
        mr_process_memory_mapped_bytes() > in->resident_base_bytes + RESIDENT_BYTES_MAX)
        mr_process_memory_unload((void *)low, high - low);
}

static void forget_seen(lmdb_spill *in)
{
    atomic_store(&in->seen_low, UINTPTR_MAX);
    atomic_store(&in->seen_high, 0);
}

static void note_seen(lmdb_spill *in, const mr_spill_value *value)
{
    uintptr_t low = (uintptr_t)value->bytes, high = low + value->size;
    uintptr_t seen = atomic_load_explicit(&in->seen_low, memory_order_relaxed);
    while (low < seen && !atomic_compare_exchange_weak(&in->seen_low, &seen, low))
        continue;
    seen = atomic_load_explicit(&in->seen_high, memory_order_relaxed);
    while (high > seen && !atomic_compare_exchange_weak(&in->seen_high, &seen, high))
        continue;
}

static void count_read(lmdb_spill *in, const mr_spill_value *value)
{
    note_seen(in, value);
    if (atomic_fetch_add_explicit(&in->reads, 1, memory_order_relaxed) % RELAX_EVERY ==
        RELAX_EVERY - 1)
        unload(in);
}

static void lmdb_relax(mr_spill *spill)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    uint64_t reads = atomic_load_explicit(&in->reads, memory_order_relaxed);
    if (reads != in->reads_relaxed)
        unload(in);
    in->reads_relaxed = reads;
}

/* ---- birth and death ---- */

static mr_status open_database(lmdb_spill *in, mr_error *err)
{
    MDB_txn *txn;
    TRY_LMDB(mdb_txn_begin(in->env, NULL, 0, &txn), "begin", err);
    int code = mdb_dbi_open(txn, NULL, 0, &in->dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return fail(code, "open", err);
    }
    TRY_LMDB(mdb_txn_commit(txn), "commit", err);
    return MR_OK;
}

static mr_status open_env(lmdb_spill *in, const char *folder, mr_error *err)
{
    unsigned flags =
        MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT;
    in->map_bytes = MAP_BYTES_MIN;
    TRY_LMDB(mdb_env_create(&in->env), "create", err);
    TRY_LMDB(mdb_env_set_mapsize(in->env, in->map_bytes), "map", err);
    TRY_LMDB(mdb_env_open(in->env, folder, flags, 0600), folder, err);
    in->resident_base_bytes = mr_process_memory_mapped_bytes();
    return open_database(in, err);
}

static void lmdb_close(mr_spill *spill);

static mr_status lmdb_open(mr_fs *fs, const char *folder, mr_spill **out, mr_error *err)
{
    MR_TRY(mr_fs_remove_tree(fs, folder, err));
    MR_TRY(mr_fs_make_folder(fs, folder, err));
    lmdb_spill *in = MR_NEW(lmdb_spill);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    in->spill.kind = &mr_spill_lmdb;
    forget_seen(in);
    mr_status status = open_env(in, folder, err);
    if (status != MR_OK)
        lmdb_close(&in->spill);
    else
        *out = &in->spill;
    return status;
}

static void lmdb_close(mr_spill *spill)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    for (int i = 0; i < READERS_MAX; i++)
        if (in->readers[i].txn != NULL)
            mdb_txn_abort(in->readers[i].txn);
    if (in->write != NULL)
        mdb_txn_abort(in->write);
    if (in->env != NULL)
        mdb_env_close(in->env);
    mr_free(in);
}

/* ---- writing ---- */

static mr_status grow_map(lmdb_spill *in, mr_error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    TRY_LMDB(mdb_env_info(in->env, &info), "info", err);
    TRY_LMDB(mdb_env_stat(in->env, &stat), "stat", err);
    size_t used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (used <= in->map_bytes / 2)
        return MR_OK;
    TRY_LMDB(mdb_env_set_mapsize(in->env, in->map_bytes * 2), "grow the map", err);
    in->map_bytes *= 2;
    forget_seen(in);
    return MR_OK;
}

static mr_status lmdb_begin(mr_spill *spill, mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    MR_ASSERT(in->write == NULL);
    for (int i = 0; i < READERS_MAX; i++) {
        MR_ASSERT(!in->readers[i].busy);
        if (in->readers[i].active)
            mdb_txn_reset(in->readers[i].txn);
        in->readers[i].active = false;
    }
    MR_TRY(grow_map(in, err));
    TRY_LMDB(mdb_txn_begin(in->env, NULL, 0, &in->write), "begin", err);
    return MR_OK;
}

static mr_status lmdb_put(mr_spill *spill, mr_spill_place place, const void *bytes, size_t size,
                          mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    uint8_t raw[KEY_BYTES];
    MDB_val key = key_of(place, raw), value = {size, (void *)(uintptr_t)bytes};
    TRY_LMDB(mdb_put(in->write, in->dbi, &key, &value, 0), "put", err);
    return MR_OK;
}

static mr_status lmdb_remove(mr_spill *spill, mr_spill_place place, mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    uint8_t raw[KEY_BYTES];
    MDB_val key = key_of(place, raw);
    int code = mdb_del(in->write, in->dbi, &key, NULL);
    return code == 0 || code == MDB_NOTFOUND ? MR_OK : fail(code, "remove", err);
}

static mr_status lmdb_commit(mr_spill *spill, mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    MDB_txn *txn = in->write;
    in->write = NULL;
    TRY_LMDB(mdb_txn_commit(txn), "commit", err);
    return MR_OK;
}

static void lmdb_abort(mr_spill *spill)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    if (in->write != NULL)
        mdb_txn_abort(in->write);
    in->write = NULL;
}

/* ---- reading ---- */

static mr_status start_reader(lmdb_spill *in, lmdb_reader *one, mr_error *err)
{
    if (one->txn == NULL)
        TRY_LMDB(mdb_txn_begin(in->env, NULL, MDB_RDONLY, &one->txn), "begin to read", err);
    else if (!one->active)
        TRY_LMDB(mdb_txn_renew(one->txn), "renew", err);
    one->active = true;
    return MR_OK;
}

/* A reader nobody uses; a thread finds that of its last time first. */
static mr_status take_reader(lmdb_spill *in, int *out_lease, mr_error *err)
{
    static _Thread_local int last;
    for (int i = 0; i < READERS_MAX; i++) {
        int at = (last + i) % READERS_MAX;
        lmdb_reader *one = &in->readers[at];
        bool free = false;
        if (!atomic_compare_exchange_strong(&one->busy, &free, true))
            continue;
        mr_status status = start_reader(in, one, err);
        if (status != MR_OK)
            atomic_store(&one->busy, false);
        last = at;
        *out_lease = at;
        return status;
    }
    return MR_FAIL(err, MR_FULL, "spill store: more than %d readers at a time", READERS_MAX);
}

static void give_reader(lmdb_spill *in, int lease)
{
    atomic_store(&in->readers[lease].busy, false);
}

static mr_status get_with(lmdb_spill *in, MDB_txn *txn, mr_spill_place place, mr_spill_value *out,
                          mr_error *err)
{
    uint8_t raw[KEY_BYTES];
    MDB_val key = key_of(place, raw), value;
    int code = mdb_get(txn, in->dbi, &key, &value);
    if (code == MDB_NOTFOUND)
        return MR_NOT_FOUND;
    TRY_LMDB(code, "get", err);
    out->bytes = value.mv_data;
    out->size = value.mv_size;
    return MR_OK;
}

static mr_status lmdb_get(mr_spill *spill, mr_spill_place place, mr_spill_value *out, mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    out->lease = -1;
    if (in->write != NULL)
        return get_with(in, in->write, place, out, err);
    MR_TRY(take_reader(in, &out->lease, err));
    mr_status status = get_with(in, in->readers[out->lease].txn, place, out, err);
    if (status == MR_OK)
        count_read(in, out);
    else
        give_reader(in, out->lease);
    return status;
}

static void lmdb_release(mr_spill *spill, mr_spill_value *value)
{
    if (value->lease >= 0)
        give_reader((lmdb_spill *)spill, value->lease);
    *value = (mr_spill_value){.lease = -1};
}

/* ---- scanning ---- */

static void lmdb_scan_close(mr_spill_scan *scan)
{
    if (scan == NULL)
        return;
    if (scan->cursor != NULL)
        mdb_cursor_close(scan->cursor);
    if (scan->lease >= 0)
        give_reader(scan->in, scan->lease);
    mr_free(scan);
}

static mr_status lmdb_scan_open(mr_spill *spill, uint16_t table, uint16_t slot, mr_spill_scan **out,
                                mr_error *err)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    mr_spill_scan *scan = MR_NEW(mr_spill_scan);
    if (scan == NULL)
        return MR_OUT_OF_MEMORY(err);
    scan->in = in;
    scan->lease = -1;
    (void)key_of((mr_spill_place){table, slot, 0}, scan->key);
    memcpy(scan->prefix, scan->key, sizeof scan->prefix);
    mr_status status = take_reader(in, &scan->lease, err);
    if (status == MR_OK) {
        int code = mdb_cursor_open(in->readers[scan->lease].txn, in->dbi, &scan->cursor);
        status = code == 0 ? MR_OK : fail(code, "scan", err);
    }
    if (status != MR_OK)
        lmdb_scan_close(scan);
    else
        *out = scan;
    return status;
}

static mr_status lmdb_scan_next(mr_spill_scan *scan, uint64_t *out_word, mr_spill_value *out,
                                mr_error *err)
{
    MDB_val key = {KEY_BYTES, scan->key}, value;
    int code = mdb_cursor_get(scan->cursor, &key, &value, scan->started ? MDB_NEXT : MDB_SET_RANGE);
    scan->started = true;
    if (code == MDB_NOTFOUND)
        return MR_END;
    TRY_LMDB(code, "scan", err);
    const uint8_t *raw = key.mv_data;
    if (memcmp(raw, scan->prefix, sizeof scan->prefix) != 0)
        return MR_END;
    *out_word = 0;
    for (unsigned i = 4; i < KEY_BYTES; i++)
        *out_word = *out_word << 8 | raw[i];
    *out = (mr_spill_value){value.mv_data, value.mv_size, -1};
    count_read(scan->in, out);
    return MR_OK;
}

static void lmdb_stats(mr_spill *spill, mr_spill_stats *out)
{
    lmdb_spill *in = (lmdb_spill *)spill;
    MDB_envinfo info;
    MDB_stat stat;
    *out = (mr_spill_stats){0};
    if (mdb_env_info(in->env, &info) == 0 && mdb_env_stat(in->env, &stat) == 0)
        *out = (mr_spill_stats){stat.ms_entries, (info.me_last_pgno + 1) * stat.ms_psize};
}

const mr_spill_kind mr_spill_lmdb = {
    .name = "lmdb",
    .open = lmdb_open,
    .close = lmdb_close,
    .begin = lmdb_begin,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .release = lmdb_release,
    .scan_open = lmdb_scan_open,
    .scan_next = lmdb_scan_next,
    .scan_close = lmdb_scan_close,
    .relax = lmdb_relax,
    .stats = lmdb_stats,
};

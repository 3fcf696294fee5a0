/* recover.c -- the way back from a checkpoint: newest manifest first, images decoded by all workers.
 *
 *   manifest -> spans (images that lie behind one another, up to SPAN_BYTES) -> workers take the next span,
 *   read it in one piece, check and decode its images
 *
 * (1) All or nothing: an image that is damaged or missing empties the tables again, and the checkpoint before is
 *     tried. Lack of memory is no damage: it ends the attempt.
 * (2) Images found while memory is short go to the spill store instead, afterwards, on the caller's thread.
 * (3) Nothing on disk is changed. */
#include "base/assert.h"
#include "os/thread.h"
#include "state/image.h"
#include "state/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_BYTES_MAX (1u << 30)
#define SPAN_BYTES         (2u << 20)
#define SPAN_GAP_BYTES     (64u << 10) /* rather read over so much than seek */

typedef struct image_source {
    mr_table *table;
    uint32_t slot;
    const mr_image *image;
    bool spill; /* see (2) */
} image_source;

typedef struct loading {
    mr_state *state;
    const mr_manifest *manifest;
    mr_file **files; /* as in the manifest; NULL: not needed */
    image_source *sources;
    size_t source_count;
    mr_mutex mutex; /* guards what follows */
    size_t next;
    mr_status status;
    mr_error error;
} loading;

/* ---- matching tables ---- */

static bool same_text(const char *a, size_t a_bytes, const char *b)
{
    return strlen(b) == a_bytes && memcmp(a, b, a_bytes) == 0;
}

static bool is_of(const mr_manifest_table *in, const mr_table *table)
{
    const mr_table_options *options = &table->options;
    unsigned flags = (options->byte_keys ? MR_MANIFEST_BYTE_KEYS : 0) |
                     (options->ttl_us > 0 ? MR_MANIFEST_TTL : 0);
    return same_text(in->name, in->name_bytes, options->name) &&
           same_text(in->kind, in->kind_bytes, options->kind->name) &&
           in->fingerprint == options->fingerprint && in->kind_version == options->kind->version &&
           in->flags == flags;
}

static mr_table *find_table(const mr_state *state, const mr_manifest_table *in)
{
    for (uint32_t i = 0; i < state->table_count; i++)
        if (is_of(in, state->tables[i]))
            return state->tables[i];
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const mr_image *left = ((const image_source *)a)->image,
                   *right = ((const image_source *)b)->image;
    if (left->round != right->round)
        return left->round < right->round ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static mr_status list_sources(loading *load, mr_error *err)
{
    const mr_manifest *manifest = load->manifest;
    load->sources = mr_alloc((size_t)manifest->table_count * MR_SLOT_COUNT * sizeof *load->sources);
    if (load->sources == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t t = 0; t < manifest->table_count; t++) {
        mr_table *table = find_table(load->state, &manifest->tables[t]);
        for (uint32_t i = 0; table != NULL && i < MR_SLOT_COUNT; i++)
            if (manifest->tables[t].images[i].bytes > 0)
                load->sources[load->source_count++] = (image_source){
                    .table = table, .slot = i, .image = &manifest->tables[t].images[i]};
    }
    qsort(load->sources, load->source_count, sizeof *load->sources, by_place);
    return MR_OK;
}

/* ---- files ---- */

static mr_file *file_of(const loading *load, uint32_t round)
{
    for (uint32_t i = 0; i < load->manifest->file_count; i++)
        if (load->manifest->files[i].round == round)
            return load->files[i];
    MR_UNREACHABLE();
}

static mr_status open_file(const loading *load, uint32_t index, mr_error *err)
{
    char path[MR_CHECKPOINT_PATH_MAX];
    uint8_t start[MR_IMAGE_FILE_BYTES];
    uint32_t round = load->manifest->files[index].round;
    (void)snprintf(path, sizeof path, "%s/" MR_CHECKPOINT_DATA_NAME, load->state->folder, round);
    MR_TRY(mr_fs_open(load->state->fs, path, MR_OPEN_READ, &load->files[index], err));
    MR_TRY(mr_file_read_exact(load->files[index], 0, start, sizeof start, err));
    return mr_image_file_check(start, round, err);
}

static mr_status open_files(loading *load, mr_error *err)
{
    load->files = mr_alloc_zero(load->manifest->file_count, sizeof *load->files);
    if (load->files == NULL)
        return MR_OUT_OF_MEMORY(err);
    size_t next = 0;
    for (uint32_t i = load->manifest->file_count; i-- > 0;) { /* rounds ascend, as in sources */
        if (next == load->source_count ||
            load->sources[next].image->round != load->manifest->files[i].round)
            continue;
        MR_TRY(open_file(load, i, err));
        while (next < load->source_count &&
               load->sources[next].image->round == load->manifest->files[i].round)
            next++;
    }
    return MR_OK;
}

static void close_files(loading *load)
{
    for (uint32_t i = 0; load->files != NULL && i < load->manifest->file_count; i++)
        mr_file_close(load->files[i]);
    mr_free(load->files);
}

/* ---- spans ---- */

static uint64_t end_of(const mr_image *image)
{
    return image->offset + image->bytes;
}

/* One behind the last source of the span that starts at `first`. */
static size_t span_end(const loading *load, size_t first)
{
    const image_source *from = &load->sources[first];
    size_t i = first + 1;
    for (; i < load->source_count; i++) {
        const mr_image *image = load->sources[i].image, *before = load->sources[i - 1].image;
        if (image->round != before->round || end_of(image) - from->image->offset > SPAN_BYTES ||
            image->offset < end_of(before) || image->offset - end_of(before) > SPAN_GAP_BYTES)
            break;
    }
    return i;
}

static mr_status load_image(image_source *from, const uint8_t *bytes, mr_error *err)
{
    mr_reader records;
    MR_TRY(mr_image_open(from->table, from->slot, from->image, bytes, &records, err));
    from->spill = mr_state_is_short(from->table->state);
    return from->spill ? MR_OK
                       : mr_image_load(&from->table->slots[from->slot], from->image, &records, err);
}

static mr_status load_span(loading *load, size_t first, size_t end, mr_bytes *buffer, mr_error *err)
{
    const mr_image *from = load->sources[first].image;
    size_t size = (size_t)(end_of(load->sources[end - 1].image) - from->offset);
    mr_bytes_clear(buffer);
    if (!mr_bytes_reserve(buffer, size))
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_file_read_exact(file_of(load, from->round), from->offset, buffer->data, size, err));
    for (size_t i = first; i < end; i++)
        MR_TRY(load_image(&load->sources[i],
                          buffer->data + (load->sources[i].image->offset - from->offset), err));
    return MR_OK;
}

static bool take_span(loading *load, size_t *out_first, size_t *out_end)
{
    mr_mutex_lock(&load->mutex);
    bool more = load->status == MR_OK && load->next < load->source_count;
    if (more) {
        *out_first = load->next;
        *out_end = load->next = span_end(load, load->next);
    }
    mr_mutex_unlock(&load->mutex);
    return more;
}

static void note_failure(loading *load, mr_status status, const mr_error *error)
{
    mr_mutex_lock(&load->mutex);
    if (load->status == MR_OK) {
        load->status = status;
        load->error = *error;
    }
    mr_mutex_unlock(&load->mutex);
}

static void work(void *context, int worker)
{
    (void)worker;
    loading *load = context;
    mr_bytes buffer = {0};
    mr_error error = {0};
    size_t first, end;
    while (take_span(load, &first, &end)) {
        mr_status status = load_span(load, first, end, &buffer, &error);
        if (status != MR_OK)
            note_failure(load, status, &error);
    }
    mr_bytes_deinit(&buffer);
}

static mr_status run_workers(loading *load, mr_error *err)
{
    mr_pool *pool = NULL;
    if (load->state->workers > 1)
        MR_TRY(mr_pool_create(load->state->workers, &pool, err));
    if (pool != NULL)
        mr_pool_run(pool, work, load);
    else
        work(load, 0);
    mr_pool_destroy(pool);
    if (load->status != MR_OK && err != NULL)
        *err = load->error;
    return load->status;
}

/* ---- what did not fit ---- */

static mr_status spill_images(loading *load, mr_error *err)
{
    mr_bytes buffer = {0};
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < load->source_count; i++) {
        image_source *from = &load->sources[i];
        if (!from->spill)
            continue;
        mr_reader records;
        mr_bytes_clear(&buffer);
        size_t size = (size_t)from->image->bytes;
        if (!mr_bytes_reserve(&buffer, size))
            MR_GOTO(done, status, MR_OUT_OF_MEMORY(err));
        MR_GOTO(done, status,
                mr_file_read_exact(file_of(load, from->image->round), from->image->offset,
                                   buffer.data, size, err));
        MR_GOTO(done, status,
                mr_image_open(from->table, from->slot, from->image, buffer.data, &records, err));
        status = mr_store_put_all(&from->table->slots[from->slot], &records, err);
    }
done:
    mr_bytes_deinit(&buffer);
    return status;
}

/* ---- one checkpoint ---- */

static void adopt_table(mr_table *table, const mr_manifest_table *in)
{
    table->missing = false;
    table->stream_time_us = in->stream_time_us;
    for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
        table->rest[i].image = in->images[i];
        table->slots[i].skip_until = in->images[i].position;
        table->slots[i].changed_tick = 0;
    }
}

static mr_status report(mr_state *state, const mr_manifest *manifest, mr_state_recovery *out,
                        mr_error *err)
{
    mr_bytes_append(&out->flow, manifest->flow, manifest->flow_bytes);
    if (out->flow.failed)
        return MR_OUT_OF_MEMORY(err);
    out->found = true;
    out->position_min = manifest->position_min;
    out->position_max = manifest->position_max;
    out->plan_hash = manifest->plan_hash;
    for (uint32_t t = 0; t < manifest->table_count; t++) {
        mr_table *table = find_table(state, &manifest->tables[t]);
        out->tables_loaded += table != NULL;
        out->tables_dropped += table == NULL;
        if (table != NULL)
            adopt_table(table, &manifest->tables[t]);
    }
    out->tables_missing = state->table_count - out->tables_loaded;
    return mr_checkpoints_adopt(state->checkpoints, manifest, err);
}

static mr_status load_manifest(mr_state *state, const mr_manifest *manifest, mr_state_recovery *out,
                               mr_error *err)
{
    loading load = {.state = state, .manifest = manifest};
    mr_mutex_init(&load.mutex);
    mr_status status;
    MR_GOTO(done, status, list_sources(&load, err));
    MR_GOTO(done, status, open_files(&load, err));
    MR_GOTO(done, status, run_workers(&load, err));
    MR_GOTO(done, status, spill_images(&load, err));
    for (size_t i = 0; i < load.source_count; i++) {
        out->bytes += load.sources[i].image->bytes;
        out->keys += load.sources[i].image->keys;
    }
    status = report(state, manifest, out, err);
done:
    close_files(&load);
    mr_free(load.sources);
    mr_mutex_deinit(&load.mutex);
    return status;
}

static mr_status load_round(mr_state *state, uint32_t round, mr_state_recovery *out, mr_error *err)
{
    char path[MR_CHECKPOINT_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" MR_CHECKPOINT_MANIFEST, state->folder, round);
    mr_bytes bytes = {0};
    mr_arena arena = {0};
    mr_manifest manifest;
    mr_status status;
    MR_GOTO(done, status, mr_fs_read_file(state->fs, path, MANIFEST_BYTES_MAX, &bytes, err));
    MR_GOTO(done, status, mr_manifest_read(bytes.data, bytes.size, &arena, &manifest, err));
    if (manifest.round != round)
        MR_GOTO(done, status,
                MR_FAIL(err, MR_CORRUPT, "the manifest is of round %u", manifest.round));
    status = load_manifest(state, &manifest, out, err);
done:
    if (status != MR_OK)
        mr_error_prefix(err, "checkpoint %u", round);
    mr_arena_deinit(&arena);
    mr_bytes_deinit(&bytes);
    return status;
}

/* ---- all of them ---- */

static mr_status empty_tables(mr_state *state, mr_error *err)
{
    for (uint32_t t = 0; t < state->table_count; t++) {
        mr_table *table = state->tables[t];
        table->missing = true;
        table->stream_time_us = INT64_MIN;
        for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
            mr_slot_clear(&table->slots[i]);
            table->slots[i].spilled = 0;
            table->slots[i].skip_until = 0;
            table->rest[i].image = (mr_image){0};
        }
    }
    return mr_store_wipe(state, err);
}

static bool is_damage(mr_status status)
{
    return status == MR_CORRUPT || status == MR_IO || status == MR_NOT_FOUND ||
           status == MR_UNSUPPORTED;
}

static mr_status try_rounds(mr_state *state, char **names, size_t count, mr_state_recovery *out,
                            mr_error *err)
{
    for (size_t i = count; i-- > 0;) { /* names are sorted, and of one length */
        uint32_t round;
        bool manifest;
        if (!mr_checkpoint_name(names[i], &round, &manifest) || !manifest)
            continue;
        mr_error why = {0};
        mr_status status = load_round(state, round, out, &why);
        if (status == MR_OK)
            return MR_OK;
        mr_bytes_deinit(&out->flow);
        mr_state_recovery fresh = {.damaged = out->damaged + 1,
                                   .damage = out->damaged == 0 ? why : out->damage};
        *out = fresh;
        MR_TRY(empty_tables(state, err));
        if (!is_damage(status)) {
            if (err != NULL)
                *err = why;
            return status;
        }
    }
    if (out->damaged == 0)
        return MR_OK;
    if (err != NULL)
        *err = out->damage;
    mr_error_prefix(
        err,
        "none of %u checkpoints in %s can be read; move the folder away to start from what is "
        "retained of the sources",
        out->damaged, state->folder);
    /* A disk that cannot be read now is not damage: the same bytes may be there next time. */
    return out->damage.status == MR_IO ? MR_IO : MR_CORRUPT;
}

mr_status mr_state_recover(mr_state *state, mr_state_recovery *out, mr_error *err)
{
    *out = (mr_state_recovery){.tables_missing = state->table_count};
    char **names;
    size_t count;
    MR_TRY(mr_fs_list(state->fs, state->folder, &names, &count, err));
    mr_status status = try_rounds(state, names, count, out, err);
    mr_fs_free_names(names, count);
    if (!out->found)
        out->tables_missing = state->table_count;
    if (status != MR_OK && err != NULL)
        err->status = status;
    return status;
}

/* checkpoint.c -- rounds of rolling checkpoints: which slot goes where, and what makes it valid.
 *
 *   idle --begin--> writing --step ... step--> written --finish--> finishing --> idle
 *                      `------------- failure: the round is over, its slots count as changed -------'
 *
 *   ckpt-0000000007.data       images of the slots that changed since they were last written
 *   ckpt-0000000007.manifest   where the newest image of every slot is: here or in older files
 *
 * (1) A data file is synced, and its name too, before a manifest that refers to it is written.
 * (2) The two newest manifests and all files they refer to are kept; everything else goes after the manifest.
 * (3) A slot that did not change moves on to the round's position for free: its image is still right.
 * (4) A slot replay has not reached (skip_until) is written as of skip_until, not of the round's position.
 * (5) Files of which less than half is live, and the oldest beyond FILES_MAX, are emptied by writing their slots
 *     again: from memory, so that a file that has rotted heals.
 * (6) No file is ever appended to after its round: a name is used once. */
#include "base/assert.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES    (512 << 10) /* a buffer with more is handed to the writer */
#define FILES_MAX       64
#define VISITS_PER_STEP 2048 /* slots looked at in one step, changed or not */

typedef enum round_phase { IDLE, WRITING, FINISHING } round_phase;

typedef struct data_file {
    uint32_t round;
    uint64_t bytes;
    uint64_t live_bytes;
    bool empty_it; /* see (5) */
} data_file;

/* A checkpoint whose files must stay. */
typedef struct keeping {
    uint32_t round; /* 0: none */
    uint64_t position_min;
    uint32_t *files;
    uint32_t file_count;
} keeping;

struct mr_checkpoints {
    mr_state *state;
    mr_writer *writer;
    uint32_t next_round;
    data_file *files; /* newest first; those the newest images may be in */
    uint32_t file_count;
    keeping newest, older, pending;
    round_phase phase;
    /* of the running round */
    uint32_t round;
    uint64_t plan_hash;
    uint64_t position_min;
    uint64_t position_max;
    mr_bytes flow;
    int64_t stream_times_us[MR_TABLE_COUNT_MAX];
    uint32_t table_count;
    uint64_t next;         /* table * MR_SLOT_COUNT + slot */
    uint64_t handed_bytes; /* to the writer */
    /* of the writer's thread, while jobs are on their way */
    mr_file *file;
    uint64_t written_bytes;
};

/* ---- names ---- */

static void path_of(const mr_checkpoints *c, const char *pattern, uint32_t round, char *out)
{
    char name[64];
    (void)snprintf(name, sizeof name,
                   strcmp(pattern, MR_CHECKPOINT_DATA_NAME) == 0 ? MR_CHECKPOINT_DATA_NAME
                                                                 : MR_CHECKPOINT_MANIFEST,
                   round);
    (void)snprintf(out, MR_CHECKPOINT_PATH_MAX, "%s/%s", c->state->folder, name);
}

bool mr_checkpoint_name(const char *name, uint32_t *out_round, bool *out_manifest)
{
    if (strncmp(name, "ckpt-", 5) != 0)
        return false;
    char *end;
    unsigned long long round = strtoull(name + 5, &end, 10);
    if (end == name + 5 || round > UINT32_MAX)
        return false;
    *out_round = (uint32_t)round;
    *out_manifest = strcmp(end, ".manifest") == 0;
    return *out_manifest || strcmp(end, ".data") == 0 || strcmp(end, ".manifest.tmp") == 0;
}

/* ---- birth and death ---- */

static mr_status find_next_round(mr_checkpoints *c, mr_error *err)
{
    char **names;
    size_t count;
    MR_TRY(mr_fs_list(c->state->fs, c->state->folder, &names, &count, err));
    uint32_t round = 0, highest = 0;
    bool manifest;
    for (size_t i = 0; i < count; i++)
        if (mr_checkpoint_name(names[i], &round, &manifest))
            highest = MR_MAX(highest, round);
    mr_fs_free_names(names, count);
    c->next_round = highest + 1;
    return MR_OK;
}

mr_status mr_checkpoints_create(mr_state *state, mr_checkpoints **out, mr_error *err)
{
    mr_checkpoints *c = MR_NEW(mr_checkpoints);
    if (c == NULL)
        return MR_OUT_OF_MEMORY(err);
    c->state = state;
    mr_status status = mr_writer_create(state->background, state->source.budget, &c->writer, err);
    if (status == MR_OK)
        status = find_next_round(c, err);
    if (status != MR_OK)
        mr_checkpoints_destroy(c);
    else
        *out = c;
    return status;
}

static void forget(keeping *one)
{
    mr_free(one->files);
    *one = (keeping){0};
}

void mr_checkpoints_destroy(mr_checkpoints *c)
{
    if (c == NULL)
        return;
    mr_writer_destroy(c->writer);
    mr_file_close(c->file);
    forget(&c->newest);
    forget(&c->older);
    forget(&c->pending);
    mr_bytes_deinit(&c->flow);
    mr_free(c->files);
    mr_free(c);
}

/* ---- files and what lives in them ---- */

static data_file *find_file(const mr_checkpoints *c, uint32_t round)
{
    uint32_t low = 0, high = c->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->files[middle].round > round)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->file_count && c->files[low].round == round ? &c->files[low] : NULL;
}

static void count_live(mr_checkpoints *c)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        c->files[i].live_bytes = 0;
    for (uint32_t t = 0; t < c->state->table_count; t++)
        for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
            const mr_image *image = &c->state->tables[t]->rest[i].image;
            data_file *file = image->bytes > 0 ? find_file(c, image->round) : NULL;
            if (file != NULL)
                file->live_bytes += image->bytes;
        }
}

/* Drops files without live bytes, but the first when `keep_first`. */
static void drop_dead_files(mr_checkpoints *c, uint32_t keep_first)
{
    uint32_t n = keep_first;
    for (uint32_t i = keep_first; i < c->file_count; i++)
        if (c->files[i].live_bytes > 0)
            c->files[n++] = c->files[i];
    c->file_count = n;
}

static void choose_files_to_empty(mr_checkpoints *c)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        c->files[i].empty_it = c->files[i].live_bytes < c->files[i].bytes / 2 || i >= FILES_MAX;
}

static bool add_file(mr_checkpoints *c, uint32_t round)
{
    data_file *files = mr_alloc((c->file_count + 1) * sizeof *files);
    if (files == NULL)
        return false;
    files[0] = (data_file){.round = round};
    if (c->file_count > 0)
        memcpy(files + 1, c->files, c->file_count * sizeof *files);
    mr_free(c->files);
    c->files = files;
    c->file_count++;
    return true;
}

mr_status mr_checkpoints_adopt(mr_checkpoints *c, const mr_manifest *manifest, mr_error *err)
{
    uint32_t n = manifest->file_count;
    mr_free(c->files);
    c->file_count = 0;
    forget(&c->newest);
    c->files = mr_alloc((n + 1) * sizeof *c->files);
    c->newest.files = mr_alloc((n + 1) * sizeof *c->newest.files);
    if (c->files == NULL || c->newest.files == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < n; i++) {
        c->files[i] =
            (data_file){.round = manifest->files[i].round, .bytes = manifest->files[i].bytes};
        c->newest.files[i] = manifest->files[i].round;
    }
    c->file_count = n;
    c->newest.file_count = n;
    c->newest.round = manifest->round;
    c->newest.position_min = manifest->position_min;
    return MR_OK;
}

/* ---- begin ---- */

bool mr_state_checkpoint_running(const mr_state *state)
{
    return state->checkpoints->phase != IDLE;
}

uint64_t mr_state_position_needed(const mr_state *state)
{
    const mr_checkpoints *c = state->checkpoints;
    if (c->newest.round == 0)
        return 0;
    return c->older.round != 0 ? MR_MIN(c->older.position_min, c->newest.position_min)
                               : c->newest.position_min;
}

static void start_round(mr_checkpoints *c, uint64_t plan_hash, uint64_t position)
{
    c->round = c->next_round++;
    c->plan_hash = plan_hash;
    c->position_min = position;
    c->position_max = position;
    c->table_count = c->state->table_count;
    for (uint32_t i = 0; i < c->table_count; i++)
        c->stream_times_us[i] = c->state->tables[i]->stream_time_us;
    c->next = 0;
    c->handed_bytes = 0;
    c->written_bytes = 0;
    c->phase = WRITING;
}

mr_status mr_state_checkpoint_begin(mr_state *state, uint64_t plan_hash, uint64_t position,
                                    const void *flow, size_t flow_bytes, mr_error *err)
{
    mr_checkpoints *c = state->checkpoints;
    if (c->phase != IDLE)
        return MR_FAIL(err, MR_BUSY, "checkpoint %u is not finished", c->round);
    mr_bytes_clear(&c->flow);
    mr_bytes_append(&c->flow, flow, flow_bytes);
    if (c->flow.failed)
        return MR_OUT_OF_MEMORY(err);
    count_live(c);
    drop_dead_files(c, 0);
    choose_files_to_empty(c);
    if (!add_file(c, c->next_round))
        return MR_OUT_OF_MEMORY(err);
    start_round(c, plan_hash, position);
    return MR_OK;
}

/* ---- the end of a round that failed ---- */

static mr_status abandon(mr_checkpoints *c, mr_status status)
{
    char path[MR_CHECKPOINT_PATH_MAX];
    mr_writer_reset(c->writer);
    mr_file_close(c->file);
    c->file = NULL;
    path_of(c, MR_CHECKPOINT_DATA_NAME, c->round, path);
    /* Best effort: what stays goes with the next good round. */
    (void)mr_fs_remove(c->state->fs, path, NULL);
    for (uint32_t t = 0; t < c->table_count; t++)
        for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
            mr_table *table = c->state->tables[t];
            if (table->rest[i].image.round == c->round) {
                table->rest[i].image = (mr_image){0};
                table->slots[i].changed_tick = table->tick;
            }
        }
    forget(&c->pending);
    c->phase = IDLE;
    return status;
}

/* ---- step ---- */

static mr_status write_job(void *context, const mr_bytes *bytes, mr_error *err)
{
    mr_checkpoints *c = context;
    if (c->file == NULL) {
        char path[MR_CHECKPOINT_PATH_MAX];
        path_of(c, MR_CHECKPOINT_DATA_NAME, c->round, path);
        MR_TRY(mr_fs_open(c->state->fs, path, MR_OPEN_NEW, &c->file, err));
    }
    MR_TRY(mr_file_write(c->file, c->written_bytes, bytes->data, bytes->size, err));
    c->written_bytes += bytes->size;
    return MR_OK;
}

static void hand_over(mr_checkpoints *c, mr_bytes *buffer)
{
    c->handed_bytes += buffer->size;
    c->files[0].bytes = c->handed_bytes;
    mr_writer_submit(c->writer, write_job, c);
}

static bool needs_image(const mr_checkpoints *c, const mr_slot *slot, const mr_image *image)
{
    if (slot->changed_tick != 0)
        return true;
    const data_file *file = image->bytes > 0 ? find_file(c, image->round) : NULL;
    return file != NULL && file->empty_it;
}

static mr_status write_slot(mr_checkpoints *c, mr_slot *slot, mr_image *image, uint64_t position,
                            mr_bytes *buffer, mr_error *err)
{
    if (c->handed_bytes + buffer->size == 0)
        mr_image_file_start(buffer, c->round);
    mr_image fresh;
    uint64_t offset = c->handed_bytes + buffer->size;
    MR_TRY(mr_image_write(slot, position, buffer, &fresh, err));
    fresh.round = c->round;
    fresh.offset = offset;
    *image = fresh;
    slot->changed_tick = 0;
    return MR_OK;
}

/* Brings the slot's image up to date with `position`. */
static mr_status visit(mr_checkpoints *c, uint64_t position, mr_bytes *buffer, bool *out_written,
                       mr_error *err)
{
    mr_table *table = c->state->tables[c->next / MR_SLOT_COUNT];
    mr_slot *slot = &table->slots[c->next % MR_SLOT_COUNT];
    mr_image *image = &table->rest[c->next % MR_SLOT_COUNT].image;
    uint64_t as_of = MR_MAX(position, slot->skip_until);
    *out_written = needs_image(c, slot, image);
    if (*out_written)
        MR_TRY(write_slot(c, slot, image, as_of, buffer, err));
    image->position = as_of;
    c->position_max = MR_MAX(c->position_max, as_of);
    c->next++;
    return MR_OK;
}

static uint64_t visits_wanted(const mr_checkpoints *c)
{
    return (uint64_t)c->table_count * MR_SLOT_COUNT;
}

static mr_status visit_some(mr_checkpoints *c, uint64_t position, uint32_t slot_max, mr_error *err)
{
    uint32_t written = 0;
    for (uint32_t i = 0; i < VISITS_PER_STEP && written < slot_max && c->next < visits_wanted(c);
         i++) {
        mr_bytes *buffer = mr_writer_buffer(c->writer);
        if (buffer == NULL)
            return MR_OK;
        bool wrote;
        MR_TRY(visit(c, position, buffer, &wrote, err));
        written += wrote;
        if (buffer->size >= BUFFER_BYTES)
            hand_over(c, buffer);
    }
    return MR_OK;
}

/* True when nothing is left in a buffer. */
static bool hand_over_rest(mr_checkpoints *c)
{
    mr_bytes *buffer = mr_writer_buffer(c->writer);
    if (buffer != NULL && buffer->size > 0)
        hand_over(c, buffer);
    return buffer != NULL;
}

mr_status mr_state_checkpoint_step(mr_state *state, uint64_t position, uint32_t slot_max,
                                   bool *out_done, mr_error *err)
{
    mr_checkpoints *c = state->checkpoints;
    *out_done = false;
    if (c->phase != WRITING || position < c->position_min)
        return MR_FAIL(err, MR_INVALID, "no checkpoint from position %llu on is being written",
                       (unsigned long long)position);
    mr_status status = visit_some(c, position, MR_MAX(slot_max, 1), err);
    if (status != MR_OK)
        return abandon(c, status);
    *out_done = c->next == visits_wanted(c) && hand_over_rest(c);
    status = mr_writer_poll(c->writer, err);
    return status == MR_OK || status == MR_BUSY ? MR_OK : abandon(c, status);
}

/* ---- finish ---- */

static bool is_kept(const keeping *one, uint32_t round, bool manifest)
{
    if (manifest)
        return one->round == round;
    for (uint32_t i = 0; i < one->file_count; i++)
        if (one->files[i] == round)
            return true;
    return false;
}

/* See (2). What cannot be removed now is removed after the next round; the checkpoint is valid all the same. */
static void remove_old(mr_checkpoints *c)
{
    char **names;
    size_t count;
    if (mr_fs_list(c->state->fs, c->state->folder, &names, &count, NULL) != MR_OK)
        return;
    for (size_t i = count; i-- > 0;) { /* a manifest goes before the data of its round */
        uint32_t round;
        bool manifest;
        if (!mr_checkpoint_name(names[i], &round, &manifest) ||
            is_kept(&c->pending, round, manifest) || is_kept(&c->newest, round, manifest))
            continue;
        char path[MR_CHECKPOINT_PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", c->state->folder, names[i]);
        (void)mr_fs_remove(c->state->fs, path, NULL);
    }
    mr_fs_free_names(names, count);
}

static mr_status finish_job(void *context, const mr_bytes *manifest, mr_error *err)
{
    mr_checkpoints *c = context;
    if (c->file != NULL) {
        MR_TRY(mr_file_sync(c->file, err));
        mr_file_close(c->file);
        c->file = NULL;
        MR_TRY(mr_fs_sync_dir(c->state->fs, c->state->folder, err));
    }
    char path[MR_CHECKPOINT_PATH_MAX];
    path_of(c, MR_CHECKPOINT_MANIFEST, c->round, path);
    MR_TRY(mr_fs_write_file(c->state->fs, path, manifest->data, manifest->size, err));
    remove_old(c);
    return MR_OK;
}

static void describe_table(const mr_table *table, int64_t stream_time_us, mr_manifest_table *out)
{
    const mr_table_options *options = &table->options;
    out->name = options->name;
    out->name_bytes = strlen(options->name);
    out->kind = options->kind->name;
    out->kind_bytes = strlen(options->kind->name);
    out->kind_version = options->kind->version;
    out->flags = (uint8_t)((options->byte_keys ? MR_MANIFEST_BYTE_KEYS : 0) |
                           (options->ttl_us > 0 ? MR_MANIFEST_TTL : 0));
    out->fingerprint = options->fingerprint;
    out->stream_time_us = stream_time_us;
    for (uint32_t i = 0; out->images != NULL && i < MR_SLOT_COUNT; i++)
        out->images[i] = table->rest[i].image;
}

static mr_status describe(mr_checkpoints *c, mr_arena *arena, mr_manifest *out, mr_error *err)
{
    count_live(c);
    drop_dead_files(c, 0);
    *out = (mr_manifest){.round = c->round,
                         .plan_hash = c->plan_hash,
                         .position_min = c->position_min,
                         .position_max = c->position_max,
                         .flow = c->flow.data,
                         .flow_bytes = c->flow.size,
                         .file_count = c->file_count,
                         .table_count = c->table_count};
    out->files = MR_ARENA_ARRAY(arena, mr_manifest_file, c->file_count);
    out->tables = MR_ARENA_ARRAY(arena, mr_manifest_table, c->table_count);
    bool whole = out->files != NULL && out->tables != NULL;
    for (uint32_t i = 0; whole && i < c->file_count; i++)
        out->files[i] = (mr_manifest_file){c->files[i].round, c->files[i].bytes};
    for (uint32_t i = 0; whole && i < c->table_count; i++) {
        out->tables[i].images = MR_ARENA_ARRAY(arena, mr_image, MR_SLOT_COUNT);
        describe_table(c->state->tables[i], c->stream_times_us[i], &out->tables[i]);
        whole = out->tables[i].images != NULL;
    }
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status keep_pending(mr_checkpoints *c, mr_error *err)
{
    uint32_t *files = mr_alloc((c->file_count + 1) * sizeof *files);
    if (files == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < c->file_count; i++)
        files[i] = c->files[i].round;
    c->pending = (keeping){c->round, c->position_min, files, c->file_count};
    return MR_OK;
}

static mr_status submit_manifest(mr_checkpoints *c, mr_bytes *buffer, mr_error *err)
{
    mr_arena arena = {0};
    mr_manifest manifest;
    mr_status status = describe(c, &arena, &manifest, err);
    if (status == MR_OK)
        mr_manifest_write(&manifest, buffer);
    mr_arena_deinit(&arena);
    MR_TRY(status);
    if (buffer->failed)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(keep_pending(c, err));
    c->phase = FINISHING;
    mr_writer_submit(c->writer, finish_job, c);
    return MR_OK;
}

static mr_status check_finish(const mr_checkpoints *c, uint64_t position, mr_error *err)
{
    if (c->phase == IDLE || c->next < visits_wanted(c))
        return MR_FAIL(err, MR_INVALID, "the checkpoint has %llu of %llu slots",
                       (unsigned long long)(c->phase == IDLE ? 0 : c->next),
                       (unsigned long long)visits_wanted(c));
    if (position < c->position_max)
        return MR_FAIL(err, MR_INVALID,
                       "sinks durable up to %llu do not cover a checkpoint up to %llu",
                       (unsigned long long)position, (unsigned long long)c->position_max);
    return MR_OK;
}

static void finished(mr_checkpoints *c)
{
    forget(&c->older);
    c->older = c->newest;
    c->newest = c->pending;
    c->pending = (keeping){0};
    c->phase = IDLE;
    mr_writer_reset(c->writer);
}

mr_status mr_state_checkpoint_finish(mr_state *state, uint64_t position, bool *out_done,
                                     mr_error *err)
{
    mr_checkpoints *c = state->checkpoints;
    bool wait = out_done == NULL, ignored;
    out_done = wait ? &ignored : out_done;
    *out_done = false;
    MR_TRY(check_finish(c, position, err));
    mr_status status = MR_OK;
    if (c->phase == WRITING) {
        status = wait ? mr_writer_wait(c->writer, err) : MR_OK;
        mr_bytes *buffer = mr_writer_buffer(c->writer);
        if (buffer == NULL && status == MR_OK)
            return MR_OK;
        if (status == MR_OK)
            status = submit_manifest(c, buffer, err);
        if (status != MR_OK)
            return abandon(c, status);
    }
    status = wait ? mr_writer_wait(c->writer, err) : mr_writer_poll(c->writer, err);
    if (status == MR_BUSY)
        return MR_OK;
    if (status != MR_OK)
        return abandon(c, status);
    finished(c);
    *out_done = true;
    return MR_OK;
}

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
#include "state/checkpoint_internal.h"

#include "base/assert.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES    (128 << 10) /* a buffer with more is handed to the writer */
#define VISITS_PER_STEP 2048        /* slots looked at in one step, changed or not */

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

void mr_checkpoints_destroy(mr_checkpoints *c)
{
    if (c == NULL)
        return;
    mr_writer_destroy(c->writer);
    mr_file_close(c->file);
    mr_checkpoint_forget(&c->newest);
    mr_checkpoint_forget(&c->older);
    mr_checkpoint_forget(&c->pending);
    mr_bytes_deinit(&c->flow);
    mr_free(c->files);
    mr_free(c);
}

/* ---- begin ---- */

bool mr_state_checkpoint_running(const mr_state *state)
{
    return state->checkpoints->phase != MR_ROUND_IDLE;
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
    c->phase = MR_ROUND_WRITING;
}

mr_status mr_state_checkpoint_begin(mr_state *state, uint64_t plan_hash, uint64_t position,
                                    const void *flow, size_t flow_bytes, mr_error *err)
{
    mr_checkpoints *c = state->checkpoints;
    if (c->phase != MR_ROUND_IDLE)
        return MR_FAIL(err, MR_BUSY, "checkpoint %u is not finished", c->round);
    mr_bytes_clear(&c->flow);
    mr_bytes_append(&c->flow, flow, flow_bytes);
    if (c->flow.failed)
        return MR_OUT_OF_MEMORY(err);
    mr_checkpoint_count_live(c);
    mr_checkpoint_choose_files_to_empty(c);
    if (!mr_checkpoint_add_file(c, c->next_round))
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
    mr_checkpoint_path(c, MR_CHECKPOINT_DATA_NAME, c->round, path);
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
    mr_checkpoint_forget(&c->pending);
    c->phase = MR_ROUND_IDLE;
    return status;
}

/* ---- step ---- */

static mr_status write_job(void *context, const mr_bytes *bytes, mr_error *err)
{
    mr_checkpoints *c = context;
    if (c->file == NULL) {
        char path[MR_CHECKPOINT_PATH_MAX];
        mr_checkpoint_path(c, MR_CHECKPOINT_DATA_NAME, c->round, path);
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
    const mr_data_file *file = image->bytes > 0 ? mr_checkpoint_find_file(c, image->round) : NULL;
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
    if (c->phase != MR_ROUND_WRITING || position < c->position_min)
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
    mr_checkpoint_path(c, MR_CHECKPOINT_MANIFEST, c->round, path);
    MR_TRY(mr_fs_write_file(c->state->fs, path, manifest->data, manifest->size, err));
    mr_checkpoint_remove_old(c);
    return MR_OK;
}

static mr_status submit_manifest(mr_checkpoints *c, mr_bytes *buffer, mr_error *err)
{
    mr_arena arena = {0};
    mr_manifest manifest;
    mr_status status = mr_checkpoint_describe(c, &arena, &manifest, err);
    if (status == MR_OK)
        mr_manifest_write(&manifest, buffer);
    mr_arena_deinit(&arena);
    MR_TRY(status);
    if (buffer->failed)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_checkpoint_keep_pending(c, err));
    c->phase = MR_ROUND_FINISHING;
    mr_writer_submit(c->writer, finish_job, c);
    return MR_OK;
}

static mr_status check_finish(const mr_checkpoints *c, uint64_t position, mr_error *err)
{
    if (c->phase == MR_ROUND_IDLE || c->next < visits_wanted(c))
        return MR_FAIL(err, MR_INVALID, "the checkpoint has %llu of %llu slots",
                       (unsigned long long)(c->phase == MR_ROUND_IDLE ? 0 : c->next),
                       (unsigned long long)visits_wanted(c));
    if (position < c->position_max)
        return MR_FAIL(err, MR_INVALID,
                       "sinks durable up to %llu do not cover a checkpoint up to %llu",
                       (unsigned long long)position, (unsigned long long)c->position_max);
    return MR_OK;
}

static void finished(mr_checkpoints *c)
{
    mr_checkpoint_forget(&c->older);
    c->older = c->newest;
    c->newest = c->pending;
    c->pending = (mr_keeping){0};
    c->phase = MR_ROUND_IDLE;
    mr_writer_reset(c->writer);
}

mr_status mr_state_checkpoint_finish(mr_state *state, uint64_t position, bool *out_done,
                                     mr_error *err)
{
    mr_checkpoints *c = state->checkpoints;
    bool wait = out_done == NULL, ignored = false;
    out_done = wait ? &ignored : out_done;
    *out_done = false;
    MR_TRY(check_finish(c, position, err));
    mr_status status = MR_OK;
    if (c->phase == MR_ROUND_WRITING) {
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

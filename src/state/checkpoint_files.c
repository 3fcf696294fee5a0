/* checkpoint_files.c -- the files of checkpoints: their names, what is alive in them, which are kept.
 *
 *   ckpt-0000000007.data       images of the slots that changed since they were last written
 *   ckpt-0000000007.manifest   where the newest image of every slot is: here or in older files
 *
 * The numbers are those of checkpoint.c: (2), (5), (6). */
#include "state/checkpoint_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 64

/* ---- names ---- */

void mr_checkpoint_path(const mr_checkpoints *c, const char *pattern, uint32_t round, char *out)
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

/* ---- files and what lives in them ---- */

mr_data_file *mr_checkpoint_find_file(const mr_checkpoints *c, uint32_t round)
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

static void drop_dead_files(mr_checkpoints *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].live_bytes > 0)
            c->files[n++] = c->files[i];
    c->file_count = n;
}

void mr_checkpoint_count_live(mr_checkpoints *c)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        c->files[i].live_bytes = 0;
    for (uint32_t t = 0; t < c->state->table_count; t++)
        for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
            const mr_image *image = &c->state->tables[t]->rest[i].image;
            mr_data_file *file = image->bytes > 0 ? mr_checkpoint_find_file(c, image->round) : NULL;
            if (file != NULL)
                file->live_bytes += image->bytes;
        }
    drop_dead_files(c);
}

void mr_checkpoint_choose_files_to_empty(mr_checkpoints *c)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        c->files[i].empty_it = c->files[i].live_bytes < c->files[i].bytes / 2 || i >= FILES_MAX;
}

bool mr_checkpoint_add_file(mr_checkpoints *c, uint32_t round)
{
    mr_data_file *files = mr_alloc((c->file_count + 1) * sizeof *files);
    if (files == NULL)
        return false;
    files[0] = (mr_data_file){.round = round};
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
    mr_checkpoint_forget(&c->newest);
    c->files = mr_alloc((n + 1) * sizeof *c->files);
    c->newest.files = mr_alloc((n + 1) * sizeof *c->newest.files);
    if (c->files == NULL || c->newest.files == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < n; i++) {
        c->files[i] =
            (mr_data_file){.round = manifest->files[i].round, .bytes = manifest->files[i].bytes};
        c->newest.files[i] = manifest->files[i].round;
    }
    c->file_count = n;
    c->newest.file_count = n;
    c->newest.round = manifest->round;
    c->newest.position_min = manifest->position_min;
    return MR_OK;
}

/* ---- what is kept ---- */

void mr_checkpoint_forget(mr_keeping *one)
{
    mr_free(one->files);
    *one = (mr_keeping){0};
}

mr_status mr_checkpoint_keep_pending(mr_checkpoints *c, mr_error *err)
{
    uint32_t *files = mr_alloc((c->file_count + 1) * sizeof *files);
    if (files == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < c->file_count; i++)
        files[i] = c->files[i].round;
    c->pending = (mr_keeping){c->round, c->position_min, files, c->file_count};
    return MR_OK;
}

static bool is_kept(const mr_keeping *one, uint32_t round, bool manifest)
{
    if (manifest)
        return one->round == round;
    for (uint32_t i = 0; i < one->file_count; i++)
        if (one->files[i] == round)
            return true;
    return false;
}

/* See (2). What cannot be removed now is removed after the next round; the checkpoint is valid all the same. */
void mr_checkpoint_remove_old(mr_checkpoints *c)
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

/* ---- the manifest ---- */

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

mr_status mr_checkpoint_describe(mr_checkpoints *c, mr_arena *arena, mr_manifest *out,
                                 mr_error *err)
{
    mr_checkpoint_count_live(c);
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

/* rejects.c -- where refused records go. */
#include "cmd/rejects.h"

#include "base/assert.h"
#include "data/encoder.h"
#include "pipeline/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 10 /* places printed on stderr; the summary counts the rest */

mr_status mr_rejects_init(mr_rejects *dead, mr_session *session, mr_log *log, const char *beside,
                          const char *path, mr_error *err)
{
    *dead = (mr_rejects){.session = session, .log = log, .beside = beside, .path = path};
    return mr_dead_letter_schema(&dead->schema, err);
}

void mr_rejects_deinit(mr_rejects *dead)
{
    mr_topic_close(dead->topic);
    mr_file_close(dead->file);
    mr_schema_release(dead->schema);
    *dead = (mr_rejects){0};
}

const char *mr_rejects_name(const mr_rejects *dead, char *out)
{
    if (dead->path != NULL)
        (void)snprintf(out, MR_PATH_MAX, "%s", dead->path);
    else
        (void)snprintf(out, MR_PATH_MAX, "%s" MR_DEAD_SUFFIX, dead->beside);
    return out;
}

/* ---- opening, when there is something to store ---- */

static mr_status learn_known(mr_rejects *dead, mr_error *err)
{
    uint32_t epoch = 0;
    dead->known = 0;
    if (dead->producer_id == 0 || dead->topic == NULL)
        return MR_OK;
    mr_status status =
        mr_topic_producer(dead->topic, 0, dead->producer_id, &epoch, &dead->known, err);
    return status == MR_NOT_FOUND ? MR_OK : status;
}

static mr_status open_topic(mr_rejects *dead, mr_error *err)
{
    char name[MR_PATH_MAX];
    (void)mr_rejects_name(dead, name);
    mr_status status = mr_topic_create(dead->log, name, NULL, dead->schema, err);
    if (status != MR_OK && status != MR_EXISTS)
        return status;
    MR_TRY(mr_topic_open(dead->log, name, &dead->topic, err));
    return learn_known(dead, err);
}

static mr_status open_file(mr_rejects *dead, mr_error *err)
{
    MR_TRY(mr_fs_open(dead->session->fs, dead->path, MR_OPEN_CREATE, &dead->file, err));
    return mr_file_size(dead->file, &dead->file_bytes, err);
}

mr_status mr_rejects_set_producer(mr_rejects *dead, uint64_t producer_id, mr_error *err)
{
    dead->producer_id = producer_id;
    dead->sequence = 0;
    return learn_known(dead, err);
}

/* ---- storing ---- */

static void add_letter(mr_builder *builder, const mr_rejects *dead, const char *input,
                       const mr_reject *reject)
{
    char place[MR_ERROR_PLACE_MAX], reason[MR_ERROR_TEXT_MAX];
    (void)snprintf(place, sizeof place, "%s:%" PRIu64 ":%" PRIu64, input, reject->line,
                   reject->column);
    (void)snprintf(reason, sizeof reason, "%s%s", reject->continued ? "(continued) " : "",
                   reject->reason);
    mr_dead_letter letter = {.source = dead->beside,
                             .place = place,
                             .field = reject->field,
                             .reason = reason,
                             .bytes = reject->bytes,
                             .size = reject->size};
    mr_dead_letter_add(builder, &letter);
}

static mr_status build(mr_rejects *dead, const char *input, const mr_reject *rejects, size_t count,
                       mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_TRY(mr_builder_init(&builder, dead->schema, err));
    for (size_t i = 0; i < count; i++)
        add_letter(&builder, dead, input, &rejects[i]);
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

static mr_status append_file(mr_rejects *dead, const mr_batch *batch, mr_error *err)
{
    mr_encoder_options options = {.format = MR_FORMAT_JSONL};
    mr_bytes text = {0};
    mr_encode_rows(&options, batch, 0, batch->row_count, &text);
    mr_status status = text.failed
                           ? MR_OUT_OF_MEMORY(err)
                           : mr_file_write(dead->file, dead->file_bytes, text.data, text.size, err);
    dead->file_bytes += status == MR_OK ? text.size : 0;
    mr_bytes_deinit(&text);
    return status;
}

/* Those that the topic has already, from an earlier run of the same producer, are left out. */
static mr_status append_topic(mr_rejects *dead, mr_batch *batch, mr_error *err)
{
    uint64_t first = MR_MAX(dead->sequence, dead->known), next = dead->sequence + batch->row_count;
    mr_appended appended;
    mr_batch *rest = NULL;
    if (dead->producer_id == 0)
        first = dead->sequence;
    if (first >= next)
        return MR_OK;
    MR_TRY(mr_batch_slice(batch, (size_t)(first - dead->sequence), (size_t)(next - first), &rest,
                          err));
    mr_append what = {.batch = rest,
                      .producer_id = dead->producer_id,
                      .sequence_first = first,
                      .sequence_next = next};
    mr_status status = mr_topic_append(dead->topic, 0, &what, &appended, err);
    dead->end_offset = status == MR_OK ? appended.end_offset : dead->end_offset;
    mr_batch_release(rest);
    return status;
}

static void show(mr_rejects *dead, const char *input, const mr_reject *rejects, size_t count)
{
    for (size_t i = 0; i < count && !dead->session->quiet; i++, dead->shown++) {
        if (dead->shown == SHOWN_MAX)
            mr_session_say(dead->session, "(more rejected records are counted, not shown)");
        if (dead->shown < SHOWN_MAX)
            mr_session_say(dead->session, "%s:%" PRIu64 ":%" PRIu64 ": %s", input, rejects[i].line,
                           rejects[i].column, rejects[i].reason);
    }
}

static mr_status open_for_use(mr_rejects *dead, mr_error *err)
{
    if (dead->path != NULL)
        return dead->file == NULL ? open_file(dead, err) : MR_OK;
    return dead->topic == NULL ? open_topic(dead, err) : MR_OK;
}

static mr_status store(mr_rejects *dead, const char *input, const mr_reject *rejects, size_t count,
                       mr_error *err)
{
    mr_batch *batch = NULL;
    MR_TRY(open_for_use(dead, err));
    MR_TRY(build(dead, input, rejects, count, &batch, err));
    mr_status status =
        dead->path != NULL ? append_file(dead, batch, err) : append_topic(dead, batch, err);
    dead->sequence += batch->row_count;
    mr_batch_release(batch);
    return status;
}

mr_status mr_rejects_add(mr_rejects *dead, const char *input, const mr_reject *rejects,
                         size_t count, mr_error *err)
{
    if (count == 0)
        return MR_OK;
    for (size_t i = 0; i < count; i++)
        dead->count += rejects[i].continued ? 0 : 1;
    show(dead, input, rejects, count);
    if (dead->path == NULL && dead->beside == NULL)
        return MR_OK;
    return store(dead, input, rejects, count, err);
}

mr_status mr_rejects_commit(mr_rejects *dead, mr_error *err)
{
    if (dead->file != NULL)
        return mr_file_sync(dead->file, err);
    if (dead->topic != NULL && dead->end_offset > 0)
        return mr_topic_commit(dead->topic, 0, dead->end_offset, err);
    return MR_OK;
}

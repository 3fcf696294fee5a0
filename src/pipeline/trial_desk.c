/* trial_desk.c -- between the flow and the world: rows into the trial, verdicts out of it, and what is kept on disk.
 *
 *   flow:    rows -> trial -> posts verdict, status, image        loader: acts, writes <folder>/rollout.json and
 *                                                                 <folder>/trial-<position>
 *
 * (1) A verdict is acted upon only while the rollout is still what it was reached about. */
#include "pipeline/trial.h"

#include "base/assert.h"
#include "base/notice.h"
#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define STATUS_NS       INT64_C(200000000)
#define IMAGE_BYTES_MAX (UINT64_C(64) << 20)

/* A verdict and what it was reached about. */
typedef struct trial_note {
    trial_verdict verdict;
    char *from, *next; /* texts of the rollout then, and one step on; owned */
    char why[TRIAL_WHY_BYTES];
    uint64_t version;
} trial_note;

typedef struct trial_desk {
    mr_mutex mutex;
    mr_trial trial;
    trial_note posted; /* under the mutex; waits for the loader */
    bool done;         /* what the trial found was posted by this process */
    bool complained;
    mr_bytes status;
    bool status_is;
    uint64_t looks;
    int64_t next_status_ns;
} trial_desk;

/* ---- rows ---- */

static double score_at(const mr_column *scores, uint32_t row)
{
    if (mr_column_is_null(scores, row))
        return NAN;
    return scores->type.id == MR_FLOAT64 ? ((const double *)scores->values)[row]
                                         : (double)((const float *)scores->values)[row];
}

static double number_at(const mr_column *column, uint32_t row)
{
    if (mr_column_is_null(column, row))
        return NAN;
    switch (column->type.id) {
    case MR_BOOL:
        return mr_bit_get(column->values, row);
    case MR_INT32:
        return ((const int32_t *)column->values)[row];
    case MR_INT64:
        return (double)((const int64_t *)column->values)[row];
    case MR_FLOAT32:
        return (double)((const float *)column->values)[row];
    default:
        return ((const double *)column->values)[row];
    }
}

static mr_text text_at(const mr_column *column, uint32_t row, char *room)
{
    if (mr_column_is_null(column, row))
        return (mr_text){.bytes = NULL};
    if (mr_type_is_text(column->type.id))
        return mr_column_text(column, row);
    double value = column->type.id == MR_TIMESTAMP ? NAN : number_at(column, row);
    size_t size = mr_number_format_float64(value, room);
    return (mr_text){.bytes = (const void *)room, .size = (uint32_t)size};
}

static void add_row(mr_pipeline *pipeline, const micro_batch *batch, const trial_view *view,
                    uint32_t row)
{
    const mr_plan *plan = pipeline->plan;
    const trial_terms *terms = pipeline->cast->terms;
    const cast_part *its = &pipeline->cast->parts[1];
    const mr_column *columns = view->rows->columns;
    uint32_t score = plan->score.first_output;
    char room[MR_NUMBER_TEXT_MAX];
    trial_row out = {.position = batch->position +
                                 (view->rows->merged != NULL ? view->rows->merged[row] : row)};
    out.time_us = ((const int64_t *)columns[plan->sources[plan->on].event_time].values)[row];
    out.live = score_at(&view->live->columns[score], row);
    out.treated = its->role == CAST_CANARY && pipeline->deciders[row] == 1;
    out.key = its->role == CAST_CANARY ? run_key_hash(&columns[its->key_column], row) : 0;
    out.id = terms->has_outcomes ? run_key_hash(&columns[terms->id_column], row) : 0;
    if (terms->segments >= 0)
        out.segment = text_at(&columns[terms->segments], row, room);
    if (out.treated) {
        out.saw[1] = true;
        out.said[1] = score_at(&columns[score], row);
        out.flips[1] = run_flips(plan, view->rows, view->live, row);
    }
    for (size_t i = 0; i < view->shadow_count; i++) {
        size_t part = (size_t)(view->parts[i] - pipeline->cast->parts);
        out.saw[part] = true;
        out.said[part] = score_at(&view->shadows[i]->columns[score], row);
        out.flips[part] = run_flips(plan, view->live, view->shadows[i], row);
    }
    trial_add_row(&pipeline->desk->trial, terms, &out);
}

static void add_outcome(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                        uint32_t row)
{
    const trial_terms *terms = pipeline->cast->terms;
    mr_trial *trial = &pipeline->desk->trial;
    uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
    if (batch->position + merged < trial->from || !trial->active)
        return;
    uint32_t time = pipeline->plan->sources[terms->outcome_source].event_time;
    trial_advance(trial, terms, ((const int64_t *)rows->columns[time].values)[row]);
    trial_add_outcome(trial, terms, run_key_hash(&rows->columns[terms->outcome_key], row),
                      number_at(&rows->columns[terms->outcome_value], row));
}

static uint32_t merged_at(const source_rows *rows, uint32_t row)
{
    if (rows == NULL || row >= rows->count)
        return UINT32_MAX;
    return rows->merged != NULL ? rows->merged[row] : row;
}

/* Records and outcomes in the order in which they were taken. */
static void add_rows(mr_pipeline *pipeline, const micro_batch *batch, const trial_view *view)
{
    const trial_terms *terms = pipeline->cast->terms;
    const source_rows *outcomes =
        terms->has_outcomes ? &batch->sources[terms->outcome_source] : NULL;
    uint32_t row = 0, outcome = 0;
    for (;;) {
        uint32_t a = view != NULL ? merged_at(view->rows, row) : UINT32_MAX;
        uint32_t b = merged_at(outcomes, outcome);
        if (a == UINT32_MAX && b == UINT32_MAX)
            return;
        if (a < b)
            add_row(pipeline, batch, view, row++);
        else
            add_outcome(pipeline, batch, outcomes, outcome++);
    }
}

/* ---- posting ---- */

static void drop_note(trial_note *note)
{
    mr_free(note->from);
    mr_free(note->next);
    *note = (trial_note){.verdict = TRIAL_VERDICT_NONE};
}

static mr_status post(mr_pipeline *pipeline, trial_desk *desk, mr_error *err)
{
    const trial_terms *terms = pipeline->cast->terms;
    char *from = mr_strdup(terms->text), *next = mr_strdup(terms->next);
    if (from == NULL || next == NULL) {
        mr_free(from);
        mr_free(next);
        return MR_OUT_OF_MEMORY(err);
    }
    trial_note note = {desk->trial.verdict, from, next, "", desk->trial.refs[1].version};
    (void)snprintf(note.why, sizeof note.why, "%s", desk->trial.why);
    mr_mutex_lock(&desk->mutex);
    drop_note(&desk->posted);
    desk->posted = note;
    mr_mutex_unlock(&desk->mutex);
    desk->done = true;
    return MR_OK;
}

static void post_status(mr_pipeline *pipeline, trial_desk *desk)
{
    int64_t now = pipeline->options.clock->mono_ns(pipeline->options.clock);
    bool verdict = desk->trial.verdict != TRIAL_VERDICT_NONE;
    if (desk->trial.looks == desk->looks || (now < desk->next_status_ns && !verdict))
        return;
    desk->looks = desk->trial.looks;
    desk->next_status_ns = now + STATUS_NS;
    mr_mutex_lock(&desk->mutex);
    mr_bytes_clear(&desk->status);
    trial_describe(&desk->trial, pipeline->cast->terms, pipeline->plan->name, &desk->status);
    desk->status_is = !desk->status.failed;
    mr_mutex_unlock(&desk->mutex);
}

mr_status run_trial_batch(mr_pipeline *pipeline, const micro_batch *batch, const trial_view *view,
                          mr_error *err)
{
    trial_desk *desk = pipeline->desk;
    if (desk == NULL)
        return MR_OK;
    uint32_t step = desk->trial.step;
    uint64_t id = desk->trial.id;
    bool paused = desk->trial.paused;
    MR_TRY(trial_recast(&desk->trial, pipeline->cast, batch->position, err));
    if (desk->trial.step != step || desk->trial.id != id || desk->trial.paused != paused)
        desk->done = false;
    if (pipeline->cast == NULL || pipeline->cast->terms == NULL)
        return MR_OK;
    add_rows(pipeline, batch, view);
    if (batch->replayed)
        return MR_OK;
    post_status(pipeline, desk);
    bool found = desk->trial.verdict != TRIAL_VERDICT_NONE;
    return found && !desk->done ? post(pipeline, desk, err) : MR_OK;
}

void run_trial_timed(mr_pipeline *pipeline, const cast_part *part, int64_t took_ns, uint32_t rows)
{
    const run_cast *cast = pipeline->cast;
    if (pipeline->desk == NULL || pipeline->replaying || cast == NULL || cast->terms == NULL ||
        part != &cast->parts[1] || rows == 0)
        return;
    mr_trial *trial = &pipeline->desk->trial;
    double each = (double)took_ns / rows;
    trial_sketch_add(&trial->times_ns, each);
    trial->slow.count++;
    trial->slow.hits +=
        cast->terms->guards[TRIAL_P99].set && each > cast->terms->guards[TRIAL_P99].limit;
}

/* ---- the loader's ---- */

static mr_status act(mr_pipeline *pipeline, const char *action, const char *detail,
                     const trial_note *note, mr_error *err)
{
    mr_models *models = pipeline->options.models;
    mr_model_act what = {.pipeline = pipeline->plan->name,
                         .action = action,
                         .detail = detail,
                         .model = pipeline->plan->score.reference,
                         .version = note->version,
                         .why = note->why};
    return models->act(models, &what, err);
}

/* *out_same: what is asked for now is what the verdict is about. One that only the pipeline's file declares is set. */
static mr_status still_same(mr_pipeline *pipeline, const trial_note *note, bool *out_same,
                            mr_error *err)
{
    mr_models *models = pipeline->options.models;
    mr_bytes now = {0};
    trial_terms *terms = NULL;
    mr_status status = models->rollout(models, pipeline->plan->name, &now, err);
    bool declared = status == MR_NOT_FOUND;
    if (declared) {
        mr_error_clear(err);
        status = trial_terms_read(pipeline->plan, &pipeline->plan->score.rollout, &terms, err);
    } else if (status == MR_OK) {
        const char *text = mr_bytes_text(&now);
        status = text != NULL ? trial_terms_parse(pipeline->plan, text, &terms, err)
                              : MR_OUT_OF_MEMORY(err);
    }
    *out_same = status == MR_OK && strcmp(terms->text, note->from) == 0;
    if (*out_same && declared)
        status = act(pipeline, "set", note->from, note, err);
    trial_terms_destroy(terms);
    mr_bytes_deinit(&now);
    return status;
}

static mr_status act_on(mr_pipeline *pipeline, const trial_note *note, mr_error *err)
{
    static const char *const actions[TRIAL_VERDICT_COUNT] = {
#define X(name, action) [TRIAL_VERDICT_##name] = action,
        TRIAL_VERDICT_MAP(X)
#undef X
    };
    bool same;
    MR_TRY(still_same(pipeline, note, &same, err));
    const char *detail = note->verdict == TRIAL_VERDICT_ADVANCE ? note->next : NULL;
    return same ? act(pipeline, actions[note->verdict], detail, note, err) : MR_OK;
}

static void write_status(mr_pipeline *pipeline, const mr_bytes *status)
{
    char path[MR_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/rollout.json", pipeline->folder);
    mr_error err = {0};
    if (mr_fs_write_file(pipeline->options.fs, path, status->data, status->size, &err) != MR_OK)
        mr_notice(MR_NOTICE_WARN, "models", "pipeline %s: %s", pipeline->plan->name, err.text);
}

/* A verdict that could not be acted upon waits, unless the flow has posted a newer one meanwhile. */
static void put_back(trial_desk *desk, trial_note *note)
{
    mr_mutex_lock(&desk->mutex);
    if (desk->posted.verdict == TRIAL_VERDICT_NONE)
        desk->posted = *note;
    else
        drop_note(note);
    mr_mutex_unlock(&desk->mutex);
}

/* One round. The note is taken out whole, so that the flow may post another while this one is acted upon. */
void run_trial_act(mr_pipeline *pipeline)
{
    trial_desk *desk = pipeline->desk;
    if (desk == NULL)
        return;
    mr_bytes status = {0};
    mr_mutex_lock(&desk->mutex);
    trial_note note = desk->posted;
    desk->posted = (trial_note){.verdict = TRIAL_VERDICT_NONE};
    if (desk->status_is) {
        status = desk->status;
        desk->status = (mr_bytes){0};
        desk->status_is = false;
    }
    mr_mutex_unlock(&desk->mutex);
    if (status.size > 0)
        write_status(pipeline, &status);
    mr_bytes_deinit(&status);
    if (note.verdict == TRIAL_VERDICT_NONE)
        return;
    mr_error err = {0};
    if (act_on(pipeline, &note, &err) == MR_OK) {
        drop_note(&note);
        desk->complained = false;
        return;
    }
    if (!desk->complained)
        mr_notice(MR_NOTICE_WARN, "models", "pipeline %s: the rollout's verdict waits: %s",
                  pipeline->plan->name, err.text);
    desk->complained = true;
    put_back(desk, &note);
}

/* ---- kept with the checkpoint ---- */

static bool image_position(const char *name, uint64_t *out)
{
    int64_t value;
    if (strncmp(name, "trial-", 6) != 0 || !mr_number_is_int64(name + 6, strlen(name + 6), &value))
        return false;
    *out = (uint64_t)value;
    return true;
}

/* Of the images before `position` only the newest may still be needed: by the checkpoint that is valid until this one. */
static void drop_old_images(mr_pipeline *pipeline, uint64_t position)
{
    char **names;
    size_t count;
    uint64_t at, newest = 0;
    if (mr_fs_list(pipeline->options.fs, pipeline->folder, &names, &count, NULL) != MR_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (image_position(names[i], &at) && at < position)
            newest = MR_MAX(newest, at);
    for (size_t i = 0; i < count; i++) {
        char path[MR_PATH_MAX + 64];
        (void)snprintf(path, sizeof path, "%s/%.40s", pipeline->folder, names[i]);
        if (image_position(names[i], &at) && at < newest)
            (void)mr_fs_remove(pipeline->options.fs, path, NULL);
    }
    mr_fs_free_names(names, count);
}

mr_status run_trial_keep(mr_pipeline *pipeline, mr_error *err)
{
    trial_desk *desk = pipeline->desk;
    char path[MR_PATH_MAX + 64];
    mr_bytes image = {0};
    if (desk == NULL || !desk->trial.active)
        return MR_OK;
    uint64_t from = desk->trial.from;
    desk->trial.from = pipeline->position;
    trial_encode(&desk->trial, &image);
    desk->trial.from = from;
    (void)snprintf(path, sizeof path, "%s/trial-%020" PRIu64, pipeline->folder, pipeline->position);
    mr_status status =
        image.failed ? MR_OUT_OF_MEMORY(err)
                     : mr_fs_write_file(pipeline->options.fs, path, image.data, image.size, err);
    mr_bytes_deinit(&image);
    if (status == MR_OK)
        drop_old_images(pipeline, pipeline->position);
    return status;
}

/* The newest that the journal reaches; images from a lost future go. */
static mr_status newest_image(mr_pipeline *pipeline, char **names, size_t count, char *out_path,
                              size_t room, mr_error *err)
{
    uint64_t end = mr_journal_position_end(pipeline->journal), best = 0, position;
    out_path[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (!image_position(names[i], &position))
            continue;
        char path[MR_PATH_MAX + 64];
        (void)snprintf(path, sizeof path, "%s/%.40s", pipeline->folder, names[i]);
        if (position > end) {
            MR_TRY(mr_fs_remove(pipeline->options.fs, path, err));
        } else if (out_path[0] == '\0' || position >= best) {
            best = position;
            memcpy(out_path, path, MR_MIN(room, sizeof path));
        }
    }
    return MR_OK;
}

mr_status run_trial_recover(mr_pipeline *pipeline, mr_error *err)
{
    char **names, path[MR_PATH_MAX + 64];
    size_t count;
    mr_bytes image = {0};
    if (pipeline->at_rest || pipeline->plan->score.reference == NULL)
        return MR_OK;
    pipeline->desk = MR_NEW(trial_desk);
    if (pipeline->desk == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_mutex_init(&pipeline->desk->mutex);
    MR_TRY(mr_fs_list(pipeline->options.fs, pipeline->folder, &names, &count, err));
    mr_status status = newest_image(pipeline, names, count, path, sizeof path, err);
    mr_fs_free_names(names, count);
    if (status == MR_OK && path[0] != '\0')
        status = mr_fs_read_file(pipeline->options.fs, path, IMAGE_BYTES_MAX, &image, err);
    if (status == MR_OK && path[0] != '\0')
        status = trial_decode(&pipeline->desk->trial, &image, err);
    mr_bytes_deinit(&image);
    return status;
}

void run_trial_close(mr_pipeline *pipeline)
{
    trial_desk *desk = pipeline->desk;
    if (desk == NULL)
        return;
    trial_deinit(&desk->trial);
    mr_bytes_deinit(&desk->status);
    drop_note(&desk->posted);
    mr_mutex_deinit(&desk->mutex);
    mr_free(desk);
}

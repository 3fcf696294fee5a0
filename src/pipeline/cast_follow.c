/* cast_follow.c -- when other versions play: aliases and rollouts followed beside the flow.
 *
 *   loader:  something changed? -> compose -> open, check, warm -> ready ...............  free the old one, tell
 *   flow:    ... micro-batch | micro-batch | takes what is ready: journal, swap | micro-batch ...
 *
 * (1) What cannot be opened leaves the old cast playing, and is told once.
 * (2) In a replay the journal says who plays, and nobody else is asked. Behind its end the sinks may hold decisions
 *     whose entries a crash has taken; a cast is in the journal before anything shows it, so these were made by the
 *     last one there, and it plays on until the sinks' end is reached.
 * (3) Stepped, the caller does the loader's work between two micro-batches. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "base/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS INT64_C(20000000)

typedef struct cast_follow {
    mr_mutex mutex;
    mr_condition changed;
    mr_thread *thread;
    bool stop;
    uint64_t generation;   /* loader's: what was looked at last */
    bool looked;           /* ... at all */
    mr_bytes asked;        /* loader's: the text that was composed last, playing or refused */
    _Atomic bool ready_is; /* a glance for the flow */
    run_cast *ready;       /* made and not yet playing */
    run_cast *retired;     /* played, to be freed */
    uint64_t swap_position;
    mr_model_ref swap_live; /* who plays since then */
    bool swap_untold;
} cast_follow;

/* ---- the loader ---- */

static void tell(mr_pipeline *pipeline, const char *kind, const char *model, uint64_t position,
                 const char *text)
{
    mr_models *models = pipeline->options.models;
    mr_model_report report = {.pipeline = pipeline->plan->name,
                              .kind = kind,
                              .model = model,
                              .position = position,
                              .text = text};
    mr_error err = {0};
    if (models->report(models, &report, &err) != MR_OK)
        mr_notice(MR_NOTICE_WARN, "models", "pipeline %s: %s could not be recorded: %s",
                  pipeline->plan->name, kind, err.text);
}

static void refuse(mr_pipeline *pipeline, const mr_error *err)
{
    mr_notice(MR_NOTICE_WARN, "models", "pipeline %s goes on with the versions it has: %s",
              pipeline->plan->name, err->text);
    tell(pipeline, "refused", pipeline->plan->score.reference, 0, err->text);
}

/* Composes what is asked for now; *out: a new cast, or NULL when nothing else is asked for. */
static mr_status look(mr_pipeline *pipeline, cast_follow *follow, run_cast **out, mr_error *err)
{
    mr_models *models = pipeline->options.models;
    uint64_t generation;
    *out = NULL;
    MR_TRY(models->generation(models, &generation, err));
    if (follow->looked && generation == follow->generation)
        return MR_OK;
    follow->generation = generation;
    follow->looked = true;
    mr_bytes text = {0};
    mr_status status = cast_compose(pipeline->plan, models, &text, err);
    bool same = status == MR_OK && text.size == follow->asked.size &&
                memcmp(text.data, follow->asked.data, text.size) == 0;
    if (status == MR_OK && !same) {
        mr_bytes_deinit(&follow->asked);
        follow->asked = text;
        text = (mr_bytes){0};
        status = cast_parse(pipeline->plan, models, &follow->asked, pipeline->workers, out, err);
    }
    mr_bytes_deinit(&text);
    return status;
}

/* By number: the alias may have moved on. */
static void tell_swap(mr_pipeline *pipeline, const mr_model_ref *live, uint64_t position)
{
    char model[MR_MODEL_NAME_BYTES + 24];
    (void)snprintf(model, sizeof model, "%s@%" PRIu64, live->name, live->version);
    tell(pipeline, "swapped", model, position, "");
}

/* One round; the mutex is not held while files are read. */
static void load(mr_pipeline *pipeline, cast_follow *follow)
{
    mr_error err = {0};
    run_cast *made = NULL;
    run_trial_act(pipeline);
    if (look(pipeline, follow, &made, &err) != MR_OK)
        refuse(pipeline, &err);
    mr_mutex_lock(&follow->mutex);
    run_cast *retired = follow->retired, *unused = made != NULL ? follow->ready : NULL;
    follow->retired = NULL;
    if (made != NULL) {
        follow->ready = made;
        atomic_store(&follow->ready_is, true);
    }
    bool swapped = follow->swap_untold;
    uint64_t position = follow->swap_position;
    mr_model_ref live = follow->swap_live;
    follow->swap_untold = false;
    mr_mutex_unlock(&follow->mutex);
    cast_destroy(retired);
    cast_destroy(unused);
    if (swapped)
        tell_swap(pipeline, &live, position);
}

static void load_loop(void *context)
{
    mr_pipeline *pipeline = context;
    cast_follow *follow = pipeline->follow;
    for (;;) {
        load(pipeline, follow);
        mr_mutex_lock(&follow->mutex);
        if (!follow->stop)
            (void)mr_condition_wait_for(&follow->changed, &follow->mutex, LOOK_NS);
        bool stop = follow->stop;
        mr_mutex_unlock(&follow->mutex);
        if (stop)
            return;
    }
}

/* ---- the flow ---- */

static mr_status play(mr_pipeline *pipeline, run_cast *cast)
{
    cast_follow *follow = pipeline->follow;
    run_cast *old = pipeline->cast;
    pipeline->cast = cast;
    run_model_stats_swapped(pipeline);
    if (follow == NULL || old == NULL) {
        cast_destroy(old);
        return MR_OK;
    }
    mr_mutex_lock(&follow->mutex);
    run_cast *unfreed = follow->retired; /* the loader is behind: two swaps in one of its rounds */
    follow->retired = old;
    follow->swap_position = pipeline->position;
    follow->swap_live = cast->parts[0].ref;
    follow->swap_untold = true;
    mr_mutex_unlock(&follow->mutex);
    cast_destroy(unfreed);
    return MR_OK;
}

static mr_status replay_turn(mr_pipeline *pipeline, mr_error *err)
{
    if (pipeline->cast != NULL && pipeline->plan->score.reference == NULL)
        return MR_OK;
    if (cast_is(pipeline->cast, &pipeline->replay_cast))
        return MR_OK;
    run_cast *cast;
    if (pipeline->plan->score.reference == NULL)
        MR_TRY(cast_of_plan(pipeline->plan, pipeline->workers, &cast, err));
    else
        MR_TRY(cast_parse(pipeline->plan, pipeline->options.models, &pipeline->replay_cast,
                          pipeline->workers, &cast, err));
    cast_destroy(pipeline->cast);
    pipeline->cast = cast;
    return MR_OK;
}

static run_cast *take_ready(cast_follow *follow)
{
    if (!atomic_load(&follow->ready_is))
        return NULL;
    mr_mutex_lock(&follow->mutex);
    run_cast *ready = follow->ready;
    follow->ready = NULL;
    atomic_store(&follow->ready_is, false);
    mr_mutex_unlock(&follow->mutex);
    return ready;
}

mr_status run_cast_turn(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    batch->cast = NULL;
    if (pipeline->plan->score.model == NULL ||
        (pipeline->at_rest && !run_again_wants(pipeline, batch)))
        return MR_OK;
    if (batch->replayed)
        return replay_turn(pipeline, err);
    if (pipeline->follow == NULL)
        return MR_OK;
    if (pipeline->options.stepped)
        load(pipeline, pipeline->follow);
    run_cast *ready = pipeline->position < pipeline->decided ? NULL : take_ready(pipeline->follow);
    if (ready != NULL) {
        MR_TRY(play(pipeline, ready));
        pipeline->cast_told = false;
    }
    if (pipeline->cast_told)
        return MR_OK;
    batch->cast = &pipeline->cast->text;
    batch->forced = true; /* only the journal can say from where on it plays */
    pipeline->cast_told = true;
    return MR_OK;
}

/* ---- birth and death ---- */

/* How far decisions exist that a cast has made: those of the sinks, and of the shadows. */
static uint64_t decided_end(const mr_pipeline *pipeline)
{
    uint64_t end = pipeline->shadow.known;
    for (size_t i = 0; i < pipeline->sink_count; i++)
        end = MR_MAX(end, pipeline->sinks[i].known);
    return end;
}

static mr_status first_cast(mr_pipeline *pipeline, cast_follow *follow, mr_error *err)
{
    run_cast *made;
    pipeline->decided = decided_end(pipeline);
    if (pipeline->position < pipeline->decided && pipeline->replay_cast.size > 0) {
        mr_bytes_append(&follow->asked, pipeline->replay_cast.data, pipeline->replay_cast.size);
        return follow->asked.failed ? MR_OUT_OF_MEMORY(err) : replay_turn(pipeline, err);
    }
    MR_TRY(look(pipeline, follow, &made, err));
    cast_destroy(pipeline->cast);
    pipeline->cast = made;
    return MR_OK;
}

static mr_status start_following(mr_pipeline *pipeline, mr_error *err)
{
    cast_follow *follow = MR_NEW(cast_follow);
    if (follow == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_mutex_init(&follow->mutex);
    mr_condition_init(&follow->changed);
    pipeline->follow = follow;
    MR_TRY(run_shadow_recover(pipeline, err));
    MR_TRY(first_cast(pipeline, follow, err));
    if (pipeline->options.stepped)
        return MR_OK;
    return mr_thread_start("mr-models", load_loop, pipeline, &follow->thread, err);
}

mr_status run_cast_open(mr_pipeline *pipeline, mr_error *err)
{
    const plan_score *score = &pipeline->plan->score;
    if (score->model == NULL)
        return MR_OK;
    if (score->reference != NULL)
        return start_following(pipeline, err);
    return pipeline->cast != NULL
               ? MR_OK
               : cast_of_plan(pipeline->plan, pipeline->workers, &pipeline->cast, err);
}

void run_cast_close(mr_pipeline *pipeline)
{
    cast_follow *follow = pipeline->follow;
    if (follow != NULL) {
        mr_mutex_lock(&follow->mutex);
        follow->stop = true;
        mr_condition_signal(&follow->changed);
        mr_mutex_unlock(&follow->mutex);
        mr_thread_join(follow->thread);
        cast_destroy(follow->ready);
        cast_destroy(follow->retired);
        mr_bytes_deinit(&follow->asked);
        mr_condition_deinit(&follow->changed);
        mr_mutex_deinit(&follow->mutex);
        mr_free(follow);
    }
    run_trial_close(pipeline);
    mr_results_deinit(&pipeline->live_results);
    mr_free(pipeline->deciders);
    cast_destroy(pipeline->cast);
    mr_bytes_deinit(&pipeline->replay_cast);
    run_sink_close(&pipeline->shadow);
    mr_builder_deinit(&pipeline->shadow_rows);
}

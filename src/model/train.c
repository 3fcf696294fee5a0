/* train.c -- rows to a matrix, a matrix to rounds of trees, the best round to an artifact.
 *
 *   columns --order by time, cut--> train | validation  --rounds, watched--> best round --> model, yaml, golden rows */
#include "model/train_internal.h"

#include "base/assert.h"
#include "os/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const mr_setting_spec mr_train_settings[] = {
    {"objective", MR_SETTING_TEXT, "binary:logistic", 0, 0, NULL,
     "what is learnt: any objective of XGBoost this program can score"},
    {"num_class", MR_SETTING_INT, "0", 0, MR_MODEL_OUTPUTS_MAX, NULL,
     "classes of a multi: objective"},
    {"rounds", MR_SETTING_INT, "100", 1, 100000, NULL, "rounds of boosting at most"},
    {"eta", MR_SETTING_NUMBER, "0.3", 1e-6, 1, NULL, "share of each tree that counts"},
    {"max_depth", MR_SETTING_INT, "6", 1, 30, NULL,
     "comparisons on the longest way through a tree"},
    {"min_child_weight", MR_SETTING_NUMBER, "1", 0, 1e9, NULL, "least weight of a leaf"},
    {"gamma", MR_SETTING_NUMBER, "0", 0, 1e9, NULL, "least gain of a split"},
    {"lambda", MR_SETTING_NUMBER, "1", 0, 1e9, NULL, "L2 penalty on leaves"},
    {"alpha", MR_SETTING_NUMBER, "0", 0, 1e9, NULL, "L1 penalty on leaves"},
    {"subsample", MR_SETTING_NUMBER, "1", 1e-6, 1, NULL, "share of the rows each tree sees"},
    {"colsample_bytree", MR_SETTING_NUMBER, "1", 1e-6, 1, NULL,
     "share of the inputs each tree sees"},
    {"scale_pos_weight", MR_SETTING_NUMBER, "1", 1e-9, 1e9, NULL, "weight of positive rows"},
    {"tree_method", MR_SETTING_CHOICE, "auto", 0, 0, "auto|exact|approx|hist",
     "how splits are found"},
    {"max_bin", MR_SETTING_INT, "256", 2, 65535, NULL, "bins per input under hist"},
    {"seed", MR_SETTING_INT, "0", 0, 2147483647, NULL, "of subsampling"},
    {"nthread", MR_SETTING_INT, "0", 0, 1024, NULL, "threads of the library; 0: all processors"},
    {"validation_fraction", MR_SETTING_NUMBER, "0", 0, 0.9, NULL,
     "latest share of the rows that validates"},
    {"validation_from", MR_SETTING_TEXT, NULL, 0, 0, NULL,
     "rows of this time and later validate (a number of the time column, or ISO 8601)"},
    {"early_stopping", MR_SETTING_INT, "0", 0, 100000, NULL,
     "stop after so many rounds without a better validation; 0: never"},
    {"metric", MR_SETTING_CHOICE, "auto", 0, 0, "auto|auc|average_precision|logloss|rmse|error",
     "what early stopping watches; auto: logloss of binary objectives, error of multi:, else rmse"},
    {"precision_k", MR_SETTING_INT, "100", 1, 1e9, NULL, "k of precision at k in the report"},
    {0},
};

/* ---- settings ---- */

#define PREFIX "xgboost."

const char *mr_train_text(const mr_train_options *options, const char *name)
{
    return mr_setting_text(mr_train_settings, options->settings, options->setting_count, name);
}

double mr_train_number(const mr_train_options *options, const char *name)
{
    return mr_setting_number(mr_train_settings, options->settings, options->setting_count, name);
}

static bool is_passed_on(const mr_setting *setting)
{
    return strncmp(setting->name, PREFIX, strlen(PREFIX)) == 0;
}

static mr_status check_settings(const mr_train_options *options, mr_error *err)
{
    for (size_t i = 0; i < options->setting_count; i++)
        if (!is_passed_on(&options->settings[i]))
            MR_TRY(mr_setting_check(mr_train_settings, &options->settings[i], 1, false, err));
    const char *objective = mr_train_text(options, "objective");
    if (mr_tree_objective_find(objective) == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "objective '%s' cannot be scored here", objective);
    bool multi = strncmp(objective, "multi:", 6) == 0;
    if (multi != (mr_train_number(options, "num_class") >= 2))
        return MR_FAIL(err, MR_INVALID, "objective %s with num_class=%s: %s", objective,
                       mr_train_text(options, "num_class"),
                       multi ? "at least 2 classes are wanted"
                             : "num_class is for multi: objectives");
    return MR_OK;
}

/* Names the library knows under the same name. */
static const char *const library_settings[] = {
    "objective",   "eta",     "max_depth", "min_child_weight", "gamma",
    "lambda",      "alpha",   "subsample", "colsample_bytree", "scale_pos_weight",
    "tree_method", "max_bin", "seed"};

static mr_status set_parameter(trainer *t, const char *name, const char *value, mr_error *err)
{
    return mr_xgboost_library_check(
        t->library, t->library->XGBoosterSetParam(t->booster, name, value), name, err);
}

static mr_status set_parameters(trainer *t, mr_error *err)
{
    char threads[16];
    int64_t wanted = (int64_t)mr_train_number(t->options, "nthread");
    (void)snprintf(threads, sizeof threads, "%d",
                   wanted > 0 ? (int)wanted : mr_thread_processors());
    MR_TRY(set_parameter(t, "nthread", threads, err));
    for (size_t i = 0; i < MR_COUNT_OF(library_settings); i++)
        MR_TRY(set_parameter(t, library_settings[i], mr_train_text(t->options, library_settings[i]),
                             err));
    if (t->class_count > 1)
        MR_TRY(set_parameter(t, "num_class", mr_train_text(t->options, "num_class"), err));
    for (size_t i = 0; i < t->options->setting_count; i++) {
        const mr_setting *setting = &t->options->settings[i];
        if (is_passed_on(setting))
            MR_TRY(set_parameter(t, setting->name + strlen(PREFIX), setting->value, err));
    }
    return MR_OK;
}

/* ---- rounds ---- */

static const char *watched_metric(const trainer *t)
{
    const char *metric = mr_train_text(t->options, "metric");
    if (strcmp(metric, "auto") != 0)
        return metric;
    return t->class_count > 1 ? "error" : t->is_binary ? "logloss" : "rmse";
}

static bool larger_is_better(const char *metric)
{
    return strcmp(metric, "auc") == 0 || strcmp(metric, "average_precision") == 0;
}

static double error_rate(const float *scores, const float *labels, size_t count, uint32_t outputs)
{
    size_t wrong = 0;
    for (size_t r = 0; r < count; r++) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < outputs; k++)
            if (scores[r * outputs + k] > scores[r * outputs + best])
                best = k;
        float answer = outputs > 1 ? (float)best : scores[r] > 0.5f ? 1.0f : 0.0f;
        wrong += (outputs == 1 && scores[r] == labels[r]) ? 0 : answer != labels[r];
    }
    return count > 0 ? (double)wrong / (double)count : NAN;
}

mr_status mr_train_measure(trainer *t, train_part *part, mr_metrics *out_metrics,
                           double *out_watched, mr_error *err)
{
    const mr_xgboost_ulong *shape;
    mr_xgboost_ulong dimensions;
    const float *scores;
    *out_metrics = (mr_metrics){0};
    *out_watched = NAN;
    if (part->count == 0)
        return MR_OK;
    MR_TRY(mr_xgboost_library_check(t->library,
                                    t->library->XGBoosterPredictFromDMatrix(
                                        t->booster, part->matrix,
                                        "{\"type\": 0, \"training\": false, \"iteration_begin\": "
                                        "0, \"iteration_end\": 0, \"strict_shape\": true}",
                                        &shape, &dimensions, &scores),
                                    "predict", err));
    uint32_t outputs = dimensions >= 2 ? (uint32_t)shape[1] : 1;
    if (t->is_binary)
        MR_TRY(mr_metrics_measure(scores, part->flags, part->count,
                                  (uint64_t)mr_train_number(t->options, "precision_k"), out_metrics,
                                  err));
    const char *metric = t->watched;
    *out_watched = strcmp(metric, "auc") == 0                 ? out_metrics->auc_roc
                   : strcmp(metric, "average_precision") == 0 ? out_metrics->average_precision
                   : strcmp(metric, "logloss") == 0           ? out_metrics->log_loss
                   : strcmp(metric, "error") == 0
                       ? error_rate(scores, part->labels, part->count, outputs)
                       : mr_metrics_rmse(scores, part->labels, part->count);
    return MR_OK;
}

/* One round; *out_stop when there will be no other. */
static mr_status run_round(trainer *t, uint32_t round, uint32_t round_count, bool *out_stop,
                           mr_error *err)
{
    mr_metrics metrics;
    double watched;
    MR_TRY(mr_xgboost_library_check(
        t->library, t->library->XGBoosterUpdateOneIter(t->booster, (int)round, t->parts[0].matrix),
        "a round", err));
    t->rounds = round + 1;
    if (t->watches || t->options->on_round != NULL)
        MR_TRY(mr_train_measure(t, &t->parts[1], &metrics, &watched, err));
    else
        watched = NAN;
    bool better =
        round == 0 || (larger_is_better(t->watched) ? watched > t->best : watched < t->best);
    if (better || !t->watches) {
        t->best = watched;
        t->best_round = round + 1;
    }
    *out_stop = t->watches && round + 1 - t->best_round >= t->patience;
    mr_train_round report = {round + 1, round_count, watched, t->best_round};
    if (t->options->on_round != NULL && !t->options->on_round(t->options->context, &report))
        *out_stop = true;
    return MR_OK;
}

static mr_status run_rounds(trainer *t, mr_error *err)
{
    uint32_t round_count = (uint32_t)mr_train_number(t->options, "rounds");
    bool stop = false;
    for (uint32_t round = 0; round < round_count && !stop; round++)
        MR_TRY(run_round(t, round, round_count, &stop, err));
    return MR_OK;
}

/* Only the rounds up to the best one stay. */
static mr_status keep_best(trainer *t, mr_error *err)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", t->best_round - 1);
    if (t->best_round < t->rounds) {
        mr_xgboost_handle best;
        MR_TRY(mr_xgboost_library_check(
            t->library, t->library->XGBoosterSlice(t->booster, 0, (int)t->best_round, 1, &best),
            "slice", err));
        (void)t->library->XGBoosterFree(t->booster);
        t->booster = best;
    }
    return mr_xgboost_library_check(
        t->library, t->library->XGBoosterSetAttr(t->booster, "best_iteration", text), "attributes",
        err);
}

/* ---- the whole ---- */

static mr_status make_booster(trainer *t, mr_error *err)
{
    mr_xgboost_handle matrices[2] = {t->parts[0].matrix, t->parts[1].matrix};
    MR_TRY(mr_xgboost_library_check(
        t->library,
        t->library->XGBoosterCreate(matrices, t->parts[1].count > 0 ? 2 : 1, &t->booster), "create",
        err));
    return set_parameters(t, err);
}

static mr_status save_model(trainer *t, mr_bytes *out, mr_error *err)
{
    mr_xgboost_ulong size;
    const char *bytes;
    const char **names = (const char **)mr_alloc(sizeof *names * t->input_count);
    const char **types = (const char **)mr_alloc(sizeof *types * t->input_count);
    mr_status status = names != NULL && types != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < t->input_count; i++) {
        const mr_field *field = &t->rows->batch->schema->fields[t->inputs[i]];
        names[i] = field->name;
        types[i] = field->type.id == MR_FLOAT32 || field->type.id == MR_FLOAT64 ? "float"
                   : field->type.id == MR_BOOL                                  ? "i"
                                                                                : "int";
    }
    if (status == MR_OK)
        status = mr_xgboost_library_check(t->library,
                                          t->library->XGBoosterSetStrFeatureInfo(
                                              t->booster, "feature_name", names, t->input_count),
                                          "names", err);
    if (status == MR_OK)
        status = mr_xgboost_library_check(t->library,
                                          t->library->XGBoosterSetStrFeatureInfo(
                                              t->booster, "feature_type", types, t->input_count),
                                          "types", err);
    if (status == MR_OK)
        status = mr_xgboost_library_check(t->library,
                                          t->library->XGBoosterSaveModelToBuffer(
                                              t->booster, "{\"format\": \"json\"}", &size, &bytes),
                                          "save", err);
    if (status == MR_OK)
        mr_bytes_append(out, bytes, size);
    mr_free(names);
    mr_free(types);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

/* The model as this program reads it back makes the golden rows: what is proven is what will run. */
static mr_status make_golden(const trainer *t, const mr_bytes *model_bytes, mr_bytes *out,
                             mr_error *err)
{
    mr_model *model;
    MR_TRY(mr_model_open_bytes(model_bytes->data, model_bytes->size, NULL, &model, err));
    size_t count = MR_MIN(t->parts[0].count, (size_t)MR_ARTIFACT_GOLDEN_ROWS);
    mr_status status = mr_artifact_golden(model, t->parts[0].values, count, out, err);
    mr_model_close(model);
    return status;
}

static mr_status fit(trainer *t, mr_trained *out, mr_error *err)
{
    MR_TRY(mr_xgboost_library_load(&t->library, err));
    MR_TRY(mr_train_load(t, err));
    t->watched = watched_metric(t);
    t->patience = (uint32_t)mr_train_number(t->options, "early_stopping");
    t->watches = t->patience > 0 && t->parts[1].count > 0;
    if (t->patience > 0 && t->parts[1].count == 0)
        return MR_FAIL(err, MR_INVALID,
                       "early_stopping=%u needs validation rows: set validation_fraction or "
                       "validation_from",
                       t->patience);
    if (!t->is_binary && strcmp(t->watched, "rmse") != 0 && strcmp(t->watched, "error") != 0)
        return MR_FAIL(err, MR_INVALID, "metric=%s is for binary objectives, not %s", t->watched,
                       mr_train_text(t->options, "objective"));
    MR_TRY(make_booster(t, err));
    MR_TRY(run_rounds(t, err));
    MR_TRY(keep_best(t, err));
    out->rounds = t->rounds;
    out->best_round = t->best_round;
    out->watched = t->watched;
    out->split_count = t->parts[1].count > 0 ? 2 : 1;
    for (size_t i = 0; i < out->split_count; i++) {
        out->splits[i].name = i == 0 ? "train" : "validation";
        out->splits[i].rows = t->parts[i].count;
        MR_TRY(mr_train_measure(t, &t->parts[i], &out->splits[i].metrics, &out->splits[i].watched,
                                err));
    }
    MR_TRY(save_model(t, &out->model, err));
    MR_TRY(make_golden(t, &out->model, &out->golden, err));
    return mr_train_describe(t, out, err);
}

mr_status mr_train(const mr_train_rows *rows, const mr_train_options *options, mr_trained *out,
                   mr_error *err)
{
    static const mr_train_options none = {0};
    *out = (mr_trained){0};
    trainer t = {.rows = rows, .options = options != NULL ? options : &none};
    mr_status status = check_settings(t.options, err);
    if (status == MR_OK)
        status = fit(&t, out, err);
    mr_train_unload(&t);
    if (status != MR_OK) {
        mr_trained_deinit(out);
        mr_error_prefix(err, "train");
    }
    return status;
}

void mr_trained_deinit(mr_trained *trained)
{
    mr_bytes_deinit(&trained->model);
    mr_bytes_deinit(&trained->yaml);
    mr_bytes_deinit(&trained->golden);
}

mr_status mr_trained_write(const mr_trained *trained, mr_fs *fs, const char *folder, mr_error *err)
{
    const mr_artifact_file files[] = {
        {"model.json", trained->model.data, trained->model.size},
        {"golden.csv", trained->golden.data, trained->golden.size},
        {"model.yaml", trained->yaml.data, trained->yaml.size},
    };
    return mr_artifact_write(fs, folder, files, MR_COUNT_OF(files), err);
}

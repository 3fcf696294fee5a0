/* train_test.c -- training through the library, its artifacts, and the published figures of the cards data. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/train.h"
#include "model/tree_model.h"
#include "test/cards.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A batch of float64 columns from values row by row. */
static mr_batch *make_batch(const char *const *names, size_t columns, const double *values,
                            size_t rows)
{
    mr_error err = {0};
    mr_field *fields = mr_alloc_zero(columns, sizeof *fields);
    mr_column *data = mr_alloc_zero(columns, sizeof *data);
    for (size_t c = 0; c < columns; c++) {
        void *to;
        fields[c] = (mr_field){.name = names[c], .type = {MR_FLOAT64, 0}};
        assert_ok(mr_column_alloc(fields[c].type, rows, &data[c], &to, &err), &err);
        for (size_t r = 0; r < rows; r++)
            ((double *)to)[r] = values[r * columns + c];
    }
    mr_schema *schema;
    mr_batch *batch;
    assert_ok(mr_schema_create(fields, columns, &schema, &err), &err);
    assert_ok(mr_batch_create(schema, rows, data, &batch, &err), &err);
    mr_schema_release(schema);
    mr_free(fields);
    mr_free(data);
    return batch;
}

static const char *const toy_names[] = {"a", "b", "c", "t", "y"};

/* y depends on a and b; time runs backwards, so that the order matters. */
static mr_batch *toy_batch(size_t rows, uint64_t salt)
{
    mr_random_seeded random = mr_test_random(salt);
    double *values = mr_alloc(sizeof *values * rows * 5);
    for (size_t r = 0; r < rows; r++) {
        double *row = values + r * 5;
        for (int i = 0; i < 3; i++)
            row[i] = mr_random_unit(&random);
        row[3] = (double)(rows - r);
        row[4] = row[0] + 0.3 * mr_random_unit(&random) > row[1] ? 1 : 0;
    }
    mr_batch *batch = make_batch(toy_names, 5, values, rows);
    mr_free(values);
    return batch;
}

static mr_status train_or_skip(const mr_train_rows *rows, const mr_train_options *options,
                               mr_trained *out, mr_error *err)
{
    mr_status status = mr_train(rows, options, out, err);
    if (status == MR_NOT_FOUND)
        skip();
    return status;
}

typedef struct rounds_seen {
    uint32_t count, stop_at;
} rounds_seen;

static bool count_round(void *context, const mr_train_round *round)
{
    rounds_seen *seen = context;
    assert_int_equal(round->round, ++seen->count);
    return round->round != seen->stop_at;
}

TEST(train, an_artifact_scores_what_was_trained)
{
    mr_error err = {0};
    mr_batch *batch = toy_batch(3000, 1);
    mr_setting settings[] = {
        {"rounds", "60"},        {"max_depth", "4"}, {"validation_fraction", "0.25"},
        {"early_stopping", "5"}, {"nthread", "1"},   {"xgboost.grow_policy", "depthwise"}};
    mr_train_rows rows = {
        .batch = batch, .label = "y", .time = "t", .description = "toy: \"quoted\""};
    rounds_seen seen = {0};
    mr_train_options options = {.settings = settings,
                                .setting_count = MR_COUNT_OF(settings),
                                .on_round = count_round,
                                .context = &seen};
    mr_trained trained, again;
    assert_ok(train_or_skip(&rows, &options, &trained, &err), &err);
    assert_int_equal(trained.rounds, seen.count);
    assert_true(trained.best_round <= trained.rounds && trained.rounds <= 60);
    assert_int_equal(trained.splits[0].rows, 2250);
    assert_int_equal(trained.splits[1].rows, 750);
    assert_true(trained.splits[1].metrics.auc_roc > 0.9 && trained.splits[1].metrics.auc_roc < 1.0);

    seen.count = 0;
    assert_ok(mr_train(&rows, &options, &again, &err), &err);
    assert_int_equal(trained.model.size, again.model.size);
    assert_memory_equal(trained.model.data, again.model.data, again.model.size);
    mr_trained_deinit(&again);

    char folder[MR_PATH_MAX + 64];
    (void)snprintf(folder, sizeof folder, "%s/fraud", mr_test_folder());
    assert_ok(mr_trained_write(&trained, mr_fs_real(), folder, &err), &err);
    assert_int_equal(mr_trained_write(&trained, mr_fs_real(), folder, &err), MR_EXISTS);
    mr_model *model;
    assert_ok(mr_model_open(mr_fs_real(), folder, NULL, &model, &err), &err);
    assert_int_equal(model->signature.input_count, 3);
    assert_string_equal(model->signature.input_names[1], "b");
    assert_int_equal(mr_tree_model_forest(model)->tree_count, trained.best_round);
    mr_model_close(model);

    /* One digit of one golden margin changed: the model is refused, and the row is named. */
    char path[MR_PATH_MAX + 128];
    (void)snprintf(path, sizeof path, "%s/golden.csv", folder);
    uint8_t *last = &trained.golden.data[trained.golden.size - 2];
    *last = *last == '1' ? '2' : '1';
    assert_ok(mr_fs_write_file(mr_fs_real(), path, trained.golden.data, trained.golden.size, &err),
              &err);
    assert_int_equal(mr_model_open(mr_fs_real(), folder, NULL, &model, &err), MR_CORRUPT);
    assert_null(model);
    assert_non_null(strstr(err.text, "golden line 17"));
    mr_trained_deinit(&trained);
    mr_batch_release(batch);
}

TEST(train, a_callback_can_stop_it)
{
    mr_error err = {0};
    mr_batch *batch = toy_batch(200, 2);
    rounds_seen seen = {.stop_at = 3};
    mr_train_rows rows = {.batch = batch, .label = "y"};
    mr_train_options options = {.on_round = count_round, .context = &seen};
    mr_trained trained;
    assert_ok(train_or_skip(&rows, &options, &trained, &err), &err);
    assert_int_equal(trained.rounds, 3);
    mr_trained_deinit(&trained);
    mr_batch_release(batch);
}

TEST(train, mistakes_are_named)
{
    mr_batch *batch = toy_batch(50, 3);
    static const struct {
        const char *label, *weight, *time, *name, *value, *says;
    } cases[] = {
        {"x", NULL, NULL, "rounds", "1", "label 'x' is no column"},
        {"y", "w", NULL, "rounds", "1", "weight 'w' is no column"},
        {"a", NULL, NULL, "rounds", "1", "binary:logistic wants 0 or 1"},
        {"y", NULL, NULL, "rounds", "0", "rounds is 0: it must lie between 1 and"},
        {"y", NULL, NULL, "max_dept", "3", "did you mean 'max_depth'?"},
        {"y", NULL, NULL, "eta", "fast", "eta is 'fast': a number is wanted"},
        {"y", NULL, NULL, "objective", "reg:magic", "'reg:magic' cannot be scored"},
        {"y", NULL, NULL, "objective", "multi:softprob", "at least 2 classes"},
        {"y", NULL, NULL, "early_stopping", "3", "needs validation rows"},
        {"y", NULL, NULL, "validation_from", "3", "needs a time column"},
        {"y", NULL, "t", "validation_from", "-1", "no rows to train on"},
        {"y", NULL, "t", "validation_from", "2018-01-01", "give a number"},
        {"y", NULL, NULL, "xgboost.tree_method", "magic", "XGBoost"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_setting setting = {cases[i].name, cases[i].value};
        mr_train_rows rows = {.batch = batch,
                              .label = cases[i].label,
                              .weight = cases[i].weight,
                              .time = cases[i].time};
        mr_train_options options = {.settings = &setting, .setting_count = 1};
        mr_trained trained;
        mr_status status = train_or_skip(&rows, &options, &trained, &err);
        if (status == MR_OK || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s: %s", i, mr_status_name(status), err.text);
    }
    mr_batch_release(batch);
}

/* ---- the published figures ---- */

typedef struct protocol {
    mr_cards cards;
    size_t *test; /* payments that are tested */
    size_t test_count;
    double mean[MR_CARDS_INPUTS], deviation[MR_CARDS_INPUTS];
} protocol;

static double *features_of(const mr_cards *cards, size_t first, size_t end)
{
    double *values = mr_alloc(sizeof *values * (end - first) * (MR_CARDS_INPUTS + 1));
    assert_non_null(values);
    for (size_t i = first; i < end; i++) {
        double *row = values + (i - first) * (MR_CARDS_INPUTS + 1);
        mr_cards_features(cards, i, row);
        row[MR_CARDS_INPUTS] = cards->fraud[i];
    }
    return values;
}

static void measure_inputs(protocol *p, const double *values, size_t count)
{
    for (int f = 0; f < MR_CARDS_INPUTS; f++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < count; r++)
            sum += values[r * (MR_CARDS_INPUTS + 1) + (size_t)f];
        p->mean[f] = sum / (double)count;
        for (size_t r = 0; r < count; r++) {
            double d = values[r * (MR_CARDS_INPUTS + 1) + (size_t)f] - p->mean[f];
            squares += d * d;
        }
        p->deviation[f] = sqrt(squares / (double)count);
    }
}

static void standardise(const protocol *p, double *row)
{
    for (int f = 0; f < MR_CARDS_INPUTS; f++)
        row[f] = (row[f] - p->mean[f]) / p->deviation[f];
}

/* Cards with a fraud between two days are known on the days eight later. */
static bool is_known(const mr_cards *cards, const int64_t *first_fraud_day, size_t payment)
{
    return first_fraud_day[cards->customer[payment]] <= cards->day[payment] - 8;
}

static void pick_test_rows(protocol *p, size_t train_first, size_t first, size_t end)
{
    int64_t first_fraud_day[5000];
    for (size_t c = 0; c < 5000; c++)
        first_fraud_day[c] = INT64_MAX;
    for (size_t i = end; i-- > train_first;)
        if (p->cards.fraud[i])
            first_fraud_day[p->cards.customer[i]] = p->cards.day[i];
    p->test = mr_alloc(sizeof *p->test * (end - first));
    p->test_count = 0;
    for (size_t i = first; i < end; i++)
        if (!is_known(&p->cards, first_fraud_day, i))
            p->test[p->test_count++] = i;
}

static void assert_close(double ours, double published, const char *what)
{
    if (!(fabs(ours - published) < 5.1e-7))
        fail_msg("%s is %.9f, published is %.6f", what, ours, published);
}

static void check_figures(const protocol *p, const mr_model *model)
{
    mr_error err = {0};
    size_t n = p->test_count;
    mr_scratch *scratch;
    float *scores = mr_alloc(sizeof *scores * n);
    uint8_t *labels = mr_alloc(n);
    int64_t *days = mr_alloc(sizeof *days * n), *cards = mr_alloc(sizeof *cards * n);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    for (size_t i = 0; i < n; i++) {
        double row[MR_CARDS_INPUTS];
        float inputs[MR_CARDS_INPUTS];
        mr_cards_features(&p->cards, p->test[i], row);
        standardise(p, row);
        for (int f = 0; f < MR_CARDS_INPUTS; f++)
            inputs[f] = (float)row[f];
        (void)mr_model_score_row(model, inputs, NULL, &scores[i], scratch, NULL);
        labels[i] = p->cards.fraud[p->test[i]];
        days[i] = p->cards.day[p->test[i]];
        cards[i] = p->cards.customer[p->test[i]];
    }
    mr_metrics metrics;
    double card_precision;
    mr_grouped_rows grouped = {days, cards, scores, labels, n};
    assert_ok(mr_metrics_measure(scores, labels, n, 100, &metrics, &err), &err);
    assert_ok(mr_metrics_grouped_precision(&grouped, 100, true, &card_precision, &err), &err);
    assert_int_equal(metrics.rows, 58505);
    assert_int_equal(metrics.positives, 374);
    assert_close(metrics.auc_roc, 0.882438, "AUC ROC");
    assert_close(metrics.average_precision, 0.671613, "average precision");
    assert_close(card_precision, 0.271429, "card precision at 100");
    mr_scratch_destroy(scratch);
    mr_free(scores);
    mr_free(labels);
    mr_free(days);
    mr_free(cards);
}

TEST(train, the_handbooks_protocol_gives_the_published_figures)
{
    mr_error err = {0};
    protocol p = {0};
    assert_ok(mr_cards_load(mr_test_data("cards/transactions.csv.zst"), &p.cards, &err), &err);
    size_t first = mr_cards_first_of_day(&p.cards, "2018-07-11"),
           end = mr_cards_first_of_day(&p.cards, "2018-07-18");
    assert_int_equal(end - first, 66928);
    double *values = features_of(&p.cards, first, end);
    measure_inputs(&p, values, end - first);
    for (size_t r = 0; r < end - first; r++)
        standardise(&p, values + r * (MR_CARDS_INPUTS + 1));
    const char *names[MR_CARDS_INPUTS + 1];
    memcpy(names, mr_cards_inputs, sizeof mr_cards_inputs);
    names[MR_CARDS_INPUTS] = "TX_FRAUD";
    mr_batch *batch = make_batch(names, MR_CARDS_INPUTS + 1, values, end - first);
    mr_free(values);
    mr_trained trained;
    mr_train_rows rows = {.batch = batch, .label = "TX_FRAUD"};
    mr_setting nthread = {"nthread", "1"};
    mr_train_options options = {.settings = &nthread, .setting_count = 1};
    assert_ok(train_or_skip(&rows, &options, &trained, &err), &err);
    mr_model *model;
    assert_ok(mr_model_open_bytes(trained.model.data, trained.model.size, NULL, &model, &err),
              &err);
    pick_test_rows(&p, first, mr_cards_first_of_day(&p.cards, "2018-07-25"),
                   mr_cards_first_of_day(&p.cards, "2018-08-01"));
    check_figures(&p, model);
    mr_model_close(model);
    mr_trained_deinit(&trained);
    mr_batch_release(batch);
    mr_free(p.test);
    mr_cards_free(&p.cards);
}

/* Every allocation of ours fails once; the library's own are its affair. */
TEST(train, survives_any_failing_allocation)
{
    mr_batch *batch = toy_batch(40, 4);
    mr_setting settings[] = {
        {"rounds", "1"}, {"max_depth", "2"}, {"validation_fraction", "0.25"}, {"nthread", "1"}};
    mr_train_rows rows = {.batch = batch, .label = "y", .time = "t"};
    mr_train_options options = {.settings = settings, .setting_count = MR_COUNT_OF(settings)};
    mr_status status = MR_NO_MEMORY;
    mr_trained trained;
    mr_error err = {0};
    assert_ok(train_or_skip(&rows, &options, &trained, &err), &err);
    mr_trained_deinit(&trained);
    for (int64_t n = 0; status != MR_OK; n++) {
        uint64_t before = mr_memory_used_bytes();
        (void)mr_memory_fail_after(n, false);
        status = mr_train(&rows, &options, &trained, &err);
        (void)mr_memory_fail_after(-1, false);
        if (status != MR_OK && status != MR_NO_MEMORY)
            fail_msg("allocation %lld: %s", (long long)n, err.text);
        mr_trained_deinit(&trained);
        assert_int_equal(mr_memory_used_bytes(), before);
    }
    mr_batch_release(batch);
}

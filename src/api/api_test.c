/* api_test.c -- the public calls: what test/install/user.c does not see, and every one of them without memory. */
#include "test/test.h"

#include "api/api.h"

#include <stdio.h>
#include <string.h>

#define SCHEMA "tx: int64, at: timestamp, amount: float64"
#define CSV                                                                                        \
    "tx,at,amount\n1,2024-05-01T10:00:00Z,10.5\n2,2024-05-01T10:00:01Z,x\n3,2024-05-01T10:00:02Z," \
    "7\n"

static const char pipeline_text[] =
    "pipeline: p\n"
    "sources: {s: {topic: t, event_time: at}}\n"
    "features: {v: {key: tx, windows: [1d], aggregates: {n: count()}}}\n"
    "sink: out\n";

/* A stump: x < 0.5 gives -1, else 1. */
static const char model_text[] =
    "{\"learner\":{\"attributes\":{},\"feature_names\":[\"x\"],\"feature_types\":[\"float\"],"
    "\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_trees\":\"1\",\"size_leaf_"
    "vector\":\"0\"},"
    "\"tree_info\":[0],\"trees\":[{\"base_weights\":[0,0,0],\"categories\":[],\"categories_nodes\":"
    "[],"
    "\"categories_segments\":[],\"categories_sizes\":[],\"default_left\":[1,0,0],\"id\":0,\"left_"
    "children\":[1,-1,-1],"
    "\"loss_changes\":[1,0,0],\"parents\":[2147483647,0,0],\"right_children\":[2,-1,-1],\"split_"
    "conditions\":[0.5,-1,1],"
    "\"split_indices\":[0,0,0],\"split_type\":[0,0,0],\"sum_hessian\":[2,1,1],\"tree_param\":{"
    "\"num_deleted\":\"0\","
    "\"num_feature\":\"1\",\"num_nodes\":\"3\",\"size_leaf_vector\":\"0\"}}]},\"name\":\"gbtree\"},"
    "\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_feature\":\"1\"},"
    "\"objective\":{\"name\":\"binary:logistic\",\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}},"
    "\"version\":[1,7,4]}";

static char *write_text(const char *folder, const char *name, const char *text)
{
    static char path[MR_PATH_MAX];
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(mr_fs_write_file(mr_fs_real(), path, text, strlen(text), &err), &err);
    return path;
}

static uint64_t stream_rows(struct ArrowArrayStream *stream)
{
    uint64_t rows = 0;
    for (;;) {
        struct ArrowArray batch = {0};
        if (stream->get_next(stream, &batch) != 0 || batch.release == NULL)
            return rows;
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
}

TEST(api, says_what_is_wrong_and_where)
{
    millrace_error error;
    millrace_home *home = NULL;
    millrace_topic *topic = NULL;
    assert_int_equal(millrace_home_open(mr_test_folder(), &home, &error), MILLRACE_OK);
    assert_int_equal(millrace_topic_create(home, "t", "tx: int63", NULL, &error), MILLRACE_INVALID);
    assert_non_null(strstr(error.text, "int63"));
    assert_int_equal(millrace_topic_create(home, "t", SCHEMA, "tx", &error), MILLRACE_INVALID);
    assert_int_equal(millrace_topic_open(home, "t", &topic, &error), MILLRACE_NOT_FOUND);
    assert_null(topic);
    assert_int_equal(millrace_topic_create(home, "t", SCHEMA, "at", NULL), MILLRACE_OK);
    assert_int_equal(millrace_topic_open(home, "t", &topic, NULL), MILLRACE_OK);
    assert_int_equal(
        millrace_topic_append_text(topic, "xml", "", 0, NULL, NULL, NULL, NULL, &error),
        MILLRACE_INVALID);
    struct ArrowArrayStream stream;
    assert_int_equal(millrace_topic_read(topic, 0, 99, &stream, &error), MILLRACE_NOT_FOUND);
    assert_int_equal(millrace_topic_read(topic, 7, 0, &stream, &error), MILLRACE_INVALID);
    millrace_topic_close(topic);
    millrace_home_close(home);
    millrace_topic_close(NULL);
    millrace_home_close(NULL);
    millrace_pipeline_close(NULL);
    millrace_model_close(NULL);
    assert_string_equal(millrace_status_name(MILLRACE_NOT_FOUND), "not_found");
    assert_true(millrace_status_retriable(MILLRACE_BUSY));
}

TEST(api, scores_rows)
{
    millrace_error error;
    millrace_model *model = NULL;
    const float rows[] = {0, 1, 0.5f};
    float scores[3];
    assert_int_equal(
        millrace_model_open(write_text(mr_test_folder(), "m.json", model_text), &model, &error), 0);
    assert_int_equal(millrace_model_input_count(model), 1);
    assert_int_equal(millrace_model_output_count(model), 1);
    assert_string_equal(millrace_model_input_name(model, 0), "x");
    assert_null(millrace_model_input_name(model, 1));
    assert_int_equal(millrace_model_score(model, rows, 3, scores, &error), MILLRACE_OK);
    assert_true(scores[0] < 0.3f && scores[1] > 0.7f && scores[2] == scores[1]);
    millrace_model_close(model);
}

/* Everything a caller can do with a topic, once; stops at the first failure and leaves nothing open. */
static millrace_status use_topic(const char *folder, millrace_error *error)
{
    millrace_home *home = NULL;
    millrace_topic *topic = NULL;
    struct ArrowArrayStream stream = {0};
    uint64_t accepted = 0, rejected = 0;
    millrace_status status = millrace_home_open(folder, &home, error);
    if (status == MILLRACE_OK)
        status = millrace_topic_create(home, "t", SCHEMA, "at", error);
    if (status == MILLRACE_OK || status == MILLRACE_EXISTS)
        status = millrace_topic_open(home, "t", &topic, error);
    if (status == MILLRACE_OK)
        status = millrace_topic_append_text(topic, "csv", CSV, strlen(CSV), NULL, NULL, &accepted,
                                            &rejected, error);
    if (status == MILLRACE_OK)
        status = millrace_topic_read(topic, 0, 0, &stream, error);
    if (status == MILLRACE_OK) {
        assert_int_equal(accepted, 2);
        assert_int_equal(rejected, 1);
    }
    if (stream.release != NULL)
        stream.release(&stream);
    millrace_topic_close(topic);
    millrace_home_close(home);
    return status;
}

/* What a topic holds, read and appended again as Arrow. A batch that was not taken is still ours. */
static millrace_status append_again(millrace_topic *topic, struct ArrowArrayStream *stream,
                                    millrace_error *error)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray batch = {0};
    millrace_status status = MILLRACE_NO_MEMORY; /* a stream has no other reason to fail here */
    uint64_t offset = 0;
    if (stream->get_schema(stream, &schema) == 0 && stream->get_next(stream, &batch) == 0)
        status = millrace_topic_append(topic, &schema, &batch, &offset, error);
    if (status == MILLRACE_OK)
        assert_true(offset >= 2 && batch.release == NULL);
    if (batch.release != NULL)
        batch.release(&batch);
    if (schema.release != NULL)
        schema.release(&schema);
    return status;
}

static millrace_status use_arrow(const char *folder, millrace_error *error)
{
    millrace_home *home = NULL;
    millrace_topic *topic = NULL;
    struct ArrowArrayStream stream = {0};
    millrace_status status = millrace_home_open(folder, &home, error);
    if (status == MILLRACE_OK)
        status = millrace_topic_open(home, "t", &topic, error);
    if (status == MILLRACE_OK)
        status = millrace_topic_read(topic, 0, 0, &stream, error);
    if (status == MILLRACE_OK)
        status = append_again(topic, &stream, error);
    if (stream.release != NULL)
        stream.release(&stream);
    millrace_topic_close(topic);
    millrace_home_close(home);
    return status;
}

/* A pipeline over what is in the topic, to its end. */
static millrace_status use_pipeline(const char *folder, millrace_error *error)
{
    char file[MR_PATH_MAX];
    uint32_t records = 0;
    millrace_home *home = NULL;
    millrace_pipeline *pipeline = NULL;
    struct ArrowSchema schema = {0};
    struct ArrowArray row = {0};
    (void)snprintf(file, sizeof file, "%s/p.yaml", folder);
    millrace_status status = millrace_home_open(folder, &home, error);
    if (status == MILLRACE_OK)
        status = millrace_pipeline_open(home, file, 1, true, &pipeline, error);
    while (status == MILLRACE_OK)
        status = millrace_pipeline_step(pipeline, &records, error);
    if (status == MILLRACE_END)
        status = millrace_pipeline_features(pipeline, "v", "1", &schema, &row, error);
    if (status == MILLRACE_OK)
        status = millrace_pipeline_stop(pipeline, error);
    if (schema.release != NULL)
        schema.release(&schema);
    if (row.release != NULL)
        row.release(&row);
    millrace_pipeline_close(pipeline);
    millrace_home_close(home);
    return status;
}

static millrace_status use_model(const char *folder, millrace_error *error)
{
    char file[MR_PATH_MAX];
    const float row = 1;
    float score = 0;
    millrace_model *model = NULL;
    (void)snprintf(file, sizeof file, "%s/m.json", folder);
    millrace_status status = millrace_model_open(file, &model, error);
    if (status == MILLRACE_OK)
        status = millrace_model_score(model, &row, 1, &score, error);
    millrace_model_close(model);
    return status;
}

/* The Nth allocation fails, and all after it, N rising until the body gets through: a clean error every time, a
 * text with it, and no memory kept. */
static void fail_each_allocation(millrace_status (*body)(const char *, millrace_error *),
                                 const char *folder)
{
    millrace_status status = MILLRACE_NO_MEMORY;
    bool each = mr_test_rounds(1) > 1; /* else all of the first, then ever fewer */
    for (int64_t n = 0; status != MILLRACE_OK; n += each ? 1 : 1 + n / 50) {
        uint64_t before = mr_memory_used_bytes();
        millrace_error error = {0};
        (void)mr_memory_fail_after(n, true);
        status = body(folder, &error);
        (void)mr_memory_fail_after(-1, false);
        if (status != MILLRACE_OK && status != MILLRACE_NO_MEMORY)
            fail_msg("allocation %lld: %s: %s", (long long)n, millrace_status_name(status),
                     error.text);
        assert_int_equal(mr_memory_used_bytes(), before);
    }
}

TEST(api, survives_each_failing_allocation)
{
    const char *folder = mr_test_folder();
    millrace_error error;
    (void)write_text(folder, "p.yaml", pipeline_text);
    (void)write_text(folder, "m.json", model_text);
    fail_each_allocation(use_model, folder);
    fail_each_allocation(use_topic, folder);
    fail_each_allocation(use_arrow, folder);
    fail_each_allocation(use_pipeline, folder);
    assert_int_equal(use_pipeline(folder, &error), MILLRACE_OK);

    millrace_home *home = NULL;
    millrace_topic *decisions = NULL;
    struct ArrowArrayStream stream;
    uint64_t first = 0, end = 0, rows;
    assert_int_equal(millrace_home_open(folder, &home, &error), MILLRACE_OK);
    assert_int_equal(millrace_topic_open(home, "t", &decisions, &error), MILLRACE_OK);
    assert_int_equal(millrace_topic_range(decisions, 0, &first, &end, &error), MILLRACE_OK);
    millrace_topic_close(decisions);
    assert_int_equal(millrace_topic_open(home, "out", &decisions, &error), MILLRACE_OK);
    assert_int_equal(millrace_topic_read(decisions, 0, 0, &stream, &error), MILLRACE_OK);
    rows = stream_rows(&stream);
    assert_int_equal(rows, end); /* one decision a record, whatever failed on the way */
    stream.release(&stream);
    millrace_topic_close(decisions);
    millrace_home_close(home);
}

/* tensorflow_test.c -- frozen graphs: ours, the wine tutorial's, and damaged ones. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model.h"
#include "os/fs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr_bytes read_file(const char *path)
{
    mr_error err = {0};
    mr_bytes bytes = {0};
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &bytes, &err), &err);
    return bytes;
}

static mr_model *open_bytes(const mr_bytes *bytes)
{
    mr_error err = {0};
    mr_model *model;
    assert_ok(mr_model_open_bytes(bytes->data, bytes->size, NULL, &model, &err), &err);
    assert_string_equal(model->kind->name, "tensorflow");
    return model;
}

/* Lines of numbers; returns how many lines. */
static size_t read_numbers(const char *path, size_t per_line, double *out, size_t lines_max)
{
    mr_bytes text = read_file(path);
    size_t line = 0;
    mr_bytes_append_byte(&text, 0);
    char *at = (char *)text.data;
    for (; *at != '\0' && line < lines_max; line++)
        for (size_t i = 0; i < per_line; i++) {
            out[line * per_line + i] = strtod(at, &at);
            assert_true(*at == ',' || *at == '\n');
            at++;
        }
    mr_bytes_deinit(&text);
    return line;
}

TEST(tensorflow, scores_a_dense_net)
{
    double rows[64][6];
    size_t count = read_numbers("test/tensorflow/rows.csv", 6, &rows[0][0], 64);
    mr_bytes bytes = read_file("test/tensorflow/dense.pb");
    mr_model *model = open_bytes(&bytes);
    mr_error err = {0};
    mr_scratch *scratch;
    assert_int_equal(count, 40);
    assert_int_equal(model->signature.input_count, 3);
    assert_int_equal(model->signature.output_count, 2);
    assert_int_equal(model->signature.class_count, 2);
    assert_string_equal(model->signature.output_names[1], "soft_1");
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    for (size_t r = 0; r < count; r++) {
        float in[3] = {(float)rows[r][0], (float)rows[r][1], (float)rows[r][2]}, scores[2];
        assert_ok(mr_model_score_row(model, in, NULL, scores, scratch, &err), &err);
        for (int k = 0; k < 2; k++)
            if (!(fabs((double)scores[k] - rows[r][3 + k]) < 1e-6))
                fail_msg("row %zu: %.9g, not %.9g", r, (double)scores[k], rows[r][3 + k]);
    }
    mr_scratch_destroy(scratch);
    mr_model_close(model);
    mr_bytes_deinit(&bytes);
}

/* Eleven columns, not said in the graph but by its first matrix. */
TEST(tensorflow, opens_the_graph_of_the_wine_tutorial)
{
    const char *path = mr_test_data("wine/models/optimized_WineQuality.pb");
    static const float row[11] = {7.4f, 0.7f, 0, 1.9f, 0.076f, 11, 34, 0.9978f, 3.51f, 0.56f, 9.4f};
    mr_bytes bytes = read_file(path);
    mr_model *model = open_bytes(&bytes);
    mr_error err = {0};
    mr_scratch *scratch;
    float scores[9];
    assert_int_equal(model->signature.input_count, 11);
    assert_int_equal(model->signature.output_count, 9);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    assert_ok(mr_model_score_row(model, row, NULL, scores, scratch, &err), &err);
    int best = 0;
    for (int k = 0; k < 9; k++)
        best = scores[k] > scores[best] ? k : best;
    assert_int_equal(best, 5);
    mr_scratch_destroy(scratch);
    mr_model_close(model);
    mr_bytes_deinit(&bytes);
}

static void open_anything(const uint8_t *data, size_t size)
{
    mr_error err = {0};
    mr_model *model;
    mr_model_options options = {.kind = "tensorflow"};
    if (mr_model_open_bytes(data, size, &options, &model, &err) == MR_OK)
        mr_model_close(model);
    else
        assert_true(err.text[0] != '\0');
}

TEST(tensorflow, cut_and_damaged_files_are_refused_or_score)
{
    mr_bytes bytes = read_file("test/tensorflow/dense.pb");
    mr_random_seeded random = mr_test_random(6);
    uint64_t before = mr_memory_used_bytes();
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *exact = mr_alloc(size);
        memcpy(exact, bytes.data, size);
        open_anything(exact, size);
        mr_free(exact);
    }
    for (uint64_t round = 0; round < mr_test_rounds(4000); round++) {
        size_t at = mr_random_below(&random, bytes.size);
        uint8_t kept = bytes.data[at];
        bytes.data[at] = (uint8_t)mr_random_below(&random, 256);
        open_anything(bytes.data, bytes.size);
        bytes.data[at] = kept;
    }
    assert_int_equal(mr_memory_used_bytes(), before);
    mr_bytes_deinit(&bytes);
}

TEST(tensorflow, refusals_name_the_node)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"Relu6", "Relu7", "node[7] 'net/a/relu' (Relu7 of TensorFlow): this operation is not"},
        {"net/x:0", "net/x:1", "input 'net/x:1' is another output than the first"},
        {"net/a/read", "net/a/bead", "input 'net/a/read' is no node"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        mr_bytes bytes = read_file("test/tensorflow/dense.pb");
        size_t size = strlen(cases[i].from), at = 0;
        while (memcmp(bytes.data + at, cases[i].from, size) != 0)
            at++;
        memcpy(bytes.data + at, cases[i].to, size);
        assert_true(mr_model_open_bytes(bytes.data, bytes.size, NULL, &model, &err) != MR_OK);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        mr_bytes_deinit(&bytes);
    }
}

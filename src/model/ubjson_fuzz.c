/* ubjson_fuzz.c -- binary JSON from anyone: skipping a value and reading it through agree about where it ends, and
 * model files are refused or scored. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/json_scan.h"
#include "model/model.h"

#include <string.h>

static bool read_scalar(mr_json_scan *scan, char kind)
{
    const char *text;
    float number;
    int64_t flag;
    return kind == '"'   ? mr_json_string(scan, &text)
           : kind == '0' ? mr_json_float(scan, &number)
           : kind == 'n' ? mr_json_skip(scan)
                         : mr_json_int(scan, &flag);
}

/* Through everything, containers by their members; depth is bounded by the scanner. */
static bool read_through(mr_json_scan *scan)
{
    char kind = mr_json_peek(scan);
    const char *key;
    if (kind == '{' && mr_json_object(scan))
        while (mr_json_key(scan, &key) && read_through(scan))
            ;
    else if (kind == '[' && mr_json_array(scan))
        while (mr_json_element(scan) && read_through(scan))
            ;
    else if (kind != '{' && kind != '[')
        (void)read_scalar(scan, kind);
    return scan->status == MR_OK;
}

/* What can be read can be skipped, to the same byte. Skipping looks less closely. */
static void compare(const uint8_t *data, size_t size)
{
    mr_json_scan reading, skipping;
    mr_json_open(&reading, data, size, NULL);
    mr_json_open(&skipping, data, size, NULL);
    bool whole = reading.binary && read_through(&reading);
    if (whole) {
        MR_ASSERT(mr_json_skip(&skipping));
        MR_ASSERT(reading.next == skipping.next && reading.depth == 0 && skipping.depth == 0);
    }
    mr_json_close(&reading);
    mr_json_close(&skipping);
}

static void score(const mr_model *model)
{
    float inputs[64] = {0}, margins[8];
    mr_scratch *scratch;
    if (model->signature.input_count > 64 || model->signature.margin_count > 8 ||
        mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return;
    (void)mr_model_score_row(model, inputs, margins, NULL, scratch, NULL);
    mr_scratch_destroy(scratch);
}

FUZZ(ubjson)
{
    mr_error err = {0};
    mr_model *model;
    mr_setting plain = {"cpu", "plain"};
    mr_model_options options = {.kind = "xgboost", .settings = &plain, .setting_count = 1};
    compare(data, size);
    mr_status status = mr_model_open_bytes(data, size, &options, &model, &err);
    MR_ASSERT(status == MR_OK || err.text[0] != '\0');
    if (status != MR_OK)
        return 0;
    score(model);
    mr_model_close(model);
    return 0;
}

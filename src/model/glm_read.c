/* glm_read.c -- the text of a linear model: strict reading, and writing. */
#include "model/glm.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/json_scan.h"

#include <math.h>
#include <string.h>

static const char *const link_names[MR_GLM_LINKS] = {"identity", "logit",   "log",    "probit",
                                                     "cloglog",  "inverse", "softmax"};

const char *mr_glm_link_name(mr_glm_link link)
{
    return link_names[link];
}

void mr_glm_deinit(mr_glm *glm)
{
    mr_bytes *all[] = {&glm->names, &glm->classes, &glm->inputs, &glm->weights, &glm->intercepts};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_deinit(all[i]);
    *glm = (mr_glm){0};
}

/* ---- reading ---- */

enum { KIND = 1, LINK = 2, INTERCEPT = 4, INPUTS = 8, CLASSES = 16 };
enum { NAME = 1, WEIGHT = 2, MEAN = 4, SCALE = 8, MISSING = 16 };

typedef struct reader {
    mr_json_scan scan;
    mr_glm *glm;
    uint32_t seen;
    uint32_t
        margins; /* weights of an input, intercepts: as many as the first list had; 0: none yet */
} reader;

static bool once(reader *r, uint32_t *seen, uint32_t what)
{
    if (*seen & what)
        return mr_json_fail(&r->scan, MR_INVALID, "given twice");
    *seen |= what;
    return true;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* A number, or a list with one for each margin. */
static bool read_margins(reader *r, mr_bytes *out)
{
    double value;
    uint32_t count = 0;
    if (mr_json_peek(&r->scan) != '[') {
        if (!mr_json_double(&r->scan, &value))
            return false;
        mr_bytes_append(out, &value, sizeof value);
        count = 1;
    } else if (mr_json_array(&r->scan)) {
        for (; mr_json_element(&r->scan); count++) {
            if (!mr_json_double(&r->scan, &value))
                return false;
            mr_bytes_append(out, &value, sizeof value);
        }
    }
    if (r->scan.status != MR_OK)
        return false;
    if (count == 0 || count > MR_MODEL_OUTPUTS_MAX)
        return mr_json_fail(&r->scan, MR_INVALID, "%u numbers: 1 to %d are wanted", count,
                            MR_MODEL_OUTPUTS_MAX);
    if (r->margins != 0 && count != r->margins)
        return mr_json_fail(&r->scan, MR_INVALID, "%u numbers, where there were %u before", count,
                            r->margins);
    r->margins = count;
    return true;
}

static bool read_missing(reader *r, mr_glm_input *input)
{
    const char *word;
    if (mr_json_peek(&r->scan) != '"') {
        input->missing = MR_GLM_MISSING_VALUE;
        return mr_json_double(&r->scan, &input->value);
    }
    input->missing = MR_GLM_MISSING_MEAN;
    return mr_json_string(&r->scan, &word) &&
           (is(word, "mean") ||
            mr_json_fail(&r->scan, MR_INVALID, "'%.40s': a number or \"mean\" is wanted", word));
}

static bool read_scale(reader *r, double *out)
{
    return mr_json_double(&r->scan, out) &&
           (*out != 0.0 || mr_json_fail(&r->scan, MR_INVALID, "a scale of 0"));
}

static bool read_text(reader *r, mr_bytes *out)
{
    const char *text;
    if (!mr_json_string(&r->scan, &text))
        return false;
    if (text[0] == '\0')
        return mr_json_fail(&r->scan, MR_INVALID, "an empty name");
    mr_bytes_append(out, text, strlen(text) + 1);
    return true;
}

static bool read_input_member(reader *r, const char *key, uint32_t *seen, mr_glm_input *input)
{
    if (is(key, "name"))
        return once(r, seen, NAME) && read_text(r, &r->glm->names);
    if (is(key, "weight"))
        return once(r, seen, WEIGHT) && read_margins(r, &r->glm->weights);
    if (is(key, "mean"))
        return once(r, seen, MEAN) && mr_json_double(&r->scan, &input->mean);
    if (is(key, "scale"))
        return once(r, seen, SCALE) && read_scale(r, &input->scale);
    if (is(key, "missing"))
        return once(r, seen, MISSING) && read_missing(r, input);
    return mr_json_fail(&r->scan, MR_INVALID,
                        "an input has no '%.40s'; it has name, weight, mean, scale, missing", key);
}

static bool read_input(reader *r)
{
    const char *key;
    uint32_t seen = 0;
    mr_glm_input input = {.scale = 1.0};
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key))
        if (!read_input_member(r, key, &seen, &input))
            return false;
    if (r->scan.status != MR_OK)
        return false;
    if ((seen & (NAME | WEIGHT)) != (NAME | WEIGHT))
        return mr_json_fail(&r->scan, MR_INVALID, "the input has no %s",
                            seen & NAME ? "weight" : "name");
    mr_bytes_append(&r->glm->inputs, &input, sizeof input);
    if (++r->glm->input_count > MR_MODEL_INPUTS_MAX)
        return mr_json_fail(&r->scan, MR_FULL, "more than %d inputs", MR_MODEL_INPUTS_MAX);
    return true;
}

static bool read_inputs(reader *r)
{
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan))
        if (!read_input(r))
            return false;
    return r->scan.status == MR_OK;
}

static bool read_classes(reader *r)
{
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan))
        if (r->glm->class_count++ >= MR_MODEL_OUTPUTS_MAX || !read_text(r, &r->glm->classes))
            return mr_json_fail(&r->scan, MR_FULL, "more than %d classes", MR_MODEL_OUTPUTS_MAX);
    return r->scan.status == MR_OK;
}

static bool read_link(reader *r)
{
    const char *word;
    if (!mr_json_string(&r->scan, &word))
        return false;
    for (int i = 0; i < MR_GLM_LINKS; i++)
        if (is(word, link_names[i])) {
            r->glm->link = (mr_glm_link)i;
            return true;
        }
    return mr_json_fail(&r->scan, MR_UNSUPPORTED,
                        "link '%.40s' is not known; there are identity, logit, log, probit, "
                        "cloglog, inverse, softmax",
                        word);
}

static bool read_kind(reader *r)
{
    const char *word;
    return mr_json_string(&r->scan, &word) &&
           (is(word, "linear") ||
            mr_json_fail(&r->scan, MR_UNSUPPORTED, "'%.40s' is no \"linear\"", word));
}

static bool read_member(reader *r, const char *key)
{
    if (is(key, "millrace_model"))
        return once(r, &r->seen, KIND) && read_kind(r);
    if (is(key, "link"))
        return once(r, &r->seen, LINK) && read_link(r);
    if (is(key, "intercept"))
        return once(r, &r->seen, INTERCEPT) && read_margins(r, &r->glm->intercepts);
    if (is(key, "inputs"))
        return once(r, &r->seen, INPUTS) && read_inputs(r);
    if (is(key, "classes"))
        return once(r, &r->seen, CLASSES) && read_classes(r);
    return mr_json_fail(&r->scan, MR_INVALID,
                        "a linear model has no '%.40s'; it has millrace_model, link, intercept, "
                        "inputs, classes",
                        key);
}

static bool two_classes(mr_glm_link link)
{
    return link == MR_GLM_LOGIT || link == MR_GLM_PROBIT || link == MR_GLM_CLOGLOG;
}

/* What only the whole can say. */
static bool check(reader *r)
{
    static const char *const names[] = {"millrace_model", "link", "intercept", "inputs"};
    const mr_glm *glm = r->glm;
    const char *link = link_names[glm->link];
    for (uint32_t i = 0; i < MR_COUNT_OF(names); i++)
        if ((r->seen >> i & 1) == 0)
            return mr_json_fail(&r->scan, MR_INVALID, "the model has no %s", names[i]);
    if (glm->input_count == 0)
        return mr_json_fail(&r->scan, MR_INVALID, "the model has no inputs");
    if (glm->link != MR_GLM_SOFTMAX && r->margins != 1)
        return mr_json_fail(&r->scan, MR_INVALID, "%u weights for each input under link %s",
                            r->margins, link);
    if (glm->link == MR_GLM_SOFTMAX && r->margins < 2)
        return mr_json_fail(&r->scan, MR_INVALID, "softmax over one class");
    uint32_t wanted = glm->link == MR_GLM_SOFTMAX ? r->margins : two_classes(glm->link) ? 2 : 0;
    if (glm->class_count != 0 && glm->class_count != wanted)
        return mr_json_fail(&r->scan, MR_INVALID, "%u classes under link %s, where %u are wanted",
                            glm->class_count, link, wanted);
    return true;
}

static bool any_failed(const mr_glm *glm)
{
    return glm->names.failed || glm->classes.failed || glm->inputs.failed || glm->weights.failed ||
           glm->intercepts.failed;
}

static bool read_model(reader *r)
{
    const char *key;
    if (!mr_json_object(&r->scan))
        return false;
    while (mr_json_key(&r->scan, &key))
        if (!read_member(r, key))
            return false;
    return r->scan.status == MR_OK && mr_json_end(&r->scan) && check(r) &&
           (!any_failed(r->glm) || mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory"));
}

static void prefix_place(const mr_json_scan *scan, mr_error *err)
{
    uint32_t line = 1, column = 1;
    for (const uint8_t *at = scan->begin; scan->failed_at != NULL && at < scan->failed_at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    mr_error_prefix(err, "line %u, column %u", line, column);
}

mr_status mr_glm_read(const void *bytes, size_t size, mr_glm *out, mr_error *err)
{
    *out = (mr_glm){0};
    reader r = {.glm = out};
    mr_json_open(&r.scan, bytes, size, err);
    mr_status status = read_model(&r) ? MR_OK : r.scan.status;
    out->margin_count = r.margins;
    if (status != MR_OK) {
        prefix_place(&r.scan, err);
        mr_glm_deinit(out);
    }
    mr_json_close(&r.scan);
    return status;
}

/* ---- writing ---- */

static void write_number(double value, mr_bytes *out)
{
    char text[MR_NUMBER_TEXT_MAX];
    mr_bytes_append(out, text, mr_number_format_float64(value, text));
}

static void write_string(const char *text, mr_bytes *out)
{
    mr_bytes_append_byte(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            mr_bytes_printf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            mr_bytes_printf(out, "\\u%04x", (unsigned)*text);
        else
            mr_bytes_append_byte(out, (uint8_t)*text);
    }
    mr_bytes_append_byte(out, '"');
}

static void write_margins(const double *values, uint32_t count, mr_bytes *out)
{
    if (count > 1)
        mr_bytes_append_byte(out, '[');
    for (uint32_t k = 0; k < count; k++) {
        if (k > 0)
            mr_bytes_append_text(out, ", ");
        write_number(values[k], out);
    }
    if (count > 1)
        mr_bytes_append_byte(out, ']');
}

static void write_input(const mr_glm *glm, uint32_t i, const char *name, mr_bytes *out)
{
    const mr_glm_input *input = (const mr_glm_input *)(const void *)glm->inputs.data + i;
    const double *weights = (const double *)(const void *)glm->weights.data;
    mr_bytes_append_text(out, i > 0 ? ",\n    {\"name\": " : "\n    {\"name\": ");
    write_string(name, out);
    mr_bytes_append_text(out, ", \"weight\": ");
    write_margins(weights + (size_t)i * glm->margin_count, glm->margin_count, out);
    if (input->mean != 0.0) {
        mr_bytes_append_text(out, ", \"mean\": ");
        write_number(input->mean, out);
    }
    if (input->scale != 1.0) {
        mr_bytes_append_text(out, ", \"scale\": ");
        write_number(input->scale, out);
    }
    if (input->missing == MR_GLM_MISSING_MEAN)
        mr_bytes_append_text(out, ", \"missing\": \"mean\"");
    if (input->missing == MR_GLM_MISSING_VALUE) {
        mr_bytes_append_text(out, ", \"missing\": ");
        write_number(input->value, out);
    }
    mr_bytes_append_byte(out, '}');
}

void mr_glm_write(const mr_glm *glm, mr_bytes *out)
{
    const char *name = (const char *)glm->names.data, *class = (const char *)glm->classes.data;
    mr_bytes_printf(out, "{\n  \"millrace_model\": \"linear\",\n  \"link\": \"%s\",\n",
                    link_names[glm->link]);
    mr_bytes_append_text(out, "  \"intercept\": ");
    write_margins((const double *)(const void *)glm->intercepts.data, glm->margin_count, out);
    mr_bytes_append_text(out, ",\n  \"inputs\": [");
    for (uint32_t i = 0; i < glm->input_count; i++) {
        write_input(glm, i, name, out);
        name += strlen(name) + 1;
    }
    mr_bytes_append_text(out, "\n  ]");
    for (uint32_t c = 0; c < glm->class_count; c++) {
        mr_bytes_append_text(out, c == 0 ? ",\n  \"classes\": [" : ", ");
        write_string(class, out);
        class += strlen(class) + 1;
    }
    mr_bytes_append_text(out, glm->class_count > 0 ? "]\n}\n" : "\n}\n");
}

/* facts.c -- model.yaml to JSON, and whether it speaks of the model beside it. */
#include "model/facts.h"

#include "base/number.h"
#include "data/encoder.h"
#include "model/artifact.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON ---- */

/* JSON's grammar is narrower than YAML's: the number is written anew. */
static void put_scalar(const mr_yaml *node, mr_bytes *out)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t size = strlen(node->text);
    int64_t whole;
    double number;
    char text[MR_NUMBER_TEXT_MAX];
    for (size_t i = 0; node->plain && i < 3; i++)
        if (strcmp(node->text, words[i]) == 0) {
            mr_bytes_append_text(out, words[i]);
            return;
        }
    if (node->plain && mr_number_is_int64(node->text, size, &whole))
        mr_bytes_append(out, text, mr_number_format_int64(whole, text));
    else if (node->plain && mr_number_is_float64(node->text, size, &number) && isfinite(number))
        mr_bytes_append(out, text, mr_number_format_float64(number, text));
    else
        mr_encode_json_text(node->text, size, out);
}

void mr_facts_json(const mr_yaml *node, mr_bytes *out)
{
    if (node->kind == MR_YAML_SCALAR) {
        put_scalar(node, out);
        return;
    }
    bool mapping = node->kind == MR_YAML_MAPPING;
    mr_bytes_append_byte(out, mapping ? '{' : '[');
    for (const mr_yaml *child = node->first; child != NULL; child = child->next) {
        if (child != node->first)
            mr_bytes_append_byte(out, ',');
        if (mapping) {
            mr_encode_json_text(child->key, strlen(child->key), out);
            mr_bytes_append_byte(out, ':');
        }
        mr_facts_json(child, out); /* at most MR_YAML_DEPTH_MAX deep */
    }
    mr_bytes_append_byte(out, mapping ? '}' : ']');
}

/* ---- reading ---- */

mr_status mr_facts_read(mr_fs *fs, const char *folder, mr_arena *arena, const mr_yaml **out,
                        mr_error *err)
{
    mr_bytes text = {0};
    mr_yaml *root = NULL;
    const char *path = mr_arena_printf(arena, "%s/model.yaml", folder);
    if (path == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = mr_fs_read_file(fs, path, MR_ARTIFACT_TEXT_BYTES_MAX, &text, err);
    if (status == MR_OK)
        status = mr_yaml_parse((const char *)text.data, text.size, path, arena, &root, err);
    mr_bytes_deinit(&text);
    MR_TRY(status);
    *out = root;
    if (root->kind == MR_YAML_MAPPING)
        return MR_OK;
    mr_error_place(err, path, root->line, root->column);
    return MR_FAIL(err, MR_INVALID, "a mapping is wanted here, not %s",
                   mr_yaml_kind_text(root->kind));
}

const char *mr_facts_text(const mr_yaml *facts, const char *key)
{
    const mr_yaml *node = mr_yaml_get(facts, key);
    return node != NULL && node->kind == MR_YAML_SCALAR ? node->text : NULL;
}

void mr_facts_quote(mr_bytes *out, const char *text)
{
    mr_bytes_append_byte(out, '"');
    for (const uint8_t *c = (const uint8_t *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            mr_bytes_append_byte(out, '\\');
        if (*c < 0x20 || *c == 0x7f)
            mr_bytes_printf(out, "\\x%02x", *c);
        else
            mr_bytes_append_byte(out, *c);
    }
    mr_bytes_append_byte(out, '"');
}

/* ---- checking ---- */

static mr_status fail_at(const mr_yaml *node, const char *file, mr_error *err, const char *name,
                         const char *wanted)
{
    mr_error_place(err, file, node->line, node->column);
    return MR_FAIL(err, MR_INVALID, "the input is called '%s' here, the model says '%s'", name,
                   wanted);
}

static const char *input_name(const mr_yaml *input)
{
    return input->kind == MR_YAML_SCALAR ? input->text : mr_facts_text(input, "name");
}

mr_status mr_facts_check(const mr_yaml *facts, const char *file, const mr_model *model,
                         mr_error *err)
{
    const mr_yaml *inputs = mr_yaml_get(facts, "inputs");
    uint32_t count = model->signature.input_count, i = 0;
    if (inputs == NULL)
        return MR_OK;
    if (inputs->kind != MR_YAML_SEQUENCE || inputs->child_count != count) {
        mr_error_place(err, file, inputs->line, inputs->column);
        return MR_FAIL(err, MR_INVALID, "%u inputs are listed here, the model has %u",
                       inputs->child_count, count);
    }
    for (const mr_yaml *input = inputs->first; input != NULL; input = input->next, i++) {
        const char *name = input_name(input);
        if (name == NULL || strcmp(name, model->signature.input_names[i]) != 0)
            return fail_at(input, file, err, name != NULL ? name : "",
                           model->signature.input_names[i]);
    }
    return MR_OK;
}

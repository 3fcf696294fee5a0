/* artifact.c -- writes model folders at one stroke, and holds models to their golden rows. */
#include "model/artifact.h"

#include "base/assert.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

/* ---- golden rows ---- */

static void append_number(mr_bytes *out, float value, char behind)
{
    char text[MR_NUMBER_TEXT_MAX];
    if (!isnan(value))
        mr_bytes_append(out, text, mr_number_format_float32(value, text));
    mr_bytes_append_byte(out, (uint8_t)behind);
}

mr_status mr_artifact_golden(const mr_model *model, const float *rows, size_t count, mr_bytes *out,
                             mr_error *err)
{
    uint32_t inputs = model->signature.input_count, margins = model->signature.margin_count;
    mr_scratch *scratch;
    MR_TRY(mr_scratch_create(model, &scratch, err));
    float sums[MR_MODEL_OUTPUTS_MAX];
    mr_status status = MR_OK;
    for (size_t r = 0; status == MR_OK && r < count; r++) {
        status = mr_model_score_row(model, rows + r * inputs, sums, NULL, scratch, err);
        for (uint32_t i = 0; i < inputs; i++)
            append_number(out, rows[r * inputs + i], ',');
        for (uint32_t k = 0; k < margins; k++)
            append_number(out, sums[k], k + 1 < margins ? ',' : '\n');
    }
    mr_scratch_destroy(scratch);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

typedef struct golden_text {
    const char *next, *end;
    uint64_t line;
} golden_text;

/* "1.5", "-Infinity" or nothing, and the comma or line end behind it. */
static mr_status read_field(golden_text *g, bool last, float *out, mr_error *err)
{
    size_t left = (size_t)(g->end - g->next), used = 0;
    const char *start = g->next;
    *out = NAN;
    if (left >= 8 && memcmp(start, "Infinity", 8) == 0) {
        *out = INFINITY;
        used = 8;
    } else if (left >= 9 && memcmp(start, "-Infinity", 9) == 0) {
        *out = -INFINITY;
        used = 9;
    } else if (left > 0 && *start != ',' && *start != '\n' &&
               mr_number_parse_float32(start, left, out, &used) != MR_NUMBER_OK) {
        return MR_FAIL(err, MR_CORRUPT, "golden row %llu: '%.*s' is no number",
                       (unsigned long long)g->line, (int)MR_MIN(left, 20u), start);
    }
    g->next += used;
    if (g->next == g->end || *g->next != (last ? '\n' : ','))
        return MR_FAIL(err, MR_CORRUPT, "golden row %llu has too %s fields",
                       (unsigned long long)g->line,
                       g->next == g->end || *g->next == '\n' ? "few" : "many");
    g->next++;
    return MR_OK;
}

static mr_status check_row(const mr_model *model, golden_text *g, float *row, mr_scratch *scratch,
                           mr_error *err)
{
    uint32_t inputs = model->signature.input_count, margins = model->signature.margin_count;
    float sums[MR_MODEL_OUTPUTS_MAX];
    for (uint32_t i = 0; i < inputs; i++)
        MR_TRY(read_field(g, false, &row[i], err));
    MR_TRY(mr_model_score_row(model, row, sums, NULL, scratch, err));
    for (uint32_t k = 0; k < margins; k++) {
        float expected;
        MR_TRY(read_field(g, k + 1 == margins, &expected, err));
        if (memcmp(&expected, &sums[k], sizeof expected) != 0)
            return MR_FAIL(
                err, MR_CORRUPT,
                "golden row %llu, margin %u: %.9g was recorded, the model now gives %.9g",
                (unsigned long long)g->line, k, (double)expected, (double)sums[k]);
    }
    return MR_OK;
}

mr_status mr_artifact_check(const mr_model *model, const void *golden, size_t size, mr_error *err)
{
    mr_scratch *scratch;
    MR_TRY(mr_scratch_create(model, &scratch, err));
    float *row = mr_alloc(sizeof *row * model->signature.input_count);
    mr_status status = row != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    golden_text g = {golden, (const char *)golden + size, 1};
    for (; status == MR_OK && g.next < g.end; g.line++)
        status = check_row(model, &g, row, scratch, err);
    mr_free(row);
    mr_scratch_destroy(scratch);
    return status;
}

/* ---- folders ---- */

static mr_status join(mr_bytes *out, const char *folder, const char *name, const char **out_path,
                      mr_error *err)
{
    mr_bytes_clear(out);
    mr_bytes_printf(out, "%s%s", folder, name);
    *out_path = mr_bytes_text(out);
    return *out_path != NULL && !out->failed ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status write_files(mr_fs *fs, const char *folder, const mr_artifact_file *files,
                             size_t count, mr_bytes *path, mr_error *err)
{
    MR_TRY(mr_fs_remove_tree(fs, folder, err)); /* what an earlier attempt left */
    MR_TRY(mr_fs_make_folder(fs, folder, err));
    for (size_t i = 0; i < count; i++) {
        const char *name;
        mr_bytes_clear(path);
        mr_bytes_printf(path, "%s/%s", folder, files[i].name);
        name = mr_bytes_text(path);
        if (name == NULL)
            return MR_OUT_OF_MEMORY(err);
        MR_TRY(mr_fs_write_file(fs, name, files[i].data, files[i].size, err));
    }
    return mr_fs_sync_dir(fs, folder, err);
}

/* The folder that holds `path`: "." when it has no slash. */
static mr_status parent_of(const char *path, mr_bytes *out, const char **out_parent, mr_error *err)
{
    const char *slash = strrchr(path, '/');
    mr_bytes_clear(out);
    if (slash == NULL)
        mr_bytes_append_text(out, ".");
    else
        mr_bytes_append(out, path, slash == path ? 1 : (size_t)(slash - path));
    *out_parent = mr_bytes_text(out);
    return *out_parent != NULL && !out->failed ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status mr_artifact_write(mr_fs *fs, const char *folder, const mr_artifact_file *files,
                            size_t count, mr_error *err)
{
    if (mr_fs_exists(fs, folder))
        return MR_FAIL(err, MR_EXISTS, "%s exists already: an artifact is never overwritten",
                       folder);
    mr_bytes temporary = {0}, path = {0};
    const char *name, *parent;
    mr_status status = join(&temporary, folder, ".new", &name, err);
    if (status == MR_OK)
        status = write_files(fs, name, files, count, &path, err);
    if (status == MR_OK)
        status = mr_fs_rename(fs, name, folder, err);
    if (status == MR_OK)
        status = parent_of(folder, &path, &parent, err);
    if (status == MR_OK)
        status = mr_fs_sync_dir(fs, parent, err);
    mr_bytes_deinit(&temporary);
    mr_bytes_deinit(&path);
    return status;
}

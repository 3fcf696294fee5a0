/* rows.c -- all rows of a source at once. */
#include "cmd/rows.h"

#include "cmd/source.h"

#define ROWS_PER_BATCH 65536

typedef struct collector {
    const mr_rows_options *options;
    mr_bytes batches; /* mr_batch pointers */
} collector;

/* ---- collecting ---- */

static mr_batch **batches_of(const collector *self)
{
    return (mr_batch **)(void *)self->batches.data;
}

static size_t batch_count(const collector *self)
{
    return self->batches.size / sizeof(mr_batch *);
}

/* Takes the batch on success. */
static mr_status keep(collector *self, mr_batch *batch, mr_error *err)
{
    if (!mr_bytes_reserve(&self->batches, sizeof batch))
        return MR_OUT_OF_MEMORY(err);
    mr_bytes_append(&self->batches, &batch, sizeof batch);
    return MR_OK;
}

/* Rows within the span; a row without a time is in none. */
static mr_status select_rows(const collector *self, const mr_batch *batch, mr_batch **out,
                             mr_error *err)
{
    const mr_column *time = &batch->columns[mr_schema_find(batch->schema, self->options->time)];
    const int64_t *times = time->values;
    uint32_t *rows = mr_alloc(batch->row_count * sizeof *rows + 1);
    size_t count = 0;
    if (rows == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < batch->row_count; i++)
        if (!mr_column_is_null(time, i) && times[i] >= self->options->from_us &&
            times[i] < self->options->until_us)
            rows[count++] = i;
    mr_status status = mr_batch_gather(batch, rows, count, out, err);
    mr_free(rows);
    return status;
}

static mr_status collect(void *context, mr_batch *batch, mr_error *err)
{
    collector *self = context;
    mr_batch *chosen = NULL;
    if (self->options->time == NULL)
        chosen = mr_batch_retain(batch);
    else
        MR_TRY(select_rows(self, batch, &chosen, err));
    mr_status status = chosen->row_count > 0 ? keep(self, chosen, err) : MR_OK;
    if (status != MR_OK || chosen->row_count == 0)
        mr_batch_release(chosen);
    return status;
}

static mr_status check_time(void *context, const mr_schema *schema, mr_error *err)
{
    const char *name = ((const collector *)context)->options->time;
    int at = name != NULL ? mr_schema_find(schema, name) : 0;
    if (at < 0)
        return MR_FAIL(err, MR_NOT_FOUND, "there is no column '%s' to tell the time", name);
    if (name != NULL && schema->fields[at].type.id != MR_TIMESTAMP)
        return MR_FAIL(err, MR_INVALID,
                       "the column '%s' is no timestamp, so it cannot tell the time", name);
    return MR_OK;
}

mr_status mr_rows_read(mr_session *session, const char *source, const mr_rows_options *options,
                       mr_batch **out, uint64_t *out_refused, mr_error *err)
{
    collector self = {.options = options};
    mr_source_reader reader = {check_time, collect, &self, ROWS_PER_BATCH, options->provenance};
    *out = NULL;
    mr_status status = mr_source_read(session, source, options->schema, &reader, out_refused, err);
    if (status == MR_OK && batch_count(&self) == 0)
        status = MR_FAIL(err, MR_NOT_FOUND, "%s has no rows in this span", source);
    if (status == MR_OK)
        status = mr_batch_concat(batches_of(&self), batch_count(&self), out, err);
    for (size_t i = 0; i < batch_count(&self); i++)
        mr_batch_release(batches_of(&self)[i]);
    mr_bytes_deinit(&self.batches);
    return status;
}

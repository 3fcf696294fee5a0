/* names.c -- names of inputs and outputs: from the file, from the caller, or made up. */
#include "model/names.h"

#include <stdlib.h>
#include <string.h>

void mr_names_deinit(mr_names *names)
{
    mr_free(names->list);
    mr_free(names->text);
    memset(names, 0, sizeof *names);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static mr_status refuse_doubles(const char *const *names, size_t count, mr_error *err)
{
    const char **sorted = mr_alloc(sizeof *sorted * count);
    if (sorted == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(sorted, names, sizeof *sorted * count);
    qsort(sorted, count, sizeof *sorted, by_text);
    mr_status status = MR_OK;
    for (size_t i = 1; i < count && status == MR_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            status = MR_FAIL(err, MR_INVALID, "two inputs are called '%.200s'", sorted[i]);
    mr_free(sorted);
    return status;
}

static mr_status check_given_names(const mr_model_options *options, uint32_t count, mr_error *err)
{
    return options->input_names == NULL || options->input_name_count == count
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "%zu input names are given, the model has %u inputs",
                         options->input_name_count, count);
}

/* The file's names, else the caller's, else f0, f1, ... */
static void append_names(mr_bytes *text, const char *from, const mr_model_options *options,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (from != NULL)
            mr_bytes_append_text(text, from);
        else if (options->input_names != NULL)
            mr_bytes_append_text(text, options->input_names[i]);
        else
            mr_bytes_printf(text, "f%u", i);
        mr_bytes_append_byte(text, 0);
        from = from != NULL ? from + strlen(from) + 1 : NULL;
    }
}

/* The strings of a list of terminated ones. */
static const char **index_names(const char *text, uint32_t count)
{
    const char **names = mr_alloc(sizeof *names * ((size_t)count + 1));
    for (uint32_t i = 0; names != NULL && i < count; i++) {
        names[i] = text;
        text += strlen(text) + 1;
    }
    return names;
}

mr_status mr_names_take(mr_names *names, mr_bytes *text, uint32_t count, mr_error *err)
{
    bool failed = text->failed;
    names->text = (char *)text->data;
    names->list = failed ? NULL : index_names(names->text, count);
    return names->list != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status mr_names_of_inputs(mr_names *names, const char *from, const mr_model_options *options,
                             uint32_t count, mr_error *err)
{
    mr_bytes text = {0};
    MR_TRY(check_given_names(options, count, err));
    append_names(&text, from, options, count);
    MR_TRY(mr_names_take(names, &text, count, err));
    return refuse_doubles(names->list, count, err);
}

mr_status mr_names_of_outputs(mr_names *names, const char *base, uint32_t count, mr_error *err)
{
    mr_bytes text = {0};
    for (uint32_t k = 0; k < count; k++) {
        mr_bytes_append_text(&text, base);
        if (count > 1)
            mr_bytes_printf(&text, "_%u", k);
        mr_bytes_append_byte(&text, 0);
    }
    return mr_names_take(names, &text, count, err);
}

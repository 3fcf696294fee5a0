/* artifact.h -- a model on disk: a folder that says what it is and can prove it.
 *
 *   model.json ..... the model's bytes (of whatever kind recognises them)
 *   model.yaml ..... family, objective, inputs with types, outputs, parameters, metrics, where it comes from
 *   golden.csv ..... rows and their margins: one line a row, the inputs in the model's order, then the margins, as
 *                    shortest decimal float32; an empty field is a missing value; no header
 *
 * A folder appears whole or not at all: it is written beside its place under another name, synced and renamed.
 * A model that does not reproduce its golden rows to the bit is refused when it is opened. */
#ifndef MR_MODEL_ARTIFACT_H
#define MR_MODEL_ARTIFACT_H

#include "model/model.h"

#define MR_ARTIFACT_GOLDEN_ROWS      16
#define MR_ARTIFACT_GOLDEN_BYTES_MAX (64u << 20)

typedef struct mr_artifact_file {
    const char *name;
    const void *data;
    size_t size;
} mr_artifact_file;

/* MR_EXISTS when the folder is there already. */
mr_status mr_artifact_write(mr_fs *fs, const char *folder, const mr_artifact_file *files,
                            size_t count, mr_error *err);
/* Golden lines of `count` rows (row by row, in the model's order of inputs) as the model scores them now. */
mr_status mr_artifact_golden(const mr_model *model, const float *rows, size_t count, mr_bytes *out,
                             mr_error *err);
/* Scores the lines again; MR_CORRUPT names row, output and both numbers at the first difference. */
mr_status mr_artifact_check(const mr_model *model, const void *golden, size_t size, mr_error *err);

#endif

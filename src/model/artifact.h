/* artifact.h -- a model on disk: a folder that says what it is and can prove it.
 *
 *   model.json ..... the model's bytes, of whatever kind recognises them: also model.ubj, .txt, .onnx, .pmml, .pb, ...
 *   model.yaml ..... family, signature, parameters, training data, metrics, who, when, why; see facts.h
 *   golden.csv ..... rows and what the model said of them, see below
 *   profile.json ... how the training data lay, input by input, and the score; see profile.h; may be missing
 *   others ......... whatever belongs to it (a preprocessing script, a licence): carried and hashed, not looked at
 *
 * (1) A folder appears whole or not at all: it is written beside its place under another name, synced and renamed.
 * (2) It has files only, with plain names (1..100 of [a-zA-Z0-9._-], no '.' or '-' in front), at most
 *     MR_ARTIFACT_FILES_MAX, and exactly one that is called model.* besides model.yaml.
 * (3) A model that does not reproduce its golden rows to the bit is refused when it is opened.
 *
 * The *content hash* names a folder: the SHA-256 of the text "millrace artifact 1\n" and then, for each file in the
 * order of names' bytes, "<SHA-256 of its content> <size> <name>\n". Anyone can compute it:
 *
 *   (echo 'millrace artifact 1'; for f in $(ls | LC_ALL=C sort); do
 *       echo "$(sha256sum < $f | cut -c1-64) $(stat -c %s $f) $f"; done) | sha256sum */
#ifndef MR_MODEL_ARTIFACT_H
#define MR_MODEL_ARTIFACT_H

#include "base/sha256.h"
#include "model/model.h"

#define MR_ARTIFACT_GOLDEN_ROWS      16
#define MR_ARTIFACT_GOLDEN_BYTES_MAX (64u << 20)
#define MR_ARTIFACT_TEXT_BYTES_MAX   (16u << 20) /* of model.yaml, and of profile.json */
#define MR_ARTIFACT_FILES_MAX        256
#define MR_ARTIFACT_NAME_MAX         100
#define MR_ARTIFACT_BYTES_MAX        (16ull << 30) /* of all files */

typedef struct mr_artifact_file {
    const char *name;
    const void *data;
    size_t size;
} mr_artifact_file;

/* ---- folders ---- */

/* Whether a file of an artifact may be called so. */
bool mr_artifact_is_name(const char *name);
/* MR_EXISTS when the folder is there already. */
mr_status mr_artifact_write(mr_fs *fs, const char *folder, const mr_artifact_file *files,
                            size_t count, mr_error *err);
/* Copies a folder as write does. */
mr_status mr_artifact_copy(mr_fs *fs, const char *from, const char *to, mr_error *err);
/* Reads every byte. MR_INVALID: the folder breaks (2). *out_bytes (may be NULL): size of all files. */
mr_status mr_artifact_hash(mr_fs *fs, const char *folder, char out_hash[MR_SHA256_TEXT_BYTES],
                           uint64_t *out_bytes, mr_error *err);
/* The SHA-256 of one file. */
mr_status mr_artifact_hash_file(mr_fs *fs, const char *path, char out_hash[MR_SHA256_TEXT_BYTES],
                                uint64_t *out_bytes, mr_error *err);
/* Path of the model's bytes. MR_NOT_FOUND: there is none; MR_INVALID: there are several, and none is model.json. */
mr_status mr_artifact_model_file(mr_fs *fs, const char *folder, mr_bytes *out_path, mr_error *err);

/* ---- golden rows ----
 *
 *   a,shop,!margin,!score          the inputs by name, in the model's order; then what came out, with '!' in front
 *   1.5,"x",0.25,0.5621765         numbers in the shortest form that reads back to the same bits
 *
 * CSV as encoder.h writes it, so an empty field is a missing value and "" the empty text. Inputs have the type the
 * model computes with. Results are named as results.h does: margins !margin, scores !score, the class !score_label.
 * A text without '!' in its first line is of an earlier form: no header, float32 inputs, then the margins. */

/* The inputs of a model as a schema, all nullable: what golden rows are read with. */
mr_status mr_artifact_inputs(const mr_model *model, mr_schema **out, mr_error *err);
/* Rows of a batch that holds the model's inputs, of any type that binds, as the model scores them now. */
mr_status mr_artifact_golden_batch(const mr_model *model, const mr_batch *batch, mr_bytes *out,
                                   mr_error *err);
/* Rows of numbers (row by row, in the model's order of inputs, NaN is missing), for models that take numbers only. */
mr_status mr_artifact_golden(const mr_model *model, const float *rows, size_t count, mr_bytes *out,
                             mr_error *err);
/* Scores the lines again; MR_CORRUPT names line, result and both values at the first difference. */
mr_status mr_artifact_check(const mr_model *model, const void *golden, size_t size, mr_error *err);

#endif

/* facts.h -- model.yaml: what a model says of itself, written by people and programs, kept as JSON in events.
 *
 * Any mapping is allowed; these keys have a meaning here:
 *   family, objective, description, author, code_version, environment, label ... texts
 *   inputs ........ sequence of {name, type}, in the model's order: checked against the model
 *   parameters .... mapping of the training's settings
 *   metrics ....... mapping of splits to mappings of numbers
 *   training_data . sequence of {topic, partition, first_offset, end_offset} or {file, sha256, bytes} or
 *                   {table, batch_id}; what `audit` answers from
 *   training_rows . text: which of these records, when not all
 * Limits: MR_ARTIFACT_TEXT_BYTES_MAX, and those of data/yaml.h on nodes and depth. */
#ifndef MR_MODEL_FACTS_H
#define MR_MODEL_FACTS_H

#include "data/yaml.h"
#include "model/model.h"

/* YAML to JSON: plain scalars that are numbers, true, false or null stay so, all else is text. */
void mr_facts_json(const mr_yaml *node, mr_bytes *out);
/* Reads an artifact's model.yaml into the arena. MR_NOT_FOUND: there is none. MR_INVALID with its place. */
mr_status mr_facts_read(mr_fs *fs, const char *folder, mr_arena *arena, const mr_yaml **out,
                        mr_error *err);
/* Whether `inputs`, when the facts have them, are the model's: MR_INVALID names the first that differs. */
mr_status mr_facts_check(const mr_yaml *facts, const char *file, const mr_model *model,
                         mr_error *err);
/* The text of a scalar, or NULL. */
const char *mr_facts_text(const mr_yaml *facts, const char *key);
/* A YAML double-quoted scalar; its escapes are those of JSON. */
void mr_facts_quote(mr_bytes *out, const char *text);

#endif

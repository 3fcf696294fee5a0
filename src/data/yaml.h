/* yaml.h -- a YAML document as a small tree in which every node knows its line and column.
 *
 * The subset a configuration needs: mappings, sequences, scalars. Refused, each with its place: double keys,
 * keys that are not scalars, anchors and aliases, tags, a second document, and more than MR_YAML_NODES_MAX
 * nodes or MR_YAML_DEPTH_MAX levels. Reading is libyaml's. */
#ifndef MR_DATA_YAML_H
#define MR_DATA_YAML_H

#include "base/memory.h"

#define MR_YAML_NODES_MAX 100000
#define MR_YAML_DEPTH_MAX 64

typedef enum mr_yaml_kind { MR_YAML_SCALAR, MR_YAML_SEQUENCE, MR_YAML_MAPPING } mr_yaml_kind;

typedef struct mr_yaml {
    mr_yaml_kind kind;
    const char *key;  /* in a mapping: this child's key; else NULL */
    const char *text; /* scalar: its value, terminated; "" for an empty one */
    bool plain; /* scalar: written without quotes (so `null`, `true`, numbers mean themselves) */
    uint32_t line, column; /* of the value's first character, from 1; inside the quotes if quoted */
    uint32_t key_line, key_column; /* of the key */
    uint32_t child_count;
    struct mr_yaml *first; /* children in the order written */
    struct mr_yaml *next;  /* sibling */
} mr_yaml;

/* Parses one document into the arena. `file` names it in errors: file:line:column. */
mr_status mr_yaml_parse(const char *text, size_t bytes, const char *file, mr_arena *arena,
                        mr_yaml **out, mr_error *err);
/* The child of that key, or NULL; `node` may be NULL or no mapping. */
const mr_yaml *mr_yaml_get(const mr_yaml *node, const char *key);
/* "a mapping", "a sequence", "a value": for error texts. */
const char *mr_yaml_kind_text(mr_yaml_kind kind);

#endif

/* json_scan.h -- reads JSON straight down, without building a tree: for model files of hundreds of megabytes.
 *
 * Text (RFC 8259) and Universal Binary JSON (draft 12; json_scan_binary.c) are read through the same calls; which it is
 * shows in the first two bytes: behind '{' text has a quote, a bracket or a blank, binary a length, '$' or '#'.
 *
 * The caller says what it expects next; what it does not know it skips. The first failure sticks: later
 * calls return false and change nothing, so a reader asks `status` once at the end. Errors name the place
 * as path and byte: "learner.gradient_booster.model.trees[3].left_children[17] at byte 4711".
 *
 *   if (mr_json_object(scan))
 *       while (mr_json_key(scan, &key))
 *           if (key is "x") mr_json_int(scan, &x); else mr_json_skip(scan);
 */
#ifndef MR_MODEL_JSON_SCAN_H
#define MR_MODEL_JSON_SCAN_H

#include "base/memory.h"

#define MR_JSON_DEPTH_MAX 64
#define MR_JSON_TEXT_MAX  (1u << 20) /* bytes of one string */

typedef struct mr_json_step {
    const uint8_t *key; /* raw bytes between the quotes; NULL: an array */
    size_t key_size;
    size_t index;
    bool fresh; /* no member yet: no comma is expected */
    /* binary only */
    bool counted; /* `left` members follow, and no closing bracket */
    char type;    /* of all members, which then have no marker of their own; 0: each has one */
    uint64_t left;
} mr_json_step;

typedef struct mr_json_scan {
    const uint8_t *begin, *next, *end;
    const uint8_t *failed_at; /* NULL: nothing failed */
    bool binary;
    uint32_t depth;
    mr_json_step steps[MR_JSON_DEPTH_MAX];
    mr_status status;
    mr_error *err;
    mr_bytes text; /* the last string read */
} mr_json_scan;

void mr_json_open(mr_json_scan *scan, const void *bytes, size_t size, mr_error *err);
/* Whether bytes that begin with '{' are binary. */
bool mr_json_is_binary(const uint8_t *bytes, size_t size);
void mr_json_close(mr_json_scan *scan);

/* Enter an object or an array; false: it is something else, or an earlier failure. */
bool mr_json_object(mr_json_scan *scan);
bool mr_json_array(mr_json_scan *scan);
/* The next member's key (lent until the next string is read); false at the end of the object. */
bool mr_json_key(mr_json_scan *scan, const char **out_key);
/* Whether another element follows; false at the end of the array. */
bool mr_json_element(mr_json_scan *scan);

/* One value. Strings are unescaped and terminated; lent until the next string or key is read. */
bool mr_json_string(mr_json_scan *scan, const char **out);
bool mr_json_int(mr_json_scan *scan, int64_t *out); /* also true, false: 1, 0 */
bool mr_json_float(mr_json_scan *scan, float *out); /* also NaN, Infinity, -Infinity */
bool mr_json_double(mr_json_scan *scan, double *out); /* of text only; finite */
bool mr_json_skip(mr_json_scan *scan);
/* A whole array appended to `out` as int32_t or float. */
bool mr_json_ints(mr_json_scan *scan, mr_bytes *out);
bool mr_json_floats(mr_json_scan *scan, mr_bytes *out);
/* Nothing but blanks follows. */
bool mr_json_end(mr_json_scan *scan);

/* '{', '[', '"', a digit or '-' for numbers, 't', 'f', 'n'; 0 at the end. */
char mr_json_peek(mr_json_scan *scan);
/* Records a failure of the caller's own finding at the present place. Returns false. */
bool mr_json_fail(mr_json_scan *scan, mr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

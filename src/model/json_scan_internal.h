/* json_scan_internal.h -- the binary half of json_scan.h, and what both halves share. */
#ifndef MR_MODEL_JSON_SCAN_INTERNAL_H
#define MR_MODEL_JSON_SCAN_INTERNAL_H

#include "model/json_scan.h"

/* "... is expected, not ..." at the present place. Returns false. */
bool mr_json_fail_expected(mr_json_scan *scan, const char *what);

char mr_json_binary_peek(mr_json_scan *scan);
bool mr_json_binary_enter(mr_json_scan *scan, char bracket, const char *what);
bool mr_json_binary_member(mr_json_scan *scan, char bracket);
bool mr_json_binary_key(mr_json_scan *scan, const char **out_key);
bool mr_json_binary_string(mr_json_scan *scan, const char **out);
bool mr_json_binary_int(mr_json_scan *scan, int64_t *out);
bool mr_json_binary_float(mr_json_scan *scan, float *out);
bool mr_json_binary_skip(mr_json_scan *scan);

#endif

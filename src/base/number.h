/* number.h -- text to numbers and back: exact, fast, the same in every locale.
 *
 *   grammar .... [+-] digits                                      integers
 *                [+-] (digits [. [digits]] | . digits) [(e|E) [+-] digits]   floats
 * No blanks, no hexadecimal, no NaN or infinity: those words belong to the callers that allow them.
 * JSON's narrower grammar (no '+', no leading zeros, a digit on both sides of the point) is the
 * JSON decoder's.
 *
 * Floats are correctly rounded (to nearest, ties to even), float32 directly and not through a
 * double: Clinger's exact fast path (1990), then Eisel-Lemire (Lemire, "Number parsing at a
 * gigabyte per second", 2021), then strtod for the few texts where 128 bits do not decide (about
 * one in 10^12 at random, and texts of more than 19 digits that lie on a boundary). Formatting
 * gives the shortest text that reads back to the same bits, the closest one where several are as
 * short: Schubfach (Giulietti 2020). Both share one table of powers of ten in 128 bits. */
#ifndef MR_BASE_NUMBER_H
#define MR_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mr_number_result {
    MR_NUMBER_OK,
    MR_NUMBER_NONE,     /* no number at the start of the text, or it breaks off ("-", "1e+") */
    MR_NUMBER_OVERFLOW, /* a number, but too large for the type; *out is untouched */
} mr_number_result;

#define MR_NUMBER_TEXT_MAX 32 /* room that every mr_number_format_* needs */

/* Read the longest number at the start of `size` bytes. *out_used (nullable) is how many bytes
 * belong to it, or with MR_NUMBER_NONE where it went wrong. */
mr_number_result mr_number_parse_int64(const char *text, size_t size, int64_t *out,
                                       size_t *out_used);
mr_number_result mr_number_parse_float64(const char *text, size_t size, double *out,
                                         size_t *out_used);
mr_number_result mr_number_parse_float32(const char *text, size_t size, float *out,
                                         size_t *out_used);

/* The whole text is one number of that type, and nothing else. */
bool mr_number_is_int64(const char *text, size_t size, int64_t *out);
bool mr_number_is_float64(const char *text, size_t size, double *out);

/* Write without a terminator and return the number of bytes. NaN, Infinity and -Infinity are
 * written as these words. Integral doubles have no ".0": 12, -0, 1e+300. */
size_t mr_number_format_int64(int64_t value, char *out);
size_t mr_number_format_uint64(uint64_t value, char *out);
size_t mr_number_format_float64(double value, char *out);
size_t mr_number_format_float32(float value, char *out);

#endif

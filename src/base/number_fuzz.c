/* number_fuzz.c -- any text as a number and as a time: as strtod says, and back to the same bits. */
#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"
#include "test/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check_float(const char *text, size_t used, mr_number_result result, double value)
{
    char *end, out[MR_NUMBER_TEXT_MAX];
    double want = strtod(text, &end), back;
    MR_ASSERT((size_t)(end - text) == used);
    MR_ASSERT(result == (isinf(want) ? MR_NUMBER_OVERFLOW : MR_NUMBER_OK));
    if (result != MR_NUMBER_OK)
        return;
    MR_ASSERT(memcmp(&value, &want, sizeof value) == 0);
    MR_ASSERT(mr_number_is_float64(out, mr_number_format_float64(value, out), &back));
    MR_ASSERT(memcmp(&value, &back, sizeof value) == 0);
}

FUZZ(number)
{
    char text[2048], out[MR_TIME_TEXT_MAX];
    double value = 0;
    int64_t us, again;
    size_t used;
    if (size >= sizeof text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    mr_number_result result = mr_number_parse_float64(text, size, &value, &used);
    bool hexadecimal = size > 1 && strpbrk(text, "xX") != NULL;
    if (result != MR_NUMBER_NONE && !hexadecimal)
        check_float(text, used, result, value);
    if (mr_time_parse(text, size, false, &us, NULL, NULL)) {
        MR_ASSERT(mr_time_parse(out, mr_time_format(us, out), true, &again, NULL, NULL));
        MR_ASSERT(us == again);
    }
    (void)mr_time_parse_duration(text, size, &us, NULL);
    (void)mr_number_parse_int64(text, size, &us, NULL);
    return 0;
}

/* expr_time.c -- kernels of the calendar: UTC, proleptic Gregorian, ISO weeks. */
#include "data/expr_internal.h"

#include "base/time.h"

#define US_PER_MINUTE (60 * MR_TIME_US_PER_SECOND)
#define US_PER_HOUR   (60 * US_PER_MINUTE)

/* What is left above the last multiple of `unit`: never negative. */
static int64_t part_of(int64_t us, int64_t unit)
{
    int64_t left = us % unit;
    return left < 0 ? left + unit : left;
}

#define TIME_PART(name, expression)                                                                \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const int64_t *at = MR_ARG(0)->values;                                                     \
        int64_t *restrict to = MR_DST->values;                                                     \
        for (size_t i = 0; i < frame->rows; i++)                                                   \
            to[i] = (expression);                                                                  \
    }

TIME_PART(second, part_of(at[i], US_PER_MINUTE) / MR_TIME_US_PER_SECOND)
TIME_PART(minute, part_of(at[i], US_PER_HOUR) / US_PER_MINUTE)
TIME_PART(hour, part_of(at[i], MR_TIME_US_PER_DAY) / US_PER_HOUR)
TIME_PART(weekday, mr_time_weekday(at[i]))
TIME_PART(day, mr_time_civil(at[i]).day)
TIME_PART(month, mr_time_civil(at[i]).month)
TIME_PART(year, mr_time_civil(at[i]).year)
TIME_PART(date_trunc, mr_time_truncate(at[i], *(const mr_time_part *)step->aux))

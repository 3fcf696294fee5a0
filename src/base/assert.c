/* assert.c -- the end of a process that found its own mistake. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void mr_assert_failed(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "millrace: %s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

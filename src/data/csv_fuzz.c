/* csv_fuzz.c -- any bytes as CSV (see decoder_fuzz.h). */
#include "data/decoder_fuzz.h"
#include "test/fuzz.h"

FUZZ(csv)
{
    return fuzz_text(MR_FORMAT_CSV, data, size);
}

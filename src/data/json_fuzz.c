/* json_fuzz.c -- any bytes as JSON lines (see decoder_fuzz.h). */
#include "data/decoder_fuzz.h"
#include "test/fuzz.h"

FUZZ(json)
{
    return fuzz_text(MR_FORMAT_JSONL, data, size);
}

/* fuzz.h -- a fuzz target is one function that takes hostile bytes and must survive them.
 *
 *   FUZZ(csv) { decode(data, size); return 0; }      in src/data/csv_fuzz.c, seeds in test/corpus/csv/
 *
 * Under `make fuzz` it is libFuzzer's entry. In the unit tests it is the test csv.survives_its_corpus: every
 * file of the corpus, then some hundred seeded mutations of them. The input that kills it is written to
 * build/crash-csv. A target may also check properties, with MR_ASSERT. */
#ifndef MR_TEST_FUZZ_H
#define MR_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#ifdef MR_FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#define FUZZ(name) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)

#else

#include "test/test.h"

void mr_fuzz_replay(const char *name, int (*target)(const uint8_t *data, size_t size));

#define FUZZ(name)                                                                                 \
    static int fuzz_##name(const uint8_t *data, size_t size);                                      \
    TEST(name, survives_its_corpus)                                                                \
    {                                                                                              \
        mr_fuzz_replay(#name, fuzz_##name);                                                        \
    }                                                                                              \
    static int fuzz_##name(const uint8_t *data, size_t size)

#endif
#endif

/* pmml_symbols.h -- texts by number: each different text once. */
#ifndef MR_MODEL_PMML_SYMBOLS_H
#define MR_MODEL_PMML_SYMBOLS_H

#include "base/memory.h"

#define MR_PMML_NO_SYMBOL UINT32_MAX

typedef struct mr_pmml_symbols {
    mr_bytes texts;  /* terminated, behind each other */
    mr_bytes places; /* uint32_t: where symbol i begins; one more at the end */
    uint32_t *slots; /* open addressing, symbol + 1 */
    uint32_t slot_count, count;
} mr_pmml_symbols;

void mr_pmml_symbols_deinit(mr_pmml_symbols *symbols);
/* The text's number, given one when it is new. MR_PMML_NO_SYMBOL: no memory, or more than 2^31 of text. */
uint32_t mr_pmml_symbols_add(mr_pmml_symbols *symbols, const void *text, size_t size);
/* MR_PMML_NO_SYMBOL: not among them. */
uint32_t mr_pmml_symbols_find(const mr_pmml_symbols *symbols, const void *text, size_t size);
const char *mr_pmml_symbols_text(const mr_pmml_symbols *symbols, uint32_t symbol);
size_t mr_pmml_symbols_size(const mr_pmml_symbols *symbols, uint32_t symbol);

#endif

/* pmml_symbols.c -- texts by number, found by hash. */
#include "model/pmml_symbols.h"

#include "base/hash.h"

#include <string.h>

#define SLOTS_FIRST 256

void mr_pmml_symbols_deinit(mr_pmml_symbols *symbols)
{
    mr_bytes_deinit(&symbols->texts);
    mr_bytes_deinit(&symbols->places);
    mr_free(symbols->slots);
    *symbols = (mr_pmml_symbols){0};
}

static uint32_t place(const mr_pmml_symbols *symbols, uint32_t symbol)
{
    return ((const uint32_t *)(const void *)symbols->places.data)[symbol];
}

const char *mr_pmml_symbols_text(const mr_pmml_symbols *symbols, uint32_t symbol)
{
    return (const char *)symbols->texts.data + place(symbols, symbol);
}

size_t mr_pmml_symbols_size(const mr_pmml_symbols *symbols, uint32_t symbol)
{
    return place(symbols, symbol + 1) - place(symbols, symbol) - 1;
}

/* Where the text is, or the empty slot where it would go. */
static uint32_t *slot_of(const mr_pmml_symbols *symbols, const void *text, size_t size)
{
    uint32_t mask = symbols->slot_count - 1, at = (uint32_t)mr_hash64(text, size) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t found = symbols->slots[at];
        if (found == 0 || (mr_pmml_symbols_size(symbols, found - 1) == size &&
                           memcmp(mr_pmml_symbols_text(symbols, found - 1), text, size) == 0))
            return &symbols->slots[at];
    }
}

static bool grow(mr_pmml_symbols *symbols)
{
    uint32_t count = symbols->slot_count == 0 ? SLOTS_FIRST : symbols->slot_count * 2;
    uint32_t *slots = mr_alloc_zero(count, sizeof *slots);
    if (slots == NULL)
        return false;
    if (symbols->slot_count == 0)
        mr_bytes_append_u32(&symbols->places, 0);
    mr_free(symbols->slots);
    symbols->slots = slots;
    symbols->slot_count = count;
    for (uint32_t i = 0; i < symbols->count; i++)
        *slot_of(symbols, mr_pmml_symbols_text(symbols, i), mr_pmml_symbols_size(symbols, i)) =
            i + 1;
    return !symbols->places.failed;
}

uint32_t mr_pmml_symbols_add(mr_pmml_symbols *symbols, const void *text, size_t size)
{
    if (symbols->count * 2 >= symbols->slot_count && !grow(symbols))
        return MR_PMML_NO_SYMBOL;
    uint32_t *slot = slot_of(symbols, text, size);
    if (*slot != 0)
        return *slot - 1;
    if (symbols->texts.size + size >= (1u << 31))
        return MR_PMML_NO_SYMBOL;
    if (!mr_bytes_reserve(&symbols->texts, size + 1) || !mr_bytes_reserve(&symbols->places, 4))
        return MR_PMML_NO_SYMBOL;
    mr_bytes_append(&symbols->texts, text, size);
    mr_bytes_append_byte(&symbols->texts, 0);
    mr_bytes_append_u32(&symbols->places, (uint32_t)symbols->texts.size);
    *slot = ++symbols->count;
    return symbols->count - 1;
}

uint32_t mr_pmml_symbols_find(const mr_pmml_symbols *symbols, const void *text, size_t size)
{
    uint32_t found = symbols->slot_count == 0 ? 0 : *slot_of(symbols, text, size);
    return found == 0 ? MR_PMML_NO_SYMBOL : found - 1;
}

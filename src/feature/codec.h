/* codec.h -- what codec.c and codec_base.c share: numbers, texts and errors of a stored key. */
#ifndef MR_FEATURE_CODEC_H
#define MR_FEATURE_CODEC_H

#include "feature/feature_internal.h"

void codec_put_signed(mr_bytes *out, int64_t value); /* zigzag */
int64_t codec_get_signed(mr_reader *from);
/* Bits of a value: number or text. */
void codec_put_bits(mr_bytes *out, bool is_float, bool is_text, uint64_t bits);
mr_status codec_get_bits(mr_slot *slot, mr_reader *from, bool is_float, bool is_text, uint64_t *out,
                         mr_error *err);
mr_status codec_get_text(mr_slot *slot, mr_reader *from, feature_text **out, mr_error *err);
/* Tables in order of value. `counts` false: the values alone. More than `max` of them are refused. */
void codec_put_values(const mr_values *values, bool is_text, bool counts, mr_bytes *out);
mr_status codec_get_values(mr_slot *slot, mr_reader *from, bool is_text, bool counts, uint32_t max,
                           mr_values **values, mr_error *err);
void codec_put_sketch(const mr_sketch *sketch, mr_bytes *out);
mr_status codec_get_sketch(mr_slot *slot, mr_reader *from, uint32_t max, mr_sketch **sketch,
                           mr_error *err);
/* MR_REGISTER_COUNT ranks, lent by the reader. */
mr_status codec_get_ranks(mr_reader *from, const uint8_t **ranks, mr_error *err);
mr_status codec_corrupt(mr_error *err, const char *what);

#endif

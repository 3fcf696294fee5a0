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
mr_status codec_corrupt(mr_error *err, const char *what);

#endif

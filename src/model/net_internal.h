/* net_internal.h -- what the files of the tensor program share. */
#ifndef MR_MODEL_NET_INTERNAL_H
#define MR_MODEL_NET_INTERNAL_H

#include "model/net.h"

/* A product's operands: the inputs, then its bias, if any; `data` are the weights. */
#define MR_NET_PRODUCT_RELU 1u
bool mr_net_is_product(const mr_net_step *step); /* net_sums.c */

#endif

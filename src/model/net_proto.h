/* net_proto.h -- protobuf messages from hostile bytes, by protobuf-c and what it does not do itself.
 *
 * protobuf-c says only that a message is broken; here the bytes are walked first along the message's own description, so
 * that an error names the field and the byte. Memory is counted against a limit that follows from the size of the file
 * (an empty message of two bytes becomes a struct of a hundred). Our .proto files do not nest without end, so neither
 * does the walk. */
#ifndef MR_MODEL_NET_PROTO_H
#define MR_MODEL_NET_PROTO_H

#include "base/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

typedef struct mr_net_proto {
    ProtobufCMessage *message;
    ProtobufCAllocator allocator;
    uint64_t left; /* bytes it may still take */
    bool failed;   /* it asked for more, or there was none */
} mr_net_proto;

/* `name` is what errors call the file ("ONNX model"). */
mr_status mr_net_proto_open(mr_net_proto *proto, const ProtobufCMessageDescriptor *type,
                            const uint8_t *bytes, size_t size, const char *name, mr_error *err);
void mr_net_proto_close(mr_net_proto *proto); /* a zeroed struct is allowed */

/* Whether the bytes are fields with numbers [1, last], well framed, the first of them `first`. */
bool mr_net_proto_looks_like(const uint8_t *bytes, size_t size, uint32_t first, uint32_t last);

#endif

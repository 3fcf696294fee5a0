/* onnx_internal.h -- what the files of the ONNX reader share: a node with its inputs at hand, attributes, the table of
 * operators. */
#ifndef MR_MODEL_ONNX_INTERNAL_H
#define MR_MODEL_ONNX_INTERNAL_H

#include "model/net.h"

#include "onnx.pb-c.h"

#define MR_ONNX_INPUTS_MAX  4096
#define MR_ONNX_OUTPUTS_MAX 64

typedef struct mr_onnx_operator mr_onnx_operator;

typedef struct mr_onnx_node {
    const MrOnnx__NodeProto *proto;
    const mr_onnx_operator *operator;
    int64_t opset; /* of the operator's domain, as the model imports it */
    mr_net *net;
    const mr_tensor **in; /* NULL: an optional input that is not given */
    uint32_t in_count;
    mr_tensor *out;
    uint32_t out_count; /* that someone names */
} mr_onnx_node;

/* To add an operator: a row in the table of its file. */
struct mr_onnx_operator {
    const char *name;
    uint32_t in_min, in_max, out_max;
    const char *attributes; /* "axis,keepdims": all that it may have; any other is refused */
    mr_status (*build)(mr_onnx_node *node, mr_error *err);
    uint32_t what; /* which of several that share `build` */
};

/* Ended by a NULL name. */
extern const mr_onnx_operator mr_onnx_math[];  /* onnx_math.c */
extern const mr_onnx_operator mr_onnx_shape[]; /* onnx_shape.c */
extern const mr_onnx_operator mr_onnx_prep[];  /* onnx_prep.c: ai.onnx.ml */
extern const mr_onnx_operator mr_onnx_score[]; /* onnx_score.c: ai.onnx.ml */
extern const mr_onnx_operator mr_onnx_trees[]; /* onnx_trees.c: ai.onnx.ml */

/* ---- attributes ---- */

const MrOnnx__AttributeProto *mr_onnx_attribute(const mr_onnx_node *node, const char *name);
int64_t mr_onnx_int(const mr_onnx_node *node, const char *name, int64_t otherwise);
float mr_onnx_float(const mr_onnx_node *node, const char *name, float otherwise);
/* Whether a text attribute is `text`; not given: whether `otherwise` is. */
bool mr_onnx_is(const mr_onnx_node *node, const char *name, const char *text,
                const char *otherwise);
/* Lists; not given: none. */
size_t mr_onnx_floats(const mr_onnx_node *node, const char *name, const float **out);
size_t mr_onnx_ints(const mr_onnx_node *node, const char *name, const int64_t **out);
/* Texts, copied to where the program lives. */
mr_status mr_onnx_texts(mr_onnx_node *node, const char *name, mr_text **out, uint32_t *out_count,
                        mr_error *err);
/* Whole numbers from input `index` (newer opsets) or from the attribute; *out_count 0 when neither is there. */
mr_status mr_onnx_integers(mr_onnx_node *node, uint32_t index, const char *name, int64_t **out,
                           size_t *out_count, mr_error *err);
bool mr_onnx_has_input(const mr_onnx_node *node, uint32_t index);

/* ---- types and tensors ---- */

mr_status mr_onnx_type(int32_t data_type, mr_tensor_type *out, mr_error *err);
/* The constants of a TensorProto. */
mr_status mr_onnx_tensor(mr_net *net, const MrOnnx__TensorProto *proto, mr_tensor *out,
                         mr_error *err);
/* Its numbers as doubles (in the building arena). */
mr_status mr_onnx_doubles(mr_onnx_node *node, const char *name, const double **out,
                          size_t *out_count, mr_error *err);
/* The label a classifier gives: the class at `index`, from classlabels_strings or classlabels_int64s (or `ints`). */
mr_status mr_onnx_label(mr_onnx_node *node, const mr_tensor *index, const char *ints,
                        uint32_t class_count, mr_tensor *out, mr_error *err);
/* NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT over [N, classes]. */
mr_status mr_onnx_transform(mr_onnx_node *node, const mr_tensor *scores, mr_tensor *out,
                            mr_error *err);

/* The same by name. */
mr_status mr_onnx_apply(mr_onnx_node *node, const char *name, const mr_tensor *scores,
                        mr_tensor *out, mr_error *err);

/* ---- graphs ---- */

mr_status mr_onnx_open(const uint8_t *bytes, size_t size, const mr_model_options *options,
                       mr_model **out, mr_error *err);

#endif

/* net.h -- a graph as a flat program over columns: what ONNX and TensorFlow files become.
 *
 *   reader -> mr_net_* (emits steps, folds constants) -> mr_net_finish (plans the memory) -> mr_net_run, a block of rows
 *
 * A *buffer* is a run of columns of one type that lie together: column c of a block of R rows is at
 * offset + c * R * bytes. So for many rows a column is a vector over the rows, and for one row a buffer is a vector
 * over the columns: the same loops serve both. A *step* reads up to three operands and writes one, always whole columns.
 *
 * (1) A column is written by one step, before any step reads it; the memory plan shares bytes between buffers whose
 *     lives do not overlap.
 * (2) A value depends on its own row only, and on no cut: every kernel computes the same bits for one row as for many,
 *     and on every processor. Dot products are chains of fused multiply-adds in the order of the inputs, from 0; what
 *     has no fused multiply-add gets it from the C library.
 * (3) Running allocates nothing and cannot fail; rows without an answer (a NULL that no number stands for, a category
 *     nobody knows) are marked in `abstain`.
 * Thread: built by one, run by any with their own memory. */
#ifndef MR_MODEL_NET_H
#define MR_MODEL_NET_H

#include "model/tensor.h"

#include "model/model.h"

#define MR_NET_ROWS_MAX    512
#define MR_NET_COLUMNS_MAX (1u << 22)
#define MR_NET_STEPS_MAX   (1u << 20)

/* What is computed element by element. Arguments a, b, c; p and q are numbers of the step.
 *   X(NAME, arguments) */
#define MR_NET_MAPS(X)                                                                             \
    X(COPY, 1)                                                                                     \
    X(NEG, 1)                                                                                      \
    X(ABS, 1)                                                                                      \
    X(SIGN, 1)                                                                                     \
    X(SQRT, 1)                                                                                     \
    X(EXP, 1)                                                                                      \
    X(LOG, 1)                                                                                      \
    X(FLOOR, 1)                                                                                    \
    X(CEIL, 1)                                                                                     \
    X(ROUND, 1)                                                                                    \
    X(RECIPROCAL, 1)                                                                               \
    X(SIGMOID, 1)                                                                                  \
    X(LOGISTIC, 1)                                                                                 \
    X(TANH, 1)                                                                                     \
    X(RELU, 1)                                                                                     \
    X(LEAKY_RELU, 1)                                                                               \
    X(ELU, 1)                                                                                      \
    X(SELU, 1)                                                                                     \
    X(HARD_SIGMOID, 1)                                                                             \
    X(SOFTPLUS, 1)                                                                                 \
    X(SOFTSIGN, 1)                                                                                 \
    X(ERF, 1)                                                                                      \
    X(PROBIT, 1)                                                                                   \
    X(NOT, 1)                                                                                      \
    X(IS_NAN, 1)                                                                                   \
    X(ADD, 2)                                                                                      \
    X(SUB, 2)                                                                                      \
    X(MUL, 2)                                                                                      \
    X(DIV, 2)                                                                                      \
    X(POW, 2)                                                                                      \
    X(MAX, 2)                                                                                      \
    X(MIN, 2)                                                                                      \
    X(EQUAL, 2)                                                                                    \
    X(LESS, 2)                                                                                     \
    X(LESS_EQUAL, 2)                                                                               \
    X(AND, 2)                                                                                      \
    X(OR, 2)                                                                                       \
    X(XOR, 2)                                                                                      \
    X(WHERE, 3)

typedef enum mr_net_map {
#define X(name, arguments) MR_NET_##name,
    MR_NET_MAPS(X)
#undef X
        MR_NET_MAP_COUNT
} mr_net_map;

typedef enum mr_net_reduction {
    MR_NET_SUM,
    MR_NET_MEAN,
    MR_NET_GREATEST,
    MR_NET_LEAST,
    MR_NET_PRODUCT,
    MR_NET_SUM_ABS,     /* L1 */
    MR_NET_SUM_SQUARES, /* its root is L2 */
    MR_NET_LOG_SUM_EXP,
    MR_NET_REDUCTIONS,
} mr_net_reduction;

/* ---- kernels ---- */

/* a, b, c: arrays of n, or with the bit of `scalars` (1, 2, 4) one value for all. */
typedef void (*mr_net_map_kernel)(void *out, const void *a, const void *b, const void *c, size_t n,
                                  unsigned scalars, double p, double q);
/* out[j][r] = chain over i of fma(x[i][r], w[i * n + j]), + bias[j], and 0 if negative with `relu`. */
typedef void (*mr_net_product_kernel)(void *out, const void *x, size_t rows, uint32_t k, uint32_t n,
                                      const void *weights, const void *bias, bool relu);
typedef void (*mr_net_softmax_kernel)(void *out, const void *a, size_t rows, uint32_t groups,
                                      uint32_t inner, bool log, bool zero);
typedef void (*mr_net_reduce_kernel)(void *out, const void *a, size_t rows, uint32_t groups,
                                     uint32_t inner, mr_net_reduction how);

/* ---- steps ---- */

typedef struct mr_net mr_net;
typedef struct mr_net_kernels mr_net_kernels;
typedef struct mr_net_step mr_net_step;

/* Where an operand's values are. */
typedef struct mr_net_operand {
    const void *constant; /* values; NULL: columns */
    uint32_t buffer, first;
    uint32_t count; /* columns; 0: no operand */
    uint32_t step;  /* 1: one column after the other; 0: the same one for all */
    uint32_t bytes; /* of a value */
    size_t offset;  /* of the buffer, planned */
} mr_net_operand;

typedef struct mr_net_frame {
    uint8_t *memory;
    size_t rows;      /* of this block */
    uint8_t *abstain; /* per row */
    uint8_t *work;    /* of the step's own scratch */
} mr_net_frame;

struct mr_net_step {
    void (*run)(const mr_net_step *step, const mr_net_frame *frame);
    union { /* the loop that `run` calls */
        mr_net_map_kernel kernel;
        mr_net_product_kernel product;
        mr_net_reduce_kernel reduce;
        mr_net_softmax_kernel softmax;
    };
    mr_net_map map; /* of maps; else MR_NET_COPY */
    mr_net_operand out, in[3];
    uint32_t inner;     /* size of a group, or the inputs of a product */
    uint32_t flags;     /* of the step's own */
    double p, q;        /* numbers of a map */
    const void *data;   /* weights, tables, forests: kept by the net */
    size_t work_bytes;  /* its own scratch */
    size_t work_offset; /* planned */
};

/* Of column `c` of an operand that is columns. */
static inline void *mr_net_at(const mr_net_operand *operand, const mr_net_frame *frame, size_t c)
{
    return frame->memory + operand->offset +
           (operand->first + c * operand->step) * frame->rows * operand->bytes;
}

/* ---- building ---- */

struct mr_net {
    mr_arena keep;       /* lives with the program */
    mr_arena temp;       /* until mr_net_seal */
    mr_tensor_pool pool; /* in temp */
    mr_bytes constants;  /* uint64_t bits; texts: index */
    mr_bytes texts;      /* mr_text */
    mr_bytes columns;    /* buffer of each, uint32_t */
    mr_bytes buffers;    /* mr_net_buffer */
    mr_bytes steps;      /* mr_net_step */
    bool abstains;       /* some step may mark rows */
    uint32_t block_rows; /* at most so many at once */
    size_t memory_bytes; /* of a frame: buffers, abstain, work */
    size_t abstain_offset;
    const mr_net_kernels *kernels;
    const mr_model_kind *tree_kind; /* whose settings forests are chosen by */
    const mr_setting *settings;     /* lent while it is built */
    size_t setting_count;
};

typedef struct mr_net_buffer {
    mr_tensor_type type;
    uint32_t first, count; /* columns */
    uint32_t born, dies;   /* steps; dies UINT32_MAX: at the end */
    size_t offset;         /* planned */
} mr_net_buffer;

/* file_bytes bounds what may be built from it. */
mr_status mr_net_init(mr_net *net, uint64_t file_bytes, const char *cpu_max, mr_error *err);
void mr_net_deinit(mr_net *net);

/* Columns that lie together, `*out` the first. */
mr_status mr_net_columns(mr_net *net, mr_tensor_type type, uint32_t count, uint32_t *out,
                         mr_error *err);
/* A tensor of new columns. */
mr_status mr_net_fresh(mr_net *net, mr_tensor_type type, uint32_t rank, const uint32_t *dims,
                       int32_t batch, mr_tensor *out, mr_error *err);

/* Constants: the value is read from memory of that type. */
mr_status mr_net_constant(mr_net *net, mr_tensor_type type, const void *value, uint32_t *out,
                          mr_error *err);
/* A tensor of `values`, row-major. Texts are not copied: they must live as long as the net. */
mr_status mr_net_constants(mr_net *net, mr_tensor_type type, uint32_t rank, const uint32_t *dims,
                           const void *values, mr_tensor *out, mr_error *err);
/* Copies the value of a constant element to memory of the type. */
void mr_net_value(const mr_net *net, mr_tensor_type type, uint32_t element, void *out);
/* All elements as an array in `keep`; they are constants. Constant 0 (rows) only with int64: MR_TENSOR_SIZE_ROWS. */
mr_status mr_net_values(mr_net *net, const mr_tensor *tensor, void **out, mr_error *err);
/* A constant whole number or several. */
mr_status mr_net_integers(mr_net *net, const mr_tensor *tensor, int64_t **out, mr_error *err);

/* Appends a step; operands by mr_net_operand_of. Work bytes are rounded. */
mr_status mr_net_emit(mr_net *net, const mr_net_step *step, mr_error *err);
/* Operand of elements that lie together (or are all constants, or all the same): else they are copied first. */
mr_status mr_net_together(mr_net *net, mr_tensor_type type, const uint32_t *elements,
                          uint32_t count, bool columns_only, mr_net_operand *out, mr_error *err);
mr_net_operand mr_net_columns_operand(const mr_net *net, uint32_t first, uint32_t count);

/* The values of a tensor with a table, and of any other itself. */
mr_status mr_net_plain(mr_net *net, mr_tensor *tensor, mr_error *err);
/* Values of a list (int64, string, ...; count of them; copied, texts are not) by an index. Rows whose index is out of range
 * abstain. */
mr_status mr_net_tabled(mr_net *net, const mr_tensor *index, mr_tensor_type type, uint32_t count,
                        const void *values, mr_tensor *out, mr_error *err);
/* An index below `count` as a number of the list 0, 1, 2, ...: a class without a name of its own. */
mr_status mr_net_numbered(mr_net *net, const mr_tensor *index, uint32_t count, mr_tensor *out,
                          mr_error *err);

/* ---- operators; constants are folded ---- */

mr_status mr_net_unary(mr_net *net, mr_net_map map, const mr_tensor *a, double p, double q,
                       mr_tensor *out, mr_error *err);
mr_status mr_net_binary(mr_net *net, mr_net_map map, const mr_tensor *a, const mr_tensor *b,
                        mr_tensor *out, mr_error *err);
mr_status mr_net_where(mr_net *net, const mr_tensor *condition, const mr_tensor *a,
                       const mr_tensor *b, mr_tensor *out, mr_error *err);
mr_status mr_net_cast(mr_net *net, const mr_tensor *a, mr_tensor_type to, mr_tensor *out,
                      mr_error *err);
/* A tensor of one constant number of the type. */
mr_status mr_net_number(mr_net *net, mr_tensor_type type, double value, mr_tensor *out,
                        mr_error *err);
/* a: [.., k] with rows; weights: k x n constants, row-major, of a's type (float32 or float64); bias: n, or NULL. */
mr_status mr_net_product(mr_net *net, const mr_tensor *a, const void *weights, uint32_t n,
                         const void *bias, mr_tensor *out, mr_error *err);
mr_status mr_net_reduce(mr_net *net, mr_net_reduction how, const mr_tensor *a, uint32_t axes,
                        bool keep, mr_tensor *out, mr_error *err);
mr_status mr_net_softmax(mr_net *net, const mr_tensor *a, uint32_t axes, bool log, bool zero,
                         mr_tensor *out, mr_error *err);
/* Index of the greatest (least) along an axis. */
mr_status mr_net_arg(mr_net *net, const mr_tensor *a, uint32_t axis, bool least, bool last,
                     bool keep, mr_tensor *out, mr_error *err);
/* The `count` greatest (least) along an axis, and their indices. */
mr_status mr_net_top(mr_net *net, const mr_tensor *a, uint32_t axis, uint32_t count, bool least,
                     mr_tensor *out_values, mr_tensor *out_indices, mr_error *err);
/* Element index[..] of a along an axis, the index being a value of the row. */
mr_status mr_net_pick(mr_net *net, const mr_tensor *a, uint32_t axis, const mr_tensor *index,
                      mr_tensor *out, mr_error *err);
/* keys -> position in `known` (first wins), or `otherwise`; when that is -1 the row abstains. NaN is equal to NaN. */
mr_status mr_net_find(mr_net *net, const mr_tensor *keys, const void *known, uint32_t count,
                      int64_t otherwise, mr_tensor *out, mr_error *err);
/* Row r abstains where `bad` says so. */
mr_status mr_net_abstain(mr_net *net, const mr_tensor *bad, mr_error *err);

/* ---- the program ---- */

/* Plans memory; `results` are tensors whose columns live to the end. */
mr_status mr_net_finish(mr_net *net, const mr_tensor *const *results, size_t count, mr_error *err);
/* Frees what only building needs. */
void mr_net_seal(mr_net *net);
/* Where column values of this block go or come from. */
void *mr_net_column(const mr_net *net, uint32_t column, const mr_net_frame *frame);
void mr_net_run(const mr_net *net, const mr_net_frame *frame);
mr_net_frame mr_net_frame_of(const mr_net *net, uint8_t *memory, size_t rows);

/* One table for each set of instructions: the same code, compiled again. NULL: there is no such operator. */
struct mr_net_kernels {
    const char *name;
    bool (*runs_here)(void); /* NULL: everywhere */
    mr_net_map_kernel maps[MR_NET_MAP_COUNT][MR_TENSOR_TYPES];
    mr_net_map_kernel casts[MR_TENSOR_TYPES][MR_TENSOR_TYPES]; /* [from][to] */
    mr_net_product_kernel product32, product64;
    mr_net_softmax_kernel softmax32, softmax64;
    mr_net_reduce_kernel reduce32, reduce64;
};

extern const mr_net_kernels mr_net_kernels_plain; /* net_lanes.c */
#if defined(__x86_64__)
extern const mr_net_kernels mr_net_kernels_avx2;   /* net_lanes_avx2.c */
extern const mr_net_kernels mr_net_kernels_avx512; /* net_lanes_avx512.c */
#endif
const mr_net_kernels *mr_net_kernels_best(const char *cpu_max);

#endif

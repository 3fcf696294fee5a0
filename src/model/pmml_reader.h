/* pmml_reader.h -- compiling a PMML file: what the parts of the compiler share.
 *
 * The reader remembers its first failure: every function returns false from then on, and the message names the element
 * and its place. What a field name means depends on where it stands (data field, derived field, output of an earlier
 * segment); `bound` says what it means now, and leaving a model undoes what the model bound. */
#ifndef MR_MODEL_PMML_READER_H
#define MR_MODEL_PMML_READER_H

#include "model/pmml_program.h"
#include "model/pmml_xml.h"

/* A field as expressions and predicates see it. */
typedef struct mr_pmml_field {
    uint32_t slot; /* MR_PMML_NONE: known, but its value cannot be had (`why`) */
    uint32_t data; /* the DataField's element; MR_XML_NONE: derived */
    uint8_t type;
    bool ordinal;
    const char *why;
} mr_pmml_field;

/* What a model is compiled for. */
typedef struct mr_pmml_frame {
    const char *target;    /* name of the target field, NULL */
    mr_pmml_range classes; /* symbols in indexes[]: of a classification */
} mr_pmml_frame;

typedef struct mr_pmml_reader {
    mr_xml xml;
    mr_pmml *program;
    mr_error *err;
    mr_status status;
    mr_bytes bound;           /* uint32_t per symbol: field + 1, 0: not a field here */
    mr_bytes fields;          /* mr_pmml_field */
    mr_bytes undo;            /* uint32_t pairs: symbol, what it was bound to */
    mr_bytes functions;       /* uint32_t per symbol: DefineFunction element, 0: none */
    mr_bytes data;            /* uint32_t per symbol: DataField element, 0: none */
    mr_bytes stack;           /* uint32_t: lists in the making */
    uint32_t transformations; /* element */
    uint32_t nesting;
} mr_pmml_reader;

/* "<Name> at line:column: ..."; false. */
bool mr_pmml_fail(mr_pmml_reader *r, uint32_t element, mr_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The element is known and not supported here. */
bool mr_pmml_refuse(mr_pmml_reader *r, uint32_t element);
bool mr_pmml_out_of_memory(mr_pmml_reader *r);

/* ---- elements ---- */

#define MR_PMML_EACH(r, child, element)                                                            \
    for (uint32_t child = mr_xml_child(&(r)->xml, (element)); child != MR_XML_NONE;                \
         child = mr_xml_next(&(r)->xml, child))

bool mr_pmml_is(const mr_pmml_reader *r, uint32_t element, const char *name);
const char *mr_pmml_get(const mr_pmml_reader *r, uint32_t element, const char *attribute);
/* The attribute must be there. */
bool mr_pmml_need(mr_pmml_reader *r, uint32_t element, const char *attribute, const char **out);
/* A number (also INF, -INF, Infinity; not NaN); absent: `initial`. */
bool mr_pmml_number(mr_pmml_reader *r, uint32_t element, const char *attribute, double initial,
                    double *out);
bool mr_pmml_need_number(mr_pmml_reader *r, uint32_t element, const char *attribute, double *out);
/* One of the words of a list ended by NULL, as its index; absent: `initial`. */
bool mr_pmml_choice(mr_pmml_reader *r, uint32_t element, const char *attribute,
                    const char *const *words, int initial, uint8_t *out);
bool mr_pmml_parse_number(const char *text, double *out);

/* ---- records ---- */

/* A zeroed record behind the others; NULL after a failure. Valid until the next push to the same list. */
void *mr_pmml_push(mr_pmml_reader *r, mr_bytes *list, size_t bytes);
#define MR_PMML_PUSH(r, list, type)  ((type *)mr_pmml_push((r), &(r)->program->list, sizeof(type)))
#define MR_PMML_AT(r, list, type, i) (&((type *)(void *)(r)->program->list.data)[i])
bool mr_pmml_add_number(mr_pmml_reader *r, double number);
bool mr_pmml_add_index(mr_pmml_reader *r, uint32_t index);
uint32_t mr_pmml_number_count(const mr_pmml_reader *r);
uint32_t mr_pmml_index_count(const mr_pmml_reader *r);
/* A list in the making on the stack becomes indexes[]: `from` is the stack's size before it. */
bool mr_pmml_stack_push(mr_pmml_reader *r, uint32_t value);
bool mr_pmml_stack_take(mr_pmml_reader *r, size_t from, mr_pmml_range *out);
/* A symbol of the text; MR_PMML_NO_SYMBOL after a failure. */
uint32_t mr_pmml_symbol(mr_pmml_reader *r, const char *text);
uint32_t mr_pmml_slot(mr_pmml_reader *r, uint32_t element); /* a new one; MR_PMML_NONE */
uint32_t mr_pmml_result(mr_pmml_reader *r, uint32_t count);
/* Nesting of what is compiled by recursion: enter before, leave after. */
bool mr_pmml_enter(mr_pmml_reader *r, uint32_t element);
void mr_pmml_leave(mr_pmml_reader *r);

/* ---- fields (pmml_fields.c) ---- */

bool mr_pmml_read_type(mr_pmml_reader *r, uint32_t element, const char *attribute, uint8_t initial,
                       uint8_t *out);
/* A text of the file as a value of that type. */
bool mr_pmml_read_value(mr_pmml_reader *r, uint32_t element, const char *text, uint8_t type,
                        double *out);
bool mr_pmml_bind(mr_pmml_reader *r, const char *name, const mr_pmml_field *field);
/* What the name means here; NULL: nothing. */
const mr_pmml_field *mr_pmml_lookup(mr_pmml_reader *r, const char *name);
/* As lookup, of the element's attribute: it must be a field with a value. Lent until the next bind. */
bool mr_pmml_field_of(mr_pmml_reader *r, uint32_t element, const char *attribute,
                      mr_pmml_field *out);
size_t mr_pmml_bound_mark(const mr_pmml_reader *r);
void mr_pmml_bound_undo(mr_pmml_reader *r, size_t mark);
/* A number per symbol, 0 at first; NULL: no memory. Lent until the next call. */
uint32_t *mr_pmml_map_at(mr_pmml_reader *r, mr_bytes *map, uint32_t symbol);
uint32_t mr_pmml_map_find(const mr_pmml_reader *r, const mr_bytes *map, const char *name);
bool mr_pmml_read_dictionary(mr_pmml_reader *r, uint32_t element);
/* The fields of a model's MiningSchema: inputs of the top model, treatments. Steps are pushed. */
bool mr_pmml_read_schema(mr_pmml_reader *r, uint32_t model, bool is_top, const char **out_target);
bool mr_pmml_read_interval(mr_pmml_reader *r, uint32_t element, mr_pmml_interval *out);
void mr_pmml_sort_numbers(mr_pmml_reader *r, mr_pmml_range range);
/* Tokens of an Array element as values: pushed to numbers[], ascending. */
bool mr_pmml_read_array(mr_pmml_reader *r, uint32_t element, uint8_t type, mr_pmml_range *out);

/* ---- expressions (pmml_compile.c, pmml_function.c) ---- */

bool mr_pmml_is_expression(const mr_pmml_reader *r, uint32_t element);
/* `hint`: type of a constant that says none; -1: guessed from its text. */
bool mr_pmml_read_expression(mr_pmml_reader *r, uint32_t element, int hint, uint32_t *out);
/* The first expression among the children. */
bool mr_pmml_read_inner(mr_pmml_reader *r, uint32_t element, int hint, uint32_t *out);
/* The LinearNorms of a NormContinuous as pairs in numbers[]. */
bool mr_pmml_read_points(mr_pmml_reader *r, uint32_t element, mr_pmml_range *out);
/* Wraps it in a conversion when the types differ. */
bool mr_pmml_read_cast(mr_pmml_reader *r, uint32_t *expression, uint8_t type);
/* DerivedFields of TransformationDictionary or LocalTransformations: bound, steps pushed. */
bool mr_pmml_read_derived(mr_pmml_reader *r, uint32_t element);
bool mr_pmml_read_functions(mr_pmml_reader *r, uint32_t element);
/* An Apply of a built-in function. */
bool mr_pmml_read_apply(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out);

bool mr_pmml_is_predicate(const mr_pmml_reader *r, uint32_t element);
/* The first predicate among the children. */
bool mr_pmml_find_predicate(mr_pmml_reader *r, uint32_t element, uint32_t *out);
bool mr_pmml_read_predicate(mr_pmml_reader *r, uint32_t element, uint32_t *out);
/* Whether it is `x > at`, or its opposite, exactly. */
bool mr_pmml_predicate_level(const mr_pmml_predicate *p, double *at, bool *when_above);
bool mr_pmml_predicate_constant(const mr_pmml_predicate *p, bool *out);
/* Exactly one of both is true of any value that is there. */
bool mr_pmml_predicate_opposite(const mr_pmml_predicate *a, const mr_pmml_predicate *b);

/* ---- models ---- */

/* Whether the element is a model, of a kind we read or not. */
bool mr_pmml_is_model(const mr_pmml_reader *r, uint32_t element);
bool mr_pmml_read_model(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *outer,
                        uint32_t *out);
/* Index of a class among the frame's, by its text. */
bool mr_pmml_class_of(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                      const char *text, uint32_t *out);
/* The parts of one type: `model` is the record in the making; it does not move meanwhile. */
bool mr_pmml_read_tree(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                       mr_pmml_model *model);
/* Of the strategies that follow all branches (pmml_branches.c). */
bool mr_pmml_read_branches(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                           mr_pmml_model *model, uint32_t *out);
/* What a node says when a walk ends there. */
bool mr_pmml_read_leaf(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                       const mr_pmml_model *model, uint32_t *out);
bool mr_pmml_read_mining(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                         mr_pmml_model *model);
bool mr_pmml_read_regression(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                             mr_pmml_model *model);
bool mr_pmml_read_general(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model);
bool mr_pmml_read_network(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model);
bool mr_pmml_read_targets(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model);
bool mr_pmml_read_outputs(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model);

#endif

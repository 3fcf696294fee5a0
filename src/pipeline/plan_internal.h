/* plan_internal.h -- the compiled plan, as the siblings of this room see it.
 *
 *   frame .... the columns of one decided row, in the order in which the stages make them:
 *
 *     | on source: schema | its derive | early derive | features ... | late derive | score | decide | evidence |
 *
 * An expression compiled against the first n columns of a frame may be evaluated whenever those are there:
 * columns are only ever added behind. (1) A plan never changes after it was compiled and is shared by count. */
#ifndef MR_PIPELINE_PLAN_INTERNAL_H
#define MR_PIPELINE_PLAN_INTERNAL_H

#include "data/decoder.h"
#include "data/expr.h"
#include "feature/view.h"
#include "log/log.h"
#include "model/reasons.h"
#include "model/results.h"
#include "pipeline/models.h"
#include "pipeline/pipeline.h"
#include "pipeline/spec.h"

/* One computed column of a frame. */
typedef struct plan_column {
    const char *name;
    uint32_t index; /* in the frame */
    mr_expr *expr;
} plan_column;

typedef struct plan_columns {
    plan_column *items;
    size_t count;
} plan_columns;

typedef struct plan_source {
    const char *name;
    const char *topic; /* full name, or NULL */
    const char *const *files;
    size_t file_count;
    mr_text_format format;
    const mr_rename *renames;
    size_t rename_count;
    mr_schema *schema;   /* as read */
    uint32_t event_time; /* column */
    mr_expr *check;      /* NULL: none */
    mr_expr *filter;
    plan_columns derive;
    mr_schema *frame; /* schema + derive */
    int64_t idle_us;
    mr_log_start start;
} plan_source;

/* A value the plan computes for a view: an expression over a source's frame, evaluated once per batch. */
typedef struct plan_input {
    mr_expr *expr;
    const char *text; /* canonical */
} plan_input;

typedef struct plan_view {
    const char *name;
    uint32_t source; /* index of the source that feeds it */
    bool self;       /* the source is the `on` source: every row updates and reads */
    mr_view_spec spec;
    uint32_t *key_columns;    /* in the source's frame */
    uint32_t *lookup_columns; /* in the `on` frame */
    plan_input *inputs;
    size_t input_count;
    plan_input *wheres;
    size_t where_count;
    uint32_t first_output; /* column of the frame */
    uint32_t output_count;
    mr_field *outputs; /* their names and types */
    const char *text;  /* the view's own account of itself; part of the plan's hash */
} plan_view;

/* Why a record was scored so: a column of texts. */
typedef struct plan_reasons {
    mr_reasons_options options;
    double score_min, score_max; /* of the records that get them */
    uint32_t column;             /* of the frame */
} plan_reasons;

typedef struct plan_score {
    const char *path; /* a file or folder; NULL: the model is named */
    const char *
        reference; /* "fraud@champion", which may stand for another version tomorrow; NULL: a file */
    uint64_t content_hash; /* of a file's bytes */
    mr_model *
        model; /* what the plan was compiled with: it says what results look like. NULL: the plan scores nothing */
    mr_spec_pairs inputs;    /* model input: column */
    mr_spec_rollout rollout; /* as declared */
    bool margin;
    const char *output;
    mr_field *results; /* of the model, from first_output on */
    uint32_t result_count;
    uint32_t first_output;
    uint32_t
        output_count; /* results; of a named model also its version and role; last the reasons */
    plan_reasons *reasons; /* NULL: none are asked for */
} plan_score;

/* What a decision keeps beside its columns; see evidence_columns.c. */
typedef struct plan_evidence {
    bool full;
    uint32_t first_output; /* of the frame, behind `decide` */
    plan_columns rules;
} plan_evidence;

typedef struct plan_sink {
    const char *topic; /* full name */
    mr_expr *when;     /* NULL: every row */
    uint32_t *columns; /* of the frame */
    uint32_t column_count;
    mr_schema *schema;
    mr_log_sync sync;
    uint32_t sync_interval_ms;
    mr_log_codec codec;
    const char *event_time; /* of the topic when it is created; NULL: none */
} plan_sink;

/* A window that emits rows when the watermark passes; see emit.h. */
typedef struct plan_emit {
    const char *name;
    uint32_t source;
    bool session;
    int64_t width_us, hop_us; /* tumbling: equal */
    int64_t gap_us;
    int64_t lateness_us;
    mr_expr *where;
    plan_view view; /* keys: the columns of `key`, and the window's start unless it is a session */
    uint32_t key_count; /* columns of `key` */
    mr_schema *frame;   /* key columns, window_start, window_end, aggregates */
    uint32_t
        value_count; /* aggregates of the user; a session's view has two more, its first and last time */
    plan_sink sink;
} plan_emit;

struct mr_plan {
    _Atomic uint32_t owners;
    mr_arena arena; /* of everything below but the objects that are released one by one */
    const char *name;
    const char *file;
    uint64_t hash;
    plan_source sources[MR_SOURCES_MAX];
    size_t source_count;
    uint32_t on;
    mr_expr *filter; /* on the frame after early derives */
    plan_columns early;
    plan_view views[MR_VIEWS_MAX];
    size_t view_count;
    plan_columns late;
    plan_score score;
    plan_columns decide;
    plan_evidence evidence;
    mr_schema *frame;
    plan_sink sinks[MR_SINKS_MAX + 1]; /* the main one first, when there is one */
    size_t sink_count;
    bool has_main_sink;
    const char *dead_letters; /* topic, full name */
    plan_emit *emits;
    size_t emit_count;
};

/* While a plan is being compiled. */
typedef struct plan_maker {
    mr_plan *plan;
    const mr_spec *spec;
    mr_fs *fs;
    mr_log *log;       /* may be NULL */
    mr_models *models; /* may be NULL */
    const char *folder;
    mr_arena *arena; /* the plan's */
    mr_error *err;
    mr_field fields[MR_FIELDS_MAX]; /* of the frame as it grows */
    size_t field_count;
} plan_maker;

/* ---- plan_source.c ---- */
mr_status plan_make_sources(plan_maker *maker);
void plan_release_source(plan_source *source);
/* ---- plan_view.c ---- */
mr_status plan_make_views(plan_maker *maker);
void plan_release_view(plan_view *view);
mr_status plan_find_source(plan_maker *maker, const mr_spec_text *name, uint32_t *out);
/* A view that belongs to an emitting window: its outputs are not columns of the main frame. */
mr_status plan_make_emit_view(plan_maker *maker, const mr_spec_view *from, uint32_t source,
                              const mr_schema *frame, bool window_key, plan_view *view);
/* ---- plan_emit.c ---- */
mr_status plan_make_emits(plan_maker *maker);
void plan_release_emits(mr_plan *plan);
/* ---- plan_sink.c ---- */
mr_status plan_make_sinks(plan_maker *maker);
/* Refuses a topic that this plan reads or writes already. */
mr_status plan_check_topic_free(plan_maker *maker, const mr_spec_text *where, const char *topic);
/* One sink over the columns of a frame (the main frame, or what an emitting window makes). */
mr_status plan_make_sink(plan_maker *maker, const mr_spec_sink *from, const mr_schema *frame,
                         plan_sink *sink);
mr_status plan_resolve_topic(plan_maker *maker, const mr_spec_text *text, const char **out);
void plan_release_sink(plan_sink *sink);

/* ---- evidence_columns.c ---- */
mr_status plan_make_evidence(plan_maker *maker);

/* ---- shared by them, plan.c ---- */

/* Sets the error's place to that text and fails. */
#define PLAN_FAIL(maker, where, status, ...)                                                       \
    (mr_error_place((maker)->err, (maker)->plan->file, (where)->line, (where)->column),            \
     MR_FAIL((maker)->err, status, __VA_ARGS__))

mr_expr_place plan_place(const plan_maker *maker, const mr_spec_text *text);
/* Compiles text against a schema; `want_bool`: a condition. */
mr_status plan_compile(plan_maker *maker, const mr_spec_text *text, const mr_schema *schema,
                       bool want_bool, mr_expr **out);
/* Appends a column to the growing frame; refuses a name that is there already. */
mr_status plan_add_field(plan_maker *maker, const mr_spec_text *where, const char *name,
                         mr_type type, bool nullable);
/* The frame so far as a schema; the caller releases. */
mr_status plan_frame_schema(plan_maker *maker, mr_schema **out);
/* Index of a named column, or an error naming the nearest. */
mr_status plan_find_column(plan_maker *maker, const mr_spec_text *name, const mr_schema *schema,
                           uint32_t *out_index);
void plan_release_columns(plan_columns *columns);

/* ---- plan_score.c ---- */

mr_status plan_make_score(plan_maker *maker);
/* plan_reasons.c: checks them against the plan's model, and adds their column. */
mr_status plan_make_reasons(plan_maker *maker);
void plan_write_reasons(mr_bytes *out, const plan_reasons *reasons);
/* Finds a model's inputs among the columns that are there when it scores. *out_columns: the frame column of each field
 * the binding knows; the caller frees both. */
mr_status plan_bind_model(const mr_plan *plan, const mr_field *frame, size_t frame_count,
                          const mr_model *model, mr_binding **out, uint32_t **out_columns,
                          uint32_t *out_count, mr_error *err);

#endif

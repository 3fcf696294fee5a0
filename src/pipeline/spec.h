/* spec.h -- what the YAML says, as structs: names and texts with their places, nothing resolved yet.
 *
 * All memory is the arena's. Unknown keys are refused here with the keys that would be right, so that the
 * tables in spec.c are the one list of what a pipeline file may contain (docs/reference/pipeline.md). */
#ifndef MR_PIPELINE_SPEC_H
#define MR_PIPELINE_SPEC_H

#include "data/schema.h"
#include "data/yaml.h"

#define MR_SOURCES_MAX 16
#define MR_VIEWS_MAX   64
#define MR_SINKS_MAX   32

/* A piece of text and where it stands; text NULL: absent. */
typedef struct mr_spec_text {
    const char *text;
    uint32_t line, column;
} mr_spec_text;

/* `name: text` */
typedef struct mr_spec_pair {
    mr_spec_text name;
    mr_spec_text value;
} mr_spec_pair;

typedef struct mr_spec_pairs {
    mr_spec_pair *items;
    size_t count;
} mr_spec_pairs;

typedef struct mr_spec_texts {
    mr_spec_text *items;
    size_t count;
} mr_spec_texts;

typedef struct mr_spec_source {
    mr_spec_text name;
    mr_spec_text topic; /* one of topic and file */
    mr_spec_texts files;
    mr_spec_text format;     /* csv or jsonl; NULL: from the file's name */
    mr_spec_pairs schema;    /* name: type; empty: the topic's own */
    mr_spec_pairs columns;   /* file only: field: name in the file */
    mr_spec_text event_time; /* a timestamp column */
    mr_spec_text check;      /* rows for which it is not true go to the dead letters */
    mr_spec_text filter;     /* rows for which it is not true are dropped */
    mr_spec_pairs derive;
    int64_t idle_us;   /* a silent source holds the others up no longer than this; 0: not at all */
    mr_spec_text from; /* topic: earliest (default), latest, or an ISO time */
} mr_spec_source;

typedef struct mr_spec_window {
    mr_spec_text text;
    bool whole; /* lifetime */
    bool day, session, last;
    bool decayed;
    int64_t span_us; /* width, half-life or gap */
    uint64_t rows;   /* last N events */
    int64_t delay_us;
    const char *suffix; /* of the output's name: "1d", "last_10", "lifetime", "day", ... */
} mr_spec_window;

typedef struct mr_spec_aggregate {
    mr_spec_text name;
    mr_spec_text call;       /* "mean(amount)" */
    mr_spec_text where;      /* ANDed to the view's own */
    mr_spec_window *windows; /* NULL: the view's */
    size_t window_count;
    mr_spec_text empty; /* value where the window is empty */
} mr_spec_aggregate;

typedef struct mr_spec_view {
    mr_spec_text name;
    mr_spec_text from; /* source; NULL: the `on` source */
    mr_spec_texts key;
    mr_spec_texts
        lookup; /* columns of the `on` source that hold the key; NULL: named as in `from` */
    mr_spec_window *windows;
    size_t window_count;
    mr_spec_text where;
    mr_spec_aggregate *aggregates;
    size_t aggregate_count;
    int64_t resolution_us, lateness_us, ttl_us; /* lateness < 0: default */
    mr_spec_text
        names; /* pattern of {view} {aggregate} {window}; NULL: {view}_{aggregate}_{window} */
} mr_spec_view;

/* Who else sees the records: `score: rollout:`, or set at run time. Numbers are texts here; trial_terms.c reads them. */
typedef struct mr_spec_canary {
    mr_spec_text model;
    mr_spec_text share;   /* "10%" */
    mr_spec_texts steps;  /* instead: "0%" (shadow), "1%", ... */
    mr_spec_text records; /* least number a step decides before the next */
    mr_spec_text key;     /* a column; NULL: the first feature view's key */
    mr_spec_text salt;    /* NULL: the model's name */
} mr_spec_canary;

typedef struct mr_spec_guard {
    mr_spec_text limit;  /* NULL: not set */
    mr_spec_text then;   /* rollback (default), pause, note */
    mr_spec_text metric; /* of quality */
} mr_spec_guard;

typedef struct mr_spec_guards {
    mr_spec_guard error_share, p99, drift, agreement, quality;
} mr_spec_guards;

typedef struct mr_spec_success {
    mr_spec_text metric, min_effect, alpha, max_records, direction;
} mr_spec_success;

typedef struct mr_spec_outcomes {
    mr_spec_text source, key, id, value, missing, pending;
    int64_t maturity_us;
} mr_spec_outcomes;

typedef struct mr_spec_rollout {
    mr_spec_texts shadow;
    mr_spec_canary canary; /* model.text NULL: none */
    mr_spec_canary ab;     /* likewise */
    mr_spec_guards guards;
    mr_spec_success success;   /* metric.text NULL: none */
    mr_spec_outcomes outcomes; /* source.text NULL: none */
    mr_spec_text segments;
    mr_spec_text step, state; /* written by the program */
    const char *json;         /* all but step and state, on one line; NULL: no rollout */
} mr_spec_rollout;

/* `name: text` or `name: [text, ...]` */
typedef struct mr_spec_group {
    mr_spec_text name;
    mr_spec_texts members;
} mr_spec_group;

typedef struct mr_spec_groups {
    mr_spec_group *items;
    size_t count;
} mr_spec_groups;

typedef struct mr_spec_reasons {
    mr_spec_text count;                /* NULL: no reasons are asked for */
    mr_spec_text direction;            /* higher (default), lower or absolute */
    mr_spec_text contribution_min;     /* numbers */
    mr_spec_text score_min, score_max; /* NULL: no limit */
    mr_spec_groups groups;             /* name: inputs of the model */
    mr_spec_pairs texts;               /* input or group: sentence */
} mr_spec_reasons;

typedef struct mr_spec_score {
    mr_spec_text model;   /* a file, a folder, or name@alias */
    mr_spec_pairs inputs; /* model input: column */
    mr_spec_text output;  /* column name; NULL: score */
    mr_spec_text kind;    /* probability (default) or margin */
    mr_spec_rollout rollout;
    mr_spec_reasons reasons;
    uint32_t line, column;
} mr_spec_score;

typedef struct mr_spec_sink {
    mr_spec_text topic;
    mr_spec_texts columns;    /* empty: all */
    mr_spec_text when;        /* route only; NULL: all rows */
    mr_spec_text sync, codec; /* topic options when the topic is created */
} mr_spec_sink;

typedef struct mr_spec_emit { /* `aggregate`: windows that emit rows when the watermark passes */
    mr_spec_text name;
    mr_spec_text from;
    mr_spec_texts key;
    enum { MR_EMIT_TUMBLING, MR_EMIT_HOPPING, MR_EMIT_SESSION } kind;
    mr_spec_text window;
    int64_t width_us, hop_us, gap_us;
    int64_t lateness_us;
    mr_spec_text where;
    mr_spec_aggregate *aggregates;
    size_t aggregate_count;
    mr_spec_sink sink;
} mr_spec_emit;

typedef struct mr_spec {
    const char *file;
    mr_spec_text name;
    mr_spec_source sources[MR_SOURCES_MAX];
    size_t source_count;
    mr_spec_text on;
    mr_spec_text filter;
    mr_spec_pairs derive;
    mr_spec_view views[MR_VIEWS_MAX];
    size_t view_count;
    mr_spec_score score; /* model.text NULL: none */
    mr_spec_pairs decide;
    mr_spec_sink sink; /* topic.text NULL: none */
    mr_spec_sink routes[MR_SINKS_MAX];
    size_t route_count;
    mr_spec_emit emits[MR_SINKS_MAX];
    size_t emit_count;
    mr_spec_text evidence;     /* full or none (default) */
    mr_spec_text dead_letters; /* topic; NULL: <pipeline>.dead */
} mr_spec;

/* Reads the tree; texts point into it. */
mr_status mr_spec_read(const mr_yaml *root, const char *file, mr_arena *arena, mr_spec *out,
                       mr_error *err);
/* A rollout alone, as it is set at run time. */
mr_status mr_spec_read_rollout(const mr_yaml *root, const char *file, mr_arena *arena,
                               mr_spec_rollout *out, mr_error *err);
/* The same as JSON on one line, at a step and in a state ("" : running). */
void mr_spec_write_rollout(const mr_spec_rollout *rollout, uint32_t step, const char *state,
                           mr_bytes *out);
/* "10%", "0.5%", "1" -> millionths; false when it is none. */
bool mr_spec_share(const char *text, uint32_t *out_millionths);
/* "90s", "1h30m", "7d", ...; false when it is none, or more than a hundred years. */
bool mr_spec_duration(const char *text, int64_t *out_us);
/* The keys of every section with what they mean, as Markdown: the reference page. */
void mr_spec_reference(mr_bytes *out);

#endif

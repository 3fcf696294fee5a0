/* ingest.h -- text files, one after the other, as batches: decompressed, decoded, rejects included.
 *
 *   file --mr_input--> bytes --mr_decoder--> batches and rejects
 *
 * One thread. Every verb that reads text does it through this. */
#ifndef MR_CMD_INGEST_H
#define MR_CMD_INGEST_H

#include "cmd/session.h"
#include "data/decoder.h"
#include "data/input.h"

/* The rows of an options table that go with mr_ingest_init. */
#define MR_INGEST_OPTIONS                                                                          \
    {"format", '\0', "csv|jsonl", NULL, NULL, "of the input; without it, the file's name tells"},  \
        {"delimiter", '\0', "CHAR", ",", NULL, "between the fields of CSV; \\t for a tab"},        \
        {"check",                                                                                  \
         '\0',                                                                                     \
         "CONDITION",                                                                              \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "refuse records for which this is not true, as in \"amount >= 0 and length(user) > 0\""}, \
        {"require-zone", '\0',                                                                     \
         NULL,           NULL,                                                                     \
         NULL,           "refuse timestamps that do not say their zone (otherwise they are UTC)"}, \
        {"no-header", '\0', NULL,                                                                  \
         NULL,        NULL, "CSV without a header line: columns as in the schema"},                \
    {                                                                                              \
        "rename", '\0', "COLUMN=FIELD,...", NULL, NULL,                                            \
            "columns of the file that the schema calls otherwise"                                  \
    }

typedef struct mr_ingest {
    mr_session *session;
    mr_decoder_options options;
    bool format_given;
    mr_list rename_list;
    mr_rename *renames;
    mr_expr *check;
    mr_input *input;
    mr_decoder *decoder;
    bool ended; /* the input has been read to its end */
} mr_ingest;

/* Reads the options of the command line; retains the schema. With `columns_required` the file must have a column
 * for every field, also for one that may be NULL. Deinit also after a failure. */
mr_status mr_ingest_init(mr_ingest *ingest, mr_session *session, mr_schema *schema,
                         bool columns_required, mr_error *err);
void mr_ingest_deinit(mr_ingest *ingest);

/* Starts on a file; "-" is standard input. */
mr_status mr_ingest_open(mr_ingest *ingest, const char *path, mr_error *err);
/* The next batch, the caller's, or NULL when there are only rejects: see mr_decoder_rejects.
 * MR_END: the file is done. MR_INTERRUPTED: a stop was asked for. */
mr_status mr_ingest_next(mr_ingest *ingest, mr_batch **out, mr_error *err);
/* Nothing more can be decoded without reading on, which may take as long as the writer of a pipe
 * likes. */
bool mr_ingest_would_wait(const mr_ingest *ingest);

#endif

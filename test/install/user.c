/* user.c -- a program of somebody else: it knows the installed header and library, and nothing more.
 * Prints one line per thing that works; any failure ends it with code 1. */
#include <millrace/millrace.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(millrace_status status, const char *what, const millrace_error *error)
{
    if (status == MILLRACE_OK)
        return;
    fprintf(stderr, "%s: %s: %s: %s\n", what, millrace_status_name(status), error->place,
            error->text);
    exit(1);
}

static void on_reject(void *context, uint64_t line, uint64_t column, const char *reason,
                      const void *record, size_t record_bytes)
{
    (void)context;
    printf("rejected %llu:%llu %s (%.*s)\n", (unsigned long long)line, (unsigned long long)column,
           reason, (int)record_bytes, (const char *)record);
}

static void append_text(millrace_topic *topic)
{
    static const char text[] =
        "tx,at,amount\n1,2024-05-01T10:00:00Z,10.5\n2,2024-05-01T10:01:00Z,oops\n"
        "3,2024-05-01T10:02:00Z,99\n";
    millrace_error error;
    uint64_t accepted = 0, rejected = 0;
    must(millrace_topic_append_text(topic, "csv", text, strlen(text), on_reject, NULL, &accepted,
                                    &rejected, &error),
         "append", &error);
    printf("accepted %llu, rejected %llu\n", (unsigned long long)accepted,
           (unsigned long long)rejected);
}

/* Reads the topic as an Arrow stream, and gives each batch to another topic without looking into it. */
static void copy(millrace_topic *from, millrace_topic *to)
{
    millrace_error error;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    must(millrace_topic_read(from, 0, 0, &stream, &error), "read", &error);
    if (stream.get_schema(&stream, &schema) != 0)
        exit(1);
    for (;;) {
        struct ArrowArray batch;
        if (stream.get_next(&stream, &batch) != 0)
            exit(1);
        if (batch.release == NULL)
            break;
        printf("batch of %lld rows, %lld columns, amount %g\n", (long long)batch.length,
               (long long)batch.n_children, ((const double *)batch.children[2]->buffers[1])[0]);
        must(millrace_topic_append(to, &schema, &batch, NULL, &error), "append batch", &error);
    }
    schema.release(&schema);
    stream.release(&stream);
}

static void run_pipeline(millrace_home *home, const char *file)
{
    millrace_error error;
    millrace_pipeline *pipeline = NULL;
    must(millrace_pipeline_open(home, file, 1, true, &pipeline, &error), "open pipeline", &error);
    uint32_t records = 0, total = 0;
    millrace_status status;
    while ((status = millrace_pipeline_step(pipeline, &records, &error)) == MILLRACE_OK)
        total += records;
    if (status != MILLRACE_END)
        must(status, "step", &error);
    struct ArrowSchema schema;
    struct ArrowArray row;
    must(millrace_pipeline_features(pipeline, "all", "1", &schema, &row, &error), "features",
         &error);
    printf("pipeline took %u records; %lld feature columns of one key\n", total,
           (long long)schema.n_children);
    schema.release(&schema);
    row.release(&row);
    must(millrace_pipeline_stop(pipeline, &error), "stop", &error);
    millrace_pipeline_close(pipeline);
}

int main(int argc, char **argv)
{
    millrace_error error;
    millrace_home *home = NULL;
    millrace_topic *payments = NULL, *copies = NULL;
    uint64_t first = 0, end = 0;
    if (argc != 3)
        return 2;
    must(millrace_home_open(argv[1], &home, &error), "open home", &error);
    must(millrace_topic_create(home, "payments", "tx: int64, at: timestamp, amount: float64", "at",
                               &error),
         "create", &error);
    must(millrace_topic_create(home, "copies", "tx: int64, at: timestamp, amount: float64", NULL,
                               &error),
         "create", &error);
    if (millrace_topic_create(home, "copies", "tx: int64", NULL, &error) != MILLRACE_EXISTS)
        return 1;
    must(millrace_topic_open(home, "payments", &payments, &error), "open", &error);
    must(millrace_topic_open(home, "copies", &copies, &error), "open", &error);
    append_text(payments);
    copy(payments, copies);
    must(millrace_topic_range(copies, 0, &first, &end, &error), "range", &error);
    printf("copies has offsets %llu to %llu\n", (unsigned long long)first, (unsigned long long)end);
    millrace_topic_close(payments);
    millrace_topic_close(copies);
    run_pipeline(home, argv[2]);
    millrace_home_close(home);
    printf("millrace %s\n", millrace_version());
    return 0;
}

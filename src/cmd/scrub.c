/* scrub.c -- `millrace scrub`: read every block of topics again and check it whole. */
#include "cmd/progress.h"
#include "cmd/verb.h"
#include "data/encoder.h"
#include "os/process.h"

#include <inttypes.h>
#include <string.h>

typedef struct scrub {
    mr_session *session;
    const char *topic; /* the one at work */
    mr_progress progress;
} scrub;

static void print_damage(mr_output *out, const char *topic, const mr_log_damage *damage)
{
    mr_output_printf(out,
                     "%s/%" PRIu32 ": records %" PRIu64 " to %" PRIu64
                     " are damaged (segment %" PRIu64 ", byte %" PRIu64 ", %" PRIu64
                     " bytes): %s\n",
                     topic, damage->partition, damage->first_offset, damage->end_offset,
                     damage->segment_base, damage->position, damage->bytes, damage->reason);
}

static void print_damage_json(mr_output *out, const char *topic, const mr_log_damage *damage)
{
    mr_bytes line = {0};
    mr_bytes_printf(&line,
                    "{\"topic\":\"%s\",\"partition\":%" PRIu32 ",\"first_offset\":%" PRIu64
                    ",\"end_offset\":%" PRIu64 ",\"segment\":%" PRIu64 ",\"position\":%" PRIu64
                    ",\"bytes\":%" PRIu64 ",\"reason\":",
                    topic, damage->partition, damage->first_offset, damage->end_offset,
                    damage->segment_base, damage->position, damage->bytes);
    mr_encode_json_text(damage->reason, strlen(damage->reason), &line);
    mr_bytes_append_text(&line, "}\n");
    mr_output_bytes(out, line.data, line.size);
    mr_bytes_deinit(&line);
}

static void report_damage(void *context, const mr_log_damage *damage)
{
    scrub *self = context;
    mr_progress_end(&self->progress);
    (self->session->json ? print_damage_json : print_damage)(&self->session->out, self->topic,
                                                             damage);
}

static bool show_progress(void *context, const char *topic, uint64_t bytes_done,
                          uint64_t bytes_total)
{
    scrub *self = context;
    if (!self->progress.on)
        mr_progress_begin(&self->progress, self->session, topic, bytes_total);
    mr_progress_set(&self->progress, bytes_done);
    return mr_process_stop_asked() == 0;
}

static mr_status scrub_topic(scrub *self, mr_log *log, const char *name, mr_scrub_report *report,
                             mr_error *err)
{
    mr_scrub_watch watch = {.damage = report_damage, .progress = show_progress, .context = self};
    self->topic = name;
    mr_status status = mr_log_scrub(log, name, &watch, report, err);
    mr_progress_end(&self->progress);
    return status;
}

static mr_status scrub_all(scrub *self, mr_log *log, mr_scrub_report *report, mr_error *err)
{
    char **names = NULL;
    size_t count = 0;
    MR_TRY(mr_topic_list(log, NULL, &names, &count, err));
    mr_status status = MR_OK;
    for (size_t i = 0; i < count && status == MR_OK; i++)
        status = scrub_topic(self, log, names[i], report, err);
    mr_fs_free_names(names, count);
    return status;
}

static mr_status scrub_named(scrub *self, mr_log *log, mr_scrub_report *report, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    for (size_t i = 0; i < arguments->operand_count; i++)
        MR_TRY(scrub_topic(self, log, mr_arguments_operand(arguments, i), report, err));
    return MR_OK;
}

static mr_status judge(mr_session *session, const mr_scrub_report *report, mr_error *err)
{
    char records[32], bytes[32];
    mr_session_say(session, "checked %s records in %" PRIu64 " blocks, %s",
                   mr_text_count(report->records_checked, records), report->blocks_checked,
                   mr_text_size(report->bytes_checked, bytes));
    if (report->damage_count == 0)
        return MR_OK;
    return MR_FAIL(
        err, MR_CORRUPT, "%" PRIu64 " damaged place%s, %" PRIu64 " records cannot be read",
        report->damage_count, report->damage_count == 1 ? "" : "s", report->records_damaged);
}

static mr_status scrub_run(mr_session *session, mr_error *err)
{
    scrub self = {.session = session};
    mr_scrub_report report = {0};
    mr_log *log = NULL;
    mr_process_catch_signals();
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status = session->arguments.operand_count == 0
                           ? scrub_all(&self, log, &report, err)
                           : scrub_named(&self, log, &report, err);
    mr_log_close(log);
    return status == MR_OK ? judge(session, &report, err) : status;
}

static const struct mr_operand scrub_operands[] = {
    {"TOPIC", true, true, "the topics to check; without any, all of them"},
    {0},
};

static const mr_verb_exit scrub_exits[] = {
    {6, "damage was found; every damaged place is a line on stdout"},
    {0},
};

const struct mr_verb mr_verb_scrub = {
    .name = "scrub",
    .summary = "read every record again and report damage",
    .operands = scrub_operands,
    .exits = scrub_exits,
    .run = scrub_run,
};

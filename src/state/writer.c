/* writer.c -- see writer.h.
 *
 *   jobs   | running | waiting | filling |      a ring: first .. first + count, then the one being filled */
#include "state/writer.h"

#include "base/assert.h"
#include "os/thread.h"

typedef struct writer_job {
    mr_bytes bytes;
    uint64_t counted_bytes; /* in the budget */
    mr_writer_job call;
    void *context;
} writer_job;

struct mr_writer {
    mr_budget *budget;
    mr_thread *thread; /* NULL: inline */
    mr_mutex mutex;    /* guards all below */
    mr_condition changed;
    writer_job jobs[MR_WRITER_BUFFERS];
    uint32_t first;
    uint32_t count; /* on their way */
    bool stop;
    mr_status status;
    mr_error error;
};

static void run(mr_writer *writer, writer_job *job)
{
    if (writer->status == MR_OK)
        writer->status = job->call(job->context, &job->bytes, &writer->error);
    mr_bytes_clear(&job->bytes);
}

static void run_unlocked(mr_writer *writer, writer_job *job)
{
    mr_error error = {0};
    mr_status status = writer->status;
    mr_mutex_unlock(&writer->mutex);
    if (status == MR_OK)
        status = job->call(job->context, &job->bytes, &error);
    mr_bytes_clear(&job->bytes);
    mr_mutex_lock(&writer->mutex);
    if (writer->status == MR_OK && status != MR_OK) {
        writer->status = status;
        writer->error = error;
    }
}

static void body(void *context)
{
    mr_writer *writer = context;
    mr_mutex_lock(&writer->mutex);
    while (!writer->stop || writer->count > 0) {
        if (writer->count == 0) {
            mr_condition_wait(&writer->changed, &writer->mutex);
            continue;
        }
        run_unlocked(writer, &writer->jobs[writer->first]);
        writer->first = (writer->first + 1) % MR_WRITER_BUFFERS;
        writer->count--;
        mr_condition_broadcast(&writer->changed);
    }
    mr_mutex_unlock(&writer->mutex);
}

mr_status mr_writer_create(bool background, mr_budget *budget, mr_writer **out, mr_error *err)
{
    mr_writer *writer = MR_NEW(mr_writer);
    if (writer == NULL)
        return MR_OUT_OF_MEMORY(err);
    writer->budget = budget;
    mr_mutex_init(&writer->mutex);
    mr_condition_init(&writer->changed);
    mr_status status =
        background ? mr_thread_start("checkpoint", body, writer, &writer->thread, err) : MR_OK;
    if (status != MR_OK)
        mr_writer_destroy(writer);
    else
        *out = writer;
    return status;
}

static void free_buffers(mr_writer *writer)
{
    for (uint32_t i = 0; i < MR_WRITER_BUFFERS; i++) {
        mr_bytes_deinit(&writer->jobs[i].bytes);
        mr_budget_give(writer->budget, writer->jobs[i].counted_bytes);
        writer->jobs[i].counted_bytes = 0;
    }
}

void mr_writer_destroy(mr_writer *writer)
{
    if (writer == NULL)
        return;
    mr_mutex_lock(&writer->mutex);
    writer->stop = true;
    mr_condition_broadcast(&writer->changed);
    mr_mutex_unlock(&writer->mutex);
    mr_thread_join(writer->thread);
    free_buffers(writer);
    mr_condition_deinit(&writer->changed);
    mr_mutex_deinit(&writer->mutex);
    mr_free(writer);
}

static writer_job *filling(mr_writer *writer)
{
    return &writer->jobs[(writer->first + writer->count) % MR_WRITER_BUFFERS];
}

mr_bytes *mr_writer_buffer(mr_writer *writer)
{
    mr_mutex_lock(&writer->mutex);
    mr_bytes *bytes = writer->count < MR_WRITER_BUFFERS ? &filling(writer)->bytes : NULL;
    mr_mutex_unlock(&writer->mutex);
    return bytes;
}

void mr_writer_submit(mr_writer *writer, mr_writer_job call, void *context)
{
    mr_mutex_lock(&writer->mutex);
    writer_job *job = filling(writer);
    job->call = call;
    job->context = context;
    mr_budget_give(writer->budget, job->counted_bytes);
    job->counted_bytes = job->bytes.capacity;
    mr_budget_force(writer->budget, job->counted_bytes);
    if (writer->thread == NULL) {
        run(writer, job);
    } else {
        writer->count++;
        mr_condition_broadcast(&writer->changed);
    }
    mr_mutex_unlock(&writer->mutex);
}

static mr_status ended(const mr_writer *writer, mr_error *err)
{
    if (writer->status != MR_OK && err != NULL)
        *err = writer->error;
    return writer->status;
}

mr_status mr_writer_poll(mr_writer *writer, mr_error *err)
{
    mr_mutex_lock(&writer->mutex);
    mr_status status = writer->count > 0 ? MR_BUSY : ended(writer, err);
    mr_mutex_unlock(&writer->mutex);
    return status;
}

mr_status mr_writer_wait(mr_writer *writer, mr_error *err)
{
    mr_mutex_lock(&writer->mutex);
    while (writer->count > 0)
        mr_condition_wait(&writer->changed, &writer->mutex);
    mr_status status = ended(writer, err);
    mr_mutex_unlock(&writer->mutex);
    return status;
}

void mr_writer_reset(mr_writer *writer)
{
    (void)mr_writer_wait(writer, NULL);
    mr_mutex_lock(&writer->mutex);
    writer->status = MR_OK;
    free_buffers(writer);
    mr_mutex_unlock(&writer->mutex);
}

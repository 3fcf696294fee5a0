/* descriptor.c -- the small files of a topic's folder: its definition and its schema versions.
 *
 *   topic ..... text, "key: value" a line, the last line "crc: 8 hex digits" of all before it
 *   schemas ... "MSC1", u32 crc of the rest, u32 count, then the schemas of version 1, 2, ... as in schema.h
 *   lock ...... held while one of them is changed
 *
 * Both are replaced as a whole (new file, sync, rename, sync of the folder). A folder without a whole `topic`
 * file is no topic: making one writes it last, deleting one removes it first. */
#include "log/log_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMAS_MAGIC     0x3143534du /* "MSC1" */
#define SCHEMAS_MAX       65535
#define FILE_BYTES_MAX    (64u << 20)
#define LOCK_WAIT_NS      INT64_C(5000000000)
#define LOCK_STEP_NS      INT64_C(1000000)
#define NAME_PART_MAX     100
#define INTERVAL_MS_MAX   60000
#define SEGMENT_BYTES_MIN 4096
#define SEGMENT_BYTES_MAX (UINT64_C(1) << 40)

static const char *const sync_texts[] = {
#define X(name, text) text,
    MR_LOG_SYNC_MAP(X)
#undef X
};

static const char *const codec_texts[] = {
#define X(name, text) text,
    MR_LOG_CODEC_MAP(X)
#undef X
};

/* ---- names ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

mr_status mr_topic_check_part(const char *what, const char *part, size_t bytes, mr_error *err)
{
    if (bytes == 0 || bytes > NAME_PART_MAX)
        return MR_FAIL(err, MR_INVALID, "a %s has 1 to %d bytes, not %zu", what, NAME_PART_MAX,
                       bytes);
    if (part[0] == '.')
        return MR_FAIL(err, MR_INVALID, "the %s '%.*s' starts with a dot", what, (int)bytes, part);
    for (size_t i = 0; i < bytes; i++)
        if (!is_name_byte(part[i]))
            return MR_FAIL(
                err, MR_INVALID,
                "the %s '%.*s' has a byte %02x; letters, digits, '.', '_' and '-' are allowed",
                what, (int)bytes, part, (unsigned)(unsigned char)part[i]);
    return MR_OK;
}

mr_status mr_topic_name_resolve(const char *name, char *out, mr_error *err)
{
    static const char *const whats[] = {"tenant", "namespace", "topic name"};
    const char *parts[4] = {name};
    size_t count = 1;
    for (const char *at = name; *at != '\0'; at++)
        if (*at == '/' && count < MR_COUNT_OF(parts))
            parts[count++] = at + 1;
    if (count != 1 && count != 3)
        return MR_FAIL(err, MR_INVALID, "'%.200s' is neither 'topic' nor 'tenant/namespace/topic'",
                       name);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = i + 1 < count ? (size_t)(parts[i + 1] - parts[i] - 1) : strlen(parts[i]);
        MR_TRY(mr_topic_check_part(whats[count == 1 ? 2 : i], parts[i], bytes, err));
    }
    (void)snprintf(out, MR_TOPIC_NAME_MAX, count == 1 ? "default/default/%s" : "%s", name);
    return MR_OK;
}

void mr_topic_folder(const mr_log *log, const char *name, char *out)
{
    (void)snprintf(out, MR_PATH_MAX, "%.3500s/%s", log->root, name);
}

/* ---- options ---- */

mr_status mr_topic_options_check(mr_topic_options *options, mr_error *err)
{
    if (options->partition_count == 0)
        options->partition_count = 1;
    if (options->sync_interval_ms == 0)
        options->sync_interval_ms = 10;
    if (options->segment_bytes == 0)
        options->segment_bytes = UINT64_C(256) << 20;
    if (options->partition_count > MR_TOPIC_PARTITIONS_MAX)
        return MR_FAIL(err, MR_INVALID, "%u partitions; 1 to %d are allowed",
                       options->partition_count, MR_TOPIC_PARTITIONS_MAX);
    if (options->sync > MR_LOG_SYNC_OS)
        return MR_FAIL(err, MR_INVALID, "sync policy %d is none of always, interval, os",
                       options->sync);
    if (options->codec >= MR_LOG_CODEC_COUNT)
        return MR_FAIL(err, MR_INVALID, "codec %d is none of none, lz4, zstd", options->codec);
    if (options->codec_level < 0 || options->codec_level > 19)
        return MR_FAIL(err, MR_INVALID, "compression level %d; 0 (default) to 19 are allowed",
                       options->codec_level);
    if (options->sync_interval_ms > INTERVAL_MS_MAX)
        return MR_FAIL(err, MR_INVALID, "a sync interval of %u ms; 1 to %d are allowed",
                       options->sync_interval_ms, INTERVAL_MS_MAX);
    if (options->segment_bytes < SEGMENT_BYTES_MIN || options->segment_bytes > SEGMENT_BYTES_MAX)
        return MR_FAIL(err, MR_INVALID, "segments of %" PRIu64 " bytes; %d to 1 TiB are allowed",
                       options->segment_bytes, SEGMENT_BYTES_MIN);
    return MR_OK;
}

static void print_options(uint64_t salt, const mr_topic_options *options, mr_bytes *out)
{
    mr_bytes_printf(out, "format: 1\nsalt: %016" PRIx64 "\npartitions: %u\nevent_time: %s\n", salt,
                    options->partition_count, options->event_time);
    mr_bytes_printf(out, "sync: %s\nsync_interval_ms: %u\ncodec: %s\ncodec_level: %d\n",
                    sync_texts[options->sync], options->sync_interval_ms,
                    codec_texts[options->codec], options->codec_level);
    mr_bytes_printf(out, "segment_bytes: %" PRIu64 "\nsegment_age_ms: %" PRIu64 "\n",
                    options->segment_bytes, options->segment_age_ms);
    mr_bytes_printf(out, "retention_bytes: %" PRIu64 "\nretention_age_ms: %" PRIu64 "\n",
                    options->retention_bytes, options->retention_age_ms);
}

mr_status mr_descriptor_write(mr_log *log, const char *folder, uint64_t salt,
                              const mr_topic_options *options, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_bytes text = {0};
    (void)snprintf(path, sizeof path, "%.4000s/topic", folder);
    print_options(salt, options, &text);
    mr_bytes_printf(&text, "crc: %08x\n", text.failed ? 0 : mr_crc32c(0, text.data, text.size));
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(err)
                                   : mr_fs_write_file(log->fs, path, text.data, text.size, err);
    mr_bytes_deinit(&text);
    return status;
}

/* The value of "key: value" in the text; "" when there is none. */
static void value_of(const char *text, const char *key, char *out, size_t out_bytes)
{
    size_t key_bytes = strlen(key);
    out[0] = '\0';
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t bytes = end != NULL ? (size_t)(end - line) : strlen(line);
        if (bytes >= key_bytes + 2 && memcmp(line, key, key_bytes) == 0 && line[key_bytes] == ':') {
            (void)snprintf(out, out_bytes, "%.*s", (int)(bytes - key_bytes - 2),
                           line + key_bytes + 2);
            return;
        }
        line = end != NULL ? end + 1 : NULL;
    }
}

static uint64_t number_of(const char *text, const char *key, int base)
{
    char value[64];
    value_of(text, key, value, sizeof value);
    return strtoull(value, NULL, base);
}

static uint32_t word_of(const char *text, const char *key, const char *const *words, uint32_t count)
{
    char value[64];
    value_of(text, key, value, sizeof value);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    return count;
}

static mr_status parse_descriptor(const char *text, size_t size, uint64_t *out_salt,
                                  mr_topic_options *out, mr_error *err)
{
    const char *crc_line = strstr(text, "\ncrc: ");
    size_t covered = crc_line != NULL ? (size_t)(crc_line + 1 - text) : 0;
    if (crc_line == NULL || strlen(text) != size ||
        number_of(crc_line + 1, "crc", 16) != mr_crc32c(0, text, covered))
        return MR_FAIL(err, MR_CORRUPT, "the topic's description is damaged: its checksum differs");
    if (number_of(text, "format", 10) != 1)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "the topic has format %" PRIu64 "; this program reads 1",
                       number_of(text, "format", 10));
    *out_salt = number_of(text, "salt", 16);
    *out = (mr_topic_options){
        .partition_count = (uint32_t)number_of(text, "partitions", 10),
        .sync = (mr_log_sync)word_of(text, "sync", sync_texts, MR_COUNT_OF(sync_texts)),
        .sync_interval_ms = (uint32_t)number_of(text, "sync_interval_ms", 10),
        .codec = (mr_log_codec)word_of(text, "codec", codec_texts, MR_COUNT_OF(codec_texts)),
        .codec_level = (int32_t)number_of(text, "codec_level", 10),
        .segment_bytes = number_of(text, "segment_bytes", 10),
        .segment_age_ms = number_of(text, "segment_age_ms", 10),
        .retention_bytes = number_of(text, "retention_bytes", 10),
        .retention_age_ms = number_of(text, "retention_age_ms", 10),
    };
    value_of(text, "event_time", out->event_time, sizeof out->event_time);
    return mr_topic_options_check(out, err);
}

mr_status mr_descriptor_read(mr_log *log, const char *folder, uint64_t *out_salt,
                             mr_topic_options *out_options, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_bytes text = {0};
    (void)snprintf(path, sizeof path, "%.4000s/topic", folder);
    mr_status status = mr_fs_read_file(log->fs, path, FILE_BYTES_MAX, &text, err);
    const char *terminated = status == MR_OK ? mr_bytes_text(&text) : NULL;
    if (status == MR_OK && terminated == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = parse_descriptor(terminated, text.size, out_salt, out_options, err);
    mr_bytes_deinit(&text);
    return status;
}

/* ---- schemas ---- */

mr_status mr_schemas_write(mr_log *log, const char *folder, mr_schema *const *schemas,
                           uint32_t count, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_bytes bytes = {0};
    (void)snprintf(path, sizeof path, "%.4000s/schemas", folder);
    mr_bytes_append_u32(&bytes, SCHEMAS_MAGIC);
    mr_bytes_append_u32(&bytes, 0); /* the checksum comes here */
    mr_bytes_append_u32(&bytes, count);
    for (uint32_t i = 0; i < count; i++)
        mr_schema_encode(schemas[i], &bytes);
    mr_status status = bytes.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    if (status == MR_OK) {
        uint32_t crc = mr_crc32c(0, bytes.data + 8, bytes.size - 8);
        memcpy(bytes.data + 4, &crc, sizeof crc);
        status = mr_fs_write_file(log->fs, path, bytes.data, bytes.size, err);
    }
    mr_bytes_deinit(&bytes);
    return status;
}

static mr_status decode_schemas(const mr_bytes *bytes, mr_schema ***out, uint32_t *out_count,
                                mr_error *err)
{
    mr_reader in = mr_reader_of(bytes->data, bytes->size);
    uint32_t magic = mr_reader_u32(&in), crc = mr_reader_u32(&in), count = mr_reader_u32(&in);
    if (in.failed || magic != SCHEMAS_MAGIC ||
        crc != mr_crc32c(0, bytes->data + 8, bytes->size - 8) || count == 0 || count > SCHEMAS_MAX)
        return MR_FAIL(err, MR_CORRUPT, "the topic's schemas are damaged: their checksum differs");
    mr_schema **schemas = mr_alloc_zero(count, sizeof(mr_schema *));
    if (schemas == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < count; i++)
        status = mr_schema_decode(&in, &schemas[i], err);
    if (status != MR_OK) {
        for (uint32_t i = 0; i < count; i++)
            mr_schema_release(schemas[i]);
        mr_free(schemas);
        return status;
    }
    *out = schemas;
    *out_count = count;
    return MR_OK;
}

mr_status mr_schemas_read(mr_log *log, const char *folder, mr_schema ***out_schemas,
                          uint32_t *out_count, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_bytes bytes = {0};
    (void)snprintf(path, sizeof path, "%.4000s/schemas", folder);
    mr_status status = mr_fs_read_file(log->fs, path, FILE_BYTES_MAX, &bytes, err);
    if (status == MR_OK)
        status = decode_schemas(&bytes, out_schemas, out_count, err);
    mr_bytes_deinit(&bytes);
    return status;
}

/* ---- lock ---- */

mr_status mr_topic_lock_definition(mr_log *log, const char *folder, mr_file **out, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_file *file;
    (void)snprintf(path, sizeof path, "%.4000s/lock", folder);
    MR_TRY(mr_fs_open(log->fs, path, MR_OPEN_CREATE, &file, err));
    mr_status status = mr_file_lock(file, err);
    for (int64_t waited = 0; status == MR_BUSY && waited < LOCK_WAIT_NS; waited += LOCK_STEP_NS) {
        log->clock->sleep_ns(log->clock, LOCK_STEP_NS);
        status = mr_file_lock(file, err);
    }
    if (status != MR_OK) {
        mr_file_close(file);
        return status;
    }
    *out = file;
    return MR_OK;
}

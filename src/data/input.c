/* input.c -- one stream of bytes from a file or descriptor, through zlib or libzstd where the first bytes say so.
 *
 *   raw | consumed ... | unread ........ |        codec: plain, gzip (1F 8B), zstd (28 B5 2F FD, skippable 5? 2A 4D 18)
 *       ^0             ^raw_at           ^raw_end
 *
 * (1) raw_offset is the offset in the file of raw[raw_end]; what was consumed is raw_offset - (raw_end - raw_at).
 * (2) After a failure of the codec every later read gives the same failure; what came out before it was delivered. */
#include "data/input.h"

#include "base/assert.h"
#include "os/process.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_BYTES  ((size_t)128 << 10)
#define WINDOW_LOG 27 /* zstd frames that need more than 128 MiB to decode are refused */

typedef enum codec { CODEC_UNKNOWN, CODEC_PLAIN, CODEC_GZIP, CODEC_ZSTD } codec;

struct mr_input {
    char *name;
    mr_file *file; /* NULL: a descriptor */
    int fd;
    uint64_t raw_offset;
    uint64_t offset; /* delivered */
    uint8_t *raw;
    size_t raw_at, raw_end;
    bool raw_done; /* the source said it is at its end */
    codec codec;
    bool in_frame; /* a frame or member has begun and not ended */
    z_stream gzip;
    ZSTD_DStream *zstd;
    mr_status failed;
    mr_error failure;
};

/* ---- the source ---- */

static mr_status alloc_input(const char *name, mr_input **out, mr_error *err)
{
    mr_input *input = MR_NEW(mr_input);
    *out = NULL;
    if (input == NULL)
        return MR_OUT_OF_MEMORY(err);
    input->fd = -1;
    input->name = mr_strdup(name);
    input->raw = mr_alloc(RAW_BYTES);
    if (input->name == NULL || input->raw == NULL) {
        mr_input_close(input);
        return MR_OUT_OF_MEMORY(err);
    }
    *out = input;
    return MR_OK;
}

mr_status mr_input_open_fd(int fd, const char *name, mr_input **out, mr_error *err)
{
    MR_TRY(alloc_input(name, out, err));
    (*out)->fd = fd;
    return MR_OK;
}

mr_status mr_input_open(mr_fs *fs, const char *path, mr_input **out, mr_error *err)
{
    if (strcmp(path, "-") == 0)
        return mr_input_open_fd(0, "standard input", out, err);
    MR_TRY(alloc_input(path, out, err));
    mr_status status = mr_fs_open(fs, path, MR_OPEN_READ, &(*out)->file, err);
    if (status != MR_OK) {
        mr_input_close(*out);
        *out = NULL;
    }
    return status;
}

void mr_input_close(mr_input *input)
{
    if (input == NULL)
        return;
    if (input->codec == CODEC_GZIP)
        (void)inflateEnd(&input->gzip);
    (void)ZSTD_freeDStream(input->zstd);
    mr_file_close(input->file);
    mr_free(input->raw);
    mr_free(input->name);
    mr_free(input);
}

/* Straight from the source; *out_size 0 is its end. */
static mr_status read_raw(mr_input *input, void *to, size_t size, size_t *out_size, mr_error *err)
{
    *out_size = 0;
    mr_status status = input->file != NULL
                           ? mr_file_read(input->file, input->raw_offset, to, size, out_size, err)
                           : mr_process_read(input->fd, to, size, out_size, err);
    if (status != MR_OK) {
        mr_error_prefix(err, "%s", input->name);
        return status;
    }
    input->raw_offset += *out_size;
    return MR_OK;
}

/* More raw bytes behind those that are unread; raw_done when there are none. */
static mr_status refill(mr_input *input, mr_error *err)
{
    size_t left = input->raw_end - input->raw_at, got;
    memmove(input->raw, input->raw + input->raw_at, left);
    input->raw_at = 0;
    input->raw_end = left;
    MR_TRY(read_raw(input, input->raw + left, RAW_BYTES - left, &got, err));
    input->raw_end += got;
    input->raw_done = got == 0;
    return MR_OK;
}

/* ---- codecs ---- */

/* `fresh` bytes of content came out in the step that found it. */
static mr_status damaged(mr_input *input, const char *what, const char *why, size_t fresh)
{
    uint64_t at = mr_input_raw_offset(input);
    input->failed = MR_CORRUPT;
    mr_error_clear(&input->failure);
    mr_error_place(&input->failure, input->name, 0, 0);
    return MR_FAIL(
        &input->failure, MR_CORRUPT,
        "the %s content is %s at byte %llu of the file; %llu bytes of content were read before",
        what, why, (unsigned long long)at, (unsigned long long)(input->offset + fresh));
}

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return mr_alloc((size_t)count * size);
}

static void zlib_free(void *opaque, void *memory)
{
    (void)opaque;
    mr_free(memory);
}

static mr_status choose_codec(mr_input *input, mr_error *err)
{
    while (input->raw_end - input->raw_at < 4 && !input->raw_done)
        MR_TRY(refill(input, err));
    const uint8_t *b = input->raw + input->raw_at;
    size_t size = input->raw_end - input->raw_at;
    bool zstd =
        size >= 4 && ((b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd) ||
                      ((b[0] & 0xf0) == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18));
    if (size >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
        input->gzip = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
        if (inflateInit2(&input->gzip, 15 + 16) != Z_OK)
            return MR_OUT_OF_MEMORY(err);
        input->codec = CODEC_GZIP;
    } else if (zstd) {
        input->zstd = ZSTD_createDStream();
        if (input->zstd == NULL)
            return MR_OUT_OF_MEMORY(err);
        (void)ZSTD_DCtx_setParameter(input->zstd, ZSTD_d_windowLogMax, WINDOW_LOG);
        input->codec = CODEC_ZSTD;
    } else {
        input->codec = CODEC_PLAIN;
    }
    return MR_OK;
}

/* Zeros behind a member are no content: whole blocks are written to tapes and by some archivers (gzip(1) passes
 * over them, too). */
static void skip_padding(mr_input *input)
{
    while (input->raw_at < input->raw_end && input->raw[input->raw_at] == 0)
        input->raw_at++;
}

/* One step; *out_size may be 0 when more raw bytes are wanted. A new member may begin where one has ended. */
static mr_status step_gzip(mr_input *input, void *to, size_t size, size_t *out_size)
{
    z_stream *z = &input->gzip;
    *out_size = 0;
    if (!input->in_frame)
        skip_padding(input);
    if (input->raw_at == input->raw_end && !input->in_frame)
        return MR_OK;
    z->next_in = input->raw + input->raw_at;
    z->avail_in = (unsigned)(input->raw_end - input->raw_at);
    z->next_out = to;
    z->avail_out = (unsigned)MR_MIN(size, (size_t)1 << 30);
    unsigned room = z->avail_out;
    input->in_frame = true;
    int result = inflate(z, Z_NO_FLUSH);
    input->raw_at = input->raw_end - z->avail_in;
    *out_size = room - z->avail_out;
    if (result == Z_STREAM_END) {
        input->in_frame = false;
        (void)inflateReset(z);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return damaged(input, "gzip", z->msg != NULL ? z->msg : "damaged", *out_size);
    }
    return MR_OK;
}

static mr_status step_zstd(mr_input *input, void *to, size_t size, size_t *out_size)
{
    ZSTD_inBuffer in = {input->raw, input->raw_end, input->raw_at};
    ZSTD_outBuffer out = {to, size, 0};
    size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
    input->raw_at = in.pos;
    *out_size = out.pos;
    if (ZSTD_isError(result))
        return damaged(input, "zstd", ZSTD_getErrorName(result), *out_size);
    input->in_frame = result != 0;
    return MR_OK;
}

static mr_status step(mr_input *input, void *to, size_t size, size_t *out_size)
{
    return input->codec == CODEC_GZIP ? step_gzip(input, to, size, out_size)
                                      : step_zstd(input, to, size, out_size);
}

static mr_status read_decoded(mr_input *input, void *to, size_t size, size_t *out_size,
                              mr_error *err)
{
    for (;;) {
        /* A codec may still hold output when no input is left. */
        if (input->raw_at < input->raw_end || input->in_frame) {
            size_t before = input->raw_at;
            MR_TRY(step(input, to, size, out_size));
            if (*out_size > 0)
                return MR_OK;
            if (input->raw_at > before && input->raw_at < input->raw_end)
                continue;
        }
        MR_TRY(refill(input, err));
        if (input->raw_done)
            return input->in_frame ? damaged(input, input->codec == CODEC_GZIP ? "gzip" : "zstd",
                                             "cut short", 0)
                                   : MR_OK;
    }
}

/* Bytes that were read to find the codec come first, then the source itself: no copy in between. */
static mr_status read_plain(mr_input *input, void *to, size_t size, size_t *out_size, mr_error *err)
{
    size_t kept = MR_MIN(input->raw_end - input->raw_at, size);
    if (kept == 0)
        return read_raw(input, to, size, out_size, err);
    memcpy(to, input->raw + input->raw_at, kept);
    input->raw_at += kept;
    *out_size = kept;
    return MR_OK;
}

/* ---- reading ---- */

mr_status mr_input_read(mr_input *input, void *to, size_t size, size_t *out_size, mr_error *err)
{
    MR_ASSERT(size > 0);
    *out_size = 0;
    mr_status status = input->failed;
    if (status == MR_OK && input->codec == CODEC_UNKNOWN)
        MR_TRY(choose_codec(input, err));
    if (status == MR_OK)
        status = input->codec == CODEC_PLAIN ? read_plain(input, to, size, out_size, err)
                                             : read_decoded(input, to, size, out_size, err);
    if (input->failed != MR_OK && *out_size > 0) /* deliver what came out, fail at the next call */
        status = MR_OK;
    else if (input->failed != MR_OK && err != NULL)
        *err = input->failure;
    input->offset += *out_size;
    return status;
}

mr_status mr_input_skip_to(mr_input *input, uint64_t offset, mr_error *err)
{
    uint8_t scratch[4096];
    size_t got;
    if (input->codec == CODEC_UNKNOWN)
        MR_TRY(choose_codec(input, err));
    if (input->codec == CODEC_PLAIN && input->file != NULL) {
        uint64_t size;
        MR_TRY(mr_file_size(input->file, &size, err));
        if (offset > size)
            return MR_FAIL(err, MR_END, "%s has %llu bytes, byte %llu was wanted", input->name,
                           (unsigned long long)size, (unsigned long long)offset);
        input->raw_at = input->raw_end = 0;
        input->raw_offset = input->offset = offset;
        return MR_OK;
    }
    MR_ASSERT(offset >= input->offset);
    while (input->offset < offset) {
        MR_TRY(mr_input_read(input, scratch, (size_t)MR_MIN(sizeof scratch, offset - input->offset),
                             &got, err));
        if (got == 0)
            return MR_FAIL(err, MR_END, "%s has %llu bytes of content, byte %llu was wanted",
                           input->name, (unsigned long long)input->offset,
                           (unsigned long long)offset);
    }
    return MR_OK;
}

/* ---- questions ---- */

const char *mr_input_name(const mr_input *input)
{
    return input->name;
}

uint64_t mr_input_offset(const mr_input *input)
{
    return input->offset;
}

uint64_t mr_input_raw_offset(const mr_input *input)
{
    return input->raw_offset - (input->raw_end - input->raw_at);
}

uint64_t mr_input_raw_size(const mr_input *input)
{
    uint64_t size = 0;
    if (input->file != NULL && mr_file_size(input->file, &size, NULL) != MR_OK)
        return 0;
    return size;
}

/* tar.c -- the header block of ustar.
 *
 *   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 checksum 8 | 156 type 1 |
 *   157 link 100 | 257 "ustar\0" | 263 "00" | 265 user 32 | 297 group 32 | 329 devices 16 | 345 prefix 155 | 500
 *
 * Numbers are octal text ended by NUL or blank; the checksum is the sum of all bytes, its own field as blanks. */
#include "registry/tar.h"

#include <string.h>

enum { NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, SUM = 148, TYPE = 156 };
enum { MAGIC = 257, VERSION = 263, PREFIX = 345, NAME_BYTES = 100, PREFIX_BYTES = 155 };

static uint32_t checksum(const uint8_t *block)
{
    uint32_t sum = 0;
    for (int i = 0; i < MR_TAR_BLOCK_BYTES; i++)
        sum += i >= SUM && i < TYPE ? ' ' : block[i];
    return sum;
}

static void put_octal(uint8_t *field, int digits, uint64_t value)
{
    for (field[digits] = '\0'; digits-- > 0; value >>= 3)
        field[digits] = (uint8_t)('0' + (value & 7));
}

/* A name of more than 100 bytes is cut at a slash: what is before it is the prefix. */
static bool put_name(uint8_t *block, const char *name)
{
    size_t size = strlen(name);
    if (size <= NAME_BYTES) {
        memcpy(block + NAME, name, size);
        return true;
    }
    const char *slash = strchr(name, '/');
    size_t before = slash != NULL ? (size_t)(slash - name) : PREFIX_BYTES + 1;
    if (before > PREFIX_BYTES || size - before - 1 > NAME_BYTES)
        return false;
    memcpy(block + PREFIX, name, before);
    memcpy(block + NAME, slash + 1, size - before - 1);
    return true;
}

mr_status mr_tar_encode(const char *name, uint64_t size, uint8_t out[MR_TAR_BLOCK_BYTES],
                        mr_error *err)
{
    memset(out, 0, MR_TAR_BLOCK_BYTES);
    if (!put_name(out, name))
        return MR_FAIL(err, MR_FULL, "the name %.100s... is too long for a tar", name);
    if (size > MR_TAR_SIZE_MAX)
        return MR_FAIL(err, MR_FULL, "%s has %llu bytes; a tar takes files of %llu", name,
                       (unsigned long long)size, (unsigned long long)MR_TAR_SIZE_MAX);
    put_octal(out + MODE, 7, 0644);
    put_octal(out + UID, 7, 0);
    put_octal(out + GID, 7, 0);
    put_octal(out + SIZE, 11, size);
    put_octal(out + MTIME, 11, 0);
    out[TYPE] = '0';
    memcpy(out + MAGIC, "ustar", 6);
    memcpy(out + VERSION, "00", 2);
    put_octal(out + SUM, 6, checksum(out));
    out[SUM + 7] = ' ';
    return MR_OK;
}

/* ---- reading ---- */

static bool take_octal(const uint8_t *field, int bytes, uint64_t *out)
{
    int at = 0, digits = 0;
    *out = 0;
    while (at < bytes && field[at] == ' ')
        at++;
    for (; at < bytes && field[at] >= '0' && field[at] <= '7'; at++, digits++)
        *out = *out * 8 + (uint64_t)(field[at] - '0');
    return digits > 0 && (at == bytes || field[at] == ' ' || field[at] == '\0');
}

static bool is_zero(const uint8_t *block)
{
    int i = 0;
    while (i < MR_TAR_BLOCK_BYTES && block[i] == 0)
        i++;
    return i == MR_TAR_BLOCK_BYTES;
}

static void take_name(const uint8_t *block, char *out)
{
    size_t prefix = strnlen((const char *)block + PREFIX, PREFIX_BYTES),
           name = strnlen((const char *)block + NAME, NAME_BYTES), at = 0;
    if (prefix > 0) {
        memcpy(out, block + PREFIX, prefix);
        out[prefix] = '/';
        at = prefix + 1;
    }
    memcpy(out + at, block + NAME, name);
    out[at + name] = '\0';
}

mr_status mr_tar_decode(const uint8_t block[MR_TAR_BLOCK_BYTES], mr_tar_entry *out, mr_error *err)
{
    uint64_t sum;
    *out = (mr_tar_entry){.is_end = is_zero(block)};
    if (out->is_end)
        return MR_OK;
    if (!take_octal(block + SUM, 8, &sum) || sum != checksum(block))
        return MR_FAIL(err, MR_CORRUPT, "the checksum of a tar header does not match");
    if (memcmp(block + MAGIC, "ustar", 5) != 0)
        return MR_FAIL(err, MR_CORRUPT, "a tar header is not of the form ustar");
    take_name(block, out->name);
    if (!take_octal(block + SIZE, 12, &out->size))
        return MR_FAIL(err, MR_CORRUPT, "entry %.200s: its size is no octal number", out->name);
    uint8_t type = block[TYPE];
    out->is_folder = type == '5';
    if (type != '0' && type != '\0' && type != '5')
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "entry %.200s is of type 0x%02x; only plain files are taken (no links)",
                       out->name, type);
    return MR_OK;
}

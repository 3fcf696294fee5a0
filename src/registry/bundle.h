/* bundle.h -- an artifact as one file: a tar of its files, packed with Zstandard; `tar xf` reads it.
 *
 *   | header 512 | content, zeros up to 512 | ... | 1024 zeros |          POSIX ustar (IEEE Std 1003.1-1988)
 *   each name is NAME@HASH/file: the model's name, and the artifact's content hash
 *
 * Written: in the order of names, times and owners zero, so that one artifact always gives the same tar.
 * Read: from anyone. Refused, by entry and reason: whatever is no plain file in the one folder (links, devices, longer
 * paths, "..", a second folder), names twice, what an artifact may not be called, more files or bytes than an artifact
 * may have, checksums that do not match, sizes that are no octal number, an end that is missing. */
#ifndef MR_REGISTRY_BUNDLE_H
#define MR_REGISTRY_BUNDLE_H

#include "base/sha256.h"
#include "os/fs.h"

#define MR_BUNDLE_NAME_MAX (100 + 1)

/* `folder` as the artifact `hash` of the model `name`, to the file `path`, which must not exist. */
mr_status mr_bundle_write(mr_fs *fs, const char *folder, const char *name, const char *hash,
                          const char *path, mr_error *err);
/* Unpacks into the new folder `folder`; on failure nothing of it is left. The content is not compared with the hash. */
mr_status mr_bundle_read(mr_fs *fs, const char *path, const char *folder,
                         char out_name[MR_BUNDLE_NAME_MAX], char out_hash[MR_SHA256_TEXT_BYTES],
                         mr_error *err);

#endif

/*
 * What the files of the API about threats share.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_API_ALLOW_H
#define CAVAD_API_ALLOW_H

#include "cavad/api_private.h"

/* A path; a file URI when it is no UTF-8. */
json_t *api_file(struct api_call *call, const char *path);
json_t *api_digest(const uint8_t digest[DIGEST_SIZE]);

/* "kind" of the body, if it is there; false: the call is answered. */
bool api_allow_kind(struct api_call *call, enum allow_kind *kind);

/*
 * "reason" and "expires" of the body, and when the entry was made. False: the
 * call is answered.
 */
bool api_allow_terms(struct api_call *call, struct allow *entry);

/* Why nothing was done with a file; borrowed. */
const char *api_files_text(int error, enum files_status status, int io);

/* Of allows_recv(). */
void api_allow_error(struct api_call *call, int error);

#endif

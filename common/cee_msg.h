/*
 * CEE on the wire: the only file that knows its element names.
 *
 * Heartbeats follow captures of OneFS and PowerStore that others published
 * (docs/cee.md names them). The scan request and its reply are this
 * project's own, in the same CheckFileRequest/CheckFileResponse envelope,
 * and UNVERIFIED against Dell's CEE: Dell has published neither. Both sides
 * live here, so that one capture corrects one file.
 *
 * Requests are UTF-8 or UTF-16LE; a reply uses the encoding of its request.
 * Names inside are base64 of UTF-16LE. Attribute order does not matter.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_CEE_MSG_H
#define COMMON_CEE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#define CEE_MSG_MAX 65536	/* bytes of a message that is looked at */

enum cee_kind {
	CEE_OTHER = 0,		/* an action we do not serve, e.g. 11 */
	CEE_HEARTBEAT,
	CEE_SCAN
};

/* Action numbers that mean something, from [cee] of cavad.conf. */
struct cee_profile {
	unsigned int heartbeat_action;	/* 9 */
	unsigned int scan_action;	/* 1: ours, unverified */
};

#define CEE_PROFILE_DEFAULT ((struct cee_profile) { 9, 1 })

struct cee_request {
	enum cee_kind kind;
	unsigned int action;
	unsigned int source_id;
	const char *source_ip;	/* sourceIP or celerraIP */
	const char *name;	/* decoded, UTF-8; scan: UNC path of the file */
	const char *cluster_id;
	const char *cluster_name;
	uint64_t scan_id;	/* scan: echoed in the reply (ours) */
	uint64_t size;		/* scan: bytes (ours) */
	uint32_t timeout;	/* scan: s (ours) */
	bool utf16;		/* as it came, or as it shall go */
};

/* Statuses of CheckFileResponse that we send or tell apart. */
#define CEE_SUCCESS 0x0
#define CEE_ERROR_SETUP 0x1
#define CEE_ERROR_AV_NOT_FOUND 0x2
#define CEE_ERROR_FILE_NOT_FOUND 0x3
#define CEE_ERROR_ACCESS_DENIED 0x4
#define CEE_ERROR_FAIL 0x5
#define CEE_ERROR_TIMEOUT 0x6
#define CEE_SUSPECT_VIRUS 0x8
#define CEE_DETECT_VIRUS 0x9
#define CEE_OTHER_VIRUS 0xc
#define CEE_ERROR_AVINTERFACE 0xd
#define CEE_ERROR_BAD_REQUEST 0x10
#define CEE_ERROR_RESOURCES 0x11

struct cee_reply {
	uint32_t status;
	const char *cee_version;	/* "" = not said; so for the rest */
	const char *dtd_version;	/* heartbeat */
	const char *av_vendor;	/* ours: "ClamAV 1.4.1" */
	int64_t signature_time;	/* ours: s since the epoch, 0 = not known */
	bool heartbeat;		/* has a HeartBeatResponse */
	bool scan;		/* has a ScanResponse (ours) */
	uint64_t scan_id;	/* ScanResponse: 0 = not said */
	bool limit;		/* ScanResponse: over an engine's limit */
	const char *threat;
	const char *detail;	/* for people: why it failed */
	uint64_t bytes;		/* that were read */
};

/*
 * *out is talloc'd on mem_ctx, *len without terminator. 0; EILSEQ (a name
 * that is no UTF-8), EMSGSIZE (more than CEE_MSG_MAX), ENOMEM.
 */
int cee_request_encode(TALLOC_CTX *mem_ctx, const struct cee_profile *p,
		       const struct cee_request *r, char **out, size_t *len);
int cee_reply_encode(TALLOC_CTX *mem_ctx, const struct cee_reply *r,
		     bool utf16, char **out, size_t *len);

/* What a server says to GET: which version it is. UTF-8. */
int cee_banner_encode(TALLOC_CTX *mem_ctx, const char *version, char **out,
		      size_t *len);

/*
 * 0; EBADMSG (not XML, wrong root, nothing in it, DTD or entities, deeper
 * than 8, longer than CEE_MSG_MAX). *result is on mem_ctx.
 */
int cee_request_decode(TALLOC_CTX *mem_ctx, const struct cee_profile *p,
		       const void *data, size_t len,
		       struct cee_request **result);
int cee_reply_decode(TALLOC_CTX *mem_ctx, const void *data, size_t len,
		     struct cee_reply **result);

/* Is it one of the virus statuses (0x8 to 0xc)? */
bool cee_status_infected(uint32_t status);

/* "ERROR_AV_NOT_FOUND", or "unknown status". */
const char *cee_status_text(uint32_t status);

#endif

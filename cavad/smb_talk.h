/*
 * What is said to smbd to learn whether a share is there.
 *
 * Nobody need log in for that: of a session without a name smbd refuses the
 * connection to a share (ACCESS_DENIED), and says of one that is not there
 * that it is not (BAD_NETWORK_NAME). Four requests of SMB2, each sent when
 * the one before was answered. Pure: the bytes, and what an answer means.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_SMB_TALK_H
#define CAVAD_SMB_TALK_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

enum smb_step { SMB_NEGOTIATE, SMB_NTLM, SMB_ANONYMOUS, SMB_TREE };

enum smb_said {
	SMB_SAID_PART,		/* more of this answer has to come */
	SMB_SAID_NEXT,		/* the next request may go */
	SMB_SAID_NO_SHARE,
	SMB_SAID_OTHER,		/* of a share that is there, or no telling */
	SMB_SAID_NONSENSE	/* no answer of SMB2 to this request */
};

#define SMB_TALK_HEAD (4 + 64)	/* length, header ([MS-SMB2] 2.2.1.2) */

struct smb_talk {
	enum smb_step step;	/* whose request goes or is answered */
	uint64_t session;
	uint8_t head[SMB_TALK_HEAD];	/* of the answer */
	size_t len;		/* of head, so far */
	size_t rest;		/* behind it, to come still */
};

void smb_talk_init(struct smb_talk *talk);

/*
 * The request of this step, on mem_ctx; host and share are of the path in
 * the last one. 0, ENOMEM, or EILSEQ of one that is no UTF-8.
 */
int smb_talk_request(TALLOC_CTX *mem_ctx, const struct smb_talk *talk,
		     const char *host, const char *share, uint8_t **request,
		     size_t *len);

/* What has come, in pieces of any size. */
enum smb_said smb_talk_feed(struct smb_talk *talk, const uint8_t *data,
			    size_t len);

#endif

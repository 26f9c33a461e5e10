/*
 * Four requests of SMB2: see smb_talk.h.
 *
 * Of an answer the header alone matters, so nothing else is kept. NTLM
 * without a name proves nothing, and so needs nothing of the challenge:
 * all requests but the last are constants ([MS-NLMP] 2.2.1).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/smb_talk.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/cee_text.h"

#define SMB_ANSWER_MAX 65536	/* bytes: far more than one of these has */
#define SMB_FLAG_REPLY 1

#define NT_OK 0x00000000
#define NT_PENDING 0x00000103
#define NT_MORE_PROCESSING 0xc0000016
#define NT_BAD_NETWORK_NAME 0xc00000cc

/* 2.1 and 3.0.2, signing enabled */
static const uint8_t negotiate[36 + 4] = {
	[0] = 36, [2] = 2, [4] = 1,
	[36] = 0x10, 0x02, 0x02, 0x03,
};

#define SESSION_SETUP(size) 25, 0, 0, 1, [12] = 64 + 24, 0, size, 0
#define NTLMSSP 'N', 'T', 'L', 'M', 'S', 'S', 'P', 0
#define NTLM_FLAGS 0x08, 0x00	/* extended session security */

/* Unicode, the target's name, NTLM */
static const uint8_t ntlm[24 + 32] = {
	SESSION_SETUP(32),
	[24] = NTLMSSP, 1, 0, 0, 0,
	0x05, 0x02, NTLM_FLAGS,
};

#define NOTHING 0, 0, 0, 0, 65, 0, 0, 0

/* Unicode, NTLM, anonymous: a byte that is 0, and no name */
static const uint8_t anonymous[24 + 65] = {
	SESSION_SETUP(65),
	[24] = NTLMSSP, 3, 0, 0, 0,
	1, 0, 1, 0, 64, 0, 0, 0,
	NOTHING, NOTHING, NOTHING, NOTHING, NOTHING,
	0x01, 0x0a, NTLM_FLAGS,
};

static const struct {
	uint16_t command;
	const uint8_t *body;	/* NULL: made of names */
	size_t len;
	uint32_t goes_on;	/* with this status comes the next step */
} steps[] = {
	[SMB_NEGOTIATE] = { 0, negotiate, sizeof(negotiate), NT_OK },
	[SMB_NTLM] = { 1, ntlm, sizeof(ntlm), NT_MORE_PROCESSING },
	[SMB_ANONYMOUS] = { 1, anonymous, sizeof(anonymous), NT_OK },
	[SMB_TREE] = { 3, NULL, 8, 0 },
};

static void put(uint8_t *p, uint64_t value, size_t bytes)
{
	for (; bytes > 0; bytes--, value >>= 8) {
		*p++ = (uint8_t)value;
	}
}

static uint64_t get(const uint8_t *p, size_t bytes)
{
	uint64_t value = 0;

	while (bytes > 0) {
		value = value << 8 | p[--bytes];
	}
	return value;
}

void smb_talk_init(struct smb_talk *talk)
{
	*talk = (struct smb_talk){ .step = SMB_NEGOTIATE };
}

int smb_talk_request(TALLOC_CTX *mem_ctx, const struct smb_talk *talk,
		     const char *host, const char *share, uint8_t **request,
		     size_t *len)
{
	bool tree = talk->step == SMB_TREE;
	size_t size = 64 + steps[talk->step].len;
	size_t path_len = 0;
	uint8_t *path = NULL;
	uint8_t *p = NULL;
	char *unc = talloc_asprintf(mem_ctx, "\\\\%s\\%s", host, share);
	int ret = unc == NULL ? ENOMEM :
		cee_text_to_utf16(unc, unc, &path, &path_len);

	p = ret != 0 ? NULL :
		talloc_zero_array(mem_ctx, uint8_t, 4 + size + path_len);
	if (p == NULL) {
		talloc_free(unc);
		return ret != 0 ? ret : ENOMEM;
	}
	*request = p;
	size += tree ? path_len : 0;
	*len = 4 + size;
	p[2] = (uint8_t)(size >> 8);
	p[3] = (uint8_t)size;
	p += 4;
	memcpy(p, "\xfeSMB\x40", 5);
	put(p + 12, steps[talk->step].command, 2);
	put(p + 14, 8, 2);		/* credits: more than it takes */
	put(p + 24, talk->step, 8);	/* the number of the message */
	put(p + 40, talk->session, 8);
	if (tree) {
		p[64] = 9;
		p[68] = 64 + 8;
		put(p + 70, path_len, 2);
		memcpy(p + 72, path, path_len);
	} else {
		memcpy(p + 64, steps[talk->step].body, steps[talk->step].len);
	}
	talloc_free(unc);
	return 0;
}

/* Of the first four bytes: how much follows. 0 = nonsense */
static size_t smb_talk_length(const uint8_t *head)
{
	size_t len = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];

	return head[0] != 0 || len < 64 || len > SMB_ANSWER_MAX ? 0 : len;
}

/* The whole header is there. */
static bool smb_talk_fits(const struct smb_talk *talk)
{
	const uint8_t *p = talk->head + 4;

	return memcmp(p, "\xfeSMB\x40", 6) == 0 &&
		get(p + 12, 2) == steps[talk->step].command &&
		(get(p + 16, 4) & SMB_FLAG_REPLY) != 0 &&
		get(p + 24, 8) == talk->step;
}

/* The whole answer is there. */
static enum smb_said smb_talk_judge(struct smb_talk *talk)
{
	uint32_t status = (uint32_t)get(talk->head + 4 + 8, 4);

	talk->len = 0;
	if (status == NT_PENDING) {
		return SMB_SAID_PART;
	}
	if (talk->step == SMB_TREE) {
		return status == NT_BAD_NETWORK_NAME ? SMB_SAID_NO_SHARE :
			SMB_SAID_OTHER;
	}
	if (status != steps[talk->step].goes_on) {
		return SMB_SAID_OTHER;
	}
	if (talk->step == SMB_NTLM) {
		talk->session = get(talk->head + 4 + 40, 8);
	}
	talk->step++;
	return SMB_SAID_NEXT;
}

/* One byte of the header. */
static enum smb_said smb_talk_head(struct smb_talk *talk, uint8_t byte)
{
	talk->head[talk->len++] = byte;
	if (talk->len == 4) {
		talk->rest = smb_talk_length(talk->head);
		if (talk->rest == 0) {
			return SMB_SAID_NONSENSE;
		}
		talk->rest -= 64;
	}
	if (talk->len < SMB_TALK_HEAD) {
		return SMB_SAID_PART;
	}
	if (!smb_talk_fits(talk)) {
		return SMB_SAID_NONSENSE;
	}
	return talk->rest == 0 ? smb_talk_judge(talk) : SMB_SAID_PART;
}

enum smb_said smb_talk_feed(struct smb_talk *talk, const uint8_t *data,
			    size_t len)
{
	enum smb_said said = SMB_SAID_PART;
	size_t i = 0;

	for (i = 0; i < len && said == SMB_SAID_PART; i++) {
		if (talk->len < SMB_TALK_HEAD) {
			said = smb_talk_head(talk, data[i]);
			continue;
		}
		talk->rest--;
		if (talk->rest == 0) {
			said = smb_talk_judge(talk);
		}
	}
	return said;
}

/*
 * What smbd answers to the question for a share. The same in one piece and
 * byte by byte; that there is none is only said after all four requests, by
 * its own status.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cavad/smb_talk.h"
#include "tests/fuzz/fuzz.h"

/* An answer: header alone. The length behind it. */
static size_t answer(uint8_t *p, unsigned int message, uint8_t command,
		     uint32_t status)
{
	static const uint8_t start[] = { 0, 0, 0, 64, 0xfe, 'S', 'M', 'B', 64 };
	unsigned int i;

	memset(p, 0, SMB_TALK_HEAD);
	memcpy(p, start, sizeof(start));
	for (i = 0; i < 4; i++) {
		p[4 + 8 + i] = (uint8_t)(status >> 8 * i);
	}
	p[4 + 12] = command;
	p[4 + 16] = 1;
	p[4 + 24] = (uint8_t)message;
	p[4 + 40] = 0x77;
	return SMB_TALK_HEAD;
}

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const uint32_t last[] = { 0xc00000cc, 0xc0000022, 0x103, 0 };
	size_t n = 0;

	if (i >= sizeof(last) / sizeof(last[0])) {
		return 0;
	}
	n += answer(data + n, 0, 0, 0);
	n += answer(data + n, 1, 1, 0xc0000016);
	n += answer(data + n, 2, 1, 0x103);	/* it is not done yet */
	n += answer(data + n, 2, 1, 0);
	n += answer(data + n, 3, 3, last[i]);
	return n;
}

static enum smb_said talk(const uint8_t *data, size_t size, size_t piece)
{
	struct smb_talk talk;
	enum smb_said said = SMB_SAID_PART;
	size_t n = 0;

	smb_talk_init(&talk);
	while (size > 0 && (said == SMB_SAID_PART || said == SMB_SAID_NEXT)) {
		n = size < piece ? size : piece;
		said = smb_talk_feed(&talk, data, n);
		data += n;
		size -= n;
	}
	if (said == SMB_SAID_NO_SHARE && talk.step != SMB_TREE) {
		abort();
	}
	return said;
}

/* Answers come one by one: pieces that end with one. */
static enum smb_said talk_whole(const uint8_t *data, size_t size)
{
	struct smb_talk talk;
	enum smb_said said = SMB_SAID_PART;
	size_t n = 0;

	smb_talk_init(&talk);
	while (size > 0 && (said == SMB_SAID_PART || said == SMB_SAID_NEXT)) {
		n = size < 4 ? size : 4 + ((size_t)data[1] << 16 |
					   (size_t)data[2] << 8 | data[3]);
		n = n > size ? size : n;
		said = smb_talk_feed(&talk, data, n);
		data += n;
		size -= n;
	}
	return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum smb_said bytes = talk(data, size, 1);

	if (bytes != talk_whole(data, size)) {
		abort();
	}
	(void)talk(data, size, size);
	return 0;
}

/*
 * A threat as bytes: docs/protocol.md has an example. What follows the fields
 * that are known is passed over: later versions add there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/threat.h"

const char *threat_state_text(enum threat_state state)
{
	static const char *const texts[] = {
#define T(number, NAME, text, remediation) [number] = text,
		THREAT_STATES(T)
#undef T
	};

	return (unsigned int)state < THREAT_STATE_COUNT ? texts[state] :
							  "unknown";
}

const char *threat_remediation(enum threat_state state)
{
	static const char *const texts[] = {
#define T(number, NAME, text, remediation) [number] = remediation,
		THREAT_STATES(T)
#undef T
	};

	return (unsigned int)state < THREAT_STATE_COUNT ? texts[state] :
							  "unknown";
}

/* The texts, in the order of the record. */
#define THREAT_TEXTS(F) \
	F(path) F(threat) F(engine) F(server) F(source) F(user) F(client) \
	F(share) F(report)

static void record_put_text(struct buf *b, const char *text)
{
	char cut[THREAT_TEXT_MAX + 1] = "";

	strncpy(cut, text, THREAT_TEXT_MAX);
	buf_put_str(b, cut);
}

void threat_put_record(struct buf *b, const struct threat *t)
{
	uint32_t i = 0;

	ident_put(b, &t->ident);
	buf_put_str(b, t->path);
#define F(name) record_put_text(b, t->name);
	F(threat) F(engine) F(server) F(source) F(user) F(client) F(share)
	F(report)
#undef F
	buf_put_u64(b, (uint64_t)t->found);
	buf_put_u64(b, (uint64_t)t->last);
	buf_put_u64(b, t->count);
	content_put(b, &t->content);
	buf_put_u64(b, (uint64_t)t->stamp);
	buf_put_u8(b, t->hashed);
	buf_put_bytes(b, t->digest, t->hashed ? DIGEST_SIZE : 0);
	buf_put_u8(b, (uint8_t)t->state);
	buf_put_u64(b, t->allow);
	buf_put_u32(b, t->changes);
	for (i = 0; i < t->changes; i++) {
		buf_put_u64(b, (uint64_t)t->history[i].when);
		buf_put_u8(b, (uint8_t)t->history[i].state);
		record_put_text(b, t->history[i].who);
		record_put_text(b, t->history[i].why);
	}
}

static enum threat_state record_get_state(struct buf *b)
{
	uint8_t state = buf_get_u8(b);

	if (state >= THREAT_STATE_COUNT && b->error == 0) {
		b->error = EBADMSG;
	}
	return state;
}

static bool record_get_history(struct threat *t, struct buf *b)
{
	uint32_t i = 0;

	t->changes = buf_get_u32(b);
	if (b->error != 0 || t->changes > THREAT_HISTORY_MAX) {
		return false;
	}
	t->history = talloc_zero_array(t, struct threat_change, t->changes);
	for (i = 0; t->history != NULL && i < t->changes; i++) {
		struct threat_change *c = &t->history[i];

		c->when = (int64_t)buf_get_u64(b);
		c->state = record_get_state(b);
		c->who = talloc_strdup(t->history, buf_get_str(b));
		c->why = talloc_strdup(t->history, buf_get_str(b));
		if (c->who == NULL || c->why == NULL) {
			return false;
		}
	}
	return t->history != NULL && b->error == 0;
}

struct threat *threat_get_record(TALLOC_CTX *mem_ctx, uint64_t id,
				 struct buf *b)
{
	struct threat *t = talloc_zero(mem_ctx, struct threat);
	bool ok = t != NULL;

	if (!ok) {
		return NULL;
	}
	t->id = id;
	ident_get(b, &t->ident);
#define F(name) t->name = talloc_strdup(t, buf_get_str(b)); \
	ok = ok && t->name != NULL;
	THREAT_TEXTS(F)
#undef F
	t->found = (int64_t)buf_get_u64(b);
	t->last = (int64_t)buf_get_u64(b);
	t->count = buf_get_u64(b);
	content_get(b, &t->content);
	t->stamp = (int64_t)buf_get_u64(b);
	t->hashed = buf_get_u8(b) != 0;
	if (t->hashed) {
		buf_get_bytes(b, t->digest, DIGEST_SIZE);
	}
	t->state = record_get_state(b);
	t->allow = buf_get_u64(b);
	if (!ok || !record_get_history(t, b)) {
		talloc_free(t);
		return NULL;
	}
	return t;
}

/* Full: the second one goes, since the first says how it began. */
static void history_room(struct threat *t)
{
	if (t->changes < THREAT_HISTORY_MAX) {
		return;
	}
	memmove(&t->history[1], &t->history[2],
		(t->changes - 2) * sizeof(t->history[0]));
	t->changes--;
}

bool threat_change(struct threat *t, enum threat_state state, int64_t when,
		   const char *who, const char *why)
{
	struct threat_change *history = NULL;

	history_room(t);
	history = talloc_realloc(t, t->history, struct threat_change,
				 t->changes + 1);
	if (history == NULL) {
		return false;
	}
	t->history = history;
	history[t->changes] = (struct threat_change) {
		.when = when,
		.state = state,
		.who = talloc_strdup(history, who),
		.why = talloc_strdup(history, why),
	};
	if (history[t->changes].who == NULL ||
	    history[t->changes].why == NULL) {
		return false;
	}
	t->changes++;
	t->state = state;
	return true;
}

/*
 * Scan or not: see filter.h. Everything here is pure.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/filter.h"

#include <errno.h>

static struct filter_decision decide(enum filter_action action,
				     enum verdict_reason reason)
{
	return (struct filter_decision) { .action = action,
					  .reason = reason };
}

static bool filter_infected(enum verdict_state state)
{
	return state == VERDICT_STATE_INFECTED ||
		state == VERDICT_STATE_WAS_INFECTED;
}

static struct filter_decision filter_read(const struct filter *f,
					  const struct filter_facts *x)
{
	switch (x->state) {
	case VERDICT_STATE_CLEAN:
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case VERDICT_STATE_INFECTED:
		return decide(FILTER_DENY, VERDICT_REASON_NONE);
	case VERDICT_STATE_UNSCANNABLE:
		return decide(f->open_on_fail ? FILTER_GO : FILTER_DENY,
			      VERDICT_REASON_LIMIT);
	case VERDICT_STATE_WAS_INFECTED:
		if (x->own_content) {
			return decide(FILTER_GO, VERDICT_REASON_CREATED);
		}
		return decide(FILTER_ASK, VERDICT_REASON_NONE);
	case VERDICT_STATE_NONE:
	case VERDICT_STATE_STALE:
		break;
	}
	if (x->own_content) {
		return decide(FILTER_GO, VERDICT_REASON_CREATED);
	}
	if (f->size_maximum != 0 && x->size > f->size_maximum) {
		return decide(FILTER_GO, VERDICT_REASON_TOO_LARGE);
	}
	return decide(f->profile == FILTER_STRICT ?
		      FILTER_ASK : FILTER_ASK_OWED, VERDICT_REASON_NONE);
}

struct filter_decision filter_decide(const struct filter *f,
				     const struct filter_facts *facts)
{
	if (!f->enabled) {
		return decide(FILTER_GO, VERDICT_REASON_DISABLED);
	}
	switch (facts->operation) {
	case FILTER_OPEN:
		if (facts->gate) {
			return filter_read(f, facts);
		}
		if (facts->state == VERDICT_STATE_INFECTED) {
			return decide(FILTER_DENY, VERDICT_REASON_NONE);
		}
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case FILTER_OPEN_REPLACE:
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case FILTER_READ:
		return filter_read(f, facts);
	case FILTER_CLOSE:
		return decide(facts->written ? FILTER_NOTIFY : FILTER_GO,
			      VERDICT_REASON_NONE);
	case FILTER_RENAME:
		return decide(FILTER_NOTIFY, VERDICT_REASON_NONE);
	}
	return decide(FILTER_DENY, VERDICT_REASON_NONE);
}

bool filter_allows(const struct filter *f, enum verdict_state before,
		   enum verdict_result result, enum verdict_reason reason)
{
	if (result == VERDICT_CLEAN) {
		return true;
	}
	if (result == VERDICT_INFECTED) {
		return false;
	}
	if (result == VERDICT_SKIPPED && reason == VERDICT_REASON_DISABLED) {
		return true;
	}
	if (filter_infected(before)) {
		return false;
	}
	return result == VERDICT_SKIPPED ||
	       reason == VERDICT_REASON_NOT_OWED || f->open_on_fail;
}

void filter_put(struct buf *b, const struct filter *f)
{
	buf_put_u8(b, f->enabled);
	buf_put_u8(b, (uint8_t)f->profile);
	buf_put_u8(b, f->open_on_fail);
	buf_put_u8(b, (uint8_t)f->denial);
	buf_put_u32(b, f->scan_timeout);
	buf_put_u32(b, f->sync_wait);
	buf_put_u64(b, f->size_maximum);
	buf_put_u64(b, (uint64_t)f->signature_min);
}

void filter_get(struct buf *b, struct filter *f)
{
	uint8_t enabled = buf_get_u8(b);
	uint8_t profile = buf_get_u8(b);
	uint8_t open_on_fail = buf_get_u8(b);
	uint8_t denial = buf_get_u8(b);

	f->scan_timeout = buf_get_u32(b);
	f->sync_wait = buf_get_u32(b);
	f->size_maximum = buf_get_u64(b);
	f->signature_min = (int64_t)buf_get_u64(b);
	f->enabled = enabled != 0;
	f->open_on_fail = open_on_fail != 0;
	f->profile = profile;
	f->denial = denial;
	if (b->error == 0 && (enabled > 1 || open_on_fail > 1 ||
			      profile > FILTER_STRICT ||
			      denial > FILTER_DENIAL_ACCESS_DENIED)) {
		b->error = EBADMSG;
	}
}

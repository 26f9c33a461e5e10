/*
 * Scan or not: see filter.h. Everything here is pure.
 *
 * The order of the questions is the law: first what is known of the content,
 * then whose content it is, then the rules, then the profile. So no rule
 * lets an infected file through, and none is asked about a clean one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "common/filter.h"

/* What a read waits for. */
enum filter_wait { FILTER_WAIT_NO, FILTER_WAIT_OWED, FILTER_WAIT_SCAN };

static const struct {
	enum filter_wait read;
	bool close;
	bool rename;
} filter_profiles[] = {
	[FILTER_STANDARD] = { FILTER_WAIT_OWED, true, true },
	[FILTER_STRICT] = { FILTER_WAIT_SCAN, true, true },
	[FILTER_WRITES_ONLY] = { FILTER_WAIT_NO, true, true },
	[FILTER_NO_SCAN] = { FILTER_WAIT_NO, false, false },
};

static struct filter_decision decide(enum filter_action action,
				     enum verdict_reason reason)
{
	return (struct filter_decision) { .action = action,
					  .reason = reason };
}

static bool filter_infected(enum verdict_state state)
{
	return state == VERDICT_STATE_INFECTED ||
		state == VERDICT_STATE_WAS_INFECTED ||
		state == VERDICT_STATE_QUARANTINED;
}

/* Known infected. Only cavad knows what is allowed. */
static struct filter_decision filter_known(const struct filter *f,
					   enum filter_action asked)
{
	return decide(f->allows ? asked : FILTER_DENY, VERDICT_REASON_NONE);
}

static enum filter_wait filter_wait(const struct filter *f)
{
	switch (f->on_read) {
	case FILTER_TRIGGER_YES:
		return FILTER_WAIT_SCAN;
	case FILTER_TRIGGER_NO:
		return FILTER_WAIT_NO;
	case FILTER_TRIGGER_PROFILE:
		break;
	}
	return filter_profiles[f->profile].read;
}

static bool filter_triggers(enum filter_trigger trigger, bool by_profile)
{
	return trigger == FILTER_TRIGGER_PROFILE ?
		by_profile : trigger == FILTER_TRIGGER_YES;
}

/*
 * A mark makes a reader wait. One that was left since closes were not scanned
 * does so where they are.
 */
static bool filter_marked(const struct filter *f,
			  const struct filter_facts *x)
{
	if (x->state != VERDICT_STATE_MARKED) {
		return false;
	}
	if (x->mark != VERDICT_REASON_PROFILE &&
	    x->mark != VERDICT_REASON_DISABLED) {
		return true;
	}
	return filter_triggers(f->on_close,
			       filter_profiles[f->profile].close);
}

/*
 * Let through unscanned. Where the file itself cannot tell that it is known
 * infected, somebody is asked.
 */
static struct filter_decision filter_skip(const struct filter_facts *x,
					  enum verdict_reason reason)
{
	return decide(x->database ? FILTER_ASK_KNOWN : FILTER_GO, reason);
}

/* A reader of what has no clean verdict, or one that no longer holds. */
static struct filter_decision filter_read_unknown(const struct filter *f,
						  const struct filter_facts *x)
{
	enum filter_wait wait = filter_wait(f);
	enum verdict_reason reason = filter_rules(f, x);

	if (reason != VERDICT_REASON_NONE) {
		return filter_skip(x, reason);
	}
	if (filter_exempt(f, x)) {
		return filter_skip(x, VERDICT_REASON_EXEMPT);
	}
	if (f->size_maximum != 0 && x->size > f->size_maximum) {
		return f->size_deny ?
			decide(FILTER_DENY, VERDICT_REASON_TOO_LARGE) :
			filter_skip(x, VERDICT_REASON_TOO_LARGE);
	}
	if (wait == FILTER_WAIT_NO) {
		return filter_skip(x, VERDICT_REASON_PROFILE);
	}
	if (x->state == VERDICT_STATE_UNSCANNABLE) {
		return decide(f->open_on_fail ? FILTER_GO : FILTER_DENY,
			      VERDICT_REASON_LIMIT);
	}
	if (wait == FILTER_WAIT_OWED && !filter_marked(f, x)) {
		return decide(FILTER_ASK_OWED, VERDICT_REASON_NONE);
	}
	if (x->tiered && !f->tiered) {
		return decide(FILTER_ASK_OWED, VERDICT_REASON_TIERED);
	}
	return decide(FILTER_ASK, VERDICT_REASON_NONE);
}

static struct filter_decision filter_read(const struct filter *f,
					  const struct filter_facts *x)
{
	switch (x->state) {
	case VERDICT_STATE_CLEAN:
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case VERDICT_STATE_INFECTED:
		return filter_known(f, FILTER_ASK);
	case VERDICT_STATE_QUARANTINED:
		return decide(FILTER_DENY, VERDICT_REASON_QUARANTINED);
	case VERDICT_STATE_WAS_INFECTED:
		if (x->own_content) {
			return decide(FILTER_GO, VERDICT_REASON_CREATED);
		}
		if (filter_wait(f) == FILTER_WAIT_NO) {
			return decide(FILTER_DENY,
				      VERDICT_REASON_WAS_INFECTED);
		}
		return decide(FILTER_ASK, VERDICT_REASON_NONE);
	case VERDICT_STATE_NONE:
	case VERDICT_STATE_STALE:
	case VERDICT_STATE_MARKED:
		if (x->own_content) {
			return decide(FILTER_GO, VERDICT_REASON_CREATED);
		}
		break;
	case VERDICT_STATE_UNSCANNABLE:
		break;
	}
	return filter_read_unknown(f, x);
}

/* A close or rename, `triggered` by profile or setting. */
static struct filter_decision filter_changed(const struct filter *f,
					     const struct filter_facts *x,
					     bool triggered)
{
	enum verdict_reason reason = VERDICT_REASON_NONE;

	if (!triggered) {
		return decide(FILTER_GO, VERDICT_REASON_PROFILE);
	}
	if (!filter_infected(x->state)) {
		reason = filter_rules(f, x);
	}
	if (reason == VERDICT_REASON_NONE && x->tiered && !f->tiered &&
	    x->operation == FILTER_RENAME && !filter_infected(x->state)) {
		reason = VERDICT_REASON_TIERED;
	}
	return decide(reason == VERDICT_REASON_NONE ? FILTER_NOTIFY :
						      FILTER_GO, reason);
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
		if (facts->state == VERDICT_STATE_QUARANTINED) {
			return filter_read(f, facts);
		}
		if (facts->state == VERDICT_STATE_INFECTED) {
			return filter_known(f, FILTER_GO);
		}
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case FILTER_OPEN_REPLACE:
		return decide(FILTER_GO, VERDICT_REASON_NONE);
	case FILTER_READ:
		return filter_read(f, facts);
	case FILTER_CLOSE:
		if (!facts->written) {
			return decide(FILTER_GO, VERDICT_REASON_NONE);
		}
		return filter_changed(f, facts, filter_triggers(
			f->on_close, filter_profiles[f->profile].close));
	case FILTER_RENAME:
		return filter_changed(f, facts, filter_triggers(
			f->on_rename, filter_profiles[f->profile].rename));
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
		return reason == VERDICT_REASON_ALLOWED;
	}
	if (result == VERDICT_SKIPPED && reason == VERDICT_REASON_DISABLED) {
		return true;
	}
	if (filter_infected(before) || reason == VERDICT_REASON_WAS_INFECTED) {
		return false;
	}
	if (result == VERDICT_SKIPPED) {
		return reason != VERDICT_REASON_TOO_LARGE || !f->size_deny;
	}
	return reason == VERDICT_REASON_NOT_OWED || f->open_on_fail;
}

bool filter_has_rules(const struct filter *f)
{
	return f->extensions.size != 0 || f->extensions_include ||
		f->no_extension_skip || f->paths.size != 0 ||
		f->accounts.size != 0 || f->hosts.size != 0;
}

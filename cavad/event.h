/*
 * Events: what an administrator should hear about.
 *
 * A row each in event.def, with OneFS's numbers and meanings where it has
 * them. An event about something (a server, a file) is raised once, counted
 * while it lasts, and cleared; each change is one line in the journal with
 * fields, and shows in status.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVAD_EVENT_H
#define CAVAD_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

enum event_number {
#define EVENT(number, NAME, severity, text) EVENT_##NAME = number,
#include "cavad/event.def"
#undef EVENT
};

enum event_severity { EVENT_INFO, EVENT_WARNING, EVENT_CRITICAL };

struct events;

struct events *events_create(TALLOC_CTX *mem_ctx);

/* Raises it about `what` ("" = the node), or counts it when it is up. */
void event_raise(struct events *e, enum event_number number,
		 const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Nothing happens when it is not up. */
void event_clear(struct events *e, enum event_number number,
		 const char *what);

/*
 * A success where others fail still: clears it when it was not raised for
 * EVENT_SETTLE, so that it does not come and go with each.
 */
#define EVENT_SETTLE 10		/* s */
void event_settle(struct events *e, enum event_number number,
		  const char *what);

/* Something that happens and has no end, such as an infected file. */
void event_log(struct events *e, enum event_number number, const char *what,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The audit trail: CAVA_CHANGED about `what`, "fmt (by who)". */
void event_audit(struct events *e, const char *what, const char *who,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/*
 * A fact for programs beside the text: { "user", "DOM\\u" }. Names are small
 * letters; empty values are as good as none.
 */
#define EVENT_DETAILS_MAX 8
struct event_detail {
	const char *name;	/* NULL ends the list */
	const char *value;
};

/* event_log() with at most EVENT_DETAILS_MAX facts. */
void event_log_details(struct events *e, enum event_number number,
		       const char *what, const struct event_detail *details,
		       const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

struct event {
	uint64_t id;		/* of event_history.c; 0 = none yet */
	enum event_number number;
	const char *name;	/* symbolic */
	enum event_severity severity;
	const char *meaning;	/* of event.def */
	const char *what;
	const char *text;	/* the particulars, may be "" */
	int64_t since;		/* ns since the epoch */
	int64_t last;		/* the same, of the last raise */
	uint64_t count;
	const struct event_detail *details;	/* NULL = none */
};

/* .number and what its row says; .name "" = there is no such row. */
void event_describe(struct event *event, uint32_t number);

/* "information", "warning", "critical": the choices of event_severity. */
const char *event_severity_text(enum event_severity severity);

enum event_change {
	EVENT_RAISED,
	EVENT_COUNTED,		/* .count is a power of ten */
	EVENT_CLEARED,		/* still as it was */
	EVENT_HAPPENED		/* event_log(); not up */
};

/* fn hears of each change; it may set event->id and nothing else. */
void events_watch(struct events *e,
		  void (*fn)(void *private_data, enum event_change change,
			     struct event *event),
		  void *private_data);

/* Those that are up: i from 0, NULL after the last. Borrowed. */
const struct event *events_up(const struct events *e, unsigned int i);

#endif

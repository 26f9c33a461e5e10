/*
 * Events that are up, in the order in which they went up.
 *
 * An event is up about one thing (number and `what`). While it is, raising
 * it again only counts, whatever the text, and a line is logged at every
 * power of ten, so that a server which fails a thousand times a second fills
 * no journal. At most EVENT_UP_MAX are up; what comes on top is counted and
 * logged at every power of ten too.
 *
 * Journal fields of each line: CAVA_EVENT (number), CAVA_EVENT_NAME,
 * CAVA_WHAT; and of its details, CAVA_USER and the like.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cavad/event.h"
#include "common/log.h"

#define EVENT_UP_MAX 1024

struct events {
	struct event *up[EVENT_UP_MAX];
	unsigned int count;
	uint64_t dropped;	/* raised while all were in use */
	void (*watch)(void *private_data, enum event_change change,
		      struct event *event);
	void *watch_private;
};

struct event_class {
	enum event_number number;
	const char *name;
	enum event_severity severity;
	const char *meaning;
};

static const struct event_class event_classes[] = {
#define EVENT(number, NAME, severity, text) \
	{ EVENT_##NAME, #NAME, EVENT_##severity, text },
#include "cavad/event.def"
#undef EVENT
};

static const struct event_class *event_class(enum event_number number)
{
	size_t i;

	for (i = 0; i < sizeof(event_classes) / sizeof(event_classes[0]);
	     i++) {
		if (event_classes[i].number == number) {
			return &event_classes[i];
		}
	}
	abort();	/* no row: ours */
}

void event_describe(struct event *event, uint32_t number)
{
	size_t i;

	event->number = number;
	event->name = "";
	event->meaning = "";
	for (i = 0; i < sizeof(event_classes) / sizeof(event_classes[0]);
	     i++) {
		if (event_classes[i].number == event->number) {
			event->name = event_classes[i].name;
			event->severity = event_classes[i].severity;
			event->meaning = event_classes[i].meaning;
		}
	}
}

void events_watch(struct events *e,
		  void (*fn)(void *private_data, enum event_change change,
			     struct event *event),
		  void *private_data)
{
	e->watch = fn;
	e->watch_private = private_data;
}

static void event_tell(struct events *e, enum event_change change,
		       struct event *event)
{
	if (e->watch != NULL) {
		e->watch(e->watch_private, change, event);
	}
}

static enum log_level event_level(enum event_severity severity)
{
	switch (severity) {
	case EVENT_CRITICAL:
		return LOG_LEVEL_ERROR;
	case EVENT_WARNING:
		return LOG_LEVEL_WARNING;
	default:
		return LOG_LEVEL_NOTICE;
	}
}

static int64_t event_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool event_power_of_ten(uint64_t n)
{
	while (n >= 10 && n % 10 == 0) {
		n /= 10;
	}
	return n == 1;
}

const char *event_severity_text(enum event_severity severity)
{
	switch (severity) {
	case EVENT_CRITICAL:
		return "critical";
	case EVENT_WARNING:
		return "warning";
	case EVENT_INFO:
		break;
	}
	return "information";
}

/* "CAVA_USER=DOM\u" */
static char *event_field(TALLOC_CTX *mem_ctx, const struct event_detail *d)
{
	char *field = talloc_asprintf(mem_ctx, "CAVA_%s=%s", d->name,
				      d->value);
	char *p = NULL;

	for (p = field; p != NULL && *p != '='; p++) {
		*p = (char)toupper((unsigned char)*p);
	}
	return field;
}

/* "NAME (number): meaning: what: text" */
static void event_line_details(enum log_level level,
			       const struct event_class *class,
			       const char *what, const char *text,
			       const struct event_detail *d)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	const char *fields[3 + EVENT_DETAILS_MAX + 1] = { NULL };
	size_t n = 3;

	fields[0] = talloc_asprintf(frame, "CAVA_EVENT=%d", class->number);
	fields[1] = talloc_asprintf(frame, "CAVA_EVENT_NAME=%s", class->name);
	fields[2] = talloc_asprintf(frame, "CAVA_WHAT=%s", what);
	for (; d != NULL && d->name != NULL && n < 3 + EVENT_DETAILS_MAX;
	     d++) {
		if (d->value[0] != '\0') {
			fields[n] = event_field(frame, d);
			n++;
		}
	}
	log_fields(level, fields, "%s (%d): %s%s%s%s%s", class->name,
		   class->number, class->meaning,
		   what[0] != '\0' ? ": " : "", what,
		   text[0] != '\0' ? ": " : "", text);
	talloc_free(frame);
}

static void event_line(enum log_level level, const struct event_class *class,
		       const char *what, const char *text)
{
	event_line_details(level, class, what, text, NULL);
}

/* How long it was up, for people. */
static void event_line_cleared(const struct event *event)
{
	const struct event_class *class = event_class(event->number);
	int64_t up = (event_now() - event->since) / 1000000000;
	char *text = NULL;

	text = talloc_asprintf(NULL, "over after %" PRId64 " s, raised %"
			       PRIu64 " times", up < 0 ? 0 : up,
			       event->count);
	event_line(LOG_LEVEL_NOTICE, class, event->what,
		   text == NULL ? "over" : text);
	talloc_free(text);
}

struct events *events_create(TALLOC_CTX *mem_ctx)
{
	return talloc_zero(mem_ctx, struct events);
}

/* Its place in `up`, or count. */
static unsigned int event_find(const struct events *e,
			       enum event_number number, const char *what)
{
	unsigned int i;

	for (i = 0; i < e->count; i++) {
		if (e->up[i]->number == number &&
		    strcmp(e->up[i]->what, what) == 0) {
			break;
		}
	}
	return i;
}

static void event_count(struct events *e, struct event *event,
			const char *text)
{
	char *counted = NULL;

	event->count++;
	event->last = event_now();
	if (!event_power_of_ten(event->count)) {
		return;
	}
	counted = talloc_asprintf(NULL, "%s (raised %" PRIu64 " times)", text,
				  event->count);
	event_line(event_level(event->severity), event_class(event->number),
		   event->what, counted == NULL ? text : counted);
	talloc_free(counted);
	event_tell(e, EVENT_COUNTED, event);
}

/* NULL: no room. The caller logs the event itself. */
static struct event *event_add(struct events *e,
			       const struct event_class *class,
			       const char *what, const char *text)
{
	struct event *event = NULL;

	if (e->count == EVENT_UP_MAX) {
		return NULL;
	}
	event = talloc(e, struct event);
	if (event == NULL) {
		return NULL;
	}
	*event = (struct event) {
		.number = class->number,
		.name = class->name,
		.severity = class->severity,
		.meaning = class->meaning,
		.what = talloc_strdup(event, what),
		.text = talloc_strdup(event, text),
		.since = event_now(),
		.count = 1,
	};
	event->last = event->since;
	if (event->what == NULL || event->text == NULL) {
		talloc_free(event);
		return NULL;
	}
	e->up[e->count] = event;
	e->count++;
	return event;
}

static void event_dropped(struct events *e, const struct event_class *class,
			  const char *what, const char *text)
{
	e->dropped++;
	if (!event_power_of_ten(e->dropped)) {
		return;
	}
	event_line(event_level(class->severity), class, what, text);
	log_warning("%u events are up, no more are kept; %" PRIu64
		    " were lost so far", e->count, e->dropped);
}

void event_raise(struct events *e, enum event_number number,
		 const char *what, const char *fmt, ...)
{
	const struct event_class *class = event_class(number);
	unsigned int i = event_find(e, number, what);
	struct event *event = NULL;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	if (text == NULL) {
		return;
	}
	if (i < e->count) {
		event_count(e, e->up[i], text);
		talloc_free(text);
		return;
	}
	event = event_add(e, class, what, text);
	if (event == NULL) {
		event_dropped(e, class, what, text);
	} else {
		event_line(event_level(class->severity), class, what, text);
		event_tell(e, EVENT_RAISED, event);
	}
	talloc_free(text);
}

void event_clear(struct events *e, enum event_number number,
		 const char *what)
{
	unsigned int i = event_find(e, number, what);
	struct event *event = NULL;

	if (i == e->count) {
		return;
	}
	event = e->up[i];
	e->count--;
	memmove(&e->up[i], &e->up[i + 1],
		(e->count - i) * sizeof(e->up[0]));
	e->up[e->count] = NULL;
	event_line_cleared(event);
	event_tell(e, EVENT_CLEARED, event);
	talloc_free(event);
}

void event_settle(struct events *e, enum event_number number,
		  const char *what)
{
	unsigned int i = event_find(e, number, what);

	if (i < e->count && event_now() - e->up[i]->last >=
	    EVENT_SETTLE * (int64_t)1000000000) {
		event_clear(e, number, what);
	}
}

static void event_happened(struct events *e, enum event_number number,
			   const char *what, const char *text,
			   const struct event_detail *details)
{
	const struct event_class *class = event_class(number);
	struct event event = {
		.what = what, .text = text, .count = 1, .details = details,
	};

	event_line_details(event_level(class->severity), class, what, text,
			   details);
	event_describe(&event, number);
	event.since = event.last = event_now();
	event_tell(e, EVENT_HAPPENED, &event);
}

void event_log(struct events *e, enum event_number number, const char *what,
	       const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	event_happened(e, number, what, text == NULL ? "" : text, NULL);
	talloc_free(text);
}

void event_log_details(struct events *e, enum event_number number,
		       const char *what, const struct event_detail *details,
		       const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	event_happened(e, number, what, text == NULL ? "" : text, details);
	talloc_free(text);
}

void event_audit(struct events *e, const char *what, const char *who,
		 const char *fmt, ...)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct event_detail details[3] = { { "user", who }, { "change", "" } };
	char *change = NULL;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	change = talloc_vasprintf(frame, fmt, ap);
	va_end(ap);
	details[1].value = change == NULL ? "" : change;
	text = talloc_asprintf(frame, "%s (by %s)", details[1].value, who);
	event_happened(e, EVENT_CAVA_CHANGED, what, text == NULL ? "" : text,
		       details);
	talloc_free(frame);
}

const struct event *events_up(const struct events *e, unsigned int i)
{
	return i < e->count ? e->up[i] : NULL;
}

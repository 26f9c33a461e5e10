/*
 * Events are told to others: see event_delivery.h.
 *
 * 1. A channel has one request under way, that of the first in its queue,
 *    which leaves the queue when it has ended for good.
 * 2. That a channel does not work is an event too, told by the other one.
 * 3. A channel that is switched on begins with what comes then. So its
 *    number is kept up, in the database, when it is switched on and with
 *    each event that it was told.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/event_delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "cavad/command.h"
#include "cavad/event_json.h"
#include "cavad/http.h"
#include "common/log.h"
#include "common/tick.h"

#define DELIVERY_PAUSE_MAX 300	/* s */
#define DELIVERY_REPLY_MAX 65536

struct delivery_item {
	TAILQ_ENTRY(delivery_item) entry;
	uint64_t change;
	char *body;		/* JSON */
	char **environment;
};

struct delivery_channel {
	struct event_delivery *d;
	const char *name;	/* of the setting, of the row in meta */
	char *target;		/* "" = off */
	uint64_t done;		/* the last change that was told */
	TAILQ_HEAD(, delivery_item) queue;
	unsigned int count;
	struct tevent_req *subreq;
	struct tick *pause;
	unsigned int tries;
	struct http *http;	/* of the web hook */
	bool (*start)(struct delivery_channel *c,
		      const struct delivery_item *item);
};

enum { DELIVERY_COMMAND, DELIVERY_WEBHOOK, DELIVERY_CHANNELS };

struct event_delivery {
	struct tevent_context *ev;
	const struct config *config;
	struct store *store;
	struct events *events;
	struct event_history *history;
	struct counters *counters;
	struct delivery_channel channels[DELIVERY_CHANNELS];
};

static void delivery_run(struct delivery_channel *c);

/* Pure. */

const char *event_change_text(enum event_change change)
{
	switch (change) {
	case EVENT_RAISED:
		return "raised";
	case EVENT_COUNTED:
		return "repeated";
	case EVENT_CLEARED:
		return "cleared";
	case EVENT_HAPPENED:
		break;
	}
	return "happened";
}

/* "CAVA_WHAT=..."; small letters of the name become large. */
static bool environment_add(char **env, size_t *n, const char *name,
			    const char *value)
{
	size_t size = 4 * strlen(value) + 6;
	char *escaped = talloc_size(env, size);
	char *p = NULL;

	if (escaped == NULL) {
		return false;
	}
	log_escape(escaped, size, value);
	env[*n] = talloc_asprintf(env, "CAVA_%s=%s", name, escaped);
	for (p = env[*n]; p != NULL && *p != '='; p++) {
		if (*p >= 'a' && *p <= 'z') {
			*p = (char)(*p - 'a' + 'A');
		}
	}
	(*n)++;
	return p != NULL;
}

static bool environment_number(char **env, size_t *n, const char *name,
			       uint64_t value)
{
	char text[32] = "";

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return environment_add(env, n, name, text);
}

static void environment_time(char *to, size_t size, int64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(to, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		to[0] = '\0';
	}
}

char **event_environment(TALLOC_CTX *mem_ctx, const char *state,
			 const struct event_row *row)
{
	const struct event *e = &row->event;
	const struct event_detail *d = e->details;
	char **env = talloc_zero_array(mem_ctx, char *,
				       12 + EVENT_DETAILS_MAX);
	char when[32] = "";
	size_t n = 0;
	bool good = env != NULL;

	environment_time(when, sizeof(when), e->last);
	if (good) {
		env[n++] = (char *)"PATH=/usr/local/sbin:/usr/local/bin:"
			   "/usr/sbin:/usr/bin:/sbin:/bin";
	}
	good = good && environment_number(env, &n, "EVENT", e->number) &&
	       environment_add(env, &n, "EVENT_NAME", e->name) &&
	       environment_number(env, &n, "EVENT_ID", row->id) &&
	       environment_add(env, &n, "STATE", state) &&
	       environment_add(env, &n, "SEVERITY",
			       event_severity_text(e->severity)) &&
	       environment_add(env, &n, "MEANING", e->meaning) &&
	       environment_add(env, &n, "WHAT", e->what) &&
	       environment_add(env, &n, "TEXT", e->text) &&
	       environment_number(env, &n, "COUNT", e->count) &&
	       environment_add(env, &n, "TIME", when);
	for (; good && d != NULL && d->name != NULL; d++) {
		good = environment_add(env, &n, d->name, d->value);
	}
	if (!good) {
		talloc_free(env);
		return NULL;
	}
	return env;
}

/* What the database remembers. */

static void delivery_saved(struct tevent_req *subreq)
{
	struct delivery_channel *c = tevent_req_callback_data_void(subreq);
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("%s: that an event was told is not kept: %s; it "
			    "may be told again", c->name, strerror(ret));
	}
}

static void delivery_save(struct delivery_channel *c, const char *value)
{
	struct event_delivery *d = c->d;
	struct tevent_req *subreq = store_meta_put_send(d, d->ev, d->store,
							c->name, value);

	if (subreq != NULL) {
		tevent_req_set_callback(subreq, delivery_saved, c);
	}
}

static void delivery_done(struct delivery_channel *c, uint64_t change)
{
	char text[32] = "";

	c->done = change;
	snprintf(text, sizeof(text), "%" PRIu64, change);
	delivery_save(c, text);
}

/* Up to where it was told; a channel that was off begins now. */
static void delivery_load(struct delivery_channel *c)
{
	char *value = NULL;
	int ret = store_meta_get(c->d->store, c->d, c->name, &value);

	if (c->target[0] == '\0') {
		if (ret == 0 && value[0] != '\0') {
			delivery_save(c, "");
		}
	} else if (ret == 0 && value[0] != '\0') {
		c->done = strtoull(value, NULL, 10);
	} else {
		delivery_done(c, event_history_changes(c->d->history));
	}
	talloc_free(value);
}

/* The queue. */

static void delivery_drop(struct delivery_channel *c,
			  struct delivery_item *item)
{
	TAILQ_REMOVE(&c->queue, item, entry);
	c->count--;
	talloc_free(item);
}

/* Makes room: of those that wait, the oldest. */
static void delivery_full(struct delivery_channel *c)
{
	struct delivery_item *oldest = TAILQ_FIRST(&c->queue);

	if (c->subreq != NULL) {
		oldest = TAILQ_NEXT(oldest, entry);
	}
	delivery_drop(c, oldest);
	c->d->counters->events_dropped++;
	event_raise(c->d->events, EVENT_CAVA_EVENTS_LOST, c->name,
		    "%u wait, the oldest are dropped; cavactl events has "
		    "them", DELIVERY_MAX);
}

static bool delivery_wants(const struct delivery_channel *c,
			   const struct event_row *row)
{
	enum event_number number = row->event.number;

	if (c->target[0] == '\0' || row->change <= c->done ||
	    row->event.severity < c->d->config->settings.event_severity) {
		return false;
	}
	/* rule 2 */
	return (number != EVENT_CAVA_EVENTS_UNTOLD &&
		number != EVENT_CAVA_EVENTS_LOST) ||
	       strcmp(row->event.what, c->name) != 0;
}

static struct delivery_item *delivery_item(TALLOC_CTX *mem_ctx,
					   enum event_change change,
					   const struct event_row *row)
{
	struct delivery_item *item = talloc_zero(mem_ctx,
						 struct delivery_item);
	const char *state = event_change_text(change);
	json_t *json = event_json(row);
	char *text = NULL;

	json_object_set_new(json, "state", json_string(state));
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (item != NULL && text != NULL) {
		item->change = row->change;
		item->body = talloc_strdup(item, text);
		item->environment = event_environment(item, state, row);
	}
	free(text);
	if (item == NULL || item->body == NULL ||
	    item->environment == NULL) {
		TALLOC_FREE(item);
	}
	return item;
}

static void delivery_heard(void *private_data, enum event_change change,
			   const struct event_row *row)
{
	struct event_delivery *d = private_data;
	struct delivery_item *item = NULL;
	unsigned int i = 0;

	for (i = 0; i < DELIVERY_CHANNELS; i++) {
		struct delivery_channel *c = &d->channels[i];

		if (!delivery_wants(c, row)) {
			continue;
		}
		item = delivery_item(d, change, row);
		if (item == NULL) {
			d->counters->events_dropped++;
			continue;
		}
		TAILQ_INSERT_TAIL(&c->queue, item, entry);
		c->count++;
		if (c->count > DELIVERY_MAX) {
			delivery_full(c);
		}
		delivery_run(c);
	}
}

/* One is told. */

static void delivery_told(struct delivery_channel *c)
{
	struct delivery_item *item = TAILQ_FIRST(&c->queue);

	c->tries = 0;
	c->d->counters->events_told++;
	delivery_done(c, item->change);
	delivery_drop(c, item);
	event_clear(c->d->events, EVENT_CAVA_EVENTS_UNTOLD, c->name);
	if (c->count < DELIVERY_MAX / 2) {
		event_clear(c->d->events, EVENT_CAVA_EVENTS_LOST, c->name);
	}
	delivery_run(c);
}

static void delivery_paused(void *private_data)
{
	delivery_run(private_data);
}

/* again: it may go better later. */
static void delivery_failed(struct delivery_channel *c, bool again,
			    const char *why)
{
	struct delivery_item *item = TAILQ_FIRST(&c->queue);
	uint32_t pause = 1U << (c->tries < 9 ? c->tries : 9);

	c->d->counters->events_untold++;
	event_raise(c->d->events, EVENT_CAVA_EVENTS_UNTOLD, c->name,
		    "%s: %s; %s", c->target, why, again ?
		    "it is tried again" : "this event is not told again");
	if (!again) {
		c->tries = 0;
		delivery_done(c, item->change);
		delivery_drop(c, item);
		delivery_run(c);
		return;
	}
	c->tries++;
	pause = pause > DELIVERY_PAUSE_MAX ? DELIVERY_PAUSE_MAX : pause;
	tick_in(c->pause, pause * 1000000ULL);
}

static void delivery_command_ended(struct tevent_req *subreq)
{
	struct delivery_channel *c = tevent_req_callback_data_void(subreq);
	char *why = NULL;
	int ret = command_recv(subreq, c->d, &why);

	TALLOC_FREE(c->subreq);
	if (ret == 0) {
		delivery_told(c);
	} else {
		delivery_failed(c, command_may_go_later(ret),
				why == NULL ? strerror(ret) : why);
	}
	talloc_free(why);
}

static bool delivery_command(struct delivery_channel *c,
			     const struct delivery_item *item)
{
	const struct command command = {
		.line = c->target,
		.environment = item->environment,
		.input = item->body,
		.timeout = (uint32_t)c->d->config->settings.event_timeout,
	};

	c->subreq = command_send(c->d, c->d->ev, &command);
	if (c->subreq == NULL) {
		return false;
	}
	tevent_req_set_callback(c->subreq, delivery_command_ended, c);
	return true;
}

static void delivery_posted(struct tevent_req *subreq)
{
	struct delivery_channel *c = tevent_req_callback_data_void(subreq);
	struct http_reply reply = { .status = 0 };
	TALLOC_CTX *frame = talloc_new(NULL);
	int ret = http_recv(subreq, frame, &reply);
	const char *why = ret == 0 ? NULL : reply.error != NULL &&
			  reply.error[0] != '\0' ? reply.error : strerror(ret);
	bool refused = ret == 0 && reply.status >= 400 &&
		       reply.status < 500 && reply.status != 408 &&
		       reply.status != 429;

	TALLOC_FREE(c->subreq);
	if (ret == 0 && reply.status >= 200 && reply.status < 300) {
		delivery_told(c);
		talloc_free(frame);
		return;
	}
	if (why == NULL) {
		why = talloc_asprintf(frame, "it answered %u", reply.status);
	}
	delivery_failed(c, !refused, why == NULL ? "no memory" : why);
	talloc_free(frame);
}

static bool delivery_webhook(struct delivery_channel *c,
			     const struct delivery_item *item)
{
	const struct http_request request = {
		.method = "POST",
		.url = c->target,
		.content_type = "application/json",
		.body = item->body,
		.len = strlen(item->body),
		.timeout = (uint32_t)c->d->config->settings.event_timeout *
			   1000,
		.reply_max = DELIVERY_REPLY_MAX,
	};

	c->subreq = http_send(c->d, c->d->ev, c->http, &request);
	if (c->subreq == NULL) {
		return false;
	}
	tevent_req_set_callback(c->subreq, delivery_posted, c);
	return true;
}

static void delivery_run(struct delivery_channel *c)
{
	struct delivery_item *item = TAILQ_FIRST(&c->queue);

	if (item == NULL || c->subreq != NULL || tick_is_set(c->pause)) {
		return;
	}
	if (!c->start(c, item)) {
		delivery_failed(c, true, "out of memory");
	}
}

/* Settings. */

static void delivery_stop(struct delivery_channel *c)
{
	struct delivery_item *item = NULL;

	TALLOC_FREE(c->subreq);
	tick_stop(c->pause);
	c->tries = 0;
	while ((item = TAILQ_FIRST(&c->queue)) != NULL) {
		delivery_drop(c, item);
	}
	event_clear(c->d->events, EVENT_CAVA_EVENTS_UNTOLD, c->name);
	event_clear(c->d->events, EVENT_CAVA_EVENTS_LOST, c->name);
}

/* The queue goes to the new target, if there is one. */
static void delivery_target(struct delivery_channel *c, const char *target)
{
	bool was_off = c->target[0] == '\0';
	char *copy = talloc_strdup(c->d, target);

	if (copy == NULL || strcmp(c->target, target) == 0) {
		talloc_free(copy);
		return;
	}
	talloc_free(c->target);
	c->target = copy;
	if (copy[0] == '\0') {
		delivery_stop(c);
		delivery_save(c, "");
		return;
	}
	if (was_off) {
		delivery_done(c, event_history_changes(c->d->history));
	}
	tick_stop(c->pause);
	c->tries = 0;
	delivery_run(c);
}

void event_delivery_config_changed(struct event_delivery *d)
{
	const struct settings *s = &d->config->settings;
	struct delivery_channel *hook = &d->channels[DELIVERY_WEBHOOK];

	if (http_trust(hook->http, s->event_webhook_ca_file) != 0) {
		log_error("event_webhook_ca_file: out of memory");
	}
	delivery_target(&d->channels[DELIVERY_COMMAND], s->event_command);
	delivery_target(hook, s->event_webhook);
}

static void delivery_channel(struct event_delivery *d, unsigned int i,
			     const char *name, const char *target,
			     bool (*start)(struct delivery_channel *c,
					   const struct delivery_item *item))
{
	struct delivery_channel *c = &d->channels[i];

	c->d = d;
	c->name = name;
	c->target = talloc_strdup(d, target);
	c->start = start;
	c->pause = tick_create(d, d->ev, delivery_paused, c);
	TAILQ_INIT(&c->queue);
}

static int delivery_begin(struct event_delivery *d)
{
	const struct settings *s = &d->config->settings;
	uint64_t after = event_history_changes(d->history);
	unsigned int i = 0;
	int ret = http_create(d, d->ev, 1,
			      &d->channels[DELIVERY_WEBHOOK].http);

	ret = ret != 0 ? ret :
	      http_trust(d->channels[DELIVERY_WEBHOOK].http,
			 s->event_webhook_ca_file);
	delivery_channel(d, DELIVERY_COMMAND, "event_command",
			 s->event_command, delivery_command);
	delivery_channel(d, DELIVERY_WEBHOOK, "event_webhook",
			 s->event_webhook, delivery_webhook);
	for (i = 0; i < DELIVERY_CHANNELS && ret == 0; i++) {
		struct delivery_channel *c = &d->channels[i];

		if (c->target == NULL || c->pause == NULL) {
			return ENOMEM;
		}
		delivery_load(c);
		if (c->target[0] != '\0' && c->done < after) {
			after = c->done;
		}
	}
	return ret != 0 ? ret :
	       event_history_watch(d->history, after, delivery_heard, d);
}

int event_delivery_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			  const struct config *config, struct store *store,
			  struct events *events,
			  struct event_history *history,
			  struct counters *counters,
			  struct event_delivery **result)
{
	struct event_delivery *d = talloc_zero(mem_ctx,
					       struct event_delivery);
	int ret = 0;

	if (d == NULL) {
		return ENOMEM;
	}
	d->ev = ev;
	d->config = config;
	d->store = store;
	d->events = events;
	d->history = history;
	d->counters = counters;
	ret = delivery_begin(d);
	if (ret != 0) {
		talloc_free(d);
		return ret;
	}
	*result = d;
	return 0;
}

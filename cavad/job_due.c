/*
 * Which jobs are due: see job_due.h.
 *
 * In the database as text, in the table of single values: "job NAME" ->
 * "SECONDS SCHEDULE", and "last NAME" -> "SECONDS", when it was started. The
 * schedule is kept as we would write it, so that another spelling of the same
 * one is no change.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "cavad/job_due.h"
#include "cavad/schedule.h"
#include "common/log.h"

#define DUE_NAME_MAX 132
#define DUE_KEY_MAX 140

struct due {
	LIST_ENTRY(due) entry;
	char name[DUE_NAME_MAX];
	char text[SCHEDULE_TEXT_MAX];	/* of the schedule, as configured */
	struct schedule schedule;
	time_t heeded;
	time_t next;		/* 0 = never */
};

struct job_due {
	struct tevent_context *ev;
	const struct config *config;
	struct store *store;
	LIST_HEAD(, due) list;
};

static void due_kept(struct tevent_req *subreq);

static void due_key(const struct due *due, char key[DUE_KEY_MAX])
{
	snprintf(key, DUE_KEY_MAX, "job %s", due->name);
}

static void due_keep(struct job_due *d, const struct due *due)
{
	char value[SCHEDULE_TEXT_MAX + 32];
	char key[DUE_KEY_MAX];
	struct tevent_req *req = NULL;

	due_key(due, key);
	snprintf(value, sizeof(value), "%lld %s", (long long)due->heeded,
		 due->schedule.text);
	req = store_meta_put_send(d, d->ev, d->store, key, value);
	if (req != NULL) {
		tevent_req_set_callback(req, due_kept, NULL);
	}
}

static void due_kept(struct tevent_req *subreq)
{
	int ret = store_write_recv(subreq);

	talloc_free(subreq);
	if (ret != 0) {
		log_warning("that a job was due cannot be kept: %s; after a "
			    "restart it may run once more", strerror(ret));
	}
}

static void due_heeded(struct job_due *d, struct due *due, time_t now)
{
	due->heeded = now;
	due->next = 0;
	(void)schedule_next(&due->schedule, now, &due->next, 1);
	due_keep(d, due);
}

/* The schedule is new to us: what does the database know of it? */
static void due_learn(struct job_due *d, struct due *due, time_t now)
{
	char key[DUE_KEY_MAX];
	char *value = NULL;
	char *end = NULL;
	long long heeded = 0;
	int ret = 0;

	due_key(due, key);
	ret = store_meta_get(d->store, d, key, &value);
	if (ret == 0) {
		heeded = strtoll(value, &end, 10);
	}
	if (ret == 0 && *end == ' ' && heeded > 0 && heeded <= now &&
	    strcmp(end + 1, due->schedule.text) == 0) {
		due->heeded = heeded;
		due->next = 0;
		(void)schedule_next(&due->schedule, heeded, &due->next, 1);
	} else {
		due_heeded(d, due, now);
	}
	talloc_free(value);
}

static struct due *due_find(struct job_due *d, const char *job)
{
	struct due *due = NULL;

	LIST_FOREACH(due, &d->list, entry) {
		if (strcasecmp(due->name, job) == 0) {
			break;
		}
	}
	return due;
}

static void due_drop(struct due *due)
{
	if (due != NULL) {
		LIST_REMOVE(due, entry);
		talloc_free(due);
	}
}

/* NULL: it has no schedule, or no memory. */
static struct due *due_of(struct job_due *d, const struct job_object *job,
			  time_t now)
{
	char why[512] = "";
	struct due *due = due_find(d, job->name);

	if (!job->enabled || job->schedule[0] == '\0') {
		due_drop(due);
		return NULL;
	}
	if (due == NULL) {
		due = talloc_zero(d, struct due);
		if (due == NULL) {
			return NULL;
		}
		snprintf(due->name, sizeof(due->name), "%s", job->name);
		LIST_INSERT_HEAD(&d->list, due, entry);
	}
	if (strcmp(due->text, job->schedule) != 0 &&
	    schedule_parse(job->schedule, &due->schedule, why,
			   sizeof(why)) == 0) {
		snprintf(due->text, sizeof(due->text), "%s", job->schedule);
		due_learn(d, due, now);
	}
	if (due->heeded > now + 86400) {	/* the clock was set back */
		due_heeded(d, due, now);
	}
	return due;
}

static void due_started(struct job_due *d, const char *job, time_t now)
{
	char key[DUE_KEY_MAX];
	char value[32];
	struct tevent_req *req = NULL;

	snprintf(key, sizeof(key), "last %s", job);
	snprintf(value, sizeof(value), "%lld", (long long)now);
	req = store_meta_put_send(d, d->ev, d->store, key, value);
	if (req != NULL) {
		tevent_req_set_callback(req, due_kept, NULL);
	}
}

static void due_erase(struct job_due *d, const char *job)
{
	char key[DUE_KEY_MAX];
	struct tevent_req *req = NULL;

	snprintf(key, sizeof(key), "job %s", job);
	req = store_meta_put_send(d, d->ev, d->store, key, "0 ");
	if (req != NULL) {
		tevent_req_set_callback(req, due_kept, NULL);
	}
	due_started(d, job, 0);
}

/* There is no other word in the database for "not known" than 0. */
void job_due_forget(struct job_due *d, const char *job)
{
	due_drop(due_find(d, job));
	due_erase(d, job);
}

/* What is in memory is what the database has, or will have soon. */
void job_due_rename(struct job_due *d, const char *from, const char *to)
{
	struct due *due = due_find(d, from);
	struct due *fresh = due_find(d, to);
	char old[DUE_NAME_MAX] = "";	/* as it was spelled */
	int64_t last = 0;

	snprintf(old, sizeof(old), "%s", due != NULL ? due->name : from);
	last = job_due_last(d, old);
	if (fresh != due) {
		due_drop(fresh);	/* of a moment ago, and knows nothing */
	}
	due_erase(d, old);
	due_started(d, to, last);
	if (due != NULL) {
		snprintf(due->name, sizeof(due->name), "%s", to);
		due_keep(d, due);
	}
}

int64_t job_due_last(struct job_due *d, const char *job)
{
	char key[DUE_KEY_MAX];
	char *value = NULL;
	int64_t last = 0;
	int ret = 0;

	snprintf(key, sizeof(key), "last %s", job);
	ret = store_meta_get(d->store, d, key, &value);
	if (ret == 0) {
		last = strtoll(value, NULL, 10);
	}
	talloc_free(value);
	return last;
}

void job_due_look(struct job_due *d, time_t now,
		  void (*start)(void *private_data, const char *job),
		  void *private_data)
{
	struct job_object **job = NULL;
	struct due *due = NULL;

	for (job = d->config->jobs; *job != NULL; job++) {
		due = due_of(d, *job, now);
		if (due != NULL && due->next != 0 && due->next <= now) {
			due_heeded(d, due, now);
			due_started(d, (*job)->name, now);
			start(private_data, (*job)->name);
		}
	}
}

int64_t job_due_next(struct job_due *d, const struct job_object *job)
{
	struct due *due = due_of(d, job, time(NULL));

	return due == NULL ? 0 : due->next;
}

struct job_due *job_due_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			       const struct config *config,
			       struct store *store)
{
	struct job_due *d = talloc_zero(mem_ctx, struct job_due);

	if (d != NULL) {
		d->ev = ev;
		d->config = config;
		d->store = store;
	}
	return d;
}

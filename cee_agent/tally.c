/*
 * What has been going on. See tally.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cee_agent/tally.h"
#include "common/cee_msg.h"

struct tally *tally_create(TALLOC_CTX *mem_ctx)
{
	struct tally *t = talloc_zero(mem_ctx, struct tally);

	if (t != NULL) {
		t->started = time(NULL);
	}
	return t;
}

static void tally_keep_storage(const struct tally *old,
			       struct tally_storage *row)
{
	const char *name = row->name;
	size_t i;

	for (i = 0; i < old->num_storages; i++) {
		if (strcmp(old->storages[i].name, name) == 0) {
			*row = old->storages[i];
			row->name = name;
			return;
		}
	}
}

static void tally_keep_clamd(const struct tally *old, struct tally_clamd *row)
{
	const char *text = row->text;
	size_t i;

	for (i = 0; i < old->num_clamds; i++) {
		if (strcmp(old->clamds[i].text, text) == 0) {
			*row = old->clamds[i];
			row->text = text;
			return;
		}
	}
}

int tally_configure(struct tally *t, const struct agent_config *config)
{
	struct tally *old = talloc_memdup(t, t, sizeof(*t));
	size_t i;

	if (old == NULL) {
		return ENOMEM;
	}
	t->names = talloc_new(t);
	memset(t->storages, 0, sizeof(t->storages));
	memset(t->clamds, 0, sizeof(t->clamds));
	t->loaded = time(NULL);
	t->num_storages = config->num_storages;
	t->num_clamds = config->clamd.num;
	for (i = 0; i < t->num_storages; i++) {
		t->storages[i].name = talloc_strdup(
			t->names, config->storages[i].name);
		if (t->storages[i].name == NULL) {
			return ENOMEM;
		}
		tally_keep_storage(old, &t->storages[i]);
	}
	for (i = 0; i < t->num_clamds; i++) {
		t->clamds[i].text = talloc_strdup(
			t->names, config->clamd.addresses[i].text);
		if (t->clamds[i].text == NULL) {
			return ENOMEM;
		}
		tally_keep_clamd(old, &t->clamds[i]);
	}
	talloc_free(old->names);
	talloc_free(old);
	return 0;
}

static void tally_set_error(struct tally_error *e, const char *text)
{
	e->when = time(NULL);
	snprintf(e->text, sizeof(e->text), "%s", text);
}

void tally_error(struct tally *t, const char *text)
{
	tally_set_error(&t->errors[t->next_error], text);
	t->next_error = (t->next_error + 1) % TALLY_ERRORS;
}

static void tally_scan(struct tally_scans *s, const struct job_result *result)
{
	s->bytes += result->bytes;
	s->sessions += result->sessions;
	if (result->status == CEE_SUCCESS) {
		s->clean++;
	} else if (cee_status_infected(result->status)) {
		s->infected++;
	} else if (result->limit) {
		s->limit++;
	} else {
		s->failed++;
	}
}

static void tally_seen(struct tally_clamd *row, const struct clamd_seen *seen,
		       const char *detail)
{
	if (seen->state == CLAMD_NOT_ASKED) {
		return;
	}
	row->state = seen->state;
	row->when = time(NULL);
	if (seen->state == CLAMD_ANSWERED) {
		row->signature_time = seen->signature_time;
		snprintf(row->vendor, sizeof(row->vendor), "%s",
			 seen->vendor);
		return;
	}
	row->failures++;
	tally_set_error(&row->error, seen->error != 0 ?
			strerror(seen->error) : detail);
}

void tally_job(struct tally *t, enum job_kind kind, int storage, int clamd,
	       const struct job_result *result)
{
	size_t i;

	for (i = 0; i < t->num_clamds; i++) {
		tally_seen(&t->clamds[i], &result->clamds[i],
			   result->detail);
	}
	if (kind != JOB_SCAN) {
		return;
	}
	tally_scan(&t->scans, result);
	if (clamd != -1) {
		t->clamds[clamd].scans++;
	}
	if (storage == -1) {
		return;
	}
	tally_scan(&t->storages[storage].scans, result);
	if (result->status != CEE_SUCCESS && !result->limit &&
	    !cee_status_infected(result->status)) {
		tally_set_error(&t->storages[storage].error,
				result->detail);
	}
}

/* Is clamd a to be tried before clamd b? */
static bool tally_before(const struct tally *t, const unsigned int *in_use,
			 size_t a, size_t b)
{
	bool a_failed = t->clamds[a].state == CLAMD_FAILED;
	bool b_failed = t->clamds[b].state == CLAMD_FAILED;

	if (a_failed != b_failed) {
		return b_failed;
	}
	if (in_use[a] != in_use[b]) {
		return in_use[a] < in_use[b];
	}
	return t->clamds[a].scans < t->clamds[b].scans;
}

uint32_t tally_order(const struct tally *t, const unsigned int *in_use,
		     uint8_t order[AGENT_CLAMDS_MAX])
{
	uint8_t i;

	for (i = 0; i < t->num_clamds; i++) {
		size_t at = i;

		while (at > 0 && tally_before(t, in_use, i, order[at - 1])) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
	return i;
}

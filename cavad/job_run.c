/*
 * The record of a job's run: see job_run.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "cavad/job_run.h"

#define JOB_COUNTS (sizeof(struct run_counts) / sizeof(uint64_t))
#define OFFICE_FROM 9		/* hours, Monday to Friday */
#define OFFICE_TO 17

const char *job_state_text(enum job_state state)
{
	static const char *const texts[] = {
#define S(NAME, name) [JOB_##NAME] = #name,
		JOB_STATES(S)
#undef S
	};

	return texts[state];
}

bool job_state_ended(enum job_state state)
{
	return state >= JOB_CANCELLED_USER;
}

void run_counts_add(struct run_counts *to, const struct run_counts *more)
{
#define W(name, text) to->name += more->name;
	RUN_COUNTS(W)
#undef W
}

void run_counts_add_walk(struct run_counts *to,
			 const struct walk_counts *more)
{
#define W(name, text) to->name += more->name;
	WALK_COUNTS(W)
#undef W
}

void job_run_put(struct buf *b, const struct job_run *run)
{
	uint32_t i = 0;

	buf_put_u8(b, run->state);
	buf_put_u64(b, (uint64_t)run->started);
	buf_put_u64(b, (uint64_t)run->ended);
	buf_put_str(b, run->job);
	buf_put_u8(b, run->force);
	buf_put_u64(b, run->expected);
	buf_put_u32(b, run->index);
	buf_put_str(b, run->cursor);
	buf_put_str(b, run->why);
	buf_put_u16(b, run->path_count);
	for (i = 0; i < run->path_count; i++) {
		buf_put_str(b, run->paths[i]);
	}
	buf_put_u16(b, JOB_COUNTS);
#define W(name, text) buf_put_u64(b, run->counts.name);
	RUN_COUNTS(W)
#undef W
	buf_put_u16(b, run->infected_count);
	for (i = 0; i < run->infected_count; i++) {
		buf_put_str(b, run->infected[i].path);
		buf_put_str(b, run->infected[i].threat);
	}
}

static char *get_text(struct job_run *run, struct buf *b)
{
	char *text = talloc_strdup(run, buf_get_str(b));

	if (text == NULL && b->error == 0) {
		b->error = ENOMEM;
	}
	return text;
}

/* An earlier version knew fewer, a later one knows more. */
static void get_counts(struct job_run *run, struct buf *b)
{
	uint64_t numbers[JOB_COUNTS] = { 0 };
	uint64_t *next = numbers;
	uint16_t n = buf_get_u16(b);
	uint16_t i = 0;
	uint64_t number = 0;

	for (i = 0; i < n && b->error == 0; i++) {
		number = buf_get_u64(b);
		if (i < JOB_COUNTS) {
			numbers[i] = number;
		}
	}
#define W(name, text) run->counts.name = *next++;
	RUN_COUNTS(W)
#undef W
}

static void get_paths(struct job_run *run, struct buf *b)
{
	uint16_t n = buf_get_u16(b);
	uint16_t i = 0;

	if (n > JOB_PATHS_MAX || b->error != 0) {
		b->error = EBADMSG;
		return;
	}
	run->paths = talloc_zero_array(run, const char *, n);
	for (i = 0; i < n && run->paths != NULL; i++) {
		run->paths[i] = get_text(run, b);
	}
	run->path_count = n;
}

static void get_infected(struct job_run *run, struct buf *b)
{
	uint16_t n = buf_get_u16(b);
	uint16_t i = 0;

	for (i = 0; i < n && b->error == 0; i++) {
		const char *path = buf_get_str(b);

		job_run_found(run, path, buf_get_str(b));
	}
}

struct job_run *job_run_get(TALLOC_CTX *mem_ctx, uint64_t id, struct buf *b)
{
	struct job_run *run = talloc_zero(mem_ctx, struct job_run);
	uint8_t state = 0;

	if (run == NULL) {
		return NULL;
	}
	run->id = id;
	state = buf_get_u8(b);
	run->state = state < JOB_STATE_COUNT ? state : JOB_FAILED;
	run->started = (int64_t)buf_get_u64(b);
	run->ended = (int64_t)buf_get_u64(b);
	run->job = get_text(run, b);
	run->force = buf_get_u8(b) != 0;
	run->expected = buf_get_u64(b);
	run->index = buf_get_u32(b);
	run->cursor = get_text(run, b);
	run->why = get_text(run, b);
	get_paths(run, b);
	get_counts(run, b);
	get_infected(run, b);
	if (b->error != 0 || run->paths == NULL) {
		talloc_free(run);
		return NULL;
	}
	return run;
}

void job_run_found(struct job_run *run, const char *path, const char *threat)
{
	size_t bytes = strlen(path) + strlen(threat);
	struct job_infected *list = NULL;
	uint32_t i = 0;

	for (i = 0; i < run->infected_count; i++) {
		bytes += strlen(run->infected[i].path) +
			strlen(run->infected[i].threat) + 6;
	}
	if (bytes > JOB_INFECTED_BYTES) {
		return;
	}
	list = talloc_realloc(run, run->infected, struct job_infected, i + 1);
	if (list == NULL) {
		return;
	}
	run->infected = list;
	list[i].path = talloc_strdup(run, path);
	list[i].threat = talloc_strdup(run, threat);
	if (list[i].path != NULL && list[i].threat != NULL) {
		run->infected_count++;
	}
}

uint32_t job_share(enum job_impact impact, uint32_t lane,
		   const struct tm *now)
{
	uint32_t share = lane / 4;

	switch (impact) {
	case JOB_HIGH:
		share = lane;
		break;
	case JOB_MEDIUM:
		share = lane / 2;
		break;
	case JOB_OFF_HOURS:
		if (now->tm_wday >= 1 && now->tm_wday <= 5 &&
		    now->tm_hour >= OFFICE_FROM && now->tm_hour < OFFICE_TO) {
			return 0;
		}
		break;
	case JOB_LOW:
		break;
	}
	return share == 0 ? 1 : share;
}

/* includes: cavad/store.c */
/*
 * Values of the database, as a damaged or a newer one may have them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>

#include "cavad/config.h"
#include "cavad/event_history.h"
#include "cavad/report.h"
#include "cavad/store.c"
#include "tests/fuzz/fuzz.h"

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	const struct ident ident = { .ino = 7, .handle_len = 8 };
	const struct verdict v = { .result = VERDICT_CLEAN, .stamp = 20 };
	const struct job_run run = { .job = "docs", .why = "" };
	const struct report report = {
		.kind = REPORT_KIND_JOB, .start = 20, .files = 7,
		.name = "mine", .policy = "docs", .service = "ICAP",
	};
	struct buf b = buf_writer(data, FUZZ_MAX);

	if (i == 2) {
		job_run_put(&b, &run);
		return b.pos;
	}
	if (i == 3) {
		report_put(&b, &report);
		return b.pos;
	}
	if (i == 4) {		/* an object: field, text, ... */
		buf_put_str(&b, "server_uri");
		buf_put_str(&b, "cee://192.0.2.1:12228/vee");
		buf_put_str(&b, "of_tomorrow");
		buf_put_str(&b, "");
		return b.pos;
	}
	if (i > 4) {
		return 0;
	}
	buf_put_u8(&b, 1);
	buf_put_u64(&b, 20);
	if (i == 1) {		/* a result begins with its ctime */
		return 8 + verdict_encode(&v, data + 8, VERDICT_RECORD_MAX);
	}
	ident_put(&b, &ident);
	buf_put_str(&b, "/data/file");
	buf_put_str(&b, "D\\user");
	buf_put_str(&b, "192.0.2.7");
	return b.pos;
}

/* What parses is written and read as the same. */
static void fuzz_report(struct report *r)
{
	uint8_t bytes[2][2 * REPORT_RECORD_MAX];
	struct buf b[2] = { buf_writer(bytes[0], sizeof(bytes[0])),
			    buf_writer(bytes[1], sizeof(bytes[1])) };
	struct buf in;

	if (r == NULL) {
		return;
	}
	report_put(&b[0], r);
	in = buf_reader(bytes[0], b[0].pos);
	r = report_get(r, 1, &in);
	if (b[0].error != 0 || r == NULL) {
		abort();
	}
	report_put(&b[1], r);
	if (b[0].pos != b[1].pos ||
	    memcmp(bytes[0], bytes[1], b[0].pos) != 0) {
		abort();
	}
}

/* The same of an object; what it says is laid over a file, or refused. */
static void fuzz_object(TALLOC_CTX *mem_ctx, const uint8_t *data, size_t size)
{
	static uint8_t bytes[OVERLAY_RECORD_MAX];
	struct overlay *o = overlay_create(mem_ctx);
	struct overlay *again = overlay_create(mem_ctx);
	struct config_refusal refusal;
	struct config *config = NULL;
	struct buf b = buf_reader(data, size);

	if (overlay_record_get(o, "server", "a", &b) != 0) {
		if (o->count != 0) {
			abort();
		}
		return;
	}
	b = buf_writer(bytes, sizeof(bytes));
	overlay_record_put(&b, o->list[0]);
	b = buf_reader(bytes, b.pos);
	if (overlay_record_get(again, "server", "a", &b) != 0 ||
	    !overlay_equal(o->list[0], again->list[0])) {
		abort();
	}
	if (config_build(mem_ctx, "f", "", o, &config, &refusal) != 0 &&
	    refusal.text == NULL) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct db_bytes value = { data, size };
	TALLOC_CTX *frame = talloc_new(NULL);
	struct store_pending *p = NULL;
	struct job_run *run = NULL;
	struct buf b;
	struct verdict v;
	int ret;

	ret = store_pending_decode(frame, value, &p);
	if (ret == 0 && strlen(p->path) + strlen(p->user) > size) {
		abort();
	}
	store_result_decode(value, &v);
	b = buf_reader(data, size);
	run = job_run_get(frame, 1, &b);
	if (run != NULL) {
		(void)job_state_text(run->state);
	}
	b = buf_reader(data, size);
	(void)event_record_get(frame, 1, &b);
	b = buf_reader(data, size);
	fuzz_report(report_get(frame, 1, &b));
	fuzz_object(frame, data, size);
	talloc_free(frame);
	return 0;
}

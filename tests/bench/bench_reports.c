/*
 * A database with many reports and verdicts: what writing, the newest page
 * and expiry cost. bench_reports [ROWS [DIRECTORY]]; each of both tables gets
 * ROWS (100000). "longest" is how long the event loop stood still at most.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cavad/report.h"
#include "cavad/store_expiry.h"
#include "cavad/store_row.h"

#define BATCH 500
#define STORE_SIZE (16ULL << 30)

struct bench {
	struct tevent_context *ev;
	struct store *store;
	char dir[256];
	uint64_t under_way;
	uint64_t failed;
	unsigned int rows;	/* of a page */
};

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void written(struct tevent_req *req)
{
	struct bench *b = tevent_req_callback_data(req, struct bench);

	b->failed += store_write_recv(req) != 0;
	b->under_way--;
	talloc_free(req);
}

static void watch(struct bench *b, struct tevent_req *req)
{
	if (req == NULL) {
		b->failed++;
		return;
	}
	b->under_way++;
	tevent_req_set_callback(req, written, b);
}

static void settle(struct bench *b)
{
	while (b->under_way > 0 && tevent_loop_once(b->ev) == 0) {
	}
}

static void put_rows(struct bench *b, uint64_t n)
{
	const struct report r = {
		.number = n, .kind = REPORT_KIND_MANUAL,
		.status = REPORT_SUCCEEDED, .start = n, .end = n + 1,
		.files = 1, .reviewed = 1, .size = 4096,
		.bytes_fetched = 4096, .scan_time = 7,
		.name = "", .policy = REPORT_MANUAL, .service = "CEE/CAVA",
	};
	const struct verdict v = {
		.result = VERDICT_CLEAN,
		.content = { .size = 4096, .mtime = 2, .ctime = 3 },
		.scan_time = (int64_t)n * 1000000000,
		.engine = "ClamAV 1.4.1", .server = "av",
	};
	/* inode numbers are in no order */
	const struct ident ident = { .fsid = 1,
				     .ino = n * 0x9e3779b97f4a7c15ULL };
	uint8_t bytes[REPORT_RECORD_MAX];
	struct buf record = buf_writer(bytes, sizeof(bytes));
	uint8_t key[8];

	report_put(&record, &r);
	watch(b, store_row_put_send(b, b->ev, b->store, STORE_ROWS_REPORT,
				    store_number_key(n, key), &record));
	watch(b, store_result_put_send(b, b->ev, b->store, &ident, &v));
}

static void fill(struct bench *b, uint64_t first, uint64_t rows)
{
	int64_t start = now_us();
	uint64_t n = 0;

	for (n = first; n < first + rows; n++) {
		put_rows(b, n);
		if (b->under_way >= 2 * BATCH) {
			settle(b);
		}
	}
	settle(b);
	printf("write: %.0f rows/s\n",
	       2e6 * (double)rows / (double)(now_us() - start));
}

static bool page_row(void *private_data, struct db_bytes key,
		     struct buf *record)
{
	struct bench *b = private_data;
	struct report *r = report_get(b, store_number(key), record);

	b->failed += r == NULL;
	talloc_free(r);
	return ++b->rows < 100;
}

static void page(struct bench *b)
{
	const struct db_bytes newest = { 0 };
	int64_t start = now_us();
	int ret = 0;

	b->rows = 0;
	ret = store_row_each(b->store, STORE_ROWS_REPORT, newest, true,
			     page_row, b);
	b->failed += ret != 0;
	printf("newest %u reports: %" PRId64 " us\n", b->rows,
	       now_us() - start);
}

static void expire(struct bench *b, uint64_t rows, time_t before)
{
	struct store_cursor cursor = { .len = 0 };
	int64_t start = now_us();
	int64_t longest = 0;
	uint64_t gone = 0;

	while (gone < rows) {
		int64_t begin = now_us();
		unsigned int n = store_results_expire(b->store, b->ev, before,
						      BATCH, &cursor);

		begin = now_us() - begin;
		longest = begin > longest ? begin : longest;
		gone += n;
		store_flush(b->store);
		if (n == 0) {
			b->failed++;
			break;
		}
	}
	printf("expire: %.0f verdicts/s, longest %" PRId64 " us for %d\n",
	       1e6 * (double)gone / (double)(now_us() - start), longest,
	       BATCH);
}

static void size_of_file(const struct bench *b, const char *when)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", b->dir);
	if (stat(path, &st) == 0) {
		printf("%s: %.1f MB on disk\n", when,
		       (double)st.st_blocks * 512 / 1e6);
	}
}

static void clean_up(struct bench *b)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	char path[300];
	size_t i = 0;

	TALLOC_FREE(b->store);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(b->dir);
}

int main(int argc, char **argv)
{
	uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	struct bench *b = talloc_zero(NULL, struct bench);
	bool ok = false;

	snprintf(b->dir, sizeof(b->dir), "%s/bench_reports.XXXXXX",
		 argc > 2 ? argv[2] : "/tmp");
	b->ev = tevent_context_init(b);
	if (rows == 0 || mkdtemp(b->dir) == NULL ||
	    store_open(b, b->ev, b->dir, STORE_SIZE, &b->store) != 0) {
		fprintf(stderr, "bench_reports [ROWS [DIRECTORY]]\n");
		return 1;
	}
	fill(b, 1, rows);
	size_of_file(b, "full");
	page(b);
	expire(b, rows, (time_t)rows + 2);
	fill(b, rows + 1, rows);
	size_of_file(b, "twice the reports, verdicts written anew");
	ok = b->failed == 0;
	clean_up(b);
	talloc_free(b);
	return ok ? 0 : 1;
}

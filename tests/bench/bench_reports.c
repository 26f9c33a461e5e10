/*
 * A database with many verdicts, threats and reports: what writing, looking
 * up, paging and expiry cost, as cavad does them. bench_reports [ROWS
 * [DIRECTORY]]: ROWS verdicts (100000), a threat for each ten of them, a
 * report for each hundred. EXPIRED of the verdicts expire, and as many new
 * ones are written: if that costs the same in a large table, so does the rest.
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
#include "cavad/threat.h"

#define BATCH 500		/* as expiry.c */
#define UNDER_WAY 65536
#define PAGE 100
#define THREAT "Win.Test.EICAR_HDB-1"
#define LOOKUPS 100000
#define PAGES 1000
#define EXPIRED 100000
#define STORE_SIZE (32ULL << 30)

struct bench {
	struct tevent_context *ev;
	struct store *store;
	struct threats *threats;
	uint64_t verdicts;	/* numbers 1 to this */
	uint64_t reports;
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

/* Of this thread: what others do meanwhile is not in it. */
static int64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
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

/* Those of a directory are near each other, directories in no order. */
static struct ident ident_of(uint64_t n)
{
	return (struct ident) {
		.fsid = 1,
		.ino = (n / 64 * 0x9e3779b97f4a7c15ULL & ~UINT64_C(63)) |
			n % 64,
	};
}

static void put_verdict(struct bench *b, uint64_t n)
{
	const struct verdict v = {
		.result = VERDICT_CLEAN,
		.content = { .size = 4096, .mtime = 2, .ctime = 3 },
		.scan_time = (int64_t)n * 1000000000,
		.engine = "ClamAV 1.4.1", .server = "av",
	};
	const struct ident ident = ident_of(n);

	watch(b, store_result_put_send(b, b->ev, b->store, &ident, &v));
}

static void put_report(struct bench *b)
{
	const struct report r = {
		.number = ++b->reports, .kind = REPORT_KIND_MANUAL,
		.status = REPORT_SUCCEEDED, .start = b->reports,
		.end = b->reports + 1, .files = 1, .reviewed = 1,
		.size = 4096, .bytes_fetched = 4096, .scan_time = 7,
		.name = "", .policy = REPORT_MANUAL, .service = "CEE/CAVA",
	};
	uint8_t bytes[REPORT_RECORD_MAX];
	struct buf record = buf_writer(bytes, sizeof(bytes));
	uint8_t key[8];

	report_put(&record, &r);
	watch(b, store_row_put_send(b, b->ev, b->store, STORE_ROWS_REPORT,
				    store_number_key(r.number, key), &record));
}

static void put_row(struct bench *b, enum store_rows rows, const void *key,
		    size_t len, const struct buf *record)
{
	watch(b, store_row_put_send(b, b->ev, b->store, rows,
				    (struct db_bytes) { key, len }, record));
}

/* As threat.c does: threats_found() is made for some at a time. */
static void put_threat(struct bench *b, uint64_t n)
{
	static uint8_t bytes[THREAT_RECORD_MAX];
	char path[64];
	char report[32];
	uint8_t number[8];
	uint8_t key[DB_KEY_MAX];
	uint8_t digest[DIGEST_SIZE];
	struct threat t = {
		.id = n / 10, .ident = ident_of(n), .path = path,
		.threat = THREAT, .engine = "ClamAV 1.4.1", .server = "av",
		.source = "job", .user = "weekend", .client = "job",
		.share = "data", .report = report, .count = 1,
		.content = { .size = 68, .mtime = 2, .ctime = 3 },
	};
	struct buf record = buf_writer(bytes, sizeof(bytes));
	struct buf id = buf_writer(number, sizeof(number));
	struct buf scan = buf_writer(key, sizeof(key));
	struct buf none = buf_writer(NULL, 0);
	uint8_t row[8];
	size_t len = 0;

	snprintf(path, sizeof(path), "/data/projects/%" PRIu64 ".exe", n);
	snprintf(report, sizeof(report), "J-%" PRIu64, b->reports + 1);
	threat_put_record(&record, &t);
	(void)store_number_key(t.id, row);
	buf_put_bytes(&scan, report, strlen(report) + 1);
	buf_put_bytes(&scan, row, sizeof(row));
	put_row(b, STORE_ROWS_THREAT_SCAN, key, scan.pos, &none);
	len = ident_key(&t.ident, key);
	digest_of(THREAT, strlen(THREAT), digest);
	memcpy(key + len, digest, 16);
	buf_put_u64(&id, t.id);
	put_row(b, STORE_ROWS_THREAT_FILE, key, len + 16, &id);
	put_row(b, STORE_ROWS_THREAT, row, sizeof(row), &record);
}

static void put_rows(struct bench *b, uint64_t n)
{
	if (n % 10 == 0) {
		put_threat(b, n);
	}
	if (n % 100 == 0) {
		put_report(b);
	}
	put_verdict(b, n);
}

static void fill(struct bench *b, uint64_t rows)
{
	int64_t start = now_us();
	uint64_t n = 0;

	for (n = 1; n <= rows; n++) {
		put_rows(b, n);
		if (b->under_way >= UNDER_WAY) {
			settle(b);
		}
	}
	settle(b);
	b->verdicts = rows;
	printf("write: %.0f verdicts/s, with their threats and reports\n",
	       1e6 * (double)rows / (double)(now_us() - start));
}

static void fill_again(struct bench *b)
{
	int64_t start = now_us();
	uint64_t n = 0;

	for (n = 1; n <= EXPIRED; n++) {
		put_verdict(b, b->verdicts + n);
		if (b->under_way >= UNDER_WAY) {
			settle(b);
		}
	}
	settle(b);
	printf("write: %.0f verdicts/s without any\n",
	       1e6 * EXPIRED / (double)(now_us() - start));
}

static uint64_t any_of(uint64_t i, uint64_t rows)
{
	return 1 + (i * 0xd6e8feb86659fd93ULL >> 20) % rows;
}

/* The second time each page that is touched has been before. */
static void look_up(struct bench *b, const char *when)
{
	int64_t start = cpu_us();
	struct verdict v;
	uint64_t i = 0;

	for (i = 0; i < LOOKUPS; i++) {
		const struct ident ident = ident_of(any_of(i, b->verdicts));

		b->failed += store_result_get(b->store, &ident, &v) != 0;
	}
	printf("verdict of a file, %s: %.2f us\n", when,
	       (double)(cpu_us() - start) / LOOKUPS);
	start = cpu_us();
	for (i = 0; i < LOOKUPS; i++) {
		const struct ident ident =
			ident_of(any_of(i, b->verdicts / 10) * 10);
		struct threat *t = threats_find(b->threats, b, &ident,
						THREAT);

		b->failed += t == NULL;
		talloc_free(t);
	}
	printf("threat of a file, %s: %.2f us\n", when,
	       (double)(cpu_us() - start) / LOOKUPS);
}

static bool report_row(void *private_data, struct db_bytes key,
		       struct buf *record)
{
	struct bench *b = private_data;
	struct report *r = report_get(b, store_number(key), record);

	b->failed += r == NULL;
	talloc_free(r);
	return ++b->rows < PAGE;
}

static bool threat_row(void *private_data, struct threat *t)
{
	struct bench *b = private_data;

	(void)t;
	return ++b->rows < PAGE;
}

static void page_reports(struct bench *b)
{
	int64_t start = cpu_us();
	uint64_t i = 0;
	int ret = 0;

	for (i = 0; i < PAGES; i++) {
		uint8_t key[8];
		struct db_bytes from = store_number_key(
			PAGE + any_of(i, b->reports - PAGE), key);

		b->rows = 0;
		ret = store_row_each(b->store, STORE_ROWS_REPORT, from, true,
				     report_row, b);
		b->failed += ret != 0 || b->rows != PAGE;
	}
	printf("%u reports from anywhere: %.0f us\n", PAGE,
	       (double)(cpu_us() - start) / PAGES);
}

static void page_threats(struct bench *b)
{
	int64_t start = cpu_us();
	uint64_t last = 0;
	uint64_t i = 0;
	int ret = 0;

	for (i = 0; i < PAGES; i++) {
		const struct threats_range range = {
			.from = PAGE + 1 + any_of(i, b->verdicts / 10 - PAGE),
			.looks = PAGE,
		};

		b->rows = 0;
		ret = threats_each(b->threats, &range, threat_row, b, &last);
		b->failed += ret != 0 || b->rows != PAGE;
	}
	printf("%u threats from anywhere: %.0f us\n", PAGE,
	       (double)(cpu_us() - start) / PAGES);
}

static void expire(struct bench *b, time_t before)
{
	struct store_cursor cursor = { .len = 0 };
	int64_t start = now_us();
	int64_t longest = 0;
	uint64_t gone = 0;

	while (gone < EXPIRED) {
		int64_t begin = now_us();
		unsigned int n = store_results_expire(b->store, b->ev,
						      before, BATCH,
						      &cursor);

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

	TALLOC_FREE(b->threats);
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

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(b->dir, sizeof(b->dir), "%s/bench_reports.XXXXXX",
		 argc > 2 ? argv[2] : "/tmp");
	b->ev = tevent_context_init(b);
	if (rows < EXPIRED || mkdtemp(b->dir) == NULL ||
	    store_open(b, b->ev, b->dir, STORE_SIZE, &b->store) != 0 ||
	    threats_create(b, b->ev, b->store, NULL, &b->threats) != 0) {
		fprintf(stderr, "bench_reports [ROWS [DIRECTORY]]\n");
		return 1;
	}
	fill(b, rows);
	size_of_file(b, "full");
	look_up(b, "first");
	look_up(b, "again");
	page_reports(b);
	page_threats(b);
	expire(b, (time_t)rows + 1);
	fill_again(b);
	size_of_file(b, "as many as expired written");
	ok = b->failed == 0;
	clean_up(b);
	talloc_free(b);
	return ok ? 0 : 1;
}

/*
 * Fills the database of a cavad that does not run, for ./waf bench:
 *
 *   bench_store DIRECTORY results FIRST ROWS   clean verdicts
 *   bench_store DIRECTORY pending TREE         a scan owed for each file
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cavad/store.h"
#include "common/proto.h"

#define BATCH 1000
#define STORE_SIZE (16ULL << 30)

struct bench {
	struct tevent_context *ev;
	struct store *store;
	uint64_t under_way;
	uint64_t failed;
	uint64_t rows;
};

static struct bench *bench;	/* nftw() passes nothing on */

static void written(struct tevent_req *req)
{
	bench->failed += store_write_recv(req) != 0;
	bench->under_way--;
	talloc_free(req);
}

static void settle(uint64_t most)
{
	while (bench->under_way > most && tevent_loop_once(bench->ev) == 0) {
	}
}

static void watch(struct tevent_req *req)
{
	if (req == NULL) {
		bench->failed++;
		return;
	}
	bench->rows++;
	bench->under_way++;
	tevent_req_set_callback(req, written, NULL);
	settle(BATCH);
}

static void put_result(uint64_t n)
{
	/* inode numbers are in no order */
	const struct ident ident = { .fsid = 1,
				     .ino = n * 0x9e3779b97f4a7c15ULL };
	const struct verdict v = {
		.result = VERDICT_CLEAN,
		.content = { .size = 4096, .mtime = 2, .ctime = 3 },
		.scan_time = (int64_t)time(NULL) * 1000000000,
		.engine = "ClamAV 1.4.1",
		.server = "av",
	};

	watch(store_result_put_send(bench, bench->ev, bench->store, &ident,
				    &v));
}

static int put_pending(const char *path, const struct stat *st, int type,
		       struct FTW *ftw)
{
	struct store_pending p = {
		.kind = PROTO_KIND_CLOSE,
		.since = (int64_t)time(NULL) * 1000000000,
		.path = path,
		.user = "LAB\\user",
		.client = "192.0.2.7",
	};
	int fd = -1;

	(void)ftw;
	if (type != FTW_F || !S_ISREG(st->st_mode)) {
		return 0;
	}
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || ident_of_fd(fd, &p.ident) != 0) {
		bench->failed++;
	} else {
		watch(store_pending_put_send(bench, bench->ev, bench->store,
					     &p));
	}
	if (fd != -1) {
		close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t first = 0;
	uint64_t i = 0;
	bool ok = false;

	bench = talloc_zero(NULL, struct bench);
	bench->ev = tevent_context_init(bench);
	if (argc < 4 || store_open(bench, bench->ev, argv[1], STORE_SIZE,
				   &bench->store) != 0) {
		fprintf(stderr, "bench_store DIRECTORY results FIRST ROWS\n"
				"bench_store DIRECTORY pending TREE\n");
		return 1;
	}
	if (strcmp(argv[2], "pending") == 0) {
		ok = nftw(argv[3], put_pending, 64, FTW_PHYS) == 0;
	} else if (argc == 5) {
		first = strtoull(argv[3], NULL, 10);
		for (i = 0; i < strtoull(argv[4], NULL, 10); i++) {
			put_result(first + i);
		}
		ok = true;
	}
	settle(0);
	ok = ok && bench->failed == 0;
	printf("%" PRIu64 " rows, %" PRIu64 " failed\n", bench->rows,
	       bench->failed);
	talloc_free(bench);
	return ok ? 0 : 1;
}

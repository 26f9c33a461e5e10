/* includes: cavad/server.c
 *
 * The scan socket from inside: CONFIG to everybody, the file of filters,
 * listings that are longer than a message. What smbds may say to it is in
 * tests/daemon/test_ipc.py.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "tests/unit/scan_test.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cavad/ipc.h"
#include "cavad/zone.h"

static struct ipc *ipc;
static struct check *check;
static struct zones *zones;

static int set_up_ipc(void **p)
{
	struct test *t = NULL;
	char *path = NULL;
	int fd = -1;

	set_up(p);
	t = *p;
	path = talloc_asprintf(t, "%s/ipc.sock", t->top);
	assert_int_equal(ipc_listen(path, &fd), 0);
	assert_int_equal(check_create(t, t->ev, t->config, t->store,
				      t->servers, t->scans, t->events,
				      &t->counters, &check), 0);
	assert_int_equal(zones_create(t, t->ev, t->config, t->store,
				      &t->counters, t->events, &zones), 0);
	assert_int_equal(ipc_create(t, t->ev, fd, t->config, t->files,
				    t->scans, check, zones, t->events,
				    &t->counters, &ipc), 0);
	return 0;
}

static int tear_down_ipc(void **p)
{
	TALLOC_FREE(ipc);
	TALLOC_FREE(zones);
	TALLOC_FREE(check);
	return tear_down(p);
}

static int client(struct test *t)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
			SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ipc.sock", t->top);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	return fd;
}

static void say(int fd, const struct proto_message *m)
{
	uint8_t data[PROTO_MAX];
	size_t len = proto_encode(m, data);

	assert_int_equal(send(fd, data, len, 0), len);
}

/* The next message; its strings live until the next call. */
static struct proto_message hear(struct test *t, int fd)
{
	static uint8_t data[PROTO_MAX];
	struct proto_message m;
	ssize_t n = -1;

	WAIT_FOR(t, (n = recv(fd, data, sizeof(data), 0)) != -1);
	assert_int_equal(proto_decode(data, (size_t)n, &m), 0);
	return m;
}

static int hello(struct test *t, uint8_t role, const char *zone)
{
	const struct proto_message m = {
		.number = PROTO_HELLO,
		.u.hello = { .role = role, .share = "s", .zone = zone },
	};
	int fd = client(t);

	say(fd, &m);
	return fd;
}

/* Once more at each change; only those that said HELLO. */
static void test_config_changed(void **p)
{
	struct test *t = *p;
	int one = hello(t, 0, "");
	int two = hello(t, 0, "System");
	int silent = client(t);
	struct proto_message m = hear(t, one);
	uint8_t byte;

	assert_int_equal(m.number, PROTO_CONFIG);
	assert_true(m.u.config.filter.enabled);
	assert_true(hear(t, two).u.config.filter.enabled);
	assert_int_equal(ipc_count(ipc), 2);
	t->config->settings.service_enabled = false;
	ipc_config_changed(ipc);
	assert_false(hear(t, one).u.config.filter.enabled);
	assert_false(hear(t, two).u.config.filter.enabled);
	assert_int_equal(recv(silent, &byte, 1, 0), -1);
	close(one);
	WAIT_FOR(t, ipc_count(ipc) == 1);
	ipc_config_changed(ipc);
	assert_false(hear(t, two).u.config.filter.enabled);
	close(two);
	close(silent);
	WAIT_FOR(t, ipc_count(ipc) == 0);
}

static void test_service_disabled(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	struct proto_message m = { .number = PROTO_ASK };
	int fd = hello(t, 0, "");

	(void)hear(t, fd);
	t->config->settings.service_enabled = false;
	m.u.ask = (struct proto_ask) {
		.id = 5, .ident = ident_at(path), .path = path, .user = "",
		.client = "", .wait_ms = 10000,
	};
	say(fd, &m);
	m = hear(t, fd);
	assert_int_equal(m.number, PROTO_ANSWER);
	assert_int_equal(m.u.answer.id, 5);
	assert_int_equal(m.u.answer.result, VERDICT_SKIPPED);
	assert_int_equal(m.u.answer.reason, VERDICT_REASON_DISABLED);
	assert_int_equal(t->servers->asked, 0);
	close(fd);
}

#define PEERS 40

/* What is open stays usable, but poll() takes no more than so many. */
static void limit_descriptors(rlim_t max)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = max < limit.rlim_max ? max : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void ask_if_owed(int fd, const char *path, const struct ident *ident,
			uint64_t id)
{
	const struct proto_message m = {
		.number = PROTO_ASK,
		.u.ask = { .id = id, .ident = *ident, .path = path,
			   .user = "", .client = "", .wait_ms = LONG,
			   .owed_only = PROTO_OWED_ONLY },
	};

	say(fd, &m);
}

/* "Not owed" is said when all smbds were heard; if they cannot be, not. */
static void test_nobody_can_be_heard(void **p)
{
	struct test *t = *p;
	char *path = make_file(t, "a");
	const struct ident ident = ident_at(path);
	struct proto_message m;
	struct rlimit before;
	int fds[PEERS];
	int i;

	for (i = 0; i < PEERS; i++) {
		fds[i] = hello(t, 0, "");
		(void)hear(t, fds[i]);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit_descriptors(PEERS + 5);	/* connections and mailboxes are more */
	ask_if_owed(fds[0], path, &ident, 1);
	m = hear(t, fds[0]);
	assert_int_equal(m.u.answer.reason, VERDICT_REASON_NOT_OWED);
	limit_descriptors(PEERS - 5);
	ask_if_owed(fds[0], path, &ident, 2);
	WAIT_FOR(t, scan_step(t->scans, &ident) != NULL);
	limit_descriptors(before.rlim_cur);
	t->servers->at_once = true;
	m = hear(t, fds[0]);
	assert_int_equal(m.u.answer.id, 2);
	assert_int_equal(m.u.answer.result, VERDICT_CLEAN);
	for (i = 0; i < PEERS; i++) {
		close(fds[i]);
	}
}

static void put_vendor(struct test *t, const char *name)
{
	struct tevent_req *req = store_avvendor_put_send(t, t->ev, t->store,
							 name, 1);

	WAIT_FOR(t, !tevent_req_is_in_progress(req));
	assert_int_equal(store_write_recv(req), 0);
	talloc_free(req);
}

/* Whole names only, as many as fit. */
/* How many have their answer; all may, before the fake was asked for each. */
static size_t ended(struct tevent_req *const *asks, size_t count)
{
	size_t n = 0;
	size_t i = 0;

	for (i = 0; i < count; i++) {
		n += !tevent_req_is_in_progress(asks[i]);
	}
	return n;
}

static void test_long_listing(void **p)
{
	struct test *t = *p;
	struct proto_message m = { .number = PROTO_CHECK };
	struct tevent_req *asks[100] = { NULL };
	char name[128];
	size_t len;
	int i, fd;

	t->servers->fetches = true;
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%0100d", i);
		asks[i] = ask(t, make_file(t, name), SCAN_ON_ACCESS, false);
	}
	/* each is outstanding once its server was picked */
	WAIT_FOR(t, t->servers->running_count >= 20);
	while (t->servers->asked < 100 && ended(asks, 100) < 100) {
		if (t->servers->running_count > 0) {
			fake_end(t->servers, VERDICT_INFECTED);
		}
		turn(t);
	}
	put_vendor(t, "av");
	fd = hello(t, 1, "");
	(void)hear(t, fd);
	m.u.check = (struct proto_check) {
		.id = 9, .what = PROTO_WHAT_LIST, .sid = "S-1-5-1-2",
		.account = "HOST\\av", .local = 1, .addr = FAKE_ADDR,
		.server_addr = "192.0.2.1", .path = t->root,
	};
	say(fd, &m);
	m = hear(t, fd);
	assert_int_equal(m.number, PROTO_CHECK_NAMES);
	assert_int_equal(m.u.check_names.id, 9);
	len = strlen(m.u.check_names.names);
	assert_int_equal(len, PROTO_STR_MAX / 101 * 101);
	assert_int_equal(m.u.check_names.names[len - 1], '\n');
	/* who may not list gets none */
	m = (struct proto_message) { .number = PROTO_CHECK };
	m.u.check = (struct proto_check) {
		.id = 10, .what = PROTO_WHAT_LIST, .sid = "S-1-5-1-2",
		.account = "HOST\\other", .local = 1, .addr = FAKE_ADDR,
		.server_addr = "192.0.2.1", .path = t->root,
	};
	say(fd, &m);
	m = hear(t, fd);
	assert_int_equal(m.number, PROTO_CHECK_NAMES);
	assert_string_equal(m.u.check_names.names, "");
	close(fd);
}

/* What a module without cavad goes by is what CONFIG would say. */
static void test_filters_file(void **p)
{
	struct test *t = *p;
	char *path = talloc_asprintf(t, "%s/filters", t->top);
	struct filter f;
	uint8_t bytes[64];
	char zone[64], hex[256];
	unsigned int i, byte;
	struct buf b;
	FILE *file = NULL;

	t->config->settings.sync_wait = 123;
	assert_int_equal(zones_changed(zones), 0);	/* replaces */
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%63s %255s\n", zone, hex), 2);
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	assert_string_equal(zone, CONFIG_ZONE_DEFAULT);
	for (i = 0; hex[2 * i] != '\0'; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	b = buf_reader(bytes, i);
	filter_get(&b, &f);
	assert_int_equal(buf_finish(&b), 0);
	assert_int_equal(f.sync_wait, 123);
	path = talloc_asprintf(t, "%s/filters.new", t->top);
	assert_int_equal(access(path, F_OK), -1);
	t->config->settings.state_dir = "/nonexistent";
	assert_int_equal(zones_changed(zones), ENOENT);
}

static bool filter_offline(const struct test *t)
{
	const struct event *event = NULL;
	unsigned int i = 0;

	for (i = 0; (event = events_up(t->events, i)) != NULL; i++) {
		if (event->number == EVENT_SW_AVSCAN_CAVA_FILTER_OFFLINE) {
			return true;
		}
	}
	return false;
}

/* Long ago, for event_settle(). */
static void all_events_are_old(const struct test *t)
{
	union {
		const struct event *borrowed;
		struct event *event;
	} up;
	unsigned int i = 0;

	for (i = 0; (up.borrowed = events_up(t->events, i)) != NULL; i++) {
		up.event->last -= EVENT_SETTLE * (int64_t)1000000000;
	}
}

/* An smbd that was not restarted after an update. */
static void test_module_of_another_version(void **p)
{
	struct test *t = *p;
	const struct proto_message m = {
		.number = PROTO_HELLO,
		.u.hello = { .share = "s", .zone = "" },
	};
	uint8_t data[PROTO_MAX];
	size_t len = proto_encode(&m, data);
	int old = client(t);
	int fd = -1;

	assert_false(filter_offline(t));
	data[4]++;
	assert_int_equal(send(old, data, len, 0), len);
	WAIT_FOR(t, filter_offline(t));
	assert_int_equal(ipc_count(ipc), 0);

	/* a new one says nothing about an old one that still tries */
	fd = hello(t, 0, "");
	(void)hear(t, fd);
	assert_true(filter_offline(t));
	close(fd);
	all_events_are_old(t);
	fd = hello(t, 0, "");
	(void)hear(t, fd);
	assert_false(filter_offline(t));
	close(fd);
	close(old);
	WAIT_FOR(t, ipc_count(ipc) == 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up_ipc, tear_down_ipc)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_changed), TEST(test_service_disabled),
		TEST(test_nobody_can_be_heard),
		TEST(test_long_listing), TEST(test_filters_file),
		TEST(test_module_of_another_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The antivirus servers: who may fetch files, and what status shows of them.
 *
 * Of the enabled servers of a pool a node uses at most four, from the one of
 * its own number on (server_order); the others are on standby and not asked
 * anything. Which there are is in server_set.c, how one is judged in
 * server_state.c, how a scan finds its server in server_scan.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/server.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cavad/server_private.h"
#include "common/address.h"

static int servers_destructor(struct servers *s);
static void servers_woken(struct tevent_context *ev,
			  struct tevent_immediate *im, void *private_data);

/* Pure. */

size_t server_order(uint64_t node, size_t count,
		    size_t order[SERVER_IN_USE_MAX])
{
	size_t used = count < SERVER_IN_USE_MAX ? count : SERVER_IN_USE_MAX;
	size_t i;

	for (i = 0; i < used; i++) {
		order[i] = (size_t)((node - 1 + i) % count);
	}
	return used;
}

const char *server_state_text(enum server_state state)
{
	switch (state) {
	case SERVER_UNKNOWN:
		return "unknown";
	case SERVER_ONLINE:
		return "online";
	case SERVER_OFFLINE:
		return "offline";
	case SERVER_AV_ERROR:
		return "antivirus error";
	case SERVER_VERSION:
		return "version mismatch";
	case SERVER_SUSPECTED:
		return "suspected";
	case SERVER_DISABLED:
		return "disabled";
	case SERVER_STANDBY:
		return "standby";
	}
	return "unknown";
}

static bool server_address_loopback(const struct in6_addr *addr)
{
	if (IN6_IS_ADDR_V4MAPPED(addr)) {
		return addr->s6_addr[12] == 127;
	}
	return IN6_IS_ADDR_LOOPBACK(addr);
}

static bool server_address_in(const struct in6_addr *list, size_t count,
			      const struct in6_addr *addr)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (memcmp(&list[i], addr, sizeof(*addr)) == 0) {
			return true;
		}
	}
	return false;
}

int64_t server_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The set. */

int servers_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		   const struct config *config, struct events *events,
		   struct counters *counters, struct servers **result,
		   char **error)
{
	struct servers *s = NULL;
	int ret;

	*error = NULL;
	s = talloc_zero(mem_ctx, struct servers);
	if (s == NULL) {
		return ENOMEM;
	}
	s->ev = ev;
	s->config = config;
	s->events = events;
	s->counters = counters;
	TAILQ_INIT(&s->asks);
	LIST_INIT(&s->retired);
	s->wake = tevent_create_immediate(s);
	if (s->wake == NULL) {
		talloc_free(s);
		return ENOMEM;
	}
	talloc_set_destructor(s, servers_destructor);

	ret = servers_update(s, config, error);
	if (ret != 0) {
		talloc_steal(mem_ctx, *error);
		talloc_free(s);
		return ret;
	}
	*result = s;
	return 0;
}

static int servers_destructor(struct servers *s)
{
	size_t i;

	servers_abandon(s);
	for (i = 0; i < s->count + s->leaving_count; i++) {
		struct server *server = i < s->count ? s->all[i] :
			s->leaving[i - s->count];

		TALLOC_FREE(server->heartbeat);
	}
	return 0;
}

void servers_on_usable(struct servers *s, void (*fn)(void *private_data),
		       void *private_data)
{
	s->usable_fn = fn;
	s->usable_private = private_data;
}

void servers_on_signatures(struct servers *s,
			   void (*fn)(void *private_data, int64_t oldest),
			   void *private_data)
{
	s->signatures_fn = fn;
	s->signatures_private = private_data;
}

/* With none online what was known stays. */
static void servers_tell_signatures(struct servers *s)
{
	int64_t oldest = 0;
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct server *server = s->all[i];
		int64_t time = server->last.signature_time;

		if (server->state == SERVER_ONLINE && time != 0 &&
		    (oldest == 0 || time < oldest)) {
			oldest = time;
		}
	}
	if (oldest == 0 || oldest == s->signatures ||
	    s->signatures_fn == NULL) {
		return;
	}
	s->signatures = oldest;
	s->signatures_fn(s->signatures_private, oldest);
}

/* Pools. */

struct server_pool *servers_pool(const struct servers *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->pool_count; i++) {
		if (strcmp(s->pools[i].name,
			   name != NULL ? name : SERVER_POOL) == 0) {
			return &s->pools[i];
		}
	}
	return NULL;
}

const char *server_pool_what(const struct server_pool *pool)
{
	return strcmp(pool->name, SERVER_POOL) == 0 ? "" : pool->name;
}

bool server_pool_usable(const struct server_pool *pool)
{
	size_t i;

	for (i = 0; i < pool->in_use_count; i++) {
		if (pool->in_use[i]->state == SERVER_ONLINE) {
			return true;
		}
	}
	return false;
}

bool servers_usable(const struct servers *s)
{
	size_t i;

	for (i = 0; i < s->pool_count; i++) {
		if (server_pool_usable(&s->pools[i])) {
			return true;
		}
	}
	return false;
}

bool servers_pool_usable(const struct servers *s, const char *name)
{
	const struct server_pool *pool = servers_pool(s, name);

	return pool != NULL && server_pool_usable(pool);
}

bool servers_want_fd(const struct servers *s, const char *name)
{
	const struct server_pool *pool = servers_pool(s, name);
	size_t i;

	for (i = 0; pool != NULL && i < pool->in_use_count; i++) {
		if (pool->in_use[i]->engine->ops->wants_fd) {
			return true;
		}
	}
	return false;
}

bool servers_starting(const struct servers *s, const struct server_pool *pool)
{
	size_t i;

	for (i = 0; i < pool->in_use_count && s->start_timer != NULL; i++) {
		if (pool->in_use[i]->state == SERVER_UNKNOWN) {
			return true;
		}
	}
	return false;
}

void servers_wake(struct servers *s)
{
	tevent_schedule_immediate(s->wake, s->ev, servers_woken, s);
}

static void servers_woken(struct tevent_context *ev,
			  struct tevent_immediate *im, void *private_data)
{
	struct servers *s = talloc_get_type_abort(private_data,
						  struct servers);
	size_t i;

	(void)ev;
	(void)im;
	for (i = 0; i < s->count; i++) {
		if (s->all[i]->heartbeat_due) {
			server_heartbeat(s->all[i]);
		}
	}
	servers_dispatch(s);
	servers_sweep(s);
	servers_tell_signatures(s);
	if (s->tell_usable && s->usable_fn != NULL) {
		s->tell_usable = false;
		s->usable_fn(s->usable_private);
	}
}

/* Who may fetch; status. */

void server_remember_address(struct server *server, const char *text)
{
	size_t last = SERVER_ADDRESSES - 1;
	struct in6_addr addr;

	if (!address_parse(text, &addr) ||
	    server_address_in(server->seen, server->seen_count, &addr)) {
		return;
	}
	memmove(&server->seen[1], &server->seen[0], last * sizeof(addr));
	server->seen[0] = addr;
	if (server->seen_count < SERVER_ADDRESSES) {
		server->seen_count++;
	}
}

static bool server_is_called(const struct server *server, const char *name)
{
	return strcmp(server->object->name, name) == 0 ||
	       (server->former != NULL && strcmp(server->former, name) == 0);
}

/* May an address fetch on behalf of this one? */
static bool server_address_may(const struct server *server,
			       const struct in6_addr *addr)
{
	const struct server_engine *e = server->engine;
	size_t i;

	if (e->fetch_count > 0) {
		return server_address_in(e->fetch, e->fetch_count, addr);
	}
	if (server_address_in(server->seen, server->seen_count, addr)) {
		return true;
	}
	/*
	 * A server on this host: the kernel chooses the address that its
	 * connections come from, 127.0.0.1 as a rule, whatever loopback
	 * address it listens on.
	 */
	if (!server_address_loopback(addr)) {
		return false;
	}
	for (i = 0; i < server->seen_count; i++) {
		if (server_address_loopback(&server->seen[i])) {
			return true;
		}
	}
	return false;
}

bool servers_address(const struct servers *s, const char *name,
		     const char *text)
{
	struct in6_addr addr;
	size_t i;

	if (!address_parse(text, &addr)) {
		return false;
	}
	for (i = 0; i < s->count + s->leaving_count; i++) {
		const struct server *server = i < s->count ? s->all[i] :
			s->leaving[i - s->count];

		if (server_is_called(server, name) &&
		    server_address_may(server, &addr)) {
			return true;
		}
	}
	return false;
}

static int server_loan_destructor(struct server_loan *loan)
{
	server_connection_free(loan->server);
	return 0;
}

int servers_borrow(TALLOC_CTX *mem_ctx, struct servers *s, const char *name,
		   struct server_loan **result)
{
	struct server_loan *loan = NULL;
	size_t i = 0;

	while (i < s->count && strcasecmp(s->all[i]->object->name, name) != 0) {
		i++;
	}
	if (i == s->count) {
		return ENOENT;
	}
	if (!server_room(s->all[i])) {
		return EBUSY;
	}
	loan = talloc_zero(mem_ctx, struct server_loan);
	if (loan == NULL) {
		return ENOMEM;
	}
	loan->server = s->all[i];
	loan->object = s->all[i]->object;
	loan->server->connections++;
	talloc_set_destructor(loan, server_loan_destructor);
	*result = loan;
	return 0;
}

size_t servers_count(const struct servers *s)
{
	return s->count;
}

static struct server_rtt server_rtt_of(const struct server_times *t)
{
	return (struct server_rtt) {
		.least = (uint32_t)(t->least / 1000),
		.average = (uint32_t)(t->average / 1000),
		.last = (uint32_t)(t->last / 1000),
	};
}

struct server_status servers_status(const struct servers *s, size_t i)
{
	const struct server *server = s->all[i];

	return (struct server_status) {
		.name = server->object->name,
		.uri = server->object->server_uri,
		.engine = server->engine->ops->name,
		.pool = server->pool->name,
		.state = server->state,
		.last = &server->last,
		.connections = server->connections,
		.connections_maximum = server_limit(server),
		.good_heartbeats = server->good_heartbeats,
		.scan_requests = server->scan_requests,
		.scan_failures = server->scan_failures,
		.heartbeat_rtt = server_rtt_of(&server->heartbeat_rtt),
		.scan_rtt = server_rtt_of(&server->scan_rtt),
	};
}

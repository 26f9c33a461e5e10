/*
 * The antivirus servers: which there are, which this node uses, who may
 * fetch files, and what status shows of them.
 *
 * Of the enabled servers a node uses at most four, from the one of its own
 * number on (server_order); the others are on standby and not asked
 * anything. How one is judged is in server_state.c, how a scan finds its
 * server in server_scan.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cavad/server_private.h"

static int servers_destructor(struct servers *s);
static void servers_start_over(struct tevent_context *ev,
			       struct tevent_timer *timer, struct timeval now,
			       void *private_data);
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
	case SERVER_SUSPECTED:
		return "suspected";
	case SERVER_DISABLED:
		return "disabled";
	case SERVER_STANDBY:
		return "standby";
	}
	return "unknown";
}

/* A numeric address, IPv4 as ::ffff:a.b.c.d; a scope (%eth0) is cut off. */
static bool server_address_parse(const char *text, struct in6_addr *addr)
{
	char copy[INET6_ADDRSTRLEN] = "";
	size_t len = strcspn(text, "%");
	struct in_addr v4;

	if (len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, len);
	if (inet_pton(AF_INET6, copy, addr) == 1) {
		return true;
	}
	if (inet_pton(AF_INET, copy, &v4) != 1) {
		return false;
	}
	*addr = (struct in6_addr) { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&addr->s6_addr[12], &v4, sizeof(v4));
	return true;
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

static int server_set_addresses(struct server *server, char **error)
{
	const char **list = server->object->fetch_addresses;
	size_t count = 0;
	size_t i;

	while (list != NULL && list[count] != NULL) {
		count++;
	}
	server->fetch = talloc_zero_array(server->servers, struct in6_addr,
					  count);
	if (server->fetch == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < count; i++) {
		if (!server_address_parse(list[i], &server->fetch[i])) {
			*error = talloc_asprintf(server->servers,
						 "fetch_addresses %s: not a "
						 "numeric address", list[i]);
			return EINVAL;
		}
	}
	server->fetch_count = count;
	return 0;
}

static int server_set_up(struct server *server, struct servers *s,
			 const struct server_object *object, char **error)
{
	int ret;

	server->servers = s;
	server->object = object;
	server->state = object->enabled ? SERVER_STANDBY : SERVER_DISABLED;
	server->ops = engine_find(object->server_uri);
	if (server->ops == NULL) {
		*error = talloc_asprintf(s, "server_uri %s: no engine of that "
					 "kind", object->server_uri);
		return EINVAL;
	}
	ret = server_set_addresses(server, error);
	if (ret != 0) {
		return ret;
	}
	return server->ops->create(s, s->ev, s->config, object,
				   &server->engine, error);
}

/* Which enabled ones this node uses, and the events if there is none. */
static int servers_choose(struct servers *s)
{
	size_t order[SERVER_IN_USE_MAX];
	struct server **enabled = NULL;
	size_t i;

	enabled = talloc_array(s, struct server *, s->count);
	if (enabled == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < s->count; i++) {
		if (s->all[i].object->enabled) {
			enabled[s->enabled++] = &s->all[i];
		}
	}
	s->in_use_count = server_order(s->config->settings.node, s->enabled,
				       order);
	for (i = 0; i < s->in_use_count; i++) {
		s->in_use[i] = enabled[order[i]];
		s->in_use[i]->state = SERVER_UNKNOWN;
	}
	TALLOC_FREE(enabled);

	if (!s->config->settings.service_enabled || s->enabled > 0) {
		return 0;
	}
	if (s->count == 0) {
		event_raise(s->events, EVENT_SW_AVSCAN_CAVA_NO_SERVER, "",
			    "add a [server NAME] to cavad.conf");
		return 0;
	}
	event_raise(s->events, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, "",
		    "set enabled = yes for one in cavad.conf");
	return 0;
}

static int servers_set_up(struct servers *s, char **error)
{
	struct server_object **objects = s->config->servers;
	struct timeval when;
	char *why = NULL;
	size_t i;
	int ret;

	while (objects != NULL && objects[s->count] != NULL) {
		s->count++;
	}
	s->all = talloc_zero_array(s, struct server, s->count);
	s->wake = tevent_create_immediate(s);
	if (s->all == NULL || s->wake == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < s->count; i++) {
		ret = server_set_up(&s->all[i], s, objects[i], &why);
		if (ret != 0) {
			*error = talloc_asprintf(talloc_parent(s),
						 "[server %s] %s",
						 objects[i]->name,
						 why != NULL ? why :
						 strerror(ret));
			return ret;
		}
	}
	ret = servers_choose(s);
	if (ret != 0) {
		return ret;
	}
	when = tevent_timeval_current_ofs(SERVER_START_WAIT, 0);
	if (tevent_add_timer(s->ev, s, when, servers_start_over, s) == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < s->in_use_count; i++) {
		server_heartbeat(s->in_use[i]);
	}
	return 0;
}

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
	talloc_set_destructor(s, servers_destructor);

	ret = servers_set_up(s, error);
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
	for (i = 0; i < s->in_use_count; i++) {
		TALLOC_FREE(s->in_use[i]->heartbeat);
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

	for (i = 0; i < s->in_use_count; i++) {
		const struct server *server = s->in_use[i];
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

bool servers_usable(const struct servers *s)
{
	size_t i;

	for (i = 0; i < s->in_use_count; i++) {
		if (s->in_use[i]->state == SERVER_ONLINE) {
			return true;
		}
	}
	return false;
}

bool servers_want_fd(const struct servers *s)
{
	size_t i;

	for (i = 0; i < s->in_use_count; i++) {
		if (s->in_use[i]->ops->wants_fd) {
			return true;
		}
	}
	return false;
}

bool servers_starting(const struct servers *s)
{
	size_t i;

	for (i = 0; i < s->in_use_count && !s->start_over; i++) {
		if (s->in_use[i]->state == SERVER_UNKNOWN) {
			return true;
		}
	}
	return false;
}

static void servers_start_over(struct tevent_context *ev,
			       struct tevent_timer *timer, struct timeval now,
			       void *private_data)
{
	struct servers *s = talloc_get_type_abort(private_data,
						  struct servers);

	(void)ev;
	(void)timer;
	(void)now;
	s->start_over = true;
	servers_wake(s);
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
	for (i = 0; i < s->in_use_count; i++) {
		if (s->in_use[i]->heartbeat_due) {
			server_heartbeat(s->in_use[i]);
		}
	}
	servers_dispatch(s);
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

	if (!server_address_parse(text, &addr) ||
	    server_address_in(server->seen, server->seen_count, &addr)) {
		return;
	}
	memmove(&server->seen[1], &server->seen[0], last * sizeof(addr));
	server->seen[0] = addr;
	if (server->seen_count < SERVER_ADDRESSES) {
		server->seen_count++;
	}
}

bool servers_address(const struct servers *s, const char *name,
		     const char *text)
{
	const struct server *server = NULL;
	struct in6_addr addr;
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (strcmp(s->all[i].object->name, name) == 0) {
			server = &s->all[i];
			break;
		}
	}
	if (server == NULL || !server_address_parse(text, &addr)) {
		return false;
	}
	if (server->fetch_count > 0) {
		return server_address_in(server->fetch, server->fetch_count,
					 &addr);
	}
	if (server_address_in(server->seen, server->seen_count, &addr)) {
		return true;
	}
	/*
	 * A server on this host: the kernel chooses the address that its
	 * connections come from, 127.0.0.1 as a rule, whatever loopback
	 * address it listens on.
	 */
	if (!server_address_loopback(&addr)) {
		return false;
	}
	for (i = 0; i < server->seen_count; i++) {
		if (server_address_loopback(&server->seen[i])) {
			return true;
		}
	}
	return false;
}

size_t servers_count(const struct servers *s)
{
	return s->count;
}

struct server_status servers_status(const struct servers *s, size_t i)
{
	const struct server *server = &s->all[i];

	return (struct server_status) {
		.name = server->object->name,
		.uri = server->object->server_uri,
		.engine = server->ops->name,
		.state = server->state,
		.last = &server->last,
		.connections = server->connections,
		.good_heartbeats = server->good_heartbeats,
		.scan_requests = server->scan_requests,
		.heartbeat_rtt = (uint32_t)(server->heartbeat_rtt / 1000),
		.scan_rtt = (uint32_t)(server->scan_rtt / 1000),
	};
}

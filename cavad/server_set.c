/*
 * Which servers there are: from a configuration to pools, and from those of
 * one configuration to those of the next while scans run.
 *
 * 1. An update is planned first. Everything that can fail (memory, a uri that
 *    its engine refuses) happens there; then it is carried out, and nothing
 *    of that can fail. So a refused configuration changes nothing.
 * 2. A server is a uri. What has the same uri afterwards is the same server,
 *    whatever else is different, and so its connections are counted on: its
 *    old scans and its new ones together never exceed its limit.
 * 3. What a server is asked through (server_engine) is replaced as a whole
 *    when anything about it is different. Scans under way keep the old one.
 * 4. Nothing is freed here that somebody may be using right now: that is
 *    for servers_sweep(), from the loop.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cavad/object_value.h"
#include "cavad/server_private.h"
#include "common/address.h"
#include "common/sizing.h"
#include "common/tick.h"

struct server_change {
	struct server *server;
	struct server_engine *engine;	/* NULL = the one it has */
	char *former;		/* name */
	bool fresh;
};

struct server_plan {
	struct servers *s;
	const struct config *config;
	struct cee_settings *cee;
	bool cee_changed;
	struct server_change *changes;	/* one for each of `all` */
	struct server **all;
	size_t count;
	struct server **scratch;	/* room for as many */
	struct server **leaving;
	size_t leaving_count;
	struct server_pool *pools;
	size_t pool_count;
};

static void servers_start_over(struct tevent_context *ev,
			       struct tevent_timer *timer, struct timeval now,
			       void *private_data);

/* The plan: servers. */

static int server_engine_addresses(struct server_engine *e, char **error)
{
	const char **list = e->object->fetch_addresses;
	size_t count = 0;
	size_t i;

	while (list != NULL && list[count] != NULL) {
		count++;
	}
	e->fetch = talloc_zero_array(e, struct in6_addr, count);
	if (e->fetch == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < count; i++) {
		if (!address_parse(list[i], &e->fetch[i])) {
			*error = talloc_asprintf(e, "fetch_addresses %s: not a "
						 "numeric address", list[i]);
			return EINVAL;
		}
	}
	e->fetch_count = count;
	return 0;
}

/* Engines of CEE say the first name of ip_pool. */
static bool server_names_differ(const struct config *a, const struct config *b)
{
	const struct object_field *f = object_field(&object_settings,
						    "ip_pool");
	union object_value of_a;
	union object_value of_b;

	object_value_load(f, &a->settings, &of_a);
	object_value_load(f, &b->settings, &of_b);
	return !object_value_equal(f, &of_a, &of_b);
}

static int server_engine_make(struct server_plan *plan,
			      const struct server_object *object,
			      struct server_engine **result, char **error)
{
	struct server_engine *e = talloc_zero(plan, struct server_engine);
	int ret;

	if (e == NULL) {
		return ENOMEM;
	}
	e->object = object_copy(e, &object_server, object);
	if (e->object == NULL) {
		return ENOMEM;
	}
	e->ops = engine_find(object->server_uri);
	if (e->ops == NULL) {
		*error = talloc_asprintf(plan, "server_uri %s: no engine of "
					 "that kind", object->server_uri);
		return EINVAL;
	}
	ret = server_engine_addresses(e, error);
	if (ret != 0) {
		return ret;
	}
	*result = e;
	return e->ops->create(e, plan->s->ev, plan->config, e->object,
			      &e->engine, error);
}

static bool server_planned(const struct server_plan *plan,
			   const struct server *server)
{
	size_t i;

	for (i = 0; i < plan->count; i++) {
		if (plan->changes[i].server == server) {
			return true;
		}
	}
	return false;
}

/* Rule 2; of several with the same uri the one of the same name. */
static struct server *server_known(const struct server_plan *plan,
				   struct server **list, size_t count,
				   const struct server_object *object,
				   bool by_name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct server_object *o = list[i]->object;

		if (strcmp(o->server_uri, object->server_uri) == 0 &&
		    (!by_name || strcmp(o->name, object->name) == 0) &&
		    !server_planned(plan, list[i])) {
			return list[i];
		}
	}
	return NULL;
}

static void server_plan_known(struct server_plan *plan, bool by_name)
{
	struct servers *s = plan->s;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		const struct server_object *object = plan->config->servers[i];
		struct server_change *change = &plan->changes[i];

		if (change->server == NULL) {
			change->server = server_known(plan, s->all, s->count,
						      object, by_name);
		}
		if (change->server == NULL) {
			change->server = server_known(plan, s->leaving,
						      s->leaving_count,
						      object, by_name);
		}
	}
}

static int server_plan_change(struct server_plan *plan,
			      struct server_change *change,
			      const struct server_object *object, char **error)
{
	struct server *server = change->server;
	bool same = server != NULL && !plan->cee_changed &&
		    object_equal(&object_server, server->object, object);

	if (same) {
		return 0;
	}
	if (server == NULL) {
		server = talloc_zero(plan, struct server);
		if (server == NULL) {
			return ENOMEM;
		}
		server->tick = tick_create(server, plan->s->ev,
					   server_heartbeat_time, server);
		if (server->tick == NULL) {
			return ENOMEM;
		}
		server->servers = plan->s;
		server->state = SERVER_STANDBY;
		server->serial = ++plan->s->last_serial;
		change->server = server;
		change->fresh = true;
	} else if (strcmp(server->object->name, object->name) != 0) {
		change->former = talloc_strdup(plan, server->object->name);
		if (change->former == NULL) {
			return ENOMEM;
		}
	}
	return server_engine_make(plan, object, &change->engine, error);
}

static int server_plan_servers(struct server_plan *plan, char **error)
{
	struct server_object **objects = plan->config->servers;
	char *why = NULL;
	size_t i;
	int ret;

	while (objects != NULL && objects[plan->count] != NULL) {
		plan->count++;
	}
	plan->changes = talloc_zero_array(plan, struct server_change,
					  plan->count);
	plan->all = talloc_zero_array(plan, struct server *, plan->count);
	plan->scratch = talloc_zero_array(plan, struct server *, plan->count);
	if (plan->changes == NULL || plan->all == NULL ||
	    plan->scratch == NULL) {
		return ENOMEM;
	}
	server_plan_known(plan, true);
	server_plan_known(plan, false);
	for (i = 0; i < plan->count; i++) {
		ret = server_plan_change(plan, &plan->changes[i], objects[i],
					 &why);
		if (ret != 0) {
			*error = talloc_asprintf(plan->s, "[server %s] %s",
						 objects[i]->name,
						 why != NULL ? why :
						 strerror(ret));
			return ret;
		}
		plan->all[i] = plan->changes[i].server;
	}
	return 0;
}

static int server_plan_leaving(struct server_plan *plan)
{
	struct servers *s = plan->s;
	size_t max = s->count + s->leaving_count;
	size_t i;

	plan->leaving = talloc_zero_array(plan, struct server *, max);
	if (plan->leaving == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < max; i++) {
		struct server *server = i < s->count ? s->all[i] :
			s->leaving[i - s->count];

		if (!server_planned(plan, server)) {
			plan->leaving[plan->leaving_count++] = server;
		}
	}
	return 0;
}

/* The plan: pools. */

static struct server_pool *server_pool_find(struct server_pool *pools,
					    size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(pools[i].name, name) == 0) {
			return &pools[i];
		}
	}
	return NULL;
}

static const char *server_pool_name(const struct server_object *object)
{
	return object->pool != NULL ? object->pool : SERVER_POOL;
}

static int server_plan_pools(struct server_plan *plan)
{
	size_t i;

	plan->pools = talloc_zero_array(plan, struct server_pool, plan->count);
	if (plan->pools == NULL) {
		return ENOMEM;
	}
	for (i = 0; i < plan->count; i++) {
		const struct server_object *o = plan->config->servers[i];
		struct server_pool *pool = server_pool_find(
			plan->pools, plan->pool_count, server_pool_name(o));

		if (pool == NULL) {
			pool = &plan->pools[plan->pool_count++];
			pool->name = talloc_strdup(plan->pools,
						   server_pool_name(o));
		}
		if (pool->name == NULL) {
			return ENOMEM;
		}
		pool->count++;
		pool->enabled += o->enabled;
	}
	return 0;
}

static int server_plan_make(struct server_plan *plan, char **error)
{
	struct servers *s = plan->s;
	int ret;

	plan->cee = object_copy(plan, &object_cee, &plan->config->cee);
	if (plan->cee == NULL) {
		return ENOMEM;
	}
	plan->cee_changed = s->cee != NULL &&
			    (!object_equal(&object_cee, s->cee, plan->cee) ||
			     server_names_differ(s->config, plan->config));
	ret = server_plan_servers(plan, error);
	if (ret != 0) {
		return ret;
	}
	ret = server_plan_leaving(plan);
	return ret != 0 ? ret : server_plan_pools(plan);
}

/* Carried out. */

/* Rule 3. */
static void server_change_engine(struct servers *s, struct server *server,
				 struct server_engine *engine)
{
	struct server_engine *old = server->engine;

	server->engine = talloc_steal(s, engine);
	server->object = engine->object;
	if (old == NULL) {
		return;
	}
	old->retired = true;
	LIST_INSERT_HEAD(&s->retired, old, entry);
}

static void server_change(struct servers *s, struct server_change *change)
{
	struct server *server = change->server;

	if (change->fresh) {
		talloc_steal(s, server);
	}
	if (change->former != NULL) {
		server_event_off(server);
		talloc_free(server->former);
		server->former = talloc_steal(server, change->former);
	}
	if (change->engine != NULL) {
		server_change_engine(s, server, change->engine);
	}
	if (change->former != NULL) {
		server_event_on(server);
	}
}

static void server_pool_clear_events(struct servers *s,
				     const struct server_pool *pool)
{
	const char *what = server_pool_what(pool);

	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, what);
	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, what);
	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_TOO_FEW_SERVERS, what);
}

/* What was up about a pool stays up, or is over since the pool is. */
static void server_pools_follow(struct servers *s, struct server_plan *plan)
{
	size_t i;

	for (i = 0; i < s->pool_count; i++) {
		struct server_pool *next = server_pool_find(
			plan->pools, plan->pool_count, s->pools[i].name);

		if (next == NULL) {
			server_pool_clear_events(s, &s->pools[i]);
		} else {
			next->all_offline = s->pools[i].all_offline;
		}
	}
}

static void servers_event(struct servers *s, bool up,
			  enum event_number number, const char *what,
			  const char *text)
{
	if (up) {
		event_raise(s->events, number, what, "%s", text);
	} else {
		event_clear(s->events, number, what);
	}
}

static void server_pool_events(struct servers *s, const struct config *config,
			       struct server_pool *pool)
{
	const char *what = server_pool_what(pool);
	bool service = config->settings.service_enabled;
	uint64_t least = sizing_servers(config_nodes(config));
	char text[128];

	servers_event(s, service && pool->enabled == 0,
		      EVENT_SW_AVSCAN_CAVA_ALL_DISABLED, what,
		      "set enabled = yes for one in cavad.conf");
	snprintf(text, sizeof(text), "%zu of %llu that nodes = %" PRIu32
		 " wants; cavactl servers advise says more", pool->enabled,
		 (unsigned long long)least, config_nodes(config));
	servers_event(s, service && pool->enabled > 0 && pool->enabled < least,
		      EVENT_SW_AVSCAN_CAVA_TOO_FEW_SERVERS, what, text);
	/* of a scan that was asked for before it was there */
	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_NO_SERVER, pool->name);
	server_pool_check_offline(s, pool);
}

/* Which enabled ones this node uses. */
static void server_pool_choose(struct servers *s, struct server_pool *pool,
			       uint64_t node, struct server **enabled)
{
	size_t order[SERVER_IN_USE_MAX];
	size_t count = 0;
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (s->all[i]->pool == pool && s->all[i]->object->enabled) {
			enabled[count++] = s->all[i];
		}
	}
	pool->in_use_count = server_order(node, count, order);
	for (i = 0; i < pool->in_use_count; i++) {
		pool->in_use[i] = enabled[order[i]];
	}
}

static bool server_chosen(const struct server *server)
{
	const struct server_pool *pool = server->pool;
	size_t i;

	for (i = 0; pool != NULL && i < pool->in_use_count; i++) {
		if (pool->in_use[i] == server) {
			return true;
		}
	}
	return false;
}

static void server_settle(struct server *server, bool changed)
{
	bool chosen = server_chosen(server);

	if (!chosen) {
		server_unuse(server, server->object->enabled &&
			     server->pool != NULL ? SERVER_STANDBY :
						    SERVER_DISABLED);
	} else if (!server->in_use) {
		server_use(server);
	} else if (changed) {
		server_heartbeat(server);
	}
}

static void server_plan_settle(struct server_plan *plan)
{
	struct servers *s = plan->s;
	size_t i;

	for (i = 0; i < s->leaving_count; i++) {
		s->leaving[i]->pool = NULL;
		server_settle(s->leaving[i], false);
		event_clear(s->events, EVENT_CAVA_NOT_FETCHED,
			    s->leaving[i]->object->name);
	}
	for (i = 0; i < s->count; i++) {
		const char *name = server_pool_name(s->all[i]->object);

		s->all[i]->pool = server_pool_find(s->pools, s->pool_count,
						   name);
	}
	for (i = 0; i < s->pool_count; i++) {
		server_pool_choose(s, &s->pools[i],
				   config_node(plan->config), plan->scratch);
	}
	for (i = 0; i < s->count; i++) {
		server_settle(s->all[i], plan->changes[i].engine != NULL);
	}
}

static void server_plan_carry_out(struct server_plan *plan)
{
	const struct settings *settings = &plan->config->settings;
	struct servers *s = plan->s;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		server_change(s, &plan->changes[i]);
	}
	server_pools_follow(s, plan);
	talloc_free(s->all);
	talloc_free(s->leaving);
	talloc_free(s->pools);
	talloc_free(s->cee);
	s->all = talloc_steal(s, plan->all);
	s->count = plan->count;
	s->leaving = talloc_steal(s, plan->leaving);
	s->leaving_count = plan->leaving_count;
	s->pools = talloc_steal(s, plan->pools);
	s->pool_count = plan->pool_count;
	s->cee = talloc_steal(s, plan->cee);
	server_plan_settle(plan);

	servers_event(s, settings->service_enabled && s->count == 0,
		      EVENT_SW_AVSCAN_CAVA_NO_SERVER, "",
		      "add a [server NAME] to cavad.conf");
	for (i = 0; i < s->pool_count; i++) {
		server_pool_events(s, plan->config, &s->pools[i]);
	}
	/* there may be more room than before */
	s->tell_usable = s->tell_usable || servers_usable(s);
	servers_wake(s);
}

/* New ones have a moment to be heard of, before scans go on without. */
static int servers_start_wait(struct servers *s)
{
	struct timeval when = tevent_timeval_current_ofs(SERVER_START_WAIT, 0);
	struct tevent_timer *timer = tevent_add_timer(
		s->ev, s, when, servers_start_over, s);

	if (timer == NULL) {
		return ENOMEM;
	}
	TALLOC_FREE(s->start_timer);
	s->start_timer = timer;
	return 0;
}

int servers_update(struct servers *s, const struct config *config,
		   char **error)
{
	struct server_plan *plan = talloc_zero(s, struct server_plan);
	int ret = ENOMEM;

	*error = NULL;
	if (plan == NULL) {
		return ENOMEM;
	}
	plan->s = s;
	plan->config = config;
	ret = server_plan_make(plan, error);
	ret = ret != 0 ? ret : servers_start_wait(s);
	if (ret == 0) {
		server_plan_carry_out(plan);
	}
	talloc_free(plan);
	return ret;
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
	s->start_timer = NULL;	/* tevent frees it */
	servers_wake(s);
}

/* Rule 4. */
void servers_sweep(struct servers *s)
{
	struct server_engine *e = NULL;
	struct server_engine *next = NULL;
	size_t kept = 0;
	size_t i;

	for (i = 0; i < s->leaving_count; i++) {
		struct server *server = s->leaving[i];

		if (server->connections > 0) {
			s->leaving[kept++] = server;
			continue;
		}
		talloc_free(server->engine);
		talloc_free(server);
	}
	s->leaving_count = kept;
	for (e = LIST_FIRST(&s->retired); e != NULL; e = next) {
		next = LIST_NEXT(e, entry);
		if (e->users == 0) {
			LIST_REMOVE(e, entry);
			talloc_free(e);
		}
	}
}

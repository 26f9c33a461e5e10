/*
 * The service from "ready" to its end. See service.h.
 *
 * 1. SIGHUP reads the configuration and all files that it names. What is
 *    wrong with it is logged, and nothing changes. Scans go on: listeners
 *    and workers of the old configuration end after what they have to do.
 * 2. SIGTERM and SIGINT: nothing new is taken, what is under way is
 *    answered, for at most SERVICE_GRACE. A second one ends it at once.
 * 3. The watchdog is told from the loop.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cee_agent/listener.h"
#include "cee_agent/service.h"
#include "common/log.h"
#include "common/tick.h"
#include "common/watchdog.h"

#define SERVICE_GRACE 10	/* s for what is under way at the end */
#define SERVICE_TICK 5		/* s */

struct service_retired {
	struct service_retired *next;
	struct listener *listener;
};

struct service {
	struct agent *agent;
	int *fds;
	struct service_retired *retired;
	unsigned int stopping;	/* how often it was told */
	struct tick *tick;	/* looks at those retired */
	bool late;		/* the grace is over */
};

void service_warn(const struct agent_config *config)
{
	if (strcmp(config->max_size_why, "max_size") != 0) {
		log_warning("max_size is larger than %s in %s: files over %"
			    PRIu64 " bytes are answered as over the limit",
			    config->max_size_why, config->clamd_conf,
			    config->max_size);
	}
	if (config->alerts_unknown) {
		log_warning("%s does not have `AlertExceedsMax yes`: "
			    "archives that are larger inside than clamd "
			    "unpacks are called clean", config->clamd_conf);
	}
}

/* Listeners. */

/* Those that have nobody left are done. */
static void service_reap(struct service *s)
{
	struct service_retired **at = &s->retired;

	while (*at != NULL) {
		struct service_retired *r = *at;

		if (listener_connections(r->listener) > 0) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		talloc_free(r);		/* and its listener */
	}
}

/* 0, or errno and none of `listeners` is there. */
static int service_listen(struct service *s,
			  struct listener *listeners[AGENT_LISTENERS])
{
	size_t i;
	int ret;

	for (i = 0; i < AGENT_LISTENERS; i++) {
		listeners[i] = NULL;
	}
	for (i = 0; i < AGENT_LISTENERS; i++) {
		if (s->fds[i] == -1) {
			continue;
		}
		ret = listener_create(s, s->agent, s->fds[i], i == 1,
				      &listeners[i]);
		if (ret != 0) {
			log_error("%s: %s", i == 1 ? "https_certificate and "
				  "https_key do not fit together, or are not "
				  "PEM" : "HTTP cannot be served",
				  strerror(ret));
			TALLOC_FREE(listeners[0]);
			return ret;
		}
	}
	return 0;
}

/* What is under way on this listener is answered, and no more. */
static void service_retire(struct service *s, struct listener *listener)
{
	struct service_retired *r = NULL;

	if (listener == NULL) {
		return;
	}
	r = talloc_zero(s, struct service_retired);
	if (r == NULL) {
		talloc_free(listener);
		return;
	}
	listener_retire(listener);
	r->listener = talloc_steal(r, listener);
	r->next = s->retired;
	s->retired = r;
}

static unsigned int service_requests(const struct service *s)
{
	const struct service_retired *r = NULL;
	unsigned int count = 0;

	for (r = s->retired; r != NULL; r = r->next) {
		count += listener_requests(r->listener);
	}
	return count;
}

/* Reload. */

/* NULL, or the key that only a restart can change. */
static const char *service_fixed(const struct agent_config *old,
				 const struct agent_config *new)
{
	if (strcmp(old->listen.text, new->listen.text) != 0) {
		return "listen";
	}
	if (strcmp(old->https_listen.text, new->https_listen.text) != 0) {
		return "https_listen";
	}
	return strcmp(old->user, new->user) != 0 ? "user" : NULL;
}

static void service_refuse(struct service *s, const char *why)
{
	log_error("reload: %s: everything stays as it was", why);
	s->agent->tally->reload_failures++;
	tally_error(s->agent->tally, why);
}

/* From the old configuration to `config`. 0 or errno, and nothing changed. */
static int service_configure(struct service *s, struct agent_config *config)
{
	struct listener *listeners[AGENT_LISTENERS];
	struct agent_config *old = s->agent->config;
	size_t i;
	int ret;

	s->agent->config = config;
	ret = service_listen(s, listeners);
	if (ret != 0) {
		s->agent->config = old;
		return ret;
	}
	for (i = 0; i < AGENT_LISTENERS; i++) {
		service_retire(s, s->agent->listeners[i]);
		s->agent->listeners[i] = listeners[i];
	}
	tally_configure(s->agent->tally, config);
	pool_configure(s->agent->pool, config);
	talloc_free(old);
	return 0;
}

static void service_reload(struct service *s)
{
	struct agent_config *config = NULL;
	const char *fixed = NULL;
	char *error = NULL;
	int ret;

	ret = agent_config_load(s, s->agent->config->path, false, &config,
				&error);
	if (ret != 0) {
		service_refuse(s, error != NULL ? error : strerror(ret));
		talloc_free(error);
		return;
	}
	fixed = service_fixed(s->agent->config, config);
	if (fixed != NULL) {
		error = talloc_asprintf(config, "%s can be changed by a "
					"restart only", fixed);
		service_refuse(s, error != NULL ? error : fixed);
		talloc_free(config);
		return;
	}
	ret = service_configure(s, config);
	if (ret != 0) {
		service_refuse(s, "the listeners could not be started");
		talloc_free(config);
		return;
	}
	service_warn(config);
	log_notice("reloaded %s", config->path);
}

/* Signals and time. */

static void service_signal(struct tevent_context *ev,
			   struct tevent_signal *se, int signum, int count,
			   void *siginfo, void *private_data)
{
	struct service *s = private_data;

	(void)ev;
	(void)se;
	(void)count;
	(void)siginfo;
	if (signum != SIGHUP) {
		s->stopping++;
		return;
	}
	if (s->stopping > 0) {
		return;
	}
	sd_notify(0, "RELOADING=1");
	service_reload(s);
	sd_notify(0, "READY=1");
}

static void service_late(struct tevent_context *ev, struct tevent_timer *te,
			 struct timeval now, void *private_data)
{
	struct service *s = private_data;

	(void)ev;
	(void)te;
	(void)now;
	s->late = true;
}

static void service_ticked(void *private_data)
{
	struct service *s = private_data;

	service_reap(s);
	tick_in(s->tick, SERVICE_TICK * 1000000);
}

/* 0 or errno */
static int service_watch(struct service *s)
{
	static const int signals[] = { SIGHUP, SIGTERM, SIGINT };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (tevent_add_signal(s->agent->ev, s, signals[i], 0,
				      service_signal, s) == NULL) {
			return ENOMEM;
		}
	}
	s->tick = tick_create(s, s->agent->ev, service_ticked, s);
	if (s->tick == NULL || watchdog_start(s, s->agent->ev) != 0) {
		return ENOMEM;
	}
	tick_in(s->tick, SERVICE_TICK * 1000000);
	return 0;
}

/* Its life. */

static void service_close(struct service *s)
{
	size_t i;

	for (i = 0; i < AGENT_LISTENERS; i++) {
		if (s->fds[i] != -1) {
			close(s->fds[i]);
			s->fds[i] = -1;
		}
	}
}

/* Rule 2 of the top. 0 or errno. */
static int service_stop(struct service *s)
{
	struct timeval end = tevent_timeval_current_ofs(SERVICE_GRACE, 0);
	size_t i;
	int ret;

	sd_notify(0, "STOPPING=1");
	service_close(s);
	for (i = 0; i < AGENT_LISTENERS; i++) {
		service_retire(s, s->agent->listeners[i]);
		s->agent->listeners[i] = NULL;
	}
	if (tevent_add_timer(s->agent->ev, s, end, service_late, s) == NULL) {
		return ENOMEM;
	}
	while (service_requests(s) > 0 && s->stopping == 1 && !s->late) {
		ret = tevent_loop_once(s->agent->ev);
		if (ret != 0) {
			return errno;
		}
	}
	if (service_requests(s) > 0) {
		log_warning("stopped with %u requests not answered",
			    service_requests(s));
	}
	return 0;
}

int service_run(TALLOC_CTX *mem_ctx, struct agent *agent,
		int fds[AGENT_LISTENERS])
{
	struct service *s = talloc_zero(mem_ctx, struct service);
	int ret = ENOMEM;

	if (s == NULL) {
		return ENOMEM;
	}
	s->agent = agent;
	s->fds = fds;
	ret = service_watch(s);
	if (ret == 0) {
		ret = service_listen(s, agent->listeners);
	}
	if (ret == 0) {
		log_notice("cee_agent " CAVA_VERSION " ready on %s%s%s",
			   agent->config->listen.text,
			   agent->config->https_listen.len > 0 ?
			   " https " : "", agent->config->https_listen.text);
		sd_notify(0, "READY=1");
	}
	while (ret == 0 && s->stopping == 0) {
		ret = tevent_loop_once(agent->ev);
		if (ret != 0) {
			ret = errno;
		}
	}
	if (ret == 0) {
		ret = service_stop(s);
	}
	service_close(s);
	talloc_free(s);
	return ret;
}

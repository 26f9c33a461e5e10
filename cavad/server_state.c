/*
 * What is thought of an antivirus server: heartbeats, states, events.
 *
 * 1. A heartbeat is one of the connections a server may have. When all are
 *    taken by scans it goes out as soon as one is free, before a scan.
 * 2. A heartbeat that times out while answers to scans came in does not
 *    take a server offline: it is busy, not away.
 * 3. SERVER_SUSPECT timeouts of scans in a row make a server suspected,
 *    since heartbeats alone can look good on a server that hangs. Each good
 *    heartbeat then opens the way for one scan; a verdict ends the
 *    suspicion, and nothing else does.
 * 4. Averages are exponentially weighted, a new value counting an eighth.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cavad/server_private.h"
#include "common/log.h"

static void server_heartbeat_time(struct tevent_context *ev,
				  struct tevent_timer *timer,
				  struct timeval now, void *private_data);
static void server_heartbeat_done(struct tevent_req *subreq);

/* Pure. */

/* The event that is up while a server is in a state; 0 = none. */
static enum event_number server_state_event(enum server_state state)
{
	switch (state) {
	case SERVER_OFFLINE:
		return EVENT_SW_AVSCAN_CAVA_SERVER_OFFLINE;
	case SERVER_AV_ERROR:
		return EVENT_SW_AVSCAN_CAVA_AV_ERROR;
	case SERVER_SUSPECTED:
		return EVENT_CAVA_SERVER_SUSPECT;
	case SERVER_UNKNOWN:
	case SERVER_ONLINE:
	case SERVER_DISABLED:
	case SERVER_STANDBY:
		return 0;
	}
	return 0;
}

/* `interval` s, in us, give or take a tenth, so that the nodes of a cluster
 * do not all ask at once. */
static int64_t server_jitter(uint64_t interval, uint32_t dice)
{
	int64_t us = (int64_t)interval * 1000000;

	return us * 9 / 10 + us / 5 * (dice % 1024) / 1023;
}

static int64_t server_average(int64_t average, int64_t sample)
{
	return average == 0 ? sample : average + (sample - average) / 8;
}

/* The state of one. */

bool server_room(const struct server *server)
{
	return server->connections < server->object->connections_maximum;
}

void server_connection_free(struct server *server)
{
	server->connections--;
	servers_wake(server->servers);
}

static void servers_check_all_offline(struct servers *s)
{
	bool none = s->in_use_count > 0;
	size_t i;

	for (i = 0; i < s->in_use_count; i++) {
		if (s->in_use[i]->state == SERVER_ONLINE ||
		    s->in_use[i]->state == SERVER_UNKNOWN) {
			none = false;
		}
	}
	if (none == s->all_offline) {
		return;
	}
	s->all_offline = none;
	if (none) {
		event_raise(s->events, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, "",
			    "until one is back, open_on_fail of the filter "
			    "decides about files without a verdict");
		return;
	}
	event_clear(s->events, EVENT_SW_AVSCAN_CAVA_ALL_OFFLINE, "");
}

static void server_set_state(struct server *server, enum server_state state,
			     const char *why)
{
	struct servers *s = server->servers;
	enum event_number was = server_state_event(server->state);
	enum event_number is = server_state_event(state);
	const char *name = server->object->name;

	if (state == server->state) {
		return;
	}
	server->state = state;
	server->probe_open = false;
	if (was != 0) {
		event_clear(s->events, was, name);
	}
	if (is != 0) {
		event_raise(s->events, is, name, "%s: %s",
			    server->object->server_uri,
			    why[0] != '\0' ? why : server_state_text(state));
	}
	if (state == SERVER_ONLINE) {
		log_notice("antivirus server %s is online: %s%s%s", name,
			   server->last.version,
			   server->last.vendor[0] != '\0' ? ", " : "",
			   server->last.vendor);
		s->tell_usable = true;
	}
	servers_check_all_offline(s);
	servers_wake(s);
}

void server_answered(struct server *server, int error,
		     const struct engine_answer *answer, int64_t took)
{
	bool timed_out = error == ETIMEDOUT || answer->timed_out;
	bool verdict = error == 0 && answer->result != VERDICT_FAILED;

	if (timed_out) {
		server->timeouts++;
		if (server->state == SERVER_ONLINE &&
		    server->timeouts >= SERVER_SUSPECT) {
			server_set_state(server, SERVER_SUSPECTED, "the last "
					 "scans timed out; one at a time is "
					 "tried until one succeeds");
		}
		return;
	}
	if (error != 0) {
		server_heartbeat(server);
		return;
	}
	server->answers++;
	server->scan_rtt = server_average(server->scan_rtt, took);
	if (verdict || server->state != SERVER_SUSPECTED) {
		server->timeouts = 0;
	}
	if (verdict && server->state == SERVER_SUSPECTED) {
		server_set_state(server, SERVER_ONLINE, "");
	}
	if (verdict && server->state == SERVER_OFFLINE) {
		server_heartbeat(server);
	}
}

/* Heartbeats. */

static void server_heartbeat_later(struct server *server)
{
	struct servers *s = server->servers;
	uint32_t dice = 0;
	struct timeval when;
	ssize_t n;
	int64_t us;

	n = getrandom(&dice, sizeof(dice), GRND_NONBLOCK);
	if (n == -1) {
		dice = 512;	/* the middle: no jitter is no harm */
	}
	us = server_jitter(s->config->cee.heartbeat_interval, dice);
	when = tevent_timeval_current_ofs((uint32_t)(us / 1000000),
					  (uint32_t)(us % 1000000));
	TALLOC_FREE(server->timer);
	server->timer = tevent_add_timer(s->ev, s, when,
					 server_heartbeat_time, server);
	if (server->timer == NULL) {
		log_error("out of memory: antivirus server %s gets no more "
			  "heartbeats; restart cavad", server->object->name);
	}
}

static void server_heartbeat_time(struct tevent_context *ev,
				  struct tevent_timer *timer,
				  struct timeval now, void *private_data)
{
	struct server *server = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	server->timer = NULL;	/* tevent frees it */
	server_heartbeat(server);
}

/* At once, or when a connection is free (rule 1). */
void server_heartbeat(struct server *server)
{
	struct servers *s = server->servers;

	if (server->heartbeat != NULL) {
		return;
	}
	TALLOC_FREE(server->timer);
	server->heartbeat_due = !server_room(server);
	if (server->heartbeat_due) {
		return;
	}
	server->heartbeat = server->ops->heartbeat_send(s, s->ev,
							server->engine);
	if (server->heartbeat == NULL) {
		server_heartbeat_later(server);
		return;
	}
	server->connections++;
	server->heartbeat_began = server_now();
	server->answers_before = server->answers;
	tevent_req_set_callback(server->heartbeat, server_heartbeat_done,
				server);
}

static void server_heartbeat_good(struct server *server)
{
	int64_t took = server_now() - server->heartbeat_began;

	server->good_heartbeats++;
	server->heartbeat_rtt = server_average(server->heartbeat_rtt, took);
	if (server->timeouts < SERVER_SUSPECT) {
		server_set_state(server, SERVER_ONLINE, "");
		return;
	}
	server_set_state(server, SERVER_SUSPECTED, "it is back, but its last "
			 "scans timed out");
	server->probe_open = true;
	server->servers->tell_usable = true;
	servers_wake(server->servers);
}

static void server_heartbeat_done(struct tevent_req *subreq)
{
	struct server *server = tevent_req_callback_data_void(subreq);
	struct engine_status status;
	int ret;

	ret = server->ops->heartbeat_recv(subreq, &status);
	TALLOC_FREE(server->heartbeat);
	server_connection_free(server);
	server_heartbeat_later(server);

	if (ret == ETIMEDOUT && server->answers != server->answers_before) {
		return;		/* rule 2 */
	}
	if (ret != 0) {
		status.online = false;
		if (status.detail[0] == '\0') {
			snprintf(status.detail, sizeof(status.detail), "%s",
				 strerror(ret));
		}
		/* what it was is still worth showing */
		memcpy(server->last.detail, status.detail,
		       sizeof(status.detail));
		server->last.online = false;
		server_set_state(server, SERVER_OFFLINE, status.detail);
		return;
	}
	server->last = status;
	servers_wake(server->servers);	/* other signatures? */
	server_remember_address(server, status.address);
	if (!status.online) {
		server_set_state(server, SERVER_OFFLINE, status.detail);
		return;
	}
	if (!status.av_ok) {
		server_set_state(server, SERVER_AV_ERROR, status.detail);
		return;
	}
	server_heartbeat_good(server);
}

/*
 * GET /metrics: what Prometheus scrapes. Names begin with cava_; each counter
 * of counter.h is one of them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cavad/api_http.h"
#include "cavad/metrics.h"

#define TYPE_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"

static void api_metrics_counters(struct metrics *m, const struct counters *c)
{
#define C(name, text) \
	metrics_family(m, "cava_" #name, METRIC_COUNTER, text); \
	metrics_sample(m, "cava_" #name, METRIC_COUNTER, NULL, \
		       (double)c->name);
	COUNTERS(C)
#undef C
	metrics_family(m, "cava_scan_seconds", METRIC_HISTOGRAM,
		       "how long scans took, from question to verdict");
	metrics_histogram(m, "cava_scan_seconds", &c->scan_time);
	metrics_family(m, "cava_wait_seconds", METRIC_HISTOGRAM,
		       "how long SMB operations waited for a verdict");
	metrics_histogram(m, "cava_wait_seconds", &c->wait_time);
}

static void api_metrics_gauge(struct metrics *m, const char *name,
			      const char *help, double value)
{
	metrics_family(m, name, METRIC_GAUGE, help);
	metrics_sample(m, name, METRIC_GAUGE, NULL, value);
}

static void api_metrics_node(struct metrics *m, const struct api *api)
{
	const char *build[] = { "version", CAVA_VERSION, NULL };
	const struct event *e = NULL;
	double up[3] = { 0 };
	uint64_t pending = 0;
	uint64_t used = 0;
	unsigned int i = 0;

	for (i = 0; (e = events_up(api->events, i)) != NULL; i++) {
		up[e->severity]++;
	}
	metrics_family(m, "cava_build", METRIC_GAUGE, "1");
	metrics_sample(m, "cava_build", METRIC_GAUGE, build, 1);
	metrics_family(m, "cava_events_up", METRIC_GAUGE,
		       "events that are up");
	for (i = EVENT_WARNING; i <= EVENT_CRITICAL; i++) {
		const char *labels[] = { "severity", i == EVENT_CRITICAL ?
					 "critical" : "warning", NULL };

		metrics_sample(m, "cava_events_up", METRIC_GAUGE, labels,
			       up[i]);
	}
	api_metrics_gauge(m, "cava_service_enabled", "1 = files are scanned",
			  api->config->settings.service_enabled);
	api_metrics_gauge(m, "cava_smb_connections", "smbds that are "
			  "connected", (double)ipc_count(api->ipc));
	api_metrics_gauge(m, "cava_store_limit_bytes", "store_size",
			  (double)api->config->settings.store_size);
	if (store_pending_count(api->store, &pending, &used) == 0) {
		api_metrics_gauge(m, "cava_pending_scans", "scans owed",
				  (double)pending);
		api_metrics_gauge(m, "cava_store_used_bytes", "what the "
				  "database holds of it", (double)used);
	}
}

static void api_metrics_queues(struct metrics *m, const struct api *api)
{
	struct scan_queue_status q;
	unsigned int i = 0;

	metrics_family(m, "cava_queue_scans", METRIC_GAUGE,
		       "scans that are queued or running");
	for (i = 0; scan_queue_status(api->scans, i, &q); i++) {
		const char *labels[] = { "queue", q.name, NULL };

		metrics_sample(m, "cava_queue_scans", METRIC_GAUGE, labels,
			       q.size);
	}
}

static double api_metrics_up(const struct server_status *s)
{
	return s->state == SERVER_ONLINE || s->state == SERVER_STANDBY;
}

static double api_metrics_signatures(const struct server_status *s)
{
	return s->last == NULL ? 0 : (double)s->last->signature_time;
}

static double api_metrics_rtt(const struct server_status *s)
{
	return (double)s->scan_rtt.average / 1000;
}

static double api_metrics_connections(const struct server_status *s)
{
	return s->connections;
}

static double api_metrics_requests(const struct server_status *s)
{
	return (double)s->scan_requests;
}

static double api_metrics_failures(const struct server_status *s)
{
	return (double)s->scan_failures;
}

static double api_metrics_heartbeats(const struct server_status *s)
{
	return (double)s->good_heartbeats;
}

static void api_metrics_servers(struct metrics *m, const struct api *api)
{
	static const struct {
		const char *name;
		enum metric_type type;
		const char *help;
		double (*value)(const struct server_status *s);
	} rows[] = {
		{ "cava_server_up", METRIC_GAUGE,
		  "1 = it answers heartbeats", api_metrics_up },
		{ "cava_server_connections", METRIC_GAUGE,
		  "requests under way", api_metrics_connections },
		{ "cava_server_scans", METRIC_COUNTER,
		  "scans it was asked for", api_metrics_requests },
		{ "cava_server_scan_failures", METRIC_COUNTER,
		  "scans it gave no verdict for", api_metrics_failures },
		{ "cava_server_heartbeats", METRIC_COUNTER,
		  "good heartbeats", api_metrics_heartbeats },
		{ "cava_server_scan_seconds", METRIC_GAUGE,
		  "how long its scans took lately", api_metrics_rtt },
		{ "cava_server_signatures_timestamp_seconds", METRIC_GAUGE,
		  "when its signatures were made; 0 = not known",
		  api_metrics_signatures },
	};
	size_t row = 0;
	size_t i = 0;

	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		metrics_family(m, rows[row].name, rows[row].type,
			       rows[row].help);
		for (i = 0; i < servers_count(api->servers); i++) {
			struct server_status s = servers_status(api->servers,
								i);
			const char *labels[] = { "server", s.name, "pool",
						 s.pool, NULL };

			if (s.state == SERVER_DISABLED) {
				continue;
			}
			metrics_sample(m, rows[row].name, rows[row].type,
				       labels, rows[row].value(&s));
		}
	}
}

void api_metrics(struct api_call *call)
{
	const char *accept = api_http_said(call, "Accept");
	struct metrics m = { .text = talloc_strdup(call, "") };
	char *text = NULL;

	m.open = accept != NULL &&
		strstr(accept, "application/openmetrics-text") != NULL;
	api_metrics_counters(&m, call->api->counters);
	api_metrics_node(&m, call->api);
	api_metrics_queues(&m, call->api);
	api_metrics_servers(&m, call->api);
	text = metrics_end(&m, call);
	if (text == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	api_http_send(call, 200, m.open ? TYPE_OPEN : TYPE_TEXT, text,
		      strlen(text));
}

/*
 * cee: a CEE/CAVA server asked over HTTP (cees: over TLS).
 *
 * The server gets the UNC path of the file below CHECK$, fetches the file
 * itself and answers in the reply to the same request. Heartbeats are those
 * of published captures; the scan request is this project's own and
 * unverified against Dell's CEE (common/cee_msg.h, docs/protocol.md).
 *
 * What does not say clearly "clean" of this very scan is not clean:
 *
 * 1. A reply that is not HTTP 200 with XML of the right kind, or that
 *    belongs to another scan, is a bad reply: another server is asked.
 * 2. Status 0x0 is clean, the virus statuses are infected, "over a limit"
 *    is unscannable, anything else failed; another server may do better
 *    (a file "not found" is often one server's stale directory cache).
 * 3. Status 0x0 without our ScanResponse is taken as clean too, since a
 *    server that is not ours does not know it; that the file was fetched is
 *    checked elsewhere.
 *
 * A server that tells an older version than version_minimum is not used.
 *
 * A server says it is out of time in the reply when it can: it is told a
 * little less time than we wait.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "cavad/engine.h"
#include "cavad/object_check.h"
#include "cavad/http.h"
#include "common/cee_msg.h"
#include "common/req.h"

#define CEE_PORT 12228
#define CEE_TLS_PORT 12443
#define CEE_PATH "/vee"
#define CEE_HEARTBEAT_TIMEOUT 3000	/* ms */
#define CEE_CLUSTER_ID_LEN 36		/* hex digits */
#define CEE_NAME_MAX 256

struct engine {
	struct http *http;
	const char *url;
	const char *method;
	struct cee_profile profile;
	unsigned int source_id;
	const char *name;	/* of this server, for heartbeats */
	const char *cluster_id;
	const char *cluster_name;
	const char *version_minimum;	/* "" = any */
	char source_ip[INET6_ADDRSTRLEN];	/* ours, as the server sees */
};

struct engine_cee_state {
	struct engine *engine;
	uint64_t scan_id;
	struct engine_answer answer;	/* of a scan */
	struct engine_status status;	/* of a heartbeat */
};

static void engine_cee_scan_done(struct tevent_req *subreq);
static void engine_cee_heartbeat_done(struct tevent_req *subreq);

/* Where the server is. */

/*
 * Pure: the end of the host that starts at `start` (after its bracket), or
 * NULL. *host is a copy of it.
 */
static const char *engine_cee_host(TALLOC_CTX *mem_ctx, const char *start,
				   bool ip6, char **host)
{
	const char *good = ip6 ? ":." : "-._";
	const char *end = start;
	struct in6_addr addr;

	while (isalnum((unsigned char)*end) ||
	       (*end != '\0' && strchr(good, *end) != NULL)) {
		end++;
	}
	if (end == start || end - start >= CEE_NAME_MAX || *start == '-') {
		return NULL;
	}
	*host = talloc_strndup(mem_ctx, start, end - start);
	if (*host == NULL) {
		return NULL;
	}
	if (!ip6) {
		return end;
	}
	if (*end != ']' || inet_pton(AF_INET6, *host, &addr) != 1) {
		return NULL;
	}
	return end + 1;
}

/* Pure: ":PORT" or nothing; NULL when there is something else. */
static const char *engine_cee_port(const char *p, unsigned long *port)
{
	char *end = NULL;

	if (*p != ':') {
		return p;
	}
	if (!isdigit((unsigned char)p[1])) {
		return NULL;
	}
	*port = strtoul(p + 1, &end, 10);
	return *port == 0 || *port > 65535 ? NULL : end;
}

/* Pure: "/PATH" or nothing? */
static bool engine_cee_path_ok(const char *path)
{
	const char *p = NULL;

	if (*path != '/' && *path != '\0') {
		return false;
	}
	for (p = path; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || strchr("#\"<>\\", *p) != NULL) {
			return false;
		}
	}
	return true;
}

/*
 * Pure: cee://HOST[:PORT][/PATH] as an URL of libcurl, and the bare host.
 * NULL and *error when it is none.
 */
static char *engine_cee_url(TALLOC_CTX *mem_ctx, const char *uri, char **host,
			    char **error)
{
	bool tls = strncmp(uri, "cees:", 5) == 0;
	unsigned long port = tls ? CEE_TLS_PORT : CEE_PORT;
	const char *p = strstr(uri, "://");
	bool ip6 = false;

	p = object_uri_is_cee(uri) ? uri : p == NULL ? NULL : p + 3;
	if (p != NULL) {
		ip6 = p[0] == '[';
		p = engine_cee_host(mem_ctx, p + (ip6 ? 1 : 0), ip6, host);
	}
	if (p != NULL) {
		p = engine_cee_port(p, &port);
	}
	if (p == NULL || !engine_cee_path_ok(p)) {
		*error = talloc_asprintf(mem_ctx, "server_uri %s: not of the "
					 "form cee://HOST:PORT/PATH (cees:// "
					 "for TLS, IPv6 addresses in "
					 "brackets)", uri);
		return NULL;
	}
	return talloc_asprintf(mem_ctx, "%s://%s%s%s:%lu%s",
			       tls ? "https" : "http", ip6 ? "[" : "", *host,
			       ip6 ? "]" : "", port,
			       *p == '\0' ? CEE_PATH : p);
}

/*
 * The address we reach a host from, without sending anything: that of a
 * connected UDP socket. A name is not looked up here (it could block): for
 * it the address of the default route does, until a reply says better.
 */
static void engine_cee_source_ip(const char *host,
				 char out[INET6_ADDRSTRLEN])
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM,
	};
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);
	struct addrinfo *ai = NULL;
	int fd;
	int ret;

	snprintf(out, INET6_ADDRSTRLEN, "127.0.0.1");
	ret = getaddrinfo(host, "9", &hints, &ai);
	if (ret != 0) {
		/* an address of RFC 5737, which is nobody's */
		ret = getaddrinfo("192.0.2.1", "9", &hints, &ai);
	}
	if (ret != 0) {
		return;
	}
	fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		freeaddrinfo(ai);
		return;
	}
	ret = connect(fd, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	if (ret == 0) {
		ret = getsockname(fd, (struct sockaddr *)&local, &len);
	}
	close(fd);
	if (ret == 0) {
		/* leaves `out` alone when it fails */
		getnameinfo((struct sockaddr *)&local, len, out,
			    INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST);
	}
}

/*
 * 36 hex digits that stay the same on this host. The machine id itself is
 * not for the network, so a hash of it is used; a host that has none is
 * known by its name.
 */
static char *engine_cee_cluster_id(TALLOC_CTX *mem_ctx, const char *hostname)
{
	static const sd_id128_t app[2] = {
		SD_ID128_MAKE(6f,1b,52,9c,0d,7e,4b,3a,9f,46,21,c8,5a,e0,37,d4),
		SD_ID128_MAKE(b2,88,0e,61,9a,35,4f,c7,8c,13,7d,e9,04,f6,5b,20),
	};
	sd_id128_t id[2] = { SD_ID128_NULL, SD_ID128_NULL };
	char text[65] = "";
	size_t i;
	int ret;

	ret = sd_id128_get_machine_app_specific(app[0], &id[0]);
	if (ret == 0) {
		ret = sd_id128_get_machine_app_specific(app[1], &id[1]);
	}
	for (i = 0; i < 32; i++) {
		uint8_t byte = id[i / 16].bytes[i % 16];

		if (ret != 0) {
			byte = i < strlen(hostname) ? hostname[i] : 0;
		}
		snprintf(text + 2 * i, 3, "%02x", byte);
	}
	return talloc_strndup(mem_ctx, text, CEE_CLUSTER_ID_LEN);
}

/* Who we are, to the server: 0 or ENOMEM */
static int engine_cee_names(struct engine *e, const struct config *config)
{
	const struct cee_settings *cee = &config->cee;
	const char **pool = config->settings.ip_pool;
	char hostname[CEE_NAME_MAX] = "";
	const char *name = hostname;

	gethostname(hostname, sizeof(hostname) - 1);
	if (pool != NULL && pool[0] != NULL) {
		name = pool[0];
	}
	e->name = talloc_strdup(e, name);

	name = hostname;
	if (cee->cluster_name != NULL && cee->cluster_name[0] != '\0') {
		name = cee->cluster_name;
	}
	e->cluster_name = talloc_strdup(e, name);

	if (cee->cluster_id != NULL && cee->cluster_id[0] != '\0') {
		e->cluster_id = talloc_strdup(e, cee->cluster_id);
	} else {
		e->cluster_id = engine_cee_cluster_id(e, hostname);
	}
	e->version_minimum = talloc_strdup(e, cee->version_minimum != NULL ?
					   cee->version_minimum : "");
	if (e->name == NULL || e->cluster_name == NULL ||
	    e->cluster_id == NULL || e->version_minimum == NULL) {
		return ENOMEM;
	}
	return 0;
}

static int engine_cee_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     const struct config *config,
			     const struct server_object *server,
			     struct engine **result, char **error)
{
	const struct cee_settings *cee = &config->cee;
	struct engine *e = NULL;
	char *host = NULL;
	int ret;

	e = talloc_zero(mem_ctx, struct engine);
	if (e == NULL) {
		return ENOMEM;
	}
	e->url = engine_cee_url(e, server->server_uri, &host, error);
	if (e->url == NULL) {
		talloc_steal(mem_ctx, *error);
		talloc_free(e);
		return EINVAL;
	}
	engine_cee_source_ip(host, e->source_ip);
	e->method = cee->scan_method == 1 ? "POST" : "PUT";
	e->profile.heartbeat_action = (unsigned int)cee->heartbeat_action;
	e->profile.scan_action = (unsigned int)cee->scan_action;
	e->source_id = (unsigned int)cee->source_id;
	ret = engine_cee_names(e, config);
	if (ret == 0) {
		ret = http_create(e, ev,
				  (unsigned int)server->connections_maximum,
				  &e->http);
	}
	if (ret == 0) {
		ret = http_trust(e->http, server->ca_file);
	}
	if (ret != 0) {
		talloc_free(e);
		return ret;
	}
	*result = e;
	return 0;
}

/* One exchange. */

static struct cee_request engine_cee_request(const struct engine *e,
					     enum cee_kind kind)
{
	return (struct cee_request) {
		.kind = kind,
		.action = kind == CEE_SCAN ? e->profile.scan_action :
					     e->profile.heartbeat_action,
		.source_id = e->source_id,
		.source_ip = e->source_ip,
		.name = e->name,
		.cluster_id = e->cluster_id,
		.cluster_name = e->cluster_name,
	};
}

/* 0 or errno */
static int engine_cee_ask(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			  struct engine *e, const struct cee_request *r,
			  uint32_t timeout_ms, struct tevent_req **subreq)
{
	struct http_request request = {
		.method = e->method,
		.url = e->url,
		.content_type = "text/xml",
		.timeout = timeout_ms,
		.reply_max = CEE_MSG_MAX,
	};
	char *body = NULL;
	int ret;

	ret = cee_request_encode(mem_ctx, &e->profile, r, &body,
				 &request.len);
	if (ret != 0) {
		return ret;
	}
	request.body = body;
	*subreq = http_send(mem_ctx, ev, e->http, &request);
	TALLOC_FREE(body);
	return *subreq == NULL ? ENOMEM : 0;
}

/*
 * What the server said, or why that makes no sense, in `detail`. 0, EBADMSG,
 * or the errno of an exchange that failed.
 */
static int engine_cee_hear(struct engine *e, struct tevent_req *subreq,
			   TALLOC_CTX *mem_ctx, struct http_reply *http,
			   struct cee_reply **reply,
			   char detail[VERDICT_TEXT_MAX])
{
	int ret;

	ret = http_recv(subreq, mem_ctx, http);
	TALLOC_FREE(subreq);
	if (ret != 0) {
		snprintf(detail, VERDICT_TEXT_MAX, "%s", http->error);
		return ret;
	}
	if (http->local_address[0] != '\0') {
		memcpy(e->source_ip, http->local_address,
		       sizeof(e->source_ip));
	}
	if (http->status != 200) {
		snprintf(detail, VERDICT_TEXT_MAX, "HTTP status %u",
			 http->status);
		return EBADMSG;
	}
	if (http->len == 0) {
		snprintf(detail, VERDICT_TEXT_MAX, "the reply is empty");
		return EBADMSG;
	}
	if (http->content_type[0] != '\0' &&
	    strcasestr(http->content_type, "xml") == NULL) {
		snprintf(detail, VERDICT_TEXT_MAX, "the reply is %.100s, not "
			 "XML", http->content_type);
		return EBADMSG;
	}
	ret = cee_reply_decode(mem_ctx, http->body, http->len, reply);
	if (ret == EBADMSG) {
		snprintf(detail, VERDICT_TEXT_MAX, "the reply is no "
			 "CheckFileResponse");
	}
	return ret;
}

/* Scan. */

static void engine_cee_failed(struct engine_answer *answer,
			      enum verdict_reason reason, const char *detail)
{
	answer->result = VERDICT_FAILED;
	answer->reason = reason;
	answer->server_fault = true;
	if (detail != answer->detail) {
		snprintf(answer->detail, sizeof(answer->detail), "%s",
			 detail);
	}
}

static struct tevent_req *engine_cee_scan_send(TALLOC_CTX *mem_ctx,
					       struct tevent_context *ev,
					       struct engine *e,
					       const struct engine_scan *scan)
{
	struct cee_request request = engine_cee_request(e, CEE_SCAN);
	struct engine_cee_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct engine_cee_state);
	if (req == NULL) {
		return NULL;
	}
	state->engine = e;
	state->scan_id = scan->id;
	request.name = scan->unc;
	request.scan_id = scan->id;
	request.size = scan->size;
	/* of 60 s the server gets 55 */
	request.timeout = scan->timeout - scan->timeout / 12;
	ret = engine_cee_ask(state, ev, e, &request, scan->timeout * 1000,
			     &subreq);
	if (ret == EILSEQ || ret == EMSGSIZE) {
		/* not UTF-8, or endless: no server can be told that name */
		engine_cee_failed(&state->answer, VERDICT_REASON_NAME,
				  "the name does not fit into a request");
		state->answer.server_fault = false;
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, engine_cee_scan_done, req);
	return req;
}

/* Pure: what a reply means for the scan it should belong to. */
static void engine_cee_judge(const struct cee_reply *reply, uint64_t scan_id,
			     struct engine_answer *answer)
{
	answer->signature_time = reply->signature_time;
	answer->bytes = reply->bytes;
	snprintf(answer->engine, sizeof(answer->engine), "%s",
		 reply->av_vendor);
	if (reply->scan && reply->scan_id != scan_id) {
		engine_cee_failed(answer, VERDICT_REASON_BAD_REPLY,
				  "a reply to another scan");
		return;
	}
	if (reply->heartbeat) {
		engine_cee_failed(answer, VERDICT_REASON_BAD_REPLY,
				  "a reply to a heartbeat");
		return;
	}
	if (cee_status_infected(reply->status)) {
		answer->result = VERDICT_INFECTED;
		snprintf(answer->threat, sizeof(answer->threat), "%s",
			 reply->threat[0] != '\0' ?
			 reply->threat : cee_status_text(reply->status));
		return;
	}
	snprintf(answer->detail, sizeof(answer->detail), "%s (0x%x)%s%s",
		 cee_status_text(reply->status), reply->status,
		 reply->detail[0] != '\0' ? ": " : "", reply->detail);
	if (reply->limit) {
		answer->result = VERDICT_UNSCANNABLE;
		answer->reason = VERDICT_REASON_LIMIT;
		return;
	}
	if (reply->status == CEE_SUCCESS) {
		answer->result = VERDICT_CLEAN;
		answer->detail[0] = '\0';
		return;
	}
	if (reply->status == CEE_ERROR_TIMEOUT) {
		engine_cee_failed(answer, VERDICT_REASON_TIMEOUT,
				  answer->detail);
		answer->timed_out = true;
		return;
	}
	engine_cee_failed(answer, VERDICT_REASON_SERVER_ERROR,
			  answer->detail);
	answer->not_found = reply->status == CEE_ERROR_FILE_NOT_FOUND;
}

static void engine_cee_scan_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct engine_cee_state *state =
		tevent_req_data(req, struct engine_cee_state);
	struct engine_answer *answer = &state->answer;
	struct cee_reply *reply = NULL;
	struct http_reply http;
	int ret;

	ret = engine_cee_hear(state->engine, subreq, state, &http, &reply,
			      answer->detail);
	if (ret == EBADMSG || ret == EPROTO || ret == EMSGSIZE) {
		engine_cee_failed(answer, VERDICT_REASON_BAD_REPLY,
				  answer->detail);
		tevent_req_done(req);
		return;
	}
	if (ret != 0) {
		tevent_req_error(req, ret);
		return;
	}
	engine_cee_judge(reply, state->scan_id, answer);
	tevent_req_done(req);
}

static int engine_cee_scan_recv(struct tevent_req *req,
				struct engine_answer *answer)
{
	struct engine_cee_state *state =
		tevent_req_data(req, struct engine_cee_state);
	int error = req_error(req);

	*answer = state->answer;
	tevent_req_received(req);
	return error;
}

/* Heartbeat. */

static struct tevent_req *engine_cee_heartbeat_send(TALLOC_CTX *mem_ctx,
						    struct tevent_context *ev,
						    struct engine *e)
{
	struct cee_request request = engine_cee_request(e, CEE_HEARTBEAT);
	struct engine_cee_state *state = NULL;
	struct tevent_req *subreq = NULL;
	struct tevent_req *req = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct engine_cee_state);
	if (req == NULL) {
		return NULL;
	}
	state->engine = e;
	ret = engine_cee_ask(state, ev, e, &request, CEE_HEARTBEAT_TIMEOUT,
			     &subreq);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, engine_cee_heartbeat_done, req);
	return req;
}

/*
 * Pure: is version "8.7.1" older than "8.10"? By numbers; what is missing is
 * 0, and text ("9.3-beta") ends the comparison.
 */
static bool engine_cee_older(const char *version, const char *least)
{
	while (*least != '\0') {
		char *version_end = NULL;
		char *least_end = NULL;
		unsigned long a = strtoul(version, &version_end, 10);
		unsigned long b = strtoul(least, &least_end, 10);

		if (a != b || least_end == least) {
			return a < b;
		}
		version = version_end + (*version_end == '.');
		least = least_end + (*least_end == '.');
	}
	return false;
}

static void engine_cee_check_version(const struct engine *e,
				     const struct cee_reply *reply,
				     struct engine_status *status)
{
	if (!engine_cee_older(reply->cee_version, e->version_minimum)) {
		return;
	}
	status->too_old = true;
	snprintf(status->detail, sizeof(status->detail), "CEE %.60s is older "
		 "than version_minimum = %.60s of [cee]",
		 reply->cee_version[0] != '\0' ? reply->cee_version :
		 "that tells no version", e->version_minimum);
}

static void engine_cee_heartbeat_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct engine_cee_state *state =
		tevent_req_data(req, struct engine_cee_state);
	struct engine_status *status = &state->status;
	struct cee_reply *reply = NULL;
	struct http_reply http;
	int ret;

	ret = engine_cee_hear(state->engine, subreq, state, &http, &reply,
			      status->detail);
	if (ret != 0 && ret != EBADMSG) {
		tevent_req_error(req, ret);
		return;
	}
	memcpy(status->address, http.address, sizeof(status->address));
	if (ret == EBADMSG) {
		tevent_req_done(req);
		return;
	}
	status->online = true;
	status->av_ok = reply->status == CEE_SUCCESS;
	status->signature_time = reply->signature_time;
	if (reply->cee_version[0] != '\0') {
		snprintf(status->version, sizeof(status->version), "CEE %s",
			 reply->cee_version);
	}
	snprintf(status->dtd_version, sizeof(status->dtd_version), "%s",
		 reply->dtd_version);
	snprintf(status->vendor, sizeof(status->vendor), "%s",
		 reply->av_vendor);
	if (!status->av_ok) {
		snprintf(status->detail, sizeof(status->detail),
			 "%s (0x%x)%s%s", cee_status_text(reply->status),
			 reply->status, reply->detail[0] != '\0' ? ": " : "",
			 reply->detail);
	}
	engine_cee_check_version(state->engine, reply, status);
	tevent_req_done(req);
}

static int engine_cee_heartbeat_recv(struct tevent_req *req,
				     struct engine_status *status)
{
	struct engine_cee_state *state =
		tevent_req_data(req, struct engine_cee_state);
	int error = req_error(req);

	*status = state->status;
	tevent_req_received(req);
	return error;
}

static void engine_cee_trace(struct engine *e, struct trace *t)
{
	http_trace(e->http, t);
}

#define ENGINE_CEE_OPS(SCHEME) { \
	.name = "CEE/CAVA", \
	.scheme = SCHEME, \
	.fetches = true, \
	.create = engine_cee_create, \
	.scan_send = engine_cee_scan_send, \
	.scan_recv = engine_cee_scan_recv, \
	.heartbeat_send = engine_cee_heartbeat_send, \
	.heartbeat_recv = engine_cee_heartbeat_recv, \
	.trace = engine_cee_trace, \
}

const struct engine_ops engine_cee = ENGINE_CEE_OPS("cee");
const struct engine_ops engine_cees = ENGINE_CEE_OPS("cees");

/*
 * libcurl's multi interface, driven by tevent. The only file of cavad that
 * knows libcurl.
 *
 * libcurl says which sockets it wants watched and when it wants to be woken
 * (http_want_socket, http_want_timer); we tell it what happened
 * (http_act), and then ask what has ended (http_drain). Rules:
 *
 * 1. libcurl must not be called from inside its own callbacks. Those here
 *    only take bytes and note wishes; no code of a caller runs in them, so
 *    that a caller may free or send requests wherever its code runs.
 * 2. A request ends in one place, http_end(), and its caller hears of it
 *    from an immediate event: it may then free the struct http as well.
 * 3. The tevent_fd is freed when libcurl lets go of the socket, which is
 *    before it closes it; the same number may come back at once.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "cavad/trace.h"
#include "common/req.h"

#ifndef HTTP_CONNECT_TIMEOUT	/* the test has a longer one */
#define HTTP_CONNECT_TIMEOUT 3000L	/* ms; the handshake of TLS in it */
#endif
#define HTTP_HEADER_MAX 65536		/* bytes of headers that are taken */

struct http_state {
	struct tevent_context *ev;
	struct tevent_req *req;
	struct http *http;	/* NULL once the transfer has ended */
	TAILQ_ENTRY(http_state) entry;
	CURL *easy;
	struct curl_slist *headers;
	void *body;
	char error_text[CURL_ERROR_SIZE];
	size_t reply_max;
	size_t header_len;
	size_t reply_size;	/* allocated for reply.body */
	bool too_long;
	struct http_reply reply;
};

struct http {
	struct tevent_context *ev;
	CURLM *multi;
	struct tevent_timer *timer;
	TAILQ_HEAD(, http_state) running;
	struct trace *trace;
	char *ca_file;		/* NULL = the system's */
};

struct http_socket {
	struct http *http;
	curl_socket_t fd;
	struct tevent_fd *fde;
};

static int http_destructor(struct http *http);
static void http_end(struct http_state *state, int error);
static void http_act(struct http *http, curl_socket_t fd, int what);
static void http_socket_event(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data);
static void http_timer_event(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data);

/* What libcurl calls: see rule 1. */

static int http_want_socket(CURL *easy, curl_socket_t fd, int what,
			    void *private_data, void *socket_data)
{
	struct http *http = private_data;
	struct http_socket *sock = socket_data;
	uint16_t flags = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(http->multi, fd, NULL);
		TALLOC_FREE(sock);
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) {
		flags |= TEVENT_FD_READ;
	}
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) {
		/* who waits to write alone is not told of errors by tevent:
		 * a refused connection would seem to hang */
		flags |= TEVENT_FD_READ | TEVENT_FD_WRITE;
	}
	if (sock != NULL) {
		tevent_fd_set_flags(sock->fde, flags);
		return 0;
	}

	sock = talloc_zero(http, struct http_socket);
	if (sock == NULL) {
		return -1;
	}
	sock->http = http;
	sock->fd = fd;
	sock->fde = tevent_add_fd(http->ev, sock, fd, flags,
				  http_socket_event, sock);
	if (sock->fde == NULL) {
		TALLOC_FREE(sock);
		return -1;
	}
	curl_multi_assign(http->multi, fd, sock);
	return 0;
}

static int http_want_timer(CURLM *multi, long ms, void *private_data)
{
	struct http *http = private_data;
	struct timeval when;

	(void)multi;
	TALLOC_FREE(http->timer);
	if (ms < 0) {
		return 0;
	}
	when = tevent_timeval_current_ofs(ms / 1000, (ms % 1000) * 1000);
	http->timer = tevent_add_timer(http->ev, http, when,
				       http_timer_event, http);
	return http->timer == NULL ? -1 : 0;
}

static size_t http_take_header(char *data, size_t size, size_t n,
			       void *private_data)
{
	struct http_state *state = private_data;

	(void)data;
	state->header_len += size * n;
	if (state->header_len > HTTP_HEADER_MAX) {
		state->too_long = true;
		return 0;
	}
	return size * n;
}

static size_t http_take_body(char *data, size_t size, size_t n,
			     void *private_data)
{
	struct http_state *state = private_data;
	struct http_reply *reply = &state->reply;
	size_t len = size * n;
	size_t want;

	if (len > state->reply_max - reply->len) {
		state->too_long = true;
		return 0;
	}
	want = reply->len + len;
	if (want > state->reply_size) {
		uint8_t *grown = NULL;

		want = want < 1024 ? 1024 : 2 * want;
		grown = talloc_realloc(state, reply->body, uint8_t, want);
		if (grown == NULL) {
			return 0;
		}
		reply->body = grown;
		state->reply_size = want;
	}
	memcpy(reply->body + reply->len, data, len);
	reply->len += len;
	return len;
}

/* The connection pool of one server. */

int http_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		unsigned int connections, struct http **result)
{
	struct http *http = NULL;
	CURLcode code;

	http = talloc_zero(mem_ctx, struct http);
	if (http == NULL) {
		return ENOMEM;
	}
	http->ev = ev;
	TAILQ_INIT(&http->running);

	code = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (code != CURLE_OK) {
		talloc_free(http);
		return ENOMEM;
	}
	http->multi = curl_multi_init();
	if (http->multi == NULL) {
		curl_global_cleanup();
		talloc_free(http);
		return ENOMEM;
	}
	talloc_set_destructor(http, http_destructor);

	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION,
			  http_want_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION,
			  http_want_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
			  (long)connections);
	curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
			  (long)connections);
	*result = http;
	return 0;
}

static int http_destructor(struct http *http)
{
	struct http_state *state = NULL;

	while ((state = TAILQ_FIRST(&http->running)) != NULL) {
		http_end(state, ECANCELED);
	}
	/* closes the idle connections and so still calls back */
	curl_multi_cleanup(http->multi);
	curl_global_cleanup();
	return 0;
}

/* A request. */

static void http_detach(struct http_state *state)
{
	struct http *http = state->http;

	if (http == NULL) {
		return;
	}
	state->http = NULL;
	TAILQ_REMOVE(&http->running, state, entry);
	curl_multi_remove_handle(http->multi, state->easy);
	curl_easy_cleanup(state->easy);
	state->easy = NULL;
	curl_slist_free_all(state->headers);
	state->headers = NULL;
}

static void http_cleanup(struct tevent_req *req,
			 enum tevent_req_state req_state)
{
	struct http_state *state = tevent_req_data(req, struct http_state);

	(void)req_state;
	http_detach(state);
}

static int http_take_trace(CURL *easy, curl_infotype type, char *data,
			   size_t size, void *private_data)
{
	struct http *http = private_data;

	(void)easy;
	if (type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT) {
		trace_sent(http->trace, data, size);
	} else if (type == CURLINFO_HEADER_IN || type == CURLINFO_DATA_IN) {
		trace_received(http->trace, data, size);
	}
	return 0;
}

void http_trace(struct http *http, struct trace *t)
{
	http->trace = t;
}

int http_trust(struct http *http, const char *file)
{
	TALLOC_FREE(http->ca_file);
	if (file[0] == '\0') {
		return 0;
	}
	http->ca_file = talloc_strdup(http, file);
	return http->ca_file == NULL ? ENOMEM : 0;
}

static bool http_set_headers(struct http_state *state,
			     const char *content_type)
{
	struct curl_slist *list = NULL;
	char *line = NULL;

	line = talloc_asprintf(state, "Content-Type: %s", content_type);
	if (line == NULL) {
		return false;
	}
	list = curl_slist_append(NULL, line);
	TALLOC_FREE(line);
	if (list == NULL) {
		return false;
	}
	state->headers = list;
	/* no 100-continue: servers of this kind do not all know it */
	list = curl_slist_append(list, "Expect:");
	return list != NULL;
}

static CURLcode http_set_options(struct http_state *state,
				 const struct http_request *r)
{
	CURL *e = state->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, state);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, state->error_text);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* a name being looked up is left to its thread: to join it blocks */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "cavad");
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_TIMEOUT);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_take_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, state);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, http_take_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, state);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, state->headers);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, state->body);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	return curl_easy_setopt(e, CURLOPT_URL, r->url);
}

/* 0 or errno; on an error nothing of libcurl is left. */
static int http_start(struct http_state *state, struct http *http,
		      const struct http_request *request)
{
	CURLcode code;
	CURLMcode mcode;

	state->body = talloc_memdup(state, request->body, request->len);
	if (state->body == NULL) {
		return ENOMEM;
	}
	if (!http_set_headers(state, request->content_type)) {
		curl_slist_free_all(state->headers);
		return ENOMEM;
	}
	state->easy = curl_easy_init();
	if (state->easy == NULL) {
		curl_slist_free_all(state->headers);
		return ENOMEM;
	}
	code = http_set_options(state, request);
	if (http->ca_file != NULL) {
		curl_easy_setopt(state->easy, CURLOPT_CAINFO, http->ca_file);
	}
	if (http->trace != NULL) {
		curl_easy_setopt(state->easy, CURLOPT_DEBUGFUNCTION,
				 http_take_trace);
		curl_easy_setopt(state->easy, CURLOPT_DEBUGDATA, http);
		curl_easy_setopt(state->easy, CURLOPT_VERBOSE, 1L);
	}
	mcode = CURLM_OUT_OF_MEMORY;
	if (code == CURLE_OK) {
		mcode = curl_multi_add_handle(http->multi, state->easy);
	}
	if (mcode != CURLM_OK) {
		curl_easy_cleanup(state->easy);
		curl_slist_free_all(state->headers);
		return ENOMEM;
	}
	state->http = http;
	TAILQ_INSERT_TAIL(&http->running, state, entry);
	return 0;
}

struct tevent_req *http_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     struct http *http,
			     const struct http_request *request)
{
	struct tevent_req *req = NULL;
	struct http_state *state = NULL;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct http_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->req = req;
	state->reply_max = request->reply_max;
	state->reply.content_type = "";
	state->reply.error = "";

	ret = http_start(state, http, request);
	if (ret != 0) {
		tevent_req_error(req, ret);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_cleanup_fn(req, http_cleanup);
	return req;
}

/* Pure: what became of a transfer, as an errno. */
static int http_errno(CURLcode code, long os_errno, bool connected)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return connected ? ETIMEDOUT : EHOSTUNREACH;
	case CURLE_COULDNT_RESOLVE_HOST:
		return EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return os_errno > 0 ? (int)os_errno : ECONNREFUSED;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return ECONNRESET;
	case CURLE_URL_MALFORMAT:
		return EINVAL;
	case CURLE_OUT_OF_MEMORY:
		return ENOMEM;
	default:
		return EPROTO;
	}
}

static void http_note_reply(struct http_state *state)
{
	struct http_reply *reply = &state->reply;
	const char *text = NULL;
	long status = 0;

	curl_easy_getinfo(state->easy, CURLINFO_RESPONSE_CODE, &status);
	reply->status = (unsigned int)status;
	curl_easy_getinfo(state->easy, CURLINFO_CONTENT_TYPE, &text);
	if (text != NULL) {
		reply->content_type = talloc_strdup(state, text);
	}
	if (reply->content_type == NULL) {
		reply->content_type = "";
	}
	text = NULL;
	curl_easy_getinfo(state->easy, CURLINFO_PRIMARY_IP, &text);
	if (text != NULL) {
		snprintf(reply->address, sizeof(reply->address), "%s", text);
	}
	text = NULL;
	curl_easy_getinfo(state->easy, CURLINFO_LOCAL_IP, &text);
	if (text != NULL) {
		snprintf(reply->local_address, sizeof(reply->local_address),
			 "%s", text);
	}
}

static void http_end_curl(struct http_state *state, CURLcode code)
{
	curl_off_t sent_after = 0;	/* us; 0 = never got so far */
	long os_errno = 0;
	int error;

	curl_easy_getinfo(state->easy, CURLINFO_OS_ERRNO, &os_errno);
	curl_easy_getinfo(state->easy, CURLINFO_PRETRANSFER_TIME_T,
			  &sent_after);
	http_note_reply(state);
	error = http_errno(code, os_errno, sent_after > 0);
	if (error != 0 && state->too_long) {
		error = EMSGSIZE;
		state->reply.error = "the reply is too long";
	} else if (error != 0 && state->error_text[0] != '\0') {
		state->reply.error = state->error_text;
	} else if (error != 0) {
		state->reply.error = curl_easy_strerror(code);
	}
	http_end(state, error);
}

static void http_end(struct http_state *state, int error)
{
	struct tevent_req *req = state->req;

	http_detach(state);
	tevent_req_defer_callback(req, state->ev);
	if (error != 0) {
		tevent_req_error(req, error);
		return;
	}
	tevent_req_done(req);
}

/* What tevent calls. */

static void http_drain(struct http *http)
{
	struct http_state *state = NULL;
	CURLMsg *msg = NULL;
	int left = 0;

	while ((msg = curl_multi_info_read(http->multi, &left)) != NULL) {
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE) {
			continue;
		}
		state = NULL;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &state);
		/* msg is gone when the handle is removed */
		http_end_curl(state, code);
	}
}

static void http_act(struct http *http, curl_socket_t fd, int what)
{
	struct http_state *state = NULL;
	CURLMcode mcode;
	int running = 0;

	mcode = curl_multi_socket_action(http->multi, fd, what, &running);
	if (mcode == CURLM_OK) {
		http_drain(http);
		return;
	}
	/* every transfer is in doubt now */
	while ((state = TAILQ_FIRST(&http->running)) != NULL) {
		state->reply.error = curl_multi_strerror(mcode);
		http_end(state, EIO);
	}
}

static void http_socket_event(struct tevent_context *ev,
			      struct tevent_fd *fde, uint16_t flags,
			      void *private_data)
{
	struct http_socket *sock = private_data;
	int what = 0;

	(void)ev;
	(void)fde;
	if (flags & TEVENT_FD_READ) {
		what |= CURL_CSELECT_IN;
	}
	if (flags & TEVENT_FD_WRITE) {
		what |= CURL_CSELECT_OUT;
	}
	http_act(sock->http, sock->fd, what);	/* may free sock */
}

static void http_timer_event(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data)
{
	struct http *http = private_data;

	(void)ev;
	(void)timer;
	(void)now;
	http->timer = NULL;	/* tevent frees it */
	http_act(http, CURL_SOCKET_TIMEOUT, 0);
}

int http_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
	      struct http_reply *reply)
{
	struct http_state *state = tevent_req_data(req, struct http_state);
	int error = req_error(req);

	*reply = state->reply;
	reply->error = talloc_strdup(mem_ctx, state->reply.error);
	reply->content_type = talloc_strdup(mem_ctx,
					    state->reply.content_type);
	if (reply->error == NULL || reply->content_type == NULL) {
		reply->error = "out of memory";
		reply->content_type = "";
		error = ENOMEM;
	}
	talloc_steal(mem_ctx, reply->body);
	tevent_req_received(req);
	return error;
}

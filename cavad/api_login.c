/*
 * Who calls over TCP: a session by its cookie, else the login in the request
 * (HTTP basic), else nobody; and /session/1/session, where a browser logs in,
 * in the shape of OneFS.
 *
 * Another site's page can send requests in the name of a browser that is
 * logged in here, so what changes something is refused when it says another
 * origin, and in a session without the secret of that session in X-CSRF-Token
 * (the cookie isicsrf has it, for the page to read).
 *
 *   POST   /session/1/session {"username","password","services"}
 *   GET    /session/1/session
 *   DELETE /session/1/session
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cavad/api_listener.h"
#include "cavad/login.h"
#include "cavad/session.h"

#define COOKIE_SESSION "isisessid"
#define COOKIE_CSRF "isicsrf"

static void api_login_done(struct tevent_req *subreq);
static void api_session_done(struct tevent_req *subreq);

static bool api_login_reads(const struct api_call *call)
{
	return api_access(API_ROLE_READ, call->http->method, false) ==
		API_GRANTED;
}

/* Does the page that sends it come from here, if it is one at all? */
static bool api_login_same_origin(struct api_call *call)
{
	const char *origin = api_http_said(call, "Origin");
	const char *host = api_http_said(call, "Host");

	if (origin == NULL) {
		return true;
	}
	return host != NULL && strncmp(origin, "https://", 8) == 0 &&
		strcasecmp(origin + 8, host) == 0;
}

static bool api_login_token(struct api_call *call, const struct session *s)
{
	const char *token = api_http_said(call, "X-CSRF-Token");

	return token != NULL && strlen(token) == SESSION_SECRET - 1 &&
		account_equal(token, s->csrf, SESSION_SECRET - 1);
}

/* False: it is answered. */
static bool api_login_no_forgery(struct api_call *call,
				 const struct session *s)
{
	if (api_login_reads(call)) {
		return true;
	}
	if (!api_login_same_origin(call)) {
		api_error(call, 403, NULL, "the page that sent this is not "
			  "one of cavad's (Origin)");
		return false;
	}
	if (s != NULL && !api_login_token(call, s)) {
		api_error(call, 403, NULL, "X-CSRF-Token must have the value "
			  "of the cookie " COOKIE_CSRF);
		return false;
	}
	return true;
}

static void api_login_route(struct api_call *call, const char *name)
{
	struct api_http_call *hc = call->http;
	struct logins *logins = hc->listener->http->logins;
	const struct account *account = name == NULL ? NULL :
		account_find(logins_accounts(logins), name);

	call->user = account == NULL ? "nobody" :
		     talloc_strdup(call, account->name);
	if (call->user == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	api_route(call, account == NULL ? API_ROLE_NONE : account->role,
		  hc->method, hc->path, hc->body, hc->len);
}

/* How a login that did not succeed is answered. */
static void api_login_refused(struct api_call *call, int error)
{
	switch (error) {
	case EACCES:
		api_http_header(call, "WWW-Authenticate", api_challenge(call));
		api_error(call, 401, NULL, "name or password is wrong");
		return;
	case EBUSY:
		api_http_header(call, "Retry-After", "60");
		api_error(call, 429, NULL, "too many wrong logins from %s; "
			  "try again in a minute", call->peer->net);
		return;
	case EAGAIN:
		api_http_header(call, "Retry-After", "5");
		api_error(call, 503, NULL, "too many logins at a time; try "
			  "again");
		return;
	default:
		api_error(call, 500, NULL, "login: %s", strerror(error));
	}
}

const char *api_challenge(struct api_call *call)
{
	/* to a browser, of a kind that it does not ask its user about */
	return api_http_said(call, "X-Requested-With") != NULL ||
		api_http_said(call, "Sec-Fetch-Mode") != NULL ?
		"Session realm=\"cavad\"" :
		"Basic realm=\"cavad\", charset=\"UTF-8\"";
}

void api_login(struct api_call *call, struct logins *logins,
	       struct sessions *sessions)
{
	const char *id = api_http_cookie(call, COOKIE_SESSION);
	const struct session *s = id == NULL ? NULL :
		session_find(sessions, logins_accounts(logins), id);
	struct tevent_req *subreq = NULL;
	char *name = NULL;
	char *password = NULL;

	if (!api_login_no_forgery(call, s)) {
		return;
	}
	if (s != NULL) {
		call->session = talloc_strdup(call, s->id);
		api_login_route(call, s->user);
		return;
	}
	if (!api_http_basic(call, &name, &password)) {
		api_login_route(call, NULL);
		return;
	}
	call->user = name;
	subreq = login_send(call, call->api->ev, logins, name, password,
			    call->peer->net);
	explicit_bzero(password, strlen(password));
	if (subreq == NULL) {
		api_login_refused(call, ENOMEM);
		return;
	}
	tevent_req_set_callback(subreq, api_login_done, call);
}

static void api_login_done(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	int ret = login_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_login_refused(call, ret);
		return;
	}
	api_login_route(call, call->user);
}

/* --- sessions --- */

const struct api_field api_session_fields[] = {
	{ "username", JSON_STRING, true, ACCOUNT_NAME_MAX },
	{ "password", JSON_STRING, true, ACCOUNT_PASSWORD_MAX },
	{ "services", JSON_ARRAY, false, 0 },
	{ NULL, JSON_NULL, false, 0 }
};

/* read_only is ours: a page need not offer what would be refused. */
static json_t *api_session_json(const struct account *account)
{
	return json_pack("{s:s, s:[s], s:b, s:i, s:i}", "username",
			 account->name, "services", "platform",
			 "read_only", account->role != API_ROLE_ALL,
			 "timeout_absolute", SESSION_ABSOLUTE,
			 "timeout_inactive", SESSION_INACTIVE);
}

/* False: not on this socket, which is said. */
static bool api_session_here(struct api_call *call)
{
	if (call->peer == NULL || !call->peer->tcp) {
		api_error(call, 409, NULL, "sessions are for TCP; the unix "
			  "socket knows who calls");
		return false;
	}
	return true;
}

void api_session_open(struct api_call *call)
{
	struct tevent_req *subreq = NULL;
	const char *name = NULL;
	const char *password = NULL;

	if (!api_session_here(call) || !api_body(call, api_session_fields)) {
		return;
	}
	name = json_string_value(json_object_get(call->body, "username"));
	password = json_string_value(json_object_get(call->body, "password"));
	subreq = login_send(call, call->api->ev,
			    call->http->listener->http->logins, name,
			    password, call->peer->net);
	if (subreq == NULL) {
		api_login_refused(call, ENOMEM);
		return;
	}
	tevent_req_set_callback(subreq, api_session_done, call);
}

static void api_session_done(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct api_http *h = call->http->listener->http;
	const struct account *account = NULL;
	const struct session *s = NULL;
	const char *name = NULL;
	int ret = login_recv(subreq);

	TALLOC_FREE(subreq);
	name = json_string_value(json_object_get(call->body, "username"));
	account = account_find(logins_accounts(h->logins), name);
	if (ret == 0) {
		ret = account == NULL ? EACCES :
			session_open(h->sessions, account, &s);
	}
	if (ret != 0) {
		api_login_refused(call, ret);
		return;
	}
	api_http_header(call, "Set-Cookie", talloc_asprintf(
		call, COOKIE_SESSION "=%s; path=/; HttpOnly; Secure; "
		"SameSite=Strict", s->id));
	api_http_header(call, "Set-Cookie", talloc_asprintf(
		call, COOKIE_CSRF "=%s; path=/; Secure; SameSite=Strict",
		s->csrf));
	api_reply(call, 201, api_session_json(account));
}

void api_session_view(struct api_call *call)
{
	const struct account *account = NULL;

	if (!api_session_here(call)) {
		return;
	}
	if (call->session != NULL) {
		account = account_find(logins_accounts(
			call->http->listener->http->logins), call->user);
	}
	if (account == NULL) {
		api_http_header(call, "WWW-Authenticate", api_challenge(call));
		api_error(call, 401, NULL, "there is no session");
		return;
	}
	api_reply(call, 200, api_session_json(account));
}

void api_session_close(struct api_call *call)
{
	if (!api_session_here(call)) {
		return;
	}
	if (call->session != NULL) {
		session_close(call->http->listener->http->sessions,
			      call->session);
	}
	api_http_header(call, "Set-Cookie", COOKIE_SESSION "=; path=/; "
			"HttpOnly; Secure; SameSite=Strict; Max-Age=0");
	api_http_header(call, "Set-Cookie", COOKIE_CSRF "=; path=/; Secure; "
			"SameSite=Strict; Max-Age=0");
	api_reply(call, 204, NULL);
}

/*
 * GET /platform/11/avscan/explain?path=: why a file can be read, or not.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>

#include "cavad/api_http.h"
#include "cavad/explain.h"
#include "common/uri.h"

static void api_explained(struct tevent_req *subreq);

void api_explain(struct api_call *call)
{
	struct api *api = call->api;
	const struct explain_parts parts = {
		.config = api->config, .files = api->files,
		.store = api->store, .servers = api->servers,
		.scans = api->scans, .zones = api->zones,
		.history = api->history, .threats = api->threats,
		.allows = api->allows,
	};
	const char *path = api_path(call, "path",
				    api_http_query(call, "path"));
	struct tevent_req *subreq = NULL;

	if (path == NULL) {
		return;
	}
	subreq = explain_send(call, api->ev, &parts, path);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_explained, call);
}

static const char *api_outcome(enum explain_outcome outcome)
{
	static const char *const names[] = {
		[EXPLAIN_READ] = "read", [EXPLAIN_WAIT] = "wait",
		[EXPLAIN_DENIED] = "denied",
	};

	return names[outcome];
}

/* "A reader of share X is denied, because it is infected." */
static json_t *api_explain_sentence(const struct explain *x)
{
	const struct explain_judgement *j = &x->judgement;
	const char *share = x->share[0] != '\0' ? x->share : "such a zone";

	return json_sprintf("A reader of %s%s %s, because %s.%s%s%s",
			    x->share[0] != '\0' ? "share " : "a share in ",
			    share, j->gets, j->because,
			    j->change == NULL ? "" : " To change that: ",
			    j->change == NULL ? "" : j->change,
			    j->change == NULL ? "" : ".");
}

static json_t *api_explain_json(struct api_call *call,
				const struct explain *x)
{
	json_t *facts = json_array();
	json_t *path = json_string(x->path);
	size_t i = 0;

	if (path == NULL) {	/* it is no UTF-8 */
		path = json_string(uri_of_path(call, x->path));
	}
	for (i = 0; i < x->count; i++) {
		json_array_append_new(facts, json_pack(
			"{s:s, s:o}", "about", x->facts[i].about,
			"text", api_text(x->facts[i].text)));
	}
	return json_pack("{s:o, s:s, s:s, s:s, s:b, s:s, s:s?, s:o, s:o}",
			 "path", path, "share", x->share, "zone", x->zone,
			 "outcome", api_outcome(x->judgement.outcome),
			 "infected", (int)x->judgement.infected,
			 "because", x->judgement.because,
			 "change", x->judgement.change,
			 "sentence", api_explain_sentence(x),
			 "facts", facts);
}

static void api_explain_nothing(struct api_call *call,
				const struct explain *x)
{
	switch (x->status) {
	case FILES_GONE:
		api_error(call, 404, "path", "there is no such file");
		return;
	case FILES_NOT_REGULAR:
		api_error(call, 400, "path", "not a regular file: vfs_cava "
			  "lets everybody at it");
		return;
	case FILES_OUTSIDE:
		api_error(call, 400, "path", "outside check_root (%s), where "
			  "nothing can be scanned",
			  call->api->config->settings.check_root);
		return;
	default:
		api_error(call, 500, "path", "it cannot be looked at: %s",
			  strerror(x->error));
		return;
	}
}

static void api_explained(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct explain *x = NULL;
	int ret = explain_recv(subreq, call, &x);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error(call, 500, NULL, "%s", strerror(ret));
		return;
	}
	if (x->status != FILES_OK) {
		api_explain_nothing(call, x);
		return;
	}
	api_reply(call, 200, json_pack("{s:o}", "explain",
				       api_explain_json(call, x)));
}

/*
 * POST /platform/11/avscan/selftest: does everything work, as far as cavad
 * can see?
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <string.h>

#include "cavad/api_private.h"
#include "cavad/selftest.h"

static void api_selftested(struct tevent_req *subreq);

void api_selftest(struct api_call *call)
{
	struct api *api = call->api;
	const struct selftest_parts parts = {
		.config = api->config, .files = api->files,
		.store = api->store, .servers = api->servers,
		.zones = api->zones, .events = api->events,
	};
	struct tevent_req *subreq = selftest_send(call, api->ev, &parts);

	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_selftested, call);
}

static void api_selftested(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	struct selftest *t = NULL;
	json_t *steps = json_array();
	int ret = selftest_recv(subreq, call, &t);
	size_t i = 0;

	TALLOC_FREE(subreq);
	for (i = 0; ret == 0 && i < t->count; i++) {
		const struct selftest_step *s = &t->steps[i];

		json_array_append_new(steps, json_pack(
			"{s:s, s:o, s:s, s:o, s:s}", "step", s->step,
			"about", api_text(s->about), "result",
			selftest_result_text(s->result), "text",
			api_text(s->text), "mend", s->mend));
	}
	if (ret != 0) {
		json_decref(steps);
		api_error(call, 500, NULL, "%s", strerror(ret));
		return;
	}
	api_reply(call, 200, json_pack("{s:o}", "selftest", steps));
}

/*
 * /platform/11/avscan/avvendor: accounts that may fetch through CHECK$.
 *
 * A change is committed before it is answered, and in force at once: every
 * open of CHECK$ asks.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cavad/api_private.h"

const struct api_field api_avvendor_fields[] = {
	{ "account", JSON_STRING, true, 255 },
	{ NULL, JSON_NULL, false, 0 }
};

static void api_avvendor_added(struct tevent_req *subreq);
static void api_avvendor_removed(struct tevent_req *subreq);

void api_avvendor_list(struct api_call *call)
{
	struct store_account *accounts = NULL;
	json_t *list = NULL;
	size_t i = 0;
	int ret = store_avvendor_list(call->api->store, call, &accounts);

	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	list = json_array();
	for (i = 0; accounts[i].name != NULL; i++) {
		json_array_append_new(list, json_pack(
			"{s:s, s:I}", "account", accounts[i].name, "added",
			(json_int_t)(accounts[i].added / 1000000000)));
	}
	api_reply(call, 200, json_pack("{s:o, s:i}", "avvendor", list,
				       "total", (int)i));
}

void api_avvendor_add(struct api_call *call)
{
	struct tevent_req *subreq = NULL;
	struct timespec now = { 0 };
	const char *account = NULL;
	char *error = NULL;
	int ret = 0;

	if (!api_body(call, api_avvendor_fields)) {
		return;
	}
	account = json_string_value(json_object_get(call->body, "account"));
	ret = check_account_valid(call, account, &error);
	if (ret != 0) {
		api_error(call, 400, "account", "%s", error);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	subreq = store_avvendor_put_send(
		call, call->api->ev, call->api->store, account,
		(int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_avvendor_added, call);
}

static void api_avvendor_added(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	const char *account = NULL;
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	account = json_string_value(json_object_get(call->body, "account"));
	api_audit(call, talloc_asprintf(call, "avvendor %s", account),
		  "added");
	api_reply(call, 201, json_pack(
		"{s:O}", "id", json_object_get(call->body, "account")));
}

/* %5C and the like in the path are decoded by the HTTP library. */
void api_avvendor_remove(struct api_call *call)
{
	struct tevent_req *subreq = store_avvendor_del_send(
		call, call->api->ev, call->api->store, call->tail);

	if (subreq == NULL) {
		api_error(call, 500, NULL, "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, api_avvendor_removed, call);
}

static void api_avvendor_removed(struct tevent_req *subreq)
{
	struct api_call *call = tevent_req_callback_data(subreq,
							 struct api_call);
	int ret = store_write_recv(subreq);

	TALLOC_FREE(subreq);
	if (ret == ENOENT) {
		api_error(call, 404, "account", "%s is no AVVendor account",
			  call->tail);
		return;
	}
	if (ret != 0) {
		api_error_store(call, ret);
		return;
	}
	api_audit(call, talloc_asprintf(call, "avvendor %s", call->tail),
		  "removed");
	api_reply(call, 204, NULL);
}

/* includes: cavad/api.c cavad/api_avvendor.c cavad/api_probe.c
 * cavad/api_scan.c */
/*
 * A request of the API: it gets one answer, in JSON, and what goes on to a
 * scan or to the database is what the fields promise. Input: a method, a
 * blank, a path, a newline, a body.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#define api_http_reply fuzz_reply
#define api_status fuzz_status
#define api_zones fuzz_zones
#define scan_send fuzz_scan_send
#define probe_send fuzz_probe_send
#define store_avvendor_put_send fuzz_account
#define store_avvendor_del_send fuzz_account_gone
#define store_avvendor_list fuzz_accounts

#include "cavad/api.c"
#include "cavad/api_avvendor.c"
#include "cavad/api_probe.c"
#include "cavad/api_scan.c"
#include "tests/fuzz/fuzz.h"

static struct config fuzz_config;
static struct api fuzz_api = { .config = &fuzz_config };
static unsigned int fuzz_replies;

void fuzz_reply(struct api_call *call, unsigned int code, char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	(void)call;
	fuzz_replies++;
	if (code < 200 || code > 599 || (code >= 400 && json == NULL) ||
	    (json == NULL && text[0] != '\0')) {
		abort();
	}
	json_decref(json);
}

void fuzz_status(struct api_call *call)
{
	api_reply(call, 200, json_object());
}

void fuzz_zones(struct api_call *call)
{
	api_reply(call, 200, json_object());
}

struct tevent_req *fuzz_probe_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   struct servers *servers,
				   const struct config *config,
				   const char *name)
{
	(void)mem_ctx;
	(void)ev;
	(void)servers;
	(void)config;
	if (name[0] == '\0' || strlen(name) > 128) {
		abort();
	}
	return NULL;
}

/* NULL, as without memory: nothing is under way, the call is answered. */
struct tevent_req *fuzz_scan_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, struct scans *s,
				  const struct scan_request *request)
{
	(void)mem_ctx;
	(void)ev;
	(void)s;
	if (request->path[0] != '/' || strlen(request->path) > API_PATH_MAX) {
		abort();
	}
	return NULL;
}

struct tevent_req *fuzz_account(TALLOC_CTX *mem_ctx,
				struct tevent_context *ev, struct store *s,
				const char *account, int64_t added)
{
	(void)mem_ctx;
	(void)ev;
	(void)s;
	if (added == 0 || account[0] == '\0' || strlen(account) > 255 ||
	    strpbrk(account, "\n\r") != NULL) {
		abort();
	}
	return NULL;
}

struct tevent_req *fuzz_account_gone(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct store *s, const char *account)
{
	(void)mem_ctx;
	(void)ev;
	(void)s;
	if (account[0] == '\0') {
		abort();
	}
	return NULL;
}

int fuzz_accounts(struct store *s, TALLOC_CTX *mem_ctx,
		  struct store_account **list)
{
	(void)s;
	*list = talloc_zero(mem_ctx, struct store_account);
	return *list == NULL ? ENOMEM : 0;
}

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"GET /platform/11/avscan/nodes/1/status\n",
		"GET /platform/11/avscan/avvendor\n",
		"POST /platform/11/antivirus/scan\n{\"file\": \"/srv/a\"}",
		"POST /platform/11/antivirus/scan\n{\"file\": \"/srv/\\u00e4\","
			" \"ignore_previous_scan_status\": false, "
			"\"policy\": \"p\", \"report_id\": \"r\"}",
		"POST /platform/11/avscan/avvendor\n"
			"{\"account\": \"EXAMPLE\\\\svc_cava\"}",
		"POST /platform/11/avscan/avvendor\n"
			"{\"account\": \"S-1-5-21-1-2-3-1000\"}",
		"DELETE /platform/11/avscan/avvendor/EXAMPLE\\svc_cava\n",
		"PUT /platform/11/avscan/avvendor\n[1, 2.5, null, {}]",
		NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_call *call = talloc_zero(NULL, struct api_call);
	char *method = talloc_strndup(call, (const char *)data, size);
	char *path = strchr(method, ' ');
	char *body = strchr(method, '\n');

	if (path != NULL && body != NULL && path < body) {
		*path++ = '\0';
		*body++ = '\0';
		call->api = &fuzz_api;
		fuzz_config.settings.check_root = "/srv";
		fuzz_replies = 0;
		api_route(call, method, path, body,
			  size - (size_t)(body - method));
		if (fuzz_replies != 1) {
			abort();
		}
		json_decref(call->body);
	}
	talloc_free(call);
	return 0;
}

/* includes: cavad/api.c cavad/api_allow.c cavad/api_apply.c
 * cavad/api_avvendor.c cavad/api_events.c cavad/api_explain.c
 * cavad/api_jobs.c cavad/api_object.c cavad/api_page.c cavad/api_probe.c
 * cavad/api_quarantine.c cavad/api_scan.c cavad/api_threats.c
 * cavad/api_zones.c */
/*
 * A request of the API: it gets one answer, in JSON, and what goes on to a
 * scan or to the database is what the fields promise. Input: a method, a
 * blank, a path, a newline, a body. Behind a ? in the path: name=value&...
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#define api_http_reply fuzz_reply
#define api_http_query fuzz_query
#define api_http_query_each fuzz_query_each
#define event_history_list fuzz_history_list
#define event_history_count fuzz_history_count
#define event_history_get fuzz_history_get
#define api_http_header fuzz_header
#define api_http_said fuzz_said
#define api_challenge fuzz_challenge
#define job_forget fuzz_job_forget
#define job_last fuzz_job_last
#define live_try fuzz_live_try
#define live_change_send fuzz_live_change
#define zone_status fuzz_zone
#define report_part_begin fuzz_part
#define report_part_id fuzz_part_id
#define api_reports fuzz_status
#define api_reports_remove fuzz_status
#define api_report_view fuzz_status
#define api_report_remove fuzz_status
#define api_status fuzz_status
#define api_metrics fuzz_status
#define api_history fuzz_status
#define api_openapi fuzz_status
#define api_session_open fuzz_status
#define api_session_view fuzz_status
#define api_session_close fuzz_status
#define api_selftest fuzz_status
#define zone_add_send fuzz_zone_add
#define zone_remove_send fuzz_zone_remove
#define explain_send fuzz_explain_send
#define servers_count fuzz_servers_count
#define servers_status fuzz_servers_status
#define scan_send fuzz_scan_send
#define zones_tiered fuzz_tiered
#define probe_send fuzz_probe_send
#define job_start_send fuzz_job_start
#define job_verb_send fuzz_job_verb
#define job_view fuzz_job_view
#define job_rate fuzz_job_rate
#define job_running fuzz_job_running
#define job_next fuzz_job_next
#define jobs_last fuzz_jobs_last
#define store_run_each fuzz_run_each
#define store_avvendor_put_send fuzz_account
#define store_avvendor_del_send fuzz_account_gone
#define store_avvendor_list fuzz_accounts

#define files_begin_send fuzz_begin_send
#define quarantine_send fuzz_quarantine_send
#define allows_entry fuzz_allow_entry
#define allows_add_send fuzz_allow_add
#define allows_remove_send fuzz_allow_remove
#define threats_each fuzz_threats_each
#define threats_count fuzz_threats_count
#define threats_get fuzz_threat

#include "cavad/api.c"
#include "cavad/api_allow.c"
#include "cavad/api_apply.c"
#include "cavad/api_avvendor.c"
#include "cavad/api_events.c"
#include "cavad/api_explain.c"
#include "cavad/api_jobs.c"
#include "cavad/api_object.c"
#include "cavad/api_page.c"
#include "cavad/api_probe.c"
#include "cavad/api_quarantine.c"
#include "cavad/api_scan.c"
#include "cavad/api_threats.c"
#include "cavad/api_zones.c"
#include "tests/fuzz/fuzz.h"

#define FUZZ_CONF "[server av]\nserver_uri = null:\n[filter System]\n" \
	"pool = default\n[job docs]\nschedule = every day\n"

static struct config *fuzz_config;
static struct overlay *fuzz_over;
static struct api *fuzz_api;
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

static const char *fuzz_arguments[16];	/* name, value, ... */

const char *fuzz_query(struct api_call *call, const char *name)
{
	size_t i = 0;

	(void)call;
	for (i = 0; fuzz_arguments[i] != NULL; i += 2) {
		if (strcmp(fuzz_arguments[i], name) == 0) {
			return fuzz_arguments[i + 1];
		}
	}
	return NULL;
}

void fuzz_query_each(struct api_call *call,
		     void (*fn)(void *private_data, const char *name),
		     void *private_data)
{
	size_t i = 0;

	(void)call;
	for (i = 0; fuzz_arguments[i] != NULL; i += 2) {
		fn(private_data, fuzz_arguments[i]);
	}
}

/* Cuts it off the path. */
static void fuzz_take_query(char *path)
{
	char *save = NULL;
	char *word = NULL;
	size_t n = 0;

	path[strcspn(path, "\n")] = '\0';
	word = strchr(path, '?');
	if (word != NULL) {
		*word = '\0';
		word = strtok_r(word + 1, "&", &save);
	}
	for (; word != NULL && n < 14; word = strtok_r(NULL, "&", &save)) {
		fuzz_arguments[n] = word;
		word = strchr(word, '=');
		fuzz_arguments[n + 1] = word == NULL ? "" : word + 1;
		if (word != NULL) {
			*word = '\0';
		}
		n += 2;
	}
	fuzz_arguments[n] = NULL;
}

int fuzz_history_list(struct event_history *h, TALLOC_CTX *mem_ctx,
		      const struct event_range *range,
		      struct event_row **rows, size_t *count)
{
	struct event_row *list = talloc_zero_array(mem_ctx, struct event_row,
						   2);

	(void)h;
	if (range->max < 2 || range->max > API_PAGE_ROWS + 1) {
		abort();
	}
	list[0].event = (struct event) { .name = "", .meaning = "",
					 .what = "\xff", .text = "" };
	list[1] = list[0];
	*rows = list;
	*count = 2;
	return 0;
}

int fuzz_history_count(struct event_history *h, uint64_t *count)
{
	(void)h;
	*count = 2;
	return 0;
}

int fuzz_history_get(struct event_history *h, TALLOC_CTX *mem_ctx,
		     uint64_t id, struct event_row **row)
{
	(void)h;
	(void)mem_ctx;
	(void)id;
	(void)row;
	return ENOENT;
}

void fuzz_header(struct api_call *call, const char *name, const char *value)
{
	(void)call;
	(void)name;
	(void)value;
}

const char *fuzz_said(struct api_call *call, const char *name)
{
	(void)call;
	(void)name;
	return NULL;
}

const char *fuzz_challenge(struct api_call *call)
{
	(void)call;
	return "";
}

void fuzz_job_forget(struct jobs *jobs, const char *job)
{
	(void)jobs;
	(void)job;
}

int64_t fuzz_job_last(struct jobs *jobs, const struct job_object *job)
{
	(void)jobs;
	(void)job;
	return 1;
}

bool fuzz_zone(const struct zones *z, unsigned int i,
	       struct zone_status *status)
{
	static const struct zone_share shares[] = {
		{ .name = "s", .root = "/srv/\xff" }, { .name = NULL }
	};

	(void)z;
	*status = (struct zone_status) { .name = i == 0 ? "System" : "s",
					 .id = i + 1, .shares = shares };
	return i < 2;
}

/* As live.c, but for the engines and the disk. */
struct config *fuzz_live_try(TALLOC_CTX *mem_ctx, struct live *live,
			     const struct live_change *changes, size_t count,
			     struct live_refusal *refusal)
{
	struct config_refusal why = { .text = NULL };
	struct config *config = NULL;
	struct overlay *over = live_overlay(mem_ctx, fuzz_config, fuzz_over,
					    changes, count, refusal);

	(void)live;
	if (over == NULL) {
		if (refusal->error == 0 || refusal->text == NULL) {
			abort();
		}
		return NULL;
	}
	if (config_build(mem_ctx, "f", FUZZ_CONF, over, &config, &why) != 0) {
		if (why.text == NULL) {
			abort();
		}
		*refusal = (struct live_refusal) {
			.error = EINVAL, .field = why.field, .text = why.text
		};
		return NULL;
	}
	return config;
}

struct tevent_req *fuzz_live_change(TALLOC_CTX *mem_ctx, struct live *live,
				    const struct live_change *changes,
				    size_t count)
{
	struct live_refusal refusal;

	talloc_free(fuzz_live_try(mem_ctx, live, changes, count, &refusal));
	return NULL;
}

void fuzz_status(struct api_call *call)
{
	api_reply(call, 200, json_object());
}

struct tevent_req *fuzz_zone_add(TALLOC_CTX *mem_ctx,
				 struct tevent_context *ev, struct zones *z,
				 const char *name, char **why)
{
	(void)ev;
	(void)z;
	if (strlen(name) > 255) {
		abort();
	}
	*why = name[0] == 's' ? talloc_strdup(mem_ctx, "there is one") : NULL;
	return NULL;
}

struct tevent_req *fuzz_zone_remove(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    struct zones *z, const char *name,
				    char **why)
{
	(void)ev;
	(void)z;
	*why = name[0] == 's' ? talloc_strdup(mem_ctx, "it stays") : NULL;
	return NULL;
}

bool fuzz_tiered(const struct zones *z, const char *path)
{
	(void)z;
	return path[0] == '/';
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

struct tevent_req *fuzz_begin_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev, struct files *f,
				   const struct files_begin *begin)
{
	(void)mem_ctx;
	(void)ev;
	(void)f;
	if (begin->path[0] != '/' || strlen(begin->path) > API_PATH_MAX) {
		abort();
	}
	return NULL;
}

struct tevent_req *fuzz_quarantine_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct files *files,
	struct store *store, struct threats *threats,
	const struct quarantine_request *request)
{
	(void)mem_ctx;
	(void)ev;
	(void)files;
	(void)store;
	(void)threats;
	if (request->path[0] != '/' || strlen(request->path) > API_PATH_MAX) {
		abort();
	}
	return NULL;
}

const struct allow *fuzz_allow_entry(const struct allows *a, unsigned int i)
{
	static const struct allow entry = { .id = 7, .kind = ALLOW_THREAT,
					    .threat = "Eicar", .path = "",
					    .reason = "", .author = "root" };

	(void)a;
	return i == 0 ? &entry : NULL;
}

struct tevent_req *fuzz_allow_add(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  struct allows *a,
				  const struct allow *entry)
{
	(void)mem_ctx;
	(void)ev;
	(void)a;
	if (entry->kind == ALLOW_THREAT && entry->threat[0] == '\0') {
		abort();
	}
	return NULL;
}

struct tevent_req *fuzz_allow_remove(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct allows *a, uint64_t id)
{
	(void)mem_ctx;
	(void)ev;
	(void)a;
	(void)id;
	return NULL;
}

struct threat *fuzz_threat(struct threats *t, TALLOC_CTX *mem_ctx,
			   uint64_t id)
{
	struct threat *threat = NULL;

	(void)t;
	if (id != 7) {
		return NULL;
	}
	threat = talloc(mem_ctx, struct threat);
	*threat = (struct threat) {
		.id = id, .path = "/srv/a", .threat = "Eicar", .engine = "",
		.server = "", .source = "", .user = "", .client = "",
		.share = "", .report = "",
	};
	return threat;
}

int fuzz_threats_each(struct threats *t, const struct threats_range *range,
		      bool (*fn)(void *private_data, struct threat *threat),
		      void *private_data, uint64_t *last)
{
	struct threat *threat = fuzz_threat(t, NULL, 7);

	(void)range;
	*last = 0;
	(void)fn(private_data, threat);
	talloc_free(threat);
	return 0;
}

int fuzz_threats_count(struct threats *t, uint64_t *count)
{
	(void)t;
	*count = 1;
	return 0;
}

struct tevent_req *fuzz_explain_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     const struct explain_parts *parts,
				     const char *path)
{
	(void)mem_ctx;
	(void)ev;
	(void)parts;
	if (path[0] != '/' || strlen(path) > API_PATH_MAX) {
		abort();
	}
	return NULL;
}

size_t fuzz_servers_count(const struct servers *s)
{
	(void)s;
	return 1;
}

struct server_status fuzz_servers_status(const struct servers *s, size_t i)
{
	(void)s;
	(void)i;
	return (struct server_status) { .name = "av", .pool = "default" };
}

struct tevent_req *fuzz_job_start(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				  const struct job_start *start,
				  uint64_t *id, char **why)
{
	uint32_t i = 0;

	(void)jobs;
	*id = 1;
	*why = talloc_strdup(mem_ctx, "no");
	if ((start->job[0] == '\0') == (start->path_count == 0) ||
	    start->path_count > JOB_PATHS_MAX) {
		abort();
	}
	for (i = 0; i < start->path_count; i++) {
		if (start->paths[i][0] != '/') {
			abort();
		}
	}
	return NULL;
}

struct tevent_req *fuzz_job_verb(TALLOC_CTX *mem_ctx, struct jobs *jobs,
				 uint64_t id, enum job_verb verb, char **why)
{
	(void)jobs;
	*why = talloc_strdup(mem_ctx, "no");
	if (id == 0 || verb > JOB_VERB_CANCEL) {
		abort();
	}
	return NULL;
}

struct job_run *fuzz_job_view(TALLOC_CTX *mem_ctx, struct jobs *jobs,
			      uint64_t id)
{
	static const char *paths[] = { "/srv/\xff" };
	struct job_run *run = talloc_zero(mem_ctx, struct job_run);

	(void)jobs;
	*run = (struct job_run) { .id = id, .job = "\xff", .why = "",
				  .paths = paths, .path_count = 1 };
	return run;
}

uint64_t fuzz_job_rate(struct jobs *jobs, uint64_t id)
{
	(void)jobs;
	return id;
}

uint64_t fuzz_job_running(struct jobs *jobs, const char *job)
{
	(void)jobs;
	return strlen(job);
}

int64_t fuzz_job_next(struct jobs *jobs, const struct job_object *job)
{
	(void)jobs;
	(void)job;
	return 0;
}

int fuzz_run_each(struct store *s, uint64_t after,
		  bool (*fn)(void *private_data, struct job_run *run),
		  void *private_data)
{
	(void)s;
	(void)after;
	(void)fn;
	(void)private_data;
	return 0;
}

struct report_part *fuzz_part(TALLOC_CTX *mem_ctx, struct reports *r,
			      const char *id, const char *policy,
			      const char **why)
{
	(void)r;
	(void)why;
	if ((id != NULL && id[0] == '\0') || policy[0] == '\0') {
		abort();
	}
	return talloc_zero_size(mem_ctx, 1);
}

const char *fuzz_part_id(const struct report_part *part)
{
	(void)part;
	return "M-1";
}

uint64_t fuzz_jobs_last(const struct jobs *jobs)
{
	(void)jobs;
	return 2;
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
		"GET /platform/11/avscan/events?limit=1&sort=id&dir=ASC&"
			"offset=3\n",
		"GET /platform/11/avscan/events?before=7&dir=DESC\n",
		"GET /platform/11/avscan/events?resume=WzEsMSwiaWQiLHRydWUs"
			"IjciLFtudWxsLG51bGwsbnVsbCxudWxsXV0=\n",
		"POST /platform/11/antivirus/scan\n{\"file\": \"/srv/a\"}",
		"POST /platform/11/antivirus/scan\n{\"file\": "
		"\"/srv/.cavactl-selftest-1\", \"server\": \"av\", "
		"\"selftest\": true}",
		"GET /platform/11/avscan/explain?path=/srv/a\n",
		"POST /platform/11/antivirus/scan\n{\"file\": \"/srv/\\u00e4\","
			" \"ignore_previous_scan_status\": false, "
			"\"policy\": \"p\", \"report_id\": \"r\"}",
		"POST /platform/11/avscan/avvendor\n"
			"{\"account\": \"EXAMPLE\\\\svc_cava\"}",
		"POST /platform/11/avscan/avvendor\n"
			"{\"account\": \"S-1-5-21-1-2-3-1000\"}",
		"GET /platform/10/job/jobs\n", "GET /platform/10/job/jobs/7\n",
		"POST /platform/10/job/jobs\n{\"type\": \"AVScan\", "
			"\"paths\": [\"/srv\", \"file:///srv/%ff\"], "
			"\"avscan_params\": {\"force_run\": true}}",
		"POST /platform/10/job/jobs\n{\"type\": \"AVScan\", "
			"\"avscan_params\": {\"policy\": \"docs\"}}",
		"PUT /platform/10/job/jobs/7\n{\"state\": \"pause\"}",
		"GET /platform/11/avscan/schedules\n",
		"POST /platform/11/avscan/schedules\n"
			"{\"schedule\": \"every Friday at 22:00\"}",
		"DELETE /platform/11/avscan/avvendor/EXAMPLE\\svc_cava\n",
		"PUT /platform/11/avscan/avvendor\n[1, 2.5, null, {}]",
		"GET /platform/11/avscan/servers?sort=server_uri&dir=DESC\n",
		"GET /platform/11/avscan/filters/1\n",
		"GET /platform/11/avscan/export\n",
		"PUT /platform/11/avscan/settings\n{\"scan_timeout\": 60, "
			"\"scan_zones\": [\"a\"], \"denial\": null, "
			"\"scan_size_maximum\": 1, \"origin\": {}}",
		"POST /platform/11/avscan/servers\n{\"server_name\": \"b\","
			" \"server_uri\": \"h:1/p\", \"enabled\": true}",
		"PUT /platform/11/avscan/servers/av\n{\"new_name\": \"c\"}",
		"PUT /platform/11/avscan/filters/s\n{\"scan_on_read\": true, "
			"\"file_extensions\": [\"doc\"], "
			"\"file_extension_action\": \"include\"}",
		"DELETE /platform/11/avscan/jobs/docs\n",
		"POST /platform/11/avscan/apply?dry_run=true\n{\"cee\": {}, "
			"\"settings\": {\"node\": 2}, \"servers\": "
			"[{\"server_name\": \"av\", \"pool\": \"x\"}], "
			"\"filters\": [{\"zone_name\": \"s\"}], \"jobs\": "
			"[{\"job_name\": \"j\", \"impact\": \"HIGH\"}]}",
		"GET /platform/3/antivirus/quarantine/srv/a\n",
		"PUT /platform/3/antivirus/quarantine/srv/a\n"
			"{\"quarantined\": true}",
		"GET /platform/3/antivirus/reports/threats?report_id=r\n",
		"GET /platform/3/antivirus/reports/threats/7\n",
		"POST /platform/11/avscan/threats/release\n"
			"{\"id\": \"7\", \"reason\": \"ours\"}",
		"POST /platform/11/avscan/threats/rescan\n{\"id\": \"7\"}",
		"GET /platform/11/avscan/allow?sort=made\n",
		"POST /platform/11/avscan/allow\n{\"kind\": \"threat\", "
			"\"threat\": \"Eicar\", \"reason\": \"r\"}",
		"POST /platform/11/avscan/allow\n{\"kind\": \"file\", "
			"\"file\": \"/srv/a\", \"reason\": \"r\"}",
		"DELETE /platform/11/avscan/allow/7\n",
		"GET /platform/11/avscan/zones\n",
		"POST /platform/11/avscan/zones\n{\"zone_name\": \"z\"}",
		"DELETE /platform/11/avscan/zones/s\n",
		NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_refusal why = { .text = NULL };
	struct api_call *call = talloc_zero(NULL, struct api_call);
	char *method = talloc_strndup(call, (const char *)data, size);
	char *path = strchr(method, ' ');
	char *body = strchr(method, '\n');

	if (path != NULL && body != NULL && path < body) {
		*path++ = '\0';
		*body++ = '\0';
		if (fuzz_api == NULL) {
			fuzz_api = talloc_zero(NULL, struct api);
		}
		call->api = fuzz_api;
		call->user = "root";
		if (fuzz_config == NULL) {
			fuzz_over = overlay_create(NULL);
			(void)config_build(NULL, "f", FUZZ_CONF, fuzz_over,
					   &fuzz_config, &why);
			fuzz_api->config = fuzz_config;
		}
		fuzz_replies = 0;
		fuzz_take_query(path);
		api_route(call, API_ROLE_ALL, method, path, body,
			  size - (size_t)(body - method));
		if (fuzz_replies != 1) {
			abort();
		}
		json_decref(call->body);
	}
	talloc_free(call);
	return 0;
}

/*
 * What is going on. See status.h.
 *
 * The JSON is the truth and the page shows a part of it: a value is put
 * together in one place. Texts in it come from outside (file names, what
 * clamd says), so jansson quotes them, and the page escapes them again.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cee_agent/listener.h"
#include "cee_agent/status.h"

#define STATUS_TIME_MAX 32

/* What is no UTF-8 is not said. */
static void status_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(object, key, value != NULL ? value :
			    json_string("(not UTF-8)"));
}

static void status_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *status_error(const struct tally_error *e)
{
	json_t *object = NULL;

	if (e->when == 0) {
		return json_null();
	}
	object = json_object();
	status_number(object, "time", (uint64_t)e->when);
	status_text(object, "text", e->text);
	return object;
}

static void status_scans(json_t *object, const struct tally_scans *s)
{
	status_number(object, "clean", s->clean);
	status_number(object, "infected", s->infected);
	status_number(object, "over_limit", s->limit);
	status_number(object, "failed", s->failed);
	status_number(object, "bytes", s->bytes);
	status_number(object, "sessions_opened", s->sessions);
}

static json_t *status_clamd(const struct tally_clamd *row,
			    unsigned int in_use)
{
	static const char *const states[] = {
		[CLAMD_NOT_ASKED] = "unknown",
		[CLAMD_ANSWERED] = "online",
		[CLAMD_FAILED] = "failed",
	};
	json_t *object = json_object();

	status_text(object, "socket", row->text);
	status_text(object, "state", states[row->state]);
	status_number(object, "state_time", (uint64_t)row->when);
	status_text(object, "version", row->vendor);
	status_number(object, "signature_time",
		      (uint64_t)row->signature_time);
	status_number(object, "in_use", in_use);
	status_number(object, "scans", row->scans);
	status_number(object, "failures", row->failures);
	json_object_set_new(object, "last_error", status_error(&row->error));
	return object;
}

static json_t *status_storage(const struct storage *s,
			      const struct tally_storage *row,
			      unsigned int in_use)
{
	json_t *object = json_object();
	json_t *hosts = json_array();
	size_t i;

	for (i = 0; i < s->hosts.num; i++) {
		json_array_append_new(hosts, json_string(s->hosts.names[i]));
	}
	status_text(object, "name", s->name);
	json_object_set_new(object, "hosts", hosts);
	status_text(object, "share", s->share);
	status_text(object, "user", s->user);
	status_text(object, "login", s->login == LOGIN_KERBEROS ?
		    "kerberos" : "ntlm");
	status_number(object, "in_use", in_use);
	status_scans(object, &row->scans);
	json_object_set_new(object, "last_error", status_error(&row->error));
	return object;
}

/* The newest first. */
static json_t *status_errors(const struct tally *t)
{
	json_t *array = json_array();
	size_t i;

	for (i = 1; i <= TALLY_ERRORS; i++) {
		size_t at = (t->next_error + TALLY_ERRORS - i) % TALLY_ERRORS;

		if (t->errors[at].when != 0) {
			json_array_append_new(array,
					      status_error(&t->errors[at]));
		}
	}
	return array;
}

static json_t *status_http(const struct agent *agent)
{
	const struct agent_config *c = agent->config;
	json_t *object = json_object();
	unsigned int connections = 0;
	size_t i;

	for (i = 0; i < AGENT_LISTENERS; i++) {
		if (agent->listeners[i] != NULL) {
			connections += listener_connections(
				agent->listeners[i]);
		}
	}
	status_text(object, "listen", c->listen.text);
	status_text(object, "https_listen", c->https_listen.text);
	status_number(object, "connections", connections);
	status_number(object, "heartbeats", agent->tally->heartbeats);
	status_number(object, "refused_connections",
		      agent->tally->refused_connections);
	status_number(object, "refused_requests",
		      agent->tally->refused_requests);
	return object;
}

static json_t *status_workers(const struct agent *agent,
			      const struct pool_usage *usage)
{
	json_t *object = json_object();

	status_number(object, "configured", agent->config->workers);
	status_number(object, "running", usage->workers);
	status_number(object, "busy", usage->busy);
	status_number(object, "waiting", usage->waiting);
	status_number(object, "replaced", agent->tally->replaced_workers);
	return object;
}

static json_t *status_value(const struct agent *agent)
{
	const struct agent_config *c = agent->config;
	const struct tally *t = agent->tally;
	json_t *clamds = json_array();
	json_t *storages = json_array();
	json_t *scans = json_object();
	json_t *top = json_object();
	struct pool_usage usage;
	size_t i;

	pool_usage(agent->pool, &usage);
	for (i = 0; i < t->num_clamds; i++) {
		json_array_append_new(clamds, status_clamd(
			&t->clamds[i], usage.clamds[i]));
	}
	for (i = 0; i < t->num_storages; i++) {
		json_array_append_new(storages, status_storage(
			&c->storages[i], &t->storages[i],
			usage.storages[i]));
	}
	status_scans(scans, &t->scans);
	status_text(top, "version", CAVA_VERSION);
	status_number(top, "started", (uint64_t)t->started);
	status_number(top, "configuration_loaded", (uint64_t)t->loaded);
	status_number(top, "reload_failures", t->reload_failures);
	status_number(top, "max_size", c->max_size);
	status_text(top, "max_size_set_by", c->max_size_why);
	json_object_set_new(top, "http", status_http(agent));
	json_object_set_new(top, "workers", status_workers(agent, &usage));
	json_object_set_new(top, "scans", scans);
	json_object_set_new(top, "clamd", clamds);
	json_object_set_new(top, "storages", storages);
	json_object_set_new(top, "errors", status_errors(t));
	return top;
}

char *status_json(TALLOC_CTX *mem_ctx, const struct agent *agent)
{
	json_t *top = status_value(agent);
	char *text = json_dumps(top, JSON_INDENT(2));
	char *copy = NULL;

	json_decref(top);
	if (text != NULL) {
		copy = talloc_asprintf(mem_ctx, "%s\n", text);
	}
	free(text);
	return copy;
}

/* The page. */

static void page_escape(char **page, const char *text)
{
	size_t len;

	while (*text != '\0') {
		len = strcspn(text, "<>&\"'");
		*page = talloc_asprintf_append_buffer(*page, "%.*s",
						      (int)len, text);
		text += len;
		if (*text != '\0') {
			*page = talloc_asprintf_append_buffer(
				*page, "&#%d;", *text++);
		}
	}
}

static void page_time(char **page, time_t when)
{
	char text[STATUS_TIME_MAX] = "-";
	struct tm tm;

	if (when != 0 && localtime_r(&when, &tm) != NULL) {
		strftime(text, sizeof(text), "%F %T", &tm);
	}
	*page = talloc_asprintf_append_buffer(*page, "%s", text);
}

/* A cell, of whatever kind the value is. */
static void page_cell(char **page, const char *key, const json_t *value)
{
	const char *end = strrchr(key, '_');
	json_t *one = NULL;
	size_t i;

	if (json_is_integer(value) && end != NULL &&
	    strcmp(end, "_time") == 0) {
		page_time(page, (time_t)json_integer_value(value));
	} else if (json_is_integer(value)) {
		*page = talloc_asprintf_append_buffer(
			*page, "%lld", (long long)json_integer_value(value));
	} else if (json_is_string(value)) {
		page_escape(page, json_string_value(value));
	} else if (json_is_object(value)) {
		page_time(page, (time_t)json_integer_value(
			json_object_get(value, "time")));
		page_escape(page, " ");
		page_escape(page, json_string_value(
			json_object_get(value, "text")));
	}
	json_array_foreach(value, i, one) {
		page_escape(page, json_string_value(one));
		page_escape(page, " ");
	}
}

/* One row for each of `rows`, which all have the same keys. */
static void page_table(char **page, const char *title, json_t *rows)
{
	const char *key = NULL;
	json_t *value = NULL;
	json_t *row = NULL;
	size_t i;

	*page = talloc_asprintf_append_buffer(
		*page, "<h2>%s</h2>\n<table>\n<tr>", title);
	json_object_foreach(json_array_get(rows, 0), key, value) {
		*page = talloc_asprintf_append_buffer(*page, "<th>%s", key);
	}
	json_array_foreach(rows, i, row) {
		*page = talloc_asprintf_append_buffer(*page, "\n<tr>");
		json_object_foreach(row, key, value) {
			*page = talloc_asprintf_append_buffer(*page, "<td>");
			page_cell(page, key, value);
		}
	}
	*page = talloc_asprintf_append_buffer(*page, "\n</table>\n");
}

/* The same for a single object. */
static void page_object(char **page, const char *title, json_t *top,
			const char *key)
{
	json_t *rows = json_array();

	json_array_append(rows, json_object_get(top, key));
	page_table(page, title, rows);
	json_decref(rows);
}

char *status_page(TALLOC_CTX *mem_ctx, const struct agent *agent)
{
	json_t *top = status_value(agent);
	char *page = NULL;

	page = talloc_strdup(mem_ctx, "<!DOCTYPE html>\n<html lang=\"en\">\n"
			     "<meta charset=\"utf-8\">\n"
			     "<title>cee_agent</title>\n<style>"
			     "body{font-family:sans-serif}"
			     "td,th{padding:2px 8px;text-align:left;"
			     "border-bottom:1px solid #ccc}</style>\n"
			     "<h1>cee_agent " CAVA_VERSION "</h1>\n"
			     "<p>Since ");
	page_time(&page, agent->tally->started);
	page = talloc_asprintf_append_buffer(page, ", configuration of ");
	page_time(&page, agent->tally->loaded);
	page = talloc_asprintf_append_buffer(
		page, ". The same <a href=\"/status\">as JSON</a>.\n");
	page_table(&page, "clamd", json_object_get(top, "clamd"));
	page_object(&page, "Workers", top, "workers");
	page_object(&page, "Scans", top, "scans");
	page_table(&page, "Storage", json_object_get(top, "storages"));
	page_object(&page, "HTTP", top, "http");
	page_table(&page, "Last errors", json_object_get(top, "errors"));
	page = talloc_asprintf_append_buffer(page, "</html>\n");
	json_decref(top);
	return page;
}

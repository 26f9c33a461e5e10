/*
 * Requests to cavad: see http.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_REPLY_MAX (64 * 1024 * 1024)

struct http_text {
	char *data;
	size_t len;
};

static size_t http_write(char *data, size_t size, size_t n, void *userdata)
{
	struct http_text *t = userdata;
	size_t len = size * n;
	char *more = NULL;

	if (len > HTTP_REPLY_MAX - t->len) {
		return 0;
	}
	more = realloc(t->data, t->len + len + 1);
	if (more == NULL) {
		return 0;
	}
	t->data = more;
	memcpy(t->data + t->len, data, len);
	t->len += len;
	t->data[t->len] = '\0';
	return len;
}

static long http_perform(CURL *curl, struct http_text *text,
			 json_t **reply, const char **why)
{
	long code = 0;
	CURLcode ret = CURLE_OK;

	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	ret = curl_easy_perform(curl);
	if (ret != CURLE_OK) {
		*why = curl_easy_strerror(ret);
		return 0;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	*reply = text->len == 0 ? NULL :
		json_loadb(text->data, text->len, 0, NULL);
	return code;
}

long http_call(const char *socket_path, const char *method, const char *path,
	       json_t *body, json_t **reply, const char **why)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	struct http_text text = { .data = NULL };
	char *json = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
	char *url = malloc(strlen(path) + 16);
	long code = 0;

	*reply = NULL;
	*why = "out of memory";
	if (curl != NULL && url != NULL && (body == NULL || json != NULL)) {
		strcpy(url, "http://cavad");
		strcat(url, path);
		headers = curl_slist_append(NULL,
					    "Content-Type: application/json");
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		if (strcmp(method, "GET") == 0) {
			/* from memory; a scan takes as long as it takes */
			curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
		}
		if (json != NULL) {
			curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
		}
		code = http_perform(curl, &text, reply, why);
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(text.data);
	free(json);
	free(url);
	return code;
}

char *http_escape(const char *text)
{
	char *curls = curl_easy_escape(NULL, text, 0);
	char *copy = curls == NULL ? NULL : strdup(curls);

	curl_free(curls);
	return copy;
}

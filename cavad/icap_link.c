/*
 * One connection to an ICAP server: libcurl reads the URI, connects (names,
 * IPv6, TLS and its certificates) and then lends the connection as it is.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/icap_link.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ICAP_PORT "1344"
#define ICAPS_PORT "11344"
#define LINK_CONNECT_TIMEOUT 3000	/* ms */

struct icap_link {
	CURL *easy;
	curl_socket_t sock;
	char error[CURL_ERROR_SIZE];
};

int icap_link_library(void)
{
	CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

	return code == CURLE_OK ? 0 : ENOMEM;
}

void icap_link_library_end(void)
{
	curl_global_cleanup();
}

static char *target_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	char *copy = NULL;

	if (curl_url_get(url, part, &text, 0) == CURLUE_OK) {
		copy = strdup(text);
		curl_free(text);
	}
	return copy;
}

int icap_target_parse(const char *uri, bool tls, struct icap_target *target)
{
	CURLU *url = curl_url();
	CURLUcode code = CURLUE_OUT_OF_MEMORY;
	char *host = NULL;
	char *port = NULL;
	char *path = NULL;
	int ret = 0;

	if (url != NULL) {
		code = curl_url_set(url, CURLUPART_URL, uri,
				    CURLU_NON_SUPPORT_SCHEME |
				    CURLU_DISALLOW_USER);
	}
	if (code == CURLUE_OK) {
		host = target_part(url, CURLUPART_HOST);
		port = target_part(url, CURLUPART_PORT);
		path = target_part(url, CURLUPART_PATH);
	}
	if (host == NULL || host[0] == '\0' || path == NULL ||
	    path[0] == '\0' || path[1] == '\0' ||
	    path[1 + strcspn(path + 1, " \t\r\n")] != '\0') {
		ret = EINVAL;
	} else if (asprintf(&target->host, "%s:%s", host, port != NULL ? port :
			    tls ? ICAPS_PORT : ICAP_PORT) == -1 ||
		   asprintf(&target->url, "http%s://%s", tls ? "s" : "",
			    target->host) == -1) {
		ret = ENOMEM;
	} else {
		target->service = strdup(path + 1);
		ret = target->service == NULL ? ENOMEM : 0;
	}
	free(host);
	free(port);
	free(path);
	curl_url_cleanup(url);
	return ret;
}

void icap_target_free(struct icap_target *target)
{
	free(target->url);
	free(target->ca_file);
	free(target->host);
	free(target->service);
}

int64_t icap_now(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int link_errno(CURLcode code, long os_errno)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_OPERATION_TIMEDOUT:
		return EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return os_errno != 0 ? (int)os_errno : ECONNREFUSED;
	case CURLE_OUT_OF_MEMORY:
		return ENOMEM;
	case CURLE_URL_MALFORMAT:
		return EINVAL;
	default:
		return EPROTO;
	}
}

static void link_options(struct icap_link *l, const char *url, long timeout)
{
	CURL *e = l->easy;

	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, l->error);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, timeout);
	curl_easy_setopt(e, CURLOPT_URL, url);
}

int icap_link_open(const char *url, const char *ca_file,
		   const struct icap_wait *wait, struct icap_link **result,
		   char *why, size_t size)
{
	struct icap_link *l = calloc(1, sizeof(*l));
	int64_t left = wait->deadline - icap_now();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long os_errno = 0;

	if (l == NULL) {
		return ENOMEM;
	}
	if (left > LINK_CONNECT_TIMEOUT) {
		left = LINK_CONNECT_TIMEOUT;
	}
	l->easy = curl_easy_init();
	if (l->easy != NULL) {
		link_options(l, url, left < 1 ? 1 : (long)left);
		if (ca_file[0] != '\0') {
			curl_easy_setopt(l->easy, CURLOPT_CAINFO, ca_file);
		}
		code = curl_easy_perform(l->easy);
	}
	if (code == CURLE_OK) {
		code = curl_easy_getinfo(l->easy, CURLINFO_ACTIVESOCKET,
					 &l->sock);
	}
	if (code == CURLE_OK) {
		*result = l;
		return 0;
	}
	snprintf(why, size, "%s", l->error[0] != '\0' ? l->error :
		 curl_easy_strerror(code));
	if (l->easy != NULL) {
		curl_easy_getinfo(l->easy, CURLINFO_OS_ERRNO, &os_errno);
	}
	icap_link_close(l);
	return link_errno(code, os_errno);
}

void icap_link_close(struct icap_link *l)
{
	if (l->easy != NULL) {
		curl_easy_cleanup(l->easy);
	}
	free(l);
}

void icap_link_address(struct icap_link *l, char address[INET6_ADDRSTRLEN])
{
	char *ip = NULL;

	curl_easy_getinfo(l->easy, CURLINFO_PRIMARY_IP, &ip);
	snprintf(address, INET6_ADDRSTRLEN, "%s", ip == NULL ? "" : ip);
}

/* 0 (readable, or writable when that is waited for) or errno. */
static int link_wait(struct icap_link *l, short events,
		     const struct icap_wait *wait, short *ready)
{
	struct pollfd pfds[] = {
		{ .fd = l->sock, .events = events },
		{ .fd = wait->cancel, .events = POLLIN },
	};
	int64_t left = wait->deadline - icap_now();
	int n = -1;

	if (left <= 0) {
		return ETIMEDOUT;
	}
	n = poll(pfds, 2, left > INT32_MAX ? INT32_MAX : (int)left);
	if (n == -1 && errno != EINTR) {
		return errno;
	}
	if (n > 0 && pfds[1].revents != 0) {
		return ECANCELED;
	}
	*ready = n > 0 ? pfds[0].revents : 0;
	return 0;
}

int icap_link_send(struct icap_link *l, const void *data, size_t len,
		   const struct icap_wait *wait, size_t *sent)
{
	short ready = 0;
	int ret = 0;

	for (;;) {
		CURLcode code = curl_easy_send(l->easy, data, len, sent);

		if (code == CURLE_OK && *sent > 0) {
			return 0;
		}
		if (code != CURLE_OK && code != CURLE_AGAIN) {
			return ECONNRESET;
		}
		*sent = 0;
		ret = link_wait(l, POLLIN | POLLOUT, wait, &ready);
		if (ret != 0) {
			return ret;
		}
		if ((ready & (POLLIN | POLLHUP | POLLERR)) != 0) {
			return 0;
		}
	}
}

int icap_link_peek(struct icap_link *l, void *data, size_t size, size_t *got)
{
	CURLcode code = curl_easy_recv(l->easy, data, size, got);

	if (code == CURLE_AGAIN) {
		return EAGAIN;
	}
	return code == CURLE_OK ? 0 : ECONNRESET;
}

int icap_link_recv(struct icap_link *l, void *data, size_t size,
		   const struct icap_wait *wait, size_t *got)
{
	short ready = 0;
	int ret = icap_link_peek(l, data, size, got);

	while (ret == EAGAIN) {
		ret = link_wait(l, POLLIN, wait, &ready);
		if (ret == 0) {
			ret = icap_link_peek(l, data, size, got);
		}
	}
	return ret;
}

/*
 * ICAP/1.0 as bytes: whatever the server says, only a 204 is clean.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cavad/icap_msg.h"

#define PAGE "ICAP/1.0 200 OK\r\n"
#define HTTP_403 "Encapsulated: res-hdr=0, res-body=26\r\n\r\n" \
	"HTTP/1.1 403 Forbidden\r\n\r\n"
#define HTTP_200 "Encapsulated: res-hdr=0, res-body=19\r\n\r\n" \
	"HTTP/1.1 200 OK\r\n\r\n"
#define BODY "3\r\nbad\r\n0\r\n\r\n"

static const struct {
	const char *text;
	enum verdict_result result;
	const char *threat;
	int error;
} replies[] = {
	{ "ICAP/1.0 204 No Content\r\nISTag: \"a\"\r\n\r\n",
	  VERDICT_CLEAN, "", 0 },
	{ "ICAP/1.0 204 No Content\r\nEncapsulated: null-body=0\r\n\r\n",
	  VERDICT_CLEAN, "", 0 },
	{ "ICAP/1.0 204 No Content\r\nX-Virus-ID: Eicar\r\n\r\n",
	  VERDICT_INFECTED, "Eicar", 0 },
	{ PAGE "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n"
	  HTTP_403 BODY, VERDICT_INFECTED, "Eicar", 0 },
	{ PAGE "X-Violations-Found: 1\r\n\tfile\r\n\tEicar\r\n\t1\r\n\t2\r\n"
	  HTTP_403 BODY, VERDICT_INFECTED, "Eicar", 0 },
	{ PAGE "X-Violations-Found: 0\r\n" HTTP_200 BODY,
	  VERDICT_FAILED, "", 0 },
	{ PAGE HTTP_403 BODY, VERDICT_INFECTED, "unnamed", 0 },
	{ PAGE HTTP_200 BODY, VERDICT_FAILED, "", 0 },
	{ PAGE HTTP_200 "3\r\nbad\r\n", VERDICT_FAILED, "", 0 },
	{ PAGE HTTP_200 "zz\r\n", VERDICT_FAILED, "", EBADMSG },
	{ PAGE HTTP_200 "1000001\r\n", VERDICT_FAILED, "", EMSGSIZE },
	{ PAGE "Encapsulated: res-body=99999\r\n\r\n",
	  VERDICT_FAILED, "", EMSGSIZE },
	{ "ICAP/1.0 100 Continue\r\n\r\n", VERDICT_FAILED, "", 0 },
	{ "ICAP/1.0 404 Not Found\r\n\r\n", VERDICT_FAILED, "", 0 },
	{ "ICAP/1.0 500 Error\r\n\r\n", VERDICT_FAILED, "", 0 },
	{ "ICAP/1.0 204 No Content\r\n", VERDICT_FAILED, "", 0 },
	{ "ICAP/2.0 204 No Content\r\n\r\n", VERDICT_FAILED, "", EBADMSG },
	{ "HTTP/1.1 204 No Content\r\n\r\n", VERDICT_FAILED, "", EBADMSG },
	{ "ICAP/1.0 2045\r\n\r\n", VERDICT_FAILED, "", EBADMSG },
	{ "ICAP/1.0 204 No\n\n", VERDICT_FAILED, "", EBADMSG },
	{ "ICAP/1.0 204 No\r\nnonsense\r\n\r\n",
	  VERDICT_FAILED, "", EBADMSG },
};

static void test_replies(void **p)
{
	size_t i;
	size_t step;

	(void)p;
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		const char *text = replies[i].text;
		size_t len = strlen(text);

		for (step = 1; step <= len; step++) {
			struct engine_answer answer;
			struct icap_reply r;
			size_t pos;

			icap_reply_init(&r);
			for (pos = 0; pos < len; pos += step) {
				size_t n = len - pos;

				icap_reply_feed(&r, text + pos,
						n < step ? n : step);
			}
			icap_reply_judge(&r, &answer);
			assert_int_equal(r.error, replies[i].error);
			assert_int_equal(answer.result, replies[i].result);
			assert_string_equal(answer.threat, replies[i].threat);
		}
	}
}

/* Cut anywhere, no reply is clean or infected. */
static void test_truncated(void **p)
{
	size_t i;
	size_t len;

	(void)p;
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		for (len = 0; len < strlen(replies[i].text); len++) {
			struct engine_answer answer;
			struct icap_reply r;

			icap_reply_init(&r);
			icap_reply_feed(&r, replies[i].text, len);
			icap_reply_judge(&r, &answer);
			assert_int_equal(answer.result, VERDICT_FAILED);
		}
	}
}

static void test_endless(void **p)
{
	struct icap_reply r;
	int i;

	(void)p;
	icap_reply_init(&r);
	icap_reply_feed(&r, "ICAP/1.0 204 No\r\n", 17);
	for (i = 0; i < ICAP_HEADER_MAX && r.error == 0; i++) {
		icap_reply_feed(&r, "a: b\r\n", 6);
	}
	assert_int_equal(r.error, EMSGSIZE);
	icap_reply_init(&r);
	for (i = 0; i < ICAP_HEADER_MAX && r.error == 0; i++) {
		icap_reply_feed(&r, "a", 1);
	}
	assert_int_equal(r.error, EMSGSIZE);
}

static void test_options(void **p)
{
	static const char text[] = "ICAP/1.0 200 OK\r\n"
		"Methods: RESPMOD, REQMOD\r\nService: C-ICAP/0.5\r\n"
		"ISTag: \"CI0001-XXX\"\r\nMax-Connections: 20\r\n"
		"Options-TTL: 3600\r\nPreview: 1024\r\nAllow: 204, trailers\r\n"
		"Encapsulated: null-body=0\r\n\r\nICAP";
	struct icap_reply r;
	size_t n;

	(void)p;
	icap_reply_init(&r);
	n = icap_reply_feed(&r, text, sizeof(text) - 1);
	assert_int_equal(n, sizeof(text) - 1 - 4);
	assert_int_equal(r.part, ICAP_WHOLE);
	assert_true(r.respmod && r.allow_204 && !r.close);
	assert_int_equal(r.preview, 1024);
	assert_int_equal(r.ttl, 3600);
	assert_int_equal(r.connections, 20);
	assert_string_equal(r.istag, "CI0001-XXX");
	assert_string_equal(r.service, "C-ICAP/0.5");
}

static void test_requests(void **p)
{
	char out[1024] = "";
	const char *body = NULL;
	const char *at = NULL;
	unsigned int res = 0;
	unsigned int end = 0;
	size_t n;

	(void)p;
	n = icap_options(out, sizeof(out), "h:1344", "scan");
	assert_int_equal(n, strlen(out));
	assert_non_null(strstr(out, "OPTIONS icap://h:1344/scan ICAP/1.0\r\n"));
	assert_int_equal(icap_options(out, 20, "h", "s"), 0);
	n = icap_respmod(out, sizeof(out), "h", "s", 30, 99);
	assert_int_equal(n, strlen(out));
	assert_non_null(strstr(out, "\r\nPreview: 30\r\n"));
	at = strstr(out, "res-hdr=");
	assert_int_equal(sscanf(at, "res-hdr=%u, res-body=%u", &res, &end), 2);
	body = strstr(out, "\r\n\r\n") + 4;
	assert_memory_equal(body + res, "HTTP/1.1 200", 12);
	assert_int_equal(strlen(body), end);
	icap_respmod(out, sizeof(out), "h", "s", -1, 99);
	assert_null(strstr(out, "Preview"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

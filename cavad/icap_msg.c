/*
 * ICAP/1.0 as bytes: see icap_msg.h.
 *
 * The reader takes lines. Which part a line belongs to is all its state, so
 * that a reply cut at any byte gives the same as in one piece. A header is
 * continued by a line that begins with a blank; of those only the ones of
 * X-Violations-Found matter: four a finding, the second its threat.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cavad/icap_msg.h"

void icap_reply_init(struct icap_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->preview = -1;
}

/* Digits only, up to `end`; false when there is none or it is too large. */
static bool icap_number(const char *text, unsigned int base, uint64_t max,
			uint64_t *result, const char **end)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t n = 0;
	const char *p = text;

	for (; *p != '\0'; p++) {
		char c = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
		const char *digit = strchr(digits, c);

		if (digit == NULL || digit >= digits + base) {
			break;
		}
		n = n * base + (uint64_t)(digit - digits);
		if (n > max) {
			return false;
		}
	}
	*result = n;
	*end = p;
	return p != text;
}

static const char *icap_skip(const char *text)
{
	return text + strspn(text, " \t");
}

/* A word of a list that commas separate. */
static bool icap_listed(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *p = list;

	while (*p != '\0') {
		p += strspn(p, ", \t");
		if (strncasecmp(p, word, len) == 0 &&
		    strchr(", \t", p[len]) != NULL) {
			return true;
		}
		p += strcspn(p, ", \t");
	}
	return false;
}

/* "HTTP/1.1 403 Forbidden" with the version given; 0 = no such line. */
static int icap_status(const char *line, const char *version)
{
	size_t len = strlen(version);
	const char *end = NULL;
	uint64_t n = 0;
	bool ok;

	if (strncmp(line, version, len) != 0) {
		return 0;
	}
	ok = icap_number(line + len, 10, 599, &n, &end);
	if (!ok || n < 100 || end != line + len + 3 ||
	    (*end != ' ' && *end != '\0')) {
		return 0;
	}
	return (int)n;
}

/* "res-hdr=0, res-body=137", "null-body=0"; bodies are last. */
static void icap_encapsulated(struct icap_reply *r, const char *value)
{
	const char *p = value;

	if (r->encapsulated) {
		r->error = EBADMSG;
		return;
	}
	while (*p != '\0') {
		const char *equal = strchr(p, '=');
		const char *end = NULL;
		uint64_t offset = 0;
		bool ok;

		if (r->encapsulated || equal == NULL) {
			r->error = EBADMSG;
			return;
		}
		ok = icap_number(equal + 1, 10, UINT32_MAX, &offset, &end);
		if (!ok) {
			r->error = EBADMSG;
			return;
		}
		if (equal - p >= 5 && memcmp(equal - 5, "-body", 5) == 0) {
			r->encapsulated = true;
			r->http_len = offset;
			r->has_body = strncasecmp(p, "null-", 5) != 0;
		}
		p = end + strspn(end, ", \t");
		if (p == end && *p != '\0') {
			r->error = EBADMSG;
			return;
		}
	}
	if (!r->encapsulated) {
		r->error = EBADMSG;
	} else if (r->http_len > ICAP_HEADER_MAX) {
		r->error = EMSGSIZE;
	}
}

static void icap_threat(struct icap_reply *r, const char *text, size_t len)
{
	if (len > 0 && r->threat[0] == '\0') {
		snprintf(r->threat, sizeof(r->threat), "%.*s", (int)len, text);
	}
}

/* "Type=0; Resolution=2; Threat=Eicar-Test-Signature;" */
static void icap_infection(struct icap_reply *r, const char *value)
{
	const char *threat = strcasestr(value, "Threat=");

	r->found = true;
	if (threat != NULL) {
		threat += strlen("Threat=");
		icap_threat(r, threat, strcspn(threat, ";"));
	}
}

static void icap_istag(struct icap_reply *r, const char *value)
{
	const char *start = *value == '"' ? value + 1 : value;

	snprintf(r->istag, sizeof(r->istag), "%.*s",
		 (int)strcspn(start, "\""), start);
}

static void icap_field(struct icap_reply *r, const char *name,
		       const char *value)
{
	const char *end = NULL;
	uint64_t n = 0;
	bool number = icap_number(value, 10, INT32_MAX, &n, &end);

	if (strcasecmp(name, "Encapsulated") == 0) {
		icap_encapsulated(r, value);
	} else if (strcasecmp(name, "X-Infection-Found") == 0) {
		icap_infection(r, value);
	} else if (strcasecmp(name, "X-Virus-ID") == 0) {
		r->found = true;
		icap_threat(r, value, strlen(value));
	} else if (strcasecmp(name, "X-Violations-Found") == 0) {
		/* what is no number counts as a finding */
		r->found = r->found || !number || n > 0;
		r->violation = 1;
	} else if (strcasecmp(name, "ISTag") == 0) {
		icap_istag(r, value);
	} else if (strcasecmp(name, "Service") == 0) {
		snprintf(r->service, sizeof(r->service), "%.*s",
			 (int)sizeof(r->service) - 1, value);
	} else if (strcasecmp(name, "Methods") == 0) {
		r->respmod = icap_listed(value, "RESPMOD");
	} else if (strcasecmp(name, "Allow") == 0) {
		r->allow_204 = icap_listed(value, "204");
	} else if (strcasecmp(name, "Connection") == 0) {
		r->close = icap_listed(value, "close");
	} else if (number && strcasecmp(name, "Preview") == 0) {
		r->preview = (int64_t)n;
	} else if (number && strcasecmp(name, "Options-TTL") == 0) {
		r->ttl = (uint32_t)n;
	} else if (number && strcasecmp(name, "Max-Connections") == 0) {
		r->connections = (uint32_t)n;
	}
}

static void icap_next(struct icap_reply *r, enum icap_part part)
{
	r->part = part;
	r->part_len = 0;
}

static void icap_header_end(struct icap_reply *r)
{
	bool body = r->encapsulated && r->has_body;

	if (r->status == 100 || r->status == 204) {
		if (body || (r->encapsulated && r->http_len > 0)) {
			r->error = EBADMSG;
			return;
		}
		icap_next(r, ICAP_WHOLE);
		return;
	}
	if (r->encapsulated && r->http_len > 0) {
		icap_next(r, ICAP_HTTP);
		return;
	}
	icap_next(r, body ? ICAP_CHUNK : ICAP_WHOLE);
}

static void icap_header_line(struct icap_reply *r)
{
	char *colon = NULL;

	if (r->line[0] == '\0') {
		icap_header_end(r);
		return;
	}
	if (r->line[0] == ' ' || r->line[0] == '\t') {
		const char *text = icap_skip(r->line);

		if (r->violation == 2) {
			icap_threat(r, text, strlen(text));
		}
		r->violation += r->violation > 0;
		return;
	}
	r->violation = 0;
	colon = strchr(r->line, ':');
	if (colon == NULL || colon == r->line) {
		r->error = EBADMSG;
		return;
	}
	*colon = '\0';
	icap_field(r, r->line, icap_skip(colon + 1));
}

static void icap_http_line(struct icap_reply *r)
{
	if (r->http_status == 0) {
		r->http_status = icap_status(r->line, "HTTP/1.1 ");
	}
	if (r->http_status == 0) {
		r->http_status = icap_status(r->line, "HTTP/1.0 ");
	}
	if (r->http_status == 0 || r->part_len > r->http_len) {
		r->error = EBADMSG;
		return;
	}
	if (r->part_len == r->http_len) {
		icap_next(r, r->has_body ? ICAP_CHUNK : ICAP_WHOLE);
	}
}

static void icap_chunk_line(struct icap_reply *r)
{
	const char *end = NULL;
	bool ok;

	ok = icap_number(r->line, 16, UINT32_MAX, &r->chunk, &end);
	end = ok ? icap_skip(end) : "x";
	if (*end != '\0' && *end != ';') {
		r->error = EBADMSG;
		return;
	}
	r->body += r->chunk;
	if (r->body > ICAP_BODY_MAX) {
		r->error = EMSGSIZE;
		return;
	}
	icap_next(r, r->chunk > 0 ? ICAP_DATA : ICAP_TRAILER);
}

static void icap_line(struct icap_reply *r)
{
	switch (r->part) {
	case ICAP_STATUS:
		r->status = icap_status(r->line, "ICAP/1.0 ");
		if (r->status == 0) {
			r->error = EBADMSG;
		}
		r->part = ICAP_HEADER;
		return;
	case ICAP_HEADER:
		icap_header_line(r);
		return;
	case ICAP_HTTP:
		icap_http_line(r);
		return;
	case ICAP_CHUNK:
		icap_chunk_line(r);
		return;
	case ICAP_DATA_END:
		if (r->line[0] != '\0') {
			r->error = EBADMSG;
		}
		icap_next(r, ICAP_CHUNK);
		return;
	case ICAP_TRAILER:
		if (r->line[0] == '\0') {
			icap_next(r, ICAP_WHOLE);
		}
		return;
	case ICAP_DATA:
	case ICAP_WHOLE:
		return;
	}
}

static void icap_byte(struct icap_reply *r, char c)
{
	r->part_len++;
	if (r->part_len > ICAP_HEADER_MAX ||
	    r->line_len == sizeof(r->line) - 1) {
		r->error = EMSGSIZE;
		return;
	}
	if (c == '\0') {
		r->error = EBADMSG;
		return;
	}
	if (c != '\n') {
		r->line[r->line_len++] = c;
		return;
	}
	if (r->line_len == 0 || r->line[r->line_len - 1] != '\r') {
		r->error = EBADMSG;
		return;
	}
	r->line[r->line_len - 1] = '\0';
	r->line_len = 0;
	icap_line(r);
}

size_t icap_reply_feed(struct icap_reply *r, const void *data, size_t len)
{
	const char *bytes = data;
	size_t pos = 0;

	while (pos < len && r->error == 0 && r->part != ICAP_WHOLE) {
		size_t n = len - pos;

		if (r->part != ICAP_DATA) {
			icap_byte(r, bytes[pos]);
			pos++;
			continue;
		}
		if (n > r->chunk) {
			n = (size_t)r->chunk;
		}
		r->chunk -= n;
		pos += n;
		if (r->chunk == 0) {
			icap_next(r, ICAP_DATA_END);
		}
	}
	return pos;
}

void icap_reply_judge(const struct icap_reply *r,
		      struct engine_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->result = VERDICT_FAILED;
	answer->server_fault = true;
	answer->reason = VERDICT_REASON_BAD_REPLY;
	if (r->error != 0 || r->part != ICAP_WHOLE) {
		snprintf(answer->detail, sizeof(answer->detail),
			 "the reply is no whole ICAP/1.0 message");
		return;
	}
	snprintf(answer->detail, sizeof(answer->detail),
		 "ICAP status %d, HTTP status %d", r->status, r->http_status);
	if (r->status != 200 && r->status != 204) {
		answer->reason = VERDICT_REASON_SERVER_ERROR;
		return;
	}
	if (r->found || (r->status == 200 && r->http_status == 403)) {
		answer->result = VERDICT_INFECTED;
		answer->reason = 0;
		answer->server_fault = false;
		snprintf(answer->threat, sizeof(answer->threat), "%s",
			 r->threat[0] != '\0' ? r->threat : "unnamed");
		return;
	}
	if (r->status == 204) {
		answer->result = VERDICT_CLEAN;
		answer->reason = 0;
		answer->server_fault = false;
	}
}

static size_t icap_fits(int n, size_t size)
{
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

size_t icap_options(char *out, size_t size, const char *host,
		    const char *service)
{
	int n;

	n = snprintf(out, size, "OPTIONS icap://%s/%s ICAP/1.0\r\n"
		     "Host: %s\r\nUser-Agent: cavad\r\n"
		     "Encapsulated: null-body=0\r\n\r\n",
		     host, service, host);
	return icap_fits(n, size);
}

size_t icap_respmod(char *out, size_t size, const char *host,
		    const char *service, int64_t preview, uint64_t file_size)
{
	static const char request[] = "GET http://cavad.invalid/file "
		"HTTP/1.1\r\nHost: cavad.invalid\r\n\r\n";
	char http[192] = "";
	char first[48] = "";
	int http_len;
	int n;

	http_len = snprintf(http, sizeof(http), "HTTP/1.1 200 OK\r\n"
			    "Content-Type: application/octet-stream\r\n"
			    "Content-Length: %" PRIu64 "\r\n\r\n", file_size);
	if (preview >= 0) {
		snprintf(first, sizeof(first), "Preview: %" PRId64 "\r\n",
			 preview);
	}
	n = snprintf(out, size, "RESPMOD icap://%s/%s ICAP/1.0\r\n"
		     "Host: %s\r\nUser-Agent: cavad\r\nAllow: 204\r\n%s"
		     "Encapsulated: req-hdr=0, res-hdr=%zu, res-body=%zu\r\n"
		     "\r\n%s%s", host, service, host, first,
		     sizeof(request) - 1,
		     sizeof(request) - 1 + (size_t)http_len, request, http);
	return icap_fits(n, size);
}

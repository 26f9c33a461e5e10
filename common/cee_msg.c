/*
 * CEE on the wire. See cee_msg.h.
 *
 * Heartbeats are what captures show that others published (docs/protocol.md
 * names them): the request of OneFS 8.x and the reply of CEE 7.1.0, byte for
 * byte. The scan verb is OURS AND UNVERIFIED:
 *
 *   <CheckFileRequest><Args action="1" sourceID="2" sourceIP="..."
 *   name="B64"><Cluster id="..." name="B64"/></Args><ScanArgs id="7"
 *   size="68" timeout="60"/></CheckFileRequest>
 *
 *   <CheckFileResponse status="0x9" ceeVersion="...">
 *     <ScanResponse id="7" threat="..." limit="1" detail="..." bytes="68"
 *     avVendor="..." signatureTime="..." />
 *   </CheckFileResponse>
 *
 * each without line breaks inside an element. Of HeartBeatResponse the
 * attributes avVendor, signatureTime and detail are ours as well: left out
 * when there is nothing to say, so that the reply is the captured one, and
 * to be ignored by whoever does not know them.
 *
 * How a message is read:
 *
 * 1. expat does the XML, told the encoding (UTF-16LE or UTF-8, never what a
 *    declaration says). A DTD ends it, so there are no entities.
 * 2. Elements are known by name, depth and parent; attributes by name, in
 *    any order. What is not known is passed over, up to a depth of 8.
 * 3. One element of a kind: a second one could say something else to another
 *    reader than to us.
 * 4. Numbers are decimal or 0x hex, and no larger than what holds them.
 * 5. A scan needs a name; a heartbeat does not depend on its names, so one
 *    that does not decode is as good as none.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cee_msg.h"
#include "common/cee_text.h"

#define CEE_DEPTH_MAX 8
#define CEE_ROOT_REQUEST "CheckFileRequest"
#define CEE_ROOT_RESPONSE "CheckFileResponse"

/* Elements that may be there once. */
enum cee_seen {
	CEE_SEEN_ARGS = 1,
	CEE_SEEN_CLUSTER = 2,
	CEE_SEEN_SCAN = 4,
	CEE_SEEN_HEARTBEAT = 8
};

struct cee_parse {
	XML_Parser parser;
	unsigned int depth;
	unsigned int seen;
	bool in_args;
	int error;		/* the first one stays */
	const struct cee_profile *profile;
	const char *name;	/* as it came */
	struct cee_request *request;	/* one of the two */
	struct cee_reply *reply;
};

/* Writing. */

/* `text` becomes the message, in its encoding and within its bound. */
static int cee_finish(TALLOC_CTX *mem_ctx, char *text, bool utf16, char **out,
		      size_t *len)
{
	uint8_t *data = NULL;
	size_t size;
	int ret;

	if (text == NULL) {
		return ENOMEM;
	}
	size = strlen(text);
	if (utf16) {
		ret = cee_text_to_utf16(mem_ctx, text, &data, &size);
		talloc_free(text);
		if (ret != 0) {
			return ret;
		}
		text = (char *)data;
	}
	if (size > CEE_MSG_MAX) {
		talloc_free(text);
		return EMSGSIZE;
	}
	*out = talloc_steal(mem_ctx, text);
	*len = size;
	return 0;
}

/* ` NAME="VALUE"` after `text`; sticky: NULL in, NULL out. */
static char *cee_add_text(char *text, const char *name, const char *value)
{
	char *escaped = NULL;

	if (text == NULL) {
		return NULL;
	}
	escaped = cee_text_escape(text, value == NULL ? "" : value);
	if (escaped == NULL) {
		return NULL;
	}
	text = talloc_asprintf_append_buffer(text, " %s=\"%s\"", name,
					     escaped);
	talloc_free(escaped);
	return text;
}

/* The same, but nothing when there is nothing to say. */
static char *cee_add_said(char *text, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0') {
		return text;
	}
	return cee_add_text(text, name, value);
}

static char *cee_add_time(char *text, int64_t when)
{
	if (text == NULL || when <= 0) {
		return text;
	}
	return talloc_asprintf_append_buffer(text, " signatureTime=\"%" PRId64
					     "\"", when);
}

static char *cee_add(char *text, const char *more)
{
	return text == NULL ? NULL : talloc_strdup_append_buffer(text, more);
}

static char *cee_request_text(TALLOC_CTX *frame, const struct cee_profile *p,
			      const struct cee_request *r, const char *name,
			      const char *cluster_name)
{
	unsigned int action = r->action;
	char *text = NULL;

	if (r->kind == CEE_HEARTBEAT) {
		action = p->heartbeat_action;
	} else if (r->kind == CEE_SCAN) {
		action = p->scan_action;
	}
	text = talloc_asprintf(frame, "<" CEE_ROOT_REQUEST "><Args action="
			       "\"%u\" sourceID=\"%u\"", action,
			       r->source_id);
	text = cee_add_text(text, "sourceIP", r->source_ip);
	text = cee_add_text(text, "name", name);
	text = cee_add(text, "><Cluster");
	text = cee_add_text(text, "id", r->cluster_id);
	text = cee_add_text(text, "name", cluster_name);
	text = cee_add(text, "/></Args>");
	if (text != NULL && r->kind == CEE_SCAN) {
		text = talloc_asprintf_append_buffer(
			text, "<ScanArgs id=\"%" PRIu64 "\" size=\"%" PRIu64
			"\" timeout=\"%" PRIu32 "\"/>", r->scan_id, r->size,
			r->timeout);
	}
	return cee_add(text, "</" CEE_ROOT_REQUEST ">");
}

int cee_request_encode(TALLOC_CTX *mem_ctx, const struct cee_profile *p,
		       const struct cee_request *r, char **out, size_t *len)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *cluster_name = NULL;
	char *name = NULL;
	char *text = NULL;
	int ret;

	if (frame == NULL) {
		return ENOMEM;
	}
	ret = cee_text_name_encode(frame, r->name == NULL ? "" : r->name,
				   &name);
	if (ret == 0) {
		ret = cee_text_name_encode(frame, r->cluster_name == NULL ?
					   "" : r->cluster_name,
					   &cluster_name);
	}
	if (ret == 0) {
		text = cee_request_text(frame, p, r, name, cluster_name);
		ret = cee_finish(mem_ctx, text, r->utf16, out, len);
	}
	talloc_free(frame);
	return ret;
}

static char *cee_heartbeat_text(char *text, const struct cee_reply *r)
{
	text = cee_add(text, "  <HeartBeatResponse");
	text = cee_add_text(text, "ceeVersion", r->cee_version);
	text = cee_add_text(text, "dtdVersion", r->dtd_version);
	text = cee_add_said(text, "avVendor", r->av_vendor);
	text = cee_add_time(text, r->signature_time);
	text = cee_add_said(text, "detail", r->detail);
	return cee_add(text, ">\n"
		       "    <CEPPHeartBeatResponse>\n"
		       "    <CEPPCapabilities>\n"
		       "      <Protocols CIFS=\"1\" NFS=\"1\" HDFS=\"0\" />\n"
		       "      <Partner multiplicity=\"1\" />\n"
		       "    </CEPPCapabilities>\n"
		       "    </CEPPHeartBeatResponse>\n"
		       "  </HeartBeatResponse>\n");
}

static char *cee_scan_text(char *text, const struct cee_reply *r)
{
	if (text == NULL) {
		return NULL;
	}
	text = talloc_asprintf_append_buffer(text, "  <ScanResponse id=\"%"
					     PRIu64 "\"", r->scan_id);
	text = cee_add_said(text, "threat", r->threat);
	if (r->limit) {
		text = cee_add(text, " limit=\"1\"");
	}
	text = cee_add_said(text, "detail", r->detail);
	if (text != NULL) {
		text = talloc_asprintf_append_buffer(text, " bytes=\"%" PRIu64
						     "\"", r->bytes);
	}
	text = cee_add_said(text, "avVendor", r->av_vendor);
	text = cee_add_time(text, r->signature_time);
	return cee_add(text, " />\n");
}

int cee_reply_encode(TALLOC_CTX *mem_ctx, const struct cee_reply *r,
		     bool utf16, char **out, size_t *len)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *text = NULL;
	int ret;

	if (frame == NULL) {
		return ENOMEM;
	}
	text = talloc_asprintf(frame, "<" CEE_ROOT_RESPONSE " status=\"0x%"
			       PRIx32 "\"", r->status);
	text = cee_add_said(text, "ceeVersion", r->cee_version);
	if (r->heartbeat || r->scan) {
		text = cee_add(text, ">\n");
		if (r->heartbeat) {
			text = cee_heartbeat_text(text, r);
		}
		if (r->scan) {
			text = cee_scan_text(text, r);
		}
		text = cee_add(text, "</" CEE_ROOT_RESPONSE ">\n");
	} else {
		text = cee_add(text, " />\n");
	}
	ret = cee_finish(mem_ctx, text, utf16, out, len);
	talloc_free(frame);
	return ret;
}

int cee_banner_encode(TALLOC_CTX *mem_ctx, const char *version, char **out,
		      size_t *len)
{
	char *text = talloc_strdup(mem_ctx, "<CEE");

	text = cee_add_text(text, "version", version);
	text = cee_add(text, "></CEE>");
	return cee_finish(mem_ctx, text, false, out, len);
}

/* Reading. */

static void cee_fail(struct cee_parse *p, int error)
{
	if (p->error == 0) {
		p->error = error;
		XML_StopParser(p->parser, XML_FALSE);
	}
}

/* The value of an attribute, or NULL. expat lets none be there twice. */
static const char *cee_get(const char **attributes, const char *name)
{
	for (; *attributes != NULL; attributes += 2) {
		if (strcmp(attributes[0], name) == 0) {
			return attributes[1];
		}
	}
	return NULL;
}

/* A copy, "" when it is not there. */
static const char *cee_get_text(struct cee_parse *p, const char **attributes,
				const char *name)
{
	TALLOC_CTX *mem_ctx = p->request != NULL ? (void *)p->request :
						   (void *)p->reply;
	const char *value = cee_get(attributes, name);
	char *copy = NULL;

	if (value == NULL) {
		return "";
	}
	copy = talloc_strdup(mem_ctx, value);
	if (copy == NULL) {
		cee_fail(p, ENOMEM);
		return "";
	}
	return copy;
}

/* 0 when it is not there. */
static uint64_t cee_get_number(struct cee_parse *p, const char **attributes,
			       const char *name, uint64_t max)
{
	const char *value = cee_get(attributes, name);
	unsigned long long number;
	char *end = NULL;
	int base = 10;

	if (value == NULL) {
		return 0;
	}
	if (value[0] == '0' && (value[1] == 'x' || value[1] == 'X')) {
		base = 16;
		value += 2;
	}
	/* strtoull() would take blanks, a sign and a second 0x */
	if (!isxdigit((unsigned char)value[0]) ||
	    (value[0] == '0' && (value[1] == 'x' || value[1] == 'X'))) {
		cee_fail(p, EBADMSG);
		return 0;
	}
	errno = 0;
	number = strtoull(value, &end, base);
	if (errno != 0 || end == value || *end != '\0' || number > max) {
		cee_fail(p, EBADMSG);
		return 0;
	}
	return number;
}

static void cee_once(struct cee_parse *p, enum cee_seen element)
{
	if (p->seen & element) {
		cee_fail(p, EBADMSG);
	}
	p->seen |= element;
}

/* Rule 5 of the top: what does not decode is "". */
static const char *cee_name(struct cee_parse *p, const char *base64)
{
	char *name = NULL;
	int ret;

	ret = cee_text_name_decode(p->request, base64, &name);
	if (ret == ENOMEM) {
		cee_fail(p, ENOMEM);
	}
	return ret == 0 ? name : "";
}

static void cee_take_args(struct cee_parse *p, const char **attributes)
{
	struct cee_request *r = p->request;

	cee_once(p, CEE_SEEN_ARGS);
	if (cee_get(attributes, "action") == NULL) {
		cee_fail(p, EBADMSG);
	}
	r->action = cee_get_number(p, attributes, "action", UINT32_MAX);
	r->source_id = cee_get_number(p, attributes, "sourceID", UINT32_MAX);
	r->source_ip = cee_get_text(p, attributes, "sourceIP");
	if (r->source_ip[0] == '\0') {
		r->source_ip = cee_get_text(p, attributes, "celerraIP");
	}
	r->name = cee_name(p, cee_get_text(p, attributes, "name"));
	if (r->action == p->profile->heartbeat_action) {
		r->kind = CEE_HEARTBEAT;
	} else if (r->action == p->profile->scan_action) {
		r->kind = CEE_SCAN;
	}
}

static void cee_take_cluster(struct cee_parse *p, const char **attributes)
{
	struct cee_request *r = p->request;

	cee_once(p, CEE_SEEN_CLUSTER);
	r->cluster_id = cee_get_text(p, attributes, "id");
	r->cluster_name = cee_name(p, cee_get_text(p, attributes, "name"));
}

static void cee_request_start(struct cee_parse *p, const char *element,
			      const char **attributes)
{
	struct cee_request *r = p->request;

	if (p->depth == 1 && strcmp(element, CEE_ROOT_REQUEST) != 0) {
		cee_fail(p, EBADMSG);
		return;
	}
	if (p->depth == 2) {
		p->in_args = strcmp(element, "Args") == 0;
	}
	if (p->depth == 2 && p->in_args) {
		cee_take_args(p, attributes);
		return;
	}
	if (p->depth == 2 && strcmp(element, "ScanArgs") == 0) {
		cee_once(p, CEE_SEEN_SCAN);
		r->scan_id = cee_get_number(p, attributes, "id", UINT64_MAX);
		r->size = cee_get_number(p, attributes, "size", UINT64_MAX);
		r->timeout = cee_get_number(p, attributes, "timeout",
					    UINT32_MAX);
		return;
	}
	if (p->depth == 3 && p->in_args && strcmp(element, "Cluster") == 0) {
		cee_take_cluster(p, attributes);
	}
}

/* What both kinds of reply may say about the engine. */
static void cee_take_engine(struct cee_parse *p, const char **attributes)
{
	struct cee_reply *r = p->reply;

	r->av_vendor = cee_get_text(p, attributes, "avVendor");
	r->detail = cee_get_text(p, attributes, "detail");
	r->signature_time = cee_get_number(p, attributes, "signatureTime",
					   INT64_MAX);
}

static void cee_take_response(struct cee_parse *p, const char *element,
			      const char **attributes)
{
	if (strcmp(element, CEE_ROOT_RESPONSE) != 0 ||
	    cee_get(attributes, "status") == NULL) {
		cee_fail(p, EBADMSG);
		return;
	}
	p->reply->status = cee_get_number(p, attributes, "status",
					  UINT32_MAX);
	p->reply->cee_version = cee_get_text(p, attributes, "ceeVersion");
}

static void cee_reply_start(struct cee_parse *p, const char *element,
			    const char **attributes)
{
	struct cee_reply *r = p->reply;

	if (p->depth == 1) {
		cee_take_response(p, element, attributes);
		return;
	}
	if (p->depth == 2 && strcmp(element, "HeartBeatResponse") == 0) {
		cee_once(p, CEE_SEEN_HEARTBEAT);
		r->heartbeat = true;
		if (r->cee_version[0] == '\0') {
			r->cee_version = cee_get_text(p, attributes,
						      "ceeVersion");
		}
		r->dtd_version = cee_get_text(p, attributes, "dtdVersion");
		cee_take_engine(p, attributes);
		return;
	}
	if (p->depth == 2 && strcmp(element, "ScanResponse") == 0) {
		cee_once(p, CEE_SEEN_SCAN);
		r->scan = true;
		r->scan_id = cee_get_number(p, attributes, "id", UINT64_MAX);
		r->limit = cee_get_number(p, attributes, "limit",
					  UINT64_MAX) != 0;
		r->threat = cee_get_text(p, attributes, "threat");
		r->bytes = cee_get_number(p, attributes, "bytes",
					  UINT64_MAX);
		cee_take_engine(p, attributes);
	}
}

static void cee_start(void *private_data, const char *element,
		      const char **attributes)
{
	struct cee_parse *p = private_data;

	if (p->error != 0) {
		return;
	}
	p->depth++;
	if (p->depth > CEE_DEPTH_MAX) {
		cee_fail(p, EBADMSG);
		return;
	}
	if (p->request != NULL) {
		cee_request_start(p, element, attributes);
	} else {
		cee_reply_start(p, element, attributes);
	}
}

static void cee_end(void *private_data, const char *element)
{
	struct cee_parse *p = private_data;

	(void)element;
	p->depth--;
}

static void cee_doctype(void *private_data, const char *name,
			const char *sysid, const char *pubid, int internal)
{
	struct cee_parse *p = private_data;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	cee_fail(p, EBADMSG);
}

/*
 * Pure: UTF-16LE? Either it says so by a BOM, or its first character is one
 * of ASCII, as each XML text's is.
 */
static bool cee_is_utf16(const uint8_t *data, size_t len)
{
	if (len < 2) {
		return false;
	}
	return (data[0] == 0xff && data[1] == 0xfe) ||
	       (data[0] != 0 && data[1] == 0);
}

/* 0, EBADMSG, ENOMEM */
static int cee_parse(struct cee_parse *p, const void *data, size_t len)
{
	enum XML_Status status;

	if (len == 0 || len > CEE_MSG_MAX) {
		return EBADMSG;
	}
	p->parser = XML_ParserCreate(cee_is_utf16(data, len) ? "UTF-16LE" :
							       "UTF-8");
	if (p->parser == NULL) {
		return ENOMEM;
	}
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, cee_start, cee_end);
	XML_SetStartDoctypeDeclHandler(p->parser, cee_doctype);
	status = XML_Parse(p->parser, data, (int)len, 1);
	if (status != XML_STATUS_OK && p->error == 0) {
		p->error = XML_GetErrorCode(p->parser) ==
			   XML_ERROR_NO_MEMORY ? ENOMEM : EBADMSG;
	}
	XML_ParserFree(p->parser);
	return p->error;
}

int cee_request_decode(TALLOC_CTX *mem_ctx, const struct cee_profile *profile,
		       const void *data, size_t len,
		       struct cee_request **result)
{
	struct cee_parse p = { .profile = profile };
	struct cee_request *r = NULL;
	int ret;

	r = talloc_zero(mem_ctx, struct cee_request);
	if (r == NULL) {
		return ENOMEM;
	}
	r->source_ip = r->name = r->cluster_id = r->cluster_name = "";
	r->utf16 = cee_is_utf16(data, len);
	p.request = r;
	ret = cee_parse(&p, data, len);
	if (ret == 0 && (!(p.seen & CEE_SEEN_ARGS) ||
			 (r->kind == CEE_SCAN && r->name[0] == '\0'))) {
		ret = EBADMSG;
	}
	if (ret != 0) {
		talloc_free(r);
		return ret;
	}
	*result = r;
	return 0;
}

int cee_reply_decode(TALLOC_CTX *mem_ctx, const void *data, size_t len,
		     struct cee_reply **result)
{
	struct cee_parse p = { .error = 0 };
	struct cee_reply *r = NULL;
	int ret;

	r = talloc_zero(mem_ctx, struct cee_reply);
	if (r == NULL) {
		return ENOMEM;
	}
	r->cee_version = r->dtd_version = r->av_vendor = "";
	r->threat = r->detail = "";
	p.reply = r;
	ret = cee_parse(&p, data, len);
	if (ret != 0) {
		talloc_free(r);
		return ret;
	}
	*result = r;
	return 0;
}

/* Statuses. */

bool cee_status_infected(uint32_t status)
{
	return status >= CEE_SUSPECT_VIRUS && status <= CEE_OTHER_VIRUS;
}

const char *cee_status_text(uint32_t status)
{
	/* docs/protocol.md says which of them were ever seen on a wire */
	static const char *const names[] = {
		[0x0] = "SUCCESS",
		[0x1] = "ERROR_SETUP",
		[0x2] = "ERROR_AV_NOT_FOUND",
		[0x3] = "ERROR_FILE_NOT_FOUND",
		[0x4] = "ERROR_ACCESS_DENIED",
		[0x5] = "ERROR_FAIL",
		[0x6] = "ERROR_TIMEOUT",
		[0x7] = "CHECK_IN_PROGRESS",
		[0x8] = "SUSPECT_VIRUS",
		[0x9] = "DETECT_VIRUS",
		[0xa] = "TEST_VIRUS",
		[0xb] = "MACRO_VIRUS",
		[0xc] = "OTHER_VIRUS",
		[0xd] = "ERROR_AVINTERFACE",
		[0xe] = "ERROR_SHUTDOWN",
		[0xf] = "ERROR_AUTH",
		[0x10] = "ERROR_BAD_REQUEST",
		[0x11] = "ERROR_INSUFFICIENT_RESOURCES",
		[0x12] = "OFFLINE",
		[0x16] = "ERROR_CEPP_NOT_FOUND",
		[0x18] = "MSRPC_ERROR",
		[0x19] = "ERROR_HTTP",
		[0x20] = "ERROR_BAD_PROTOCOL",
	};

	if (status >= sizeof(names) / sizeof(names[0]) ||
	    names[status] == NULL) {
		return "unknown status";
	}
	return names[status];
}

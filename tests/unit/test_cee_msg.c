/*
 * CEE messages: the published captures, byte for byte where we write them,
 * and what must not get past the reader.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cee_msg.h"
#include "common/cee_text.h"

static const struct cee_profile profile = { 9, 1 };

/* Captures: OneFS 8.x with CEE 7.1.0. */

#define ONEFS8_CLUSTER \
	"<Cluster id=\"000c29b7c6273590c4563e21d8421c2ebcdb\" " \
	"name=\"aQBzAGkAMQA1ADAA\"/>"

static const char onefs8_heartbeat[] =
	"<CheckFileRequest><Args action=\"9\" sourceID=\"2\" "
	"sourceIP=\"192.168.142.151\" "
	"name=\"aQBzAGkAMQA1ADAALQBhAHUAZABpAHQA\">" ONEFS8_CLUSTER
	"</Args></CheckFileRequest>";

static const char onefs8_event[] =
	"<CheckFileRequest><Args action=\"11\" sourceID=\"2\" "
	"sourceIP=\"192.168.142.151\" name=\"XABcAGkAcwBpADEANQAwAC0AYQB1AG"
	"QAaQB0AFwAbwBuAGUAZgBzACQAXABpAGYAcwA=\" protocol=\"0\">"
	ONEFS8_CLUSTER "<Zone id=\"1\" name=\"UwB5AHMAdABlAG0A\"/></Args>"
	"<EventArgs eventType=\"8192\" "
	"serverName=\"aQBzAGkAMQA1ADAALQBhAHUAZABpAHQA\" "
	"userId=\"1000000\" timeStampMicroSeconds=\"268719\" "
	"desiredAccess=\"0x100081\" ntStatus=\"0x0\" "
	"timeStamp=\"1464015244\" "
	"userSid=\"S-1-5-21-1530579545-3719778891-2817182717-500\" "
	"clientIP=\"192.168.142.20\" createDispo=\"0x1\"></EventArgs>"
	"</CheckFileRequest>";

#define CEE71_REPLY(STATUS) \
	"<CheckFileResponse status=\"" STATUS "\" ceeVersion=\"7.1.0\">\n" \
	"  <HeartBeatResponse ceeVersion=\"7.1.0\" dtdVersion=\"2.1.0\">\n" \
	"    <CEPPHeartBeatResponse>\n" \
	"    <CEPPCapabilities>\n" \
	"      <Protocols CIFS=\"1\" NFS=\"1\" HDFS=\"0\" />\n" \
	"      <Partner multiplicity=\"1\" />\n" \
	"    </CEPPCapabilities>\n" \
	"    </CEPPHeartBeatResponse>\n" \
	"  </HeartBeatResponse>\n" \
	"</CheckFileResponse>\n"

static const char cee71_event_reply[] =
	"<CheckFileResponse status=\"0x0\" ceeVersion=\"7.1.0\">\n"
	"  <EventResponse auditStatus=\"0x0\" />\n"
	"</CheckFileResponse>\n";

/* OneFS 9.13 */
static const char onefs9_heartbeat[] =
	"<CheckFileRequest><Args action=\"9\" sourceIP=\"10.26.1.150\" "
	"sourceID=\"2\" name=\"cABvAHcAZQByAHMAYwBhAGwAZQAxAA==\"><Cluster "
	"id=\"00505692f33595217c6ab005f128c9b4c9f9\" "
	"name=\"cABvAHcAZQByAHMAYwBhAGwAZQAxAA==\"/></Args>"
	"</CheckFileRequest>";

static const char onefs9_nfs_event[] =
	"<CheckFileRequest><Args action=\"11\" sourceIP=\"10.26.1.150\" "
	"sourceID=\"2\" name=\"XABcAHAAbwB3AGUAcgBzAGMAYQBsAGUAMQAtADEAXABv"
	"AG4AZQBmAHMAJABcAGkAZgBzAFwAdABlAHMAdABcAGUAdgB0AGUAcwB0AC0AMQA3AD"
	"gANgA3ADMANQAwADAAMgAuAHQAeAB0AA==\" protocol=\"1\"><Cluster "
	"id=\"00505692f33595217c6ab005f128c9b4c9f9\" "
	"name=\"cABvAHcAZQByAHMAYwBhAGwAZQAxAA==\"/>"
	"<Zone id=\"1\" name=\"UwB5AHMAdABlAG0A\"/></Args>"
	"<NFSEventArgs eventType=\"256\" numberOfWrites=\"0\" "
	"numberOfReads=\"0\" bytesRead=\"0\" bytesWritten=\"0\" "
	"userSid=\"S-1-22-1-0\" clientIP=\"10.26.1.222\" "
	"serverName=\"cABvAHcAZQByAHMAYwBhAGwAZQAxAC0AMQA=\" "
	"ntStatus=\"0x0\" userId=\"0\" timeStamp=\"1786734886\" "
	"timeStampMicroSeconds=\"18481\" inode=\"4295174245\" fsId=\"1\"/>"
	"</CheckFileRequest>";

/* PowerStore; sent as UTF-16LE. */
static const char powerstore_heartbeat[] =
	"<CheckFileRequest><Args action=\"9\" name=\"XABcAG4AYQBzADAAMQAuAG"
	"QAaQBhAGIALgBsAG8AYwBhAGwAXABDAEgARQBDAEsAJAA=\" "
	"id=\"1786527819\" celerraIP=\"10.26.1.224\" sourceID=\"10\" "
	"sourceDescr=\"Trident\" type=\"0\" protocol=\"0\"/>"
	"<CEPPHeartBeatArgs preEventsMissed=\"0\" "
	"postSuccessEventsMissed=\"0\" postFailureEventsMissed=\"0\">"
	"<CEPPServerList><CEPPServer ip=\"10.26.1.199\"/></CEPPServerList>"
	"<CIFSServerList><CIFSServer netbios=\"NAS01\" domain=\"DIAB\" "
	"fqdn=\"nas01.diab.local\" realm=\"DIAB.LOCAL\"/></CIFSServerList>"
	"</CEPPHeartBeatArgs></CheckFileRequest>";

static int setup(void **state)
{
	*state = talloc_new(NULL);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

static int decode_request(TALLOC_CTX *mem_ctx, const char *text,
			  struct cee_request **r)
{
	*r = NULL;
	return cee_request_decode(mem_ctx, &profile, text, strlen(text), r);
}

static int decode_reply(TALLOC_CTX *mem_ctx, const char *text,
			struct cee_reply **r)
{
	*r = NULL;
	return cee_reply_decode(mem_ctx, text, strlen(text), r);
}

static void assert_text(const char *data, size_t len, const char *expected)
{
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(data, expected, len);
}

static void test_onefs8_heartbeat(void **state)
{
	struct cee_request r = {
		.kind = CEE_HEARTBEAT,
		.source_id = 2,
		.source_ip = "192.168.142.151",
		.name = "isi150-audit",
		.cluster_id = "000c29b7c6273590c4563e21d8421c2ebcdb",
		.cluster_name = "isi150",
	};
	char *out = NULL;
	size_t len = 0;
	int ret;

	ret = cee_request_encode(*state, &profile, &r, &out, &len);
	assert_int_equal(ret, 0);
	assert_int_equal(len, 217);
	assert_text(out, len, onefs8_heartbeat);
}

static void test_onefs_decode(void **state)
{
	struct cee_request *r = NULL;
	int ret;

	ret = decode_request(*state, onefs8_heartbeat, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->kind, CEE_HEARTBEAT);
	assert_int_equal(r->action, 9);
	assert_int_equal(r->source_id, 2);
	assert_string_equal(r->source_ip, "192.168.142.151");
	assert_string_equal(r->name, "isi150-audit");
	assert_string_equal(r->cluster_name, "isi150");
	assert_false(r->utf16);

	assert_int_equal(strlen(onefs9_heartbeat), 229);
	ret = decode_request(*state, onefs9_heartbeat, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->kind, CEE_HEARTBEAT);
	assert_int_equal(r->source_id, 2);
	assert_string_equal(r->source_ip, "10.26.1.150");
	assert_string_equal(r->name, "powerscale1");
	assert_string_equal(r->cluster_name, "powerscale1");
	assert_string_equal(r->cluster_id,
			    "00505692f33595217c6ab005f128c9b4c9f9");
}

static void test_events(void **state)
{
	struct cee_request *r = NULL;
	int ret;

	assert_int_equal(strlen(onefs8_event), 602);
	ret = decode_request(*state, onefs8_event, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->kind, CEE_OTHER);
	assert_int_equal(r->action, 11);
	assert_string_equal(r->name, "\\\\isi150-audit\\onefs$\\ifs");

	ret = decode_request(*state, onefs9_nfs_event, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->kind, CEE_OTHER);
	assert_string_equal(r->name, "\\\\powerscale1-1\\onefs$\\ifs\\test"
			    "\\evtest-1786735002.txt");
}

static void test_powerstore(void **state)
{
	static const uint8_t bom[2] = { 0xff, 0xfe };
	struct cee_request *r = NULL;
	uint8_t *data = NULL;
	uint8_t *marked = NULL;
	size_t len = 0;
	int ret;

	ret = cee_text_to_utf16(*state, powerstore_heartbeat, &data, &len);
	assert_int_equal(ret, 0);
	ret = cee_request_decode(*state, &profile, data, len, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->kind, CEE_HEARTBEAT);
	assert_true(r->utf16);
	assert_int_equal(r->source_id, 10);
	assert_string_equal(r->source_ip, "10.26.1.224");
	assert_string_equal(r->name, "\\\\nas01.diab.local\\CHECK$");
	assert_string_equal(r->cluster_name, "");

	marked = talloc_array(*state, uint8_t, len + 2);
	memcpy(marked, bom, 2);
	memcpy(marked + 2, data, len);
	ret = cee_request_decode(*state, &profile, marked, len + 2, &r);
	assert_int_equal(ret, 0);
	assert_true(r->utf16);

	/* half a character */
	ret = cee_request_decode(*state, &profile, data, len - 1, &r);
	assert_int_equal(ret, EBADMSG);
}

static void test_heartbeat_reply(void **state)
{
	struct cee_reply r = {
		.heartbeat = true,
		.cee_version = "7.1.0",
		.dtd_version = "2.1.0",
	};
	struct cee_reply *back = NULL;
	char *wide = NULL;
	char *text = NULL;
	char *out = NULL;
	size_t wide_len = 0;
	size_t len = 0;
	int ret;

	ret = cee_reply_encode(*state, &r, false, &out, &len);
	assert_int_equal(ret, 0);
	assert_int_equal(len, 341);
	assert_text(out, len, CEE71_REPLY("0x0"));

	ret = cee_reply_encode(*state, &r, true, &wide, &wide_len);
	assert_int_equal(ret, 0);
	assert_int_equal(wide_len, 2 * 341);
	ret = cee_text_from_utf16(*state, (uint8_t *)wide, wide_len, &text);
	assert_int_equal(ret, 0);
	assert_string_equal(text, CEE71_REPLY("0x0"));

	r.status = 0x16;
	ret = cee_reply_encode(*state, &r, false, &out, &len);
	assert_int_equal(ret, 0);
	assert_int_equal(len, 342);
	assert_text(out, len, CEE71_REPLY("0x16"));
	ret = cee_reply_decode(*state, out, len, &back);
	assert_int_equal(ret, 0);
	assert_int_equal(back->status, 0x16);
	assert_true(back->heartbeat);
	assert_false(back->scan);
	assert_string_equal(back->cee_version, "7.1.0");
	assert_string_equal(back->dtd_version, "2.1.0");
	assert_string_equal(back->av_vendor, "");
	assert_int_equal(back->signature_time, 0);
}

static void test_heartbeat_extra(void **state)
{
	struct cee_reply r = {
		.status = CEE_ERROR_AV_NOT_FOUND,
		.heartbeat = true,
		.cee_version = "1",
		.dtd_version = "2.1.0",
		.av_vendor = "ClamAV 1.4.6",
		.signature_time = 1767254400,
		.detail = "gone",
	};
	struct cee_reply *back = NULL;
	char *out = NULL;
	size_t len = 0;
	int ret;

	ret = cee_reply_encode(*state, &r, false, &out, &len);
	assert_int_equal(ret, 0);
	assert_non_null(strstr(out, "\n  <HeartBeatResponse ceeVersion=\"1\" "
			       "dtdVersion=\"2.1.0\" "
			       "avVendor=\"ClamAV 1.4.6\" "
			       "signatureTime=\"1767254400\" "
			       "detail=\"gone\">\n"));
	ret = cee_reply_decode(*state, out, len, &back);
	assert_int_equal(ret, 0);
	assert_int_equal(back->status, 2);
	assert_string_equal(back->av_vendor, "ClamAV 1.4.6");
	assert_int_equal(back->signature_time, 1767254400);
	assert_string_equal(back->detail, "gone");
}

static void test_foreign_replies(void **state)
{
	struct cee_reply *r = NULL;
	int ret;

	assert_int_equal(strlen(cee71_event_reply), 111);
	ret = decode_reply(*state, cee71_event_reply, &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->status, 0);
	assert_false(r->heartbeat);
	assert_false(r->scan);

	ret = decode_reply(*state, "<CheckFileResponse status=\"0x0\" />", &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->cee_version, "");

	ret = decode_reply(*state, "<CheckFileResponse status=\"22\"/>", &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->status, 22);

	/* a version only further in, and children nobody knows */
	ret = decode_reply(*state, "<CheckFileResponse status=\"0X1F\"><New/>"
			   "<HeartBeatResponse ceeVersion=\"9.3.0.0\"/>"
			   "</CheckFileResponse>", &r);
	assert_int_equal(ret, 0);
	assert_int_equal(r->status, 0x1f);
	assert_string_equal(r->cee_version, "9.3.0.0");
}

static void test_scan_request(void **state)
{
	static const char expected[] =
		"<CheckFileRequest><Args action=\"77\" sourceID=\"2\" "
		"sourceIP=\"10.0.0.1\" name=\"XABcAGEAXABDAEgARQBDAEsAJABcAG"
		"YA\"><Cluster id=\"c&quot;1\" name=\"bgA=\"/></Args>"
		"<ScanArgs id=\"18446744073709551615\" size=\"4294967296\" "
		"timeout=\"60\"/></CheckFileRequest>";
	const struct cee_profile ours = { 9, 77 };
	struct cee_request r = {
		.kind = CEE_SCAN,
		.source_id = 2,
		.source_ip = "10.0.0.1",
		.name = "\\\\a\\CHECK$\\f",
		.cluster_id = "c\"1",
		.cluster_name = "n",
		.scan_id = UINT64_MAX,
		.size = 4294967296,
		.timeout = 60,
	};
	struct cee_request *back = NULL;
	char *out = NULL;
	size_t len = 0;
	int ret;

	ret = cee_request_encode(*state, &ours, &r, &out, &len);
	assert_int_equal(ret, 0);
	assert_text(out, len, expected);
	ret = cee_request_decode(*state, &ours, out, len, &back);
	assert_int_equal(ret, 0);
	assert_int_equal(back->kind, CEE_SCAN);
	assert_string_equal(back->name, r.name);
	assert_string_equal(back->cluster_id, r.cluster_id);
	assert_true(back->scan_id == UINT64_MAX);
	assert_true(back->size == r.size);
	assert_int_equal(back->timeout, 60);

	/* with other numbers it is somebody else's verb */
	ret = cee_request_decode(*state, &profile, out, len, &back);
	assert_int_equal(ret, 0);
	assert_int_equal(back->kind, CEE_OTHER);

	r.utf16 = true;
	ret = cee_request_encode(*state, &ours, &r, &out, &len);
	assert_int_equal(ret, 0);
	assert_int_equal(len, 2 * strlen(expected));
	ret = cee_request_decode(*state, &ours, out, len, &back);
	assert_int_equal(ret, 0);
	assert_true(back->utf16);
	assert_string_equal(back->name, r.name);
}

static void test_names(void **state)
{
	static const char *const good[] = {
		"", "a", "ab", "abc",
		"\\\\h\\CHECK$\\gr\xc3\xbc\xc3\x9f",	/* two bytes */
		"\xe2\x82\xac \xef\xbf\xbd \xef\xbf\xbf",	/* three */
		"\xf0\x9f\xa6\xa0.txt",			/* a pair */
		"\xf4\x8f\xbf\xbf",			/* the last one */
		"tab\tnl\n\x01\x7f",
	};
	static const char *const bad[] = {
		"\x80", "\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf",
		"\xed\xa0\x80",				/* a surrogate */
		"\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xe2\x82",
	};
	char *name = NULL;
	char *b64 = NULL;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ret = cee_text_name_encode(*state, good[i], &b64);
		assert_int_equal(ret, 0);
		ret = cee_text_name_decode(*state, b64, &name);
		assert_int_equal(ret, 0);
		assert_string_equal(name, good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cee_request r = { .kind = CEE_SCAN, .name = bad[i] };
		size_t len = 0;

		ret = cee_request_encode(*state, &profile, &r, &b64, &len);
		assert_int_equal(ret, EILSEQ);
	}
	/* U+1F9A0 as D83E DDA0 */
	ret = cee_text_name_encode(*state, "\xf0\x9f\xa6\xa0", &b64);
	assert_int_equal(ret, 0);
	assert_string_equal(b64, "Ptig3Q==");
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"A", "AAA", "YQA", "YQA=x", "YQ A", "YQA\n", "Y=A=", "====",
		"=AAA", "YQB=", "YR==",		/* hidden bits */
		"YQ==",				/* half a unit */
		"AAA=",				/* U+0000 */
		"PtgA2A==",			/* two high halves */
		"oN0=", "Ptg=",			/* one half alone */
		"YQA=YQA=",
	};
	char *name = NULL;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = cee_text_name_decode(*state, bad[i], &name);
		assert_int_equal(ret, EBADMSG);
	}
}

static void test_scan_reply(void **state)
{
	static const char expected[] =
		"<CheckFileResponse status=\"0x9\" ceeVersion=\"1\">\n"
		"  <ScanResponse id=\"7\" threat=\"A&lt;b&gt;&amp;&quot;'\" "
		"limit=\"1\" detail=\"x&#10;\xef\xbf\xbd\xef\xbf\xbd"
		"\xef\xbf\xbd\" "
		"bytes=\"68\" avVendor=\"ClamAV\" signatureTime=\"5\" />\n"
		"</CheckFileResponse>\n";
	struct cee_reply r = {
		.status = CEE_DETECT_VIRUS,
		.cee_version = "1",
		.scan = true,
		.scan_id = 7,
		.threat = "A<b>&\"'",
		.limit = true,
		.detail = "x\n\x1b\xff\xef\xbf\xbf",
		.bytes = 68,
		.av_vendor = "ClamAV",
		.signature_time = 5,
	};
	struct cee_reply *back = NULL;
	char *out = NULL;
	size_t len = 0;
	int ret;

	ret = cee_reply_encode(*state, &r, false, &out, &len);
	assert_int_equal(ret, 0);
	assert_text(out, len, expected);
	ret = cee_reply_decode(*state, out, len, &back);
	assert_int_equal(ret, 0);
	assert_true(back->scan);
	assert_true(back->limit);
	assert_int_equal(back->scan_id, 7);
	assert_int_equal(back->bytes, 68);
	assert_string_equal(back->threat, r.threat);
	assert_string_equal(back->detail, "x\n\xef\xbf\xbd\xef\xbf\xbd"
			    "\xef\xbf\xbd");

	/* what is not known is not said */
	r = (struct cee_reply) { .scan = true, .scan_id = 1 };
	ret = cee_reply_encode(*state, &r, true, &out, &len);
	assert_int_equal(ret, 0);
	ret = cee_reply_decode(*state, out, len, &back);
	assert_int_equal(ret, 0);
	assert_false(back->limit);
	assert_string_equal(back->threat, "");

	r = (struct cee_reply) { .status = CEE_ERROR_BAD_REQUEST };
	ret = cee_reply_encode(*state, &r, false, &out, &len);
	assert_int_equal(ret, 0);
	assert_text(out, len, "<CheckFileResponse status=\"0x10\" />\n");
}

static void test_banner(void **state)
{
	char *out = NULL;
	size_t len = 0;
	int ret;

	ret = cee_banner_encode(*state, "9.3.0.0", &out, &len);
	assert_int_equal(ret, 0);
	assert_text(out, len, "<CEE version=\"9.3.0.0\"></CEE>");
}

#define REQUEST(INSIDE) "<CheckFileRequest>" INSIDE "</CheckFileRequest>"
#define ARGS "<Args action=\"9\"/>"

static void test_bad_requests(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"hello",
		"<CheckFileRequest>",
		REQUEST(""),
		REQUEST("<Args/>"),
		REQUEST("<Args action=\"\"/>"),
		REQUEST("<Args action=\"-9\"/>"),
		REQUEST("<Args action=\" 9\"/>"),
		REQUEST("<Args action=\"9x\"/>"),
		REQUEST("<Args action=\"0x\"/>"),
		REQUEST("<Args action=\"0x0x9\"/>"),
		REQUEST("<Args action=\"4294967305\"/>"),
		REQUEST("<Args action=\"9\" action=\"9\"/>"),
		REQUEST(ARGS ARGS),
		REQUEST(ARGS "<ScanArgs/><ScanArgs/>"),
		REQUEST(ARGS "<ScanArgs size=\"18446744073709551616\"/>"),
		REQUEST("<x>" ARGS "</x>"),
		REQUEST(ARGS) "<more/>",
		"<CheckFileRequestX>" ARGS "</CheckFileRequestX>",
		"<CheckFile>" ARGS "</CheckFile>",
		"<CheckFileResponse status=\"0x0\"/>",
		"<!DOCTYPE x>" REQUEST(ARGS),
		"<!DOCTYPE x [<!ENTITY a \"9\">]>"
			REQUEST("<Args action=\"&a;\"/>"),
		"<!DOCTYPE x SYSTEM \"file:///etc/passwd\">" REQUEST(ARGS),
		REQUEST("<Args action=\"&a;\"/>"),
		REQUEST(ARGS "<a><b><c><d><e><f><g><h/></g></f></e></d></c>"
			"</b></a>"),
		REQUEST("<Args action=\"9\" sourceIP=\"\xff\"/>"),
		REQUEST("<Args action=\"1\"/>"),	/* of no file */
		REQUEST("<Args action=\"1\" name=\"plain text\"/>"),
	};
	struct cee_request *r = NULL;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = decode_request(*state, bad[i], &r);
		if (ret != EBADMSG) {
			print_error("taken: %s\n", bad[i]);
		}
		assert_int_equal(ret, EBADMSG);
		assert_null(r);
	}
	assert_int_equal(talloc_get_size(*state), 0);
	assert_int_equal(talloc_total_blocks(*state), 1);

	/* at the bounds */
	ret = decode_request(*state, REQUEST(ARGS "<a><b><c><d><e><f><g/></f>"
			     "</e></d></c></b></a>"), &r);
	assert_int_equal(ret, 0);
	ret = decode_request(*state, "<?xml version=\"1.0\" encoding="
			     "\"ISO-8859-1\"?>" REQUEST("<Args action=\"0x9\""
			     " name=\"plain\" sourceIP=\"\xc3\xbc\"/>"), &r);
	assert_int_equal(ret, 0);
	assert_string_equal(r->source_ip, "\xc3\xbc");
	assert_string_equal(r->name, "");
}

static void test_sizes(void **state)
{
	struct cee_request r = { .kind = CEE_HEARTBEAT };
	struct cee_request *back = NULL;
	char *text = NULL;
	char *out = NULL;
	size_t len = 0;
	size_t size;
	int ret;

	text = talloc_asprintf(*state, "%s%*s", onefs8_heartbeat,
			       CEE_MSG_MAX - 217, "");
	size = strlen(text);
	assert_int_equal(size, CEE_MSG_MAX);
	ret = cee_request_decode(*state, &profile, text, size, &back);
	assert_int_equal(ret, 0);
	text = talloc_strdup_append(text, " ");
	ret = cee_request_decode(*state, &profile, text, size + 1, &back);
	assert_int_equal(ret, EBADMSG);

	memset(text, 'a', size);
	r.source_ip = text;
	ret = cee_request_encode(*state, &profile, &r, &out, &len);
	assert_int_equal(ret, EMSGSIZE);
	text[40000] = '\0';
	ret = cee_request_encode(*state, &profile, &r, &out, &len);
	assert_int_equal(ret, 0);
	r.utf16 = true;
	ret = cee_request_encode(*state, &profile, &r, &out, &len);
	assert_int_equal(ret, EMSGSIZE);
}

static void test_bad_replies(void **state)
{
	static const char *const bad[] = {
		"", "<html></html>", "<CheckFileResponse/>",
		"<CheckFileResponse status=\"\"/>",
		"<CheckFileResponse status=\"OK\"/>",
		"<CheckFileResponse status=\"0x100000000\"/>",
		"<CheckFileResponses status=\"0x0\"/>",
		"<x><CheckFileResponse status=\"0x0\"/></x>",
		"<CheckFileResponse status=\"0x0\">",
		"<CheckFileResponse status=\"0x0\"><ScanResponse id=\"1\"/>"
			"<ScanResponse id=\"2\"/></CheckFileResponse>",
		"<CheckFileResponse status=\"0x0\"><ScanResponse id=\"x\"/>"
			"</CheckFileResponse>",
		"<CheckFileResponse status=\"0x0\"><ScanResponse "
			"limit=\"yes\"/></CheckFileResponse>",
		"<!DOCTYPE CheckFileResponse>"
			"<CheckFileResponse status=\"0x0\"/>",
	};
	struct cee_reply *r = NULL;
	size_t i;
	int ret;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = decode_reply(*state, bad[i], &r);
		if (ret != EBADMSG) {
			print_error("taken: %s\n", bad[i]);
		}
		assert_int_equal(ret, EBADMSG);
	}
	assert_int_equal(talloc_total_blocks(*state), 1);
}

/* Every cut of a good message is no message. */
static void test_truncated(void **state)
{
	struct cee_request *r = NULL;
	size_t i;
	int ret;

	for (i = 0; i < strlen(onefs8_event); i++) {
		char *copy = talloc_memdup(*state, onefs8_event, i);

		ret = cee_request_decode(*state, &profile, copy, i, &r);
		assert_int_equal(ret, EBADMSG);
		talloc_free(copy);
	}
}

static void test_statuses(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i <= 0x21; i++) {
		assert_int_equal(cee_status_infected(i), i >= 8 && i <= 12);
	}
	assert_string_equal(cee_status_text(0x0), "SUCCESS");
	assert_string_equal(cee_status_text(0x2), "ERROR_AV_NOT_FOUND");
	assert_string_equal(cee_status_text(0x16), "ERROR_CEPP_NOT_FOUND");
	assert_string_equal(cee_status_text(0x1b), "unknown status");
	assert_string_equal(cee_status_text(0x21), "unknown status");
	assert_string_equal(cee_status_text(UINT32_MAX), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
		TEST(test_onefs8_heartbeat),
		TEST(test_onefs_decode),
		TEST(test_events),
		TEST(test_powerstore),
		TEST(test_heartbeat_reply),
		TEST(test_heartbeat_extra),
		TEST(test_foreign_replies),
		TEST(test_scan_request),
		TEST(test_names),
		TEST(test_bad_names),
		TEST(test_scan_reply),
		TEST(test_banner),
		TEST(test_bad_requests),
		TEST(test_sizes),
		TEST(test_bad_replies),
		TEST(test_truncated),
		TEST(test_statuses),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

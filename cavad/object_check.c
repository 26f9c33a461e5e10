/*
 * A row a field: the checks that keep nonsense from turning up later as a
 * share that cannot be opened or a server that is never reached.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "cavad/object_check.h"
#include "cavad/report.h"
#include "cavad/schedule.h"
#include "common/filter.h"

#define NAME_MAX_LENGTH 128
#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *check_path(const char *text)
{
	const char *p = text;
	size_t len;

	if (*p != '/') {
		return "not an absolute path";
	}
	if (strcmp(text, "/") == 0) {
		return NULL;
	}
	while (*p == '/') {
		p++;
		len = strcspn(p, "/");
		if (len == 0) {
			return "has // in it, or / at its end";
		}
		if ((len == 1 && p[0] == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.')) {
			return "has . or .. in it";
		}
		p += len;
	}
	return NULL;
}

/* Samba's INVALID_SHARENAME_CHARS, and section names of smb.conf. */
static const char *check_share_name(const char *text)
{
	if (strpbrk(text, "%<>*?|/\\+=;:\",[]") != NULL) {
		return "a share's name has none of % < > * ? | / \\ + = ; : "
		       "\" , [ ]";
	}
	if (strcasecmp(text, "global") == 0 ||
	    strcasecmp(text, "homes") == 0 ||
	    strcasecmp(text, "printers") == 0) {
		return "has a meaning of its own in smb.conf";
	}
	return NULL;
}

static const char *check_host(const char *text)
{
	if (text[strspn(text, LETTERS CAPITALS DIGITS "-_.:")] != '\0') {
		return "not a host name or address";
	}
	return NULL;
}

static const char *check_address(const char *text)
{
	unsigned char addr[16];

	if (inet_pton(AF_INET, text, addr) == 1 ||
	    inet_pton(AF_INET6, text, addr) == 1) {
		return NULL;
	}
	return "not a numeric IPv4 or IPv6 address";
}

/* host:12228/path, [::1]:12228; no scheme ends in a digit or bracket. */
bool object_uri_is_cee(const char *uri)
{
	size_t host = uri[0] == '[' ? strcspn(uri, "]") :
		      strspn(uri, LETTERS CAPITALS DIGITS "-_.");

	if (uri[0] == '[') {
		return uri[host] == ']';
	}
	return host > 0 && uri[host] == ':' &&
	       uri[host + 1] >= '0' && uri[host + 1] <= '9';
}

static const char *check_uri(const char *text)
{
	size_t scheme = strspn(text, LETTERS DIGITS "+.-");

	if (!object_uri_is_cee(text) &&
	    (scheme == 0 || text[scheme] != ':')) {
		return "not a URI (cee://HOST:PORT/PATH, clamd:/SOCKET, "
		       "null: and the like)";
	}
	if (text[strcspn(text, " \t")] != '\0') {
		return "a URI has no blanks";
	}
	return NULL;
}

static const char *check_version(const char *text)
{
	if (text[strspn(text, DIGITS ".")] != '\0') {
		return "not numbers and dots, as 8.7.0.0";
	}
	return NULL;
}

static const char *check_cluster_id(const char *text)
{
	size_t digits = strspn(text, DIGITS "abcdefABCDEF");

	if (text[0] == '\0' || (digits == 36 && text[digits] == '\0')) {
		return NULL;
	}
	return "not 36 hex digits";
}

static const char *check_extension(const char *text)
{
	size_t len = strlen(text);

	if (strchr(text, '/') != NULL) {
		return "an extension has no /";
	}
	if (text[strspn(text, ".")] == '\0' || strstr(text, "..") != NULL ||
	    text[len - 1] == '.') {
		return "not an extension: doc, .doc, tar.gz, do? and the like";
	}
	return NULL;
}

/* With or without / in front and at the end; rules look at whole names. */
static const char *check_excluded_path(const char *text)
{
	const char *p = text + (*text == '/');
	size_t len;

	if (*p == '\0') {
		return "everything; use scan_profile = no_scan for that";
	}
	while (*p != '\0') {
		len = strcspn(p, "/");
		if (len == 0) {
			return "has // in it";
		}
		if (strncmp(p, "..", len) == 0 && len <= 2) {
			return "has . or .. in it";
		}
		p += len + (p[len] == '/');
	}
	return NULL;
}

/* The text lives until the next call. */
static const char *check_schedule(const char *text)
{
	static char why[2 * SCHEDULE_TEXT_MAX];
	struct schedule s;

	if (text[0] == '\0' ||
	    schedule_parse(text, &s, why, sizeof(why)) == 0) {
		return NULL;
	}
	return why;
}

static const char *check_account(const char *text)
{
	const char *backslash = strchr(text, '\\');

	if (strpbrk(text, "/\"[]:;|=+*?<>") != NULL) {
		return "an account's name has none of / \" [ ] : ; | = + * ? "
		       "< >";
	}
	if (backslash != NULL && (backslash == text || backslash[1] == '\0' ||
				  strchr(backslash + 1, '\\') != NULL)) {
		return "not DOMAIN\\name";
	}
	return NULL;
}

static const char *check_net(const char *text)
{
	return filter_is_host(text) ? NULL : "not an address, or address/"
	       "prefix (192.0.2.7, 192.0.2.0/24, 2001:db8::/32)";
}

static const char *check_command(const char *text)
{
	if (text[0] != '\0' && text[0] != '/') {
		return "not the absolute path of a program";
	}
	return NULL;
}

static const char *check_webhook(const char *text)
{
	size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 :
			strncmp(text, "https://", 8) == 0 ? 8 : 0;

	if (text[0] == '\0') {
		return NULL;
	}
	if (scheme == 0 || text[scheme] == '\0' || text[scheme] == '/' ||
	    text[strcspn(text, " \t")] != '\0') {
		return "not a URL (https://HOST/PATH)";
	}
	return NULL;
}

static const char *check_report_time(const char *text)
{
	return report_time_parse(text) >= 0 ? NULL :
		"not a time of day, as 00:00 or 23:30:00";
}

static const struct {
	const char *field;
	const char *(*check)(const char *text);
} checks[] = {
	{ "check_root", check_path },
	{ "ipc_socket", check_path },
	{ "api_socket", check_path },
	{ "state_dir", check_path },
	{ "spool_dir", check_path },
	{ "check_share", check_share_name },
	{ "scan_zones", object_check_zone },
	{ "ip_pool", check_host },
	{ "fetch_addresses", check_address },
	{ "server_uri", check_uri },
	{ "cluster_id", check_cluster_id },
	{ "version_minimum", check_version },
	{ "pool", object_check_name },
	{ "file_extensions", check_extension },
	{ "schedule", check_schedule },
	{ "report_time", check_report_time },
	{ "paths_to_include", check_path },
	{ "paths_to_exclude", check_excluded_path },
	{ "exempt_accounts", check_account },
	{ "exempt_hosts", check_net },
	{ "event_command", check_command },
	{ "event_webhook", check_webhook },
};

const char *object_check(const char *field, const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (strcmp(checks[i].field, field) == 0) {
			return checks[i].check(text);
		}
	}
	return NULL;
}

const char *object_check_name(const char *name)
{
	size_t len = strspn(name, LETTERS CAPITALS DIGITS "._-");

	if (len == 0 || name[len] != '\0' || len > NAME_MAX_LENGTH) {
		return "a name has 1 to 128 characters of A-Z a-z 0-9 . _ -";
	}
	return NULL;
}

const char *object_check_zone(const char *name)
{
	size_t len = strspn(name, LETTERS CAPITALS DIGITS "._-");

	if (len == 0 || name[len] != '\0' || len > FILTER_ZONE_MAX) {
		return "a zone's name has 1 to 255 characters of A-Z a-z "
		       "0-9 . _ -";
	}
	return NULL;
}

bool object_path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0) {
		return true;
	}
	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

/*
 * The law of CHECK$: see check.h.
 *
 * A refusal says what would allow it, is counted, and is an event about
 * "account@address" until that pair is allowed something. There are as many
 * of them as somebody has addresses: at most CHECK_EVENTS are up, and then
 * one about all others.
 *
 * A name in ip_pool stands for the addresses that it has (ip_pool.h); for
 * none before it was found.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cavad/check.h"
#include "common/address.h"
#include "common/log.h"

#define CHECK_ACCOUNT_MAX 300	/* bytes */
#define CHECK_SCOPE_ALL 1	/* of check_scope in object.def */
#define CHECK_EVENTS 32
#define CHECK_OTHERS "others"

struct check {
	const struct config *config;
	struct store *store;
	struct servers *servers;
	struct scans *scans;
	struct events *events;
	struct counters *counters;
	const struct ip_pool *ip_pool;	/* NULL: names have no addresses */
};

int check_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		 const struct config *config, struct store *store,
		 struct servers *servers, struct scans *scans,
		 struct events *events, struct counters *counters,
		 struct check **result)
{
	struct check *c = talloc_zero(mem_ctx, struct check);

	(void)ev;
	if (c == NULL) {
		return ENOMEM;
	}
	c->config = config;
	c->store = store;
	c->servers = servers;
	c->scans = scans;
	c->events = events;
	c->counters = counters;
	*result = c;
	return 0;
}

/* Accounts. */

static bool check_is_sid(const char *entry)
{
	return strncasecmp(entry, "S-1-", 4) == 0;
}

bool check_account_matches(const char *entry, const char *sid,
			   const char *account, bool local)
{
	const char *name = NULL;

	if (entry[0] == '\0') {
		return false;
	}
	if (check_is_sid(entry)) {
		return strcasecmp(entry, sid) == 0;
	}
	if (strchr(entry, '\\') != NULL) {
		return strcasecmp(entry, account) == 0;
	}
	name = strrchr(account, '\\');
	name = name == NULL ? account : name + 1;
	return local && strcasecmp(entry, name) == 0;
}

/* "S-1-5-21-1-2-3-1000": numbers, up to 15 of them behind the authority. */
static bool check_sid_valid(const char *sid)
{
	const char *p = sid + 3;
	unsigned int count = 0;

	while (*p == '-') {
		size_t len = strspn(p + 1, "0123456789");

		if (len == 0 || len > 15) {
			return false;
		}
		p += 1 + len;
		count++;
	}
	return *p == '\0' && count >= 2 && count <= 16;
}

static int check_account_error(TALLOC_CTX *mem_ctx, const char *entry,
			       const char *why, char **error)
{
	*error = talloc_asprintf(mem_ctx, "account \"%s\": %s", entry, why);
	return EINVAL;
}

int check_account_valid(TALLOC_CTX *mem_ctx, const char *entry, char **error)
{
	const char *slash = strchr(entry, '\\');
	size_t len = strlen(entry);
	size_t i;

	if (len == 0 || len > CHECK_ACCOUNT_MAX) {
		return check_account_error(mem_ctx, entry, "1 to 300 bytes "
					   "are accepted", error);
	}
	for (i = 0; i < len; i++) {
		if (iscntrl((unsigned char)entry[i]) ||
		    strchr("\"/[]:;|=,+*?<>@", entry[i]) != NULL) {
			return check_account_error(mem_ctx, entry, "no "
				"account has such a character; write "
				"DOMAIN\\name, a local name, or a SID", error);
		}
	}
	if (entry[0] == ' ' || entry[len - 1] == ' ') {
		return check_account_error(mem_ctx, entry, "a space at its "
					   "start or end", error);
	}
	if (check_is_sid(entry)) {
		if (!check_sid_valid(entry)) {
			return check_account_error(mem_ctx, entry,
						   "not a SID", error);
		}
		return 0;
	}
	if (slash == NULL) {
		return 0;
	}
	if (slash == entry || slash[1] == '\0' ||
	    strchr(slash + 1, '\\') != NULL) {
		return check_account_error(mem_ctx, entry, "write "
					   "DOMAIN\\name", error);
	}
	return 0;
}

/* Is it an AVVendor account? Not when that cannot be known. */
static bool check_is_vendor(struct check *c, const struct proto_check *ask)
{
	struct store_account *list = NULL;
	bool found = false;
	size_t i;
	int ret;

	ret = store_avvendor_list(c->store, c, &list);
	if (ret != 0) {
		log_error("AVVendor accounts cannot be read: %s",
			  strerror(ret));
		return false;
	}
	for (i = 0; list[i].name != NULL && !found; i++) {
		found = check_account_matches(list[i].name, ask->sid,
					      ask->account, ask->local != 0);
	}
	talloc_free(list);
	return found;
}

/* Addresses. */

void check_use_ip_pool(struct check *c, const struct ip_pool *ip_pool)
{
	c->ip_pool = ip_pool;
}

static bool check_pool_has(const struct check *c, const char *server_addr)
{
	const char **pool = c->config->settings.ip_pool;
	struct in6_addr addr, own;
	size_t i;

	if (pool == NULL || pool[0] == NULL) {
		return true;
	}
	if (!address_parse(server_addr, &own)) {
		own = in6addr_any;
	}
	for (i = 0; pool[i] != NULL; i++) {
		bool numeric = address_parse(pool[i], &addr);

		if (numeric ? memcmp(&addr, &own, sizeof(addr)) == 0 :
		    c->ip_pool != NULL &&
		    ip_pool_resolves(c->ip_pool, pool[i], &own)) {
			return true;
		}
	}
	return false;
}

/* Each of these: NULL = nothing against it, or why not, on mem_ctx. */

static char *check_tree(struct check *c, TALLOC_CTX *mem_ctx,
			const struct proto_check *ask)
{
	if (!check_is_vendor(c, ask)) {
		return talloc_asprintf(mem_ctx, "%s (%s) is no AVVendor "
				       "account; to allow it: cavactl "
				       "avvendor add '%s'", ask->account,
				       ask->sid, ask->account);
	}
	if (!check_pool_has(c, ask->server_addr)) {
		return talloc_asprintf(mem_ctx, "connected to %s, which is "
				       "not in ip_pool; to allow it, add it "
				       "there", ask->server_addr);
	}
	return NULL;
}

/* What is outstanding of a file, seen from who opens it. */
struct check_found {
	bool any;
	bool here;		/* now, under the path it was opened by */
	bool may;		/* at a server that the address belongs to */
	bool fetches;		/* and that server is at it now */
	const char *server;
	const char *path;
};

/* Does check_scope lift what follows? Never for a change. */
static bool check_all(const struct check *c, const struct proto_check *ask)
{
	return c->config->settings.check_scope == CHECK_SCOPE_ALL &&
		ask->what != PROTO_WHAT_CHANGE;
}

static struct check_found check_find(struct check *c,
				     const struct proto_check *ask)
{
	bool all = check_all(c, ask);
	struct check_found f = { .server = "", .path = "" };
	struct scan_outstanding o;
	unsigned int i;

	for (i = 0; scan_outstanding(c->scans, &ask->ident, i, &o); i++) {
		bool may = all || servers_address(c->servers, o.server,
						  ask->addr);

		f.any = true;
		f.here |= !o.ended && strcmp(o.path, ask->path) == 0;
		f.may |= may;
		f.fetches |= may && !o.ended;
		f.server = o.server;
		f.path = o.path;
	}
	return f;
}

/* Another file is there now. Reading it would be scanning it. */
static bool check_is_wrong(struct check *c, const struct proto_check *ask,
			   const struct check_found *f)
{
	return ask->what == PROTO_WHAT_OPEN && !f->here &&
		scan_wrong_file(c->scans, ask->path);
}

/*
 * A server opens what it was told by name. If another file is there now it
 * would judge that one, even where that one may be opened too: two files
 * that are scanned at a time could change places.
 */
static char *check_file(struct check *c, TALLOC_CTX *mem_ctx,
			const struct proto_check *ask)
{
	struct check_found f = check_find(c, ask);

	if (check_is_wrong(c, ask, &f)) {
		return talloc_asprintf(mem_ctx, "%s is not the file that is "
				       "being scanned under this name",
				       ask->path);
	}
	if (f.fetches && ask->what == PROTO_WHAT_OPEN) {
		scan_fetched(c->scans, &ask->ident);
	}
	if (f.fetches && ask->what == PROTO_WHAT_CHANGE) {
		scan_unlock(c->scans, &ask->ident);
	}
	if (f.may || check_all(c, ask)) {
		return NULL;
	}
	if (f.any) {
		return talloc_asprintf(
			mem_ctx, "%s is being scanned by server %s, to which "
			"%s does not belong; to allow it, add it to "
			"fetch_addresses of [server %s]", ask->path, f.server,
			ask->addr, f.server);
	}
	if (ask->what == PROTO_WHAT_CHANGE) {
		return talloc_asprintf(mem_ctx, "nobody asked to scan %s; "
				       "allow_clean is for what a server was "
				       "asked to scan", ask->path);
	}
	return talloc_asprintf(mem_ctx, "nobody asked to scan %s; to let "
			       "AVVendor accounts open any file, set "
			       "check_scope = all", ask->path);
}

static char *check_change(struct check *c, TALLOC_CTX *mem_ctx,
			  const struct proto_check *ask)
{
	if (!c->config->settings.allow_clean) {
		return talloc_asprintf(mem_ctx, "a change of %s; to let "
				       "servers repair the files they scan, "
				       "set allow_clean = yes and run cavad "
				       "--setup-share", ask->path);
	}
	return check_file(c, mem_ctx, ask);
}

static char *check_law(struct check *c, TALLOC_CTX *mem_ctx,
		       const struct proto_check *ask)
{
	char *why = NULL;

	if (ask->what == PROTO_WHAT_REFUSED) {
		return talloc_strdup(mem_ctx, ask->path);
	}
	why = check_tree(c, mem_ctx, ask);
	if (why != NULL) {
		return why;
	}
	switch (ask->what) {
	case PROTO_WHAT_OPEN:
	case PROTO_WHAT_META:
		return check_file(c, mem_ctx, ask);
	case PROTO_WHAT_CHANGE:
		return check_change(c, mem_ctx, ask);
	default:
		return NULL;
	}
}

/* "account@address", or "others" when there are too many of them. */
static const char *check_event_about(const struct check *c, const char *who)
{
	const struct event *e = NULL;
	unsigned int count = 0;
	unsigned int i;

	for (i = 0; (e = events_up(c->events, i)) != NULL; i++) {
		if (e->number != EVENT_CAVA_CHECK_REFUSED) {
			continue;
		}
		if (strcmp(e->what, who) == 0) {
			return who;
		}
		count++;
	}
	return count < CHECK_EVENTS ? who : CHECK_OTHERS;
}

static void check_refused(struct check *c, const char *who, const char *why)
{
	const char *about = check_event_about(c, who);

	c->counters->check_refused++;
	event_raise(c->events, EVENT_CAVA_CHECK_REFUSED, about, "%s%s%s", why,
		    about == who ? "" : "; ", about == who ? "" : who);
}

void check_ask(struct check *c, TALLOC_CTX *mem_ctx,
	       const struct proto_check *ask,
	       struct proto_check_answer *answer)
{
	char *who = talloc_asprintf(mem_ctx, "%s@%s", ask->account,
				    ask->addr);
	char *why = NULL;

	*answer = (struct proto_check_answer) { .id = ask->id,
						.reason = "" };
	if (who == NULL) {
		answer->reason = "out of memory";
		return;
	}
	why = check_law(c, mem_ctx, ask);
	if (why != NULL) {
		answer->reason = why;
		check_refused(c, who, why);
		talloc_free(who);
		return;
	}
	answer->allowed = 1;
	if (ask->what == PROTO_WHAT_OPEN) {
		c->counters->check_allowed++;
		event_clear(c->events, EVENT_CAVA_CHECK_REFUSED, who);
	}
	talloc_free(who);
}

bool check_done(struct check *c, const struct proto_check *done)
{
	const char *what = NULL;
	struct check_found f;

	switch (done->what) {
	case PROTO_WHAT_WRITTEN:
		what = "written; it is scanned again";
		break;
	case PROTO_WHAT_RENAMED:
		what = "renamed; it is scanned again";
		break;
	case PROTO_WHAT_DELETED:
		what = "deleted";
		break;
	default:
		return false;
	}
	f = check_find(c, done);
	c->counters->check_changes++;
	event_log(c->events, EVENT_CAVA_CHECK_CHANGED, done->path,
		  "%s by %s at %s, server %s%s%s", what, done->account,
		  done->addr, f.server[0] != '\0' ? f.server : "unknown",
		  done->what == PROTO_WHAT_RENAMED ? ", from " : "",
		  done->what == PROTO_WHAT_RENAMED ? f.path : "");
	return true;
}

const char *check_alias(struct check *c, const char *alias)
{
	return scan_alias(c->scans, alias);
}

/* Listings. */

struct check_names {
	const char *dir;
	size_t dir_len;
	char **names;		/* NULL = out of memory */
	size_t count;
};

static void check_name(void *private_data, const char *path)
{
	struct check_names *n = private_data;
	const char *rel = path + n->dir_len + 1;
	char **names = NULL;
	char *name = NULL;

	if (n->names == NULL || strncmp(path, n->dir, n->dir_len) != 0 ||
	    path[n->dir_len] != '/') {
		return;
	}
	names = talloc_realloc(talloc_parent(n->names), n->names, char *,
			       n->count + 1);
	if (names == NULL) {
		TALLOC_FREE(n->names);
		return;
	}
	n->names = names;
	name = talloc_strndup(names, rel, strcspn(rel, "/"));
	if (name == NULL) {
		TALLOC_FREE(n->names);
		return;
	}
	names[n->count++] = name;
}

static int check_name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *check_names(struct check *c, TALLOC_CTX *mem_ctx, const char *dir)
{
	struct check_names n = { .dir = dir, .dir_len = strlen(dir) };
	char *result = talloc_strdup(mem_ctx, "");
	size_t i;

	if (result == NULL) {
		return NULL;
	}
	while (n.dir_len > 0 && dir[n.dir_len - 1] == '/') {
		n.dir_len--;
	}
	n.names = talloc_array(result, char *, 1);
	scan_outstanding_paths(c->scans, check_name, &n);
	if (n.names == NULL) {
		return result;
	}
	qsort(n.names, n.count, sizeof(char *), check_name_compare);
	for (i = 0; i < n.count && result != NULL; i++) {
		/* one name for all that lies below the same directory */
		if (i > 0 && strcmp(n.names[i], n.names[i - 1]) == 0) {
			continue;
		}
		result = talloc_asprintf_append_buffer(result, "%s\n",
						       n.names[i]);
	}
	if (result != NULL) {
		talloc_free(n.names);
	}
	return result;
}
